#include "tilt/selector/vote.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Ballots;
using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;

namespace {

Candidate saying(const char* text, double reward = 0, double weight = 1) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

}  // namespace

TEST_CASE("Ballots: voters are the eligible candidates with an answer", "[selector]") {
  const Population population({saying("1"), saying("none"), saying("2", 0, 0), saying("1", 0, 2)});
  const Ballots ballots(population, tilt::last_number);
  REQUIRE(ballots.voters().size() == 2);
  CHECK(ballots.voters()[0].index == 0);
  CHECK(ballots.voters()[1].index == 3);
  CHECK(Ballots(Population{}, tilt::last_number).voters().empty());
}

TEST_CASE("Ballots: the largest sum wins, ties go to the answer given first", "[selector]") {
  const Population population({saying("1"), saying("2"), saying("1"), saying("2")});
  const Ballots ballots(population, tilt::last_number);
  const Decision larger = ballots.decide(std::vector{0.0, 1.0, 0.0, 0.0});
  CHECK(larger.answer == "2");
  CHECK(larger.index == 1);
  CHECK_THAT(larger.share, WithinAbs((std::exp(1) + 1) / (std::exp(1) + 3), 1e-15));
  CHECK(ballots.decide(std::vector{0.0, 0.0, 0.0, 0.0}).answer == "1");
  CHECK(ballots.decide(std::vector{-infinity, -2000.0, -infinity, -infinity}).answer == "2");
}

TEST_CASE("Ballots: classes with equal weights in another order tie exactly", "[selector]") {
  const std::vector<double> up = {-3.3, -2.2, -1.1, -0.7, -0.1};
  std::vector<double> weights;
  Population population;
  for (const double w : up) {
    population.add(saying("1"), 0);
    weights.push_back(w);
  }
  for (auto w = up.rbegin(); w != up.rend(); ++w) {
    population.add(saying("2"), 0);
    weights.push_back(*w);
  }
  CHECK(Ballots(population, tilt::last_number).decide(weights).answer == "1");
  // The planted fault, sums in the order of the votes: the second class is larger by rounding.
  double first = 0, second = 0;
  for (std::size_t i = 0; i < up.size(); ++i) {
    first += std::exp(weights[i] - up.back());
    second += std::exp(weights[i + up.size()] - up.back());
  }
  CHECK(second != first);
}

TEST_CASE("Ballots: the index is the highest reward of the class", "[selector]") {
  const Population population({saying("1", tilt::unset), saying("1", -infinity), saying("1", 2),
                               saying("2", 9), saying("1", 2)});
  CHECK(Ballots(population, tilt::last_number).decide(std::vector<double>(5)).index == 2);
}

TEST_CASE("Ballots: sums that are equal on paper tie, whatever the rounding of their logarithms",
          "[selector]") {
  std::size_t lost_by_rounding = 0;
  for (int a = 1; a <= 12; ++a) {
    for (int b = 1; b <= 12; ++b) {
      for (int c = std::max(1, a + b - 12); c < std::min(13, a + b); ++c) {
        const std::vector<int> votes = {a, b, c, a + b - c};
        std::vector<double> weights;
        for (const int v : votes) weights.push_back(std::log(v));
        const Population population({saying("1"), saying("1"), saying("2"), saying("2")});
        CHECK(Ballots(population, tilt::last_number).decide(weights).answer == "1");
        // The planted fault: the larger sum of exponentials wins.
        const double most = *std::max_element(weights.begin(), weights.end());
        const auto share = [&](std::size_t i) { return std::exp(weights[i] - most); };
        if (share(2) + share(3) > share(0) + share(1)) ++lost_by_rounding;
      }
    }
  }
  CHECK(lost_by_rounding > 0);
}

TEST_CASE("Ballots: weights that are no numbers do not vote, infinite ones vote alone",
          "[selector]") {
  const Population population({saying("1"), saying("2"), saying("2"), saying("3")});
  const Ballots ballots(population, tilt::last_number);
  const double nan = tilt::unset;
  const Decision nothing = ballots.decide(std::vector{nan, nan, nan, nan});
  CHECK(nothing.index == tilt::npos);
  CHECK(nothing.answer.empty());
  CHECK(nothing.share == 0);

  const Decision some = ballots.decide(std::vector{nan, nan, 0.0, -1.0});
  CHECK(some.answer == "2");
  CHECK(some.index == 2);
  CHECK_THAT(some.share, WithinAbs(1 / (1 + std::exp(-1)), 1e-15));

  const Decision infinite = ballots.decide(std::vector{0.0, infinity, 900.0, infinity});
  CHECK(infinite.answer == "2");
  CHECK(infinite.share == 0.5);
  const Decision impossible = ballots.decide(std::vector(4, -infinity));
  CHECK(impossible.answer == "2");
  CHECK(impossible.share == 0.5);
  CHECK(ballots.decide(std::vector{-infinity, nan, nan, -infinity}).share == 0.5);
  CHECK_THROWS_AS(ballots.decide(std::vector{0.0}), tilt::Error);
}

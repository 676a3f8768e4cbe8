#include "tilt/selector/weighted_majority_vote.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/table.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/testing/check_selector.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;
using tilt::Random;
using tilt::unset;
using tilt::WeightedMajorityVote;

namespace {

Candidate saying(const char* text, double reward, double weight = 1) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

Decision choose(std::vector<Candidate> candidates, double beta = 1) {
  Random random(1);
  return WeightedMajorityVote{tilt::last_number, {.beta = beta}}(Population(std::move(candidates)),
                                                                 random);
}

}  // namespace

TEST_CASE("WeightedMajorityVote: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(WeightedMajorityVote{}) == none);
  CHECK(tilt::testing::check_selector((WeightedMajorityVote{tilt::last_number, {.beta = 0.1}})) ==
        none);
}

TEST_CASE("WeightedMajorityVote: options", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<WeightedMajorityVote<>>);
  STATIC_REQUIRE(WeightedMajorityVote<>::needs_reward);
  STATIC_REQUIRE(!WeightedMajorityVote<>::needs_states);
  CHECK(WeightedMajorityVote{}.options().beta == 1);
  for (const double beta : {0.0, -1.0, infinity, unset}) {
    CHECK_THROWS_AS((WeightedMajorityVote{tilt::last_number, {.beta = beta}}), tilt::InvalidOption);
  }
}

TEST_CASE("WeightedMajorityVote: the largest sum of exp(reward/beta)", "[selector]") {
  const std::vector<Candidate> candidates = {saying("1", 0), saying("1", 0), saying("2", 1)};
  const Decision decision = choose(candidates);
  CHECK(decision.answer == "2");
  CHECK(decision.index == 2);
  CHECK_THAT(decision.share, WithinAbs(std::exp(1) / (std::exp(1) + 2), 1e-15));
  CHECK(choose(candidates, 2).answer == "1");
  CHECK(choose({saying("1", 0, 3), saying("2", 1)}).answer == "1");
  CHECK(choose({saying("1", 5, 0), saying("2", 1)}).answer == "2");
}

TEST_CASE("WeightedMajorityVote: limits of beta", "[selector]") {
  const std::vector<Candidate> candidates = {saying("1", 0), saying("1", -3), saying("2", 0.5)};
  CHECK(choose(candidates, 1e-6).answer == "2");
  CHECK(choose(candidates, 1e6).answer == "1");
  CHECK_THAT(choose(candidates, 1e12).share, WithinAbs(2.0 / 3, 1e-11));
}

TEST_CASE("WeightedMajorityVote: rewards beyond the range of exp", "[selector]") {
  const Decision high = choose({saying("1", 5000), saying("1", 5000), saying("2", 5001)});
  CHECK(high.answer == "2");
  CHECK_THAT(high.share, WithinAbs(std::exp(1) / (std::exp(1) + 2), 1e-12));
  const Decision low = choose({saying("1", -5000), saying("1", -5000), saying("2", -5001)});
  CHECK(low.answer == "1");
  CHECK_THAT(low.share, WithinAbs(2 * std::exp(1) / (2 * std::exp(1) + 1), 1e-12));
  // The planted fault: no maximum subtracted.
  CHECK(std::isnan(std::exp(5001.0) / (2 * std::exp(5000.0) + std::exp(5001.0))));
  CHECK(std::isnan(std::exp(-5000.0) / (2 * std::exp(-5000.0) + std::exp(-5001.0))));
  // The largest reward has no answer, and those that have one are far below it.
  CHECK(choose({saying("none", 9000), saying("2", 0), saying("1", 1)}).answer == "1");
}

TEST_CASE("WeightedMajorityVote: -infinity and unscored candidates", "[selector]") {
  CHECK(choose({saying("1", -infinity), saying("1", -infinity), saying("2", -100)}).answer == "2");
  CHECK(choose({saying("1", -infinity), saying("1", -infinity), saying("2", -100)}).share == 1);
  const Decision all =
      choose({saying("1", -infinity), saying("2", -infinity), saying("2", -infinity)});
  CHECK(all.answer == "2");
  CHECK_THAT(all.share, WithinAbs(2.0 / 3, 1e-15));
  CHECK(choose({saying("1", unset), saying("1", unset), saying("2", -100)}).answer == "2");
  CHECK(choose({saying("1", unset), saying("2", unset), saying("2", unset)}).answer == "2");
  CHECK(choose({saying("1", unset), saying("1", unset), saying("2", -infinity)}).answer == "2");
}

TEST_CASE("WeightedMajorityVote: no answer, no vote", "[selector]") {
  for (const Decision& none : {choose({saying("none", 1)}), choose({})}) {
    CHECK(none.index == tilt::npos);
    CHECK(none.share == 0);
    CHECK(none.answer.empty());
  }
  CHECK(choose({saying("none", 9), saying("none", 9), saying("1", 0)}).answer == "1");
  CHECK(choose({saying("1", 1), saying("2", 1)}).answer == "1");
}

TEST_CASE("WeightedMajorityVote: effective sample size of the voters in the stats", "[selector]") {
  const WeightedMajorityVote vote{tilt::last_number, {.beta = 2}};
  const Population population({saying("1", 0), saying("none", 9), saying("2", 1), saying("2", 2)});
  const tilt::Stats stats = vote.stats(population);
  REQUIRE(stats.size() == 1);
  CHECK(stats[0].first == "vote_ess");
  const double x = std::exp(-1), y = std::exp(-0.5);
  CHECK_THAT(stats[0].second, WithinAbs((x + y + 1) * (x + y + 1) / (x * x + y * y + 1), 1e-14));
  CHECK(vote.stats(Population{})[0].second == 0);
}

namespace {

std::optional<std::string> same_for_a_and_d(std::string_view text) {
  return std::string(text == "d" ? "a" : text);
}

}  // namespace

TEST_CASE("WeightedMajorityVote: over all samples it decides as a plain sum does",
          "[selector][law]") {
  const double beta = 0.7;
  const WeightedMajorityVote vote{same_for_a_and_d, {.beta = beta}};
  Random random(1);
  double disagreement = 0, twice = 0, unscaled = 0;
  const auto winner = [](std::span<const std::size_t> picks, double scale) {
    std::map<std::string, double> totals;
    for (const std::size_t row : picks) {
      totals[*same_for_a_and_d(table::rows[row].text)] += std::exp(table::rows[row].reward / scale);
    }
    std::pair<std::string, double> best = {"", 0};
    for (const std::size_t row : picks) {  // in the order of the votes, for ties
      const std::string answer = *same_for_a_and_d(table::rows[row].text);
      if (totals[answer] > best.second) best = {answer, totals[answer]};
    }
    return best.first;
  };
  table::for_each_sample(6, [&](std::span<const std::size_t> picks, double probability) {
    const std::string answer = vote(table::population(picks), random).answer;
    if (answer != winner(picks, beta)) disagreement += probability;
    if (answer != winner(picks, beta / 2)) twice += probability;
    if (answer != winner(picks, 1e9)) unscaled += probability;
  });
  CHECK(disagreement == 0);
  CHECK(twice > 0.01);     // the planted fault: tilted twice
  CHECK(unscaled > 0.01);  // the planted fault: rewards ignored
}

// Over many draws from the base law the share of an answer tends to its probability under the tilted
// law; over draws that are tilted already the plain vote's does, and the weighted vote's does not.
TEST_CASE("WeightedMajorityVote: shares tend to the tilted law", "[selector][law]") {
  const double beta = 0.7;
  const std::vector<double> law = table::tilted(beta);
  const double expected = law[0] + law[3];  // the most probable answer
  const std::size_t draws = 20000;
  std::vector<double> log_law;
  for (const double p : law) log_law.push_back(std::log(p));
  Population base, tilted;
  Random random(20250602);
  for (std::size_t i = 0; i < draws; ++i) {
    base.add(table::candidate(table::draw(random)), 0);
    tilted.add(table::candidate(random.categorical(log_law)), 0);
  }
  const WeightedMajorityVote weighted{same_for_a_and_d, {.beta = beta}};
  const tilt::MajorityVote plain{same_for_a_and_d};
  // Five standard errors of a self-normalised estimate.
  const double ess = weighted.stats(base)[0].second;
  const double bound = 5 * std::sqrt(expected * (1 - expected) / ess);
  CHECK(bound < 0.05);
  CHECK_THAT(weighted(base, random).share, WithinAbs(expected, bound));
  CHECK_THAT(plain(tilted, random).share, WithinAbs(expected, bound));
  CHECK(std::abs(plain(base, random).share - expected) > bound);
  CHECK(std::abs(weighted(tilted, random).share - expected) > bound);
}

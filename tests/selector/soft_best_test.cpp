#include "tilt/selector/soft_best.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/table.hpp"
#include "tilt/testing/check_selector.hpp"
#include "tilt/testing/law.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;
using tilt::Random;
using tilt::SoftBest;
using tilt::unset;
using tilt::testing::LawCheck;

namespace {

Decision choose(std::vector<Candidate> candidates, double lambda = 1, std::uint64_t seed = 1) {
  Random random(seed);
  return SoftBest{{.lambda = lambda}}(Population(std::move(candidates)), random);
}

// w_i exp(r_i / lambda) / sum, written down without a care for overflow.
std::vector<double> plain_law(const std::vector<double>& weights,
                              const std::vector<double>& rewards, double lambda) {
  std::vector<double> law;
  double total = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    law.push_back(weights[i] * std::exp(rewards[i] / lambda));
    total += law.back();
  }
  for (double& p : law) p /= total;
  return law;
}

}  // namespace

TEST_CASE("SoftBest: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(SoftBest{{.lambda = 0.3}}) == none);
}

TEST_CASE("SoftBest: options", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<SoftBest>);
  STATIC_REQUIRE(SoftBest::needs_reward);
  STATIC_REQUIRE(!SoftBest::needs_states);
  CHECK(SoftBest{}.options().lambda == 1);
  for (const double lambda : {0.0, -1.0, infinity, unset}) {
    CHECK_THROWS_AS((SoftBest{{.lambda = lambda}}), tilt::InvalidOption);
  }
  CHECK_THROWS_WITH((SoftBest{{.lambda = -1}}),
                    "SoftBestOptions.lambda is -1; it must be a finite number > 0");
}

TEST_CASE("SoftBest: edge cases", "[selector]") {
  const Decision none = choose({});
  CHECK(none.index == tilt::npos);
  CHECK(none.share == 0);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CHECK(choose({{.reward = -infinity}, {.reward = 0}, {.reward = unset}}, 1, seed).index == 1);
    CHECK(choose({{.reward = 50, .weight = 0}, {.reward = 0}}, 1, seed).index == 1);
    CHECK(
        choose({{.reward = unset}, {.reward = -infinity}, {.reward = -infinity}}, 1, seed).index ==
        1);
    CHECK(choose({{.reward = unset}, {.reward = unset}}, 1, seed).index == 0);
    CHECK(choose({{.reward = 1}, {.reward = 1.5}}, 1e-4, seed).index == 1);
  }
  Candidate named{.reward = 2000};
  named.response.text = "named";
  const Decision sure = choose({named, {.reward = -2000}});
  CHECK(sure.answer == "named");
  CHECK(sure.share == 1);
}

TEST_CASE("SoftBest: the share is the probability of what was drawn", "[selector]") {
  const std::vector<double> law = plain_law({1, 2, 3}, {0.5, -1, 0}, 0.7);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Decision decision = choose(
        {{.reward = 0.5}, {.reward = -1, .weight = 2}, {.reward = 0, .weight = 3}}, 0.7, seed);
    CHECK_THAT(decision.share, WithinAbs(law[decision.index], 1e-14));
  }
}

TEST_CASE("SoftBest: draws in proportion to weight times exp(reward/lambda)", "[selector][law]") {
  // The same rewards at two heights: at the second exp(r/lambda) overflows.
  const double height = GENERATE(0.0, 5000.0);
  const std::vector<double> rewards = {0.5, -1, 1, 1.2}, weights = {1, 2.5, 0.5, 0};
  const double lambda = 0.8;
  Population population;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    population.add({.reward = rewards[i] + height, .weight = weights[i]}, 0);
  }
  const std::vector<double> law = plain_law(weights, rewards, lambda);
  LawCheck check(law), unweighted(law), hard(law), other(law);
  const std::vector<double> raw = plain_law({1, 1, 1, 0}, rewards, lambda);
  const std::vector<double> log_raw = {std::log(raw[0]), std::log(raw[1]), std::log(raw[2]),
                                       -infinity};
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    check.count(SoftBest{{.lambda = lambda}}(population, random).index);
    // Planted faults: weights ignored, the highest reward always, another temperature.
    Random again(seed);
    unweighted.count(again.categorical(log_raw));
    hard.count(2);
    Random third(seed);
    other.count(SoftBest{{.lambda = 1 / lambda}}(population, third).index);
  }
  INFO(check.report());
  CHECK(check.holds());
  CHECK(!unweighted.holds());
  CHECK(!hard.holds());
  CHECK(!other.holds());
  if (height > 0) {  // the planted fault: no maximum subtracted
    CHECK(std::isnan(plain_law({1}, {height}, lambda)[0]));
  }
}

namespace {

// The law of soft best-of-n over n draws from the table, by going through all samples.
std::vector<double> soft_law(std::size_t n, double lambda) {
  std::vector<double> law(table::rows.size());
  table::for_each_sample(n, [&](std::span<const std::size_t> picks, double probability) {
    double total = 0;
    for (const std::size_t row : picks) total += std::exp(table::rows[row].reward / lambda);
    for (const std::size_t row : picks) {
      law[row] += probability * std::exp(table::rows[row].reward / lambda) / total;
    }
  });
  return law;
}

}  // namespace

TEST_CASE("SoftBest: over n draws from the base law it has the law of soft best-of-n",
          "[selector][law]") {
  const double lambda = 0.6;
  const std::size_t n = 3;
  LawCheck check(soft_law(n, lambda)), other_n(soft_law(n + 2, lambda));
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed, 7);
    std::vector<std::size_t> picks;
    for (std::size_t i = 0; i < n; ++i) picks.push_back(table::draw(random));
    const auto index = SoftBest{{.lambda = lambda}}(table::population(picks), random).index;
    check.count(picks[index]);
    other_n.count(picks[index]);
  }
  INFO(check.report());
  CHECK(check.holds());
  CHECK(!other_n.holds());  // the planted fault: n off by two
}

TEST_CASE("SoftBest: the divergence to the tilted law falls like 1/n", "[selector][law]") {
  const double lambda = 1;
  const std::vector<double> tilted = table::tilted(lambda);
  const auto divergence = [&](std::size_t n) {
    const std::vector<double> law = soft_law(n, lambda);
    double sum = 0;
    for (std::size_t i = 0; i < law.size(); ++i) sum += law[i] * std::log(law[i] / tilted[i]);
    return sum;
  };
  CHECK(divergence(1) > 0.1);
  for (const std::size_t n : {1u, 2u, 4u}) CHECK(divergence(2 * n) < divergence(n) / 2);
}

TEST_CASE("SoftBest: effective sample size in the stats", "[selector]") {
  const tilt::Stats stats = SoftBest{{.lambda = 2}}.stats(
      Population({{.reward = 0}, {.reward = 0}, {.reward = -infinity}}));
  REQUIRE(stats.size() == 1);
  CHECK(stats[0].first == "soft_best_ess");
  CHECK_THAT(stats[0].second, WithinAbs(2, 1e-14));
  CHECK(SoftBest{}.stats(Population{})[0].second == 0);
}

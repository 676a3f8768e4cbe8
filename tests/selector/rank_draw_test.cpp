#include "tilt/selector/rank_draw.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/table.hpp"
#include "tilt/testing/check_selector.hpp"
#include "tilt/testing/law.hpp"

namespace transform = tilt::transform;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught;
using law_table::expect_law;
using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;
using tilt::QuantileTilt;
using tilt::Random;
using tilt::RankDraw;
using tilt::unset;
using tilt::testing::LawCheck;

namespace {

QuantileTilt tilt_of(double g) { return QuantileTilt::from(transform::identity, 1 / g); }
QuantileTilt linear() {
  return QuantileTilt::from_density([](double u) { return 0.4 + 1.2 * u; });
}
RankDraw lowest() {  // nearly all at the lowest rank
  return RankDraw{QuantileTilt::from_density([](double u) { return std::exp(-500 * u); })};
}

Decision choose(const RankDraw& rule, std::vector<Candidate> candidates, std::uint64_t seed = 1) {
  Random random(seed);
  return rule(Population(std::move(candidates)), random);
}

// The law over the table's rows of a rule that gives the j-th of n draws, by ascending reward, the
// probability p[j], by going through all samples.
std::vector<double> law_over_rows(const std::vector<double>& p) {
  std::vector<double> law(table::rows.size());
  table::for_each_sample(p.size(), [&](std::span<const std::size_t> picks, double probability) {
    std::vector<std::size_t> sorted(picks.begin(), picks.end());
    std::sort(sorted.begin(), sorted.end(), [](std::size_t a, std::size_t b) {
      return table::rows[a].reward < table::rows[b].reward;
    });
    for (std::size_t j = 0; j < p.size(); ++j) law[sorted[j]] += probability * p[j];
  });
  return law;
}

}  // namespace

TEST_CASE("RankDraw: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(RankDraw{tilt_of(4)}) == none);
  CHECK(tilt::testing::check_selector(RankDraw{QuantileTilt::best_of(4, 0.2)}) == none);
  CHECK(tilt::testing::check_selector(lowest()) == none);
}

TEST_CASE("RankDraw: what it says of itself, and what it refuses", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<RankDraw>);
  STATIC_REQUIRE(RankDraw::needs_reward);
  STATIC_REQUIRE(!RankDraw::needs_states);
  CHECK(RankDraw{tilt_of(4)}.tilt().max_density() == tilt_of(4).max_density());
  expect_refused(
      [] { RankDraw{QuantileTilt::from_density([](double u) { return 1 / std::sqrt(u); })}; },
      "RankDraw.tilt.density(0)", "inf");
  expect_refused([] { (void)RankDraw{tilt_of(1)}.weights(0); }, "RankDraw.weights.n", "0");
  expect_refused([] { (void)RankDraw{tilt_of(1)}.win_rate(0); }, "RankDraw.weights.n", "0");
}

TEST_CASE("RankDraw: the probabilities of the ranks are the density at equal steps", "[selector]") {
  const RankDraw rule{tilt_of(3)};
  CHECK(rule.weights(1) == std::vector<double>{1});
  const std::vector<double> p = rule.weights(5);
  CHECK_THAT(std::accumulate(p.begin(), p.end(), 0.0), WithinAbs(1, 1e-14));
  for (std::size_t j = 1; j < 5; ++j) CHECK_THAT(p[j] / p[j - 1], WithinAbs(std::exp(0.75), 1e-10));
  const std::vector<double> tenths = RankDraw{linear()}.weights(4);
  for (std::size_t j = 0; j < 4; ++j) {
    CHECK_THAT(tenths[j], WithinAbs(static_cast<double>(j + 1) / 10, 1e-12));
  }
  // A density that vanishes at both ends says nothing of two candidates.
  const RankDraw middle{QuantileTilt::from_density([](double u) { return u * (1 - u); })};
  CHECK(middle.weights(2) == std::vector<double>{0.5, 0.5});
  CHECK(middle.weights(3) == std::vector<double>{0, 1, 0});
}

TEST_CASE("RankDraw: win rate and KL of its guarantee", "[selector]") {
  CHECK_THAT(RankDraw{linear()}.win_rate(4), WithinAbs(.6, 1e-12));
  CHECK_THAT(RankDraw{linear()}.kl(4), WithinAbs(.062423, 0.51e-6));
  // A linear density is met exactly by any number of candidates but one.
  for (const std::size_t n : {2u, 3u, 17u}) {
    CHECK_THAT(RankDraw{linear()}.kl(n), WithinAbs(linear().kl(), 1e-10));
    CHECK_THAT(RankDraw{linear()}.win_rate(n), WithinAbs(linear().win_rate(), 1e-12));
  }
  struct Row {
    std::size_t n;
    double win_rate, kl;
  };
  for (const Row& row :
       std::vector<Row>{{8, .7540, .4249}, {16, .7621, .4540}, {64, .7671, .4734}, {1, .5, 0}}) {
    CHECK_THAT(RankDraw{tilt_of(4)}.win_rate(row.n), WithinAbs(row.win_rate, 0.51e-4));
    CHECK_THAT(RankDraw{tilt_of(4)}.kl(row.n), WithinAbs(row.kl, 0.51e-4));
  }
}

TEST_CASE("RankDraw: edge cases", "[selector]") {
  const RankDraw low = lowest();
  const Decision none = choose(low, {});
  CHECK(none.index == tilt::npos);
  CHECK(none.share == 0);
  Candidate named{.reward = 3};
  named.response.text = "named";
  const Decision only = choose(low, {named});
  CHECK(only.index == 0);
  CHECK(only.answer == "named");
  CHECK(only.share == 1);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CHECK(choose(low, {{.reward = 2}, {.reward = -1}, {.reward = 0}}, seed).index == 1);
    CHECK(choose(low, {{.reward = 2}, {.reward = -infinity}, {.reward = 0}}, seed).index == 1);
    // An unscored candidate ranks below one of -infinity.
    CHECK(choose(low, {{.reward = -infinity}, {.reward = unset}, {.reward = 0}}, seed).index == 1);
    CHECK(choose(low, {{.reward = 1}, {.reward = 0}, {.reward = 0}}, seed).index == 1);  // ties
    CHECK(choose(low, {{.reward = unset}, {.reward = unset}}, seed).index == 0);
    // Weight 0 keeps a candidate out while there are others.
    CHECK(choose(low, {{.reward = 2}, {.reward = -1, .weight = 0}, {.reward = 0}}, seed).index ==
          2);
    CHECK(choose(low, {{.reward = 2, .weight = 0}, {.reward = -1, .weight = 0}}, seed).index == 1);
    // The largest of weights changes nothing.
    CHECK(choose(low, {{.reward = 2, .weight = 1e9}, {.reward = -1, .weight = 1e-9}}, seed).index ==
          1);
  }
}

TEST_CASE("RankDraw: the share is the probability that the candidate had", "[selector]") {
  const RankDraw rule{tilt_of(2)};
  const std::vector<double> p = rule.weights(3);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Decision d = choose(rule, {{.reward = 5}, {.reward = 1}, {.reward = 3}}, seed);
    const std::size_t ranks[] = {2, 0, 1};
    CHECK(d.share == p[ranks[d.index]]);
  }
}

TEST_CASE("RankDraw: over n draws from the base law it has the law of its rank weights",
          "[selector][law]") {
  const std::size_t n = 4;
  const RankDraw rule{tilt_of(3)};
  const std::vector<double> law = law_over_rows(rule.weights(n));
  LawCheck check(law), best(law), descending(law), shifted(law), weighted(law);
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed, 9);
    std::vector<std::size_t> picks;
    for (std::size_t i = 0; i < n; ++i) picks.push_back(table::draw(random));
    Population population = table::population(picks);
    Random mine(seed);
    check.count(picks[rule(population, mine).index]);

    // Planted bugs: the best always; ranks by descending reward; f(j/n) for f((j-1)/(n-1));
    // candidates drawn by f of nothing but their place.
    std::vector<std::size_t> sorted = picks;
    std::stable_sort(sorted.begin(), sorted.end(), [](std::size_t a, std::size_t b) {
      return table::rows[a].reward < table::rows[b].reward;
    });
    best.count(sorted.back());
    Random again(seed);
    const std::vector<double> p = rule.weights(n);
    std::vector<double> log_p, log_shifted;
    for (std::size_t j = 0; j < n; ++j) {
      log_p.push_back(std::log(p[j]));
      log_shifted.push_back(3 * 2.5 * static_cast<double>(j + 1) / static_cast<double>(n));
    }
    const std::size_t j = again.categorical(log_p);
    descending.count(sorted[n - 1 - j]);
    weighted.count(picks[j]);
    Random third(seed);
    shifted.count(sorted[third.categorical(log_shifted)]);
  }
  expect_law("RankDraw: tilt g = 3, n = 4", check);
  expect_caught("the best instead of a drawn rank", best);
  expect_caught("ranks by descending reward", descending);
  expect_caught("candidates drawn by place, not by rank", weighted);
  expect_caught("a density 2.5 times as steep", shifted);
}

TEST_CASE("RankDraw: the quantile of the result has the Bernstein density", "[selector][law]") {
  // Uniform rewards: the reward is its own quantile. Ten bins of the density of the rank weights.
  const std::size_t n = 6, bins = 10;
  const RankDraw rule{QuantileTilt::worst_of(4, 0.2)};
  const QuantileTilt bernstein = QuantileTilt::from_rank_weights(rule.weights(n));
  std::vector<double> law(bins), target(bins);
  double total = 0, target_total = 0;
  for (std::size_t b = 0; b < bins; ++b) {
    for (std::size_t i = 0; i < 200; ++i) {
      const double u = (static_cast<double>(b) + (static_cast<double>(i) + 0.5) / 200) / bins;
      law[b] += bernstein.density(u);
      target[b] += rule.tilt().density(u);
    }
    total += law[b];
    target_total += target[b];
  }
  for (double& p : law) p /= total;
  for (double& p : target) p /= target_total;
  LawCheck check(law), unblurred(target);
  law_table::MeanCheck mean(rule.win_rate(n));
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed, 5);
    std::vector<Candidate> candidates(n);
    for (Candidate& c : candidates) c.reward = random.uniform();
    const std::vector<Candidate> copy = candidates;
    const double u = copy[choose(rule, std::move(candidates), seed).index].reward;
    check.count(static_cast<std::size_t>(u * bins));
    unblurred.count(static_cast<std::size_t>(u * bins));
    mean.add(u);
  }
  expect_law("RankDraw: quantiles, worst_of(4, 0.2), n = 6", check);
  law_table::expect_mean("RankDraw: win rate, worst_of(4, 0.2), n = 6", mean);
  expect_caught("6 candidates taken for infinitely many", unblurred);
}

TEST_CASE("RankDraw: its guarantee in the stats", "[selector]") {
  const RankDraw rule{tilt_of(4)};
  const Population four({{.reward = 1}, {.reward = 2}, {.reward = 0}, {.reward = 5, .weight = 0}});
  const tilt::Stats stats = rule.stats(four);
  REQUIRE(stats.size() == 2);
  CHECK(stats[0].first == "rank_draw_win_rate");
  CHECK(stats[0].second == rule.win_rate(3));
  CHECK(stats[1].first == "rank_draw_kl_upper_bound");
  CHECK(stats[1].second == rule.kl(3));
  CHECK(std::isnan(rule.stats(Population{})[0].second));
}

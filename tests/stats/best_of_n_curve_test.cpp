#include "tilt/stats/best_of_n_curve.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/table.hpp"
#include "tilt/core/random.hpp"
#include "tilt/selector/highest_reward.hpp"

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using tilt::best_of_n_curve;
using tilt::infinity;
using tilt::unset;
using Values = std::vector<double>;

namespace {

// The gold score of what HighestReward chooses among a set of draws, which it sees in their order.
double chosen_gold(const Values& proxy, const Values& gold, unsigned set) {
  tilt::Population population;
  Values kept;
  for (std::size_t i = 0; i < proxy.size(); ++i) {
    if ((set >> i & 1u) == 0) continue;
    population.add({.reward = proxy[i]}, 0);
    kept.push_back(gold[i]);
  }
  tilt::Random random(1);
  return kept[tilt::HighestReward{}(population, random).index];
}

// The mean over all sets of k draws, by going through them.
Values over_all_sets(const Values& proxy, const Values& gold) {
  Values sums(proxy.size()), sets(proxy.size());
  for (unsigned set = 1; set < (1u << proxy.size()); ++set) {
    const auto k = static_cast<std::size_t>(std::popcount(set));
    sums[k - 1] += chosen_gold(proxy, gold, set);
    ++sets[k - 1];
  }
  for (std::size_t k = 0; k < sums.size(); ++k) sums[k] /= sets[k];
  return sums;
}

double gold_of(std::size_t row) { return table::rows[row].text[0] == 'c' ? -2 : 1.0 + double(row); }

}  // namespace

TEST_CASE("best_of_n_curve: the mean over all sets of k draws", "[stats]") {
  const Values curve = best_of_n_curve(Values{3, 1, 4, 2});
  REQUIRE(curve.size() == 4);
  CHECK_THAT(curve[0], WithinAbs(2.5, 1e-14));
  CHECK_THAT(curve[1], WithinAbs(10.0 / 3, 1e-14));
  CHECK_THAT(curve[3], WithinAbs(4, 1e-14));

  const Values proxy = {0.3, -1, 2, 0.3, 5, 2, -infinity, 2, 0.1};
  const Values gold = {1, 7, -2, 4, 0.5, 3, 2, 11, -6};
  const Values expected = over_all_sets(proxy, gold), seen = best_of_n_curve(proxy, gold);
  REQUIRE(seen.size() == expected.size());
  for (std::size_t k = 0; k < seen.size(); ++k) CHECK_THAT(seen[k], WithinAbs(expected[k], 1e-13));

  // The planted fault: ties to the latest.
  const auto reversed = [](Values values) { return Values(values.rbegin(), values.rend()); };
  const Values latest = best_of_n_curve(reversed(proxy), reversed(gold));
  CHECK(std::abs(latest[2] - expected[2]) > 0.1);
  // The planted fault: gold scores that were sorted apart from their draws.
  Values apart = gold;
  std::sort(apart.begin(), apart.end());
  CHECK(std::abs(best_of_n_curve(proxy, apart)[2] - expected[2]) > 0.1);
}

// Over every sample of N draws from the table, whose rows "b" and "d" have one proxy score, the mean
// of the estimate is the gold score that best-of-k has.
TEST_CASE("best_of_n_curve: unbiased for best-of-n also with ties", "[stats][law]") {
  const auto proxy_of = [](std::size_t row) { return row == 3 ? -1.0 : table::rows[row].reward; };
  constexpr std::size_t draws = 5;
  Values mean(draws), with_replacement(draws);
  table::for_each_sample(draws, [&](std::span<const std::size_t> picks, double probability) {
    Values proxy, gold;
    for (const std::size_t row : picks) {
      proxy.push_back(proxy_of(row));
      gold.push_back(gold_of(row));
    }
    const Values curve = best_of_n_curve(proxy, gold);
    for (std::size_t k = 0; k < draws; ++k) mean[k] += probability * curve[k];
    // The planted fault: the k draws are taken from the sample with replacement.
    std::vector<std::size_t> order(draws);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return proxy[a] > proxy[b]; });
    for (std::size_t k = 0; k < draws; ++k) {
      for (std::size_t i = 0; i < draws; ++i) {
        const double here = 1 - static_cast<double>(i) / draws, next = here - 1.0 / draws;
        const double chance = std::pow(here, k + 1) - std::pow(next, k + 1);
        with_replacement[k] += probability * chance * gold[order[i]];
      }
    }
  });
  for (std::size_t k = 1; k <= draws; ++k) {
    double exact = 0;
    table::for_each_sample(k, [&](std::span<const std::size_t> picks, double probability) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < picks.size(); ++i) {
        if (proxy_of(picks[i]) > proxy_of(picks[best])) best = i;
      }
      exact += probability * gold_of(picks[best]);
    });
    law_table::expect_exact("best_of_n_curve: mean over all samples of 5, n = " + tilt::to_text(k),
                            1024, std::abs(mean[k - 1] - exact));
    if (k == 1) continue;
    law_table::expect_exact_caught(
        "best_of_n_curve: draws with replacement, n = " + tilt::to_text(k), 1024,
        std::abs(with_replacement[k - 1] - exact));
  }
}

// The highest of k of the numbers 1 .. N has the mean k (N + 1) / (k + 1).
TEST_CASE("best_of_n_curve: many draws", "[stats]") {
  Values scores(10'000);
  std::iota(scores.begin(), scores.end(), 1.0);
  const Values curve = best_of_n_curve(scores);
  REQUIRE(curve.size() == scores.size());
  for (const std::size_t k : {1u, 2u, 16u, 100u, 4999u, 9999u, 10'000u}) {
    const auto draws = static_cast<double>(k);
    CHECK_THAT(curve[k - 1], WithinRel(draws * 10'001 / (draws + 1), 1e-11));
  }
}

TEST_CASE("best_of_n_curve: edge cases", "[stats]") {
  CHECK(best_of_n_curve(Values{}).empty());
  CHECK(best_of_n_curve(Values{7}) == Values{7});
  CHECK(best_of_n_curve(Values{7, 7, 7}, 2) == Values{7, 7});
  CHECK(best_of_n_curve(Values{1, 2}, Values{3, 4}, 0).empty());
  // Of four draws three are certain to hold another one than the two that are forbidden.
  CHECK(best_of_n_curve(Values{-infinity, 1, 3, -infinity}) ==
        Values{-infinity, -infinity, best_of_n_curve(Values{0, 1, 3, 0})[2], 3});
  CHECK(best_of_n_curve(Values{1, 2, 3}, Values{5, 6, -infinity}) ==
        Values{-infinity, -infinity, -infinity});
  CHECK(best_of_n_curve(Values(3, -infinity)) == Values(3, -infinity));
}

TEST_CASE("best_of_n_curve: refuses scores that are missing", "[stats]") {
  const Values fine = {1, 2};
  expect_refused(
      [&] {
        (void)best_of_n_curve(Values{1, unset}, fine);
      },
      "best_of_n_curve.proxy[1]", "nan");
  expect_refused(
      [&] {
        (void)best_of_n_curve(fine, Values{infinity, 1});
      },
      "best_of_n_curve.gold[0]", "inf");
  expect_refused([&] { (void)best_of_n_curve(fine, Values{1}); }, "best_of_n_curve.gold", "1");
}

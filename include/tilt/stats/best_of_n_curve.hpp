#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// What best-of-n earns for every n up to the number N of draws that were made: entry k-1 is the mean,
/// over all sets of k of the N draws, of the gold score of the draw whose proxy score is the highest,
///
///     curve[k-1] = sum over i = k .. N of C(i-1, k-1) / C(N, k) gold_(i),
///
/// gold_(i) the gold score of the draw with the i-th lowest proxy score. For independent draws it is
/// an unbiased estimate of the gold score of best-of-k. Entries of one curve are correlated.
///
/// Ties of the proxy go to the lowest index. This is what `HighestReward` would choose among those k
/// draws in the order in which they were made, so that with ties too the estimate is unbiased for
/// `BestOfN` as tilt runs it. With gold = proxy ties do not matter.
///
/// Edge cases: no draws give an empty curve. A score of -infinity is legal; an entry is -infinity where
/// a gold score of -infinity has a chance to be chosen. A score that is missing (NaN) is refused and
/// never left out: without it the others are no longer a sample of the base law.
///
/// Cost: a sort, and at most N steps per entry. No binomial coefficients, so no overflow.
///
/// Source: the estimator of pass@k (Chen et al. 2021, 2107.03374) for scores in place of verdicts;
/// Coste et al. 2023 (2310.02743), section 4, use it. Their code leaves the gold scores in the order
/// of the first member when it sorts by an ensemble's proxy; here a gold score stays with its draw.
/// @param proxy  what the selection sees, one per draw
/// @param gold   what the selection is worth, one per draw
/// @param most   entries wanted: min(most, N) are returned
/// @throws InvalidOption when the sizes differ, or a score is NaN or +infinity
[[nodiscard]] inline std::vector<double> best_of_n_curve(std::span<const double> proxy,
                                                         std::span<const double> gold,
                                                         std::size_t most = npos) {
  require_option(proxy.size() == gold.size(), "best_of_n_curve.gold", gold.size(),
                 "one score per draw");
  const auto check = [](std::span<const double> scores, const char* field) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      require_option(scores[i] < infinity, field + ('[' + std::to_string(i) + ']'), scores[i],
                     "a number or -infinity");
    }
  };
  check(proxy, "best_of_n_curve.proxy");
  check(gold, "best_of_n_curve.gold");

  const std::size_t n = proxy.size();
  std::vector<std::size_t> order(n);  // the best first, the earliest of equals first
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return proxy[a] > proxy[b]; });
  std::vector<double> sorted(n);
  for (std::size_t i = 0; i < n; ++i) sorted[i] = gold[order[i]];
  const auto forbidden =
      static_cast<std::size_t>(std::find(sorted.begin(), sorted.end(), -infinity) - sorted.begin());

  std::vector<double> curve(std::min(most, n));
  for (std::size_t k = 1; k <= curve.size(); ++k) {
    if (forbidden + k <= n) {
      curve[k - 1] = -infinity;
      continue;
    }
    // The chance that draw i is the best of the set: none above it is in the set, and it is.
    double mean = 0, none_above = 1;
    for (std::size_t i = 0; i + k <= n && none_above > 0; ++i) {
      const double taken = static_cast<double>(k) / static_cast<double>(n - i);
      mean += none_above * taken * sorted[i];
      none_above *= 1 - taken;
    }
    curve[k - 1] = mean;
  }
  return curve;
}

/// The same with one score for both: entry k-1 is the unbiased estimate of the highest score of k
/// draws.
[[nodiscard]] inline std::vector<double> best_of_n_curve(std::span<const double> scores,
                                                         std::size_t most = npos) {
  return best_of_n_curve(scores, scores, most);
}

}  // namespace tilt

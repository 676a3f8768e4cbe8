#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tilt/core/token.hpp"
#include "tilt/stats/chains.hpp"

namespace tilt {

/// The effective sample size of importance weights: (sum of w)^2 / (sum of w^2), from 1, where one
/// weight has all the mass, to n, where all are equal. Kish 1965.
///
/// @param log_weights  nats, up to a common constant; -infinity is a weight of 0
/// @returns 0 when there is no weight above 0, NaN when one is NaN or infinite
[[nodiscard]] inline double effective_sample_size(std::span<const double> log_weights) {
  double largest = -infinity;
  for (const double w : log_weights) {
    if (std::isnan(w)) return unset;
    largest = std::max(largest, w);
  }
  if (largest == -infinity) return 0;
  double sum = 0, sum_of_squares = 0;
  for (const double w : log_weights) {
    const double weight = std::exp(w - largest);
    sum += weight;
    sum_of_squares += weight * weight;
  }
  return sum * sum / sum_of_squares;
}

/// How many independent draws would estimate the mean of a quantity as well as these chains do: the
/// number of values divided by 1 + 2 times the sum of their autocorrelations, which are estimated
/// within and between the halves of all chains. The sum is truncated by Geyer's rule: pairs of
/// consecutive lags are added while they are positive, none larger than the pair before.
///
/// Edge cases: NaN with fewer than 4 values per chain, where a value is NaN or infinite, and where all
/// values are the same (nothing can be judged). Never more than S log10 S, S the number of values:
/// chains of negative autocorrelation are worth more than independent draws, within reason. Chains of
/// different lengths are used up to the length of the shortest.
///
/// Cost: the number of values times the number of lags that are added.
///
/// Source: Geyer 1992; Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, section 3.
[[nodiscard]] inline double chain_ess(Chains chains) {
  const std::vector<std::vector<double>> halves = split_chains(chains);
  if (halves.empty() || halves.front().size() < 2) return unset;
  const std::size_t n = halves.front().size();
  const ChainVariances variances(halves);
  if (!(variances.total > 0) || std::isinf(variances.total)) return unset;

  // Divisor n, not n - lag: long lags, of which little is known, then weigh less.
  const auto autocorrelation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t c = 0; c < halves.size(); ++c) {
      const double mean = variances.means[c];
      for (std::size_t t = 0; t + lag < n; ++t) {
        sum += (halves[c][t] - mean) * (halves[c][t + lag] - mean);
      }
    }
    const double autocovariance = sum / static_cast<double>(n * halves.size());
    return 1 - (variances.within - autocovariance) / variances.total;
  };

  double time = -1;  // integrated autocorrelation time
  double smallest = infinity;
  for (std::size_t lag = 0; lag + 1 < n; lag += 2) {
    const double even = lag == 0 ? 1 : autocorrelation(lag);
    const double pair = even + autocorrelation(lag + 1);
    if (pair <= 0) {
      time += std::max(0.0, even);  // half of the pair's first lag, as in the source
      break;
    }
    smallest = std::min(smallest, pair);
    time += 2 * smallest;
  }
  const auto values = static_cast<double>(n * halves.size());
  return values / std::max(time, 1 / std::log10(values));
}

}  // namespace tilt

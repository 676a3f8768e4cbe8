#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// The effective sample size of importance weights, (sum w)^2 / sum w^2: from 1 (one weight has
/// everything) to the number of weights (all equal). 0 when there are none or all are 0.
/// @param log_weights  nats, up to a common constant
[[nodiscard]] inline double importance_ess(std::span<const double> log_weights) {
  const double total = log_sum_exp(log_weights);
  if (total == -infinity) return 0;
  double squares = 0;
  for (const double w : log_weights) squares += std::exp(2 * (w - total));
  return 1 / squares;
}

/// The effective sample size of the mean over several chains of equal length, by Geyer's initial
/// monotone sequence of the autocorrelations of all chains together. Longer chains are cut to the
/// shortest. At most chains * length * log10(chains * length); NaN when the chains are shorter than
/// 4, constant, or hold values that are not finite.
/// Cost: O(chains * length * lag), lag the correlation length.
/// Source: Gelman et al., Bayesian Data Analysis 3, section 11.5; Geyer 1992; the bound: Vehtari et
/// al. 2021 (1903.08008).
[[nodiscard]] inline double chain_ess(std::span<const std::vector<double>> chains) {
  if (chains.empty()) return unset;
  std::size_t n = chains.front().size();
  for (const auto& chain : chains) n = std::min(n, chain.size());
  if (n < 4) return unset;
  const auto m = static_cast<double>(chains.size());
  const auto length = static_cast<double>(n);
  std::vector<double> means;
  double grand = 0;
  for (const auto& chain : chains) {
    double sum = 0;
    for (std::size_t t = 0; t < n; ++t) sum += chain[t];
    means.push_back(sum / length);
    grand += means.back() / m;
  }
  // Mean over chains of the biased autocovariance at a lag.
  const auto covariance = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t c = 0; c < chains.size(); ++c) {
      for (std::size_t t = 0; t + lag < n; ++t) {
        sum += (chains[c][t] - means[c]) * (chains[c][t + lag] - means[c]);
      }
    }
    return sum / (m * length);
  };
  const double within = covariance(0) * length / (length - 1);
  double between = 0;  // variance of the chains' means
  for (const double mean : means) between += (mean - grand) * (mean - grand);
  if (chains.size() > 1) between /= m - 1;
  const double variance = within * (length - 1) / length + between;
  if (!(variance > 0) || !std::isfinite(variance)) return unset;
  const auto correlation = [&](std::size_t lag) {
    return 1 - (within - covariance(lag) * length / (length - 1)) / variance;
  };
  // Sums of neighbouring pairs are positive and decreasing for a reversible chain; stop where not.
  double time = -1, smallest = infinity;
  for (std::size_t lag = 0; lag + 1 < n; lag += 2) {
    const double pair = (lag == 0 ? 1.0 : correlation(lag)) + correlation(lag + 1);
    if (pair <= 0) break;
    smallest = std::min(smallest, pair);
    time += 2 * smallest;
  }
  const double draws = m * length;
  return draws / std::max(time, 1 / std::log10(draws));
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/stats/chains.hpp"
#include "tilt/stats/quantile.hpp"

namespace tilt {

/// sqrt(total variance / variance within) of chains of one length; see `split_r_hat`.
[[nodiscard]] inline double r_hat(Chains chains) {
  if (chains.empty() || chains.front().size() < 2) return unset;
  const ChainVariances variances(chains);
  return std::sqrt(variances.total / variances.within);
}

/// The potential scale reduction of several chains, each cut in halves: near 1 (customary: below
/// 1.01) when the chains cannot be told apart, larger while they have not mixed or still drift. One
/// chain is enough, for its halves are compared.
///
/// Edge cases: NaN with fewer than 4 values per chain, where a value is NaN or infinite, and where all
/// values are the same (nothing can be judged); infinity where each half is constant and they differ.
/// Chains of different lengths are used up to the length of the shortest.
///
/// Source: Gelman, Carlin, Stern, Dunson, Vehtari and Rubin, "Bayesian data analysis", 3rd edition,
/// section 11.4.
[[nodiscard]] inline double split_r_hat(Chains chains) { return r_hat(split_chains(chains)); }

/// The larger of two split R-hats of normal scores: of the values, and of their distances from the
/// median, which sees chains that differ in scale only. Defined for values of any tails.
///
/// Edge cases: as `split_r_hat`, but -infinity is legal.
///
/// Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021.
[[nodiscard]] inline double rank_r_hat(Chains chains) {
  std::vector<std::vector<double>> halves = split_chains(chains);
  std::vector<double> all;
  for (const std::vector<double>& half : halves) all.insert(all.end(), half.begin(), half.end());
  if (std::any_of(all.begin(), all.end(), [](double v) { return std::isnan(v); })) return unset;
  const double location = r_hat(rank_normalized(halves));
  const double median = quantile(all, 0.5);
  for (std::vector<double>& half : halves) {
    for (double& value : half) value = std::abs(reward_difference(value, median));
  }
  const double scale = r_hat(rank_normalized(halves));
  return std::isnan(scale) || location > scale ? location : scale;
}

}  // namespace tilt

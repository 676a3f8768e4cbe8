#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tilt/core/token.hpp"

namespace tilt {

/// Split R-hat: each chain is halved, and the variance of all halves together is compared with that
/// within them. Near 1 when the chains have forgotten their starts; above 1.01 they have not. Longer
/// chains are cut to the shortest. NaN when a half is shorter than 2, all halves are constant, or a
/// value is not finite.
/// Source: Gelman et al., Bayesian Data Analysis 3, section 11.4; Vehtari et al. 2021 (1903.08008).
[[nodiscard]] inline double split_r_hat(std::span<const std::vector<double>> chains) {
  if (chains.empty()) return unset;
  std::size_t n = chains.front().size();
  for (const auto& chain : chains) n = std::min(n, chain.size());
  const std::size_t half = n / 2;
  if (half < 2) return unset;
  const auto length = static_cast<double>(half);
  const auto halves = static_cast<double>(2 * chains.size());
  double within = 0, grand = 0;
  std::vector<double> means;
  for (const auto& chain : chains) {
    for (const std::size_t start : {std::size_t{0}, n - half}) {
      double mean = 0, squares = 0;
      for (std::size_t t = 0; t < half; ++t) mean += chain[start + t] / length;
      for (std::size_t t = 0; t < half; ++t) {
        squares += (chain[start + t] - mean) * (chain[start + t] - mean);
      }
      within += squares / (length - 1) / halves;
      means.push_back(mean);
      grand += mean / halves;
    }
  }
  double between = 0;  // variance of the means of the halves
  for (const double mean : means) between += (mean - grand) * (mean - grand) / (halves - 1);
  if (!(within > 0)) return unset;
  return std::sqrt((length - 1) / length + between / within);
}

}  // namespace tilt

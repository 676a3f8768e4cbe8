#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// The quantile of a sample by linear interpolation between order statistics: the value at position
/// q (n-1) of the sorted sample, counted from 0 (type 7 of Hyndman and Fan 1996, what R and NumPy do).
///
/// Edge cases: NaN of an empty sample and of one that holds NaN; between -infinity and a finite value
/// it is -infinity, between a finite value and infinity it is infinity.
///
/// Cost: linear in the size of the sample, which is copied.
/// @param values  in any order
/// @param q       in [0, 1]; 0.5 is the median
/// @throws InvalidOption when q is outside
[[nodiscard]] inline double quantile(std::span<const double> values, double q) {
  require_fraction("quantile.q", q);
  if (values.empty()) return unset;
  std::vector<double> sorted(values.begin(), values.end());
  if (std::any_of(sorted.begin(), sorted.end(), [](double v) { return std::isnan(v); })) {
    return unset;
  }
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double part = position - static_cast<double>(below);
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(sorted.begin(), at, sorted.end());
  const double low = *at;
  if (part == 0) return low;
  const double high = *std::min_element(at + 1, sorted.end());
  if (low == high || std::isinf(low)) return low;
  return std::isinf(high) ? high : std::lerp(low, high, part);
}

}  // namespace tilt

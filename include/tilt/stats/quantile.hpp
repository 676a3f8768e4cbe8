#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tilt/core/check.hpp"

namespace tilt {

/// The q-quantile of values, 0 <= q <= 1, linear between order statistics: with n sorted values the
/// one at position q (n - 1) (type 7 of Hyndman and Fan 1996, the default of NumPy and R).
/// @throws InvalidOption when there are no values, or q is outside [0, 1]
[[nodiscard]] inline double quantile(std::vector<double> values, double q) {
  require_at_least_one("quantile.values", values.size());
  require_fraction("quantile.q", q);
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(position);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  const double part = position - static_cast<double>(low);
  if (part == 0) return values[low];  // also where a neighbour is infinite
  return values[low] + part * (values[high] - values[low]);
}

}  // namespace tilt

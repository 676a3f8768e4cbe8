#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "tilt/core/token.hpp"

namespace tilt {

/// The mean of a sample and how sure it is.
struct Summary {
  std::size_t count = 0;
  double mean = unset;            ///< NaN of an empty sample
  double deviation = unset;       ///< the standard deviation, divisor n-1; NaN of fewer than two
  double standard_error = unset;  ///< of the mean, for independent values: deviation / sqrt(n)
  double lowest = unset, highest = unset;
};

/// Summarises independent values. Two passes, so that a large common offset costs no digits. A NaN
/// makes all numbers but the count NaN; an infinite value makes the mean infinite and the deviation
/// NaN.
[[nodiscard]] inline Summary summarize(std::span<const double> values) {
  Summary summary{.count = values.size()};
  if (values.empty()) return summary;
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double v : values) sum += v;
  summary.mean = sum / n;
  if (std::isnan(summary.mean)) return summary;
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  summary.lowest = *lowest;
  summary.highest = *highest;
  if (values.size() < 2) return summary;
  double squares = 0;
  for (const double v : values) squares += (v - summary.mean) * (v - summary.mean);
  summary.deviation = std::sqrt(squares / (n - 1));
  summary.standard_error = summary.deviation / std::sqrt(n);
  return summary;
}

}  // namespace tilt

#pragma once

#include <cmath>
#include <span>

#include "tilt/core/token.hpp"

namespace tilt {

/// log of the sum of exp, nats; -infinity of an empty range or of nothing but -infinity. NaN in, NaN
/// out.
[[nodiscard]] inline double log_sum_exp(std::span<const double> values) {
  double largest = -infinity;
  for (const double v : values) {
    if (std::isnan(v)) return v;
    largest = v > largest ? v : largest;
  }
  if (std::isinf(largest)) return largest;
  double total = 0;
  for (const double v : values) total += std::exp(v - largest);
  return largest + std::log(total);
}

/// log of the mean of exp, nats; NaN of an empty range.
[[nodiscard]] inline double log_mean_exp(std::span<const double> values) {
  if (values.empty()) return unset;
  return log_sum_exp(values) - std::log(static_cast<double>(values.size()));
}

/// log(exp(a) + exp(b)), nats.
[[nodiscard]] inline double log_add(double a, double b) {
  const double both[] = {a, b};
  return log_sum_exp(both);
}

/// a - b, where -infinity minus -infinity counts as 0: two responses of reward -infinity are equally
/// good.
[[nodiscard]] inline double reward_difference(double a, double b) {
  return a == b ? 0.0 : a - b;
}

}  // namespace tilt

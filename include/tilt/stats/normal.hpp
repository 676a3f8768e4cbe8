#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// The standard normal distribution function: the probability of a value of at most z.
[[nodiscard]] inline double normal_probability(double z) {
  return 0.5 * std::erfc(-z / 1.4142135623730951);
}

/// The standard normal quantile: the z with `normal_probability(z)` = p, to about 1e-14 relative to
/// z; -infinity at 0, infinity at 1.
///
/// Method: Newton's on the log of the distribution function, which is concave, so that it converges
/// from z = 0 for every p below one half. The upper half follows by symmetry.
/// @param p  in [0, 1]
/// @throws InvalidOption when p is outside
[[nodiscard]] inline double normal_quantile(double p) {
  require_fraction("normal_quantile.p", p);
  if (p > 0.5) return -normal_quantile(1 - p);
  if (p == 0) return -infinity;
  constexpr double log_density_at_0 = -0.9189385332046727;
  constexpr double lowest = -38;  // its probability is still a normal number
  const double goal = std::log(p);
  double z = 0;
  for (int i = 0; i < 100; ++i) {
    const double value = std::log(normal_probability(z));
    const double slope = std::exp(log_density_at_0 - 0.5 * z * z - value);
    const double next = std::max(lowest, z + (goal - value) / slope);
    const bool settled = std::abs(next - z) <= 1e-15 * std::abs(next);
    z = next;
    if (settled) break;
  }
  return z;
}

}  // namespace tilt

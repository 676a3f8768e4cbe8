#pragma once

// Whether differences are clear, among as many as are looked at.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <vector>

#include <tilt/tilt.hpp>

/// The probability that Student's t with so many degrees of freedom is at least |t| away from 0. By the
/// finite sums for whole degrees; NaN for a t that is NaN or without degrees of freedom.
[[nodiscard]] inline double student_p(double t, std::size_t degrees) {
  if (std::isnan(t) || degrees == 0) return tilt::unset;
  const double angle = std::atan2(std::abs(t), std::sqrt(static_cast<double>(degrees)));
  const double square = std::cos(angle) * std::cos(angle);
  const bool odd = degrees % 2 == 1;
  // Terms cos, 2/3 cos^3, 2/3 4/5 cos^5, ... or 1, 1/2 cos^2, 1/2 3/4 cos^4, ...
  double term = odd ? std::cos(angle) : 1, sum = 0;
  for (std::size_t k = odd ? 3 : 2; k <= degrees; k += 2) {
    sum += term;
    term *= square * static_cast<double>(k - 1) / static_cast<double>(k);
  }
  const double inside =
      odd ? 2 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
  return std::clamp(1 - inside, 0.0, 1.0);
}

/// The p values of several comparisons, each made so much larger (Holm) that calling those of at most
/// α clear makes any false call at all with a probability of at most α. NaN counts as 1.
[[nodiscard]] inline std::vector<double> holm(std::vector<double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (double& value : p) value = std::isnan(value) ? 1 : value;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p[i]; });
  double least = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    double& value = p[order[rank]];
    least = std::max(least, std::min(1.0, static_cast<double>(order.size() - rank) * value));
    value = least;
  }
  return p;
}

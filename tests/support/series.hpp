#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

/// An autoregressive series that any language can rebuild to the last bit: x_t = rho x_{t-1} + e_t,
/// e_t the upper bits of a linear congruential generator (Knuth's MMIX constants), as a number in
/// [-1/2, 1/2).
inline std::vector<double> autoregressive(std::uint64_t seed, std::size_t length, double rho,
                                          double shift = 0) {
  std::vector<double> series;
  double value = 0;
  for (std::size_t t = 0; t < length; ++t) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    value = rho * value + (static_cast<double>(seed >> 33) / 2147483648.0 - 0.5);
    series.push_back(value + shift);
  }
  return series;
}

/// The same four times as large, rounded to whole numbers: a series with many ties.
inline std::vector<double> stepped(std::uint64_t seed, std::size_t length, double rho) {
  std::vector<double> series = autoregressive(seed, length, rho);
  for (double& value : series) value = std::nearbyint(4 * value);
  return series;
}

#pragma once

#include <algorithm>
#include <cstddef>

#include "tilt/core/check.hpp"

namespace tilt {

/// The probability that at least one of k draws is correct, estimated without bias from n draws of
/// which some were correct: the share of all sets of k of them that hold a correct one,
///
///     1 - C(n - correct, k) / C(n, k) = 1 - product over i = n - correct + 1 .. n of (1 - k/i).
///
/// Edge cases: 0 where none was correct; 1 where fewer than k were wrong. An average over several
/// problems is the mean of their estimates.
///
/// Cost: the smaller of `correct` and k factors (the ratio is the same with the two exchanged), no
/// binomial coefficient and so no overflow.
///
/// Source: Chen et al. 2021 (2107.03374), section 2.1.
/// @param n        how many draws were made, at least k; at most 2^30
/// @param correct  how many of them were correct, 0 .. n
/// @param k        how many are allowed, 1 .. n
/// @returns in [0, 1]
/// @throws InvalidOption when an argument is out of its range
[[nodiscard]] inline double pass_at_k(std::size_t n, std::size_t correct, std::size_t k) {
  require_count("pass_at_k.n", n, 0, std::size_t{1} << 30);
  require_option(correct <= n, "pass_at_k.correct", correct, "at most n");
  require_option(k >= 1 && k <= n, "pass_at_k.k", k, "from 1 to n");
  const std::size_t few = std::min(correct, k), many = std::max(correct, k);
  if (n - few < many) return 1;
  double all_wrong = 1;
  for (std::size_t i = n - few + 1; i <= n; ++i) {
    all_wrong *= 1 - static_cast<double>(many) / static_cast<double>(i);
  }
  return 1 - all_wrong;
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "tilt/core/token.hpp"
#include "tilt/stats/normal.hpp"

namespace tilt {

/// The values of a quantity along each of several chains, one vector per chain, in order of time;
/// a state that a chain stays in is repeated.
using Chains = std::span<const std::vector<double>>;

/// Each chain cut into its first and its second half, so that a drift within a chain shows as a
/// difference between chains. Chains of different lengths are used up to the length of the shortest;
/// of an odd length the value in the middle is left out.
[[nodiscard]] inline std::vector<std::vector<double>> split_chains(Chains chains) {
  std::vector<std::vector<double>> halves;
  if (chains.empty()) return halves;
  std::size_t length = npos;
  for (const std::vector<double>& chain : chains) length = std::min(length, chain.size());
  const auto half = static_cast<std::ptrdiff_t>(length / 2);
  const auto end = static_cast<std::ptrdiff_t>(length);
  halves.reserve(2 * chains.size());
  for (const std::vector<double>& chain : chains) {
    halves.emplace_back(chain.begin(), chain.begin() + half);
    halves.emplace_back(chain.begin() + (end - half), chain.begin() + end);
  }
  return halves;
}

/// The values of all chains replaced by normal scores of their ranks among all: the standard normal
/// quantile of (rank - 3/8)/(S + 1/4), S the number of values, equal values sharing the mean of their
/// ranks. What is computed from the scores exists whatever the tails of the values are, also with
/// -infinity among them. NaN is legal nowhere.
///
/// Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, section 4.1; Blom 1958.
[[nodiscard]] inline std::vector<std::vector<double>> rank_normalized(Chains chains) {
  std::vector<std::vector<double>> scores(chains.begin(), chains.end());
  std::vector<double*> order;
  for (std::vector<double>& chain : scores) {
    for (double& value : chain) order.push_back(&value);
  }
  std::sort(order.begin(), order.end(), [](const double* a, const double* b) { return *a < *b; });
  const auto total = static_cast<double>(order.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && *order[last] == *order[first]) ++last;
    const double rank = 0.5 * static_cast<double>(first + 1 + last);
    const double score = normal_quantile((rank - 0.375) / (total + 0.25));
    for (std::size_t i = first; i < last; ++i) *order[i] = score;
  }
  return scores;
}

/// The variances that several chains of one length have within and between them.
struct ChainVariances {
  std::vector<double> means = {};  ///< of each chain
  double within = 0;  ///< the mean over chains of the variance along a chain, divisor n-1
  double total = 0;   ///< (n-1)/n within + the variance of the chains' means, divisor m-1

  /// @param chains  at least one, each of the same length n >= 2
  explicit ChainVariances(Chains chains) {
    const auto m = static_cast<double>(chains.size());
    const auto n = static_cast<double>(chains.front().size());
    for (const std::vector<double>& chain : chains) {
      means.push_back(mean_of(chain));
      within += variance_of(chain, means.back()) / m;
    }
    total = within * (n - 1) / n;
    if (chains.size() > 1) total += variance_of(means, mean_of(means));
  }

 private:
  static double mean_of(const std::vector<double>& values) {
    // From the first value on, so that the variance of equal values is exactly 0.
    double sum = 0;
    for (const double v : values) sum += v - values.front();
    return values.front() + sum / static_cast<double>(values.size());
  }
  static double variance_of(const std::vector<double>& values, double mean) {
    double sum = 0;
    for (const double v : values) sum += (v - mean) * (v - mean);
    return sum / static_cast<double>(values.size() - 1);
  }
};

}  // namespace tilt

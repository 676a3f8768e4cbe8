#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"
#include "tilt/stats/summary.hpp"

namespace tilt {

/// How often the first of two sides wins, and how sure that is.
struct WinRate {
  std::size_t wins = 0, ties = 0, losses = 0;  ///< pairs, of which the first side is higher, ...
  double rate = unset;            ///< (wins + ties / 2) / pairs, in [0, 1]; NaN without pairs
  double standard_error = unset;  ///< of the rate; NaN where one of the samples has fewer than two
};

/// @throws InvalidOption when a reward is NaN: one that is missing neither wins nor loses
inline void require_rewards(std::span<const double> rewards, std::string_view field) {
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    require_option(!std::isnan(rewards[i]), std::string(field) + '[' + std::to_string(i) + ']',
                   rewards[i], "a reward");
  }
}

/// How often a beats b in pairs that belong together: a[i] and b[i] are rewards of two methods for one
/// prompt. Ties count one half; two rewards of -infinity tie.
///
/// Standard error: the deviation (divisor n-1) of the n results 1, 1/2 and 0, over sqrt(n). It is 0
/// where all pairs came out alike, which says little while n is small.
///
/// Cost: one comparison per pair.
/// @throws InvalidOption when the sizes differ or a reward is NaN
[[nodiscard]] inline WinRate win_rate(std::span<const double> a, std::span<const double> b) {
  require_option(a.size() == b.size(), "win_rate.b", b.size(), "one reward per reward of a");
  require_rewards(a, "win_rate.a");
  require_rewards(b, "win_rate.b");
  WinRate result;
  std::vector<double> points(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ++(a[i] > b[i] ? result.wins : a[i] < b[i] ? result.losses : result.ties);
    points[i] = a[i] > b[i] ? 1 : a[i] < b[i] ? 0 : 0.5;
  }
  const Summary summary = summarize(points);
  result.rate = summary.mean;
  result.standard_error = summary.standard_error;
  return result;
}

/// How often a draw of one method beats a draw of another, over all pairs of the two samples: an
/// unbiased estimate of P(a > b) + P(a = b) / 2 for draws that are independent, the statistic of Mann
/// and Whitney over the number of pairs. The samples may differ in size; ties count one half.
///
/// Standard error: with s_a the variance (divisor size - 1) over a of the share of b that each beats,
/// and s_b that over b, sqrt(s_a / size of a + s_b / size of b). The pairs share their draws: taking
/// them for independent would give far too small a number. It is 0 where the samples do not overlap.
///
/// Cost: two sorts and a binary search per reward, O((m + n) log (m + n)).
///
/// Source: Mann and Whitney 1947; the standard error of DeLong, DeLong and Clarke-Pearson 1988.
/// @throws InvalidOption when a reward is NaN
[[nodiscard]] inline WinRate win_rate_of_all_pairs(std::span<const double> a,
                                                   std::span<const double> b) {
  require_rewards(a, "win_rate_of_all_pairs.a");
  require_rewards(b, "win_rate_of_all_pairs.b");
  std::vector<double> sorted_a(a.begin(), a.end()), sorted_b(b.begin(), b.end());
  std::sort(sorted_a.begin(), sorted_a.end());
  std::sort(sorted_b.begin(), sorted_b.end());

  WinRate result;
  const std::size_t pairs = a.size() * b.size();
  if (pairs == 0) return result;
  // The share of a sample that lies below a value, ties by one half.
  const auto share_below = [](const std::vector<double>& sorted, double value, WinRate* count) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), value);
    const auto below = static_cast<std::size_t>(first - sorted.begin());
    const auto equal = static_cast<std::size_t>(last - first);
    if (count != nullptr) {
      count->wins += below;
      count->ties += equal;
    }
    return (static_cast<double>(below) + 0.5 * static_cast<double>(equal)) /
           static_cast<double>(sorted.size());
  };
  std::vector<double> shares_of_a, shares_of_b;
  shares_of_a.reserve(a.size());
  shares_of_b.reserve(b.size());
  for (const double reward : sorted_a)
    shares_of_a.push_back(share_below(sorted_b, reward, &result));
  for (const double reward : sorted_b)
    shares_of_b.push_back(share_below(sorted_a, reward, nullptr));
  result.losses = pairs - result.wins - result.ties;
  result.rate = (static_cast<double>(result.wins) + 0.5 * static_cast<double>(result.ties)) /
                static_cast<double>(pairs);
  result.standard_error =
      std::hypot(summarize(shares_of_a).standard_error, summarize(shares_of_b).standard_error);
  return result;
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// The methods whose strength `HedgeTune` sets, by the distribution function of the proxy's quantile
/// u in what they return.
enum class HedgeMethod {
  best_of_n,        ///< F(u) = u^n, parameter n, a real number >= 1
  best_of_poisson,  ///< F(u) = u exp(mu (u - 1)): 1 + Poisson(mu) draws, parameter mu >= 0
  quantile_tilt  ///< F(u) = (e^(u/lambda) - 1) / (e^(1/lambda) - 1), parameter lambda > 0: the law tilted by
  ///< the quantile, which soft best-of-n on quantiles tends to; stronger for smaller lambda
};

/// What the true reward does within the range of a parameter, from the weakest selection to the
/// strongest.
enum class HedgeOutcome {
  peak,    ///< rises, then falls: selecting harder than at the peak exploits the proxy
  rising,  ///< still highest at the strongest end: no exploitation seen within the range
  falling  ///< highest at the weakest end, or constant: selecting by this proxy gains nothing
};

/// What `HedgeTune` found.
struct Hedge {
  HedgeOutcome outcome = HedgeOutcome::falling;
  double parameter = unset;    ///< n, mu or lambda: of the peak, or the end that the outcome names
  double true_reward = unset;  ///< expected there
  double weakest = unset, strongest = unset;  ///< the true reward expected at the ends of the range
};

/// Finds how hard to select by a proxy reward before the true reward suffers, from a calibration set:
/// draws of the base law, each with its proxy and its true reward.
///
///     HedgeTune tune{proxy, gold};
///     const Hedge hedge = tune.best_of_n(1, 64);
///
/// **What is solved.** u is the quantile of the proxy among the draws of a prompt, r(u) the true reward
/// there, p the density of u under the method of parameter theta. The result is the root of
///
///     d/d theta E[r(u)] = E[r(u) psi(u)] = 0,   psi = d/d theta log p,
///
/// psi = 1/n + log u for best-of-n, u / (1 + mu u) + u - 1 for Best-of-Poisson, and u minus its mean
/// for the tilt as a function of 1/lambda. Where r rises and then falls E[r(u)] has a single peak, for
/// the three families are totally positive.
///
/// The calibration set takes the place of the law: K draws cut [0, 1] into K cells of equal size in
/// the order of the proxy, and r is constant in each; draws of one proxy value share a cell, with their
/// mean. Both expectations are then exact sums of F over cells, without quadrature or a singular log u
/// at 0, and E[r(u)] for a whole n is that of n draws from the set with replacement. The strength is
/// searched on a grid of 129 values, geometric in 1 + strength (n, mu or 1/lambda), and the root
/// beside the best of them found by bisection, so that of several peaks the highest on the grid counts;
/// ties go to the weaker one.
///
/// With K draws a strength far above K tells of the one draw of the highest proxy only: keep n, mu and
/// 1/lambda well below K. Where the true reward still rises though its sum no longer changes in double
/// precision it counts as rising: directions are found on a scale of their own. Several prompts: `add` each; each counts alike, with quantiles of its own.
///
/// Cost: 130 to 250 sums over the calibration set.
///
/// Source: HedgeTune (2506.19248), where the expectation is taken over the draws themselves and the
/// root by bisection over the whole range.
class HedgeTune {
 public:
  HedgeTune() = default;
  /// As `add` of one prompt.
  HedgeTune(std::span<const double> proxy, std::span<const double> gold) { add(proxy, gold); }

  /// Adds the draws of one prompt.
  /// @param proxy  what methods select by, -infinity is legal
  /// @param gold   what they are worth, finite
  /// @throws InvalidOption when there are fewer than two draws, the sizes differ, or a reward is out of
  ///         range
  void add(std::span<const double> proxy, std::span<const double> gold) {
    require_option(proxy.size() >= 2, "HedgeTune.proxy", proxy.size(), "at least 2 draws");
    require_option(gold.size() == proxy.size(), "HedgeTune.gold", gold.size(),
                   "one reward per draw");
    for (std::size_t i = 0; i < proxy.size(); ++i) {
      const std::string number = '[' + std::to_string(i) + ']';
      require_option(proxy[i] < infinity, "HedgeTune.proxy" + number, proxy[i],
                     "a number or -infinity");
      require_finite("HedgeTune.gold" + number, gold[i]);
    }
    std::vector<std::size_t> order(proxy.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return proxy[a] != proxy[b] ? proxy[a] < proxy[b] : a < b;
    });
    const auto draws = static_cast<double>(proxy.size());
    if (prompts_ == 0) origin_ = gold[0];
    for (std::size_t i = 0; i < order.size();) {
      const std::size_t first = i;
      double sum = 0;
      while (i < order.size() && proxy[order[i]] == proxy[order[first]]) {
        sum += gold[order[i++]] - origin_;
      }
      cells_.push_back({static_cast<double>(first) / draws, static_cast<double>(i) / draws,
                        sum / static_cast<double>(i - first)});
    }
    ++prompts_;
  }

  /// @param low, high  range of n: 1 <= low < high, finite
  /// @throws InvalidOption when the range is not, or no prompt was added
  [[nodiscard]] Hedge best_of_n(double low, double high) const {
    return solve(HedgeMethod::best_of_n, low, high);
  }
  /// @param low, high  range of mu: 0 <= low < high, finite
  /// @throws InvalidOption when the range is not, or no prompt was added
  [[nodiscard]] Hedge best_of_poisson(double low, double high) const {
    return solve(HedgeMethod::best_of_poisson, low, high);
  }
  /// @param low, high  range of lambda, in quantiles: 0 < low < high, finite; weakest at `high`
  /// @throws InvalidOption when the range is not, or no prompt was added
  [[nodiscard]] Hedge quantile_tilt(double low, double high) const {
    return solve(HedgeMethod::quantile_tilt, low, high);
  }

  /// The expected true reward E[r(u)] of a method.
  /// @throws InvalidOption when the parameter is out of its range, or no prompt was added
  [[nodiscard]] double true_reward(HedgeMethod method, double parameter) const {
    check_ready();
    check_parameter(method, parameter, "HedgeTune.parameter");
    return origin_ + reward_at(method, strength_of(method, parameter));
  }

  /// The slope of the expected true reward with n, mu or 1/lambda: E[r(u) psi(u)].
  /// @throws InvalidOption when the parameter is out of its range, or no prompt was added
  [[nodiscard]] double slope(HedgeMethod method, double parameter) const {
    check_ready();
    check_parameter(method, parameter, "HedgeTune.parameter");
    return slope_at(method, strength_of(method, parameter));
  }

 private:
  // Quantiles from `low` to `high`, and what the true reward is there, less `origin_`: so that a
  // constant true reward is 0 and not a rounding error.
  struct Cell {
    double low, high, reward;
  };

  static double strength_of(HedgeMethod method, double parameter) {
    return method == HedgeMethod::quantile_tilt ? 1 / parameter : parameter;
  }
  static double parameter_of(HedgeMethod method, double strength) {
    return strength_of(method, strength);
  }

  void check_ready() const {
    require_option(prompts_ > 0, "HedgeTune.proxy", std::size_t{0}, "at least 2 draws");
  }
  static void check_parameter(HedgeMethod method, double parameter, const std::string& field) {
    if (method == HedgeMethod::quantile_tilt) return require_positive(field, parameter);
    const double least = method == HedgeMethod::best_of_n ? 1 : 0;
    require_option(std::isfinite(parameter) && parameter >= least, field, parameter,
                   "a finite number >= " + to_text(least));
  }

  // F(u) at a strength.
  static double cumulative(HedgeMethod method, double strength, double u) {
    switch (method) {
      case HedgeMethod::best_of_n:
        return std::pow(u, strength);
      case HedgeMethod::best_of_poisson:
        return u * std::exp(strength * (u - 1));
      case HedgeMethod::quantile_tilt:
        break;
    }
    // Scaled by e^-strength above and below: no overflow.
    return std::exp(strength * (u - 1)) * std::expm1(-strength * u) / std::expm1(-strength);
  }

  // dF(u)/d strength: 0 at both ends, negative between.
  static double cumulative_slope(HedgeMethod method, double strength, double u) {
    if (u == 0 || u == 1) return 0;
    const double value = cumulative(method, strength, u);
    switch (method) {
      case HedgeMethod::best_of_n:
        return value * std::log(u);
      case HedgeMethod::best_of_poisson:
        return value * (u - 1);
      case HedgeMethod::quantile_tilt:
        break;
    }
    return value * (excess(strength * u) - excess(strength)) / strength;
  }

  // x / (1 - e^-x) - 1: near 0 by its series, for there the difference loses its digits.
  static double excess(double x) {
    if (x > 0.05) return x / -std::expm1(-x) - 1;
    const double square = x * x;
    return x / 2 + square / 12 * (1 - square / 60 * (1 - square / 42));
  }

  template <class Function>
  double sum_over_cells(const Function& of_u) const {
    double sum = 0, at_low = 0, low = -1;
    for (const Cell& cell : cells_) {
      if (cell.low != low) at_low = of_u(cell.low);
      const double at_high = of_u(cell.high);
      sum += cell.reward * (at_high - at_low);
      low = cell.high;
      at_low = at_high;
    }
    return sum / static_cast<double>(prompts_);
  }
  double reward_at(HedgeMethod method, double strength) const {
    return sum_over_cells([&](double u) { return cumulative(method, strength, u); });
  }
  double slope_at(HedgeMethod method, double strength) const {
    return sum_over_cells([&](double u) { return cumulative_slope(method, strength, u); });
  }

  // log |dF(u)/d strength| for u within (0, 1), where the number itself may be too small for a double.
  static double log_cumulative_slope(HedgeMethod method, double strength, double u) {
    switch (method) {
      case HedgeMethod::best_of_n:
        return strength * std::log(u) + std::log(-std::log(u));
      case HedgeMethod::best_of_poisson:
        return std::log(u) + strength * (u - 1) + std::log1p(-u);
      case HedgeMethod::quantile_tilt:
        break;
    }
    return strength * (u - 1) + std::log(std::expm1(-strength * u) / std::expm1(-strength)) +
           std::log((excess(strength) - excess(strength * u)) / strength);
  }

  // The sign of the slope. dF/d strength is 0 at both ends of [0, 1] and negative between, so that the
  // slope is a sum over the borders of cells of what the true reward gains there times -dF/d strength:
  // where it never loses no digit is lost, and the common factor keeps the sum from vanishing.
  int direction_at(HedgeMethod method, double strength) const {
    std::vector<double> gains, log_slopes;
    double most = -infinity;
    for (std::size_t i = 1; i < cells_.size(); ++i) {
      if (cells_[i].low == 0) continue;  // of another prompt
      gains.push_back(cells_[i].reward - cells_[i - 1].reward);
      log_slopes.push_back(log_cumulative_slope(method, strength, cells_[i].low));
      if (gains.back() != 0) most = std::max(most, log_slopes.back());
    }
    double sum = 0;
    for (std::size_t i = 0; i < gains.size(); ++i) {
      if (gains[i] != 0) sum += gains[i] * std::exp(log_slopes[i] - most);
    }
    return sum > 0 ? 1 : sum < 0 ? -1 : 0;
  }

  Hedge solve(HedgeMethod method, double low, double high) const {
    check_ready();
    check_parameter(method, low, "HedgeTune.low");
    check_parameter(method, high, "HedgeTune.high");
    require_option(low < high, "HedgeTune.low", low, "less than high");
    double weakest = strength_of(method, low), strongest = strength_of(method, high);
    if (weakest > strongest) std::swap(weakest, strongest);

    constexpr std::size_t intervals = 128;
    const auto strength = [&](std::size_t i) {
      if (i == 0) return weakest;
      if (i == intervals) return strongest;
      const double part = static_cast<double>(i) / static_cast<double>(intervals);
      return std::expm1(std::lerp(std::log1p(weakest), std::log1p(strongest), part));
    };
    std::vector<double> rewards(intervals + 1);
    for (std::size_t i = 0; i <= intervals; ++i) rewards[i] = reward_at(method, strength(i));
    const auto best = static_cast<std::size_t>(std::max_element(rewards.begin(), rewards.end()) -
                                               rewards.begin());

    Hedge hedge{.weakest = origin_ + rewards.front(), .strongest = origin_ + rewards.back()};
    const bool is_reversed = method == HedgeMethod::quantile_tilt;
    const bool rises_there = direction_at(method, strength(best)) > 0;
    // A peak may also lie between an end and its neighbour.
    if (best == 0 && !rises_there) {
      hedge.outcome = HedgeOutcome::falling;
      hedge.parameter = is_reversed ? high : low;
      hedge.true_reward = hedge.weakest;
      return hedge;
    }
    // From some strength on the rewards may be equal to the last digit though they still rise.
    std::size_t beyond = best;
    if (rises_there) {
      ++beyond;
      while (beyond <= intervals && direction_at(method, strength(beyond)) > 0) ++beyond;
    }
    if (beyond > intervals) {
      hedge.outcome = HedgeOutcome::rising;
      hedge.parameter = is_reversed ? low : high;
      hedge.true_reward = hedge.strongest;
      return hedge;
    }
    double rising = strength(beyond - 1), falling = strength(beyond);
    for (;;) {
      const double middle = std::midpoint(rising, falling);
      if (middle == rising || middle == falling) break;
      (direction_at(method, middle) > 0 ? rising : falling) = middle;
    }
    hedge.outcome = HedgeOutcome::peak;
    hedge.parameter = parameter_of(method, rising);
    hedge.true_reward = origin_ + reward_at(method, rising);
    return hedge;
  }

  std::vector<Cell> cells_ = {};
  std::size_t prompts_ = 0;
  double origin_ = 0;
};

}  // namespace tilt

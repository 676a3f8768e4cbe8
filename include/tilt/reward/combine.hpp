#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/error.hpp"
#include "tilt/core/held.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/reward/reward_function.hpp"

namespace tilt {

/// A base class that gives a reward model the operators `0.7 * a`, `a * 0.7` and `a + b`, wherever the
/// model's own namespace is. It has no members.
struct RewardOperators {};

/// True for the reward models that have the operators: those derived from `RewardOperators`, and
/// tilt's own.
template <class R>
inline constexpr bool has_reward_operators =
    std::derived_from<std::remove_cvref_t<R>, RewardOperators>;
template <class F>
inline constexpr bool has_reward_operators<RewardFunction<F>> = true;

/// A reward model that has rules about the base law: `check_law(law)` throws where one is broken.
template <class R, class Law>
concept ChecksLaw = requires(std::remove_reference_t<R>& reward, const Law& law) {
  reward.check_law(law);
};

/// The parts of a composition, held by reference where given as lvalues and owned where given as
/// rvalues. Tells what they say together: `partial` (only if all parts score prefixes; known when
/// compiling where all parts know it, or one says no), and `check_law`, where a part has it.
template <class... Rs>
class RewardParts : public RewardOperators {
 public:
  explicit RewardParts(Rs&&... parts) : parts_(std::forward<Rs>(parts)...) {
    static_assert(
        (RewardModel<std::remove_reference_t<Rs>> && ...),
        "tilt: a part of this composition is not a RewardModel; give it a member "
        "void score(std::span<const tilt::Scoring>, std::span<double>), or wrap a lambda in "
        "tilt::RewardFunction");
  }

  static constexpr bool scores_bare_prompt = (tilt::scores_bare_prompt<Rs>() && ...);

  /// Whether every part can score prefixes.
  [[nodiscard]] bool all_partial() const {
    return std::apply([](const auto&... held) { return (scores_prefixes(held.get()) && ...); },
                      parts_);
  }

  /// Asks each part that has rules about the base law. What they throw comes through.
  template <class Law>
  void check_law(const Law& law) const requires(ChecksLaw<Rs, Law> || ...) {
    for_each_part([&](std::size_t, auto& part) {
      if constexpr (ChecksLaw<decltype(part), Law>) part.check_law(law);
    });
  }

 protected:
  static constexpr std::size_t count = sizeof...(Rs);

  /// Calls `visit(number, part)` for each part in order.
  template <class Visit>
  void for_each_part(Visit&& visit) const {
    std::apply(
        [&](const auto&... held) {
          std::size_t number = 0;
          (visit(number++, held.get()), ...);
        },
        parts_);
  }

 private:
  std::tuple<Held<Rs>...> parts_;
};

/// What a composition knows when compiling of whether it scores prefixes.
template <class R>
inline constexpr bool never_scores_prefixes = [] {
  if constexpr (HasStaticPartial<R>) return !std::remove_cvref_t<R>::partial;
  return false;
}();
template <class R>
inline constexpr bool partial_is_dynamic =
    !HasStaticPartial<R> && requires(const std::remove_cvref_t<R>& reward) {
  { reward.partial() } -> std::convertible_to<bool>;
};

/// Parts of which each says when compiling whether it scores prefixes, or one that it cannot.
template <class... Rs>
class StaticRewardParts : public RewardParts<Rs...> {
 public:
  using RewardParts<Rs...>::RewardParts;
  static constexpr bool partial = !(never_scores_prefixes<Rs> || ...);
};

/// Parts of which one says only at run time whether it scores prefixes.
template <class... Rs>
class DynamicRewardParts : public RewardParts<Rs...> {
 public:
  using RewardParts<Rs...>::RewardParts;
  [[nodiscard]] bool partial() const { return this->all_partial(); }
};

/// The base class of a composition of reward models.
template <class... Rs>
using RewardPartsOf =
    std::conditional_t<(partial_is_dynamic<Rs> || ...) && !(never_scores_prefixes<Rs> || ...),
                       DynamicRewardParts<Rs...>, StaticRewardParts<Rs...>>;

/// Several reward models made one by a rule: a function of one number per part.
///
/// Made by `weighted`, `minimum`, `mean_minus_variance`, `clamped` and the operators.
///
/// Each part scores a whole batch in one call. A part's `PartialFailure` fails the items that it names
/// and no others, with the cause of the first part that failed; what else a part throws fails the
/// whole batch. NaN from a part that counts makes the result NaN, which the run reports: an error of a
/// part is never covered by the others.
///
/// Cost: one call per part, and one number per part and item.
///
/// @tparam Rule  `double rule(std::span<const double> values) const`, and optionally
///               `bool rule.counts(part) const`: false for a part that need not be scored
template <class Rule, class... Rs>
class CombinedReward : public RewardPartsOf<Rs...> {
 public:
  explicit CombinedReward(Rule rule, Rs&&... parts)
      : RewardPartsOf<Rs...>(std::forward<Rs>(parts)...), rule_(std::move(rule)) {}

  void score(std::span<const Scoring> work, std::span<double> out) const {
    constexpr std::size_t k = sizeof...(Rs);
    const std::size_t n = work.size();
    std::vector<double> values(k * n);  // part by part
    std::vector<std::exception_ptr> causes;
    this->for_each_part([&](std::size_t part, auto& reward) {
      if constexpr (requires { rule_.counts(part); }) {
        if (!rule_.counts(part)) return;
      }
      try {
        reward.score(work, std::span(values).subspan(part * n, n));
      } catch (const PartialFailure& failure) {
        if (failure.causes().size() != n) throw;
        causes.resize(n);
        for (std::size_t i = 0; i < n; ++i) {
          if (!causes[i]) causes[i] = failure.causes()[i];
        }
      }
    });
    std::array<double, k> item;
    for (std::size_t i = 0; i < n; ++i) {
      if (!causes.empty() && causes[i]) continue;
      for (std::size_t part = 0; part < k; ++part) item[part] = values[part * n + i];
      out[i] = rule_(std::span<const double>(item));
    }
    if (!causes.empty()) throw PartialFailure(std::move(causes));
  }

 private:
  Rule rule_;
};

/// The rule of `abstaining`.
struct Abstaining {
  [[nodiscard]] double operator()(std::span<const double> values) const { return values[0]; }
};
template <class R>
inline constexpr bool may_abstain = false;
template <class R>
inline constexpr bool may_abstain<CombinedReward<Abstaining, R>> = true;

/// The rule of `weighted`.
template <std::size_t K>
struct WeightedSum {
  std::array<double, K> weights;
  std::array<bool, K> abstains = {};  ///< whether NaN of a part says that it has no opinion

  [[nodiscard]] bool counts(std::size_t part) const { return weights[part] != 0; }
  [[nodiscard]] double operator()(std::span<const double> values) const {
    double sum = 0;
    bool is_scored = false, counts_any = false;
    for (std::size_t i = 0; i < K; ++i) {
      if (!counts(i)) continue;
      counts_any = true;
      if (abstains[i] && std::isnan(values[i])) continue;
      is_scored = true;
      sum += weights[i] * values[i];
    }
    return is_scored || !counts_any ? sum : unset;
  }
};

/// The rule of `minimum`.
struct Minimum {
  [[nodiscard]] double operator()(std::span<const double> values) const {
    double least = infinity;
    for (const double v : values) {
      if (std::isnan(v)) return v;
      least = std::min(least, v);
    }
    return least;
  }
};

/// The rule of `mean_minus_variance`.
struct MeanMinusVariance {
  double lambda = 0;

  [[nodiscard]] double operator()(std::span<const double> values) const {
    const auto k = static_cast<double>(values.size());
    double mean = 0;
    for (const double v : values) mean += v / k;
    if (std::isnan(mean) || mean == -infinity) return mean;
    double variance = 0;
    for (const double v : values) variance += (v - mean) * (v - mean) / k;
    return mean - lambda * variance;
  }
};

/// The weighted sum of rewards, in pairs of weight and reward: `weighted(0.7, helpful, 0.3, harmless)`.
///
/// A part of weight 0 counts for nothing, whatever it would say, and is not scored. -infinity times a
/// positive weight is -infinity, and so is its sum with anything finite; times a negative weight it is
/// +infinity, which the run reports as an error, as it does NaN.
///
/// A part made by `abstaining` has no say in a response that it scores NaN: the sum is over the others,
/// their weights as they are. A response in which all parts that count abstain is NaN.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
/// @throws InvalidOption when a weight is not finite
template <class... Args>
[[nodiscard]] auto weighted(Args&&... args) {
  static_assert(sizeof...(Args) > 0 && sizeof...(Args) % 2 == 0,
                "tilt::weighted takes pairs of a weight and a reward: weighted(0.7, a, 0.3, b)");
  constexpr std::size_t k = sizeof...(Args) / 2;
  std::tuple<Args&&...> all(std::forward<Args>(args)...);
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    const WeightedSum<k> rule{
        {static_cast<double>(std::get<2 * I>(all))...},
        {may_abstain<
            std::remove_cvref_t<std::tuple_element_t<2 * I + 1, std::tuple<Args...>>>>...}};
    for (std::size_t i = 0; i < k; ++i) {
      require_finite("weighted.weights[" + std::to_string(i) + "]", rule.weights[i]);
    }
    using All = std::tuple<Args...>;  // X& for an lvalue, X for an rvalue
    return CombinedReward<WeightedSum<k>, std::tuple_element_t<2 * I + 1, All>...>(
        rule, std::forward<std::tuple_element_t<2 * I + 1, All>>(std::get<2 * I + 1>(all))...);
  }
  (std::make_index_sequence<k>{});
}

/// A reward whose NaN says that it has no opinion, where it is a part of `weighted`: one that judges only
/// some kinds of prompts, say.
///
///     weighted(1, helpful, 0.5, abstaining(RewardFunction{[](const Prompt& x, const Response& y) {
///       return is_code(x) ? passed_tests(y) : std::numeric_limits<double>::quiet_NaN(); }}))
///
/// Elsewhere NaN stays the error that it is: an opinion that is missing is never a score. A part that
/// throws has failed and does not abstain.
///
/// A reward given as an lvalue is held by reference, as an rvalue it is owned.
template <class R>
[[nodiscard]] auto abstaining(R&& reward) {
  return CombinedReward<Abstaining, R>(Abstaining{}, std::forward<R>(reward));
}

/// The smallest of several rewards: as good as its worst part. -infinity of one part is -infinity of
/// the whole, +infinity of one is no bound, NaN of one is NaN.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
template <class... Rs>
[[nodiscard]] auto minimum(Rs&&... rewards) {
  static_assert(sizeof...(Rs) > 0, "tilt::minimum needs at least one reward");
  return CombinedReward<Minimum, Rs...>(Minimum{}, std::forward<Rs>(rewards)...);
}

/// The mean of several rewards minus lambda times their variance (divisor k, the number of rewards):
/// for an ensemble of reward models, cautious where they disagree. -infinity of one part is -infinity
/// of the whole; NaN of one is NaN.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
/// @param lambda  >= 0, per unit of reward
/// @throws InvalidOption unless lambda is finite and at least 0
///
/// Source: uncertainty-weighted optimisation of Coste et al. 2023 (2310.02743).
template <class... Rs>
[[nodiscard]] auto mean_minus_variance(double lambda, Rs&&... rewards) {
  static_assert(sizeof...(Rs) > 0, "tilt::mean_minus_variance needs at least one reward");
  require_option(std::isfinite(lambda) && lambda >= 0, "mean_minus_variance.lambda", lambda,
                 "a finite number >= 0");
  return CombinedReward<MeanMinusVariance, Rs...>(MeanMinusVariance{lambda},
                                                  std::forward<Rs>(rewards)...);
}

/// `weighted(weight, reward)`.
template <class R>
  requires has_reward_operators<std::remove_cvref_t<R>>
[[nodiscard]] auto operator*(double weight, R&& reward) {
  return weighted(weight, std::forward<R>(reward));
}
template <class R>
  requires has_reward_operators<std::remove_cvref_t<R>>
[[nodiscard]] auto operator*(R&& reward, double weight) {
  return weighted(weight, std::forward<R>(reward));
}

/// `weighted(1, a, 1, b)`: with `0.7 * a + 0.3 * b` the same numbers as `weighted(0.7, a, 0.3, b)`.
template <class A, class B>
  requires has_reward_operators<std::remove_cvref_t<A>> &&
      has_reward_operators<std::remove_cvref_t<B>>
[[nodiscard]] auto operator+(A&& a, B&& b) {
  return weighted(1, std::forward<A>(a), 1, std::forward<B>(b));
}

}  // namespace tilt

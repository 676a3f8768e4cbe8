#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/reward/combine.hpp"
#include "tilt/stats/calibration.hpp"

namespace tilt {

/// Several reward models made one in the space of quantiles: of each member's reward only its rank
/// among reference responses to the same prompt counts, so that members of different scales become
/// commensurable. Made by `quantile_mean`, `quantile_minimum` and `quantile_mean_minus_variance`.
///
///     auto reward = quantile_mean(helpful, harmless);
///     reward.calibrate(prompt, references);  // draws of the base law, 64 or so
///
/// The quantile of a member's reward r among its rewards of K references is
///
///     u = (number below r + 1/2 number equal to r) / K,   in [0, 1],
///
/// and the reward is the rule's value of the members' u. Strictly increasing transforms of a member
/// change nothing. Over the references themselves each member's quantiles have the mean 1/2, ties
/// included. References must be draws of their own: a candidate that is among them raises its own rank.
///
/// Edge cases: -infinity of one member is -infinity of the whole, as in `combine.hpp`: what is forbidden
/// stays forbidden. NaN and +infinity of one member make the whole NaN, which the run reports: a rank
/// would hide the error. A prefix of a response has another quantile law than a response, so that
/// `partial` is false.
///
/// A prompt that was not calibrated has no reward: each of its items fails with a RewardError that
/// names it, and is never worth 0. Each member scores the other items of a batch in one call; its
/// `PartialFailure` fails the items that it names, with the cause of the first member that failed.
///
/// Cost: one call per member and a binary search per member and item; K scorings per member and prompt
/// to calibrate. It keeps K numbers per member and prompt. Scoring may go on in several threads where
/// the members allow it, but not beside `calibrate`.
///
/// Source: quantiles as in InfAlign (2412.19792), the rules as in Coste et al. 2023 (2310.02743), who
/// apply them to raw rewards of one scale.
/// @tparam Rule  `double rule(std::span<const double> quantiles) const`
template <class Rule, class... Rs>
class QuantileEnsemble : public RewardParts<Rs...> {
 public:
  static constexpr bool partial = false;

  explicit QuantileEnsemble(Rule rule, Rs&&... members)
      : RewardParts<Rs...>(std::forward<Rs>(members)...), rule_(std::move(rule)) {}

  /// Scores the references of a prompt with every member and keeps their rewards, in place of those
  /// kept before. When it throws, those stay.
  /// @param references  independent draws for the prompt, at least 1
  /// @throws InvalidOption without references
  /// @throws RewardError naming prompt, member and reference when a member fails on one or gives NaN or
  ///         +infinity: without it the others are no sample of the base law
  void calibrate(const Prompt& prompt, std::span<const Response> references) {
    require_at_least_one("QuantileEnsemble.references", references.size());
    std::vector<Scoring> work;
    work.reserve(references.size());
    for (const Response& reference : references) work.push_back({&prompt, &reference});
    Members members;
    std::vector<double> mine;
    this->for_each_part([&](std::size_t member, auto& reward) {
      const auto refuse = [&](std::size_t i, const std::string& cause) {
        throw RewardError("member " + std::to_string(member) +
                          " cannot be calibrated on the prompt " + describe(prompt) +
                          ": reference " + std::to_string(i) + ": " + cause);
      };
      mine.assign(references.size(), unset);
      try {
        reward.score(work, mine);
      } catch (const PartialFailure& failure) {
        for (std::size_t i = 0; i < failure.causes().size(); ++i) {
          if (failure.causes()[i]) refuse(i, message_of(failure.causes()[i]));
        }
        throw;
      }
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (!(mine[i] < infinity)) refuse(i, "the reward is " + to_text(mine[i]));
      }
      members.emplace_back(mine);
    });
    calibration_.insert_or_assign(prompt, std::move(members));
  }

  /// How many references a prompt was calibrated with; 0 if it was not.
  [[nodiscard]] std::size_t references(const Prompt& prompt) const {
    const auto found = calibration_.find(prompt);
    return found == calibration_.end() ? 0 : found->second.front().size();
  }

  void score(std::span<const Scoring> work, std::span<double> out) const {
    std::vector<std::exception_ptr> causes(work.size());
    std::vector<Scoring> known;
    std::vector<std::size_t> place;  // in `work`
    std::vector<const Members*> calibrations;
    for (std::size_t i = 0; i < work.size(); ++i) {
      const auto found = calibration_.find(*work[i].prompt);
      if (found == calibration_.end()) {
        causes[i] = std::make_exception_ptr(
            RewardError("the ensemble was not calibrated for the prompt " +
                        describe(*work[i].prompt) + "; call calibrate with references"));
        continue;
      }
      known.push_back(work[i]);
      place.push_back(i);
      calibrations.push_back(&found->second);
    }

    const std::size_t n = known.size();
    std::vector<double> values(sizeof...(Rs) * n);  // member by member
    if (n > 0) {
      this->for_each_part([&](std::size_t member, auto& reward) {
        try {
          reward.score(known, std::span(values).subspan(member * n, n));
        } catch (const PartialFailure& failure) {
          if (failure.causes().size() != n) throw;
          for (std::size_t i = 0; i < n; ++i) {
            if (!causes[place[i]]) causes[place[i]] = failure.causes()[i];
          }
        }
      });
    }
    std::array<double, sizeof...(Rs)> item;
    for (std::size_t i = 0; i < n; ++i) {
      if (causes[place[i]]) continue;
      bool is_broken = false, is_forbidden = false;
      for (std::size_t member = 0; member < item.size(); ++member) {
        const double value = values[member * n + i];
        is_broken = is_broken || !(value < infinity);
        is_forbidden = is_forbidden || value == -infinity;
        if (!is_broken) item[member] = (*calibrations[i])[member](value);
      }
      out[place[i]] = is_broken      ? unset
                      : is_forbidden ? -infinity
                                     : rule_(std::span<const double>(item));
    }
    if (std::any_of(causes.begin(), causes.end(),
                    [](const auto& cause) { return cause != nullptr; })) {
      throw PartialFailure(std::move(causes));
    }
  }

 private:
  using Members = std::vector<ReferenceQuantiles>;  // one per member
  struct Hash {
    std::size_t operator()(const Prompt& prompt) const noexcept {
      return static_cast<std::size_t>(prompt.key());
    }
  };

  Rule rule_;
  std::unordered_map<Prompt, Members, Hash> calibration_ = {};
};

/// The mean of the members' quantiles, in [0, 1]; see `QuantileEnsemble`.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
template <class... Rs>
[[nodiscard]] auto quantile_mean(Rs&&... members) {
  static_assert(sizeof...(Rs) > 0, "tilt::quantile_mean needs at least one reward");
  return QuantileEnsemble<MeanMinusVariance, Rs...>(MeanMinusVariance{0},
                                                    std::forward<Rs>(members)...);
}

/// The smallest of the members' quantiles, in [0, 1]; see `QuantileEnsemble`.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
template <class... Rs>
[[nodiscard]] auto quantile_minimum(Rs&&... members) {
  static_assert(sizeof...(Rs) > 0, "tilt::quantile_minimum needs at least one reward");
  return QuantileEnsemble<Minimum, Rs...>(Minimum{}, std::forward<Rs>(members)...);
}

/// The mean of the members' quantiles minus lambda times their variance, the population variance
/// (divisor k, the number of members) as in `mean_minus_variance`; in [-lambda / 4, 1]. See
/// `QuantileEnsemble`.
///
/// Rewards given as lvalues are held by reference, as rvalues they are owned.
/// @param lambda  >= 0, per unit of quantile
/// @throws InvalidOption unless lambda is finite and at least 0
template <class... Rs>
[[nodiscard]] auto quantile_mean_minus_variance(double lambda, Rs&&... members) {
  static_assert(sizeof...(Rs) > 0, "tilt::quantile_mean_minus_variance needs at least one reward");
  require_option(std::isfinite(lambda) && lambda >= 0, "quantile_mean_minus_variance.lambda",
                 lambda, "a finite number >= 0");
  return QuantileEnsemble<MeanMinusVariance, Rs...>(MeanMinusVariance{lambda},
                                                    std::forward<Rs>(members)...);
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/reward/constraint/format.hpp"
#include "tilt/reward/constraint/keyword.hpp"
#include "tilt/reward/constraint/length.hpp"
#include "tilt/reward/constraint/letter_case.hpp"
#include "tilt/reward/text/unicode.hpp"

namespace tilt {

/// A property of a text that can be verified: `bool(std::u32string_view)`. Those of IFEval stand in
/// namespace `tilt::constraint`; any function will do. It is called with the text as code points,
/// never with a blank text.
///
/// The constraints in `tilt::constraint` judge as the strict checkers of IFEval do (J. Zhou et al.,
/// "Instruction-Following Evaluation for Large Language Models", arXiv:2311.07911) on Python 3.11
/// with NLTK 3.10. Where the authors' code draws an argument at random because it is missing or out
/// of range, they throw instead.
using Constraint = std::function<bool(std::u32string_view)>;

/// Which of the constraints a text satisfies, in order. A blank text satisfies none.
/// @param text  UTF-8; what is not, such as a character cut at the end, counts as U+FFFD
[[nodiscard]] inline std::vector<bool> satisfied(std::span<const Constraint> constraints,
                                                 std::string_view text) {
  const std::u32string characters = unicode::decode(text);
  std::vector<bool> result(constraints.size(), false);
  if (unicode::is_blank(characters)) return result;
  for (std::size_t i = 0; i < constraints.size(); ++i) result[i] = constraints[i](characters);
  return result;
}

/// How the verdicts on several constraints become one reward.
enum class ConstraintScore {
  share,  ///< the share of constraints that are satisfied, 0 to 1
  all     ///< 1 if all are, else 0
};

/// The score of verdicts; 1 where there is none.
[[nodiscard]] inline double score_of(const std::vector<bool>& verdicts, ConstraintScore score) {
  const auto held = std::ranges::count(verdicts, true);
  if (held == std::ssize(verdicts)) return 1;
  return score == ConstraintScore::all
             ? 0
             : static_cast<double>(held) / static_cast<double>(verdicts.size());
}

/// Rewards a response by the constraints that its text satisfies, the same for every prompt.
///
///     ConstraintReward reward{{constraint::NoComma{},
///                              constraint::WordCount{constraint::Relation::at_least, 50}}};
///
/// Range 0 to 1. A prefix says little about the whole, so it cannot be scored (`partial`).
class ConstraintReward {
 public:
  static constexpr bool partial = false;

  /// @throws InvalidOption when the list or one of its functions is empty
  explicit ConstraintReward(std::vector<Constraint> constraints,
                            ConstraintScore score = ConstraintScore::share)
      : constraints_(std::move(constraints)), score_(score) {
    if (constraints_.empty()) {
      throw InvalidOption("ConstraintReward.constraints", "empty", "at least one constraint");
    }
    if (!std::ranges::all_of(constraints_, [](const Constraint& c) { return bool(c); })) {
      throw InvalidOption("ConstraintReward.constraints", "an empty function", "a function");
    }
  }

  void score(std::span<const Scoring> work, std::span<double> out) const {
    for_each_isolated(work.size(), [&](std::size_t i) {
      out[i] = score_of(satisfied(constraints_, work[i].response->text), score_);
    });
  }

 private:
  std::vector<Constraint> constraints_;
  ConstraintScore score_;
};

}  // namespace tilt

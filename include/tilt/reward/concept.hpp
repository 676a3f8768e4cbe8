#pragma once

#include <concepts>
#include <span>

#include "tilt/core/error.hpp"
#include "tilt/core/generation.hpp"

namespace tilt {

/// A function r(x, y) of prompt and response.
///
/// Syntax: `r.score(std::span<const Scoring> work, std::span<double> out)`, both of one size.
///
/// Semantics (checked by `testing::check_reward`): `out[i]` becomes the reward of `work[i]`, which
/// depends on nothing else. -infinity is legal: such a response is never chosen or accepted while
/// something finite is held. NaN and +infinity are errors, or rejections if the run asks for that.
/// An item that fails alone is reported by `PartialFailure`, with one entry per item; what else is
/// thrown fails the whole batch: of several items each is then scored again alone (`Driver`).
///
/// Optional member: `partial`, a static constexpr bool or a member function; false says that a prefix
/// of a response cannot be scored (true is assumed). Methods that score prefixes refuse such a reward.
/// Optional member: `scores_bare_prompt`, a static constexpr bool; false says that an empty response
/// cannot be scored, as where the reward is a mean over its tokens.
template <class R>
concept RewardModel = requires(R& r, std::span<const Scoring> work, std::span<double> out) {
  { r.score(work, out) } -> std::same_as<void>;
};

/// True for a reward that says when compiling whether it can score prefixes.
template <class R>
concept HasStaticPartial = requires {
  requires std::same_as<std::remove_cvref_t<decltype(std::remove_cvref_t<R>::partial)>, bool>;
};

/// Whether a reward model can score a prefix of a response.
template <class R>
[[nodiscard]] constexpr bool scores_prefixes([[maybe_unused]] const R& reward) {
  if constexpr (HasStaticPartial<R>) {
    return R::partial;
  } else if constexpr (requires {
                         { reward.partial() } -> std::convertible_to<bool>;
                       }) {
    return reward.partial();
  } else {
    return true;
  }
}

/// Whether a reward model can score an empty response.
template <class R>
[[nodiscard]] constexpr bool scores_bare_prompt() {
  if constexpr (requires { requires !std::remove_cvref_t<R>::scores_bare_prompt; }) {
    return false;
  } else {
    return true;
  }
}

/// Scores every response 0; for methods that need no reward. With it, selectors that compare rewards
/// do not compile.
struct NoReward {
  void score(std::span<const Scoring>, std::span<double> out) const {
    for (double& reward : out) reward = 0;
  }
};
inline constexpr NoReward no_reward{};

}  // namespace tilt

#pragma once

#include <concepts>
#include <cstddef>

#include "tilt/core/round.hpp"
#include "tilt/core/stats.hpp"
#include "tilt/policy/concept.hpp"

namespace tilt {

/// What a sampler asks of the policy and the reward it is put together with.
struct Needs {
  /// Each true member must be true of the policy; `ends` counts only together with `tokens`. A sampler
  /// that needs tokens and never cuts a response says `.ends = false`.
  Capabilities policy = {.tokens = false, .ends = false};
  bool partial_reward = false;              ///< scores prefixes of responses
  bool bare_prompt = false;                 ///< scores an empty response, that is, the bare prompt
};

/// A method: a loop of rounds over a plain state. It sees neither the policy nor the reward.
///
/// Syntax:
/// - `typename S::State`, a copyable value;
/// - `s.start(prompt) -> State`;
/// - `s.ask(state, round)` appends work to the round; none means finished;
/// - `s.tell(state, round)` finds the results in `round.draws()`, in the order in which they were
///   asked for, and emits candidates.
/// All const. What any of them throws ends the run with `Stop::failed` and what was paid for; it ends no
/// other run. A round that asks for more draws than the run's calls can ever pay for has the first of
/// them only, when told: `round.draws()` may be shorter than what was asked for, and the round is then
/// the last.
///
/// Semantics (checked by `testing::check_sampler`): what it emits depends on the state, the results
/// and `round.random` only; a draw that is not `done` never becomes a candidate; after a `tell` with
/// `round.closing()` nothing is asked any more.
///
/// Optional members:
/// - `lanes() -> std::size_t`: that many independent chains, each with its own state and rounds;
/// - `static constexpr Needs needs`: refused when compiling where the types tell;
/// - `option_needs() -> Needs`: further needs that depend on options, refused by the decoder;
/// - `check()`: throws InvalidOption for numbers that had no default and were never given;
/// - `question(prompt) -> Prompt`: the prompt that responses are scored against, and that base draws
///   answer, where it is another one than the run's;
/// - `typename S::DefaultSelector`: the selector of a decoder that is given none (else
///   `HighestReward`);
/// - `emits_states() -> bool`: false when weights are not those of chain states;
/// - `law_holds(std::span<const State> lanes) -> bool`: false when a run that has ended by itself did not
///   come to follow the method's law;
/// - `stats(std::span<const State> lanes, const Population&) -> Stats`: diagnostics for the result;
/// - `prepares(const State& first) -> bool` and `share(const State& first, State& other)`, both or
///   none: what all lanes need and lane 0 finds for them. `prepares` is asked of lane 0 after its first
///   `ask`: true when that round finds it. `share` is called once for every other lane before its first
///   `ask`: where lane 0 prepares, after its first `tell` and not before, so that the others wait for
///   this one round. It must bear that the round found nothing.
template <class S>
concept Sampler =
    std::copyable<typename S::State> &&
    requires(const S& s, typename S::State& state, const Prompt& prompt, Round& round) {
      { s.start(prompt) } -> std::same_as<typename S::State>;
      { s.ask(state, round) } -> std::same_as<void>;
      { s.tell(state, round) } -> std::same_as<void>;
    };

/// A sampler whose lane 0 may find something in its first round that all lanes need.
template <class S>
concept SharesFirstRound =
    Sampler<S> && requires(const S& s, const typename S::State& first, typename S::State& other) {
      { s.prepares(first) } -> std::convertible_to<bool>;
      { s.share(first, other) } -> std::same_as<void>;
    };

/// The number of independent chains of a sampler.
template <Sampler S>
[[nodiscard]] std::size_t lanes_of(const S& sampler) {
  if constexpr (requires {
                  { sampler.lanes() } -> std::convertible_to<std::size_t>;
                }) {
    return sampler.lanes();
  } else {
    return 1;
  }
}

/// What a sampler needs whatever its options are.
template <class S>
[[nodiscard]] constexpr Needs static_needs() {
  if constexpr (requires {
                  { S::needs } -> std::convertible_to<Needs>;
                }) {
    return S::needs;
  } else {
    return {};
  }
}

/// What a sampler needs with the options it has.
template <Sampler S>
[[nodiscard]] Needs needs_of(const S& sampler) {
  if constexpr (requires {
                  { sampler.option_needs() } -> std::convertible_to<Needs>;
                }) {
    return sampler.option_needs();
  } else {
    return static_needs<S>();
  }
}

/// Throws InvalidOption for options of a sampler that were never given.
template <Sampler S>
void check_options(const S& sampler) {
  if constexpr (requires { sampler.check(); }) sampler.check();
}

}  // namespace tilt

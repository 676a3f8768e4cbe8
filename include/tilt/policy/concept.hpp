#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <span>

#include "tilt/core/generation.hpp"

namespace tilt {

/// What a policy can do beyond drawing continuations; in a sampler's `needs`, what it asks for.
struct Capabilities {
  bool tokens = true;         ///< responses carry token ids, and a prefix of ids can be continued
  bool segments = false;      ///< serves a `SegmentRule` of finite entropy
  bool log_probs = false;     ///< fills `log_probs` and `raw_log_probs`
  bool score_forced = false;  ///< `log_probs(prompt, response)` of a given response
  bool logits = false;        ///< the full next-token law of a position
  bool concurrent = false;    ///< `generate` may be called by several threads at once

  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

/// A frozen language model, or anything else that continues prompts.
///
/// Syntax: `p.generate(std::span<const Generation> work, std::span<Response> out)`, both of one size,
/// `out` empty responses.
///
/// Semantics (checked by `testing::check_policy`): `out[i]` becomes the continuation of `work[i]`,
/// the prefix not repeated; at most `max_tokens` new tokens; a draw of the base law that
/// `work[i].law` describes; the end token included when the model stopped by itself, and nothing
/// after it; log-probs one per token, or none. A policy that cannot serve a field of the law, or an
/// entropy rule, throws. An item that fails alone is reported by `PartialFailure`; what else is
/// thrown fails the whole batch.
///
/// Optional members: `capabilities` (a static constexpr `Capabilities`, or a member function when it
/// depends on the loaded model; else the defaults hold), `end_token()` and `is_end(Token)` (lets the
/// decoder check that nothing follows the end), `fingerprint()` (text that changes with the model).
///
/// One policy object is never called by two threads at once unless it says `concurrent`.
template <class P>
concept Policy =
    requires(P& p, std::span<const Generation> work, std::span<Response> out) {
      { p.generate(work, out) } -> std::same_as<void>;
    };

/// News of one submitted generation: fresh tokens, and the whole continuation when it has finished,
/// or why it failed.
struct Progress {
  std::uint64_t ticket = 0;
  TokenSpan fresh = {};                ///< tokens since the last news; valid until the next call
  const Response* finished = nullptr;  ///< set once, with the last news
  std::exception_ptr error = {};       ///< set instead when it failed
};

/// A policy that also works piece by piece, so that nobody waits for the longest response.
///
/// Syntax: `submit(ticket, generation)` never blocks; `step(deadline)` works until there is news or
/// the deadline passes and returns a span of `Progress`, valid until the next call; `cancel(ticket)`
/// frees the slot, and is harmless for a ticket that has finished.
template <class P>
concept AsyncPolicy =
    Policy<P> && requires(P& p, std::uint64_t ticket, const Generation& work,
                          std::chrono::steady_clock::time_point deadline) {
      { p.submit(ticket, work) } -> std::same_as<void>;
      { p.step(deadline) } -> std::convertible_to<std::span<const Progress>>;
      { p.cancel(ticket) } -> std::same_as<void>;
    };

/// A policy that gives the logits of the token that follows a response: anything with `data()` and
/// `size()`, of doubles or floats.
template <class P>
concept HasLogits = requires(P& p, const Prompt& prompt, const Response& response) {
  { *p.logits(prompt, response).data() } -> std::convertible_to<double>;
  { p.logits(prompt, response).size() } -> std::convertible_to<std::size_t>;
};

/// True for a policy whose capabilities are known when compiling.
template <class P>
concept HasStaticCapabilities = requires {
  requires std::same_as<std::remove_cvref_t<decltype(std::remove_cvref_t<P>::capabilities)>,
                        Capabilities>;
};

/// The capabilities of a policy: its own word, or the defaults.
template <class P>
[[nodiscard]] constexpr Capabilities capabilities_of([[maybe_unused]] const P& policy) {
  if constexpr (HasStaticCapabilities<P>) {
    return P::capabilities;
  } else if constexpr (requires {
                         { policy.capabilities() } -> std::convertible_to<Capabilities>;
                       }) {
    return policy.capabilities();
  } else {
    return {};
  }
}

}  // namespace tilt

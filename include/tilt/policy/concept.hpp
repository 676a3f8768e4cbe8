#pragma once

#include <concepts>
#include <span>
#include <type_traits>

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
  /// Where a response has tokens and text, its `ends` come with them, so that a prefix of its tokens can
  /// be kept together with its text. Asked for only together with `tokens`.
  bool ends = true;

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
/// entropy rule, throws. An item that fails alone is reported by `PartialFailure`, with one entry per
/// item; what else is thrown fails the whole batch: of several items each is then run again alone
/// (`Driver`), so that one prompt that no call survives fails by itself.
///
/// Text and tokens stay together: a response with both has `ends`, the offset in `text` at which each
/// token's bytes end, or the policy has `detokenize`, by which the decoder finds them. A sampler that
/// continues prefixes, such as QAlign, fails on a response of several tokens whose text it cannot cut.
///
/// Optional members: `capabilities` (a static constexpr `Capabilities`, or a member function when it
/// depends on the loaded model; else the defaults hold), `fingerprint()` (text that changes with the
/// model), and the abilities of tilt/policy/abilities.hpp: `is_end(Token)` and `end_token()` (let the
/// decoder check that nothing follows the end), `detokenize(TokenSpan)`, `logits`, `log_probs`, ...
///
/// One policy object is never called by two threads at once unless it says `concurrent`.
template <class P>
concept Policy = requires(P& p, std::span<const Generation> work, std::span<Response> out) {
  { p.generate(work, out) } -> std::same_as<void>;
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

#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tilt/policy/concept.hpp"

namespace tilt {

// What a policy may be able to do beyond the concept, one definition each. Each holds of a type P and of
// P& alike.

/// Tells the logits of the token that follows a response: `logits(prompt, response)`, anything with
/// `data()` and `size()`, of doubles or floats. Valid until the policy is called again.
template <class P>
concept HasLogits = requires(P& p, const Prompt& prompt, const Response& response) {
  requires std::floating_point<std::remove_cvref_t<decltype(*p.logits(prompt, response).data())>>;
  { p.logits(prompt, response).size() } -> std::convertible_to<std::size_t>;
};

/// Scores given responses: `log_probs(prompt, response)`, nats per token under the model's own law.
template <class P>
concept HasLogProbs = requires(P& p, const Prompt& prompt, const Response& response) {
  { p.log_probs(prompt, response) } -> std::convertible_to<std::vector<double>>;
};

/// Scores given responses under any law: `log_probs(prompt, response, law)`, nats per token; -infinity
/// for a token that the law excludes.
template <class P>
concept HasLogProbsOfLaw = requires(P& p, const Prompt& prompt, const Response& response,
                                    const SamplingLaw& law) {
  { p.log_probs(prompt, response, law) } -> std::convertible_to<std::vector<double>>;
};

/// Works the certainties of a response's positions out by itself: `self_certainty(prompt, response)`,
/// nats, one per token.
template <class P>
concept HasSelfCertainty = requires(P& p, const Prompt& prompt, const Response& response) {
  { p.self_certainty(prompt, response) } -> std::convertible_to<std::span<const double>>;
};

/// Tells of a token whether it ends a response: `is_end(token)`.
template <class P>
concept HasIsEnd = requires(P& p, Token token) {
  { p.is_end(token) } -> std::convertible_to<bool>;
};

/// Tells the token that ends a response: `end_token()`, -1 for none.
template <class P>
concept HasEndToken = requires(P& p) {
  { p.end_token() } -> std::convertible_to<Token>;
};

/// Turns ids into their text: `detokenize(TokenSpan)`, bytes.
template <class P>
concept HasDetokenize = requires(P& p, TokenSpan tokens) {
  { p.detokenize(tokens) } -> std::convertible_to<std::string>;
};

/// Turns plain text into ids: `tokenize(text)`, a vector or span of ids.
template <class P>
concept HasTokenize = requires(P& p, std::string_view text) {
  { p.tokenize(text)[0] } -> std::convertible_to<Token>;
  { p.tokenize(text).size() } -> std::convertible_to<std::size_t>;
};

/// Tells a token's bytes: `piece(token)`; it throws a PolicyError for one that is not in the vocabulary.
template <class P>
concept HasPiece = requires(P& p, Token token) {
  { p.piece(token) } -> std::convertible_to<std::string>;
};

/// Appends a token's bytes to the text before it, on which they may depend: `append_text(token, text)`.
template <class P>
concept HasAppendText = requires(P& p, Token token, std::string& text) {
  p.append_text(token, text);
};

/// Tells its model apart from others: `fingerprint()`, text that changes with the model.
template <class P>
concept HasFingerprint = requires(P& p) {
  { p.fingerprint() } -> std::convertible_to<std::string>;
};

/// Whether a token ends a response; nothing where the policy does not say.
template <class P>
[[nodiscard]] std::optional<bool> ends_response([[maybe_unused]] P& policy,
                                                [[maybe_unused]] Token token) {
  if constexpr (HasIsEnd<P>) {
    return policy.is_end(token);
  } else if constexpr (HasEndToken<P>) {
    return policy.end_token() >= 0 && token == policy.end_token();
  } else {
    return {};
  }
}

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
concept AsyncPolicy = Policy<P> && requires(P& p, std::uint64_t ticket, const Generation& work,
                                            std::chrono::steady_clock::time_point deadline) {
  { p.submit(ticket, work) } -> std::same_as<void>;
  { p.step(deadline) } -> std::convertible_to<std::span<const Progress>>;
  { p.cancel(ticket) } -> std::same_as<void>;
};

}  // namespace tilt

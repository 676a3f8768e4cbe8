#pragma once

#include <concepts>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tilt/core/held.hpp"
#include "tilt/policy/abilities.hpp"

namespace tilt {

/// A policy that several decoders on several threads may share: one call at a time, the others wait.
///
///     auto shared = serialized(policy);
///
/// Law, capabilities and errors are the policy's own. What the policy can do beyond `generate`, this can
/// do, each call under the same lock: the members below are there where the policy has them, and what
/// they give is a copy. It claims `logits` and `score_forced` only together with the members. It works
/// in whole batches, also where the policy works piece by piece (`AsyncPolicy`): a wait for news would
/// hold the lock.
///
/// A policy given as an lvalue is held by reference, as an rvalue it is owned. Cannot be copied or
/// moved: pass it by reference.
template <Policy P>
class Serialized {
  using Inner = std::remove_reference_t<P>;

 public:
  explicit Serialized(P&& policy) : policy_(std::forward<P>(policy)) {}
  Serialized(const Serialized&) = delete;
  Serialized& operator=(const Serialized&) = delete;

  [[nodiscard]] Capabilities capabilities() const {
    Capabilities all = locked([](const Inner& policy) { return capabilities_of(policy); });
    all.logits = all.logits && HasLogits<Inner>;
    all.score_forced = all.score_forced && HasLogProbs<Inner>;
    all.concurrent = true;
    return all;
  }

  void generate(std::span<const Generation> work, std::span<Response> out) {
    locked([&](Inner& policy) { policy.generate(work, out); });
  }

  [[nodiscard]] bool is_end(Token token) const requires HasIsEnd<Inner> {
    return locked([&](Inner& policy) -> bool { return policy.is_end(token); });
  }
  [[nodiscard]] Token end_token() const requires HasEndToken<Inner> {
    return locked([](Inner& policy) -> Token { return policy.end_token(); });
  }
  [[nodiscard]] std::string detokenize(TokenSpan tokens) requires HasDetokenize<Inner> {
    return locked([&](Inner& policy) -> std::string { return policy.detokenize(tokens); });
  }

  /// The logits of the token that follows a response, in the policy's number type.
  [[nodiscard]] auto logits(const Prompt& prompt,
                            const Response& response) requires HasLogits<Inner> {
    return locked([&](Inner& policy) {
      auto&& logits = policy.logits(prompt, response);
      using Scalar = std::remove_cvref_t<decltype(*logits.data())>;
      return std::vector<Scalar>(logits.data(),
                                 logits.data() + static_cast<std::size_t>(logits.size()));
    });
  }
  /// log p of each token of a given response, nats.
  [[nodiscard]] std::vector<double> log_probs(
      const Prompt& prompt, const Response& response) requires HasLogProbs<Inner> {
    return locked(
        [&](Inner& policy) -> std::vector<double> { return policy.log_probs(prompt, response); });
  }
  [[nodiscard]] std::vector<double> log_probs(const Prompt& prompt, const Response& response,
                                              const SamplingLaw& law) requires
      HasLogProbsOfLaw<Inner> {
    return locked([&](Inner& policy) -> std::vector<double> {
      return policy.log_probs(prompt, response, law);
    });
  }
  [[nodiscard]] std::vector<double> self_certainty(
      const Prompt& prompt, const Response& response) requires HasSelfCertainty<Inner> {
    return locked([&](Inner& policy) {
      const auto certainties = policy.self_certainty(prompt, response);
      const std::span<const double> values(certainties);
      return std::vector<double>(values.begin(), values.end());
    });
  }

  [[nodiscard]] std::string fingerprint() const requires HasFingerprint<Inner> {
    return locked([](Inner& policy) -> std::string { return policy.fingerprint(); });
  }
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text) requires HasTokenize<Inner> {
    return locked([&](Inner& policy) {
      const auto tokens = policy.tokenize(text);
      return std::vector<Token>(tokens.begin(), tokens.end());
    });
  }
  [[nodiscard]] std::string piece(Token token) requires HasPiece<Inner> {
    return locked([&](Inner& policy) -> std::string { return policy.piece(token); });
  }
  void append_text(Token token, std::string& text) requires HasAppendText<Inner> {
    locked([&](Inner& policy) { policy.append_text(token, text); });
  }

 private:
  template <class Call>
  auto locked(Call&& call) const {
    const std::scoped_lock lock(mutex_);
    return call(policy_.get());
  }

  mutable std::mutex mutex_ = {};
  Held<P> policy_;
};

/// Makes a policy safe to share between threads.
template <class P>
[[nodiscard]] Serialized<P> serialized(P&& policy) {
  return Serialized<P>(std::forward<P>(policy));
}

}  // namespace tilt

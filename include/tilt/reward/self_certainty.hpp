#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "tilt/core/held.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/response.hpp"
#include "tilt/policy/abilities.hpp"
#include "tilt/reward/concept.hpp"

namespace tilt {

/// KL(uniform || p) of a next-token law p, nats, at least 0: how far it is from knowing nothing. By its
/// logits z over V possible tokens it is
///
///     -(1/V) sum_j log(V p_j) = log sum_j exp(z_j) - (1/V) sum_j z_j - log V.
///
/// A logit of -infinity is a token that the model can never say, such as a masked one; it would make the
/// divergence infinite. Such tokens are left out: V and the sums are over the others. One possible token
/// has 0.
///
/// Cost: two passes over the logits.
/// @param logits  of one position, over the whole vocabulary, temperature 1
/// @throws RewardError when there are none, one is NaN or +infinity, or all are -infinity
template <std::floating_point Scalar>
[[nodiscard]] double certainty_of(std::span<const Scalar> logits) {
  double largest = -infinity, sum = 0;
  std::size_t possible = 0;
  for (const Scalar logit : logits) {
    const auto z = static_cast<double>(logit);
    if (!(z < infinity)) {
      throw RewardError(std::string("the policy returned a logit of ") +
                        (std::isnan(z) ? "NaN" : "+infinity"));
    }
    if (z == -infinity) continue;
    ++possible;
    sum += z;
    largest = z > largest ? z : largest;
  }
  if (possible == 0) throw RewardError("the policy returned no logits of possible tokens");
  double total = 0;
  for (const Scalar logit : logits) total += std::exp(static_cast<double>(logit) - largest);
  const auto v = static_cast<double>(possible);
  return std::max(0.0, largest + std::log(total) - sum / v - std::log(v));
}

/// r(x, y) = the mean over the tokens of y of KL(uniform || p(. | x, y_1 .. y_t)), t = 0 .. |y|-1, nats,
/// at least 0: how sure a model is of its answer, without a reward model.
///
///     SelfCertainty reward{policy};
///
/// The law of position t is that of token t+1, so the first one is the law after the prompt alone, and
/// the last one the law from which the last token, the end token included, was drawn; what would follow
/// it plays no part. The laws are the model's own, at temperature 1 over the whole vocabulary, whatever
/// the `SamplingLaw` was: the probabilities of a few best tokens do not suffice. Tokens that the model
/// cannot say are left out (`certainty_of`).
///
/// Made for `BordaVote`: comparable between responses to one prompt, not between models of different
/// vocabularies. Prefixes can be scored, but an empty one has no mean: `Cards` needs alpha = 1, and a decoder refuses
/// others (`scores_bare_prompt`).
///
/// A policy given as an lvalue is held by reference, as an rvalue it is owned; it need not be the one
/// that the response comes from. The policy's own rules on threads hold.
///
/// Cost: one pass of the model over the response with the policy's own `self_certainty`, as
/// `llama::Policy` has it; otherwise one call of `logits` per token, with prefixes of tokens and text
/// (no log-probs), each an extension of the one before.
///
/// Source: Kang et al. 2025 (2502.18581). The authors' code takes its slice of positions one too late:
/// it leaves the law of the first token out and takes the one that follows the last token in.
template <class P>
class SelfCertainty {
  static_assert(HasSelfCertainty<P> || HasLogits<P>,
                "tilt::SelfCertainty needs a policy that gives full next-token logits: a member "
                "logits(const tilt::Prompt&, const tilt::Response&) as tilt::LogitPolicy and "
                "tilt::llama::Policy have, or self_certainty of the same arguments");

 public:
  static constexpr bool partial = true;
  static constexpr bool scores_bare_prompt = false;

  explicit SelfCertainty(P&& policy) : policy_(std::forward<P>(policy)) {}

  /// @throws PartialFailure with, for each item that failed: RewardError for a response without token
  ///         ids, or of logits that are no law; what the policy throws
  void score(std::span<const Scoring> work, std::span<double> out) const {
    for_each_isolated(work.size(), [&](std::size_t i) {
      out[i] = mean_certainty(*work[i].prompt, *work[i].response);
    });
  }

 private:
  [[nodiscard]] double mean_certainty(const Prompt& prompt, const Response& response) const {
    const std::size_t n = response.size();
    if (n == 0) {
      throw RewardError(response.text.empty()
                            ? "an empty response has no self-certainty: it is a mean over tokens"
                            : "a response of text without token ids has no self-certainty");
    }
    auto& policy = policy_.get();
    double sum = 0;
    if constexpr (HasSelfCertainty<P>) {
      const auto certainties = policy.self_certainty(prompt, response);
      if (certainties.size() != n) {
        throw RewardError("the policy gave " + std::to_string(certainties.size()) +
                          " certainties for a response of " + std::to_string(n) + " tokens");
      }
      for (const double certainty : certainties) sum += certainty;
    } else {
      Response context;  // the tokens so far, with their text where it is known
      const bool has_ends = response.ends.size() == n;
      for (std::size_t t = 0; t < n; ++t) {
        const auto& logits = policy.logits(prompt, std::as_const(context));
        using Scalar = std::remove_cvref_t<decltype(*logits.data())>;
        sum += certainty_of(
            std::span<const Scalar>(logits.data(), static_cast<std::size_t>(logits.size())));
        context.tokens.push_back(response.tokens[t]);
        if (!has_ends) continue;
        context.text.append(response.text, context.text.size(),
                            response.ends[t] - context.text.size());
        context.ends.push_back(response.ends[t]);
      }
    }
    return sum / static_cast<double>(n);
  }

  Held<P> policy_;
};

template <class P>
SelfCertainty(P&&) -> SelfCertainty<P>;

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "tilt/core/check.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/policy/concept.hpp"

namespace tilt {

/// What is wrong with a continuation that a policy gave (the prefix not repeated), as a sentence that
/// begins with "it"; empty when it is well formed.
///
/// Token ids are at least 0; `ends` divide the text; log-probs, also raw ones, are one per token or
/// none, finite and at most 0 (a ten-thousandth of a nat above is rounding): a token that was drawn has
/// a probability. `Finish::segment` belongs to a segment that was asked for.
/// @param needs      what the sampler needs of the policy: with `tokens` at least one token, with `ends`
///                   too a text that can be cut together with its tokens; with `log_probs` both of them
/// @param cancelled  true for what was drawn when the work was cancelled: it ends anywhere, with
///                   `Finish::segment`, and is never continued
[[nodiscard]] inline std::string fault_of_continuation(const Generation& work, const Response& y,
                                                       const Capabilities& needs, bool cancelled) {
  const std::size_t n = y.tokens.size();
  const std::size_t most = std::min(work.max_tokens, work.until ? work.until->max_tokens : npos);
  if (y.finish == Finish::error) return "it reported finish = error";
  if (n > most) {
    return "it returned " + std::to_string(n) + " tokens where at most " + std::to_string(most) +
           " were asked for";
  }
  if (needs.tokens && n == 0) return "it returned no tokens, not even an end token";
  for (const Token token : y.tokens) {
    if (token < 0)
      return "it returned the token id " + std::to_string(token) + "; ids are at least 0";
  }
  if (y.finish == Finish::segment && !cancelled) {
    if (!work.until) return "it reported finish = segment where no segment was asked for";
    if (n < work.until->min_tokens) {
      return "it ended a segment after " + std::to_string(n) + " tokens where at least " +
             std::to_string(work.until->min_tokens) + " were asked for";
    }
  }
  if (needs.log_probs && (y.log_probs.size() != n || y.raw_log_probs.size() != n)) {
    return "it did not fill both log_probs and raw_log_probs, which this sampler needs";
  }
  constexpr double rounding = 1e-4;  // nats; `testing::PolicyCheck::tolerance` is the same
  for (const auto* log_probs : {&y.log_probs, &y.raw_log_probs}) {
    if (!log_probs->empty() && log_probs->size() != n) {
      return "it returned " + std::to_string(log_probs->size()) + " log-probs for " +
             std::to_string(n) + " tokens";
    }
    for (const double log_prob : *log_probs) {
      if (!(log_prob > -infinity && log_prob <= rounding)) {
        return "it returned a log-prob of " + to_text(log_prob) +
               " for a token that it drew; it must be finite and at most 0";
      }
    }
  }
  const bool has_ends = !y.ends.empty();
  if (has_ends && (y.ends.size() != n || !std::is_sorted(y.ends.begin(), y.ends.end()) ||
                   y.ends.back() != y.text.size())) {
    return "its ends do not divide the text into tokens";
  }
  const Response& prefix = work.prefix;
  const bool can_cut = (y.ends.size() == n && prefix.ends.size() == prefix.size()) ||
                       (y.text.empty() && prefix.text.empty()) || prefix.size() + n < 2;
  if (needs.tokens && needs.ends && !can_cut && !cancelled) {
    return "it returned text without `ends`, so that the text of a prefix is unknown, and this "
           "sampler "
           "continues prefixes; fill Response::ends, or give the policy a member "
           "detokenize(tokens) "
           "that gives this text";
  }
  return {};
}

}  // namespace tilt

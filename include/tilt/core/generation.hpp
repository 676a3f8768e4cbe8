#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/response.hpp"

namespace tilt {

/// The base law p: how the next token is drawn from a policy's logits. The fields apply in the order
/// in which they stand, each step renormalises, and ties go to the lower id. The defaults are
/// neutral: the model's own law.
struct SamplingLaw {
  double temperature = 1;  ///< divides the logits; 0 is the argmax
  std::size_t top_k = 0;   ///< keep the k most probable tokens; 0 keeps all
  double top_p = 1;        ///< keep the fewest most probable tokens that reach this mass, (0, 1]
  double min_p = 0;        ///< keep tokens of at least this share of the largest probability
  std::vector<std::string> stop = {};   ///< text that ends a response; it stays in the response
  std::vector<Token> stop_tokens = {};  ///< further tokens that end a response; they stay in it
  std::string extra = {};               ///< settings only the engine understands; part of every key

  /// True for the model's own law: nothing is reshaped, truncated or stopped early.
  [[nodiscard]] bool neutral() const {
    return temperature == 1 && top_k == 0 && top_p == 1 && min_p == 0 && stop.empty() &&
           stop_tokens.empty() && extra.empty();
  }

  friend bool operator==(const SamplingLaw&, const SamplingLaw&) = default;
};

/// Where a segment ends: having emitted at least `min_tokens`, stop *before* the token whose
/// predictive entropy reaches the threshold; that token opens the next segment. Never more than
/// `max_tokens`. An infinite entropy means segments of fixed length, which any policy serves.
struct SegmentRule {
  double entropy = 3.0;  ///< nats, of the next token over the full vocabulary at temperature 1
  std::size_t min_tokens = 4, max_tokens = 64;

  /// True when a policy has to look at its own next-token law to serve the rule.
  [[nodiscard]] bool needs_entropy() const { return entropy < infinity; }

  friend bool operator==(const SegmentRule&, const SegmentRule&) = default;
};

/// One piece of work for a policy: continue `prefix`.
struct Generation {
  Prompt prompt = {};
  Response prefix = {};          ///< what is kept of an earlier response; empty to start afresh
  std::size_t max_tokens = 256;  ///< new tokens, at least 1
  SamplingLaw law = {};
  std::optional<SegmentRule> until = {};  ///< stop at the end of a segment
  std::uint64_t seed = 0;      ///< set by the session: f(seed, stream, lane, round, index)
  std::uint64_t affinity = 0;  ///< set by the session: the same for all work that shares prefixes
};

/// One piece of work for a reward model. Both pointers are set and outlive the call.
struct Scoring {
  const Prompt* prompt = nullptr;
  const Response* response = nullptr;
};

/// Every policy and sampler that takes a law checks it by this.
/// @param owner  the options that hold the law, for the message: "QAlignOptions.law"
/// @throws InvalidOption when a field is out of its range
inline void check_law(const SamplingLaw& law, std::string_view owner) {
  // The names are put together only for a message: this is asked for each draw.
  const auto refuse = [owner](const char* field, std::string value, const char* legal) {
    throw InvalidOption(std::string(owner) + '.' + field, std::move(value), legal);
  };
  if (!(std::isfinite(law.temperature) && law.temperature >= 0)) {
    refuse("temperature", to_text(law.temperature), "a finite number >= 0");
  }
  if (!(law.top_p > 0 && law.top_p <= 1)) {
    refuse("top_p", to_text(law.top_p), "a number > 0 and <= 1");
  }
  if (!(law.min_p >= 0 && law.min_p <= 1)) {
    refuse("min_p", to_text(law.min_p), "a number from 0 to 1");
  }
  for (const std::string& stop : law.stop) {
    if (stop.empty()) refuse("stop", "an empty string", "non-empty text");
  }
  for (const Token token : law.stop_tokens) {
    if (token < 0) refuse("stop_tokens", std::to_string(token), "ids of at least 0");
  }
}

/// @throws InvalidOption when a field is out of its range or min_tokens exceeds max_tokens
inline void check_segment(const SegmentRule& rule, std::string_view owner) {
  const auto refuse = [owner](const char* field, std::string value, const char* legal) {
    throw InvalidOption(std::string(owner) + '.' + field, std::move(value), legal);
  };
  if (!(rule.entropy >= 0)) refuse("entropy", to_text(rule.entropy), "a number >= 0 (nats)");
  if (rule.min_tokens < 1) refuse("min_tokens", to_text(rule.min_tokens), "at least 1");
  if (rule.max_tokens < rule.min_tokens) {
    refuse("max_tokens", to_text(rule.max_tokens), "at least min_tokens");
  }
}

}  // namespace tilt

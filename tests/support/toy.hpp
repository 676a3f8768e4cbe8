#pragma once

// Models small enough to enumerate, with reference numbers that were computed independently.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tilt/core/generation.hpp"
#include "tilt/policy/logit_policy.hpp"
#include "tilt/reward/reward_function.hpp"
#include "tilt/testing/enumerate.hpp"

/// Tokens a, b and an end token, at most four tokens: 31 responses. Longer responses are likelier to
/// end, a's and b's repeat themselves, and b's pay while length costs.
namespace toy {

inline constexpr tilt::Token a = 0, b = 1, end = 2;
inline constexpr std::size_t max_tokens = 4;
inline constexpr double beta = 0.7;

inline std::size_t count_of(tilt::Token token, tilt::TokenSpan tokens) {
  return static_cast<std::size_t>(std::count(tokens.begin(), tokens.end(), token));
}

/// log of 2 + [last is b], 1 + (number of b) / 2, 1/2 + (number of tokens) / 2. The context is the
/// response alone: prompts are text or empty.
inline std::vector<double> logits(tilt::TokenSpan context) {
  const double last_is_b = !context.empty() && context.back() == b ? 1 : 0;
  return {std::log(2 + last_is_b), std::log(1 + 0.5 * static_cast<double>(count_of(b, context))),
          std::log(0.5 + 0.5 * static_cast<double>(context.size()))};
}

inline auto policy() {
  return tilt::LogitPolicy(end, [](tilt::TokenSpan context) { return logits(context); });
}

/// (number of b) - 0.4 (number of tokens) + 0.6 [ended by itself].
inline double reward_of(tilt::TokenSpan tokens) {
  const bool ended = !tokens.empty() && tokens.back() == end;
  return static_cast<double>(count_of(b, tokens)) - 0.4 * static_cast<double>(tokens.size()) +
         (ended ? 0.6 : 0.0);
}

inline auto reward() {
  return tilt::RewardFunction(
      [](const tilt::Prompt&, const tilt::Response& y) { return reward_of(y.tokens); });
}

/// The base law over the 31 responses.
inline tilt::testing::ResponseLaw base_law(const tilt::SamplingLaw& law = {}) {
  auto model = policy();
  return tilt::testing::enumerate(model, tilt::Prompt{}, max_tokens, law);
}

/// One reward per response of a law.
inline std::vector<double> rewards_of(const tilt::testing::ResponseLaw& law) {
  return law.evaluate([](const tilt::Response& y) { return reward_of(y.tokens); });
}

/// The base law times exp(reward / beta).
inline tilt::testing::ResponseLaw tilted_law(double at_beta = beta) {
  const tilt::testing::ResponseLaw law = base_law();
  return tilt::testing::tilted(law, rewards_of(law), at_beta);
}

}  // namespace toy

/// Four tokens, no end token, responses of about six tokens in segments of two to four that end by
/// entropy: the golden example for CARDS. The prompt is empty.
namespace cards_toy {

inline constexpr std::size_t max_tokens = 6;
inline constexpr double beta = 0.7, alpha = 0.5, reward_goal = 1.2;
inline const tilt::SamplingLaw law = {.temperature = 0.7, .top_k = 3};
inline constexpr tilt::SegmentRule segment = {.entropy = 1.0, .min_tokens = 2, .max_tokens = 4};

/// logit of v: 1.6 sin(1.3 v + 0.9 n + 0.5 f) with f = sum over i of (i + 1) (s_i + 1).
inline std::vector<double> logits(tilt::TokenSpan context) {
  double f = 0;
  for (std::size_t i = 0; i < context.size(); ++i) {
    f += static_cast<double>(i + 1) * (context[i] + 1);
  }
  std::vector<double> values(4);
  for (std::size_t v = 0; v < values.size(); ++v) {
    values[v] = 1.6 * std::sin(1.3 * static_cast<double>(v) +
                               0.9 * static_cast<double>(context.size()) + 0.5 * f);
  }
  return values;
}

inline auto policy() {
  return tilt::LogitPolicy(-1, [](tilt::TokenSpan context) { return logits(context); });
}

/// cos(0.8 n + 0.35 h) + 0.15 n / 6 with h = sum over i of (i + 1)^0.7 (s_i + 1); also of prefixes, 1
/// of the empty response.
inline double reward_of(tilt::TokenSpan tokens) {
  double h = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    h += std::pow(static_cast<double>(i + 1), 0.7) * (tokens[i] + 1);
  }
  const auto n = static_cast<double>(tokens.size());
  return std::cos(0.8 * n + 0.35 * h) + 0.15 * n / 6;
}

inline auto reward() {
  return tilt::RewardFunction(
      [](const tilt::Prompt&, const tilt::Response& y) { return reward_of(y.tokens); });
}

/// The segments that can follow a prefix, joined to it, with their probabilities.
/// @param most  new tokens at most: what is left of the response
inline tilt::testing::ResponseLaw segments(const tilt::Response& prefix, std::size_t most) {
  auto model = policy();
  return tilt::testing::enumerate(
      model, {.prefix = prefix, .max_tokens = most, .law = law, .until = segment});
}

}  // namespace cards_toy

#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/policy/concept.hpp"

namespace tilt {

/// A prompt as plain text: text as it is; messages as "role: content" lines; ids as nothing.
[[nodiscard]] inline std::string plain_text(const Prompt& prompt) {
  if (!prompt.is_messages()) return std::string(prompt.text());
  std::string text;
  for (const Message& message : prompt.messages()) {
    text += message.role + ": " + message.content + '\n';
  }
  return text;
}

/// A generator that only speaks text: `std::string(std::string_view)`, or
/// `std::string(std::string_view, const Generation&)` to learn of the law, the cap and the seed.
///
///     TextPolicy policy{[](std::string_view text) -> std::string { ... }};
///
/// Its base law is whatever the function does; `max_tokens` and the sampling law are for a function
/// of two arguments to honour. Responses have text and no tokens (an empty text is legal), so that
/// samplers that keep prefixes refuse it when compiling, and a token budget never ends a run.
/// Cost: one call per generation.
/// @throws PolicyError from `generate` when it is given a prefix to continue
template <class F>
class TextPolicy {
 public:
  static constexpr Capabilities capabilities = {.tokens = false};

  explicit TextPolicy(F function) : function_(std::move(function)) {
    static_assert(takes_text || takes_generation,
                  "tilt::TextPolicy needs a function std::string(std::string_view), or "
                  "std::string(std::string_view, const tilt::Generation&)");
  }

  void generate(std::span<const Generation> work, std::span<Response> out) {
    for_each_isolated(work.size(), [&](std::size_t i) {
      if (!work[i].prefix.empty()) throw PolicyError("a TextPolicy cannot continue a prefix");
      if constexpr (takes_generation) {
        out[i].text = function_(std::string_view(plain_text(work[i].prompt)), work[i]);
      } else {
        out[i].text = function_(std::string_view(plain_text(work[i].prompt)));
      }
      out[i].finish = Finish::stop;
    });
  }

 private:
  static constexpr bool takes_generation =
      std::is_invocable_r_v<std::string, F&, std::string_view, const Generation&>;
  static constexpr bool takes_text = std::is_invocable_r_v<std::string, F&, std::string_view>;

  F function_;
};

}  // namespace tilt

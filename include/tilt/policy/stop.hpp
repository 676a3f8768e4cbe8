#pragma once

#include <algorithm>
#include <string_view>

#include "tilt/core/generation.hpp"

namespace tilt {

/// Whether the newest bytes of a text complete one of a law's stop strings. The match may begin in
/// what was there before.
/// @param text   prefix and continuation so far, bytes
/// @param fresh  how many bytes the newest token added
[[nodiscard]] inline bool completes_stop(const SamplingLaw& law, std::string_view text,
                                         std::size_t fresh) {
  for (const std::string_view stop : law.stop) {
    const std::size_t reach = std::min(text.size(), fresh + stop.size() - 1);
    if (text.substr(text.size() - reach).find(stop) != std::string_view::npos) return true;
  }
  return false;
}

/// Whether a token is one of a law's stop tokens.
[[nodiscard]] inline bool is_stop_token(const SamplingLaw& law, Token token) {
  return std::find(law.stop_tokens.begin(), law.stop_tokens.end(), token) != law.stop_tokens.end();
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/policy/abilities.hpp"

namespace tilt {

/// Fills `ends` of a continuation that lacks them by the policy's `detokenize`, so that its text can be
/// cut together with its tokens. Does nothing for a policy without it. `ends` stay absent where what it
/// gives is not the text of the continuation.
///
/// Token by token where the pieces make up the text. Where a piece depends on those before it, each
/// prefix is turned into text: the bytes of a character that is not complete yet (shown as U+FFFD) count
/// with the token that completes it.
///
/// Cost: one call of `detokenize` for the whole and one per token; in the second case these are of
/// whole prefixes, so that it is quadratic in the length.
/// @param prefix  what the continuation continues, with its text
template <class P>
void fill_ends([[maybe_unused]] P& policy, [[maybe_unused]] const Response& prefix,
               [[maybe_unused]] Response& continuation) {
  if constexpr (HasDetokenize<P>) {
    const std::vector<Token>& tokens = continuation.tokens;
    const std::string& text = continuation.text;
    if (tokens.empty() || !continuation.ends.empty()) return;
    const std::string whole = prefix.text + text;
    std::vector<Token> context = prefix.tokens;
    context.insert(context.end(), tokens.begin(), tokens.end());
    if (policy.detokenize(TokenSpan(context)) != whole) return;
    std::vector<std::uint32_t> ends;
    ends.reserve(tokens.size());

    std::size_t end = 0;
    for (const Token& token : tokens) {
      const std::string piece = policy.detokenize(TokenSpan(&token, 1));
      if (text.compare(end, piece.size(), piece) != 0) break;
      end += piece.size();
      ends.push_back(static_cast<std::uint32_t>(end));
    }
    if (ends.size() == tokens.size() && end == text.size()) {
      continuation.ends = std::move(ends);
      return;
    }

    context.resize(prefix.size());
    ends.clear();
    for (const Token token : tokens) {
      context.push_back(token);
      const std::string seen = policy.detokenize(TokenSpan(context));
      const auto differ = std::mismatch(seen.begin(), seen.end(), whole.begin(), whole.end());
      const auto same = static_cast<std::size_t>(differ.first - seen.begin());
      std::string_view rest = std::string_view(seen).substr(same);
      while (rest.starts_with("\xef\xbf\xbd")) rest.remove_prefix(3);
      if (!rest.empty()) return;
      const std::size_t last = ends.empty() ? 0 : ends.back();
      const std::size_t here = same < prefix.text.size() ? 0 : same - prefix.text.size();
      if (here < last) return;
      ends.push_back(static_cast<std::uint32_t>(here));
    }
    continuation.ends = std::move(ends);
  }
}

}  // namespace tilt

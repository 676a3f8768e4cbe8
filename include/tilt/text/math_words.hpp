#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "tilt/text/ascii.hpp"
#include "tilt/text/expression_reader.hpp"
#include "tilt/text/latex.hpp"

namespace tilt::detail {

/// Words that join the parts of a list.
[[nodiscard]] inline bool is_joiner(std::string_view word) {
  return word == "and" || word == "or" || word == "und" || word == "oder" || word == "et" ||
         word == "ou" || word == "y" || word == "\xe5\x92\x8c" || word == "\xe6\x88\x96";
}

/// Whether tokens are words and nothing else.
[[nodiscard]] inline bool is_words(MathTokens tokens) {
  bool has_word = false;
  for (const MathToken& token : tokens) {
    const bool fits = token.kind == MathToken::Kind::word ||
                      token.kind == MathToken::Kind::letter ||
                      token.kind == MathToken::Kind::open || token.kind == MathToken::Kind::close ||
                      token.is("-") || token.is("'");
    if (!fits || (token.kind == MathToken::Kind::word && is_joiner(token.text))) return false;
    has_word = has_word || token.kind == MathToken::Kind::word;
  }
  return has_word;
}

/// The tokens side by side, a space where one kept letters or digits apart; words alike in any case.
[[nodiscard]] inline std::string textual(MathTokens tokens) {
  std::string text;
  const bool words = is_words(tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const MathToken& token = tokens[i];
    const bool is_index = i > 1 && tokens[i - 2].is("\\sqrt");  // 2 goes without saying
    if (is_index && token.text == "2" && i + 1 < tokens.size()) {
      text.pop_back();
      ++i;
      continue;
    }
    if (words && (token.kind == MathToken::Kind::open || token.kind == MathToken::Kind::close))
      continue;
    std::string part = token.text;
    if (token.kind == MathToken::Kind::number &&
        !std::all_of(part.begin(), part.end(), Ascii::is_digit)) {
      part = token.number.exact ? Sum::tex_of(*token.number.exact) : token.number.text;
    }
    if (token.kind == MathToken::Kind::word || (words && token.kind == MathToken::Kind::letter)) {
      for (char& c : part) c = Ascii::lower(c);
    }
    const bool apart = token.apart || token.in_text || token.kind == MathToken::Kind::word;
    const bool after_command =
        !text.empty() && text.rfind('\\') != std::string::npos &&
        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(text.rfind('\\')) + 1, text.end(),
                    Ascii::is_letter);
    const bool meets = !text.empty() && !part.empty() && Ascii::is_word(part.front()) &&
                       (Ascii::is_word(text.back()) || text.back() == '\'');
    if (meets && (apart || after_command)) text += ' ';
    text += part;
  }
  if (words && !text.empty()) text[0] = Ascii::upper(text[0]);
  return text;
}

/// Words, or the number that one word is.
[[nodiscard]] inline std::string worded(MathTokens tokens) {
  static constexpr std::string_view numbers[] = {"Zero", "One",    "Two",   "Three", "Four",
                                                 "Five", "Six",    "Seven", "Eight", "Nine",
                                                 "Ten",  "Eleven", "Twelve"};
  std::string text = textual(tokens);
  const auto found = std::find(std::begin(numbers), std::end(numbers), text);
  return found == std::end(numbers) ? text : std::to_string(found - std::begin(numbers));
}

}  // namespace tilt::detail

#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tilt/text/ascii.hpp"
#include "tilt/text/expression_reader.hpp"
#include "tilt/text/latex.hpp"

namespace tilt::detail {

/// Tokens without the unit at their end, and the power of ten of a word such as "million" before it.
struct MeasuredTokens {
  MathTokens tokens = {};
  int power = 0;
};

/// Takes words behind a number, or behind an expression where they are in \text, for its unit: with what
/// belongs to them, as in "cm^2", "m/s" and "dollars per hour". A single letter outside of \text is one
/// only if it is the sign of a unit and stands apart, as in "5 m"; "5m" has a variable.
[[nodiscard]] inline MeasuredTokens without_unit(MathTokens tokens) {
  using Kind = MathToken::Kind;
  constexpr std::string_view signs = "mgshLNJWVK";
  const auto is_unit_letter = [&](const MathToken& token) {
    return token.in_text || signs.find(token.text[0]) != std::string_view::npos;
  };
  // How vague a number is said to be is no part of it.
  static constexpr std::string_view vague[] = {"about",   "approximately", "approx", "around",
                                               "roughly", "nearly",        "exactly"};
  while (tokens.size() > 1 &&
         (tokens[0].is("\\approx") || tokens[0].is(".") ||
          (tokens[0].kind == Kind::word && is_any_of(tokens[0].text, vague)))) {
    tokens = tokens.subspan(1);
  }
  // Where the tokens that may belong to a unit begin.
  std::size_t from = tokens.size();
  for (; from > 1; --from) {
    const MathToken& token = tokens[from - 1];
    bool fits = token.kind == Kind::word || token.is("/") || token.is("^") || token.is(".") ||
                token.is("*") || token.is("(") || token.is(")") || token.kind == Kind::open ||
                token.kind == Kind::close;
    if (token.kind == Kind::letter) fits = is_unit_letter(token);
    if (token.kind == Kind::number || token.is("-")) {
      const std::size_t before = from >= 2 && tokens[from - 2].is("-") ? from - 3 : from - 2;
      fits = before < tokens.size() && before > 0 && tokens[before].kind == Kind::open &&
             tokens[before - 1].is("^");
      if (token.is("-")) fits = fits || (from >= 3 && tokens[from - 3].is("^"));
    }
    if (!fits) break;
  }
  bool has_number = false;
  for (std::size_t i = 0; i < from && i < tokens.size(); ++i) {
    has_number = has_number || tokens[i].kind == Kind::number || tokens[i].kind == Kind::command;
  }
  for (std::size_t i = from < 1 ? 1 : from; i < tokens.size(); ++i) {
    const MathToken &token = tokens[i], &before = tokens[i - 1];
    const bool is_value = before.kind == Kind::number || before.kind == Kind::close ||
                          before.kind == Kind::letter || before.kind == Kind::command ||
                          before.is(")");
    const bool is_constant = token.text == "e" || token.text == "i";
    const bool is_half_day = token.text == "am" || token.text == "pm";  // of a time it is a part
    bool begins = token.kind == Kind::word && !is_half_day && (token.in_text || has_number);
    if (token.kind == Kind::letter && token.in_text) begins = token.apart || !is_constant;
    if (token.kind == Kind::letter && !token.in_text) {
      begins = token.apart && before.kind == Kind::number && is_unit_letter(token);
    }
    if (token.is("(") && i + 2 < tokens.size()) {  // "5 (units)"
      begins = tokens[i + 1].kind == Kind::word && tokens.back().is(")");
    }
    if (!begins || !is_value) continue;
    MathDepth depth;
    for (std::size_t j = 0; j < i; ++j) depth.outside(tokens[j]);
    if (depth.depth() != 0) continue;
    return {tokens.first(i), token.kind == Kind::word ? scale_of(token.text) : 0};
  }
  return {tokens, 0};
}

}  // namespace tilt::detail

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/core/error.hpp"
#include "tilt/reward/text/unicode.hpp"

namespace tilt::constraint {

/// How a number found in a response compares with the number asked for.
enum class Relation {
  less_than,  ///< found < asked
  at_least    ///< found ≥ asked
};

/// Whether `found` stands in the relation to `asked`.
[[nodiscard]] constexpr bool holds(std::size_t found, Relation relation, std::size_t asked) {
  return relation == Relation::less_than ? found < asked : found >= asked;
}

/// A word or phrase to look for, with or without regard to case.
///
/// IFEval takes such words as regular expressions, so a full stop in one stands for any character
/// but a line feed; here too. The other characters that are special in a regular expression are
/// refused, except where they make none ("C++", "+1": nothing to repeat): there they stand for themselves.
class Pattern {
 public:
  enum class Case { exact, ignored };

  /// @param field  names the option in the error
  /// @throws InvalidOption when the text is empty or holds one of \ ^ $ * + ? { } [ ] | ( ), but for a +
  /// beside another one or in front
  Pattern(std::string_view field, std::u32string_view text, Case letter_case = Case::exact)
      : text_(text), case_(letter_case) {
    if (text_.empty() || is_expression()) {
      throw InvalidOption(std::string(field), '"' + unicode::encode(text) + '"',
                          "text of at least one character, without \\ ^ $ * + ? { } [ ] | ( )");
    }
  }

  /// Code points; as many as every match has.
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }

  [[nodiscard]] bool matches_at(std::u32string_view text, std::size_t at) const {
    return at + size() <= text.size() &&
           std::equal(text_.begin(), text_.end(), text.begin() + static_cast<std::ptrdiff_t>(at),
                      [this](char32_t mine, char32_t other) { return matches(mine, other); });
  }

  /// Where the first match at or after `from` starts; npos if there is none.
  [[nodiscard]] std::size_t find(std::u32string_view text, std::size_t from = 0) const {
    for (; from + size() <= text.size(); ++from) {
      if (matches_at(text, from)) return from;
    }
    return std::u32string_view::npos;
  }

  /// The number of matches that do not overlap, taken from left to right.
  [[nodiscard]] std::size_t count(std::u32string_view text) const {
    std::size_t n = 0;
    for (std::size_t at = find(text); at != std::u32string_view::npos;
         at = find(text, at + size())) {
      ++n;
    }
    return n;
  }

 private:
  [[nodiscard]] bool is_expression() const {
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const bool repeats_nothing =
          text_[i] == U'+' &&
          (i == 0 || text_[i - 1] == U'+' || (i + 1 < text_.size() && text_[i + 1] == U'+'));
      if (std::u32string_view(U"\\^$*+?{}[]|()").find(text_[i]) != std::u32string_view::npos &&
          !repeats_nothing) {
        return true;
      }
    }
    return false;
  }
  bool matches(char32_t mine, char32_t other) const {
    if (mine == U'.') return other != U'\n';
    return case_ == Case::exact ? mine == other : unicode::equal_ignoring_case(mine, other);
  }

  std::u32string text_;
  Case case_;
};

}  // namespace tilt::constraint

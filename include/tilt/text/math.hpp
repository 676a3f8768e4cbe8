#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/text/answer_reader.hpp"
#include "tilt/text/ascii.hpp"
#include "tilt/text/fold.hpp"
#include "tilt/text/latex.hpp"
#include "tilt/text/number.hpp"

namespace tilt {

/// An answer with its value. Two answers are equal where their values are.
struct Answer {
  std::string text = {};  ///< canonical: the same text for the same value, to be read by people too
  std::optional<Rational> number = {};  ///< the value of a number of up to 36 digits

  friend bool operator==(const Answer& a, const Answer& b) { return a.text == b.text; }
};

namespace detail {

// White space between words as one space, letters in lower case, without marks around.
[[nodiscard]] inline std::string plain_words(std::string_view text) {
  std::string plain;
  bool apart = false;
  for (const char c : text) {
    if (Ascii::is_space(c)) {
      apart = !plain.empty();
      continue;
    }
    if (std::exchange(apart, false)) plain += ' ';
    plain += Ascii::lower(c);
  }
  return plain;
}

// Marks that stand around a whole answer: dollars, emphasis, quotes, a full stop.
[[nodiscard]] inline std::string_view unwrapped(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> wrappers[] = {
      {"$$", "$$"}, {"$", "$"},   {"\\(", "\\)"}, {"\\[", "\\]"}, {"**", "**"},
      {"*", "*"},   {"__", "__"}, {"`", "`"},     {"'", "'"},     {"\"", "\""}};
  for (bool again = true; std::exchange(again, false);) {
    text = trimmed(text);
    if (text.ends_with('.') && !text.ends_with("..")) text.remove_suffix(1), again = true;
    for (const auto& [open, close] : wrappers) {
      if (text.size() <= open.size() + close.size() || !text.starts_with(open) ||
          !text.ends_with(close)) {
        continue;
      }
      text = text.substr(open.size(), text.size() - open.size() - close.size());
      again = true;
    }
  }
  return text;
}

}  // namespace detail

/// The canonical form of a number, or none if the text is anything else. "1,000", "1000.0", "$1,000" and
/// "1000." are all "1000", "7 3/4" is "7.75", "1/3" stays; the sign is kept, percent and currency signs
/// are not.
[[nodiscard]] inline std::optional<std::string> normalized_number(std::string_view text);

/// Reads a text that is an answer as a whole ("12\frac{3}{5}", "$1,000", "(1, 2]"), or none where it is
/// blank.
///
/// Equal are, by value: numbers however they are written (exact, as fractions: .5 and \frac12, 7 3/4 and
/// 31/4, 1e3 and 1,000, not 0.333 and 1/3); sums of terms in any order, with roots of whole numbers taken
/// out; lists and sets in any order, of which \pm makes two elements; tuples and intervals in their own
/// order; unions of intervals; relations, solved for a variable that is the only one and linear; matrices
/// by their elements; words in any case. A unit, percent, degree and currency signs, a name in front
/// ("x =", "f(x) =", "x \in"), TeX's spacings, sizes and fonts, and marks around the whole are no part of
/// an answer. Of several equality signs the last side counts. "(D) 24" is the choice D.
///
/// This is no computer algebra: products of sums, powers of sums and functions count as they are written.
/// Text that is no mathematics, or longer than 1,000 bytes, is itself but for case and white space.
///
/// Cost: linear in the length of the text.
[[nodiscard]] inline std::optional<Answer> read_answer(std::string_view text) {
  constexpr std::size_t longest = 1000;
  const std::string_view bare = detail::unwrapped(text);
  if (bare.empty()) return std::nullopt;
  if (bare.size() > longest) return Answer{detail::plain_words(bare)};
  const std::string plain = folded(bare);
  detail::MathLexer lexer(detail::unwrapped(plain));
  if (!lexer.ok()) return Answer{detail::plain_words(plain)};
  const std::vector<detail::MathToken> tokens = lexer.take();
  Answer answer{detail::AnswerReader().read(tokens)};
  if (answer.text.empty()) return std::nullopt;
  detail::NumberParts parts(answer.text, answer.text.starts_with('-') ? 1 : 0, NumberStyle::math);
  const std::optional<Number> number = parts.mixed();
  if (number && parts.at() == answer.text.size() && number->exact) {
    answer.number = answer.text.starts_with('-') ? number->exact->negated() : *number->exact;
  }
  return answer;
}

/// Whether two texts are the same answer, by value. A blank text is no answer and equals nothing.
[[nodiscard]] inline bool same_answer(std::string_view a, std::string_view b) {
  const std::optional<Answer> first = read_answer(a);
  return first && first == read_answer(b);
}

/// The canonical TeX of an answer (`read_answer`); empty for a blank text.
[[nodiscard]] inline std::string normalized_math(std::string_view text) {
  const std::optional<Answer> answer = read_answer(text);
  return answer ? answer->text : std::string{};
}

inline std::optional<std::string> normalized_number(std::string_view text) {
  const std::optional<Answer> answer = read_answer(text);
  if (!answer || !answer->number) return std::nullopt;
  return answer->number->text();
}

}  // namespace tilt

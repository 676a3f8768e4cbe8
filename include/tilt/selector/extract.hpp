#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tilt/core/response.hpp"
#include "tilt/text/math.hpp"

namespace tilt {

/// A function that finds the answer in a response: callable on `const Response&` or on
/// `std::string_view` (the response's text), giving `std::optional<std::string>`. Equal answers are
/// to be equal strings; none says that the response has no answer.
template <class E>
concept AnswerExtractor = std::is_invocable_r_v < std::optional<std::string>,
const E&, const Response& > ||
              std::is_invocable_r_v<std::optional<std::string>, const E&, std::string_view>;

/// The answer in a response. An extractor that takes both is given the response.
template <AnswerExtractor E>
[[nodiscard]] std::optional<std::string> extract_answer(const E& extract,
                                                        const Response& response) {
  if constexpr (std::is_invocable_r_v<std::optional<std::string>, const E&, const Response&>) {
    return std::invoke(extract, response);
  } else {
    return std::invoke(extract, std::string_view(response.text));
  }
}

/// Takes the whole response as its answer. Responses are told apart by their tokens, those without
/// tokens by their text: two tokenisations of one text are two responses, and so are a response that
/// the model ended and the same text cut at the limit.
struct WholeResponse {
  /// A string that is the same for the same response only; it is not meant to be read.
  [[nodiscard]] std::optional<std::string> operator()(const Response& response) const {
    if (response.tokens.empty()) return 't' + response.text;
    std::string key = "i";
    for (const Token token : response.tokens) {
      const auto id = static_cast<std::uint32_t>(token);
      for (unsigned shift = 0; shift < 32; shift += 8) {
        key += static_cast<char>((id >> shift) & 0xffu);
      }
    }
    return key;
  }
};
inline constexpr WholeResponse whole_response{};

/// The last number in a text, for tasks such as GSM8K.
///
/// Canonical, so that "1,000", "1000", "1000.0" and "$1,000" group as "1000": separators of thousands,
/// currency signs and needless zeros go. The sign is kept: a minus directly before the number (a
/// currency sign between them allowed) unless a letter, a digit, a closing bracket or another minus
/// stands directly before it, so that "10-4" ends in 4 and "= -4" in -4. A fraction of two whole
/// numbers, "3/4" or "\frac{3}{4}", is one number, written as a decimal where that is exact ("0.75"),
/// else in lowest terms ("1/3"). Percent signs, units and exponents are not looked at; mixed numbers
/// and decimal commas are not understood.
///
/// None if the text has no digit.
struct LastNumber {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    NumberReader reader(text);
    std::optional<std::string> last;
    while (std::optional<std::string> number = reader.next()) last = std::move(number);
    return last;
  }
};
inline constexpr LastNumber last_number{};

/// The content of the last \boxed{...} (or \fbox{...}) in a text, in the form of `normalized_math`,
/// for tasks such as MATH.
///
/// Of nested boxes the innermost counts. Braces inside are balanced, those behind a backslash do not
/// count. A box that is never closed, as in a response cut short, and one that is empty are no
/// answers: the one before them is. "\boxed 7" without braces is read up to the next white space, dollar
/// sign, brace or backslash.
///
/// Cost: linear in the length of the text.
struct LastBoxed {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    std::vector<std::size_t> open;  // where the content of each open group begins; npos: no box
    std::size_t newest = 0;         // where the content of the box begins that was opened last
    std::string_view last;
    const auto close = [&](std::size_t from, std::size_t to) {
      const std::string_view content = trimmed(text.substr(from, to - from));
      if (from == newest && !content.empty()) last = content;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '{') {
        open.push_back(npos);
      } else if (text[i] == '}' && !open.empty()) {
        if (open.back() != npos) close(open.back(), i);
        open.pop_back();
      } else if (text[i] == '\\') {
        const std::string_view rest = text.substr(i + 1);
        const std::size_t name = rest.starts_with("boxed") ? 5 : rest.starts_with("fbox") ? 4 : 0;
        if (name == 0 || (name < rest.size() && Ascii::is_letter(rest[name]))) {
          ++i;  // what stands behind a backslash is no brace
          continue;
        }
        std::size_t at = i + 1 + name;
        while (at < text.size() && Ascii::is_space(text[at])) ++at;
        if (at < text.size() && text[at] == '{') {
          open.push_back(newest = at + 1);
          i = at;
        } else {
          const std::size_t stop = std::min(text.find_first_of(" \t\r\n$\\{}", at), text.size());
          close(newest = at, stop);
          i = stop - 1;
        }
      }
    }
    std::string answer = normalized_math(last);
    if (answer.empty()) return std::nullopt;
    return answer;
  }
};
inline constexpr LastBoxed last_boxed{};

/// The last stand-alone capital letter from A to J in a text, for multiple choice: "B", "(B)", "B.",
/// "**B**", "\boxed{B}", "答案是B。".
///
/// Stand-alone: no letter, digit, underscore or backslash beside it; not part of an abbreviation
/// ("D.C."), of a compound ("B-12", "C++", "A-level"), of a contraction ("I'm") or of a temperature
/// ("20 °C"). Two letters are also English words, and are passed over where they read as such:
/// - "A" at the start of a sentence or line, before a word or a number, is the article ("A train ...");
///   not so before is, was, and, or, because, since ("A is right").
/// - "I" before a word in lower case is the pronoun ("I think"); not so before is, nor after option,
///   choice, answer, letter, is ("option I because").
///
/// Other names of one letter ("vitamin C", "point B") cannot be told from a choice: let the prompt ask
/// for the answer at the end.
struct LastChoice {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    for (std::size_t i = text.size(); i-- > 0;) {
      if (text[i] >= 'A' && text[i] <= 'J' && stands_alone(text, i) && !is_word(text, i)) {
        return std::string(1, text[i]);
      }
    }
    return std::nullopt;
  }

 private:
  static char at(std::string_view text, std::size_t i) { return i < text.size() ? text[i] : ' '; }

  static bool stands_alone(std::string_view text, std::size_t i) {
    const std::string_view before = text.substr(0, i), after = text.substr(i + 1);
    if (!before.empty()) {
      const char c = before.back();
      const char c2 = before.size() > 1 ? before[before.size() - 2] : ' ';
      if (Ascii::is_word(c) || c == '_' || c == '\\' || before.ends_with("°")) return false;
      if ((c == '-' || c == '\'') && Ascii::is_word(c2)) return false;
      if (c == '.' && Ascii::is_upper(c2)) return false;
      // The second byte of a character of two: Latin, Greek, Cyrillic and other letters.
      const auto lead = static_cast<unsigned char>(c2);
      if (static_cast<unsigned char>(c) >= 0x80 && lead >= 0xc3 && lead <= 0xdf) return false;
    }
    if (after.empty()) return true;
    const char next = after.front(), next2 = at(after, 1);
    const auto lead = static_cast<unsigned char>(next);
    if (Ascii::is_word(next) || next == '_' || next == '#' || (lead >= 0xc3 && lead <= 0xdf)) {
      return false;
    }
    if (next == '+' && next2 == '+') return false;
    if ((next == '-' || next == '.' || next == '\'') && Ascii::is_word(next2)) return false;
    return !(after.starts_with("’") && Ascii::is_letter(at(after, 3)));
  }

  // Whether the letter at i reads as an English word.
  static bool is_word(std::string_view text, std::size_t i) {
    std::size_t begin = i + 1;
    while (at(text, begin) == ' ' && begin < text.size()) ++begin;
    if (begin == i + 1 || begin == text.size()) return false;
    std::size_t end = begin;
    while (end < text.size() && Ascii::is_word(text[end])) ++end;
    const std::string_view next = text.substr(begin, end - begin);
    if (next.empty()) return false;
    if (text[i] == 'I') {
      return Ascii::is_lower(next.front()) && next != "is" &&
             !is_one_of(word_before(text, i), {"option", "Option", "choice", "Choice", "answer",
                                               "Answer", "letter", "Letter", "is"});
    }
    if (text[i] == 'A') {
      const bool is_long = next.size() > 1 || !Ascii::is_upper(next.front());
      return is_long && starts_sentence(text, i) &&
             !is_one_of(next, {"is", "was", "and", "or", "because", "since"});
    }
    return false;
  }

  static std::string_view word_before(std::string_view text, std::size_t i) {
    std::size_t end = i;
    while (end > 0 && !Ascii::is_word(text[end - 1]) && text[end - 1] != '\n') --end;
    std::size_t begin = end;
    while (begin > 0 && Ascii::is_word(text[begin - 1])) --begin;
    return text.substr(begin, end - begin);
  }

  // Quotes, brackets, bullets and emphasis between the start and the letter do not matter.
  static bool starts_sentence(std::string_view text, std::size_t i) {
    constexpr std::string_view passed = " \t\"'([{*_>#`-";
    while (i > 0 &&
           (passed.find(text[i - 1]) != npos || static_cast<unsigned char>(text[i - 1]) >= 0x80)) {
      --i;
    }
    return i == 0 || std::string_view(".!?:;\r\n").find(text[i - 1]) != npos;
  }

  template <std::size_t N>
  static bool is_one_of(std::string_view word, const std::string_view (&words)[N]) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
  }
};
inline constexpr LastChoice last_choice{};

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tilt/core/response.hpp"
#include "tilt/text/boxes.hpp"
#include "tilt/text/choice.hpp"
#include "tilt/text/math.hpp"
#include "tilt/text/number_reader.hpp"
#include "tilt/text/stated_value.hpp"
#include "tilt/text/statement.hpp"

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
/// the model ended and the same text cut at the limit. Texts without tokens are alike whatever their
/// case, their white space and the full stop at their end.
struct WholeResponse {
  /// A string that is the same for the same response only; it is not meant to be read.
  [[nodiscard]] std::optional<std::string> operator()(const Response& response) const {
    if (response.tokens.empty()) {
      std::string words = detail::plain_words(response.text);
      if (words.ends_with('.')) words.pop_back();
      return 't' + words;
    }
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
/// Canonical, so that equal values are equal strings: "1,000", "1000.0", "1 000", "$1,000", "1e3" and
/// "1 thousand" are "1000"; fractions and mixed numbers ("3/4", "\frac34", "7 3/4") are decimals where
/// that is exact ("0.75"), else in lowest terms ("1/3"). `NumberReader` says what a number is. Exponents
/// of units ("24 cm^2") are none; percent signs and units are not looked at.
///
/// A number alone behind "####" is the answer whatever follows it, and what stands behind a stated answer
/// from a line such as "Question:" on is not read: a model that was not stopped goes on with another task.
///
/// None if the text has no number.
///
/// Cost: linear in the length of the text.
struct LastNumber {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    const std::string plain = folded(text);
    std::string_view read = detail::before_run_on(plain);
    const auto marked = detail::marked_answer(plain);
    if (marked && std::any_of(marked->begin(), marked->end(), Ascii::is_digit)) read = *marked;
    NumberReader reader(read);
    std::optional<Number> last;
    while (std::optional<Number> number = reader.next()) last = std::move(number);
    if (!last) return std::nullopt;
    return std::move(last->text);
  }
};
inline constexpr LastNumber last_number{};

/// The content of the last \boxed{...} (or \fbox{...}) in a text, in the form of `normalized_math`, so
/// that equal values are equal strings; for tasks such as MATH.
///
/// Of nested boxes the innermost counts. Braces inside are balanced, those behind a backslash do not
/// count. A box that is never closed, as in a response cut short, and one that is empty are no
/// answers: the one before them is. Without braces a box is a number directly behind it, "\boxed 7".
/// Boxes that only a comma, "and" or "or" parts are one list: "\boxed{1} and \boxed{-2}".
///
/// Cost: linear in the length of the text.
struct LastBoxed {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    const detail::BoxFinder boxes(detail::before_run_on(text));
    std::string all, first;
    bool differ = false;
    for (const std::string_view content : boxes.last()) {
      std::string answer = normalized_math(content);
      if (answer.empty()) continue;
      differ = differ || (!first.empty() && answer != first);
      if (first.empty()) first = std::move(answer);
      (all += all.empty() ? "" : ", ") += content;
    }
    if (first.empty()) return std::nullopt;
    return differ ? normalized_math(all) : first;
  }
};
inline constexpr LastBoxed last_boxed{};

/// The letter from A to J that a text chooses, for multiple choice: "B", "(B)", "B.", "**B**",
/// "\boxed{B}", "答案是B。".
///
/// The last letter that is stated as the answer counts ("The answer is B", "Answer: B", "I choose B", "B is
/// correct", a box), in small letters too where a mark follows ("the answer is d."); a text that states
/// that there is none ("Answer: none of the above") has none. Without such a statement it is the last
/// stand-alone capital letter, behind the last "Answer:" where there is one.
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
/// for the answer at the end. What stands behind a stated answer from a line such as "Question:" on is not
/// read.
///
/// Cost: linear in the length of the text.
struct LastChoice {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    const std::string plain = folded(text);
    const std::optional<char> letter = detail::ChoiceFinder(plain).find();
    if (!letter) return std::nullopt;
    return std::string(1, *letter);
  }
};
inline constexpr LastChoice last_choice{};

/// What a text states as its answer: what stands alone behind "####", else the end of the last sentence
/// such as "The answer is 18." or "Answer: 18" before the text goes on with another question.
///
/// A box or a formula that the statement begins with, a choice ("B", "(B)") or a number with its unit is
/// taken out of its sentence. Numbers are as `last_number` gives them, other answers as `normalized_math`
/// does, so that equal values are equal strings. "The answer is not 5" states nothing.
///
/// None if nothing is stated: `first_of(stated_answer, last_boxed, last_number)` looks further.
///
/// Cost: linear in the length of the text.
struct StatedAnswer {
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    const std::string plain = folded(text);
    if (const auto marked = detail::marked_answer(plain)) return detail::stated_value(*marked);
    const std::string_view read = detail::before_run_on(plain);
    detail::StatementReader statements(read);
    std::optional<std::string> last;
    while (const auto begin = statements.next()) {
      const std::size_t end = detail::sentence_end(read, *begin);
      if (auto value = detail::stated_value(read.substr(*begin, end - *begin))) {
        last = std::move(value);
      }
    }
    return last;
  }
};
inline constexpr StatedAnswer stated_answer{};

/// The answer that the first of several extractors finds, in their order: `first_of(stated_answer,
/// last_boxed)`. Numbers have one spelling, that of `last_number`, whichever extractor found them.
template <AnswerExtractor... Es>
class FirstOf {
 public:
  explicit FirstOf(Es... extractors) : extractors_(std::move(extractors)...) {}

  [[nodiscard]] std::optional<std::string> operator()(const Response& response) const {
    std::optional<std::string> found;
    std::apply([&](const Es&... each) { ((found = extract_answer(each, response)) || ...); },
               extractors_);
    return spelled(std::move(found));
  }
  [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const {
    Response response;
    response.text = text;
    return (*this)(response);
  }

 private:
  static std::optional<std::string> spelled(std::optional<std::string> found) {
    if (!found) return found;
    std::optional<std::string> number = normalized_number(*found);
    return number ? number : found;
  }

  std::tuple<Es...> extractors_;
};
template <AnswerExtractor... Es>
[[nodiscard]] FirstOf<Es...> first_of(Es... extractors) {
  static_assert(sizeof...(Es) > 0, "tilt::first_of needs at least one extractor");
  return FirstOf<Es...>(std::move(extractors)...);
}

}  // namespace tilt

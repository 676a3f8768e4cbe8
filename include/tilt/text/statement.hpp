#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "tilt/text/ascii.hpp"

namespace tilt::detail {

/// Whether a text goes on so at a place, in upper or lower case; `what` is in lower case.
[[nodiscard]] inline bool has_at(std::string_view text, std::size_t at, std::string_view what) {
  if (at > text.size() || text.size() - at < what.size()) return false;
  return std::equal(what.begin(), what.end(), text.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char wanted, char c) { return wanted == Ascii::lower(c); });
}
template <std::size_t N>
[[nodiscard]] bool has_any_at(std::string_view text, std::size_t at,
                              const std::string_view (&words)[N]) {
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view word) { return has_at(text, at, word); });
}

/// Finds what a text says its answer is: where the words behind "the answer is", "Answer:", "####" begin.
/// The text is to be folded.
///
/// Cost: linear in the length of the text.
class StatementReader {
 public:
  explicit StatementReader(std::string_view text) : text_(text) {}

  /// Where the next statement begins, behind its "is" or colon, or none.
  [[nodiscard]] std::optional<std::size_t> next() {
    while (at_ < text_.size()) {
      const std::size_t size = cue();
      if (size == 0) {
        ++at_;
        continue;
      }
      at_ += size;
      if (const auto begin = behind_cue(at_)) {
        at_ = *begin;
        return begin;
      }
    }
    return std::nullopt;
  }

 private:
  // The length of the word for an answer that stands here, or 0.
  [[nodiscard]] std::size_t cue() const {
    static constexpr std::string_view words[] = {
        "answer",       "correct option", "correct choice", "best option", "best choice",
        "right option", "right choice",   "antwort",        "respuesta",   "r\xc3\xa9ponse",
        "risposta",     "resposta",       "reponse"};
    static constexpr std::string_view scripts[] = {
        "\xe7\xad\x94\xe6\xa1\x88" /* da an */, "\xe7\xad\x94\xe3\x81\x88" /* kotae */,
        "\xec\xa0\x95\xeb\x8b\xb5" /* jeongdap */, "\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82",
        "\xd0\x9e\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82" /* otvet */};
    for (const std::string_view word : scripts) {
      if (text_.substr(at_).starts_with(word)) return word.size();
    }
    if (at_ > 0 && Ascii::is_letter(text_[at_ - 1])) return 0;
    for (const std::string_view word : words) {
      if (!has_at(text_, at_, word)) continue;
      const std::size_t end = at_ + word.size();
      return end < text_.size() && Ascii::is_word(text_[end]) ? 0 : word.size();
    }
    return 0;
  }

  // Behind the colon, the "is" or the like that follows a cue in the same sentence.
  [[nodiscard]] std::optional<std::size_t> behind_cue(std::size_t at) const {
    static constexpr std::string_view verbs[] = {"is", "be", "was", "ist", "est", "es"};
    static constexpr std::string_view scripts[] = {
        "\xe6\x98\xaf" /* shi */, "\xe4\xb8\xba" /* wei */, "\xe7\x82\xba" /* wei */,
        "\xe3\x81\xaf" /* wa */, "\xec\x9d\x80" /* eun */};
    static constexpr std::string_view denials[] = {"n't ", "cannot ", " not "};
    static constexpr std::string_view lists[] = {" choices", " options", " key"};
    if (has_any_at(text_, at, lists)) return std::nullopt;
    constexpr std::size_t longest = 60;
    const std::size_t end = std::min(text_.size(), at + longest);
    for (; at < end; ++at) {
      const char c = text_[at];
      if (c == ':' || c == '=') return at + 1;
      if (has_any_at(text_, at, denials)) return std::nullopt;  // "cannot be A"
      for (const std::string_view verb : scripts) {
        if (text_.substr(at).starts_with(verb)) return behind_colon(at + verb.size());
      }
      if (c == '\n' || c == '?' ||
          (c == '.' && !(at + 1 < end && Ascii::is_digit(text_[at + 1])))) {
        return std::nullopt;
      }
      if (!Ascii::is_letter(c) || Ascii::is_word(text_[at - 1])) continue;
      for (const std::string_view verb : verbs) {
        const std::size_t behind = at + verb.size();
        if (has_at(text_, at, verb) && (behind >= text_.size() || !Ascii::is_word(text_[behind]))) {
          return behind_colon(behind);
        }
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::size_t behind_colon(std::size_t at) const {
    std::size_t colon = at;
    while (colon < text_.size() && colon < at + 4 && text_[colon] == ' ') ++colon;
    return colon < text_.size() && text_[colon] == ':' ? colon + 1 : at;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Where the sentence that begins at a place ends: at a line's end, or a full stop, question or
/// exclamation mark before white space; at most 300 bytes further.
[[nodiscard]] inline std::size_t sentence_end(std::string_view text, std::size_t begin) {
  constexpr std::size_t longest = 300;
  const std::size_t limit = std::min(text.size(), begin + longest);
  bool is_blank = true;
  for (std::size_t i = begin; i < limit; ++i) {
    const char c = text[i];
    if (c == '\n' && !is_blank) return i;
    const bool breaks = i + 1 >= text.size() || Ascii::is_space(text[i + 1]);
    if ((c == '.' || c == '!' || c == '?') && breaks && !is_blank) return i;
    is_blank = is_blank && (Ascii::is_space(c) || c == '*' || c == '_');
  }
  return limit;
}

/// The text behind the first "####" that is followed by a short answer alone on its line, as in GSM8K.
[[nodiscard]] inline std::optional<std::string_view> marked_answer(std::string_view text) {
  constexpr std::string_view mark = "####";
  constexpr std::size_t longest = 80;
  for (std::size_t at = text.find(mark); at != std::string_view::npos;
       at = text.find(mark, at + mark.size())) {
    std::string_view line = text.substr(at + mark.size(), longest);
    const std::size_t end = line.find('\n');
    if (end == std::string_view::npos && line.size() == longest) continue;
    line = trimmed(line.substr(0, end));
    std::size_t words = 0;
    bool is_heading = line.empty() || line.ends_with(':') || line.starts_with('#');
    for (std::size_t i = 0; i < line.size(); ++i) {
      const bool begins = Ascii::is_letter(line[i]) && (i == 0 || line[i - 1] == ' ');
      words += begins ? 1 : 0;
      is_heading = is_heading || (begins && i > 0 && Ascii::is_upper(line[i]));
    }
    // A number with a unit, or a letter: "Step 1" and "1. Sum up" are headings.
    const bool has_digit = std::any_of(line.begin(), line.end(), Ascii::is_digit);
    const bool numbered = line.find(". ") != std::string_view::npos;
    const bool is_letter = line.size() == 1 && Ascii::is_upper(line.front());
    const bool is_number = has_digit && !line.empty() && !Ascii::is_letter(line.front());
    if (!is_heading && !numbered && words <= 3 && (is_number || is_letter)) return line;
  }
  return std::nullopt;
}

/// The text up to where it goes on with another question behind a statement of its answer, as a model
/// does that was not stopped.
[[nodiscard]] inline std::string_view before_run_on(std::string_view text) {
  static constexpr std::string_view markers[] = {"question:",
                                                 "q:",
                                                 "problem:",
                                                 "human:",
                                                 "user:",
                                                 "input:",
                                                 "exercise:",
                                                 "example:",
                                                 "### in",
                                                 "### qu",
                                                 "<|",
                                                 "question 2",
                                                 "problem 2",
                                                 "next question",
                                                 "**question",
                                                 "**problem",
                                                 "instruction:",
                                                 "\xe9\x97\xae\xe9\xa2\x98" /* wen ti */,
                                                 "\xe5\x95\x8f\xe9\xa1\x8c" /* wen ti */};
  StatementReader statements(text);
  const auto first = statements.next();
  if (!first) return text;
  for (std::size_t at = text.find('\n', sentence_end(text, *first)); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    std::size_t begin = at + 1;
    while (begin < text.size() && begin < at + 4 && text[begin] == ' ') ++begin;
    if (has_any_at(text, begin, markers)) return text.substr(0, at);
  }
  return text;
}

}  // namespace tilt::detail

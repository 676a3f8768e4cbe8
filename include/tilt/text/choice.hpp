#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

#include "tilt/text/ascii.hpp"
#include "tilt/text/latex.hpp"
#include "tilt/text/statement.hpp"

namespace tilt::detail {

/// Finds the letter of a multiple choice, A to J, in a folded text. See `LastChoice`.
///
/// Cost: linear in the length of the text.
class ChoiceFinder {
 public:
  explicit ChoiceFinder(std::string_view text) : text_(before_run_on(text)) {}

  /// The letter as a capital, or none.
  [[nodiscard]] std::optional<char> find() const {
    if (const auto whole = whole_text()) return whole;
    std::optional<std::size_t> stated;      // the letter that is stated last
    std::optional<std::size_t> rest, none;  // where the last statement begins, and the last refusal
    StatementReader statements(text_);
    while (const auto begin = statements.next()) {
      rest = begin;
      if (refuses_at(*begin)) none = begin;
      if (const auto letter = direct(*begin)) stated = letter;
    }
    for (std::size_t i = stated.value_or(0); i < text_.size(); ++i) {
      if (const auto letter = other_statement(i)) stated = letter;
    }
    if (none && (!stated || *stated < *none)) return std::nullopt;
    if (stated) return Ascii::upper(text_[*stated]);
    const auto letter = last_alone(rest.value_or(0));
    const bool says_else = rest && !trimmed(text_.substr(*rest)).empty();
    if (letter || says_else) return letter;
    return last_alone(0);
  }

 private:
  static bool is_choice(char c) { return c >= 'A' && c <= 'J'; }
  static bool is_small_choice(char c) { return c >= 'a' && c <= 'j'; }
  [[nodiscard]] char at(std::size_t i) const { return i < text_.size() ? text_[i] : ' '; }

  // "b", "(c)", "b. 4": a text that begins with a letter as the choices themselves do.
  [[nodiscard]] std::optional<char> whole_text() const {
    const std::string_view text = trimmed(text_);
    if (text.empty()) return std::nullopt;
    const std::size_t first = text.front() == '(' || text.front() == '*' ? 1 : 0;
    if (first >= text.size() || !is_small_choice(text[first])) return std::nullopt;
    const std::string_view rest = text.substr(first + 1);
    const bool is_marked = (rest.starts_with('.') || rest.starts_with(')')) &&
                           (rest.size() == 1 || Ascii::is_space(rest[1]));
    if (!rest.empty() && !is_marked) return std::nullopt;
    return Ascii::upper(text[first]);
  }

  [[nodiscard]] bool refuses_at(std::size_t begin) const {
    static constexpr std::string_view refusals[] = {
        "none",     "i don't know", "i do not know", "unknown", "cannot",    "can't",
        "not sure", "i'm not sure", "unclear",       "n/a",     "not given", "neither"};
    const std::size_t limit = std::min(text_.size(), begin + 12);
    while (begin < limit && (Ascii::is_space(text_[begin]) || text_[begin] == '*')) ++begin;
    return has_any_at(text_, begin, refusals);
  }

  // The letter that stands directly where a statement begins.
  [[nodiscard]] std::optional<std::size_t> direct(std::size_t begin) const {
    static constexpr std::string_view passed_words[] = {
        "option", "choice", "letter", "answer",     "therefore", "thus",   "clearly",
        "simply", "just",   "indeed", "definitely", "probably",  "likely", "actually",
        "the",    "most",   "be",     "is",         "to"};
    static constexpr std::string_view passed_commands[] = {"text",  "textbf", "mathbf", "mathrm",
                                                           "boxed", "textrm", "textit"};
    constexpr std::size_t longest = 80;
    const std::size_t limit = std::min(text_.size(), begin + longest);
    bool in_brackets = false;
    for (std::size_t i = begin; i < limit;) {
      const char c = text_[i];
      if (Ascii::is_space(c) ||
          std::string_view("*_$\"'([{:`~").find(c) != std::string_view::npos) {
        in_brackets = c == '(' || c == '[' || c == '{';
        ++i;
        continue;
      }
      std::size_t end = c == '\\' ? i + 1 : i;
      while (end < text_.size() && Ascii::is_letter(text_[end])) ++end;
      if (c == '\\') {
        const std::string_view name = text_.substr(i + 1, end - i - 1);
        if (!is_any_of(name, passed_commands)) return std::nullopt;
        i = end;
        continue;
      }
      if (end == i) return std::nullopt;
      if (end == i + 1) {
        if (is_choice(c)) {
          static constexpr std::string_view reasons[] = {"is", "because", "since", "as"};
          const std::string_view next = word_behind(i);
          const bool pronoun = c == 'I' && !next.empty() && Ascii::is_lower(next.front()) &&
                               !is_any_of(next, reasons);
          return stands_alone(i, true) && !pronoun ? std::optional(i) : std::nullopt;
        }
        const bool ends =
            end >= text_.size() || text_[end] == '\n' || text_[end] == ')' || text_[end] == '}' ||
            text_[end] == ']' || text_[end] == '*' || text_[end] == '$' ||
            (text_[end] == '.' && (end + 1 >= text_.size() || Ascii::is_space(text_[end + 1])));
        if (is_small_choice(c) && ends && (in_brackets || text_[end - 1] != '(')) return i;
        return std::nullopt;
      }
      if (!std::any_of(std::begin(passed_words), std::end(passed_words),
                       [&](std::string_view word) {
                         return word.size() == end - i && has_at(text_, i, word);
                       })) {
        return std::nullopt;
      }
      i = end;
    }
    return std::nullopt;
  }

  // A letter that is chosen in other words, which begin here.
  [[nodiscard]] std::optional<std::size_t> other_statement(std::size_t i) const {
    static constexpr std::string_view scripts[] = {
        "\xe9\x80\x89" /* xuan */, "\xe9\x81\xb8" /* xuan */,
        "\xe9\x81\xb8\xe6\x93\x87" /* xuan ze */, "\xe9\x80\x89\xe6\x8b\xa9" /* xuan ze */};
    static constexpr std::string_view verbs[] = {"choose ", "pick ",   "select ",  "\\boxed{",
                                                 "chose ",  "picked ", "selected "};
    for (const std::string_view script : scripts) {
      const bool is_denied = text_.substr(0, i).ends_with("\xe4\xb8\x8d" /* bu */);
      if (text_.substr(i).starts_with(script) && !is_denied) {
        const auto letter = direct(i + script.size());
        if (letter && Ascii::is_upper(text_[*letter])) return letter;
      }
    }
    if (i > 0 && Ascii::is_letter(text_[i - 1])) return std::nullopt;
    for (const std::string_view verb : verbs) {
      if (!has_at(text_, i, verb)) continue;
      const auto letter = direct(i + verb.size());
      const bool is_box = verb.starts_with('\\');
      if (letter && (Ascii::is_upper(text_[*letter]) || is_box) &&
          (is_box || !is_article(*letter))) {
        return letter;
      }
    }
    if (!is_choice(text_[i]) || !stands_alone(i)) return std::nullopt;
    static constexpr std::string_view claims[] = {
        " is correct",  " is right",      " is the correct", " is the right",
        " is the best", " is the answer", " is true",        " must be correct"};
    if (has_any_at(text_, behind_marks(i + 1), claims)) return i;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<char> last_alone(std::size_t begin) const {
    for (std::size_t i = text_.size(); i-- > begin;) {
      if (is_choice(text_[i]) && stands_alone(i) && !is_word(i) && !is_denied(i)) return text_[i];
    }
    return std::nullopt;
  }

  // Whether a letter is said to be wrong: "not A", "(A) is incorrect".
  [[nodiscard]] bool is_denied(std::size_t i) const {
    static constexpr std::string_view denials[] = {" is wrong",  " is incorrect", " is false",
                                                   " is not",    " are wrong",    " are incorrect",
                                                   " are false", " isn't",        " cannot"};
    std::size_t begin = i;
    while (begin > 0 && i - begin < 3 &&
           std::string_view("(*[ ").find(text_[begin - 1]) != std::string_view::npos) {
      --begin;
    }
    if (begin >= 3 && has_at(text_, begin - 3, "not") &&
        (begin == 3 || !Ascii::is_word(text_[begin - 4]))) {
      return true;
    }
    return has_any_at(text_, behind_marks(i + 1), denials);
  }
  // Behind closing brackets, quotes and emphasis.
  [[nodiscard]] std::size_t behind_marks(std::size_t i) const {
    const std::size_t limit = i + 8;
    while (i < limit && std::string_view(")*]}\"'").find(at(i)) != std::string_view::npos) ++i;
    return i;
  }

  [[nodiscard]] bool stands_alone(std::size_t i, bool stated = false) const {
    const std::string_view before = text_.substr(0, i), after = text_.substr(i + 1);
    if (!before.empty()) {
      const char c = before.back();
      const char c2 = before.size() > 1 ? before[before.size() - 2] : ' ';
      const bool emphasis = c == '_' && !Ascii::is_word(c2);
      if (Ascii::is_word(c) || (c == '_' && !emphasis) || c == '\\' ||
          before.ends_with("\xc2\xb0")) {
        return false;
      }
      if (before.ends_with("^\\circ ") || before.ends_with("\\degree ")) return false;
      if ((c == '-' || c == '\'') && Ascii::is_word(c2)) return false;
      if (c == '.' && Ascii::is_upper(c2)) return false;
      // The second byte of a character of two: Latin, Greek, Cyrillic and other letters.
      const auto lead = static_cast<unsigned char>(c2);
      if (static_cast<unsigned char>(c) >= 0x80 && lead >= 0xc3 && lead <= 0xdf) return false;
    }
    if (after.empty()) return true;
    const char next = after.front(), next2 = after.size() > 1 ? after[1] : ' ';
    const auto lead = static_cast<unsigned char>(next);
    const bool emphasis = next == '_' && !Ascii::is_word(next2);
    if (Ascii::is_word(next) || (next == '_' && !emphasis) || next == '#' ||
        (lead >= 0xc3 && lead <= 0xdf)) {
      return false;
    }
    if (next == '+' && next2 == '+') return false;
    if (stated && (next == '\'' || next == '-')) return !Ascii::is_lower(next2);
    return !((next == '-' || next == '.' || next == '\'') && Ascii::is_word(next2));
  }

  [[nodiscard]] std::string_view word_behind(std::size_t i) const {
    std::size_t begin = i + 1;
    while (begin < text_.size() && text_[begin] == ' ') ++begin;
    if (begin == i + 1 || begin == text_.size()) return {};
    std::size_t end = begin;
    while (end < text_.size() && end < begin + 24 && Ascii::is_word(text_[end])) ++end;
    return text_.substr(begin, end - begin);
  }
  // Whether an "A" stands before a word that it can be the article of.
  [[nodiscard]] bool is_article(std::size_t i) const {
    static constexpr std::string_view others[] = {"is", "was", "and", "or", "because", "since"};
    const std::string_view next = word_behind(i);
    if (text_[i] != 'A' || next.empty() || is_any_of(next, others)) return false;
    return next.size() > 1 || !Ascii::is_upper(next.front());
  }

  // Whether the letter at i reads as an English word.
  [[nodiscard]] bool is_word(std::size_t i) const {
    static constexpr std::string_view cues[] = {"option", "Option", "choice", "Choice", "answer",
                                                "Answer", "letter", "Letter", "is"};
    const std::string_view next = word_behind(i);
    if (next.empty()) return false;
    if (text_[i] == 'I') {
      return Ascii::is_lower(next.front()) && next != "is" && !is_any_of(word_before(i), cues);
    }
    return text_[i] == 'A' && starts_sentence(i) && is_article(i);
  }

  [[nodiscard]] std::string_view word_before(std::size_t i) const {
    const std::size_t limit = i > 32 ? i - 32 : 0;
    std::size_t end = i;
    while (end > limit && !Ascii::is_word(text_[end - 1]) && text_[end - 1] != '\n') --end;
    std::size_t begin = end;
    while (begin > limit && Ascii::is_word(text_[begin - 1])) --begin;
    return text_.substr(begin, end - begin);
  }

  // Quotes, brackets, bullets and emphasis between the start and the letter do not matter.
  [[nodiscard]] bool starts_sentence(std::size_t i) const {
    constexpr std::string_view passed = " \t\"'([{*_>#`-";
    const std::size_t limit = i > 32 ? i - 32 : 0;
    while (i > limit && (passed.find(text_[i - 1]) != std::string_view::npos ||
                         static_cast<unsigned char>(text_[i - 1]) >= 0x80)) {
      --i;
    }
    return i == 0 || std::string_view(".!?:;\r\n").find(text_[i - 1]) != std::string_view::npos;
  }

  std::string_view text_;
};

}  // namespace tilt::detail

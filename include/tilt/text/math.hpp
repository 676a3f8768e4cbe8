#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/core/token.hpp"
#include "tilt/text/ascii.hpp"

namespace tilt {

/// Reads the numbers of a text from left to right, each in one canonical form, so that equal numbers
/// are equal strings: no separators of thousands, no zeros in front or behind, no sign of zero.
class NumberReader {
 public:
  explicit NumberReader(std::string_view text) : text_(text) {}

  /// The next number, or none.
  [[nodiscard]] std::optional<std::string> next() {
    for (; at_ < text_.size(); ++at_) {
      const std::size_t begin = at_;
      std::string value = fraction_command();
      if (value.empty() && starts_decimal()) {
        value = decimal();
        value = divided(begin, std::move(value));
      }
      if (value.empty()) continue;
      return is_negative(begin) && value != "0" ? '-' + value : value;
    }
    return std::nullopt;
  }

  /// The number that the whole text is: white space around it, a sign, a currency sign before it, a
  /// percent sign and a full stop behind it are allowed.
  [[nodiscard]] static std::optional<std::string> whole(std::string_view text) {
    NumberReader reader(trimmed(text));
    bool negative = false;
    bool again = true;
    while (again) {
      again = reader.skip("$") || reader.skip("\\$") || reader.skip("€") || reader.skip("£");
      if (!again && !negative && (reader.skip("-") || reader.skip("−"))) again = negative = true;
      if (!again && !negative) again = reader.skip("+");
    }
    const std::string value = reader.starts_decimal() ? reader.decimal() : std::string{};
    if (value.empty()) return std::nullopt;
    if (!reader.skip("%")) reader.skip("\\%");
    reader.skip(".");
    if (reader.at_ != reader.text_.size()) return std::nullopt;
    return negative && value != "0" ? '-' + value : value;
  }

 private:
  [[nodiscard]] char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  [[nodiscard]] bool has(std::size_t at, std::string_view what) const {
    return at <= text_.size() && text_.substr(at).starts_with(what);
  }
  bool skip(std::string_view what) {
    if (!has(at_, what)) return false;
    at_ += what.size();
    return true;
  }
  // Whether the text before `end` ends so.
  [[nodiscard]] bool precedes(std::size_t end, std::string_view what) const {
    return text_.substr(0, end).ends_with(what);
  }

  [[nodiscard]] bool starts_decimal() const {
    if (Ascii::is_digit(peek(at_))) return true;
    return peek(at_) == '.' && Ascii::is_digit(peek(at_ + 1)) &&
           (at_ == 0 || !Ascii::is_word(text_[at_ - 1]));
  }

  std::string digits() {
    const std::size_t begin = at_;
    while (Ascii::is_digit(peek(at_))) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  // Moves behind a separator of thousands if exactly three digits follow it.
  bool skip_separator() {
    for (const std::string_view separator : {",\\!", "{,}", "\\,", ","}) {
      if (!has(at_, separator)) continue;
      const std::size_t next = at_ + separator.size();
      std::size_t count = 0;
      while (count < 4 && Ascii::is_digit(peek(next + count))) ++count;
      if (count != 3) return false;
      at_ = next;
      return true;
    }
    return false;
  }

  std::string decimal() {
    std::string whole = digits();
    if (!whole.empty() && whole.size() <= 3) {
      while (skip_separator()) whole += digits();
    }
    std::string fraction;
    if (peek(at_) == '.' && Ascii::is_digit(peek(at_ + 1))) {
      ++at_;
      fraction = digits();
    }
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    if (whole.empty()) whole += '0';
    return fraction.empty() ? whole : whole + '.' + fraction;
  }

  // a/b of two whole numbers is one number; a chain of slashes (a date, a path) is not.
  std::string divided(std::size_t begin, std::string value) {
    const std::size_t slash = at_;
    if (peek(slash) != '/' || precedes(begin, "/") || value.find('.') != npos) return value;
    ++at_;
    const std::string denominator = digits();
    const bool goes_on = peek(at_) == '/' || Ascii::is_letter(peek(at_)) ||
                         (peek(at_) == '.' && Ascii::is_digit(peek(at_ + 1)));
    std::string quotient = goes_on ? std::string{} : ratio(value, denominator);
    if (!quotient.empty()) return quotient;
    at_ = slash;
    return value;
  }

  // \frac{a}{b} of two whole numbers.
  std::string fraction_command() {
    const std::size_t begin = at_;
    if (!skip("\\frac{") && !skip("\\dfrac{") && !skip("\\tfrac{")) return {};
    const std::string numerator = digits();
    const bool has_both = skip("}{");
    const std::string denominator = digits();
    std::string quotient = has_both && skip("}") ? ratio(numerator, denominator) : std::string{};
    if (quotient.empty()) at_ = begin;
    return quotient;
  }

  // The quotient of two whole numbers: as a decimal where it has finitely many digits, else as a
  // fraction in lowest terms. Empty unless both are there and the denominator is not 0.
  static std::string ratio(std::string_view numerator, std::string_view denominator) {
    constexpr std::size_t most_digits = 18;
    if (numerator.empty() || numerator.size() > most_digits || denominator.empty() ||
        denominator.size() > most_digits) {
      return {};
    }
    std::uint64_t n = parsed(numerator), d = parsed(denominator);
    if (d == 0) return {};
    const std::uint64_t common = std::gcd(n, d);
    n /= common;
    d /= common;
    std::uint64_t rest = d;
    for (const std::uint64_t prime : {2u, 5u}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest != 1) return std::to_string(n) + '/' + std::to_string(d);
    std::string value = std::to_string(n / d);
    n %= d;
    if (n > 0) value += '.';
    while (n > 0) {
      n *= 10;
      value += static_cast<char>('0' + n / d);
      n %= d;
    }
    return value;
  }

  static std::uint64_t parsed(std::string_view digits) {
    std::uint64_t value = 0;
    for (const char c : digits) value = 10 * value + static_cast<std::uint64_t>(c - '0');
    return value;
  }

  // A minus is a sign when it stands directly before the number, a currency sign between them
  // allowed, and nothing that could be subtracted from stands directly before it.
  [[nodiscard]] bool is_negative(std::size_t begin) const {
    for (const std::string_view currency : {"\\$", "$", "€", "£"}) {
      if (!precedes(begin, currency)) continue;
      begin -= currency.size();
      break;
    }
    for (const std::string_view minus : {"-", "−"}) {
      if (!precedes(begin, minus)) continue;
      begin -= minus.size();
      return begin == 0 ||
             (!Ascii::is_word(text_[begin - 1]) &&
              std::string_view("-)]}%").find(text_[begin - 1]) == std::string_view::npos);
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// The position of the brace that closes the one at `open`, or npos. Braces behind a backslash do not
/// count.
[[nodiscard]] inline std::size_t closing_brace(std::string_view text, std::size_t open) {
  std::size_t depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i;
    }
  }
  return npos;
}

/// Rewrites a mathematical expression in TeX so that the usual ways to write one and the same answer
/// become one string; nothing is computed. See `normalized_math`.
class MathReader {
 public:
  explicit MathReader(std::string_view text) : MathReader(text, 0) {}

  [[nodiscard]] std::string read() {
    while (at_ < text_.size()) step();
    return std::string(trimmed(out_));
  }

  /// Whether a comma followed by white space was seen: a list, no separator of thousands.
  [[nodiscard]] bool is_list() const noexcept { return is_list_; }

 private:
  MathReader(std::string_view text, std::size_t depth) : text_(text), depth_(depth) {}

  [[nodiscard]] bool has(std::string_view what) const {
    return text_.substr(at_).starts_with(what);
  }
  bool skip(std::string_view what) {
    if (!has(what)) return false;
    at_ += what.size();
    return true;
  }
  void skip_spaces() {
    while (at_ < text_.size() && Ascii::is_space(text_[at_])) ++at_;
  }

  void step() {
    const char c = text_[at_];
    if (Ascii::is_space(c) || c == '~') {
      is_list_ = is_list_ || out_.ends_with(',');
      has_space_ = true;
      ++at_;
    } else if (c == '\\') {
      command();
    } else if (skip("$") || skip("%") || skip("°") || skip("^\\circ") || skip("^{\\circ}") ||
               skip("{,}")) {
      // Currency, percent, degrees and TeX's separator of thousands leave no trace.
    } else if (c == '^' || c == '_') {
      ++at_;
      const std::string inner = argument();
      out_ += c;
      out_ += inner.size() == 1 ? inner : '{' + inner + '}';
    } else if (skip("−")) {
      put('-');
    } else {
      put(c);
      ++at_;
    }
  }

  // White space counts only where it keeps two letters apart.
  void put(char c) {
    if (has_space_ && Ascii::is_letter(c) && !out_.empty() && Ascii::is_letter(out_.back())) {
      out_ += ' ';
    }
    has_space_ = false;
    out_ += c;
  }

  void command() {
    ++at_;
    if (at_ == text_.size()) {
      out_ += '\\';
      return;
    }
    if (!Ascii::is_letter(text_[at_])) {
      const char symbol = text_[at_++];
      constexpr std::string_view dropped = " ,;:!$%()[]";
      if (dropped.find(symbol) == npos) (out_ += '\\') += symbol;
      return;
    }
    const std::size_t begin = at_;
    while (at_ < text_.size() && Ascii::is_letter(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac") {
      out_ += "\\frac";
      for (int i = 0; i < 2; ++i) out_ += '{' + argument() + '}';
    } else if (name == "sqrt") {
      root();
    } else if (name == "left" || name == "right") {
      skip_spaces();
      skip(".");
    } else if (is_one_of(name, {"text", "textbf", "textit", "textrm", "mathrm", "mathbf", "mathit",
                                "mbox", "operatorname", "boldsymbol", "bf", "rm"})) {
      words();
    } else if (!is_one_of(name, {"displaystyle", "textstyle", "limits", "quad", "qquad", "degree",
                                 "big", "Big", "bigl", "bigr", "Bigl", "Bigr"})) {
      has_space_ = false;
      (out_ += '\\') += name;
    }
  }

  void root() {
    out_ += "\\sqrt";
    skip_spaces();
    const std::size_t close = has("[") ? text_.find(']', at_) : npos;
    if (close != npos) {
      out_ += text_.substr(at_, close + 1 - at_);
      at_ = close + 1;
    }
    out_ += '{' + argument() + '}';
  }

  // The next argument of a command: a group, a command, or one character; without braces.
  std::string argument() {
    skip_spaces();
    if (at_ == text_.size()) return {};
    std::size_t begin = at_, end = at_ + 1;
    if (text_[at_] == '{') {
      const std::size_t close = closing_brace(text_, at_);
      end = close == npos ? text_.size() : close;
      at_ = close == npos ? end : close + 1;
      ++begin;
    } else {
      if (text_[at_] == '\\') {
        while (end < text_.size() && Ascii::is_letter(text_[end])) ++end;
      }
      at_ = end;
    }
    const std::string_view inner = text_.substr(begin, end - begin);
    // What is nested this deep is no answer but a model that repeats itself.
    constexpr std::size_t deepest = 32;
    return depth_ == deepest ? std::string(inner) : MathReader(inner, depth_ + 1).read();
  }

  // Words are kept as they are; those behind a number that ends the expression are its unit.
  void words() {
    skip_spaces();
    if (!has("{")) return;
    const std::size_t close = closing_brace(text_, at_);
    const std::size_t end = close == npos ? text_.size() : close;
    const std::string_view inner = text_.substr(at_ + 1, end - at_ - 1);
    at_ = close == npos ? end : close + 1;
    const bool has_digit = std::any_of(inner.begin(), inner.end(), Ascii::is_digit);
    if (!out_.empty() && (Ascii::is_digit(out_.back()) || out_.back() == '}') && !has_digit &&
        only_an_exponent_follows()) {
      at_ = text_.size();
      return;
    }
    for (const char c : inner) {
      const bool is_space = Ascii::is_space(c) || c == '~';
      if (!is_space) {
        put(c);
      } else if (!out_.empty() && out_.back() != ' ') {
        out_ += ' ';
      }
    }
  }

  [[nodiscard]] bool only_an_exponent_follows() const {
    std::string_view rest = trimmed(text_.substr(at_));
    if (rest.ends_with('.')) rest.remove_suffix(1);
    return std::all_of(rest.begin(), rest.end(), [&](char c) {
      return rest.front() == '^' && (c == '^' || c == '{' || c == '}' || Ascii::is_digit(c));
    });
  }

  template <std::size_t N>
  static bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  }

  std::string_view text_;
  std::string out_ = {};
  std::size_t at_ = 0, depth_;
  bool has_space_ = false, is_list_ = false;
};

/// The canonical form of a number, or none if the text is anything else. "1,000", "1000.0", "$1,000"
/// and "1000." are all "1000"; the sign is kept, percent and currency signs are not.
[[nodiscard]] inline std::optional<std::string> normalized_number(std::string_view text) {
  return NumberReader::whole(text);
}

/// A form of a mathematical answer in which the usual ways to write the same answer are the same
/// string. For comparing, with `last_boxed` or with a reference answer.
///
/// A number becomes what `normalized_number` gives. Else: white space and spacing commands go, but
/// for one space between letters; so do \left, \right, dollar, percent and degree signs; \dfrac and
/// \tfrac become \frac; missing braces of \frac and \sqrt are added, needless ones of exponents
/// removed; a/b of whole numbers becomes \frac{a}{b}; a sign in a numerator moves to the front; \text
/// and its relatives are taken off, with their content where it is the unit of a number; one or two
/// letters and "=" in front go; a capital letter loses its parentheses; a full stop at the end goes.
/// Nothing is computed: 0.5 and \frac{1}{2} stay different, and so do \frac{2}{4} and \frac{1}{2}.
[[nodiscard]] inline std::string normalized_math(std::string_view text) {
  if (std::optional<std::string> number = normalized_number(text)) return *number;
  MathReader reader(text);
  std::string math = reader.read();
  if (math.ends_with('.') && !math.ends_with("..")) math.pop_back();

  const std::size_t equals = math.find('=');
  if ((equals == 1 || equals == 2) && math.find('=', equals + 1) == npos &&
      std::all_of(math.begin(), math.begin() + static_cast<std::ptrdiff_t>(equals),
                  Ascii::is_letter)) {
    math.erase(0, equals + 1);
  }
  if (math.size() == 3 && math[0] == '(' && Ascii::is_upper(math[1]) && math[2] == ')') {
    math = math[1];
  }
  const std::size_t slash = math.find('/');
  const std::size_t first = math.starts_with('-') ? 1 : 0;
  const auto is_whole = [&](std::size_t begin, std::size_t end) {
    const std::string_view part = std::string_view(math).substr(begin, end - begin);
    return !part.empty() && std::all_of(part.begin(), part.end(), Ascii::is_digit);
  };
  if (slash != npos && slash > first && is_whole(first, slash) &&
      is_whole(slash + 1, math.size())) {
    math = math.substr(0, first) + "\\frac{" + math.substr(first, slash - first) + "}{" +
           math.substr(slash + 1) + '}';
  }
  if (math.starts_with("\\frac{-")) math = "-\\frac{" + math.substr(7);
  if (!reader.is_list()) {
    if (std::optional<std::string> number = normalized_number(math)) return *number;
  }
  return math;
}

/// An answer with its value. Two answers are equal where their values are.
struct Answer {
  std::string text = {};  ///< canonical: the same text for the same value, to be read by people too
  friend bool operator==(const Answer&, const Answer&) = default;
};

/// Reads a text that is an answer as a whole ("12\\frac{3}{5}", "$1,000", "(1, 2]"), or none where it
/// is blank.
[[nodiscard]] inline std::optional<Answer> read_answer(std::string_view text) {
  std::string canonical = normalized_math(text);
  if (canonical.empty()) return std::nullopt;
  return Answer{std::move(canonical)};
}

/// Whether two texts are the same answer, by value. A blank text is no answer and equals nothing.
[[nodiscard]] inline bool same_answer(std::string_view a, std::string_view b) {
  const std::optional<Answer> first = read_answer(a);
  return first && first == read_answer(b);
}

}  // namespace tilt

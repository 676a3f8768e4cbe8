#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/text/ascii.hpp"
#include "tilt/text/rational.hpp"

namespace tilt {

/// A number with its value. Equal numbers have equal texts.
struct Number {
  std::optional<Rational> exact = {};  ///< none beyond 36 digits, where the text is the value
  std::string text = {};               ///< "0.75", "1/3", "-12"

  [[nodiscard]] static Number of(const Rational& value) { return {value, value.text()}; }
  [[nodiscard]] Number negated() const {
    if (exact) return of(exact->negated());
    return {std::nullopt, text.starts_with('-') ? text.substr(1) : '-' + text};
  }
};

/// Where the readers of numbers stand. In prose a comma may be that of decimals; among brackets of
/// mathematics it parts coordinates.
enum class NumberStyle { prose, math, among_brackets };

namespace detail {

/// Digits and a power of ten: 1234 and -2 is 12.34.
struct Decimal {
  std::string digits = {};
  std::int64_t exponent = 0;

  [[nodiscard]] Number number() const {
    const std::size_t first = digits.find_first_not_of('0');
    if (first == std::string::npos) return Number::of(0);
    const std::size_t end = digits.find_last_not_of('0') + 1;
    const std::string_view shown = std::string_view(digits).substr(first, end - first);
    const std::int64_t power = exponent + static_cast<std::int64_t>(digits.size() - end);
    const auto size = static_cast<std::int64_t>(shown.size());
    constexpr std::int64_t most = 36;
    if (size + std::max<std::int64_t>(power, 0) <= most && power >= -most) {
      Rational::Integer above = 0, below = 1;
      for (const char c : shown) above = 10 * above + (c - '0');
      for (std::int64_t i = 0; i < power; ++i) above *= 10;
      for (std::int64_t i = power; i < 0; ++i) below *= 10;
      if (const auto value = Rational::ratio(above, below)) return Number::of(*value);
    }
    constexpr std::int64_t written_out = 400;
    if (power > written_out || size + power < -written_out) {
      return {std::nullopt, std::string(shown) + 'e' + std::to_string(power)};
    }
    std::string text(shown);
    if (power >= 0) {
      text.append(static_cast<std::size_t>(power), '0');
    } else if (-power < size) {
      text.insert(static_cast<std::size_t>(size + power), ".");
    } else {
      text.insert(0, "0." + std::string(static_cast<std::size_t>(-power - size), '0'));
    }
    return {std::nullopt, std::move(text)};
  }
};

/// Reads the parts of numbers at a place of a folded text. Each function moves behind what it reads and
/// gives none, unmoved, where there is no such thing. None looks further than what it reads and a few
/// bytes more.
class NumberParts {
 public:
  NumberParts(std::string_view text, std::size_t at, NumberStyle style)
      : text_(text), at_(at), style_(style) {}

  [[nodiscard]] std::size_t at() const noexcept { return at_; }

  /// Digits with separators of thousands, a fraction, an exponent ("1,234.5", "2e3").
  [[nodiscard]] std::optional<Decimal> decimal() {
    if (!starts_decimal()) return std::nullopt;
    const std::size_t begin = at_;
    Decimal read{digits()};
    is_plain_ = true;
    if (!read.digits.empty() && read.digits.size() <= 3 && read.digits != "0") {
      groups(begin, read.digits);
    }
    const bool has_comma = decimal_comma(begin, read.digits);
    if (has_comma || (peek() == '.' && Ascii::is_digit(peek(1)))) {
      at_ += has_comma && peek() == '{' ? 3u : 1u;
      const std::string part = digits();
      read.exponent = -static_cast<std::int64_t>(part.size());
      read.digits += part;
      is_plain_ = false;
    }
    exponent(read);
    return read;
  }

  /// \frac of two numbers, each in braces or one digit.
  [[nodiscard]] std::optional<Rational> fraction() {
    const std::size_t begin = at_;
    if (!skip("\\frac") && !skip("\\dfrac") && !skip("\\tfrac") && !skip("\\cfrac")) return {};
    std::optional<Rational> value;
    if (const auto above = argument()) {
      if (const auto below = argument()) value = Rational::quotient(*above, *below);
    }
    if (!value) at_ = begin;
    return value;
  }

  /// A number as it is written without operators: a decimal, a fraction, or a whole number with a proper
  /// fraction ("7 3/4", "7\frac{3}{4}").
  [[nodiscard]] std::optional<Number> mixed() {
    if (const auto value = fraction()) return Number::of(*value);
    last_ = decimal();
    if (!last_) return std::nullopt;
    Number number = last_->number();
    if (!number.exact) return number;
    if (const auto repeated = repeating(*number.exact)) {
      last_.reset();
      return Number::of(*repeated);
    }
    if (!is_plain_) return number;
    const std::size_t end = at_;
    const bool apart = gap();
    std::optional<Rational> part = fraction();
    if (!part && apart) part = proper_slash();
    const bool is_part = part && part->sign() > 0 && part->numerator() < part->denominator();
    const auto sum = is_part ? Rational::sum(*number.exact, *part) : std::nullopt;
    if (!sum) {
      at_ = end;
      return number;
    }
    last_.reset();
    return Number::of(*sum);
  }

  /// The decimal that `mixed` read, where it was no more than that.
  [[nodiscard]] const std::optional<Decimal>& last() const noexcept { return last_; }

  /// A whole number as an exponent: "3", "-3" or in braces.
  [[nodiscard]] std::optional<std::int64_t> whole_power() {
    const std::size_t begin = at_;
    const bool has_brace = skip("{");
    const bool minus = skip("-");
    if (!minus) skip("+");
    const std::string read = digits();
    constexpr std::size_t most = 9;
    if (read.empty() || read.size() > most || (has_brace && !skip("}"))) {
      at_ = begin;
      return std::nullopt;
    }
    std::int64_t value = 0;
    for (const char c : read) value = 10 * value + (c - '0');
    return minus ? -value : value;
  }

  bool skip(std::string_view what) {
    if (!text_.substr(std::min(at_, text_.size())).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  /// Moves over a little white space, plain or TeX's. Returns whether there was some.
  bool gap() {
    const std::size_t begin = at_;
    for (int i = 0; i < 3; ++i) {
      if (!skip(" ") && !skip("~") && !skip("\\ ") && !skip("\\,") && !skip("\\;") &&
          !skip("\\!")) {
        break;
      }
    }
    return at_ > begin;
  }
  [[nodiscard]] char peek(std::size_t offset = 0) const {
    return at_ + offset < text_.size() ? text_[at_ + offset] : '\0';
  }

 private:
  [[nodiscard]] char before(std::size_t at, std::size_t back = 1) const {
    return at >= back ? text_[at - back] : '\0';
  }
  [[nodiscard]] bool starts_decimal() const {
    if (Ascii::is_digit(peek())) return true;
    return peek() == '.' && Ascii::is_digit(peek(1)) && !Ascii::is_word(before(at_));
  }
  std::string digits() {
    const std::size_t begin = at_;
    while (Ascii::is_digit(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  // How many digits stand at a place, up to 4.
  [[nodiscard]] std::size_t run(std::size_t at) const {
    std::size_t count = 0;
    while (count < 4 && at + count < text_.size() && Ascii::is_digit(text_[at + count])) ++count;
    return count;
  }
  // How many bytes a separator takes if `width` digits follow it, or 0.
  [[nodiscard]] std::size_t separated(std::size_t at, std::string_view separator,
                                      std::size_t width) const {
    const bool found = text_.substr(std::min(at, text_.size())).starts_with(separator) &&
                       run(at + separator.size()) == width;
    return found ? separator.size() : 0;
  }

  // Reads the groups behind the first up to three digits of a number.
  void groups(std::size_t begin, std::string& whole) {
    for (const std::string_view separator :
         {",\\!", "{,}", ",\\,", "\\,", "\\ ", "\\;", "~", "'", ",", ".", " "}) {
      std::size_t end = at_, count = 0;
      bool has_zeros = false;
      std::string more;
      const auto take = [&](std::size_t width) {
        const std::size_t size = separated(end, separator, width);
        if (size == 0) return false;
        const std::string_view group = text_.substr(end + size, width);
        has_zeros = has_zeros || group.starts_with('0');
        more += group;
        end += size + width;
        ++count;
        return true;
      };
      const bool is_indian = separator == "," && whole.size() <= 2 && take(2);
      while (is_indian && take(2)) {
      }
      if (is_indian && !take(3)) continue;
      while (!is_indian && take(3)) {
      }
      if (count == 0) continue;
      // A list that goes on in another way: "1,234,5".
      const bool goes_on = end + separator.size() < text_.size() &&
                           text_.substr(end).starts_with(separator) &&
                           run(end + separator.size()) > 0;
      if (goes_on && separator != ",") continue;
      if (separator == "," && style_ == NumberStyle::among_brackets && !has_zeros) continue;
      if (separator == "," && goes_on && style_ != NumberStyle::prose) continue;
      if (separator == ".") {
        const bool has_decimals = end < text_.size() && text_[end] == ',' && run(end + 1) > 0;
        if (style_ != NumberStyle::prose || (count < 2 && !has_decimals)) continue;
      }
      if (separator == " ") {
        const bool stands_apart = !(before(begin) == ' ' && Ascii::is_digit(before(begin, 2)));
        const bool is_usual = whole.size() < 3 || count == 1 || has_zeros;
        if (!stands_apart || !is_usual || whole.starts_with('0')) continue;
      }
      whole += more;
      at_ = end;
      separator_ = separator.front();
      return;
    }
  }

  // Whether a comma here is that of decimals.
  [[nodiscard]] bool decimal_comma(std::size_t begin, std::string_view whole) const {
    if (whole.empty()) return false;
    const bool is_tex = text_.substr(at_).starts_with("{,}");
    if (!is_tex && peek() != ',') return false;
    const std::size_t from = at_ + (is_tex ? 3 : 1), count = run(from);
    if (count == 0) return false;
    if (is_tex || separator_ == '.') return true;
    if (separator_ == ',') return false;
    if (style_ != NumberStyle::prose || (count == 3 && whole != "0")) return false;
    const char front = before(begin) == '-' ? before(begin, 2) : before(begin);
    std::size_t end = from;
    while (end < text_.size() && Ascii::is_digit(text_[end])) ++end;
    const char back = end < text_.size() ? text_[end] : '\0';
    const bool in_list = front == ',' || (back == ',' && run(end + 1) > 0);
    return !in_list && front != '(' && front != '[' && front != '{' && front != '|';
  }

  void exponent(Decimal& read) {
    if (peek() != 'e' && peek() != 'E') return;
    const bool has_sign = peek(1) == '-' || peek(1) == '+';
    const std::size_t from = at_ + (has_sign ? 2 : 1);
    std::size_t end = from;
    while (end < text_.size() && Ascii::is_digit(text_[end])) ++end;
    if (end == from || (end < text_.size() && Ascii::is_letter(text_[end]))) return;
    constexpr std::int64_t most = 1'000'000'000'000;  // beyond it all exponents are one
    std::int64_t power = 0;
    for (std::size_t i = from; i < end; ++i) {
      power = std::min(10 * power + (text_[i] - '0'), most);
    }
    read.exponent += peek(1) == '-' ? -power : power;
    at_ = end;
    is_plain_ = false;
  }

  // Behind a decimal: digits that repeat for ever, 0.1\overline{6} or 0.1(6).
  std::optional<Rational> repeating(const Rational& value) {
    const std::size_t begin = at_;
    if (is_plain_ && !skip(".")) return std::nullopt;
    const bool is_overlined = skip("\\overline{");
    const bool is_bracketed = !is_overlined && style_ == NumberStyle::math && skip("(");
    const std::string part = is_overlined || is_bracketed ? digits() : std::string{};
    constexpr std::size_t most = 12;
    std::optional<Rational> sum;
    if (!part.empty() && part.size() <= most && last_->exponent > -18 &&
        skip(is_overlined ? "}" : ")")) {
      Rational::Integer below = 1;
      for (std::size_t i = 0; i < part.size(); ++i) below *= 10;
      --below;
      for (std::int64_t i = last_->exponent; i < 0; ++i) below *= 10;
      const auto rest = Rational::ratio(std::stoll(part), below);
      if (rest) sum = Rational::sum(value, *rest);
    }
    if (!sum) at_ = begin;
    return sum;
  }

  // A number in braces, with a sign, or a single digit.
  std::optional<Rational> argument() {
    while (peek() == ' ') ++at_;
    if (Ascii::is_digit(peek())) return Rational(text_[at_++] - '0');
    if (!skip("{")) return std::nullopt;
    gap();
    const bool minus = skip("-");
    NumberParts inner(text_, at_, NumberStyle::math);
    const std::optional<Decimal> read = inner.decimal();
    if (!read) return std::nullopt;
    at_ = inner.at_;
    gap();
    if (!skip("}")) return std::nullopt;
    const Number number = read->number();
    if (!number.exact) return std::nullopt;
    return minus ? number.exact->negated() : *number.exact;
  }

  // "3/4" that no further slash or point follows.
  std::optional<Rational> proper_slash() {
    const std::size_t begin = at_;
    const std::string above = digits();
    const bool has_slash = !above.empty() && skip("/");
    const std::string below = has_slash ? digits() : std::string{};
    const bool ends = peek() != '/' && !(peek() == '.' && Ascii::is_digit(peek(1)));
    std::optional<Rational> value;
    constexpr std::size_t most = 9;
    if (!below.empty() && ends && above.size() <= most && below.size() <= most) {
      value = Rational::ratio(std::stoll(above), std::stoll(below));
    }
    if (!value) at_ = begin;
    return value;
  }

  std::string_view text_;
  std::size_t at_;
  NumberStyle style_;
  bool is_plain_ = false;
  char separator_ = '\0';  // of thousands, as far as seen
  std::optional<Decimal> last_ = {};
};

struct ScaleWord {
  std::string_view word;
  int power;
};
/// Words that multiply the number before them by a power of ten.
inline constexpr ScaleWord scale_words[] = {{"hundred", 2},
                                            {"thousand", 3},
                                            {"million", 6},
                                            {"millions", 6},
                                            {"billion", 9},
                                            {"billions", 9},
                                            {"trillion", 12},
                                            {"trillions", 12},
                                            {"lakh", 5},
                                            {"lakhs", 5},
                                            {"crore", 7},
                                            {"crores", 7},
                                            {"milliard", 9},
                                            {"milliards", 9},
                                            {"Millionen", 6},
                                            {"millones", 6},
                                            {"\xe5\x8d\x83", 3} /* qian */,
                                            {"\xe4\xb8\x87", 4} /* wan */,
                                            {"\xe8\x90\xac", 4} /* wan */,
                                            {"\xe4\xba\xbf", 8} /* yi */,
                                            {"\xe5\x84\x84", 8} /* yi */};

[[nodiscard]] inline int scale_of(std::string_view word) {
  for (const auto& [known, power] : scale_words) {
    if (known == word) return power;
  }
  return 0;
}

}  // namespace detail
}  // namespace tilt

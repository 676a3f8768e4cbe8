#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tilt/text/ascii.hpp"
#include "tilt/text/number.hpp"

namespace tilt {

/// Reads the numbers of a text in prose from left to right. The text is to be folded (`folded`).
///
/// A number is digits with separators of thousands (commas, TeX's spacings, narrow spaces, apostrophes,
/// a space before exactly three digits), decimals behind a point, or behind a comma that is no
/// separator; with an exponent (1e3, 2.5 \times 10^3, 10^{-2}), a fraction (3/4, \frac34, 7 3/4) or a
/// word such as "million". Exponents and subscripts of anything else, as in cm^2, are no numbers, and
/// what is written behind a number (units, percent) is not looked at. The sign is kept: a minus directly
/// before the number (a currency sign between them allowed) unless a letter, a digit, a closing bracket
/// or another minus stands directly before it, so that "10-4" ends in 4; also a minus and a space behind
/// "=" or an opening bracket, and the words "negative" and "minus".
///
/// Cost: linear in the length of the text.
class NumberReader {
 public:
  explicit NumberReader(std::string_view text) : text_(text) {}

  /// The next number, or none.
  [[nodiscard]] std::optional<Number> next() {
    while (at_ < text_.size()) {
      if (skip_script()) continue;
      const std::size_t begin = at_;
      if (std::optional<Number> value = read(begin)) {
        return is_negative(begin) ? value->negated() : value;
      }
      ++at_;
    }
    return std::nullopt;
  }

  /// Where the text goes on behind the number that was read last.
  [[nodiscard]] std::size_t at() const noexcept { return at_; }

 private:
  [[nodiscard]] char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  // Passes over an exponent or a subscript that belongs to no number, and the digit of "cm2".
  bool skip_script() {
    const char before = at_ > 0 ? text_[at_ - 1] : '\0';
    const bool lowered = text_[at_] == '_' && (Ascii::is_word(before) || before == '}');
    const bool starred = text_[at_] == '*' && peek(at_ + 1) == '*' && Ascii::is_letter(before);
    if (text_[at_] == '^' || lowered || starred) {
      const std::size_t behind = at_ + (starred ? 2 : 1);
      detail::NumberParts parts(text_, behind, NumberStyle::math);
      at_ = parts.whole_power() ? parts.at() : behind;
      return true;
    }
    if ((text_[at_] == '2' || text_[at_] == '3') && Ascii::is_lower(before) &&
        !Ascii::is_word(peek(at_ + 1))) {
      std::size_t begin = at_;
      while (begin > 0 && at_ - begin < 3 && Ascii::is_letter(text_[begin - 1])) --begin;
      const std::string_view unit = text_.substr(begin, at_ - begin);
      const bool apart = begin > 0 && (text_[begin - 1] == ' ' || text_[begin - 1] == '~' ||
                                       Ascii::is_digit(text_[begin - 1]));
      for (const std::string_view known : {"mm", "cm", "dm", "m", "km", "in", "ft", "yd", "mi"}) {
        if (apart && unit == known) {
          ++at_;
          return true;
        }
      }
    }
    return false;
  }

  std::optional<Number> read(std::size_t begin) {
    detail::NumberParts parts(text_, at_, NumberStyle::prose);
    std::optional<Number> value = parts.mixed();
    if (!value) return std::nullopt;
    std::optional<detail::Decimal> decimal = parts.last();
    if (decimal) {
      power(parts, *value, decimal);
      quotient(parts, begin, *value, decimal);
      if (decimal) scale(parts, *value, *decimal);
    }
    at_ = parts.at();
    return value;
  }

  // Base and exponent, or a power of ten as a factor.
  static void power(detail::NumberParts& parts, Number& value,
                    std::optional<detail::Decimal>& decimal) {
    detail::NumberParts ahead = parts;
    if (ahead.skip("^")) {
      const auto exponent = ahead.whole_power();
      if (!exponent) return;
      if (value.text == "10") {
        decimal = detail::Decimal{"1", *exponent};
        value = decimal->number();
      } else {
        const auto exact = value.exact ? Rational::power(*value.exact, *exponent) : std::nullopt;
        value = exact ? Number::of(*exact)
                      : Number{std::nullopt, value.text + '^' + std::to_string(*exponent)};
        decimal.reset();
      }
      parts = ahead;
      return;
    }
    ahead.gap();
    if (!ahead.skip("\\times") && !ahead.skip("\\cdot") && !ahead.skip("*") && !ahead.skip("x") &&
        !ahead.skip("X")) {
      return;
    }
    ahead.gap();
    if (!ahead.skip("10^")) return;
    const auto exponent = ahead.whole_power();
    if (!exponent) return;
    decimal->exponent += *exponent;
    value = decimal->number();
    parts = ahead;
  }

  // a/b is one number; a chain of slashes (a date, a path) is not.
  void quotient(detail::NumberParts& parts, std::size_t begin, Number& value,
                std::optional<detail::Decimal>& decimal) const {
    detail::NumberParts ahead = parts;
    const bool apart = ahead.gap();
    if (!value.exact || (begin > 0 && text_[begin - 1] == '/') || !ahead.skip("/")) return;
    if (ahead.gap() != apart) return;
    const auto divisor = ahead.decimal();
    if (!divisor || ahead.peek() == '/') return;
    const Number below = divisor->number();
    const auto exact = below.exact ? Rational::quotient(*value.exact, *below.exact) : std::nullopt;
    if (!exact) return;
    value = Number::of(*exact);
    decimal.reset();
    parts = ahead;
  }

  void scale(detail::NumberParts& parts, Number& value, detail::Decimal decimal) const {
    for (int i = 0; i < 2; ++i) {
      detail::NumberParts ahead = parts;
      ahead.gap();
      const bool wrapped =
          ahead.skip("\\text{") || ahead.skip("\\mathrm{") || ahead.skip("\\mbox{");
      ahead.gap();
      int found = 0;
      for (const auto& [word, shift] : detail::scale_words) {
        detail::NumberParts behind = ahead;
        if (!behind.skip(word) ||
            (Ascii::is_letter(word.back()) && Ascii::is_word(behind.peek()))) {
          continue;
        }
        if (wrapped) behind.skip("}");
        parts = behind;
        found = shift;
        break;
      }
      if (found == 0) return;
      decimal.exponent += found;
      value = decimal.number();
    }
  }

  [[nodiscard]] bool ends_with(std::size_t end, std::string_view what) const {
    return text_.substr(0, end).ends_with(what);
  }
  [[nodiscard]] bool is_negative(std::size_t begin) const {
    for (const std::string_view currency :
         {"\\$", "$", "\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5", "\xe2\x82\xb9"}) {
      if (!ends_with(begin, currency)) continue;
      begin -= currency.size();
      break;
    }
    if (ends_with(begin, "-")) {
      const char c = begin > 1 ? text_[begin - 2] : ' ';
      return !Ascii::is_word(c) && std::string_view("-)]}%").find(c) == std::string_view::npos;
    }
    if (ends_with(begin, "- ")) {
      std::size_t end = begin - 2;
      for (int i = 0; i < 3 && end > 0 && text_[end - 1] == ' '; ++i) --end;
      return end > 0 && (text_[end - 1] == '=' || text_[end - 1] == '(');
    }
    if (ends_with(begin, "negative ") || ends_with(begin, "Negative ")) return true;
    if (ends_with(begin, "minus ")) {  // a sign, unless something stands before it to subtract from
      const std::size_t end = begin - std::string_view("minus ").size();
      const char c = end > 1 ? text_[end - 2] : ' ', c2 = end > 2 ? text_[end - 3] : ' ';
      const bool is_name = Ascii::is_letter(c) && !Ascii::is_letter(c2);
      return !Ascii::is_digit(c) && c != ')' && c != '%' && !is_name;
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace tilt

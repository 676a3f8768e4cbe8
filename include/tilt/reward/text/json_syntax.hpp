#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tilt/reward/text/unicode.hpp"

namespace tilt::constraint {

/// Checks whether a text is one JSON value, as Python's `json.loads` reads it: RFC 8259, and also
/// NaN, Infinity, -Infinity, and escaped surrogates that stand alone. Refused, as there: control
/// characters inside strings, a byte order mark, a comma before a closing bracket, whole numbers of
/// more than 4,300 digits. Depth is limited by memory only; the reader does not call itself.
class JsonSyntax {
 public:
  [[nodiscard]] static bool accepts(std::u32string_view text) { return JsonSyntax(text).read(); }

 private:
  explicit JsonSyntax(std::u32string_view text) : text_(text) {}

  bool read() {
    std::vector<char32_t> open;  // the closing bracket of each array or object that is open
    while (true) {
      skip_space();
      // A value is due.
      if (take(U'[')) {
        skip_space();
        if (!take(U']')) {
          open.push_back(U']');
          continue;
        }
      } else if (take(U'{')) {
        skip_space();
        if (!take(U'}')) {
          if (!read_name()) return false;
          open.push_back(U'}');
          continue;
        }
      } else if (!read_scalar()) {
        return false;
      }
      // A value has ended; so do the brackets that close here.
      while (true) {
        skip_space();
        if (open.empty()) return at_ == text_.size();
        if (!take(open.back())) break;
        open.pop_back();
      }
      if (!take(U',')) return false;
      skip_space();
      if (open.back() == U'}' && !read_name()) return false;
    }
  }

  [[nodiscard]] char32_t peek() const { return at_ < text_.size() ? text_[at_] : U'\0'; }

  bool take(char32_t c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool take(std::u32string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  void skip_space() {
    while (peek() == U' ' || peek() == U'\t' || peek() == U'\n' || peek() == U'\r') ++at_;
  }

  /// The name of a member and the colon after it.
  bool read_name() {
    if (!read_string()) return false;
    skip_space();
    return take(U':');
  }

  bool read_scalar() {
    if (peek() == U'"') return read_string();
    return take(U"null") || take(U"true") || take(U"false") || take(U"NaN") || take(U"Infinity") ||
           take(U"-Infinity") || read_number();
  }

  bool read_string() {
    if (!take(U'"')) return false;
    while (at_ < text_.size()) {
      const char32_t c = text_[at_++];
      if (c == U'"') return true;
      if (c < U' ') return false;
      if (c == U'\\' && !read_escape()) return false;
    }
    return false;
  }

  bool read_escape() {
    if (at_ == text_.size()) return false;
    const char32_t c = text_[at_++];
    if (c != U'u') return std::u32string_view(U"\"\\/bfnrt").find(c) != std::u32string_view::npos;
    for (int i = 0; i < 4; ++i) {
      const char32_t digit = unicode::simple_lower(peek());
      if (!unicode::is_ascii_digit(digit) && !(digit >= U'a' && digit <= U'f')) return false;
      ++at_;
    }
    return true;
  }

  std::size_t read_digits() {
    const std::size_t begin = at_;
    while (unicode::is_ascii_digit(peek())) ++at_;
    return at_ - begin;
  }

  /// The longest number here. A fraction or an exponent that lacks its digits is left unread.
  bool read_number() {
    constexpr std::size_t most_digits = 4300;
    take(U'-');
    std::size_t digits = 1;
    if (!take(U'0')) digits = read_digits();
    if (digits == 0) return false;
    const std::size_t whole = at_;
    if (take(U'.') && read_digits() == 0) at_ = whole;
    const std::size_t mantissa = at_;
    if (take(U'e') || take(U'E')) {
      if (!take(U'+')) take(U'-');
      if (read_digits() == 0) at_ = mantissa;
    }
    return at_ != whole || digits <= most_digits;
  }

  std::u32string_view text_;
  std::size_t at_ = 0;
};

}  // namespace tilt::constraint

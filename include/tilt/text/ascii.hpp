#pragma once

#include <string_view>

namespace tilt {

/// Classes of single bytes, the same in every locale. Bytes of other than ASCII characters are in
/// none of them.
struct Ascii {
  [[nodiscard]] static constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  [[nodiscard]] static constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
  [[nodiscard]] static constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
  [[nodiscard]] static constexpr bool is_letter(char c) noexcept {
    return is_upper(c) || is_lower(c);
  }
  [[nodiscard]] static constexpr bool is_word(char c) noexcept {
    return is_letter(c) || is_digit(c);
  }
  [[nodiscard]] static constexpr char lower(char c) noexcept {
    return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  }
  [[nodiscard]] static constexpr char upper(char c) noexcept {
    return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
  }
  [[nodiscard]] static constexpr bool is_space(char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
  }
};

/// Text without the white space around it.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && Ascii::is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && Ascii::is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace tilt

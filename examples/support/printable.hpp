#pragma once

// Text from files and models, made harmless before it is shown.

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include <tilt/reward/text/unicode.hpp>

/// Whether a character would act on what shows it instead of being shown: the control characters, with
/// which escape sequences begin, the line and paragraph separators, and the marks that turn the
/// direction of writing.
[[nodiscard]] constexpr bool acts_on_display(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
         (c >= 0xfff9 && c <= 0xfffb);
}

/// Such a character as visible text: \n, \x1b, \u{202e}.
[[nodiscard]] inline std::string visible(char32_t c) {
  switch (c) {
    case U'\n':
      return "\\n";
    case U'\r':
      return "\\r";
    case U'\t':
      return "\\t";
    default:
      char text[16];
      std::snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : "\\u{%x}", static_cast<unsigned>(c));
      return text;
  }
}

/// Text for one line on a terminal: characters that act on the display appear as visible text, bytes
/// that are not UTF-8 as U+FFFD.
/// @param most_bytes  longer results are cut between characters, and end in "…" beyond that number
[[nodiscard]] inline std::string printable(std::string_view bytes, std::size_t most_bytes = 200) {
  // A character has at most four bytes and gives at least one: the rest of a huge text is not looked at.
  const bool cut = bytes.size() / 4 > most_bytes;
  std::string shown;
  for (const char32_t c :
       tilt::unicode::decode(cut ? bytes.substr(0, 4 * most_bytes + 4) : bytes)) {
    const std::string next = acts_on_display(c) ? visible(c) : tilt::unicode::encode({&c, 1});
    if (shown.size() + next.size() > most_bytes) return shown + "…";
    shown += next;
  }
  return shown;
}

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tilt/reward/text/unicode_tables.hpp"

/// Text as code points, with the character classes, cases and white space of Python's strings and
/// regular expressions, on which IFEval's checkers are built.
namespace tilt::unicode {

/// Whether a code point is in a sorted table of runs.
[[nodiscard]] constexpr bool contains(std::span<const Run> runs, char32_t c) {
  const auto after =
      std::ranges::upper_bound(runs, c, {}, [](const Run& run) { return run.first; });
  if (after == runs.begin()) return false;
  const Run& run = *(after - 1);
  return c <= run.last && (c - run.first) % run.step == 0;
}

/// Property White_Space: what a regular expression of Unicode's kind calls space.
[[nodiscard]] constexpr bool is_white_space(char32_t c) {
  if (c < 0x80) return c == U' ' || (c >= U'\t' && c <= U'\r');
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/// White space as `strip`, `split` and `\s` of Python have it: White_Space and the four information
/// separators U+001C to U+001F.
[[nodiscard]] constexpr bool is_space(char32_t c) {
  return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

[[nodiscard]] constexpr bool is_ascii_upper(char32_t c) { return c >= U'A' && c <= U'Z'; }
[[nodiscard]] constexpr bool is_ascii_lower(char32_t c) { return c >= U'a' && c <= U'z'; }
[[nodiscard]] constexpr bool is_ascii_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
[[nodiscard]] constexpr bool is_ascii_word(char32_t c) {
  return is_ascii_lower(c) || is_ascii_upper(c) || is_ascii_digit(c) || c == U'_';
}

/// `\w` of Python's `re`: letters, everything with a numeric value, the underscore. Marks are not
/// in it, so many words of Indic scripts are several.
[[nodiscard]] constexpr bool is_word(char32_t c) {
  return c < 0x80 ? is_ascii_word(c) : contains(word_characters, c);
}

/// `\w` as Unicode's report on regular expressions defines it: with marks and joiners, without
/// superscript digits and fractions.
[[nodiscard]] constexpr bool is_token_character(char32_t c) {
  return c < 0x80 ? is_ascii_word(c) : contains(token_characters, c);
}

/// `\d`: general category Nd.
[[nodiscard]] constexpr bool is_digit(char32_t c) {
  return c < 0x80 ? is_ascii_digit(c) : contains(decimal_digits, c);
}

[[nodiscard]] constexpr bool is_upper(char32_t c) {
  return c < 0x80 ? is_ascii_upper(c) : contains(upper_letters, c);
}
[[nodiscard]] constexpr bool is_lower(char32_t c) {
  return c < 0x80 ? is_ascii_lower(c) : contains(lower_letters, c);
}
[[nodiscard]] constexpr bool is_title(char32_t c) {
  return c >= 0x80 && contains(title_letters, c);
}
[[nodiscard]] constexpr bool is_cased(char32_t c) {
  return is_upper(c) || is_lower(c) || is_title(c);
}

/// A set of a few characters that is quick to ask.
class CharacterSet {
 public:
  /// @param characters  a literal, or another text that outlives the set
  explicit constexpr CharacterSet(std::u32string_view characters) : characters_(characters) {
    for (const char32_t c : characters) {
      if (c < 0x80) ascii_[c / 64] |= std::uint64_t{1} << (c % 64);
    }
  }

  [[nodiscard]] constexpr bool contains(char32_t c) const {
    if (c < 0x80) return ((ascii_[c / 64] >> (c % 64)) & 1u) != 0;
    return characters_.find(c) != std::u32string_view::npos;
  }

 private:
  std::array<std::uint64_t, 2> ascii_ = {};
  std::u32string_view characters_;
};

/// The simple (one to one) lower-case mapping.
[[nodiscard]] constexpr char32_t simple_lower(char32_t c) {
  if (c < 0x80) return is_ascii_upper(c) ? c + 0x20 : c;
  const auto after =
      std::ranges::upper_bound(lower_mappings, c, {}, [](const CaseRun& run) { return run.first; });
  if (after == lower_mappings.begin()) return c;
  const CaseRun& run = *(after - 1);
  if (c > run.last || (c - run.first) % run.step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + run.shift);
}

/// Whether two characters are equal when case is ignored, as in a case-insensitive pattern of
/// Python: their lower cases are equal or have the same upper case (k and the Kelvin sign, s and
/// the long s).
[[nodiscard]] constexpr bool equal_ignoring_case(char32_t a, char32_t b) {
  const char32_t x = simple_lower(a), y = simple_lower(b);
  if (x == y) return true;
  if (x < 0x80 && y < 0x80) return false;
  return std::ranges::any_of(case_pairs,
                             [&](const CasePair& pair) { return pair.a == x && pair.b == y; });
}

/// The full lower case of a text. A capital sigma that ends a word becomes the final sigma; the
/// word's end is taken where no cased letter follows, looking through apostrophes, full stops,
/// colons and combining accents.
[[nodiscard]] inline std::u32string lower(std::u32string_view text) {
  constexpr char32_t sigma = 0x3a3, final_sigma = 0x3c2, dotted_capital_i = 0x130,
                     dot_above = 0x307;
  const auto is_ignored = [](char32_t c) {
    return c == U'\'' || c == U'.' || c == U':' || c == 0x2019 || (c >= 0x300 && c <= 0x36f);
  };
  const auto ends_word = [&](std::size_t at) {
    std::size_t before = at;
    while (before > 0 && is_ignored(text[before - 1])) --before;
    if (before == 0 || !is_cased(text[before - 1])) return false;
    std::size_t after = at + 1;
    while (after < text.size() && is_ignored(text[after])) ++after;
    return after == text.size() || !is_cased(text[after]);
  };
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == sigma && ends_word(i)) {
      result += final_sigma;
    } else {
      result += simple_lower(c);
      if (c == dotted_capital_i) result += dot_above;
    }
  }
  return result;
}

/// Holds at least one upper-case letter and no lower- or title-case letter.
[[nodiscard]] inline bool is_all_upper(std::u32string_view text) {
  bool found = false;
  for (const char32_t c : text) {
    if (is_lower(c) || is_title(c)) return false;
    found = found || is_upper(c);
  }
  return found;
}

/// Holds at least one lower-case letter and no upper- or title-case letter.
[[nodiscard]] inline bool is_all_lower(std::u32string_view text) {
  bool found = false;
  for (const char32_t c : text) {
    if (is_upper(c) || is_title(c)) return false;
    found = found || is_lower(c);
  }
  return found;
}

/// The text without the characters at both of its ends that satisfy a predicate.
template <class Predicate>
[[nodiscard]] constexpr std::u32string_view strip(std::u32string_view text, Predicate drops) {
  while (!text.empty() && drops(text.front())) text.remove_prefix(1);
  while (!text.empty() && drops(text.back())) text.remove_suffix(1);
  return text;
}

/// The text without the white space at both of its ends.
[[nodiscard]] constexpr std::u32string_view strip(std::u32string_view text) {
  return strip(text, is_space);
}

/// Empty, or nothing but white space.
[[nodiscard]] constexpr bool is_blank(std::u32string_view text) {
  return std::ranges::all_of(text, is_space);
}

/// UTF-8 as code points. Every longest part of a character that is cut off, and every byte that can
/// start none, becomes one U+FFFD, as in Python's decoder with errors="replace".
[[nodiscard]] inline std::u32string decode(std::string_view utf8) {
  constexpr char32_t replacement = 0xfffd;
  std::u32string text;
  text.reserve(utf8.size());
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(utf8[i]); };
  for (std::size_t i = 0; i < utf8.size();) {
    const unsigned lead = byte(i++);
    if (lead < 0x80) {
      text += static_cast<char32_t>(lead);
      continue;
    }
    // The bytes that follow, and the legal range of the first of them: it excludes over-long forms,
    // surrogates and what lies above U+10FFFF.
    const std::size_t following = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    const unsigned low = lead == 0xe0 ? 0xa0u : lead == 0xf0 ? 0x90u : 0x80u;
    const unsigned high = lead == 0xed ? 0x9fu : lead == 0xf4 ? 0x8fu : 0xbfu;
    if (lead < 0xc2 || lead > 0xf4) {
      text += replacement;
      continue;
    }
    char32_t c = lead & (0x3fu >> following);
    std::size_t read = 0;
    while (read < following && i < utf8.size() && byte(i) >= (read == 0 ? low : 0x80u) &&
           byte(i) <= (read == 0 ? high : 0xbfu)) {
      c = (c << 6u) | (byte(i++) & 0x3fu);
      ++read;
    }
    text += read == following ? c : replacement;
  }
  return text;
}

/// Code points as UTF-8.
[[nodiscard]] inline std::string encode(std::u32string_view text) {
  std::string utf8;
  const auto add = [&utf8](char32_t byte) { utf8 += static_cast<char>(byte); };
  for (const char32_t c : text) {
    if (c < 0x80) {
      add(c);
      continue;
    }
    const unsigned following = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    add(((0xff00u >> (following + 1)) & 0xffu) | (c >> (6 * following)));
    for (unsigned shift = 6 * following; shift > 0; shift -= 6) {
      add(0x80u | ((c >> (shift - 6)) & 0x3fu));
    }
  }
  return utf8;
}

}  // namespace tilt::unicode

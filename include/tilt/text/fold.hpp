#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "tilt/text/ascii.hpp"

namespace tilt {
namespace detail {

/// One character of UTF-8 and its length in bytes; a byte that begins none stands for itself, with
/// `code` above Unicode's range.
struct Utf8Character {
  char32_t code = 0;
  std::size_t size = 1;
};
[[nodiscard]] inline Utf8Character utf8_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return {static_cast<char32_t>(lead), 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
  char32_t code = size == 4 ? lead & 0x07u : size == 3 ? lead & 0x0fu : lead & 0x1fu;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0u) != 0x80u) return {0x110000 + lead, 1};
    code = (code << 6) | (byte(at + i) & 0x3fu);
  }
  return size == 1 ? Utf8Character{0x110000 + lead, 1} : Utf8Character{code, size};
}

struct FoldedCharacter {
  char32_t code;
  std::string_view text;
};

/// Characters with a spelling in ASCII or TeX, by code.
inline constexpr FoldedCharacter folded_characters[] = {
    {0xa0, "~"},
    {0xa2, "\\cent "},
    {0xb1, "\\pm "},
    {0xb4, "'"},
    {0xb7, "\\cdot "},
    {0xbc, "\\frac{1}{4}"},
    {0xbd, "\\frac{1}{2}"},
    {0xbe, "\\frac{3}{4}"},
    {0xd7, "\\times "},
    {0xf7, "\\div "},
    {0x391, "A"},
    {0x392, "B"},
    {0x393, "\\Gamma "},
    {0x394, "\\Delta "},
    {0x398, "\\Theta "},
    {0x39b, "\\Lambda "},
    {0x39e, "\\Xi "},
    {0x3a0, "\\Pi "},
    {0x3a3, "\\Sigma "},
    {0x3a6, "\\Phi "},
    {0x3a8, "\\Psi "},
    {0x3a9, "\\Omega "},
    {0x3b1, "\\alpha "},
    {0x3b2, "\\beta "},
    {0x3b3, "\\gamma "},
    {0x3b4, "\\delta "},
    {0x3b5, "\\epsilon "},
    {0x3b6, "\\zeta "},
    {0x3b7, "\\eta "},
    {0x3b8, "\\theta "},
    {0x3b9, "\\iota "},
    {0x3ba, "\\kappa "},
    {0x3bb, "\\lambda "},
    {0x3bc, "\\mu "},
    {0x3bd, "\\nu "},
    {0x3be, "\\xi "},
    {0x3c0, "\\pi "},
    {0x3c1, "\\rho "},
    {0x3c3, "\\sigma "},
    {0x3c4, "\\tau "},
    {0x3c6, "\\phi "},
    {0x3c7, "\\chi "},
    {0x3c8, "\\psi "},
    {0x3c9, "\\omega "},
    {0x66a, "%"},
    {0x66b, "."},
    {0x66c, ","},
    {0x2010, "-"},
    {0x2011, "-"},
    {0x2012, "-"},
    {0x2013, "-"},
    {0x2018, "'"},
    {0x2019, "'"},
    {0x201c, "\""},
    {0x201d, "\""},
    {0x202f, "~"},
    {0x2032, "'"},
    {0x2044, "/"},
    {0x205f, " "},
    {0x2102, "\\mathbb{C}"},
    {0x2115, "\\mathbb{N}"},
    {0x211a, "\\mathbb{Q}"},
    {0x211d, "\\mathbb{R}"},
    {0x2124, "\\mathbb{Z}"},
    {0x2150, "\\frac{1}{7}"},
    {0x2151, "\\frac{1}{9}"},
    {0x2152, "\\frac{1}{10}"},
    {0x2153, "\\frac{1}{3}"},
    {0x2154, "\\frac{2}{3}"},
    {0x2155, "\\frac{1}{5}"},
    {0x2156, "\\frac{2}{5}"},
    {0x2157, "\\frac{3}{5}"},
    {0x2158, "\\frac{4}{5}"},
    {0x2159, "\\frac{1}{6}"},
    {0x215a, "\\frac{5}{6}"},
    {0x215b, "\\frac{1}{8}"},
    {0x215c, "\\frac{3}{8}"},
    {0x215d, "\\frac{5}{8}"},
    {0x215e, "\\frac{7}{8}"},
    {0x2190, "\\leftarrow "},
    {0x2192, "\\to "},
    {0x2205, "\\emptyset "},
    {0x2208, "\\in "},
    {0x2209, "\\notin "},
    {0x2212, "-"},
    {0x2213, "\\mp "},
    {0x2215, "/"},
    {0x2216, "\\setminus "},
    {0x2217, "*"},
    {0x2218, "\\circ "},
    {0x221a, "\\sqrt "},
    {0x221b, "\\sqrt[3] "},
    {0x221e, "\\infty "},
    {0x2220, "\\angle "},
    {0x2223, "|"},
    {0x2229, "\\cap "},
    {0x222a, "\\cup "},
    {0x2236, ":"},
    {0x2248, "\\approx "},
    {0x2260, "\\ne "},
    {0x2264, "\\le "},
    {0x2265, "\\ge "},
    {0x2282, "\\subset "},
    {0x2286, "\\subseteq "},
    {0x22c5, "\\cdot "},
    {0x2a7d, "\\le "},
    {0x2a7e, "\\ge "},
    {0x3000, " "},
    {0x3001, ","},
    {0x3002, ". "},
    {0xfe63, "-"},
    {0xff61, ". "},
};

inline constexpr FoldedCharacter superscripts[] = {
    {0xb2, "2"},   {0xb3, "3"},   {0xb9, "1"},   {0x2070, "0"}, {0x2074, "4"},
    {0x2075, "5"}, {0x2076, "6"}, {0x2077, "7"}, {0x2078, "8"}, {0x2079, "9"},
    {0x207a, "+"}, {0x207b, "-"}, {0x207f, "n"},
};
inline constexpr FoldedCharacter subscripts[] = {
    {0x2080, "0"}, {0x2081, "1"}, {0x2082, "2"}, {0x2083, "3"}, {0x2084, "4"},
    {0x2085, "5"}, {0x2086, "6"}, {0x2087, "7"}, {0x2088, "8"}, {0x2089, "9"},
};

template <std::size_t N>
[[nodiscard]] std::string_view folded_by(const FoldedCharacter (&table)[N], char32_t code) {
  const auto found = std::lower_bound(
      std::begin(table), std::end(table), code,
      [](const FoldedCharacter& entry, char32_t wanted) { return entry.code < wanted; });
  return found != std::end(table) && found->code == code ? found->text : std::string_view{};
}

/// The decimal digit that a character of another script is, or -1.
[[nodiscard]] inline int digit_of(char32_t code) {
  // The zeros of runs of ten digits: Arabic-Indic, Persian, N'Ko, the scripts of India, Thai, Lao,
  // Tibetan, Myanmar, Khmer, Mongolian, full width.
  constexpr char32_t zeros[] = {0x660, 0x6f0,  0x7c0,  0x966,  0x9e6, 0xa66, 0xae6,
                                0xb66, 0xbe6,  0xc66,  0xce6,  0xd66, 0xe50, 0xed0,
                                0xf20, 0x1040, 0x17e0, 0x1810, 0xff10};
  for (const char32_t zero : zeros) {
    if (code >= zero && code < zero + 10) return static_cast<int>(code - zero);
  }
  // Bold and other mathematical digits.
  if (code >= 0x1d7ce && code <= 0x1d7ff) return static_cast<int>((code - 0x1d7ce) % 10);
  return -1;
}

}  // namespace detail

/// A text with the characters of other scripts that mean the same as ASCII or TeX written so: digits,
/// full-width letters and signs, dashes and minus signs, spaces ("~" where they keep a number together),
/// vulgar fractions, superscripts and subscripts, Greek letters and symbols. The rest is as it was.
/// Cost: linear.
[[nodiscard]] inline std::string folded(std::string_view text) {
  if (std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) {
    return std::string(text);
  }
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  char open = '\0';  // '^' or '_' while a run of raised or lowered digits is open
  for (std::size_t at = 0; at < text.size();) {
    const auto [code, size] = detail::utf8_at(text, at);
    const std::string_view raised = detail::folded_by(detail::superscripts, code);
    const std::string_view lowered = detail::folded_by(detail::subscripts, code);
    const char kind = !raised.empty() ? '^' : !lowered.empty() ? '_' : '\0';
    if (kind != open && open != '\0') out += '}';
    if (kind != open && kind != '\0') (out += kind) += '{';
    open = kind;
    if (kind != '\0') {
      out += raised.empty() ? lowered : raised;
    } else if (code < 0x80) {
      out += text[at];
    } else if (const int digit = detail::digit_of(code); digit >= 0) {
      out += static_cast<char>('0' + digit);
    } else if (code >= 0xff01 && code <= 0xff5e) {
      out += static_cast<char>(code - 0xff01 + 0x21);
    } else if (code >= 0x2000 && code <= 0x200a) {
      out += '~';
    } else if (const std::string_view plain = detail::folded_by(detail::folded_characters, code);
               !plain.empty()) {
      out += plain;
    } else {
      out += text.substr(at, size);
    }
    at += size;
  }
  if (open != '\0') out += '}';
  return out;
}

}  // namespace tilt

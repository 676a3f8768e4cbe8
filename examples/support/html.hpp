#pragma once

// Pieces of a self-contained HTML page: no script, no network, light and dark, readable on a phone.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "support/printable.hpp"

/// A number with so many digits behind the point; a dash for NaN.
[[nodiscard]] inline std::string number(double value, int digits) {
  if (std::isnan(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// A number with its sign.
[[nodiscard]] inline std::string signed_number(double value, int digits) {
  if (std::isnan(value)) return "–";
  return (value < 0 ? "" : "+") + number(value, digits);
}

/// Text as HTML. Characters that act on the display (but for line ends and tabs) appear as visible text, bytes
/// that are not UTF-8 as U+FFFD.
[[nodiscard]] inline std::string escape(std::string_view text) {
  std::string html;
  html.reserve(text.size());
  const std::u32string characters = tilt::unicode::decode(text);
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    switch (c) {
      case U'&':
        html += "&amp;";
        break;
      case U'<':
        html += "&lt;";
        break;
      case U'>':
        html += "&gt;";
        break;
      case U'"':
        html += "&quot;";
        break;
      case U'\n':
      case U'\t':
        html += static_cast<char>(c);
        break;
      case U'\r':
        if (i + 1 == characters.size() || characters[i + 1] != U'\n') html += visible(c);
        break;
      default:
        html += acts_on_display(c) ? visible(c) : tilt::unicode::encode({&c, 1});
    }
  }
  return html;
}

/// A table as HTML: the first row is the head, the first column names the rows. Wide ones scroll, and
/// show it: by shadows at the edges behind which there is more, and on narrow screens by a line.
[[nodiscard]] inline std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  const bool wide = !rows.empty() && rows[0].size() > 3;
  std::string html = std::string("<div class=\"scroll") + (wide ? " wide" : "") +
                     "\" tabindex=\"0\" role=\"region\" aria-label=\"table\"><table>\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    html += "<tr>";
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const char* tag = r == 0 || c == 0 ? "th" : "td";
      html += std::string("<") + tag + '>' + escape(rows[r][c]) + "</" + tag + '>';
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

/// The same table for a terminal: aligned columns. Characters outside of ASCII count one each.
[[nodiscard]] inline std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  const auto width_of = [](const std::string& cell) {
    std::size_t width = 0;
    for (const char c : cell) width += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    return width;
  };
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], width_of(row[c]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - width_of(row[c]), ' ');
      line += (c == 0 ? "" : "  ") + (c == 0 ? row[c] + gap : gap + row[c]);
    }
    text += line + '\n';
  }
  return text;
}

/// The head of a page, up to where its content begins.
[[nodiscard]] inline std::string page_head(std::string_view title) {
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape(title) + R"(</title>
<style>
:root { color-scheme: light dark; --paper: #fcfcfa; --card: #ffffff; --ink: #1c1f23; --soft: #5d6570;
  --edge: #d9dce1; --shade: #1c1f2340; --good: #14713d; --bad: #a63a28;
  --c1: #5d6570; --c2: #0b62b8; --c3: #b35c00; --c4: #00806a; --c5: #a2307f; --c6: #6a4fc4; --c7: #806600;
  --c8: #c0392b; --c9: #1b7a1b; --c10: #7a4b1e; --c11: #3d7fbf; --c12: #8a8f00; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1c2026; --ink: #e6e8eb;
  --soft: #a0a8b3; --edge: #343a43; --shade: #00000099; --good: #6fd39b; --bad: #f0907d;
  --c1: #a0a8b3; --c2: #62b0ff; --c3: #ffad5c; --c4: #4fd1b5; --c5: #f08bd2; --c6: #b09dff; --c7: #e0c850;
  --c8: #ff8a80; --c9: #7fdc7f; --c10: #d9a878; --c11: #8fc3f5; --c12: #d6dc5a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, li { max-width: 44rem; }
.soft, figcaption, small { color: var(--soft); }
.verdict { background: var(--card); border: 1px solid var(--edge); border-left: 4px solid var(--c2);
  border-radius: 6px; padding: .2rem 1rem; margin: 1rem 0; }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  align-items: start; }
figure { margin: 0; background: var(--card); border: 1px solid var(--edge); border-radius: 6px;
  padding: .6rem; max-width: 36rem; }
figure > svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); }
.grid { stroke: var(--edge); stroke-width: .7; }
.axis { stroke: var(--soft); stroke-width: 1; }
.level { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 5 4; }
.level-band { fill: var(--ink); opacity: .07; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.bar { stroke: var(--c); stroke-width: 1.5; opacity: .6; }
.band { fill: var(--c); opacity: .1; }
.mark { fill: var(--c); stroke: var(--card); stroke-width: .8; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); }
.c7 { --c: var(--c7); } .c8 { --c: var(--c8); } .c9 { --c: var(--c9); } .c10 { --c: var(--c10); }
.c11 { --c: var(--c11); } .c12 { --c: var(--c12); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .9rem; margin-top: .4rem; }
.legend svg { width: 1rem; height: .75rem; margin-right: .3rem; }
.scroll { overflow-x: auto; scrollbar-width: thin; margin: .6rem 0;
  background: linear-gradient(to right, var(--paper) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / .9rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / .9rem 100% no-repeat scroll; }
.scroll::-webkit-scrollbar { height: .5rem; }
.scroll::-webkit-scrollbar-track { background: var(--edge); border-radius: .25rem; }
.scroll::-webkit-scrollbar-thumb { background: var(--soft); border-radius: .25rem; }
@media (max-width: 46rem) { .wide::before { content: "More columns: scroll sideways →"; display: block;
  position: sticky; left: 0; width: max-content; color: var(--soft); font-size: .85rem; } }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--edge); text-align: right; }
th:first-child { text-align: left; padding-left: 0; white-space: nowrap; position: sticky; left: 0;
  background: var(--paper); }
tr:first-child th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
tr:not(:first-child) th { font-weight: 600; }
details { border-top: 1px solid var(--edge); padding: .5rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.answers { display: grid; gap: .7rem; margin: .7rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
.answer { background: var(--card); border: 1px solid var(--edge); border-top: 3px solid var(--c);
  border-radius: 6px; padding: .5rem .7rem; font-size: .9rem; overflow-wrap: anywhere; }
.answer pre { white-space: pre-wrap; font: inherit; margin: .4rem 0 0; max-height: 18rem; overflow-y: auto; }
.good { color: var(--good); } .bad { color: var(--bad); }
</style>
</head>
<body>
)";
}

/// The end of a page.
[[nodiscard]] inline std::string page_foot() { return "</body>\n</html>\n"; }

#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

namespace tilt::detail {

template <std::size_t N>
[[nodiscard]] bool is_any_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

/// Functions, in plain letters too.
inline constexpr std::string_view tex_functions[] = {
    "sin",  "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh",
    "tanh", "log", "ln",  "exp", "gcd", "lcm", "max",    "min",    "det",    "lg"};

/// Constants and variables, in plain letters too.
inline constexpr std::string_view tex_names[] = {"pi",    "theta", "alpha",  "beta",
                                                 "gamma", "delta", "lambda", "sigma",
                                                 "omega", "phi",   "mu",     "infty"};

/// Behind a number.
inline constexpr std::string_view ordinals[] = {"st", "nd", "rd", "th"};

/// Short runs of letters that are words, and no products of variables.
inline constexpr std::string_view short_words[] = {
    "and",  "or",  "no",  "yes", "odd", "one", "two", "six", "ten", "all", "cm",
    "mm",   "km",  "kg",  "mg",  "ml",  "mL",  "ft",  "lb",  "lbs", "oz",  "sq",
    "hr",   "hrs", "sec", "mph", "kph", "kmh", "am",  "pm",  "yd",  "mi",  "per",
    "sqrt", "day", "cup", "pcs", "USD", "EUR", "GBP", "men", "Rs",  "INR"};

/// Commands that say nothing: sizes, spaces.
inline constexpr std::string_view tex_dropped[] = {
    "left",   "right",     "big",  "Big",     "bigg",         "Bigg",      "bigl",
    "bigr",   "Bigl",      "Bigr", "middle",  "displaystyle", "textstyle", "limits",
    "degree", "space",     "quad", "qquad",   "bf",           "rm",        "hspace",
    "vspace", "thinspace", "cent", "nolimits"};

/// Commands whose group is mathematics as before.
inline constexpr std::string_view tex_fonts[] = {"mathbf", "mathit", "mathsf", "boldsymbol",
                                                 "bm",     "boxed",  "fbox",   "underline"};

/// Commands whose group is text.
inline constexpr std::string_view tex_texts[] = {
    "text",   "textbf", "textit", "textrm", "textnormal",   "textsf", "texttt",
    "textup", "mathrm", "mbox",   "hbox",   "operatorname", "emph"};

/// Commands with another name.
inline constexpr std::pair<std::string_view, std::string_view> tex_synonyms[] = {
    {"geq", "\\ge"},
    {"geqslant", "\\ge"},
    {"leq", "\\le"},
    {"leqslant", "\\le"},
    {"neq", "\\ne"},
    {"lt", "<"},
    {"gt", ">"},
    {"times", "*"},
    {"cdot", "*"},
    {"ast", "*"},
    {"div", "/"},
    {"rightarrow", "\\to"},
    {"mid", "|"},
    {"vert", "|"},
    {"lvert", "|"},
    {"rvert", "|"},
    {"lbrack", "["},
    {"rbrack", "]"},
    {"varnothing", "\\emptyset"},
    {"lbrace", "\\{"},
    {"rbrace", "\\}"},
    {"varphi", "\\phi"},
    {"varepsilon", "\\epsilon"},
    {"dots", "\\ldots"},
    {"cdots", "\\ldots"},
    {"lparen", "("},
    {"rparen", ")"},
    {"colon", ":"},
    {"land", "and"},
    {"lor", "or"},
    {"wedge", "and"},
    {"vee", "or"}};

}  // namespace tilt::detail

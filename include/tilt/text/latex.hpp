#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/text/ascii.hpp"
#include "tilt/text/number.hpp"

namespace tilt::detail {

template <std::size_t N>
[[nodiscard]] bool is_any_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

/// A piece of a mathematical text.
struct MathToken {
  enum class Kind {
    number,
    letter,
    word,
    command,
    symbol,
    open,
    close
  };  // the last two: TeX's { }
  Kind kind;
  std::string text;  ///< of a command with its backslash
  Number number = {};
  bool apart = false;    ///< white space stood before it
  bool in_text = false;  ///< within \text and the like

  [[nodiscard]] bool is(std::string_view symbol) const {
    return (kind == Kind::symbol || kind == Kind::command) && text == symbol;
  }
};

/// Splits TeX, or mathematics in plain characters, into tokens, so that what only looks different is
/// the same: sizes, spacings, fonts, currency, percent and degree signs go; synonyms become one; \frac
/// and exponents have their arguments in braces. The text is to be folded.
///
/// Cost: linear. Groups nested deeper than 48 are a failure (`ok`).
class MathLexer {
 public:
  explicit MathLexer(std::string_view text) : text_(text) {
    while (at_ < text_.size()) lex(text_.size());
  }

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::vector<MathToken> take() { return std::move(tokens_); }

 private:
  using Kind = MathToken::Kind;

  [[nodiscard]] char peek(std::size_t offset = 0) const {
    return at_ + offset < text_.size() ? text_[at_ + offset] : '\0';
  }
  bool skip(std::string_view what) {
    if (!text_.substr(std::min(at_, text_.size())).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  void skip_spaces() {
    while (Ascii::is_space(peek()) || peek() == '~') ++at_;
  }
  void put(Kind kind, std::string text, Number number = {}) {
    tokens_.push_back({kind, std::move(text), std::move(number), apart_, in_text_});
    apart_ = false;
  }
  void put(std::string_view symbol) { put(Kind::symbol, std::string(symbol)); }

  // Reads the next token, and its arguments.
  void lex(std::size_t end) {
    const char c = peek();
    if (Ascii::is_space(c) || c == '~') {
      apart_ = true;
      ++at_;
    } else if (Ascii::is_digit(c) || (c == '.' && Ascii::is_digit(peek(1)))) {
      number();
    } else if (Ascii::is_letter(c) || (c & 0x80) != 0) {
      letters(end);
    } else if (c == '\\') {
      command();
    } else if (c == '{') {
      group();
    } else if (c == '}') {
      ++at_;  // closes nothing
    } else if (c == '^' || c == '_') {
      ++at_;
      script(c);
    } else {
      symbol(c);
    }
  }

  void number() {
    const auto style = brackets_ > 0 && !spaced_ ? NumberStyle::among_brackets : NumberStyle::math;
    NumberParts parts(text_, at_, style);
    std::optional<Number> read = parts.mixed();
    if (!read) {  // ".5" behind a letter
      put(".");
      ++at_;
      return;
    }
    put(Kind::number, std::string(text_.substr(at_, parts.at() - at_)), std::move(*read));
    at_ = parts.at();
  }

  void letters(std::size_t end) {
    if (skip("\xc2\xb0")) return degrees();
    for (const std::string_view dropped :
         {"\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5", "\xe2\x82\xb9"}) {
      if (skip(dropped)) return;
    }
    const std::size_t begin = at_;
    while (at_ < end && (Ascii::is_letter(peek()) || (peek() & 0x80) != 0)) ++at_;
    if (in_text_) {  // a hyphen, an apostrophe or a full stop inside of a word belong to it
      while (at_ + 1 < end && std::string_view("-'.").find(peek()) != std::string_view::npos &&
             Ascii::is_letter(peek(1))) {
        ++at_;
        while (at_ < end && Ascii::is_letter(peek())) ++at_;
      }
    }
    word(text_.substr(begin, at_ - begin));
  }

  void word(std::string_view run) {
    static constexpr std::string_view functions[] = {
        "sin",  "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "tanh", "log", "ln",  "exp", "gcd", "lcm", "max",    "min",    "det",    "lg"};
    static constexpr std::string_view names[] = {"pi",    "theta", "alpha",  "beta",
                                                 "gamma", "delta", "lambda", "sigma",
                                                 "omega", "phi",   "mu",     "infty"};
    static constexpr std::string_view short_words[] = {
        "and",  "or",  "no",  "yes", "odd", "one", "two", "six", "ten", "all", "cm",
        "mm",   "km",  "kg",  "mg",  "ml",  "mL",  "ft",  "lb",  "lbs", "oz",  "sq",
        "hr",   "hrs", "sec", "mph", "kph", "kmh", "am",  "pm",  "yd",  "mi",  "per",
        "sqrt", "day", "cup", "pcs", "USD", "EUR", "GBP", "men"};
    if (run.size() == 1) return put(Kind::letter, std::string(run));
    if (in_text_) {
      std::string letters(run);
      std::erase(letters, '.');  // "p.m"
      return put(Kind::word, std::move(letters));
    }
    if (run == "sqrt") return root();
    if (run == "inf" || run == "infinity") return put(Kind::command, "\\infty");
    if (is_any_of(run, functions) || is_any_of(run, names)) {
      return put(Kind::command, '\\' + std::string(run));
    }
    const bool has_vowel = run.find_first_of("aeiouyAEIOU") != std::string_view::npos;
    const bool is_other =
        std::any_of(run.begin(), run.end(), [](char c) { return (c & 0x80) != 0; });
    if (is_other || is_any_of(run, short_words) || (run.size() >= 4 && has_vowel)) {
      return put(Kind::word, std::string(run));
    }
    for (const char c : run) put(Kind::letter, std::string(1, c));  // a product of variables
  }

  void command() {
    ++at_;
    if (at_ == text_.size()) return put("\\");
    if (!Ascii::is_letter(peek())) {
      const char c = text_[at_++];
      if (c == '\\') return put("\\\\");
      if (c == '{' || c == '}') {
        brackets_ += c == '{' ? 1 : -1;
        return put(c == '{' ? "\\{" : "\\}");
      }
      if (c == '|') return put("|");
      apart_ = apart_ || (c != '!' && c != '%' && c != '$');
      if (std::string_view(" ,;:!$%()[]").find(c) == std::string_view::npos) put({&c, 1});
      return;
    }
    const std::size_t begin = at_;
    while (Ascii::is_letter(peek())) ++at_;
    named(text_.substr(begin, at_ - begin));
  }

  void named(std::string_view name) {
    static constexpr std::string_view dropped[] = {
        "left",   "right",     "big",  "Big",     "bigg",         "Bigg",      "bigl",
        "bigr",   "Bigl",      "Bigr", "middle",  "displaystyle", "textstyle", "limits",
        "degree", "space",     "quad", "qquad",   "bf",           "rm",        "hspace",
        "vspace", "thinspace", "cent", "nolimits"};
    static constexpr std::string_view fonts[] = {"mathbf", "mathit", "mathsf", "boldsymbol",
                                                 "bm",     "boxed",  "fbox",   "underline"};
    static constexpr std::string_view texts[] = {
        "text",   "textbf", "textit", "textrm", "textnormal",   "textsf", "texttt",
        "textup", "mathrm", "mbox",   "hbox",   "operatorname", "emph"};
    static constexpr std::pair<std::string_view, std::string_view> synonyms[] = {
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
    if (is_any_of(name, dropped)) {
      if (name == "left" || name == "right") {
        skip_spaces();
        skip(".");
      } else {
        apart_ = true;
      }
    } else if (is_any_of(name, texts)) {
      text_group();
    } else if (is_any_of(name, fonts)) {
      skip_spaces();
    } else if (name == "not") {
      skip_spaces();
      put(Kind::command, skip("=") ? "\\ne" : skip("\\in") ? "\\notin" : "\\not");
    } else if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac") {
      put(Kind::command, "\\frac");
      for (int i = 0; i < 2; ++i) argument();
    } else if (name == "binom" || name == "dbinom" || name == "tbinom") {
      put(Kind::command, "\\binom");
      for (int i = 0; i < 2; ++i) argument();
    } else if (name == "sqrt") {
      root();
    } else if (name == "begin" || name == "end") {
      environment(name);
    } else {
      for (const auto& [from, to] : synonyms) {
        if (name != from) continue;
        if (to == "and" || to == "or") return put(Kind::word, std::string(to));
        if (to == "\\{" || to == "[" || to == "(") ++brackets_;
        if (to == "\\}" || to == "]" || to == ")") --brackets_;
        return put(to.starts_with('\\') && to.size() > 2 ? Kind::command : Kind::symbol,
                   std::string(to));
      }
      put(Kind::command, '\\' + std::string(name));
    }
  }

  void environment(std::string_view name) {
    const std::size_t close =
        peek() == '{' ? text_.substr(at_, 24).find('}') : std::string_view::npos;
    if (close == std::string_view::npos) return put(Kind::command, '\\' + std::string(name));
    std::string kind(text_.substr(at_ + 1, close - 1));
    at_ += close + 1;
    for (const std::string_view same : {"bmatrix", "matrix", "Bmatrix", "smallmatrix", "array"}) {
      if (kind != same) continue;
      if (kind == "array" && name == "begin" && peek() == '{') {  // its columns
        while (at_ < text_.size() && text_[at_] != '}') ++at_;
        skip("}");
      }
      kind = "pmatrix";
    }
    brackets_ += name == "begin" ? 1 : -1;
    put(Kind::command, '\\' + std::string(name));
    tokens_.back().text += '{' + kind + '}';
  }

  void root() {
    put(Kind::command, "\\sqrt");
    skip_spaces();
    const std::size_t close =
        peek() == '[' ? text_.substr(at_, 32).find(']') : std::string_view::npos;
    put(Kind::open, "{");
    if (close == std::string_view::npos) {
      put(Kind::number, "2", Number::of(2));
    } else {
      const std::size_t end = at_ + close;
      ++at_;
      while (at_ < end) lex(end);
      at_ = std::max(at_, end + 1);
    }
    put(Kind::close, "}");
    apart_ = false;
  }

  // A group, its brackets and its words for themselves.
  void group() {
    ++at_;
    put(Kind::open, "{");
    inside();
    put(Kind::close, "}");
  }
  void inside() {
    constexpr int deepest = 48;
    if (++depth_ > deepest) {
      ok_ = false;
      at_ = text_.size();
    }
    const int brackets = std::exchange(brackets_, 0);
    while (at_ < text_.size() && peek() != '}') lex(text_.size());
    skip("}");
    brackets_ = brackets;
    --depth_;
  }
  void text_group() {
    const bool was_in_text = in_text_;
    skip_spaces();
    if (peek() != '{') return;
    ++at_;
    in_text_ = true;
    inside();
    in_text_ = was_in_text;
  }

  // The argument of \frac or of an exponent, in braces whatever it was: a group, a command with its
  // arguments, a letter, a digit.
  void argument() {
    skip_spaces();
    if (peek() == '{') return group();
    put(Kind::open, "{");
    if (Ascii::is_digit(peek())) {
      put(Kind::number, std::string(1, peek()), Number::of(peek() - '0'));
      ++at_;
    } else if (peek() == '\\') {
      deeper();
    } else if (Ascii::is_letter(peek())) {
      put(Kind::letter, std::string(1, peek()));
      ++at_;
    }
    put(Kind::close, "}");
  }
  void deeper() {
    constexpr int deepest = 48;
    if (++depth_ > deepest) {
      ok_ = false;
      at_ = text_.size();
    } else {
      command();
    }
    --depth_;
  }

  // What is raised or lowered; degrees go. Digits are read together: people write x^10.
  void script(char kind) {
    skip_spaces();
    if (kind == '^') {
      for (const std::string_view sign :
           {"\\circ", "{\\circ}", "{\\circ }", "\\degree", "{\\degree}"}) {
        if (skip(sign)) return degrees();
      }
    }
    const bool minus = peek() == '-' && Ascii::is_digit(peek(1));
    put({&kind, 1});
    if (!minus && !Ascii::is_digit(peek())) {
      if (peek() != '(') argument();
      return;
    }
    put(Kind::open, "{");
    if (minus) put("-"), ++at_;
    const std::size_t begin = at_;
    while (Ascii::is_digit(peek())) ++at_;
    Decimal digits{std::string(text_.substr(begin, at_ - begin))};
    put(Kind::number, digits.digits, digits.number());
    put(Kind::close, "}");
  }

  // Behind a degree sign: the scale of a temperature goes too.
  void degrees() {
    const std::size_t space = peek() == ' ' ? 1 : 0;
    const bool is_scale = peek(space) == 'C' || peek(space) == 'F';
    if (is_scale && !Ascii::is_word(peek(space + 1))) at_ += space + 1;
  }

  void symbol(char c) {
    ++at_;
    if (c == '$' || c == '%' || c == '"' || c == '`') return;
    if (c == '\'') {
      const bool is_prime = !tokens_.empty() && tokens_.back().kind == Kind::letter && !apart_;
      if (is_prime) put("'");
      return;
    }
    if (c == '*' && skip("*")) return script('^');
    if (c == '<' && skip("=")) return put(Kind::command, "\\le");
    if (c == '>' && skip("=")) return put(Kind::command, "\\ge");
    if (c == '!' && skip("=")) return put(Kind::command, "\\ne");
    if (c == '=') skip("=");
    if (c == '(' || c == '[') ++brackets_;
    if (c == ')' || c == ']') --brackets_;
    put({&c, 1});
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<MathToken> tokens_ = {};
  int depth_ = 0, brackets_ = 0;
  // A comma and a space somewhere: then one without a space may be that of thousands.
  bool spaced_ = text_.find(", ") != std::string_view::npos;
  bool apart_ = false, in_text_ = false, ok_ = true;
};

}  // namespace tilt::detail

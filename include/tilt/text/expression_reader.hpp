#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/text/ascii.hpp"
#include "tilt/text/expression.hpp"
#include "tilt/text/latex.hpp"

namespace tilt::detail {

using MathTokens = std::span<const MathToken>;

/// How deep the brackets of tokens are.
class MathDepth {
 public:
  /// Looks at the next token. Returns whether it stands outside of all brackets, and is none.
  bool outside(const MathToken& token) {
    const bool opens = token.kind == MathToken::Kind::open || token.is("(") || token.is("[") ||
                       token.is("\\{") || token.text.starts_with("\\begin{") ||
                       token.is("\\langle") || token.is("\\lfloor") || token.is("\\lceil");
    const bool closes = token.kind == MathToken::Kind::close || token.is(")") || token.is("]") ||
                        token.is("\\}") || token.text.starts_with("\\end{") ||
                        token.is("\\rangle") || token.is("\\rfloor") || token.is("\\rceil");
    if (closes) --depth_;
    const bool is_outside = depth_ == 0 && !opens && !closes;
    if (opens) ++depth_;
    return is_outside;
  }
  [[nodiscard]] int depth() const noexcept { return depth_; }

 private:
  int depth_ = 0;
};

/// Where the bracket closes that the first token opens, or the number of tokens.
[[nodiscard]] inline std::size_t closing(MathTokens tokens) {
  MathDepth depth;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    depth.outside(tokens[i]);
    if (depth.depth() <= 0) return i;
  }
  return tokens.size();
}

/// Reads sums, products, quotients, powers, roots and functions as they are written.
class ExpressionReader {
 public:
  /// @param sign   of \pm, 1 or -1; \mp has the other one
  /// @param inner  the text of what an unknown command is applied to
  ExpressionReader(MathTokens tokens, int sign, std::function<std::string(MathTokens)> inner)
      : tokens_(tokens), sign_(sign), inner_(std::move(inner)) {}

  /// The sum that the tokens are as a whole, or none.
  [[nodiscard]] std::optional<Sum> read() {
    std::optional<Sum> value = sum();
    if (at_ != tokens_.size()) return std::nullopt;
    return value;
  }

 private:
  using Kind = MathToken::Kind;
  using Value = std::optional<Sum>;

  [[nodiscard]] const MathToken* peek() const {
    return at_ < tokens_.size() ? &tokens_[at_] : nullptr;
  }
  [[nodiscard]] bool sees(std::string_view symbol) const {
    return at_ < tokens_.size() && tokens_[at_].is(symbol);
  }
  bool skip(std::string_view symbol) {
    if (!sees(symbol)) return false;
    ++at_;
    return true;
  }
  // The sign that stands here, or 0.
  int sign() {
    if (skip("+")) return 1;
    if (skip("-")) return -1;
    if (skip("\\pm")) return sign_;
    if (skip("\\mp")) return -sign_;
    return 0;
  }

  Value sum() {
    Value total = Sum{};
    for (bool is_first = true;; is_first = false) {
      int factor = sign();
      if (factor == 0) {
        if (!is_first) return total;
        factor = 1;
      }
      for (int more = sign(); more != 0; more = sign()) factor *= more;
      const Value term = product();
      if (!term) return std::nullopt;
      total = Sum::sum(*total, factor < 0 ? term->negated() : *term);
      if (!total) return std::nullopt;
    }
  }

  [[nodiscard]] bool starts_factor() const {
    const MathToken* next = peek();
    if (next == nullptr) return false;
    switch (next->kind) {
      case Kind::number:
      case Kind::letter:
      case Kind::word:
      case Kind::open:
        return true;
      case Kind::command:
        return !is_relation(*next) && !next->text.starts_with("\\end{");
      case Kind::symbol:
        return next->text == "(" || next->text == "[";
      case Kind::close:
        return false;
    }
    return false;
  }
  static bool is_relation(const MathToken& token) {
    static constexpr std::string_view relations[] = {
        "\\le",       "\\ge",        "\\ne",         "\\in",
        "\\notin",    "\\to",        "\\cup",        "\\cap",
        "\\pm",       "\\mp",        "\\approx",     "\\equiv",
        "\\setminus", "\\subset",    "\\subseteq",   "\\rangle",
        "\\pmod",     "\\leftarrow", "\\Rightarrow", "\\implies",
        "\\iff",      "\\sim",       "\\cong",       "\\parallel",
        "\\perp",     "\\mapsto",    "\\ldots",      "\\oplus",
        "\\otimes",   "\\supset",    "\\propto",     "\\Leftrightarrow",
        "\\circ",     "\\bmod",      "\\mod",        "\\forall",
        "\\int",      "\\sum",       "\\prod",       "\\lim",
        "\\oint",     "\\iint",      "\\partial",    "\\nabla",
        "\\rfloor",   "\\rceil",     "\\exists",     "\\neg"};
    return is_any_of(token.text, relations);
  }

  Value product() {
    Value total = factor();
    while (total) {
      const bool times = skip("*");
      const bool over = !times && skip("/");
      if (!times && !over && !starts_factor()) return total;
      // Two numbers side by side are no product, and "x2" is none.
      if (!times && !over && peek()->kind == Kind::number) return std::nullopt;
      int minus = 1;
      if (times || over) {
        for (int more = sign(); more != 0; more = sign()) minus *= more;
      }
      Value next = factor();
      if (next && over) next = Sum::power(*next, -1);
      if (!next) return std::nullopt;
      total = Sum::product(*total, minus < 0 ? next->negated() : *next);
    }
    return std::nullopt;
  }

  Value factor() {
    const MathToken* next = peek();
    if (next == nullptr) return std::nullopt;
    const Kind kind = next->kind;
    Value value = primary();
    if (value && sees("_") &&
        (kind == Kind::letter || kind == Kind::number || kind == Kind::command)) {
      ++at_;
      value = Sum::atom(value->tex() + "_{" + group_text(true) + '}');
    }
    while (value && skip("'")) value = Sum::atom(value->tex() + "'");
    while (value && skip("!")) {
      const std::string text = value->tex();
      const bool is_plain = std::all_of(text.begin(), text.end(), Ascii::is_word);
      value = Sum::atom((is_plain ? text : '(' + text + ')') + '!');
    }
    if (value && skip("^")) {
      const Value exponent = argument();
      if (!exponent) return std::nullopt;
      const auto number = exponent->number();
      if (number) return Sum::power(*value, *number);
      const std::string base = value->tex();
      const bool is_plain = base.size() == 1 || Sum::atom(base).terms() == value->terms();
      value = Sum::atom((is_plain ? base : '(' + base + ')') + "^{" + exponent->tex() + '}');
    }
    return value;
  }

  // A group, a bracket, or one token.
  Value argument() {
    const MathToken* next = peek();
    if (next == nullptr) return std::nullopt;
    return primary();
  }

  Value within(std::size_t size) {
    constexpr int deepest = 48;
    const MathTokens inside = tokens_.subspan(at_ + 1, size - 1);
    at_ += size + 1;
    ExpressionReader reader(inside, sign_, inner_);
    reader.depth_ = depth_ + 1;
    return reader.depth_ > deepest ? std::nullopt : reader.read();
  }

  Value primary() {
    const MathToken& token = tokens_[at_];
    if (token.kind == Kind::number) {
      ++at_;
      return token.number.exact ? Sum(*token.number.exact) : Sum::atom(token.number.text);
    }
    if (token.kind == Kind::letter) {
      ++at_;
      return Sum::atom(token.text);
    }
    if (token.kind == Kind::word) {
      ++at_;
      return Sum::atom("\\text{" + token.text + '}');
    }
    if (token.kind == Kind::open || token.is("(") || token.is("[")) {
      const std::size_t size = closing(tokens_.subspan(at_));
      if (at_ + size == tokens_.size()) return std::nullopt;
      return within(size);
    }
    if (token.is("|")) {
      std::size_t end = at_ + 1;
      MathDepth depth;
      while (end < tokens_.size() && !(depth.outside(tokens_[end]) && tokens_[end].is("|"))) ++end;
      if (end == tokens_.size()) return std::nullopt;
      const Value inside = within(end - at_);
      if (!inside) return std::nullopt;
      const auto number = inside->number();
      if (number) return Sum(number->sign() < 0 ? number->negated() : *number);
      return Sum::atom('|' + inside->tex() + '|');
    }
    if (token.kind != Kind::command || is_relation(token)) return std::nullopt;
    if (token.is("\\lfloor") || token.is("\\lceil")) return rounded(token.is("\\lfloor"));
    return command(token.text);
  }

  Value rounded(bool down) {
    const std::size_t size = closing(tokens_.subspan(at_));
    if (at_ + size == tokens_.size()) return std::nullopt;
    const Value inside = within(size);
    if (!inside) return std::nullopt;
    return Sum::atom((down ? "\\lfloor " : "\\lceil ") + inside->tex() +
                     (down ? "\\rfloor " : "\\rceil "));
  }

  Value command(const std::string& name) {
    static constexpr std::string_view functions[] = {
        "\\sin",    "\\cos",  "\\tan",  "\\cot",  "\\sec", "\\csc", "\\arcsin", "\\arccos",
        "\\arctan", "\\sinh", "\\cosh", "\\tanh", "\\log", "\\ln",  "\\exp",    "\\lg"};
    if (name.starts_with("\\begin{")) {
      const std::size_t size = closing(tokens_.subspan(at_));
      if (at_ + size == tokens_.size()) return std::nullopt;
      const MathTokens whole = tokens_.subspan(at_, size + 1);
      at_ += size + 1;
      return Sum::atom(inner_(whole));
    }
    ++at_;
    if (name == "\\frac") {
      const Value above = argument();
      const Value below = above ? argument() : std::nullopt;
      const Value inverse = below ? Sum::power(*below, -1) : std::nullopt;
      return inverse ? Sum::product(*above, *inverse) : std::nullopt;
    }
    if (name == "\\sqrt") {
      const Value index = argument();
      const Value inside = index ? argument() : std::nullopt;
      const auto number = index ? index->number() : std::nullopt;
      const auto exponent = number ? Rational::quotient(1, *number) : std::nullopt;
      return inside && exponent ? Sum::power(*inside, *exponent) : std::nullopt;
    }
    if (is_any_of(name, functions)) return function(name);
    std::string text = name;
    while (peek() != nullptr && peek()->kind == Kind::open) text += '{' + group_text() + '}';
    return Sum::atom(text);
  }

  Value function(std::string name) {
    Value exponent;
    for (int i = 0; i < 2; ++i) {
      if (skip("_")) name += "_{" + group_text(true) + '}';
      if (skip("^")) {
        exponent = argument();
        if (!exponent || !exponent->number()) return std::nullopt;
      }
    }
    // Brackets are the argument; else what stands side by side up to an operator or a function.
    Value argument_of;
    const MathToken* next = peek();
    if (next != nullptr && (next->kind == Kind::open || next->is("("))) {
      argument_of = primary();
    } else {
      while (starts_factor() && !is_function(*peek())) {
        const Value part = factor();
        argument_of = !part ? part : argument_of ? Sum::product(*argument_of, *part) : part;
        if (!argument_of) return std::nullopt;
      }
    }
    if (!argument_of) return std::nullopt;
    if (exponent && *exponent->number() == Rational(-1)) {
      name.insert(1, "arc");
      exponent.reset();
    }
    const Sum value = Sum::atom(name + '(' + argument_of->tex() + ')');
    return exponent ? Sum::power(value, *exponent->number()) : value;
  }
  static bool is_function(const MathToken& token) {
    static constexpr std::string_view functions[] = {"\\sin", "\\cos", "\\tan", "\\cot",
                                                     "\\sec", "\\csc", "\\log", "\\ln"};
    return is_any_of(token.text, functions);
  }

  std::string group_text(bool lowered = false) {
    if (peek() == nullptr) return {};
    if (peek()->kind != Kind::open) return inner_(tokens_.subspan(at_++, 1));
    const std::size_t size = closing(tokens_.subspan(at_));
    const std::size_t begin = std::exchange(at_, std::min(at_ + size + 1, tokens_.size()));
    // What is lowered is a name, "i=1": with its braces it is told from an answer.
    if (lowered) return inner_(tokens_.subspan(begin, at_ - begin));
    return inner_(tokens_.subspan(begin + 1, size - 1));
  }

  MathTokens tokens_;
  int sign_;
  std::function<std::string(MathTokens)> inner_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace tilt::detail

#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/text/ascii.hpp"
#include "tilt/text/expression_reader.hpp"
#include "tilt/text/units.hpp"

namespace tilt::detail {

/// Reads the tokens of an answer: lists, sets, tuples, intervals and their unions, relations, words,
/// and what `ExpressionReader` reads; the unit of a number and a name in front ("x =") go. What is none
/// of these is its tokens, side by side.
class AnswerReader {
 public:
  /// The canonical TeX of an answer. Only \pm makes two of it.
  [[nodiscard]] std::string read(MathTokens tokens) { return list(tokens); }

 private:
  using Kind = MathToken::Kind;
  struct Element {
    std::vector<std::string> texts = {};
    std::string name = {};  // "x" of x = 5
    bool is_interval = false;
  };

  static MathTokens trimmed_tokens(MathTokens tokens) {
    while (!tokens.empty()) {
      const MathToken& last = tokens.back();
      const bool is_end = last.kind == Kind::symbol &&
                          std::string_view(".,;:").find(last.text) != std::string_view::npos;
      if (tokens.front().kind == Kind::open && closing(tokens) == tokens.size() - 1) {
        tokens = tokens.subspan(1, tokens.size() - 2);
      } else if (is_end && !(tokens.size() > 1 && tokens[tokens.size() - 2].is("."))) {
        tokens = tokens.first(tokens.size() - 1);
      } else {
        break;
      }
    }
    return tokens;
  }

  static bool is_separator(const MathToken& token) {
    if (token.kind == Kind::word) return is_joiner(token.text);
    return token.kind == Kind::symbol &&
           (token.text == "," || token.text == ";" || token.text == "&");
  }
  static bool is_joiner(std::string_view word) {
    return word == "and" || word == "or" || word == "und" || word == "oder" || word == "et" ||
           word == "ou" || word == "y" || word == "\xe5\x92\x8c" || word == "\xe6\x88\x96";
  }

  // The parts between the tokens outside of brackets for which `splits` is true.
  template <class Splits>
  static std::vector<MathTokens> split(MathTokens tokens, Splits splits) {
    std::vector<MathTokens> parts;
    MathDepth depth;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!depth.outside(tokens[i]) || !splits(tokens[i])) continue;
      parts.push_back(tokens.subspan(begin, i - begin));
      begin = i + 1;
    }
    parts.push_back(tokens.subspan(begin));
    return parts;
  }

  // A choice with what it says, "(D) 24".
  static std::optional<std::string> choice(MathTokens tokens) {
    const auto is_choice = [&](std::size_t i) {
      return i < tokens.size() && tokens[i].kind == Kind::letter && tokens[i].text[0] >= 'A' &&
             tokens[i].text[0] <= 'J';
    };
    if (tokens.size() >= 3 && tokens[0].is("(") && is_choice(1) && tokens[2].is(")")) {
      const bool alone = tokens.size() == 3 || tokens[1].in_text || tokens[3].apart;
      const bool goes_on = tokens.size() > 3 && (tokens[3].is("+") || tokens[3].is("-") ||
                                                 tokens[3].is("*") || tokens[3].is("="));
      if (alone && !goes_on) return tokens[1].text;
    }
    if (tokens.size() >= 2 && is_choice(0) && (tokens[1].is(")") || tokens[1].is(".")) &&
        (tokens.size() == 2 || tokens[2].apart)) {
      return tokens[0].text;
    }
    return std::nullopt;
  }

  std::string list(MathTokens tokens) {
    tokens = trimmed_tokens(tokens);
    if (auto letter = choice(tokens)) return *letter;
    const auto parts = is_words(tokens) ? std::vector{tokens} : split(tokens, is_separator);
    std::vector<Element> elements;
    for (const MathTokens part : parts) {
      const MathTokens inside = trimmed_tokens(part);
      if (!inside.empty()) elements.push_back(element(inside));
    }
    if (elements.empty()) return textual(tokens);
    return joined(elements, tokens);
  }

  static std::string joined(std::vector<Element>& elements, MathTokens tokens) {
    // One name for all, or a first name alone, says nothing; different names belong to their values.
    const bool is_named = std::any_of(elements.begin() + 1, elements.end(), [&](const Element& e) {
      return !e.name.empty() && e.name != elements.front().name;
    });
    std::vector<std::string> texts;
    bool all_intervals = true;
    for (const Element& each : elements) {
      all_intervals = all_intervals && each.is_interval;
      for (const std::string& text : each.texts) {
        texts.push_back(is_named && !each.name.empty() ? each.name + '=' + text : text);
      }
    }
    if (texts.size() == 1) return texts.front();
    std::sort(texts.begin(), texts.end(), comes_first);
    const bool is_or = std::any_of(tokens.begin(), tokens.end(), [](const MathToken& token) {
      return token.kind == Kind::word && token.text == "or";
    });
    return join(texts, all_intervals && is_or ? "\\cup" : ",");
  }

  static bool comes_first(const std::string& a, const std::string& b) {
    const auto number = [](const std::string& text) {
      const bool is_whole =
          !text.empty() && text.size() < 16 &&
          text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string::npos &&
          Ascii::is_digit(text.back());
      return is_whole ? std::optional(std::stoll(text)) : std::nullopt;
    };
    const auto first = number(a), second = number(b);
    if (first && second) return *first < *second;
    if (first.has_value() != second.has_value()) return first.has_value();
    return a < b;
  }
  static std::string join(const std::vector<std::string>& texts, std::string_view separator) {
    std::string all;
    for (const std::string& text : texts) {
      if (!all.empty()) all += separator;
      // Without the space "1,200" would be one number.
      const bool looks_grouped = text.size() >= 3 && separator == "," && !all.empty() &&
                                 std::all_of(text.begin(), text.begin() + 3, Ascii::is_digit);
      if (looks_grouped) all += ' ';
      all += text;
    }
    return all;
  }

  Element element(MathTokens tokens) {
    constexpr int most = 1000;
    if (++work_ > most || is_words(tokens)) return {{worded(tokens)}};
    const bool has_sign = std::any_of(tokens.begin(), tokens.end(), [](const MathToken& token) {
      return token.is("\\pm") || token.is("\\mp");
    });
    if (!has_sign || sign_ != 0) return value(tokens);
    sign_ = 1;
    Element both = value(tokens);
    sign_ = -1;
    const Element other = value(tokens);
    sign_ = 0;
    if (other.texts != both.texts) {
      both.texts.insert(both.texts.end(), other.texts.begin(), other.texts.end());
    }
    return both;
  }

  std::optional<Sum> expression(MathTokens tokens) {
    return ExpressionReader(tokens, sign_,
                            [this](MathTokens inside) {
                              return inside.empty() || !inside.front().text.starts_with("\\begin{")
                                         ? list(inside)
                                         : matrix(inside);
                            })
        .read();
  }

  Element value(MathTokens tokens) {
    const auto equal =
        split(tokens, [](const MathToken& t) { return t.is("=") || t.is("\\approx"); });
    if (equal.size() == 2 && equal[0].empty()) return value(equal[1]);
    if (equal.size() > 1) return equation(tokens, equal);
    const std::size_t front = introduction(tokens);
    if (front > 0 && front < tokens.size()) return value(tokens.subspan(front));
    const auto member = split(tokens, [](const MathToken& t) { return t.is("\\in"); });
    if (member.size() == 2 && is_name(member[0])) {
      Element inside = value(member[1]);
      inside.name = textual(member[0]);
      return inside;
    }
    if (std::any_of(tokens.begin(), tokens.end(), is_inequality)) {
      if (auto found = inequality(tokens)) return *found;
    }
    const auto joined = split(tokens, [](const MathToken& t) { return t.is("\\cup"); });
    if (joined.size() > 1) {
      std::vector<std::string> texts;
      for (const MathTokens part : joined) texts.push_back(list(part));
      std::sort(texts.begin(), texts.end());
      return {{join(texts, "\\cup")}, {}, true};
    }
    if (auto found = bracketed(tokens)) return *found;
    const MeasuredTokens measured = without_unit(tokens);
    if (auto sum = expression(measured.tokens)) {
      if (measured.power > 0) sum = Sum::product(*sum, Sum(*Rational::power(10, measured.power)));
      if (sum) return {{sum->tex()}};
    }
    return {{textual(measured.power > 0 ? tokens : measured.tokens)}};
  }

  // How many tokens in front only introduce an answer: words up to a colon or "is".
  static std::size_t introduction(MathTokens tokens) {
    std::size_t end = 0;
    while (end < tokens.size() && tokens[end].kind == Kind::word && tokens[end].text != "is") ++end;
    const bool ends =
        end > 0 && end < tokens.size() && (tokens[end].is(":") || tokens[end].text == "is");
    return ends ? end + 1 : 0;
  }

  // Names have no digits outside of what is lowered, and no operators.
  static bool is_name(MathTokens tokens) {
    if (tokens.empty()) return false;
    std::size_t letters = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const MathToken& token = tokens[i];
      if (token.is("_")) {
        i += std::min(closing(tokens.subspan(i + 1)) + 1, tokens.size() - i - 1);
        continue;
      }
      const bool is_fine = token.kind == Kind::letter || token.kind == Kind::word ||
                           (token.kind == Kind::command && token.text != "\\frac" &&
                            token.text != "\\sqrt" && !is_inequality(token)) ||
                           token.is("(") || token.is(")") || token.is(",") || token.is("'") ||
                           token.is("|") || token.kind == Kind::open || token.kind == Kind::close;
      if (!is_fine) return false;
      letters += token.kind == Kind::letter || token.kind == Kind::command ? 1 : 0;
      letters += token.kind == Kind::word ? 1 : 0;
    }
    return letters > 0;
  }

  Element equation(MathTokens tokens, const std::vector<MathTokens>& sides) {
    const MathTokens first = sides.front(), last = sides.back();
    if (first.empty() || last.empty()) return {{textual(tokens)}};
    const auto is_number = [&](MathTokens side) {
      const auto sum = expression(without_unit(side).tokens);
      return sum && sum->number();
    };
    if (is_name(first)) {
      Element named = value(last);
      named.name = textual(first);
      return named;
    }
    if (sides.size() > 2 || (is_number(first) && is_number(last))) return value(last);
    if (is_name(last) && is_number(first)) {
      Element named = value(first);
      named.name = textual(last);
      return named;
    }
    if (const auto found = relation(first, last, "=")) return *found;
    return {{textual(tokens)}};
  }

  static bool is_inequality(const MathToken& token) {
    return token.is("<") || token.is(">") || token.is("\\le") || token.is("\\ge") ||
           token.is("\\ne");
  }
  static std::string turned(std::string_view sign) {
    return sign == "<"      ? ">"
           : sign == ">"    ? "<"
           : sign == "\\le" ? "\\ge"
           : sign == "\\ge" ? "\\le"
                            : std::string(sign);
  }

  std::optional<Element> inequality(MathTokens tokens) {
    const auto sides = split(tokens, is_inequality);
    std::vector<std::string> signs;
    MathDepth depth;
    for (const MathToken& token : tokens) {
      if (depth.outside(token) && is_inequality(token)) signs.push_back(token.text);
    }
    if (sides.size() == 2) return relation(sides[0], sides[1], signs[0]);
    if (sides.size() != 3 || !is_name(sides[1])) return std::nullopt;
    // a < x < b, or the other way round.
    const auto left = expression(sides[0]), right = expression(sides[2]);
    const bool rises = signs[0] == "<" || signs[0] == "\\le";
    const bool same_way =
        rises ? signs[1] == "<" || signs[1] == "\\le" : signs[1] == ">" || signs[1] == "\\ge";
    if (!left || !right || !same_way || signs[0] == "\\ne") return std::nullopt;
    const bool left_open = signs[0].size() == 1, right_open = signs[1].size() == 1;
    const std::string low = rises ? left->tex() : right->tex();
    const std::string high = rises ? right->tex() : left->tex();
    return Element{{((rises ? left_open : right_open) ? "(" : "[") + low + ',' + high +
                    ((rises ? right_open : left_open) ? ')' : ']')},
                   textual(sides[1]),
                   true};
  }

  // Two sides as one sum, of which one variable is solved for where it is the only one.
  std::optional<Element> relation(MathTokens left, MathTokens right, std::string sign) {
    const auto a = expression(left), b = expression(right);
    const auto difference = a && b ? Sum::sum(*a, b->negated()) : std::nullopt;
    const auto scaled = difference ? difference->primitive() : std::nullopt;
    if (!scaled) return std::nullopt;
    if (scaled->second) sign = turned(sign);
    const auto terms = scaled->first.ordered();
    Sum variable_part;
    std::vector<std::string> variables;
    Rational constant = 0;
    bool is_linear = true;
    for (const Sum::Term* term : terms) {
      if (term->powers.empty()) {
        constant = term->coefficient;
        continue;
      }
      is_linear = is_linear && term->powers.size() == 1 &&
                  term->powers.begin()->second == Rational(1) &&
                  Ascii::is_letter(term->powers.begin()->first[0]);
      variables.push_back(term->powers.begin()->first);
    }
    if (is_linear && variables.size() == 1) {
      const auto bound = Rational::quotient(constant.negated(), terms.front()->coefficient);
      if (!bound) return std::nullopt;
      const std::string text = Sum::tex_of(*bound);
      if (sign == "=") return Element{{text}, variables.front()};
      if (sign == "<") return Element{{"(-\\infty," + text + ')'}, variables.front(), true};
      if (sign == "\\le") return Element{{"(-\\infty," + text + ']'}, variables.front(), true};
      if (sign == ">") return Element{{'(' + text + ",\\infty)"}, variables.front(), true};
      if (sign == "\\ge") return Element{{'[' + text + ",\\infty)"}, variables.front(), true};
      return Element{{variables.front() + "\\ne " + text}};
    }
    const auto rest = Sum::sum(scaled->first, Sum(constant.negated()));
    if (!rest || rest->terms().empty()) return std::nullopt;
    const std::string middle = sign.size() > 1 ? sign + ' ' : sign;
    return Element{{rest->tex() + middle + Sum::tex_of(constant.negated())}};
  }

  // What brackets hold as a whole: a set, a tuple, an interval, a matrix.
  std::optional<Element> bracketed(MathTokens tokens) {
    if (tokens.size() < 2 || closing(tokens) != tokens.size() - 1) return std::nullopt;
    const MathToken &open = tokens.front(), &close = tokens.back();
    if (open.text.starts_with("\\begin{")) return Element{{matrix(tokens)}};
    const MathTokens inside = tokens.subspan(1, tokens.size() - 2);
    if (open.is("\\{") && inside.empty()) return Element{{"\\emptyset"}};
    const auto parts = split(inside, [](const MathToken& t) { return t.is(",") || t.is(";"); });
    const bool is_set = open.is("\\{");
    if (!is_set && parts.size() < 2) return std::nullopt;
    std::vector<std::string> texts;
    for (const MathTokens part : parts) texts.push_back(list(part));
    if (is_set) {
      std::sort(texts.begin(), texts.end(), comes_first);
      texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
      return Element{{"\\{" + join(texts, ",") + "\\}"}};
    }
    const bool is_interval = texts.size() == 2;
    return Element{{open.text + join(texts, ",") + close.text}, {}, is_interval};
  }

  std::string matrix(MathTokens tokens) {
    std::string text = tokens.front().text;
    if (tokens.size() < 2) return text;
    const MathTokens inside = tokens.subspan(1, tokens.size() - 2);
    auto rows = split(inside, [](const MathToken& t) { return t.is("\\\\"); });
    if (rows.back().empty()) rows.pop_back();
    bool is_first = true;
    for (const MathTokens row : rows) {
      if (!std::exchange(is_first, false)) text += "\\\\";
      bool begins = true;
      for (const MathTokens cell : split(row, [](const MathToken& t) { return t.is("&"); })) {
        if (!std::exchange(begins, false)) text += '&';
        text += list(cell);
      }
    }
    return text + tokens.back().text;
  }

  static bool is_words(MathTokens tokens) {
    bool has_word = false;
    for (const MathToken& token : tokens) {
      const bool fits = token.kind == Kind::word || token.kind == Kind::letter ||
                        token.kind == Kind::open || token.kind == Kind::close || token.is("-") ||
                        token.is("'");
      if (!fits || (token.kind == Kind::word && is_joiner(token.text))) return false;
      has_word = has_word || token.kind == Kind::word;
    }
    return has_word;
  }

  // Words, or the number that one word is.
  static std::string worded(MathTokens tokens) {
    static constexpr std::string_view numbers[] = {"Zero", "One",    "Two",   "Three", "Four",
                                                   "Five", "Six",    "Seven", "Eight", "Nine",
                                                   "Ten",  "Eleven", "Twelve"};
    std::string text = textual(tokens);
    const auto found = std::find(std::begin(numbers), std::end(numbers), text);
    return found == std::end(numbers) ? text : std::to_string(found - std::begin(numbers));
  }

  // The tokens side by side, a space where one kept letters or digits apart; words alike in any case.
  static std::string textual(MathTokens tokens) {
    std::string text;
    const bool words = is_words(tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const MathToken& token = tokens[i];
      const bool is_index = i > 1 && tokens[i - 2].is("\\sqrt");  // 2 goes without saying
      if (is_index && token.text == "2" && i + 1 < tokens.size()) {
        text.pop_back();
        ++i;
        continue;
      }
      if (words && (token.kind == Kind::open || token.kind == Kind::close)) continue;
      std::string part = token.text;
      if (token.kind == Kind::number && !std::all_of(part.begin(), part.end(), Ascii::is_digit)) {
        part = token.number.exact ? Sum::tex_of(*token.number.exact) : token.number.text;
      }
      if (token.kind == Kind::word || (words && token.kind == Kind::letter)) {
        for (char& c : part) c = Ascii::lower(c);
      }
      const bool apart = token.apart || token.in_text || token.kind == Kind::word;
      const bool after_command =
          !text.empty() && text.rfind('\\') != std::string::npos &&
          std::all_of(text.begin() + static_cast<std::ptrdiff_t>(text.rfind('\\')) + 1, text.end(),
                      Ascii::is_letter);
      const bool meets = !text.empty() && !part.empty() && Ascii::is_word(part.front()) &&
                         (Ascii::is_word(text.back()) || text.back() == '\'');
      if (meets && (apart || after_command)) text += ' ';
      text += part;
    }
    if (words && !text.empty()) text[0] = Ascii::upper(text[0]);
    return text;
  }

  int sign_ = 0, work_ = 0;
};

}  // namespace tilt::detail

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/text/ascii.hpp"
#include "tilt/text/rational.hpp"

namespace tilt::detail {

/// A sum of terms: each an exact coefficient times powers of atoms. An atom is a variable, a constant, a
/// function as it is written, a whole number under a root, or a sum in parentheses, by its TeX. Terms of
/// the same atoms are added and roots of whole numbers are taken out; products of sums are left as they
/// are. Equal sums have equal TeX (`tex`).
class Sum {
 public:
  using Powers = std::map<std::string, Rational>;  // never 0
  struct Term {
    Rational coefficient = 1;  // never 0
    Powers powers = {};
    friend bool operator==(const Term&, const Term&) = default;
  };

  Sum() = default;
  Sum(const Rational& value) { add({value, {}}); }
  [[nodiscard]] static Sum atom(std::string name) {
    Sum sum;
    sum.add({1, {{std::move(name), 1}}});
    return sum;
  }

  [[nodiscard]] const std::map<std::string, Term>& terms() const noexcept { return terms_; }

  /// The value of a sum without atoms.
  [[nodiscard]] std::optional<Rational> number() const {
    if (terms_.empty()) return Rational(0);
    if (terms_.size() == 1 && first().powers.empty()) return first().coefficient;
    return std::nullopt;
  }

  [[nodiscard]] static std::optional<Sum> sum(Sum a, const Sum& b) {
    for (const auto& [key, term] : b.terms_) {
      if (!a.add(term)) return std::nullopt;
    }
    return a;
  }
  [[nodiscard]] Sum negated() const {
    Sum made = *this;
    for (auto& [key, term] : made.terms_) term.coefficient = term.coefficient.negated();
    return made;
  }

  [[nodiscard]] static std::optional<Sum> product(const Sum& a, const Sum& b) {
    if (a.terms_.empty() || b.terms_.empty()) return Sum{};
    if (a.terms_.size() == 1 && b.terms_.size() == 1) {
      return single(product_of(a.first(), b.first()));
    }
    for (const auto& [factor, rest] : {std::pair{&a, &b}, {&b, &a}}) {
      if (factor->terms_.size() != 1 || !is_constant(factor->first())) continue;
      Sum made;
      for (const auto& [key, term] : rest->terms_) {
        const std::optional<Term> part = product_of(factor->first(), term);
        if (!part || !made.add(*part)) return std::nullopt;
      }
      return made;
    }
    return product(a.whole(1), b.whole(1));
  }

  /// a to an exact power. None for a division by 0.
  [[nodiscard]] static std::optional<Sum> power(const Sum& a, const Rational& exponent) {
    if (a.terms_.empty()) return exponent.sign() > 0 ? std::optional<Sum>(Sum{}) : std::nullopt;
    if (exponent == Rational(1)) return a;
    if (exponent == Rational(0)) return Sum(1);
    if (a.terms_.size() > 1) return a.whole(exponent);
    const Term& base = a.first();
    Term made;
    if (exponent.is_whole()) {
      const auto coefficient = Rational::power(base.coefficient, exponent.numerator());
      if (!coefficient) return a.whole(exponent);
      made.coefficient = *coefficient;
    } else {
      const bool is_odd = exponent.denominator() % 2 != 0;
      const bool is_negative = base.coefficient.sign() < 0;
      if (is_negative && !is_odd) return a.whole(exponent);
      if (is_negative && exponent.numerator() % 2 != 0) made.coefficient = -1;
      for (const auto& [atom, times] : base.powers) {
        const bool is_simple = is_number(atom) || times == Rational(1) || times == Rational(-1);
        if (!is_simple) return a.whole(exponent);
      }
      put_roots(made, base.coefficient.numerator(), exponent);
      put_roots(made, base.coefficient.denominator(), exponent.negated());
    }
    for (const auto& [atom, times] : base.powers) {
      const auto product = Rational::product(times, exponent);
      if (!product) return std::nullopt;
      made.powers[atom] = *product;
    }
    return single(std::move(made));
  }

  /// The sum times a number such that the coefficients are whole and have no common divisor, and the
  /// first one is positive. Tells whether the sign was turned. None where that goes too far.
  [[nodiscard]] std::optional<std::pair<Sum, bool>> primitive() const {
    if (terms_.empty()) return std::pair{*this, false};
    Rational::Integer above = 0, below = 1;
    for (const auto& [key, term] : terms_) {
      above = gcd(above, term.coefficient.numerator());
      const Rational::Integer d = term.coefficient.denominator();
      const auto more = Rational::ratio(d / gcd(below, d), 1), so_far = Rational::ratio(below, 1);
      const auto common = more && so_far ? Rational::product(*more, *so_far) : std::nullopt;
      if (!common) return std::nullopt;
      below = common->numerator();
    }
    const bool turned = ordered().front()->coefficient.sign() < 0;
    const auto factor = Rational::ratio(turned ? -below : below, above);
    if (!factor) return std::nullopt;
    const auto made = product(*this, Sum(*factor));
    if (!made) return std::nullopt;
    return std::pair{*made, turned};
  }

  /// The terms by falling degree; numbers behind what has variables.
  [[nodiscard]] std::vector<const Term*> ordered() const {
    std::vector<std::pair<double, const Term*>> found;
    for (const auto& [key, term] : terms_) {
      double degree = 0;
      for (const auto& [atom, times] : term.powers) {
        if (atom.size() == 1 && Ascii::is_letter(atom[0])) degree += times.value();
      }
      found.emplace_back(degree, &term);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      const bool a_plain = a.second->powers.empty();
      const bool b_plain = b.second->powers.empty();
      return a.first != b.first ? a.first > b.first : !a_plain && b_plain;
    });
    std::vector<const Term*> terms;
    for (const auto& [degree, term] : found) terms.push_back(term);
    return terms;
  }

  [[nodiscard]] std::string tex() const {
    if (terms_.empty()) return "0";
    std::string text;
    for (const Term* term : ordered()) {
      const std::string part = tex_of(*term);
      if (!text.empty() && part.front() != '-') text += '+';
      text += part;
    }
    return text;
  }

  /// The TeX of a number: of the decimal and the fraction the one with fewer digits.
  [[nodiscard]] static std::string tex_of(const Rational& value) {
    const auto digits = [](std::string_view text) {
      return std::count_if(text.begin(), text.end(), Ascii::is_digit);
    };
    const Rational::Integer n = value.numerator();
    const std::string above = Rational::digits_of(n < 0 ? -n : n);
    if (value.is_whole()) return (n < 0 ? "-" : "") + above;
    const std::string below = Rational::digits_of(value.denominator());
    const std::optional<std::string> decimal = value.decimal();
    if (decimal && digits(*decimal) < digits(above) + digits(below)) return *decimal;
    return (n < 0 ? "-\\frac{" : "\\frac{") + above + "}{" + below + '}';
  }

 private:
  [[nodiscard]] const Term& first() const { return terms_.begin()->second; }

  static Rational::Integer gcd(Rational::Integer a, Rational::Integer b) {
    while (b != 0) a = std::exchange(b, a % b);
    return a < 0 ? -a : a;
  }
  static bool is_number(std::string_view atom) {
    return std::all_of(atom.begin(), atom.end(), Ascii::is_digit);
  }
  static bool is_constant(const Term& term) {
    return std::all_of(term.powers.begin(), term.powers.end(), [](const auto& power) {
      return is_number(power.first) || power.first == "\\pi" || power.first == "e";
    });
  }

  static std::string key_of(const Powers& powers) {
    std::string key;
    for (const auto& [atom, times] : powers) key += atom + '^' + times.text() + ' ';
    return key;
  }
  bool add(const Term& term) {
    if (term.coefficient.sign() == 0) return true;
    const auto [place, is_new] = terms_.try_emplace(key_of(term.powers), term);
    if (is_new) return true;
    const auto total = Rational::sum(place->second.coefficient, term.coefficient);
    if (!total) return false;
    place->second.coefficient = *total;
    if (total->sign() == 0) terms_.erase(place);
    return true;
  }
  static std::optional<Sum> single(std::optional<Term> term) {
    if (!term) return std::nullopt;
    take_out(*term);
    Sum sum;
    sum.add(*term);
    return sum;
  }
  static std::optional<Term> product_of(const Term& a, const Term& b) {
    const auto coefficient = Rational::product(a.coefficient, b.coefficient);
    if (!coefficient) return std::nullopt;
    Term made{*coefficient, a.powers};
    for (const auto& [atom, times] : b.powers) {
      const auto total = Rational::sum(made.powers[atom], times);
      if (!total) return std::nullopt;
      made.powers[atom] = *total;
    }
    take_out(made);
    return made;
  }
  // Moves whole powers of numbers into the coefficient; drops powers of 0.
  static void take_out(Term& term) {
    for (auto power = term.powers.begin(); power != term.powers.end();) {
      auto& [atom, times] = *power;
      if (is_number(atom) && atom.size() <= 12) {
        Rational::Integer whole = times.numerator() / times.denominator();
        if (times.sign() < 0 && !times.is_whole()) --whole;
        const auto outside = Rational::power(Rational(std::stoll(atom)), whole);
        const auto product = outside ? Rational::product(term.coefficient, *outside) : std::nullopt;
        const auto rest =
            Rational::ratio(times.numerator() - whole * times.denominator(), times.denominator());
        if (product && rest) {
          term.coefficient = *product;
          times = *rest;
        }
      }
      power = times.sign() == 0 ? term.powers.erase(power) : std::next(power);
    }
  }
  // The prime factors of n, to a power; what is left of large ones as it is.
  static void put_roots(Term& term, Rational::Integer n, const Rational& exponent) {
    if (n < 0) n = -n;
    constexpr int most = 1000;
    for (int prime = 2; prime <= most && n > 1; ++prime) {
      std::int64_t times = 0;
      while (n % prime == 0) n /= prime, ++times;
      if (times > 0) raise(term, std::to_string(prime), times, exponent);
    }
    if (n > 1) raise(term, Rational::digits_of(n), 1, exponent);
  }
  static void raise(Term& term, const std::string& atom, std::int64_t times,
                    const Rational& exponent) {
    const auto power = Rational::product(Rational(times), exponent);
    const auto total = power ? Rational::sum(term.powers[atom], *power) : std::nullopt;
    if (total) term.powers[atom] = *total;
  }

  // The whole sum as one atom, without the coefficient of its first term where that comes out.
  [[nodiscard]] Sum whole(const Rational& exponent) const {
    if (terms_.size() == 1 && exponent == Rational(1)) return *this;
    Rational outside = 1;
    Sum inside = *this;
    if (terms_.size() > 1 && exponent.is_whole()) {
      const Rational leading = ordered().front()->coefficient;
      const auto inverse = Rational::quotient(1, leading);
      const auto scaled = inverse ? product(*this, Sum(*inverse)) : std::nullopt;
      const auto power = Rational::power(leading, exponent.numerator());
      if (scaled && power) {
        outside = *power;
        inside = *scaled;
      }
    }
    const std::string text = inside.tex();
    Sum made;
    made.add({outside, {{is_number(text) ? text : '(' + text + ')', exponent}}});
    return made;
  }

  static void append(std::string& text, std::string_view part) {
    const bool after_command = [&] {
      const std::size_t slash = text.rfind('\\');
      return slash != std::string::npos && slash + 1 < text.size() &&
             std::all_of(text.begin() + static_cast<std::ptrdiff_t>(slash) + 1, text.end(),
                         Ascii::is_letter);
    }();
    if (!text.empty() && Ascii::is_digit(part.front())) {
      text += "\\cdot ";
    } else if (after_command && Ascii::is_letter(part.front())) {
      text += ' ';
    }
    text += part;
  }
  static std::string raised(const std::string& atom, const Rational& times) {
    if (times == Rational(1)) return atom;
    const bool is_root = times.numerator() == 1;
    if (is_root) {
      const std::string index = Rational::digits_of(times.denominator());
      const bool wrapped = atom.starts_with('(') && atom.ends_with(')');
      const std::string inner = wrapped ? atom.substr(1, atom.size() - 2) : atom;
      return (index == "2" ? "\\sqrt{" : "\\sqrt[" + index + "]{") + inner + '}';
    }
    const std::string exponent = tex_of(times);
    return atom + '^' + (exponent.size() == 1 ? exponent : '{' + exponent + '}');
  }
  // Without the parentheses around all of it.
  static std::string bare(const std::string& text) {
    const bool is_one = text.starts_with('(') && text.find(')') == text.size() - 1;
    return is_one ? text.substr(1, text.size() - 2) : text;
  }
  static std::string tex_of(const Term& term) {
    const bool is_minus = term.coefficient.sign() < 0;
    const Rational size = is_minus ? term.coefficient.negated() : term.coefficient;
    if (term.powers.empty()) return (is_minus ? "-" : "") + tex_of(size);
    std::string above, below;
    if (size.numerator() != 1) above = Rational::digits_of(size.numerator());
    if (!size.is_whole()) below = Rational::digits_of(size.denominator());
    // Roots of the same index under one sign.
    const auto is_root = [](const std::string& atom, const Rational& times) {
      return is_number(atom) && atom.size() <= 12 && times.sign() > 0 && times.value() < 1;
    };
    std::map<std::string, Rational> roots;
    for (const auto& [atom, times] : term.powers) {
      if (!is_root(atom, times)) continue;
      const auto inside = Rational::power(Rational(std::stoll(atom)), times.numerator());
      Rational& root = roots.try_emplace(Rational::digits_of(times.denominator()), 1).first->second;
      const auto product = inside ? Rational::product(root, *inside) : std::nullopt;
      if (product) {
        root = *product;
      } else {
        append(above, raised('(' + atom + ')', times));
      }
    }
    for (const auto& [index, inside] : roots) {
      above += (index == "2" ? "\\sqrt{" : "\\sqrt[" + index + "]{") +
               Rational::digits_of(inside.numerator()) + '}';
    }
    for (const int pass : {0, 1, 2}) {  // constants, variables, the rest
      for (const auto& [atom, times] : term.powers) {
        const int rank = atom == "\\pi" ? 0 : Ascii::is_letter(atom.front()) ? 1 : 2;
        if (is_root(atom, times) || rank != pass) continue;
        append(times.sign() < 0 ? below : above,
               raised(atom, times.sign() < 0 ? times.negated() : times));
      }
    }
    if (above.empty()) above = "1";
    if (!below.empty()) above = "\\frac{" + bare(above) + "}{" + bare(below) + '}';
    return (is_minus ? "-" : "") + above;
  }

  std::map<std::string, Term> terms_ = {};
};

}  // namespace tilt::detail

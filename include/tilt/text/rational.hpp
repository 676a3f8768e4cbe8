#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tilt {

/// A fraction of two whole numbers in lowest terms, exact; the denominator is positive. What would go
/// beyond 36 digits is none.
class Rational {
 public:
  __extension__ using Integer = __int128;

  Rational() = default;
  Rational(std::int64_t whole) : numerator_(whole) {}

  /// n/d, or none if d is 0 or one of the two, in lowest terms, has more than 36 digits.
  [[nodiscard]] static std::optional<Rational> ratio(Integer n, Integer d) {
    if (d == 0) return std::nullopt;
    Integer a = n < 0 ? -n : n, b = d < 0 ? -d : d;
    while (b != 0) {
      const Integer rest = a % b;
      a = b;
      b = rest;
    }
    Rational made;
    made.numerator_ = d < 0 ? -(n / a) : n / a;
    made.denominator_ = d < 0 ? -(d / a) : d / a;
    if (made.numerator_ > most || made.numerator_ < -most || made.denominator_ > most) {
      return std::nullopt;
    }
    return made;
  }

  [[nodiscard]] Integer numerator() const noexcept { return numerator_; }
  [[nodiscard]] Integer denominator() const noexcept { return denominator_; }
  [[nodiscard]] bool is_whole() const noexcept { return denominator_ == 1; }
  [[nodiscard]] int sign() const noexcept { return (numerator_ > 0) - (numerator_ < 0); }
  [[nodiscard]] Rational negated() const {
    Rational made = *this;
    made.numerator_ = -numerator_;
    return made;
  }

  [[nodiscard]] static std::optional<Rational> sum(const Rational& a, const Rational& b) {
    const auto left = product_of(a.numerator_, b.denominator_);
    const auto right = product_of(b.numerator_, a.denominator_);
    const auto below = product_of(a.denominator_, b.denominator_);
    if (!left || !right || !below) return std::nullopt;
    return ratio(*left + *right, *below);
  }
  [[nodiscard]] static std::optional<Rational> product(const Rational& a, const Rational& b) {
    const auto above = product_of(a.numerator_, b.numerator_);
    const auto below = product_of(a.denominator_, b.denominator_);
    if (!above || !below) return std::nullopt;
    return ratio(*above, *below);
  }
  [[nodiscard]] static std::optional<Rational> quotient(const Rational& a, const Rational& b) {
    const auto above = product_of(a.numerator_, b.denominator_);
    const auto below = product_of(a.denominator_, b.numerator_);
    if (!above || !below) return std::nullopt;
    return ratio(*above, *below);
  }
  /// a to a whole power; 0 to the power 0 and below is none.
  [[nodiscard]] static std::optional<Rational> power(const Rational& a, Integer exponent) {
    if (a.numerator_ == 0 && exponent <= 0) return std::nullopt;
    const bool is_unit = a.is_whole() && (a.numerator_ == 1 || a.numerator_ == -1);
    if (a.numerator_ == 0) return a;
    if (is_unit) return exponent % 2 == 0 ? Rational(1) : a;
    if (exponent > 128 || exponent < -128) return std::nullopt;
    std::optional<Rational> made = Rational(1);
    for (Integer i = exponent < 0 ? -exponent : exponent; made && i > 0; --i) {
      made = product(*made, a);
    }
    return made && exponent < 0 ? quotient(1, *made) : made;
  }

  [[nodiscard]] static std::string digits_of(Integer whole) {
    std::string text;
    for (Integer rest = whole < 0 ? -whole : whole; rest > 0 || text.empty(); rest /= 10) {
      text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    }
    return whole < 0 ? '-' + text : text;
  }

  /// As a decimal, where it has finitely many digits.
  [[nodiscard]] std::optional<std::string> decimal() const {
    Integer rest = denominator_;
    for (const int prime : {2, 5}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest != 1) return std::nullopt;
    Integer part = numerator_ < 0 ? -numerator_ : numerator_;
    std::string text = (numerator_ < 0 ? "-" : "") + digits_of(part / denominator_);
    part %= denominator_;
    if (part > 0) text += '.';
    while (part > 0) {
      part *= 10;
      text += static_cast<char>('0' + static_cast<int>(part / denominator_));
      part %= denominator_;
    }
    return text;
  }

  /// "0.75" where that is exact, else "1/3".
  [[nodiscard]] std::string text() const {
    if (const std::optional<std::string> exact = decimal()) return *exact;
    return digits_of(numerator_) + '/' + digits_of(denominator_);
  }

  friend bool operator==(const Rational&, const Rational&) = default;
  [[nodiscard]] double value() const {
    return static_cast<double>(numerator_) / static_cast<double>(denominator_);
  }

 private:
  // 10^36: ten times it, and the sum of two products within it, stay below 2^127.
  static constexpr Integer most = Integer{1'000'000'000'000'000'000} * 1'000'000'000'000'000'000;

  static std::optional<Integer> product_of(Integer a, Integer b) {
    const Integer size = b < 0 ? -b : b;
    if (size != 0 && (a < 0 ? -a : a) > most / size) return std::nullopt;
    return a * b;
  }

  Integer numerator_ = 0, denominator_ = 1;
};

}  // namespace tilt

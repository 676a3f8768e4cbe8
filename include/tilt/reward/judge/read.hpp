#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "tilt/core/check.hpp"
#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// What stands behind the only label of a text, without space and emphasis around it; the reader of
/// `read_score` and `read_verdict`.
/// @throws RewardError when the label is missing or occurs twice
[[nodiscard]] inline std::string_view behind_label(std::string_view text, std::string_view label) {
  if (!label.empty()) {
    const std::size_t at = text.find(label);
    if (at == std::string_view::npos) {
      throw RewardError("there is no \"" + std::string(label) + "\" in it");
    }
    text.remove_prefix(at + label.size());
    if (text.find(label) != std::string_view::npos) {
      throw RewardError("there is more than one \"" + std::string(label) + "\" in it");
    }
  }
  constexpr std::string_view passed = " \t\r\n*_`";
  const auto trim = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(passed), text.size()));
    text.remove_suffix(text.size() - (text.find_last_not_of(passed) + 1));
  };
  trim();
  if (text.ends_with('.')) {
    text.remove_suffix(1);
    trim();
  }
  return text;
}

/// Reads a score that stands at the end of a text behind a label: "Score: 7".
///
/// Strict: the label occurs once in the text, and behind it stands one number and nothing else. Spaces,
/// line breaks, marks of emphasis (* _ `) around the number and a full stop behind it are passed over.
/// A number is digits, with a minus and a decimal point where wanted: no exponent, no "7/10". With an
/// empty label the whole text is the number. A label that occurs twice is refused, for one of the two
/// may be a quotation from what was to be judged.
/// @returns a number from low to high
/// @throws RewardError when it is not so, or the number is out of the range
[[nodiscard]] inline double read_score(std::string_view text, std::string_view label, double low,
                                       double high) {
  const std::string_view number = behind_label(text, label);
  std::string_view digits = number;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string_view part = digits.substr(whole);
  bool is_number = whole > 0;
  if (!part.empty()) {
    part.remove_prefix(1);
    is_number = is_number && digits[whole] == '.' && !part.empty() &&
                part.find_first_not_of("0123456789") == std::string_view::npos;
  }
  double value = unset;
  if (is_number) std::from_chars(number.data(), number.data() + number.size(), value);
  if (std::isnan(value)) throw RewardError("it does not end in one number");
  if (!(value >= low && value <= high)) {
    throw RewardError("the score " + to_text(value) + " is not from " + to_text(low) + " to " +
                      to_text(high));
  }
  return value;
}

/// Reads the preference at the end of a text behind a label, as strictly: 1 of "A", 0 of "B", 1/2 of
/// "tie", in upper or lower case.
/// @throws RewardError where none of the three stands there
[[nodiscard]] inline double read_verdict(std::string_view text, std::string_view label) {
  std::string verdict(behind_label(text, label));
  for (char& c : verdict) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (verdict == "a") return 1;
  if (verdict == "b") return 0;
  if (verdict == "tie") return 0.5;
  throw RewardError("it ends neither in A nor in B nor in tie");
}

}  // namespace tilt

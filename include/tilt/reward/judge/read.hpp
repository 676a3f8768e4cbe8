#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tilt/core/check.hpp"
#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"
#include "tilt/text/ascii.hpp"
#include "tilt/text/number.hpp"

namespace tilt {
namespace detail {

/// Passes over a label at a place, in upper or lower case, with marks of emphasis and quotes before its
/// colon. Returns where it ends, or npos.
[[nodiscard]] inline std::size_t label_end(std::string_view text, std::size_t at,
                                           std::string_view label) {
  constexpr std::string_view passed = "*_`\"";
  for (const char wanted : label) {
    const bool is_mark = wanted == ':' || wanted == '=';
    while (is_mark && at < text.size() && text[at] != wanted &&
           passed.find(text[at]) != std::string_view::npos) {
      ++at;
    }
    if (at >= text.size() || Ascii::lower(text[at]) != Ascii::lower(wanted)) return npos;
    ++at;
  }
  return at;
}

/// What a model wrote behind its reasoning: all of a text without a block <think>...</think>.
/// @throws RewardError where such a block is not closed
[[nodiscard]] inline std::string_view behind_reasoning(std::string_view text) {
  constexpr std::string_view open = "<think>", close = "</think>";
  const std::size_t end = text.rfind(close), begin = text.rfind(open);
  if (begin != npos && (end == npos || end < begin)) {
    throw RewardError("its reasoning is not closed");
  }
  return end == npos ? text : text.substr(end + close.size());
}

}  // namespace detail

/// What stands behind the last label of a text, without space, emphasis, quotes and brackets around it;
/// the reader of `read_score` and `read_verdict`. Reasoning in <think> ... </think> is passed over; the
/// label counts in upper and lower case, also as "**Score**:".
/// @throws RewardError when the label is missing
[[nodiscard]] inline std::string_view behind_label(std::string_view text, std::string_view label) {
  text = detail::behind_reasoning(text);
  if (!label.empty()) {
    std::size_t end = npos;
    for (std::size_t at = text.size(); at-- > 0 && end == npos;) {
      if (at == 0 || !Ascii::is_word(text[at - 1]) || !Ascii::is_word(label.front())) {
        end = detail::label_end(text, at, label);
      }
    }
    if (end == npos) throw RewardError("there is no \"" + std::string(label) + "\" in it");
    text.remove_prefix(end);
  }
  constexpr std::string_view passed = " \t\r\n*_`\"";
  const auto trim = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(passed), text.size()));
    text.remove_suffix(text.size() - (text.find_last_not_of(passed) + 1));
  };
  trim();
  for (bool again = true; again;) {
    again = false;
    if (text.ends_with('.') && !text.ends_with("..")) {
      text.remove_suffix(1);
      again = true;
    }
    for (const std::string_view pair : {"[]", "()", "{}", "<>"}) {
      if (text.size() < 2 || text.front() != pair[0] || text.back() != pair[1]) continue;
      text = text.substr(1, text.size() - 2);
      again = true;
    }
    trim();
  }
  return text;
}

/// Reads a score that stands at the end of a text behind a label: "Score: 7".
///
/// The last label of the text counts (`behind_label`), so that a score that the reasons weigh, or that is
/// quoted from what was to be judged, is passed over; behind it stands one number and nothing else, but
/// for space, emphasis (* _ `), brackets ("[[7]]") and a full stop. The number may be given out of the
/// highest one, "7/10" or "7 out of 10" where `high` is 10, and in percent where it is 100. With an empty
/// label the whole text is the number.
///
/// Cost: linear in the length of the text.
/// @returns a number from low to high
/// @throws RewardError when it is not so, or the number is out of the range
[[nodiscard]] inline double read_score(std::string_view text, std::string_view label, double low,
                                       double high) {
  const std::string_view read = behind_label(text, label);
  detail::NumberParts parts(read, 0, NumberStyle::math);
  const bool minus = parts.skip("-");
  const auto number = [&]() -> std::optional<double> {
    const auto decimal = parts.decimal();
    if (!decimal) return std::nullopt;
    const Number found = decimal->number();
    return found.exact ? std::optional(found.exact->value()) : std::nullopt;
  };
  std::optional<double> value = number();
  if (value) {
    parts.gap();
    const bool is_share = parts.skip("/") || parts.skip("out of") || parts.skip("of");
    if (is_share) parts.gap();
    const std::optional<double> of = is_share ? number() : std::nullopt;
    if (is_share && of != high) value.reset();
    if (!is_share && high == 100) parts.skip("%");
  }
  if (!value || parts.at() != read.size()) throw RewardError("it does not end in one number");
  if (minus) value = -*value;
  if (!(*value >= low && *value <= high)) {
    throw RewardError("the score " + to_text(*value) + " is not from " + to_text(low) + " to " +
                      to_text(high));
  }
  return *value;
}

/// Reads the preference at the end of a text behind the last label: 1 of "A", 0 of "B", 1/2 of "tie", in
/// upper or lower case, in brackets, or behind a word such as "Answer" or "Response".
/// @throws RewardError where none of the three stands there
[[nodiscard]] inline double read_verdict(std::string_view text, std::string_view label) {
  std::string verdict;
  for (const char c : behind_label(text, label).substr(0, 32)) verdict += Ascii::lower(c);
  for (const std::string_view word : {"answer ", "response ", "assistant ", "option ", "model "}) {
    if (verdict.starts_with(word)) verdict.erase(0, word.size());
  }
  if (verdict == "a") return 1;
  if (verdict == "b") return 0;
  if (verdict == "tie") return 0.5;
  throw RewardError("it ends neither in A nor in B nor in tie");
}

}  // namespace tilt

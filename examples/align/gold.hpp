#pragma once

// The right answer of a row, and whether a response gives it.

#include <optional>
#include <string>
#include <string_view>

#include <tilt/io/json.hpp>
#include <tilt/selector/extract.hpp>
#include <tilt/text/math.hpp>

using nlohmann::json;

/// What stands behind the last "####" of a text, to the end of its line, as GSM8K writes answers.
inline std::optional<std::string> marked_answer(std::string_view text) {
  constexpr std::string_view mark = "####";
  const std::size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + mark.size());
  return std::string(tilt::trimmed(text.substr(0, text.find('\n'))));
}

/// The right answer that a row's "answer" states: behind "####", in the last \boxed{}, or as a whole.
/// None where there is none, or where it has no value that can be read.
inline std::optional<std::string> gold_of(const json& row) {
  const auto found = row.find("answer");
  if (found == row.end()) return {};
  if (found->is_number()) return found->dump();
  if (!found->is_string()) return {};
  const auto& text = found->get_ref<const std::string&>();
  std::optional<std::string> stated = marked_answer(text);
  if (!stated) stated = tilt::last_boxed(text);
  if (!stated) stated = text;
  if (!tilt::read_answer(*stated)) return {};
  return stated;
}

/// Whether a response's answer has the value of a right one: what it puts into a box or behind "####", else
/// its last choice where the right one is a letter, else its last number.
/// @param gold  as `gold_of` gives it
inline bool gives(std::string_view response, const std::string& gold) {
  const auto is_right = [&](const std::optional<std::string>& found) {
    return found && tilt::same_answer(*found, gold);
  };
  if (const auto boxed = tilt::last_boxed(response)) return is_right(boxed);
  if (const auto marked = marked_answer(response)) return is_right(marked);
  const auto letter = tilt::last_choice(gold);
  if (letter && is_right(letter)) return is_right(tilt::last_choice(response));
  return is_right(tilt::last_number(response));
}

#pragma once

// The right answer of a row, and whether a response gives it.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <tilt/io/json.hpp>
#include <tilt/selector/extract.hpp>
#include <tilt/text/math.hpp>

using nlohmann::json;

/// The right answer that a row's "answer" gives: a number, what it states as its answer (as behind "####" in
/// GSM8K), what stands in its box, else the whole of a short text (as in MATH) and the last number of a long
/// one. None where it has none of these.
inline std::optional<std::string> gold_of(const json& row) {
  constexpr std::size_t longest = 200;
  const auto found = row.find("answer");
  if (found == row.end()) return {};
  if (found->is_number()) return found->dump();
  if (!found->is_string()) return {};
  const auto& text = found->get_ref<const std::string&>();
  if (auto stated = tilt::first_of(tilt::stated_answer, tilt::last_boxed)(text)) return stated;
  if (text.size() > longest) return tilt::last_number(text);
  if (!tilt::read_answer(text)) return {};
  return text;
}

/// Whether a response's answer has the value of a right one: the answer that it states, what it puts into a
/// box, else its choice where the right one is a letter, else the whole of it or its last number.
/// @param gold  as `gold_of` gives it
inline bool gives(std::string_view response, const std::string& gold) {
  const auto is_right = [&](const std::optional<std::string>& found) {
    return found && tilt::same_answer(*found, gold);
  };
  if (gold.size() == 1 && tilt::last_choice(gold) && is_right(tilt::last_choice(response))) {
    return true;
  }
  if (const auto stated = tilt::first_of(tilt::stated_answer, tilt::last_boxed)(response)) {
    return is_right(stated);
  }
  return tilt::same_answer(response, gold) || is_right(tilt::last_number(response));
}

#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/random.hpp"

namespace tilt {

/// A text with named slots, "Question: {query}", read once and filled many times.
///
/// `{name}` is a slot, `{{` and `}}` are literal braces. All slots are replaced in one pass, so
/// that a value that holds "{name}" stays as it is: values are data.
/// Cost: linear in the length of what comes out.
class Template {
 public:
  /// What takes the place of a slot.
  struct Slot {
    std::string_view name = {}, value = {};
  };

  Template() = default;

  /// @param text   any bytes
  /// @param names  the slots that may occur in it, each any number of times
  /// @param field  the option that the text was given in, for the message
  /// @throws InvalidOption for a slot of another name and for a brace that is neither doubled nor
  /// part of a slot
  Template(std::string_view text, std::span<const std::string_view> names, std::string_view field) {
    names_.assign(names.begin(), names.end());
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c != '{' && c != '}') {
        literals_ += c;
      } else if (i + 1 < text.size() && text[i + 1] == c) {
        literals_ += c;
        ++i;
      } else {
        const std::size_t end = c == '{' ? text.find_first_of("{}", i + 1) : std::string_view::npos;
        if (end == std::string_view::npos || text[end] == '{') {
          refuse(field, std::string("a text with a single ") + c, names);
        }
        const std::string_view name = text.substr(i + 1, end - i - 1);
        const auto known = std::find(names.begin(), names.end(), name);
        if (known == names.end()) {
          constexpr std::size_t shown = 60;  // bytes
          refuse(field,
                 "a text with {" + std::string(name.substr(0, shown)) +
                     (name.size() > shown ? "…}" : "}"),
                 names);
        }
        slots_.push_back({literals_.size(), static_cast<std::size_t>(known - names.begin())});
        i = end;
      }
    }
  }
  Template(std::string_view text, std::initializer_list<std::string_view> names,
           std::string_view field)
      : Template(text, std::span(names.begin(), names.size()), field) {}

  /// Whether a slot of this name occurs.
  [[nodiscard]] bool uses(std::string_view name) const noexcept {
    return std::any_of(slots_.begin(), slots_.end(),
                       [&](const Place& place) { return names_[place.name] == name; });
  }

  /// The text with its slots replaced. Values for slots that do not occur are ignored.
  /// @throws Error when a slot that occurs is given no value
  [[nodiscard]] std::string fill(std::span<const Slot> values) const {
    std::string text;
    std::size_t from = 0;
    for (const Place& place : slots_) {
      text.append(literals_, from, place.at - from);
      text += value_of(names_[place.name], values);
      from = place.at;
    }
    return text.append(literals_, from);
  }
  [[nodiscard]] std::string fill(std::initializer_list<Slot> values) const {
    return fill(std::span(values.begin(), values.size()));
  }

 private:
  struct Place {
    std::size_t at = 0;    // in `literals_`
    std::size_t name = 0;  // in `names_`
  };

  [[noreturn]] static void refuse(std::string_view field, std::string value,
                                  std::span<const std::string_view> names) {
    std::string legal = "a text whose slots are among";
    for (const std::string_view name : names) legal += " {" + std::string(name) + '}';
    if (names.empty()) legal = "a text without slots";
    throw InvalidOption(std::string(field), std::move(value),
                        legal + "; {{ and }} stand for braces");
  }

  static std::string_view value_of(std::string_view name, std::span<const Slot> values) {
    for (const Slot& slot : values) {
      if (slot.name == name) return slot.value;
    }
    throw Error("no value was given for the slot {" + std::string(name) + '}');
  }

  std::string literals_ = {};  // all that stands between the slots
  std::vector<Place> slots_ = {};
  std::vector<std::string> names_ = {};
};

/// A prompt as text that another prompt can quote: text as it is; of messages every turn, the
/// system's too, as "role: content", with a line break between them.
/// @param owner  who quotes it, for the message: "Tpo"
/// @throws InvalidOption for a prompt of token ids, which has no text
[[nodiscard]] inline std::string quotable(const Prompt& prompt, std::string_view owner) {
  if (prompt.is_tokens()) {
    throw InvalidOption(std::string(owner) + ".prompt", describe(prompt),
                        "text or messages, because other prompts quote it");
  }
  if (!prompt.is_messages()) return std::string(prompt.text());
  std::string text;
  for (const Message& message : prompt.messages()) {
    if (!text.empty()) text += '\n';
    text += message.role + ": " + message.content;
  }
  return text;
}

/// "-" and eight hexadecimal digits: an end for marks that no text written before can hold but by
/// chance.
[[nodiscard]] inline std::string nonce_text(Random random) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "-";
  for (std::size_t i = 0; i < 8; ++i) text += digits[random.below(digits.size())];
  return text;
}

}  // namespace tilt

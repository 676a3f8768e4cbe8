#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tilt/core/check.hpp"
#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"

/// Single values between JSON and C++, checked: kind, range, and whether a number is whole. What does
/// not fit is an `InvalidOption` that names the field, what stands there, in short, and what may.
namespace tilt {

/// Whether bytes are valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
[[nodiscard]] inline bool is_utf8(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned char first = byte(i);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    if (length > 2) {
      const unsigned char second = byte(i + 1);
      if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
          (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

/// Bytes as text that can be shown: each byte that is no part of valid UTF-8 becomes U+FFFD.
[[nodiscard]] inline std::string shown_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t length = 1;
    while (length <= 4 && i + length <= bytes.size() && !is_utf8(bytes.substr(i, length))) ++length;
    if (length <= 4 && i + length <= bytes.size()) {
      text += bytes.substr(i, length);
      i += length;
    } else {
      text += "\xef\xbf\xbd";
      ++i;
    }
  }
  return text;
}

/// Bytes for a message, in valid UTF-8: of more than `most` bytes the beginning and the end.
[[nodiscard]] inline std::string shortened(std::string_view bytes, std::size_t most = 160) {
  if (bytes.size() <= most) return shown_text(bytes);
  const std::size_t end = most / 3;
  return shown_text(bytes.substr(0, most - end)) + " … " +
         shown_text(bytes.substr(bytes.size() - end));
}

/// A JSON value for a message: numbers, words and short texts as they stand, lists and objects by
/// their size. Never long, and never deep in calls.
[[nodiscard]] inline std::string summary_of(const nlohmann::json& j) {
  if (j.is_array()) return "a list of " + std::to_string(j.size());
  if (j.is_object()) return "an object of " + std::to_string(j.size());
  if (j.is_string()) return '"' + shortened(j.get_ref<const std::string&>(), 60) + '"';
  if (j.is_discarded() || j.is_binary()) return "no JSON value";
  return j.dump();
}

/// The deepest nesting of lists and objects that is read. Copying, comparing and writing a JSON value
/// call themselves once per level.
inline constexpr std::size_t most_json_depth = 512;

/// Reads one JSON value of a text, with white space around it or not.
/// @throws Error that says what is wrong and at which byte, from 1, in a few words: no JSON, a NUL, a
///         number that no double holds, or more than `most_json_depth` levels
[[nodiscard]] inline nlohmann::json parse_json(std::string_view text) {
  const auto refuse = [](std::size_t byte, std::string_view why) {
    throw Error("it is not JSON (byte " + std::to_string(byte) + ": " + shortened(why) + ')');
  };
  // Up to the first fault this goes through the text as the parser does. The parser would take a NUL
  // for the end, and does not limit the depth.
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0') refuse(i + 1, "a NUL");
    if (quoted) {
      if (c == '\\' && i + 1 < text.size() && text[i + 1] != '\0') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > most_json_depth) {
        refuse(i + 1, "nested more than " + std::to_string(most_json_depth) + " levels deep");
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  // The library's texts start with a code, and mostly a position; the cause stands after them.
  const auto cause_of = [](std::string_view what, std::string_view mark) {
    const std::size_t at = what.find(mark);
    return at == std::string_view::npos ? what : what.substr(at + mark.size());
  };
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    refuse(error.byte, cause_of(error.what(), ": "));
  } catch (const nlohmann::json::exception& error) {  // a number that is too large
    throw Error("it cannot be read (" + shortened(cause_of(error.what(), "] ")) + ')');
  }
  return {};  // not reached
}

/// @throws InvalidOption naming field, value and what is legal unless `is_legal`
inline void require_json(bool is_legal, std::string_view field, const nlohmann::json& j,
                         std::string_view legal) {
  if (!is_legal) throw InvalidOption(std::string(field), summary_of(j), std::string(legal));
}

/// A number as JSON, which has no NaN and no infinities: null, "inf" and "-inf" stand for them.
[[nodiscard]] inline nlohmann::json number_to_json(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// The inverse of `number_to_json`.
/// @throws InvalidOption when it is neither a number nor one of the three stand-ins
[[nodiscard]] inline double number_from_json(const nlohmann::json& j,
                                             std::string_view field = "the number") {
  if (j.is_null()) return unset;
  if (j == "inf") return infinity;
  if (j == "-inf") return -infinity;
  require_json(j.is_number(), field, j, R"(a number, null, "inf" or "-inf")");
  return j.get<double>();
}

/// The whole number of at least 0 that a JSON number is, written as 3, 3.0 or 3e0; nothing for any
/// other value, and for one with a decimal point or an exponent that is 2^53 or more: doubles skip
/// whole numbers there.
[[nodiscard]] inline std::optional<std::uint64_t> whole_number(const nlohmann::json& j) {
  if (j.is_number_unsigned()) return j.get<std::uint64_t>();
  if (!j.is_number()) return std::nullopt;
  const auto value = j.get<double>();
  if (!(value >= 0 && value < 0x1p53) || std::floor(value) != value) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

/// A count or an index.
/// @throws InvalidOption unless it is a whole number from 0 to `most`
[[nodiscard]] inline std::uint64_t count_from_json(
    const nlohmann::json& j, std::string_view field,
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
  const std::optional<std::uint64_t> value = whole_number(j);
  require_json(value && *value <= most, field, j,
               "a whole number from 0 to " + std::to_string(most));
  return *value;
}

/// A text as JSON, without losing a byte: a string where it is valid UTF-8; else, such as for a
/// response cut inside a character, {"hex": "..."} with two digits per byte.
[[nodiscard]] inline nlohmann::json bytes_to_json(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 0xf];
  }
  return {{"hex", std::move(hex)}};
}

/// The inverse of `bytes_to_json`.
/// @throws InvalidOption when it is neither a string nor an object with "hex", when the digits are not
///         hexadecimal, or one is missing
[[nodiscard]] inline std::string bytes_from_json(const nlohmann::json& j,
                                                 std::string_view field = "the text") {
  if (j.is_string()) return j.get<std::string>();
  const auto found = j.find("hex");
  require_json(found != j.end() && found->is_string(), field, j, R"(text, or {"hex": digits})");
  const auto& hex = found->get_ref<const std::string&>();
  const auto value = [&](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    require_json(c >= 'A' && c <= 'F', std::string(field) + ".hex", *found, "hexadecimal digits");
    return static_cast<unsigned>(c - 'A') + 10;
  };
  require_json(hex.size() % 2 == 0, std::string(field) + ".hex", *found,
               "an even number of hexadecimal digits");
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(value(hex[i]) << 4 | value(hex[i + 1]));
  }
  return bytes;
}

/// A list of numbers that may be NaN or infinite.
[[nodiscard]] inline nlohmann::json numbers_to_json(const std::vector<double>& values) {
  nlohmann::json j = nlohmann::json::array();
  for (const double value : values) j.push_back(number_to_json(value));
  return j;
}

/// The enumerator of a name.
/// @throws InvalidOption when it is no name of the given enumerators
template <class Enum, std::size_t n>
[[nodiscard]] Enum enumerator_from(const nlohmann::json& j, const std::array<Enum, n>& all,
                                   const char* what) {
  std::string legal;
  for (const Enum e : all) {
    if (j == name_of(e)) return e;
    legal += (legal.empty() ? "" : ", ") + std::string(name_of(e));
  }
  throw InvalidOption(what, summary_of(j), "one of " + legal);
}

/// Reads the members of a JSON object, each with what it is when the object lacks it. Errors name the
/// members with their owner: "Cost.rounds".
class JsonMembers {
 public:
  /// @param j      outlives this
  /// @param owner  names the object in errors
  /// @throws InvalidOption when `j` is no object
  JsonMembers(const nlohmann::json& j, std::string owner) : j_(j), owner_(std::move(owner)) {
    require_json(j.is_object(), owner_, j, "an object");
  }

  /// The member, or null.
  [[nodiscard]] const nlohmann::json* find(const char* name) const {
    const auto found = j_.find(name);
    return found == j_.end() ? nullptr : &*found;
  }

  [[nodiscard]] double number(const char* name, double otherwise) const {
    const nlohmann::json* found = find(name);
    return found == nullptr ? otherwise : number_from_json(*found, field(name));
  }

  [[nodiscard]] std::uint64_t count(
      const char* name, std::uint64_t otherwise,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const {
    const nlohmann::json* found = find(name);
    return found == nullptr ? otherwise : count_from_json(*found, field(name), most);
  }

  [[nodiscard]] bool flag(const char* name, bool otherwise) const {
    const nlohmann::json* found = find(name);
    if (found == nullptr) return otherwise;
    require_json(found->is_boolean(), field(name), *found, "true or false");
    return found->get<bool>();
  }

  [[nodiscard]] std::string bytes(const char* name) const {
    const nlohmann::json* found = find(name);
    return found == nullptr ? std::string{} : bytes_from_json(*found, field(name));
  }

  /// @throws InvalidOption when it is absent
  [[nodiscard]] std::string required_bytes(const char* name) const {
    if (find(name) == nullptr) throw InvalidOption(field(name), "absent", "text");
    return bytes(name);
  }

  /// A list of which `read(item, field)` reads each item.
  template <class Read>
  [[nodiscard]] auto list(const char* name, Read read) const {
    std::vector<decltype(read(j_, std::string{}))> values;
    const nlohmann::json* found = find(name);
    if (found == nullptr) return values;
    require_json(found->is_array(), field(name), *found, "a list");
    values.reserve(found->size());
    const std::string item = "an item of " + field(name);
    for (const nlohmann::json& value : *found) values.push_back(read(value, item));
    return values;
  }

  [[nodiscard]] std::vector<double> numbers(const char* name) const {
    return list(name, number_from_json);
  }

  [[nodiscard]] std::vector<Token> tokens(const char* name) const {
    return list(name, [](const nlohmann::json& value, const std::string& item) {
      constexpr std::uint64_t most = std::numeric_limits<Token>::max();
      return static_cast<Token>(count_from_json(value, item, most));
    });
  }

  /// A member that has a `from_json` of its own.
  template <class T>
  [[nodiscard]] T value(const char* name, T otherwise) const {
    const nlohmann::json* found = find(name);
    return found == nullptr ? std::move(otherwise) : found->template get<T>();
  }

 private:
  [[nodiscard]] std::string field(const char* name) const { return owner_ + '.' + name; }

  const nlohmann::json& j_;
  std::string owner_;
};

}  // namespace tilt

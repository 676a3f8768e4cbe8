#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// A number as an error message shows it.
[[nodiscard]] inline std::string to_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}
[[nodiscard]] inline std::string to_text(std::size_t value) { return std::to_string(value); }

/// @throws InvalidOption naming field, value and legal range unless `legal` holds
template <class Value>
void require_option(bool is_legal, std::string_view field, const Value& value,
                    std::string_view legal) {
  if (!is_legal) throw InvalidOption(std::string(field), to_text(value), std::string(legal));
}

/// @throws InvalidOption unless the value is finite and greater than 0
inline void require_positive(std::string_view field, double value) {
  require_option(std::isfinite(value) && value > 0, field, value, "a finite number > 0");
}

/// @throws InvalidOption unless the value is at least 1
inline void require_at_least_one(std::string_view field, std::size_t value) {
  require_option(value >= 1, field, value, "at least 1");
}

/// The most of anything that is counted one by one and held in memory, such as draws: 2^20.
inline constexpr std::size_t most_of_any_count = std::size_t{1} << 20;

/// @throws InvalidOption unless least <= value <= most
inline void require_count(std::string_view field, std::size_t value, std::size_t least = 1,
                          std::size_t most = most_of_any_count) {
  if (value >= least && value <= most) return;
  require_option(false, field, value, "from " + to_text(least) + " to " + to_text(most));
}

/// The same for a number of which npos means that there is no limit.
inline void require_count_or_npos(std::string_view field, std::size_t value,
                                  std::size_t least = 0) {
  if (value == npos || (value >= least && value <= most_of_any_count)) return;
  require_option(
      false, field, value,
      "from " + to_text(least) + " to " + to_text(most_of_any_count) + ", or npos for no limit");
}

/// @throws InvalidOption unless 0 <= value <= 1
inline void require_fraction(std::string_view field, double value) {
  require_option(value >= 0 && value <= 1, field, value, "a number from 0 to 1");
}

/// @throws InvalidOption unless the value is a finite number
inline void require_finite(std::string_view field, double value) {
  require_option(std::isfinite(value), field, value, "a finite number");
}

}  // namespace tilt

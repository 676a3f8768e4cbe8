#pragma once

// Transforms of calibrated rewards by name, as commands take them.

#include <charconv>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>

#include "support/program.hpp"

/// The transform of a name: identity, log, exponential:T, best_of:N, worst_of:N, drop_below:TAU.
/// @param beta  of best_of and worst_of
/// @throws BadInput for an unknown name or a number that is missing or out of its range
[[nodiscard]] inline std::function<double(double)> transform_of(std::string_view text,
                                                                double beta) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto fail = [&]() -> double {
    throw BadInput("the transform \"" + std::string(text) +
                   "\" is none of identity, log, exponential:T, best_of:N, worst_of:N, "
                   "drop_below:TAU");
  };
  const auto number = [&] {
    double value = tilt::unset;
    const std::string_view digits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    const char* const end = digits.data() + digits.size();
    return std::from_chars(digits.data(), end, value).ptr == end && !digits.empty() ? value
                                                                                    : fail();
  };
  const auto count = [&] {
    const double value = number();
    return value >= 1 && value <= 1e6 && value == std::floor(value)
               ? static_cast<std::size_t>(value)
               : static_cast<std::size_t>(fail());
  };
  if (name == "exponential") return tilt::transform::exponential(number());
  if (name == "drop_below") return tilt::transform::drop_below(number());
  if (name == "best_of") return tilt::transform::best_of(count(), beta);
  if (name == "worst_of") return tilt::transform::worst_of(count(), beta);
  if (text == "identity") return tilt::transform::identity;
  if (text == "log") return tilt::transform::log;
  fail();
  return {};
}

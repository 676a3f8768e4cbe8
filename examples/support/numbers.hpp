#pragma once

// Checks of numbers on the command line.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>

/// Accepts whole numbers of a range, written in digits: CLI11 takes -1 for the largest number of an
/// unsigned type, and 1.9 for 1.
inline CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) -> std::string {
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [read, error] = std::from_chars(text.data(), end, value);
        if (!text.empty() && error == std::errc{} && read == end && value >= least &&
            value <= most) {
          return {};
        }
        return "\"" + text + "\" is no whole number from " + std::to_string(least) + " to " +
               std::to_string(most);
      },
      "");
}

/// Accepts finite numbers above 0: CLI11's own check lets NaN pass.
inline CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        if (!text.empty() && *end == '\0' && std::isfinite(value) && value > 0) return {};
        return "\"" + text + "\" is no finite number above 0";
      },
      "");
}

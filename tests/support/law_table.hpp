#pragma once

// What the law tests check with, and the table of what they saw: with the environment variable
// TILT_LAW_TABLE=FILE each check appends a line to the file ("-": standard output), so that
//
//     TILT_LAW_TABLE=- tilt_tests "[law]"
//
// lists every law with its outcomes, draws, bound and distance, and every planted bug with the
// distance by which the same check caught it.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/catch.hpp"
#include "tilt/testing/law.hpp"

namespace law_table {

/// @param outcomes, draws  0 where there are none: an exact comparison has no draws
inline void write(const char* kind, const std::string& what, std::size_t outcomes,
                  std::size_t draws, double bound, double seen) {
  const char* path = std::getenv("TILT_LAW_TABLE");
  if (path == nullptr) return;
  const bool to_output = std::string(path) == "-";
  std::FILE* file = to_output ? stdout : std::fopen(path, "a");
  if (file == nullptr) return;
  std::fprintf(file, "| %-5s | %-86s | %5zu | %7zu | %9.3g | %9.3g |\n", kind, what.c_str(),
               outcomes, draws, bound, seen);
  if (!to_output) std::fclose(file);
}

/// The draws follow the law.
inline void expect_law(const std::string& what, const tilt::testing::LawCheck& check) {
  write("law", what, check.support(), check.draws(), check.bound(), check.distance());
  INFO(what << ": " << check.report());
  CHECK(check.holds());
}

/// The same check sees a planted bug, and by its distance: not because of a draw outside the law.
inline void expect_caught(const std::string& bug, const tilt::testing::LawCheck& check) {
  write("twin", bug, check.support(), check.draws(), check.bound(), check.distance());
  INFO(bug << ": " << check.report());
  CHECK_FALSE(check.holds());
  CHECK(check.distance() > check.bound());
}

/// An exact comparison of two laws, by total variation.
inline void expect_exact(const std::string& what, std::size_t outcomes, double distance,
                         double bound = 1e-12) {
  write("exact", what, outcomes, 0, bound, distance);
  INFO(what << ": distance " << distance << ", bound " << bound);
  CHECK(distance < bound);
}
/// The same comparison sees a planted bug.
/// @param published  the distance that others have computed for the bug; NaN: none
inline void expect_exact_caught(const std::string& bug, std::size_t outcomes, double distance,
                                double published = tilt::unset, double bound = 1e-12) {
  write("twin", bug, outcomes, 0, bound, distance);
  INFO(bug << ": distance " << distance << ", bound " << bound << ", published " << published);
  CHECK(distance > bound);
  if (!std::isnan(published)) CHECK(std::abs(distance - published) < 6e-4);
}

/// The mean of independent numbers, compared with what it should be: within 4.89 standard errors, a
/// false alarm of 1e-6 for the normal law that the mean of so many has.
class MeanCheck {
 public:
  explicit MeanCheck(double expected) : expected_(expected) {}

  void add(double value) {
    ++n_;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(n_);
    squares_ += before * (value - mean_);
  }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double variance() const { return squares_ / static_cast<double>(n_ - 1); }
  [[nodiscard]] double distance() const { return std::abs(mean_ - expected_); }
  [[nodiscard]] double bound() const {
    return 4.89 * std::sqrt(variance() / static_cast<double>(n_)) + 1e-12;
  }
  [[nodiscard]] std::size_t draws() const { return n_; }
  [[nodiscard]] double expected() const { return expected_; }

 private:
  double expected_, mean_ = 0, squares_ = 0;
  std::size_t n_ = 0;
};

inline void expect_mean(const std::string& what, const MeanCheck& check) {
  write("mean", what, 0, check.draws(), check.bound(), check.distance());
  INFO(what << ": mean " << check.mean() << ", expected " << check.expected() << ", bound "
            << check.bound());
  CHECK(check.distance() <= check.bound());
}
inline void expect_mean_caught(const std::string& bug, const MeanCheck& check) {
  write("twin", bug, 0, check.draws(), check.bound(), check.distance());
  INFO(bug << ": mean " << check.mean() << ", expected " << check.expected() << ", bound "
           << check.bound());
  CHECK(check.distance() > check.bound());
}

}  // namespace law_table

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ctime>
#include <limits>

/// How the time of a parser, a checker or an extractor grows with the length of its input.
namespace growth {

/// What a linear pass stays below, and a quadratic one does not.
inline constexpr double limit = 1.3;

/// Seconds of processor time of this thread: other processes of a busy machine are not in it.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The k of "time ~ size^k": the slope of log(time) between inputs of size `small` and `large`. 1 is
/// linear, 2 quadratic; a linear pass that leaves a cache comes to 1.1. `make(n)` builds an input of
/// about n bytes and is not timed; `run(input)` does the work. Both sizes are timed in turn, each as
/// the least of several repeats, and short runs are repeated in one go until the clock can tell.
/// A run that takes over a second is timed once.
template <class Make, class Run>
double exponent(Make&& make, Run&& run, std::size_t small = 10'000, std::size_t large = 100'000) {
  constexpr int repeats = 3;
  constexpr double shortest = 2e-4, longest = 1;
  const auto few = make(small);
  const auto many = make(large);
  const auto timed = [&run](const auto& input, std::size_t times) {
    const double start = thread_seconds();
    for (std::size_t i = 0; i < times; ++i) run(input);
    return (thread_seconds() - start) / static_cast<double>(times);
  };
  const auto enough = [&timed](const auto& input) {  // the first run also fills the caches
    const double once = std::max(timed(input, 1), 1e-8);
    return once > shortest ? std::size_t{1} : static_cast<std::size_t>(shortest / once) + 1;
  };
  const std::size_t times_few = enough(few);
  double least_few = std::numeric_limits<double>::infinity();
  double least_many = timed(many, 1);
  const std::size_t times_many =
      least_many > shortest ? 1
                            : static_cast<std::size_t>(shortest / std::max(least_many, 1e-8)) + 1;
  for (int i = 0; i < repeats; ++i) {
    least_few = std::min(least_few, timed(few, times_few));
    if (least_many < longest) least_many = std::min(least_many, timed(many, times_many));
  }
  least_few = std::max(least_few, 1e-9);
  least_many = std::max(least_many, 1e-9);
  return std::log(least_many / least_few) /
         std::log(static_cast<double>(large) / static_cast<double>(small));
}

}  // namespace growth

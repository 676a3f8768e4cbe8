#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/allocations.hpp"
#include "support/clock.hpp"

namespace bench {

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// One call: seconds of processor time and heap allocations.
struct Spent {
  double seconds = 0;
  std::size_t allocations = 0;
};
template <class F>
Spent spend(F&& f) {
  const std::size_t before = allocations();
  const double start = processor_seconds();
  benchmark::DoNotOptimize(f());
  return {.seconds = processor_seconds() - start, .allocations = allocations() - before};
}

/// Runs the library and a hand-written loop in turns and reports, by medians over the turns:
/// - `ratio`: time of the library over that of the loop;
/// - `overhead_ns`: the difference for each candidate, nanoseconds;
/// - `allocations`, `by_hand`: heap allocations for each candidate of the library and of the loop.
/// The time of the benchmark itself is the library's.
///
/// @param answer  what both return must be equal: they do the same work
/// @param candidates  draws of one run
template <class Library, class Hand>
void compare(benchmark::State& state, double candidates, Library&& library, Hand&& hand) {
  if (!(library() == hand())) {
    state.SkipWithError("the library and the loop by hand give different answers");
    return;
  }
  std::vector<double> ours, theirs;
  Spent of_library, by_hand;
  for ([[maybe_unused]] auto _ : state) {
    by_hand = spend(hand);
    of_library = spend(library);
    ours.push_back(of_library.seconds);
    theirs.push_back(by_hand.seconds);
    state.SetIterationTime(of_library.seconds);
  }
  state.counters["ratio"] = median(ours) / median(theirs);
  state.counters["overhead_ns"] = 1e9 * (median(ours) - median(theirs)) / candidates;
  state.counters["allocations"] = static_cast<double>(of_library.allocations) / candidates;
  state.counters["by_hand"] = static_cast<double>(by_hand.allocations) / candidates;
}

}  // namespace bench

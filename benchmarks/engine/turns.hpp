#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

namespace bench {

/// What one turn drew, and how long it took by the clock.
struct Turn {
  double seconds = 0;
  std::size_t tokens = 0;
};

/// @param action  returns how many tokens it drew
template <class Action>
Turn turn(Action&& action) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t tokens = action();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), tokens};
}

/// On a machine that does other things as well the speed of an engine swings: so tilt and a raw loop
/// take turns, each first in every second one, and what counts is `ratio`, the median over the turns
/// of tilt's tokens per second over the raw loop's. Beside it the tokens per second of both.
/// @param raw, tilt  called with the number of the turn, each returns a `Turn`
template <class Raw, class Tilt>
void take_turns(benchmark::State& state, Raw&& raw, Tilt&& tilt) {
  std::vector<double> ratios;
  Turn of_raw, of_tilt;
  std::size_t number = 0;
  for (auto _ : state) {
    ++number;
    Turn r, t;
    if (number % 2 == 0) r = raw(number);
    t = tilt(number);
    if (number % 2 != 0) r = raw(number);
    const auto speed = [](const Turn& one) {
      return static_cast<double>(one.tokens) / one.seconds;
    };
    ratios.push_back(speed(t) / speed(r));
    for (auto [sum, one] : {std::pair{&of_raw, r}, std::pair{&of_tilt, t}}) {
      sum->seconds += one.seconds;
      sum->tokens += one.tokens;
    }
  }
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  state.counters["ratio"] = *middle;
  state.counters["raw_tokens_per_s"] = static_cast<double>(of_raw.tokens) / of_raw.seconds;
  state.counters["tilt_tokens_per_s"] = static_cast<double>(of_tilt.tokens) / of_tilt.seconds;
}

}  // namespace bench

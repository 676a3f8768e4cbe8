#include "tilt/runtime/session.hpp"

#include <benchmark/benchmark.h>

#include <vector>

#include "support/allocations.hpp"
#include "support/clock.hpp"
#include "tilt/runtime/drive.hpp"

namespace {

// Asks for `width` draws in each lane and round, without end, and keeps none: what is measured is the
// machinery of rounds alone.
struct Endless {
  struct State {
    tilt::Prompt prompt = {};
  };
  std::size_t chains = 1, width = 1;

  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const tilt::Prompt& prompt) const { return {.prompt = prompt}; }
  void ask(State& state, tilt::Round& round) const {
    for (std::size_t i = 0; i < width; ++i) {
      round.sample({.prompt = state.prompt, .max_tokens = 8});
    }
  }
  void tell(State&, tilt::Round&) const {}
};

// A response that fits into a string without the heap, so that every allocation is the library's.
struct FreePolicy {
  static constexpr tilt::Capabilities capabilities = {.tokens = false};
  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) out[i].text = "yes";
  }
};
struct FreeReward {
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) {
      out[i] = static_cast<double>(work[i].response->text.size());
    }
  }
};

// The time of a draw and its score through session and driver, and the heap allocations of a round
// once the vectors have grown: there must be none.
void round_overhead(benchmark::State& state) {
  const auto lanes = static_cast<std::size_t>(state.range(0));
  const auto width = static_cast<std::size_t>(state.range(1));
  FreePolicy policy;
  FreeReward reward;
  std::vector<tilt::Session<Endless>> sessions;
  sessions.emplace_back(Endless{.chains = lanes, .width = width}, "What is 17 * 23?");
  tilt::Driver<Endless, FreePolicy, FreeReward> driver(policy, reward);
  const auto round = [&] {
    driver.pass(sessions);  // draws
    driver.pass(sessions);  // scores
  };
  for (int i = 0; i < 4; ++i) round();

  std::size_t rounds = 0;
  const std::size_t before = allocations();
  const double start = bench::processor_seconds();
  for ([[maybe_unused]] auto _ : state) {
    round();
    ++rounds;
  }
  const double seconds = bench::processor_seconds() - start;
  const std::size_t allocated = allocations() - before;
  const double candidates = static_cast<double>(rounds * lanes * width);
  state.counters["candidate_ns"] = 1e9 * seconds / candidates;
  state.counters["allocations_per_round"] =
      static_cast<double>(allocated) / static_cast<double>(rounds);
}

}  // namespace

BENCHMARK(round_overhead)
    ->ArgNames({"lanes", "width"})
    ->Args({1, 1})
    ->Args({1, 16})
    ->Args({1, 256})
    ->Args({16, 1})
    ->Args({256, 1})
    ->Args({16, 16});

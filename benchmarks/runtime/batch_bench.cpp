#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "support/clock.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/qalign.hpp"

namespace {

constexpr std::size_t prompt_count = 500, rows = 64;
constexpr double batch_seconds = 0.5e-3;

// An engine whose batch costs the same for 1 to 64 rows, as decoding does while memory is the limit.
// The time is that of a very small model and of one token: a real engine is slower and gains more.
class Engine {
 public:
  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    const double start = bench::processor_seconds();
    for (std::size_t i = 0; i < work.size(); ++i) {
      out[i].tokens = {static_cast<tilt::Token>(tilt::mix(work[i].seed) % 1000), 0};
    }
    const std::size_t batches = (work.size() + rows - 1) / rows;
    calls += batches;
    while (bench::processor_seconds() - start < static_cast<double>(batches) * batch_seconds) {
    }
  }

  std::size_t calls = 0;
};

struct Reward {
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = work[i].response->tokens[0] * 0.001;
  }
};

// All prompts at once and one after the other, in the same run. The results must be the same.
template <class S>
void merged_rounds(benchmark::State& state, const S& sampler) {
  std::vector<tilt::Prompt> prompts;
  for (std::size_t i = 0; i < prompt_count; ++i) prompts.emplace_back("prompt " + std::to_string(i));
  Engine engine;
  const tilt::Decoder decoder{engine, Reward{}, sampler};
  double merged_seconds = 0, single_seconds = 0;
  std::size_t merged_calls = 0, single_calls = 0;
  for ([[maybe_unused]] auto _ : state) {
    engine.calls = 0;
    double start = bench::processor_seconds();
    const std::vector<tilt::Result> merged = decoder.batch(prompts);
    merged_seconds += bench::processor_seconds() - start;
    merged_calls = engine.calls;
    state.SetIterationTime(bench::processor_seconds() - start);

    engine.calls = 0;
    start = bench::processor_seconds();
    for (std::size_t i = 0; i < prompt_count; ++i) {
      const tilt::Result single = decoder(prompts[i], {.stream = i});
      if (single.answer.response != merged[i].answer.response) {
        state.SkipWithError("merged and single runs differ");
        return;
      }
    }
    single_seconds += bench::processor_seconds() - start;
    single_calls = engine.calls;
  }
  state.counters["speedup"] = single_seconds / merged_seconds;
  state.counters["calls"] = static_cast<double>(merged_calls);
  state.counters["calls_one_by_one"] = static_cast<double>(single_calls);
}

void merged_best_of_4(benchmark::State& state) {
  merged_rounds(state, tilt::BestOfN{{.n = 4, .max_tokens = 8, .width = 1}});
}
void merged_qalign(benchmark::State& state) {
  merged_rounds(state, tilt::QAlign{{.beta = 0.5, .steps = 4, .max_tokens = 8}});
}

}  // namespace

BENCHMARK(merged_best_of_4)->UseManualTime()->Iterations(2)->Unit(benchmark::kMillisecond);
BENCHMARK(merged_qalign)->UseManualTime()->Iterations(2)->Unit(benchmark::kMillisecond);

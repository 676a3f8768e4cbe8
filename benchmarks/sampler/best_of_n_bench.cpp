#include "tilt/sampler/best_of_n.hpp"

#include "support/best_of_n.hpp"
#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

// n draws in rounds of `width`, each taking some microseconds.
void best_of_n(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto width = static_cast<std::size_t>(state.range(1));
  bench::Model model(static_cast<double>(state.range(2)), state.range(3) == 0);
  const tilt::Decoder decoder{bench::Policy(model), bench::Reward{},
                              tilt::BestOfN{{.n = n, .max_tokens = max_tokens, .width = width}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  bench::compare(
      state, static_cast<double>(n),
      [&] {
        model.restart();
        return decoder(prompt).answer.reward;
      },
      [&] {
        model.restart();
        return bench::best_of_n_by_hand(model, n, max_tokens);
      });
}

}  // namespace

BENCHMARK(best_of_n)
    ->ArgNames({"n", "width", "us", "full"})
    ->Args({16, 0, 0, 0})
    ->Args({1024, 16, 0, 0})
    ->Args({1024, 1, 0, 0})
    ->Args({1024, 16, 0, 1})
    ->Args({1024, 16, 10, 0})
    ->Args({1024, 1, 10, 0})
    ->UseManualTime();

#include "tilt/sampler/best_of_n.hpp"

#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

struct Drawn {
  bench::Text text = {};
  double reward = 0;
};

// Keeps all draws, as the library does, and returns the best.
double by_hand(bench::Model& model, std::size_t n) {
  std::vector<Drawn> drawn;
  std::size_t best = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Drawn next;
    model.draw(next.text, max_tokens);
    next.reward = bench::reward_of(next.text.tokens);
    drawn.push_back(std::move(next));
    if (drawn.back().reward > drawn[best].reward) best = drawn.size() - 1;
  }
  const Drawn answer = drawn[best];
  return answer.reward;
}

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
        return by_hand(model, n);
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

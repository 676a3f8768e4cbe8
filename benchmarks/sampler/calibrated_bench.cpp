#include "tilt/sampler/calibrated.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

struct Drawn {
  bench::Text text = {};
  double reward = 0, quantile = 0;
};

Drawn draw(bench::Model& model) {
  Drawn next;
  model.draw(next.text, max_tokens);
  next.reward = bench::reward_of(next.text.tokens);
  return next;
}

// The best of n by its quantile among K more draws. Returns its raw reward.
double by_hand(bench::Model& model, std::size_t n, std::size_t references) {
  std::vector<double> sorted;
  for (std::size_t k = 0; k < references; ++k) sorted.push_back(draw(model).reward);
  std::sort(sorted.begin(), sorted.end());
  std::vector<Drawn> drawn;
  for (std::size_t i = 0; i < n; ++i) drawn.push_back(draw(model));
  std::size_t best = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), drawn[i].reward);
    drawn[i].quantile =
        (static_cast<double>(low - sorted.begin()) + 0.5 * static_cast<double>(high - low)) /
        static_cast<double>(references);
    if (drawn[i].quantile > drawn[best].quantile) best = i;
  }
  const Drawn answer = drawn[best];
  return answer.reward;
}

void calibrated(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto references = static_cast<std::size_t>(state.range(1));
  bench::Model model(static_cast<double>(state.range(2)));
  const tilt::Decoder decoder{bench::Policy(model), bench::Reward{},
                              tilt::Calibrated{tilt::BestOfN{{.n = n, .max_tokens = max_tokens}},
                                               {.references = references}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  bench::compare(
      state, static_cast<double>(n + references),
      [&] {
        model.restart();
        return decoder(prompt).answer.raw_reward;
      },
      [&] {
        model.restart();
        return by_hand(model, n, references);
      });
}

}  // namespace

BENCHMARK(calibrated)
    ->ArgNames({"n", "references", "us"})
    ->Args({16, 64, 0})
    ->Args({1024, 64, 0})
    ->Args({64, 1024, 0})
    ->Args({64, 64, 10})
    ->UseManualTime();

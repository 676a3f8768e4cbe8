#include "tilt/sampler/rejection.hpp"

#include <algorithm>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32, draws = 1024;
constexpr double beta = 0.02, ceiling = 2;  // out of reach: all are rejected

struct Drawn {
  bench::Text text = {};
  double reward = 0;
};

// Rejects up to the cap, then takes the best of all.
double by_hand(bench::Model& model, std::size_t width) {
  const std::uint64_t seed = tilt::derive_seed(42, 0);
  std::vector<Drawn> drawn;
  std::size_t best = 0;
  for (std::size_t round = 0; drawn.size() < draws; ++round) {
    const std::size_t most = std::min(width, draws - drawn.size());
    for (std::size_t i = 0; i < most; ++i) {
      Drawn next;
      model.draw(next.text, max_tokens);
      next.reward = bench::reward_of(next.text.tokens);
      drawn.push_back(std::move(next));
      const double reward = drawn.back().reward;
      if (reward > drawn[best].reward) best = drawn.size() - 1;
      if (tilt::Random(seed, 0, round, 1, i).log_uniform() <
          (std::min(reward, ceiling) - ceiling) / beta) {
        return reward;
      }
    }
  }
  const Drawn answer = drawn[best];
  return answer.reward;
}

void rejection(benchmark::State& state) {
  const auto width = static_cast<std::size_t>(state.range(0));
  bench::Model model(static_cast<double>(state.range(1)));
  const tilt::Decoder decoder{bench::Policy(model), bench::Reward{},
                              tilt::Rejection{{.beta = beta,
                                               .ceiling = ceiling,
                                               .max_rejections = draws - 1,
                                               .max_tokens = max_tokens,
                                               .parallel = width}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  bench::compare(
      state, static_cast<double>(draws),
      [&] {
        model.restart();
        return decoder(prompt).answer.reward;
      },
      [&] {
        model.restart();
        return by_hand(model, width);
      });
}

}  // namespace

BENCHMARK(rejection)
    ->ArgNames({"parallel", "us"})
    ->Args({1, 0})
    ->Args({16, 0})
    ->Args({1, 10})
    ->Args({16, 10})
    ->UseManualTime();

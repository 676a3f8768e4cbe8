#include "tilt/sampler/best_of_poisson.hpp"

#include "support/best_of_n.hpp"
#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

// The loop by hand is told how many draws the number that was drawn comes to.
void best_of_poisson(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  bench::Model model(static_cast<double>(state.range(1)));
  const tilt::Decoder decoder{
      bench::Policy(model), bench::Reward{},
      tilt::BestOfPoisson{{.mu = static_cast<double>(n), .max_tokens = max_tokens}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  const std::size_t draws = decoder(prompt).candidates.size();
  bench::compare(
      state, static_cast<double>(draws),
      [&] {
        model.restart();
        return decoder(prompt).answer.reward;
      },
      [&] {
        model.restart();
        return bench::best_of_n_by_hand(model, draws, max_tokens);
      });
}

}  // namespace

BENCHMARK(best_of_poisson)
    ->ArgNames({"mu", "us"})
    ->Args({16, 0})
    ->Args({1024, 0})
    ->Args({1024, 10})
    ->UseManualTime();

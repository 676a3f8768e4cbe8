#include "tilt/sampler/cards.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 512, segment = 8, most = 20;
constexpr double beta = 0.1, goal = 1;

// The model's responses, without an end: the search goes on to the cap.
class EndlessPolicy {
 public:
  explicit EndlessPolicy(bench::Model& model) : model_(model) {}
  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) {
      model_.draw(out[i], work[i].max_tokens);
      out[i].finish = tilt::Finish::length;
    }
  }

 private:
  bench::Model& model_;
};

struct Searched {
  double reward = 0;
  std::size_t candidates = 0;
  friend bool operator==(const Searched&, const Searched&) = default;
};

// Segments by rejection on the reward of the prefix; after `most` rejections the best of all.
Searched by_hand(bench::Model& model) {
  const std::uint64_t seed = tilt::derive_seed(42, 0);
  std::vector<bench::Text> committed;  // one prefix for each segment, as the library keeps them
  bench::Text prefix;
  Searched searched;
  std::size_t round = 0;
  const double first = 0.5 * bench::reward_of({}) + 0.5 * goal;
  while (prefix.tokens.size() < max_tokens) {
    const double threshold = std::min(
        first + static_cast<double>(prefix.tokens.size()) * (goal - first) / max_tokens, goal);
    bench::Text best;
    double best_reward = -tilt::infinity;
    for (std::size_t tried = 0; tried <= most; ++tried) {
      ++searched.candidates;
      bench::Text next;
      model.draw(next, std::min(segment, max_tokens - prefix.tokens.size()));
      next.tokens.insert(next.tokens.begin(), prefix.tokens.begin(), prefix.tokens.end());
      const double reward = bench::reward_of(next.tokens);
      const bool accepted = tried < most && tilt::Random(seed, 0, ++round, 1, 0).log_uniform() <
                                                (reward - threshold) / beta;
      if (tried == most) ++round;
      if (accepted || reward > best_reward) {
        best = std::move(next);
        best_reward = reward;
      }
      if (accepted) break;
    }
    searched.reward = best_reward;
    prefix = best;
    committed.push_back(std::move(best));
  }
  return searched;
}

void cards(benchmark::State& state) {
  bench::Model model(static_cast<double>(state.range(0)));
  const tilt::Decoder decoder{
      EndlessPolicy(model), bench::Reward{},
      tilt::Cards{
          {.beta = beta,
           .reward_goal = goal,
           .max_rejections = most,
           .max_tokens = max_tokens,
           .segment = {.entropy = tilt::infinity, .min_tokens = 1, .max_tokens = segment}}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  model.restart();
  const std::size_t candidates = by_hand(model).candidates;
  bench::compare(
      state, static_cast<double>(candidates),
      [&] {
        model.restart();
        const tilt::Result result = decoder(prompt);
        return Searched{result.answer.reward, result.spent.policy_calls};
      },
      [&] {
        model.restart();
        return by_hand(model);
      });
}

}  // namespace

BENCHMARK(cards)->ArgNames({"us"})->Args({0})->Args({10})->UseManualTime();

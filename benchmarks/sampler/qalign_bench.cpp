#include "tilt/sampler/qalign.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32, steps = 512;
constexpr double beta = 0.5;

struct State {
  bench::Text text = {};
  double reward = 0, weight = 1;
};

void append(bench::Text& whole, const bench::Text& part, std::size_t n) {
  const auto add = [n](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(n));
  };
  add(whole.tokens, part.tokens);
  if (part.ends.empty()) return;
  const auto offset = static_cast<std::uint32_t>(whole.text.size());
  whole.text.append(part.text, 0, part.ends[n - 1]);
  for (std::size_t i = 0; i < n; ++i) whole.ends.push_back(offset + part.ends[i]);
  add(whole.log_probs, part.log_probs);
  add(whole.raw_log_probs, part.raw_log_probs);
}

// What is kept of a state, and a suffix that the model has drawn.
bench::Text joined(const bench::Text& current, std::size_t cut, bench::Text& suffix) {
  if (cut == 0) return std::move(suffix);
  bench::Text whole;
  const std::size_t length = cut + suffix.tokens.size();
  whole.tokens.reserve(length);
  if (!suffix.ends.empty()) {
    whole.text.reserve(4 * length);
    whole.ends.reserve(length);
    whole.log_probs.reserve(length);
    whole.raw_log_probs.reserve(length);
  }
  append(whole, current, cut);
  append(whole, suffix, suffix.tokens.size());
  return whole;
}

// The chains go side by side, as the library merges them. Returns the mean reward of all states.
double by_hand(bench::Model& model, std::size_t lanes, std::size_t fork) {
  const std::uint64_t seed = tilt::derive_seed(42, 0);
  std::vector<std::vector<State>> chains(lanes);
  std::vector<std::size_t> cuts(lanes);
  std::vector<bench::Text> suffixes;
  for (std::vector<State>& chain : chains) {
    State first;
    model.draw(first.text, max_tokens);
    first.reward = bench::reward_of(first.text.tokens);
    chain.push_back(std::move(first));
  }
  for (std::size_t step = 1; step <= steps; ++step) {
    suffixes.clear();
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::size_t length = chains[lane].back().text.tokens.size();
      cuts[lane] = static_cast<std::size_t>(tilt::Random(seed, lane, step, 1, 0).below(length));
      for (std::size_t j = 0; j < fork; ++j) {
        suffixes.emplace_back();
        model.draw(suffixes.back(), max_tokens - cuts[lane]);
      }
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      std::vector<State>& chain = chains[lane];
      const std::size_t parent = chain.size() - 1;
      for (std::size_t j = 0; j < fork; ++j) {
        State next;
        next.text = joined(chain[parent].text, cuts[lane], suffixes[lane * fork + j]);
        next.reward = bench::reward_of(next.text.tokens);
        State& current = chain.back();
        const auto length = static_cast<double>(current.text.tokens.size());
        const auto next_length = static_cast<double>(next.text.tokens.size());
        const double log_ratio = (next.reward - current.reward) / beta + std::log(1 / next_length) -
                                 std::log(1 / length);
        if (tilt::Random(seed, lane, step, 2, j).log_uniform() < log_ratio) {
          chain.push_back(std::move(next));
        } else {
          current.weight += 1;
        }
      }
    }
  }
  double sum = 0, weight = 0;
  for (const std::vector<State>& chain : chains) {
    for (const State& s : chain) {
      sum += s.weight * s.reward;
      weight += s.weight;
    }
  }
  return sum / weight;
}

void qalign(benchmark::State& state) {
  const auto lanes = static_cast<std::size_t>(state.range(0));
  const auto fork = static_cast<std::size_t>(state.range(1));
  bench::Model model(static_cast<double>(state.range(2)), state.range(3) == 0);
  const tilt::Decoder decoder{
      bench::Policy(model), bench::Reward{},
      tilt::QAlign{
          {.beta = beta, .steps = steps, .chains = lanes, .fork = fork, .max_tokens = max_tokens}}};
  const tilt::Prompt prompt("What is 17 * 23?");
  bench::compare(
      state, static_cast<double>(lanes * (1 + steps * fork)),
      [&] {
        model.restart();
        const tilt::Result result = decoder(prompt);
        double sum = 0, weight = 0;
        for (const tilt::Candidate& s : result.candidates) {
          sum += s.weight * s.reward;
          weight += s.weight;
        }
        return sum / weight;
      },
      [&] {
        model.restart();
        return by_hand(model, lanes, fork);
      });
}

}  // namespace

BENCHMARK(qalign)
    ->ArgNames({"chains", "fork", "us", "full"})
    ->Args({1, 1, 0, 0})
    ->Args({8, 1, 0, 0})
    ->Args({1, 8, 0, 0})
    ->Args({8, 1, 0, 1})
    ->Args({1, 1, 10, 0})
    ->Args({8, 1, 10, 0})
    ->UseManualTime();

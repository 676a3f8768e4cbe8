#pragma once

// Drives one lane of a sampler round by round, with results of the test's choosing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/round.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/concept.hpp"

template <tilt::Sampler S>
class RoundBench {
 public:
  explicit RoundBench(S of, std::uint64_t with_seed = 1, tilt::Prompt prompt = {})
      : sampler(std::move(of)), state(sampler.start(prompt)), seed(with_seed) {}
  RoundBench(const RoundBench&) = delete;
  RoundBench& operator=(const RoundBench&) = delete;

  /// Begins the next round and lets the sampler ask. All draws, those ahead first.
  std::span<const tilt::Draw> ask() {
    round.begin(population, seed, lane, index++, 0);
    sampler.ask(state, round);
    return round.results();
  }
  /// The result of draw i: the whole response, prefix included.
  void answer(std::size_t i, tilt::Response whole, double reward) {
    tilt::Draw& draw = round.results()[i];
    draw.response = std::move(whole);
    draw.reward = draw.raw_reward = reward;
    draw.status = tilt::DrawStatus::done;
  }
  void fail(std::size_t i) { round.results()[i].status = tilt::DrawStatus::failed; }
  /// Draws without a result are skipped.
  void tell() { sampler.tell(state, round); }
  void tell_closing() {
    round.close();
    tell();
  }

  S sampler;
  typename S::State state;
  tilt::Population population = {};
  tilt::Round round = {};
  std::uint64_t seed;
  std::uint32_t lane = 0;
  std::size_t index = 0;
};

/// A response of these tokens, without text.
inline tilt::Response tokens_of(std::vector<tilt::Token> tokens,
                                tilt::Finish finish = tilt::Finish::stop) {
  return {.tokens = std::move(tokens), .finish = finish};
}

/// Runs a decoder on the empty prompt many times, each with a stream of its own.
/// @param visit  called with each Result, in order
template <class D, class F>
void for_each_run(const D& decoder, std::size_t runs, F&& visit, tilt::RunOptions options = {}) {
  const std::vector<tilt::Prompt> prompts(250);
  for (std::size_t done = 0; done < runs; done += prompts.size()) {
    options.stream = done;
    const std::size_t n = std::min(prompts.size(), runs - done);
    for (const tilt::Result& result : decoder.batch(std::span(prompts).first(n), options)) {
      visit(result);
    }
  }
}

/// The value of a named number of a result; NaN when it is not there.
inline double stat_of(const tilt::Stats& stats, std::string_view name) {
  for (const auto& [key, value] : stats) {
    if (key == name) return value;
  }
  return tilt::unset;
}

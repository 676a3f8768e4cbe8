#pragma once

#include <algorithm>
#include <cmath>

#include "tilt/sampler/concept.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/stats/kl.hpp"

namespace tilt {

/// Options of `BestOfN`.
struct BestOfNOptions {
  std::size_t n = 16;            ///< draws, 1 to 2^20
  std::size_t max_tokens = 256;  ///< cap on each response, tokens
  double stop_at = infinity;     ///< a reward that is good enough to stop; infinity: never
  std::size_t width = 0;         ///< draws per round; 0: all at once
  SamplingLaw law = {};
};

/// Draws n responses from the base law; `HighestReward` then keeps the best.
///
/// Law (with `HighestReward`, no `stop_at`, distinct rewards): P(y) = F(r(y))^n - F(r(y)-)^n with F
/// the base distribution function of the reward; ties go to the lowest draw. With `stop_at` = c the
/// law is that of the reward min(r, c): the lowest draw that reaches c, else the best of n. Draws
/// of the same round behind it are paid for and emitted with weight 0, so that the law does not
/// depend on `width`.
/// KL to the base law: at most log n - (n-1)/n nats (in the stats as `kl_upper_bound`).
/// Cost: n generations and n scorings in ceil(n / width) rounds, fewer with `stop_at`.
/// Edge cases: n = 1 is the base law. A failed draw is left out, and n is smaller by it.
/// @throws InvalidOption from the constructor: n or max_tokens not 1 to 2^20, width above, stop_at NaN, a
/// law out of range
/// Source: Stiennon et al. 2020 (2009.01325); the bound: Beirami et al. 2024 (2401.01879).
class BestOfN {
 public:
  using DefaultSelector = HighestReward;
  struct State {
    Prompt prompt = {};
    std::size_t drawn = 0;
    bool reached = false;  ///< a draw has reached `stop_at`
  };

  explicit BestOfN(BestOfNOptions options = {}) : options_(std::move(options)) {
    require_count("BestOfNOptions.n", options_.n);
    require_count("BestOfNOptions.max_tokens", options_.max_tokens);
    require_option(!std::isnan(options_.stop_at), "BestOfNOptions.stop_at", options_.stop_at,
                   "a number or infinity");
    require_count("BestOfNOptions.width", options_.width, 0);
    check_law(options_.law, "BestOfNOptions.law");
  }

  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, Round& round) const {
    if (state.reached) return;
    const std::size_t left = options_.n - state.drawn;
    const std::size_t width = options_.width == 0 ? left : std::min(options_.width, left);
    for (std::size_t i = 0; i < width; ++i) {
      round.sample({.prompt = state.prompt,
                    .max_tokens = options_.max_tokens,
                    .law = round.copy(options_.law)});
    }
    state.drawn += width;
  }

  void tell(State& state, Round& round) const {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done) continue;
      Candidate candidate = round.take(i);
      candidate.weight = state.reached ? 0 : 1;
      state.reached = state.reached || candidate.reward >= options_.stop_at;
      round.emit(std::move(candidate));
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population& population) const {
    // A run that stopped early is one of those that would have gone on to n.
    const std::size_t n = states.front().reached ? options_.n : population.size();
    return {{"kl_upper_bound", kl_best_of_n_bound(n)}};
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const BestOfNOptions& options() const noexcept { return options_; }

 private:
  BestOfNOptions options_;
};

}  // namespace tilt

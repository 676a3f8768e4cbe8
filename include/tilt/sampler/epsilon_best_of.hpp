#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "tilt/core/check.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/stats/quantile_tilt.hpp"

namespace tilt {

/// Options of `EpsilonBestOf`.
struct EpsilonBestOfOptions {
  double epsilon = unset;        ///< the probability of a best-of-k, [0, 1]; must be given
  std::size_t k = 16;            ///< draws of a best-of-k, at least 1
  std::size_t max_tokens = 256;  ///< cap on each response, tokens
  SamplingLaw law = {};
};

/// With probability epsilon the best of k draws, else one plain draw: for callers who take the best of
/// several of our answers. It comes near the optimal density for them (`QuantileTilt::best_of`), which
/// keeps most of the base law and adds a little of the very top, without references or a beta.
///
/// Law (with `HighestReward`, distinct rewards): (1 - epsilon) p(y) + epsilon (F(r(y))^k - F(r(y)-)^k),
/// F the base distribution function of the reward; ties go to the lowest draw. In quantiles the density
/// (1 - epsilon) + epsilon k u^(k-1), with win rate 1/2 + epsilon (k/(k+1) - 1/2).
/// Cost: 1 + epsilon (k-1) generations and scorings on average, in one round. For a best-of-4 caller at
/// a KL of 0.5: epsilon = 0.411 and k = 28 at 12.1 draws give 0.8705, where the optimum is 0.8733.
/// Edge cases: epsilon = 0 and k = 1 are the base law, epsilon = 1 is best-of-k. A failed draw is left
/// out, and k is smaller by it.
/// Stats: draws, and `kl_upper_bound`, the KL to the base law in nats where no two responses have the
/// same reward.
/// @throws InvalidOption: from the constructor for numbers out of range; from the decoder or session
/// when epsilon was never given
/// Source: own; after the shape of the optimum of Balashankar et al. 2024 (2412.19792).
class EpsilonBestOf {
 public:
  using DefaultSelector = HighestReward;
  struct State {
    Prompt prompt = {};
    std::size_t drawn = 0;
  };

  explicit EpsilonBestOf(EpsilonBestOfOptions options = {}) : options_(std::move(options)) {
    if (!std::isnan(options_.epsilon)) {
      require_fraction("EpsilonBestOfOptions.epsilon", options_.epsilon);
    }
    require_count("EpsilonBestOfOptions.k", options_.k);
    require_count("EpsilonBestOfOptions.max_tokens", options_.max_tokens);
    check_law(options_.law, "EpsilonBestOfOptions.law");
    if (!std::isnan(options_.epsilon)) kl_ = tilt().kl();
  }

  void check() const { require_fraction("EpsilonBestOfOptions.epsilon", options_.epsilon); }

  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, Round& round) const {
    if (state.drawn > 0) return;
    state.drawn = round.random(coin_stream).uniform() < options_.epsilon ? options_.k : 1;
    for (std::size_t i = 0; i < state.drawn; ++i) {
      round.sample(
          {.prompt = state.prompt, .max_tokens = options_.max_tokens, .law = options_.law});
    }
  }

  void tell(State&, Round& round) const {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status == DrawStatus::done) round.emit(round.take(i));
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    return {{"draws", static_cast<double>(states.front().drawn)}, {"kl_upper_bound", kl_}};
  }

  /// The law in quantiles.
  [[nodiscard]] QuantileTilt tilt() const {
    return QuantileTilt::from_density(
        [epsilon = options_.epsilon, k = static_cast<double>(options_.k)](double u) {
          return 1 - epsilon + epsilon * k * std::pow(u, k - 1);
        });
  }
  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const EpsilonBestOfOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t coin_stream = 1;

  EpsilonBestOfOptions options_;
  double kl_ = unset;
};

}  // namespace tilt

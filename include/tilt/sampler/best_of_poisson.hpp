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

/// Options of `BestOfPoisson`.
struct BestOfPoissonOptions {
  double mu = unset;  ///< the mean of the number of further draws, 0 to 1e6; must be given
  std::size_t max_tokens = 256;  ///< cap on each response, tokens
  SamplingLaw law = {};
};

/// The best of n draws, n = 1 + a Poisson number of mean mu: best-of-n with a strength that can be set
/// continuously, and at the same KL a little more often better than a base draw.
///
/// Law (with `HighestReward`, distinct rewards): P(y) = G(F(r(y))) - G(F(r(y)-)) with
/// G(v) = v exp(mu (v - 1)) and F the base distribution function of the reward; ties go to the lowest
/// draw. In quantiles the density (1 + mu u) exp(mu (u - 1)), with win rate
/// 1 - 1/mu + (1 - exp(-mu))/mu^2 and KL log(1 + mu) - 1 + exp(-(1+mu)) (Ei(1+mu) - Ei(1))/mu.
/// Cost: 1 + mu generations and scorings on average, in one round; mu = n has about the KL of best-of-n
/// at one draw more.
/// Edge cases: mu = 0 is the base law. A failed draw is left out, and n is smaller by it.
/// Stats: draws, and `kl_upper_bound`, the KL to the base law in nats where no two responses have the
/// same reward.
/// @throws InvalidOption: from the constructor for numbers out of range; from the decoder or session
/// when mu was never given
/// Source: Khalaf et al. 2025 (2506.19248).
class BestOfPoisson {
 public:
  using DefaultSelector = HighestReward;
  struct State {
    Prompt prompt = {};
    std::size_t drawn = 0;
  };

  explicit BestOfPoisson(BestOfPoissonOptions options = {}) : options_(std::move(options)) {
    if (!std::isnan(options_.mu)) require_mu();
    require_count("BestOfPoissonOptions.max_tokens", options_.max_tokens);
    check_law(options_.law, "BestOfPoissonOptions.law");
    if (!std::isnan(options_.mu)) kl_ = tilt().kl();
  }

  void check() const { require_mu(); }

  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, Round& round) const {
    if (state.drawn > 0) return;
    state.drawn = 1 + static_cast<std::size_t>(round.random(number_stream).poisson(options_.mu));
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
        [mu = options_.mu](double u) { return (1 + mu * u) * std::exp(mu * (u - 1)); });
  }
  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const BestOfPoissonOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t number_stream = 1;

  void require_mu() const {
    require_option(options_.mu >= 0 && options_.mu <= 1e6, "BestOfPoissonOptions.mu", options_.mu,
                   "a number from 0 to 1e6");
  }

  BestOfPoissonOptions options_;
  double kl_ = unset;
};

}  // namespace tilt

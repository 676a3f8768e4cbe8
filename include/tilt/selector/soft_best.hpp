#pragma once

#include <cmath>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/log_math.hpp"
#include "tilt/core/stats.hpp"
#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/stats/ess.hpp"

namespace tilt {

struct SoftBestOptions {
  double lambda = 1;  ///< > 0, in units of reward: the temperature of the choice
};

/// Draws a candidate in proportion to w exp(r/lambda), w its weight and r its reward. Over n draws from
/// the base law this is soft best-of-n.
///
///     SoftBest{{.lambda = 0.5}}
///
/// Law: given the population exactly P(i) = w_i exp(r_i/lambda) / sum_j w_j exp(r_j/lambda). Over n
/// independent draws from the base law p the result follows the tilted law p(y) exp(r(y)/lambda) / Z
/// up to a KL divergence of O(1/n). lambda to infinity is one of the draws, lambda to 0
/// `HighestReward`. Over a population that is tilted already (`QAlign`, `Cards`) it tilts twice.
///
/// A reward of -infinity is never drawn while a larger one is there, nor an unscored candidate (NaN)
/// while a scored one is; if no reward is above -infinity, the earliest candidate that is scored, else
/// the earliest, is chosen. The share is the probability that the candidate had.
///
/// Cost: linear in the number of candidates; one random number.
/// @throws InvalidOption unless lambda is finite and positive
///
/// Source: Verdun et al. 2025 (2505.03156).
class SoftBest {
 public:
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = false;

  explicit SoftBest(SoftBestOptions options = {}) : options_(options) {
    require_positive("SoftBestOptions.lambda", options_.lambda);
  }

  [[nodiscard]] Decision operator()(const Population& population, Random& random) const {
    const std::vector<Eligible> candidates = eligible(population);
    if (candidates.empty()) return {.share = 0};
    const Eligible* best = &candidates.front();
    for (const Eligible& e : candidates) {
      if (better_reward(e.candidate->reward, best->candidate->reward)) best = &e;
    }
    if (!(best->candidate->reward > -infinity)) {
      return {.index = best->index, .answer = best->candidate->response.text};
    }
    const std::vector<double> log_weights = tilted_log_weights(candidates, options_.lambda);
    const std::size_t i = random.categorical(log_weights);
    return {.index = candidates[i].index,
            .answer = candidates[i].candidate->response.text,
            .share = std::exp(log_weights[i] - log_sum_exp(log_weights))};
  }

  /// `soft_best_ess`: the effective sample size of the candidates' weights; near 1 the choice is
  /// `HighestReward`'s, and the law is far from the tilted one.
  [[nodiscard]] Stats stats(const Population& population) const {
    return {{"soft_best_ess",
             effective_sample_size(tilted_log_weights(eligible(population), options_.lambda))}};
  }

  [[nodiscard]] const SoftBestOptions& options() const noexcept { return options_; }

 private:
  SoftBestOptions options_;
};

}  // namespace tilt

#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/log_math.hpp"
#include "tilt/core/population.hpp"

namespace tilt {

/// An upper bound of the KL divergence of best-of-n to the base law, nats: log n - (n-1)/n. Attained
/// when no two responses have the same reward and none has a noticeable base probability; far above
/// the truth when a response is likely to be drawn twice. NaN of n = 0.
///
/// Source: Beirami et al. 2024 (2401.01879).
[[nodiscard]] inline double kl_best_of_n_bound(std::size_t n) {
  if (n == 0) return unset;
  const auto draws = static_cast<double>(n);
  return std::log(draws) - (draws - 1) / draws;
}

/// An estimate of the KL divergence of the tilted law p(y) exp(r(y)/beta) / Z to the base law p, nats:
///
///     KL = E[r]/beta - log Z,   E[r] the mean under the tilted law, Z the base mean of exp(r/beta).
///
/// Both means are taken over draws, so that the estimate is noisy: it may be negative, and it is too
/// large, as log Z too small, while few base draws carry the base mean (see `effective_sample_size`).
/// NaN where a mean has no draws, or where no base draw has a reward above -infinity.
///
/// @param rewards       of draws from the tilted law
/// @param weights       of those draws, >= 0; -infinity rewards of weight 0 do no harm
/// @param base_rewards  of draws from the base law
/// @param beta          > 0
/// @throws InvalidOption unless beta is finite and positive and there is one weight per reward
[[nodiscard]] inline double kl_estimate(std::span<const double> rewards,
                                        std::span<const double> weights,
                                        std::span<const double> base_rewards, double beta) {
  require_positive("kl_estimate.beta", beta);
  require_option(weights.size() == rewards.size(), "kl_estimate.weights", weights.size(),
                 "one per reward");
  double total = 0, sum = 0;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    total += weights[i];
    sum += weights[i] * (rewards[i] / beta);
  }
  std::vector<double> exponents(base_rewards.begin(), base_rewards.end());
  for (double& exponent : exponents) exponent /= beta;
  const double log_normalizer = log_mean_exp(exponents);
  if (total == 0 || log_normalizer == -infinity) return unset;
  return sum / total - log_normalizer;
}

/// The same over a population that follows the tilted law: candidates count by their weight.
[[nodiscard]] inline double kl_estimate(const Population& population,
                                        std::span<const double> base_rewards, double beta) {
  std::vector<double> rewards, weights;
  rewards.reserve(population.size());
  weights.reserve(population.size());
  for (const Candidate& candidate : population) {
    rewards.push_back(candidate.reward);
    weights.push_back(candidate.weight);
  }
  return kl_estimate(rewards, weights, base_rewards, beta);
}

}  // namespace tilt

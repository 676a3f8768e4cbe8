#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
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

/// An estimate of the KL divergence of best-of-n to the base law, nats, from one response that
/// best-of-n has chosen. With e its base probability and a = (1 - e)^n,
///
///     a (log n + (n-1) log(1 - e) - (n-1)/n) + (1 - a) log((1 - a) / e),
///
/// which tends to `kl_best_of_n_bound` as e goes to 0 and falls as e grows, where a response is likely
/// to be drawn twice. Never above the bound; its mean over what best-of-n chooses lies between the
/// exact divergence and the bound in every law that the tests go through, ties included. It is an
/// approximation, not an unbiased estimate.
///
/// Edge cases: 0 of n = 1 and of a response that is certain; the bound where the probability is too
/// small for a double, also at -infinity; NaN of n = 0.
///
/// Source: the estimator of Beirami et al. 2024 (2401.01879).
/// @param n                draws of which the response was the best
/// @param log_probability  log e, nats: the sum of the response's log-probs under the base law
/// @throws InvalidOption unless log_probability is at most 0
[[nodiscard]] inline double kl_best_of_n_estimate(std::size_t n, double log_probability) {
  require_option(log_probability <= 0, "kl_best_of_n_estimate.log_probability", log_probability,
                 "at most 0 (nats)");
  if (n == 0) return unset;
  if (n == 1 || log_probability == 0) return 0;
  const auto draws = static_cast<double>(n);
  const double log_rest = log_probability < -1 ? std::log1p(-std::exp(log_probability))
                                               : std::log(-std::expm1(log_probability));
  const double drawn = -std::expm1(draws * log_rest);  // 1 - a
  const double bound = kl_best_of_n_bound(n);
  if (drawn == 0) return bound;
  return (1 - drawn) * (bound + (draws - 1) * log_rest) +
         drawn * (std::log(drawn) - log_probability);
}

/// The mean of the estimate over several choices of best-of-n; NaN of none.
[[nodiscard]] inline double kl_best_of_n_estimate(std::size_t n,
                                                  std::span<const double> log_probabilities) {
  double sum = 0;
  for (const double log_probability : log_probabilities) {
    sum += kl_best_of_n_estimate(n, log_probability);
  }
  return sum / static_cast<double>(log_probabilities.size());
}

/// The KL divergence of best-of-n to a base law over finitely many responses, nats. Ties of the reward
/// go to the earliest draw, so that among responses of one reward the base law stays as it is, and
///
///     KL = sum over rewards of P log(P / q),   P = Q^n - (Q - q)^n,
///
/// q the base probability of the reward and Q that of a reward no higher.
///
/// Edge cases: 0 of n = 1, and where all responses have one reward; NaN of n = 0. Responses of
/// probability 0 do not count.
///
/// Cost: a sort.
///
/// Source: Beirami et al. 2024 (2401.01879), with ties.
/// @param probabilities  of the responses under the base law; they sum to 1
/// @param rewards        one per response, -infinity is legal
/// @throws InvalidOption when the sizes differ, a probability is negative or NaN, they do not sum to 1
///         (within 1e-9), or a reward is NaN or +infinity
[[nodiscard]] inline double kl_best_of_n_exact(std::span<const double> probabilities,
                                               std::span<const double> rewards, std::size_t n) {
  require_option(rewards.size() == probabilities.size(), "kl_best_of_n_exact.rewards",
                 rewards.size(), "one per probability");
  double total = 0;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    const std::string number = '[' + std::to_string(i) + ']';
    require_option(probabilities[i] >= 0, "kl_best_of_n_exact.probabilities" + number,
                   probabilities[i], "a number >= 0");
    require_option(rewards[i] < infinity, "kl_best_of_n_exact.rewards" + number, rewards[i],
                   "a number or -infinity");
    total += probabilities[i];
  }
  require_option(std::abs(total - 1) <= 1e-9, "the sum of kl_best_of_n_exact.probabilities", total,
                 "1");
  if (n == 0) return unset;
  if (n == 1) return 0;

  std::vector<std::size_t> order(rewards.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rewards[a] != rewards[b] ? rewards[a] > rewards[b] : a < b;
  });
  const auto draws = static_cast<double>(n);
  double divergence = 0, above = 0;
  for (std::size_t i = 0; i < order.size();) {
    const double reward = rewards[order[i]];
    double here = 0;
    while (i < order.size() && rewards[order[i]] == reward)
      here += probabilities[order[i++]] / total;
    if (here == 0) continue;
    // From the mass above where that is small: a thin tail would be lost in 1 minus it.
    const double upto = std::max(1 - above, here);
    const double log_upto = above < 0.5 ? std::log1p(-above) : std::log(upto);
    double log_chance = draws * log_upto;
    if (here < upto) log_chance += std::log(-std::expm1(draws * std::log1p(-here / upto)));
    divergence += std::exp(log_chance) * (log_chance - std::log(here));
    above += here;
  }
  return std::max(divergence, 0.0);
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

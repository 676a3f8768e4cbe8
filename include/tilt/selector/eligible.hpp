#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/core/population.hpp"

namespace tilt {

/// A candidate that a selector takes into account.
struct Eligible {
  std::size_t index = npos;              ///< position in the population
  const Candidate* candidate = nullptr;  ///< valid while the population is not changed
  double weight = 1;                     ///< > 0
};

/// The candidates that may be chosen, in the order of the population: those of positive weight; where
/// there is none, those that have a reward; where there is none either (texts that were drawn and
/// never scored), all of them. The last two each with weight 1. Infinite weights leave no share to
/// others: where there are some, these candidates alone, each with weight 1. A weight of NaN is not
/// positive.
[[nodiscard]] inline std::vector<Eligible> eligible(const Population& population) {
  std::vector<Eligible> chosen;
  chosen.reserve(population.size());
  bool has_infinite = false;
  for (const Candidate& candidate : population) {
    has_infinite = has_infinite || candidate.weight == infinity;
  }
  std::size_t index = 0;
  for (const Candidate& candidate : population) {
    if (has_infinite ? candidate.weight == infinity : candidate.weight > 0) {
      chosen.push_back({index, &candidate, has_infinite ? 1.0 : candidate.weight});
    }
    ++index;
  }
  if (!chosen.empty()) return chosen;
  const bool scored = std::any_of(population.begin(), population.end(),
                                  [](const Candidate& c) { return !std::isnan(c.reward); });
  index = 0;
  for (const Candidate& candidate : population) {
    if (!scored || !std::isnan(candidate.reward)) chosen.push_back({index, &candidate, 1.0});
    ++index;
  }
  return chosen;
}

/// True when reward `a` is better than `b`. An unscored candidate (NaN) is worse than any scored one,
/// also than one of reward -infinity, and as good as another unscored one.
[[nodiscard]] inline bool better_reward(double a, double b) {
  return a > b || (std::isnan(b) && !std::isnan(a));
}

/// log(w) + (r - max r)/scale of each candidate, nats: the weights of a population that is tilted by its
/// rewards, up to a common factor. -infinity minus -infinity counts as 0; an unscored candidate (NaN)
/// gets -infinity where another one is scored, log(w) where none is.
/// @param scale  > 0, in units of reward
[[nodiscard]] inline std::vector<double> tilted_log_weights(std::span<const Eligible> candidates,
                                                            double scale) {
  double largest = unset;
  for (const Eligible& e : candidates) {
    if (better_reward(e.candidate->reward, largest)) largest = e.candidate->reward;
  }
  std::vector<double> log_weights;
  log_weights.reserve(candidates.size());
  for (const Eligible& e : candidates) {
    double exponent = 0;
    if (!std::isnan(largest)) {
      exponent = std::isnan(e.candidate->reward)
                     ? -infinity
                     : reward_difference(e.candidate->reward, largest) / scale;
    }
    log_weights.push_back(std::log(e.weight) + exponent);
  }
  return log_weights;
}

}  // namespace tilt

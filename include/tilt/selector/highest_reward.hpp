#pragma once

#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"

namespace tilt {

/// The candidate of the highest reward. Over n draws from the base law this is best-of-n.
///
/// Law: of n independent draws from a base law p with distinct rewards it returns y with probability
/// F(y)^n - G(y)^n, where F(y) is the base probability of a reward of at most r(y) and G(y) that of a
/// smaller one. Its KL divergence to p is at most log n - (n-1)/n nats (`kl_best_of_n_bound`).
///
/// Ties go to the earliest in the population's order. A reward of -infinity is chosen only when no
/// candidate has a larger one, an unscored candidate (NaN) only when none is scored. Weights decide
/// only who may be chosen: candidates of weight 0 count when there are no others. The share is 1.
///
/// Cost: linear in the number of candidates; no random number.
struct HighestReward {
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = true;

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const Eligible* best = nullptr;
    const std::vector<Eligible> candidates = eligible(population);
    for (const Eligible& e : candidates) {
      if (!best || better_reward(e.candidate->reward, best->candidate->reward)) best = &e;
    }
    if (!best) return {.share = 0};
    return {.index = best->index, .answer = best->candidate->response.text};
  }
};

}  // namespace tilt

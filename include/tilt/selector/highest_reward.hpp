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
/// only who may be chosen: candidates of weight 0 count when there are no others, and spare ones
/// (`Candidate::spare`) where their reward is higher than that of all others. So over `QAlign` it finds
/// the best of all that was paid for. The share is 1.
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
    std::size_t index = 0, chosen = best->index;
    const Candidate* highest = best->candidate;
    for (const Candidate& candidate : population) {
      if (candidate.spare && better_reward(candidate.reward, highest->reward)) {
        chosen = index;
        highest = &candidate;
      }
      ++index;
    }
    return {.index = chosen, .answer = highest->response.text};
  }
};

}  // namespace tilt

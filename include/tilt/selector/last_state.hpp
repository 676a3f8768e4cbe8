#pragma once

#include <vector>

#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"

namespace tilt {

/// The last state of a chain: the last candidate of positive weight of a lane, the lane drawn
/// uniformly among those that have such a candidate. Where no candidate has a positive weight (a run
/// that ended inside burn-in), the last candidate of any weight.
///
/// Law: that of a chain's state at its last step, which tends to the tilted law
/// p(y) exp(r(y)/beta) / Z of a `QAlign` chain. Of a sampler that emits one candidate of positive
/// weight (`Rejection`, `Cards`) it is that candidate.
///
/// The share is 1. Rewards are not looked at.
///
/// Cost: linear in the number of candidates; one random number.
struct LastState {
  static constexpr bool needs_reward = false;
  static constexpr bool needs_states = true;

  [[nodiscard]] Decision operator()(const Population& population, Random& random) const {
    std::vector<Eligible> last;  // of each lane; the population is ordered by lane
    for (const Eligible& e : eligible(population)) {
      if (last.empty() || last.back().candidate->lane != e.candidate->lane) last.push_back(e);
      last.back() = e;
    }
    if (last.empty()) return {.share = 0};
    const Eligible& chosen = last[random.below(last.size())];
    return {.index = chosen.index, .answer = chosen.candidate->response.text};
  }
};

}  // namespace tilt

#pragma once

#include <cstdint>

#include "tilt/core/response.hpp"

namespace tilt {

/// A scored response that a sampler has emitted.
///
/// Weight 0 means kept for the record, and for an answer when nothing better exists: selectors ignore
/// it unless all weights are 0. Texts that a run had drawn and not scored when it was ended from
/// outside have weight 0 and no reward: of weight 0, those with a reward go first.
/// Only `HighestReward` looks at one that is marked `spare` beside others of positive weight: a whole
/// response that a chain passed over, so that choosing it breaks no law.
struct Candidate {
  Response response = {};
  double reward = unset;      ///< what the method worked with; NaN when it was never scored
  double raw_reward = unset;  ///< what the reward model said, before any transformation
  double weight = 1;          ///< >= 0; a chain that stays k steps in a state gives it weight k
  std::uint64_t id = 0;       ///< set by `Round::emit`: (lane << 32) + number in the lane
  std::uint64_t parent = npos;  ///< the id of the candidate this one was made from, if any
  std::uint32_t lane = 0;       ///< set by `Round::emit`
  bool spare = false;  ///< of weight 0, yet `HighestReward` may choose it
};

}  // namespace tilt

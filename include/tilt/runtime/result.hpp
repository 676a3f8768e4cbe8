#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "tilt/core/cost.hpp"
#include "tilt/core/population.hpp"
#include "tilt/runtime/budget.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/concept.hpp"

namespace tilt {

/// Which part of a run failed.
enum class FailedPart { policy, reward, selector, sampler };

/// A draw that failed, a selector, or a sampler: where, and why.
struct Failure {
  std::string what = {};          ///< names the prompt, the call and the cause
  std::exception_ptr cause = {};  ///< what was thrown; a PolicyError where a result was malformed
  FailedPart part = FailedPart::policy;
  std::uint32_t lane = 0;
  std::size_t round = 0, index = 0;  ///< of the lane, of the round; a sampler's index is behind its draws
};

/// What a run found, what it spent, and why it ended.
struct Result {
  Candidate answer = {};  ///< the chosen candidate; the earliest if the selector chose none
  Decision decision = {};
  Population candidates = {};
  Cost spent = {};
  Stop stop = Stop::finished;
  std::vector<Failure> failures = {};  ///< ordered by lane, round and index; a selector's is the last
  Stats stats = {};                    ///< diagnostics of the sampler and the selector
  /// False when the run was ended from outside or draws failed: short responses are then
  /// over-represented and the method's law does not hold.
  bool law_holds = true;
};

}  // namespace tilt

#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "tilt/core/population.hpp"

namespace tilt {

/// A candidate that a selector takes into account.
struct Eligible {
  std::size_t index = npos;              ///< position in the population
  const Candidate* candidate = nullptr;  ///< valid while the population is not changed
  double weight = 1;                     ///< > 0
};

/// The candidates that may be chosen, in the order of the population: those of positive weight, or,
/// where there is none, all of them, each with weight 1.
[[nodiscard]] inline std::vector<Eligible> eligible(const Population& population) {
  std::vector<Eligible> chosen;
  chosen.reserve(population.size());
  std::size_t index = 0;
  for (const Candidate& candidate : population) {
    if (candidate.weight > 0) chosen.push_back({index, &candidate, candidate.weight});
    ++index;
  }
  if (!chosen.empty()) return chosen;
  index = 0;
  for (const Candidate& candidate : population) chosen.push_back({index++, &candidate, 1.0});
  return chosen;
}

/// True when reward `a` is better than `b`. An unscored candidate (NaN) is worse than any scored one,
/// also than one of reward -infinity, and as good as another unscored one.
[[nodiscard]] inline bool better_reward(double a, double b) {
  return a > b || (std::isnan(b) && !std::isnan(a));
}

}  // namespace tilt

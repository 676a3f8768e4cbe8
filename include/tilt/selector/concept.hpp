#pragma once

#include <concepts>
#include <string>

#include "tilt/core/population.hpp"
#include "tilt/core/random.hpp"

namespace tilt {

/// What a selector chose.
struct Decision {
  std::size_t index = npos;  ///< position in the population; npos when nothing could be chosen
  std::string answer = {};   ///< the extracted answer where the rule extracts one, else the text
  double share = 1;          ///< share of the vote, or of the probability, that the answer had
};

/// A rule that picks the answer from a population.
///
/// Syntax: `s(const Population&, Random&) -> Decision`, const.
///
/// Semantics (checked by `testing::check_selector`): an empty population gives `index == npos` and
/// share 0; candidates of weight 0 are ignored unless all weights are 0, and then those without a
/// reward (NaN) unless none has one (`eligible` does both); ties go to the earliest. What it throws, and
/// an index that is no position, fails the one result (`Stop::failed`).
///
/// Optional members: `static constexpr bool needs_reward` (true: does not compile with `no_reward`);
/// `static constexpr bool needs_states` (true: refuses populations whose weights are not those of
/// chain states, QAlign's `recycle`); `stats(const Population&) const`, diagnostics that go into the
/// result.
template <class S>
concept Selector = requires(const S& s, const Population& population, Random& random) {
  { s(population, random) } -> std::same_as<Decision>;
};

}  // namespace tilt

#pragma once

#include <string_view>
#include <vector>

#include "tilt/reward/constraints.hpp"

namespace tilt::test {

/// Whether a text satisfies a constraint; a blank one satisfies none.
inline bool satisfies(std::string_view text, const Constraint& constraint) {
  return satisfied(std::vector<Constraint>{constraint}, text).front();
}

}  // namespace tilt::test

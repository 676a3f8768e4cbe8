#include "tilt/core/candidate.hpp"

#include <cmath>

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("a candidate begins unscored, without a parent, with weight 1") {
  const Candidate candidate;
  CHECK(std::isnan(candidate.reward));
  CHECK(std::isnan(candidate.raw_reward));
  CHECK(candidate.weight == 1);
  CHECK(candidate.parent == npos);
  CHECK(candidate.response.empty());
}

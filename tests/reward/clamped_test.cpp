#include "tilt/reward/clamped.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/rewards.hpp"

using tilt::clamped;
using tilt::infinity;
using tilt::unset;
using Values = std::vector<double>;

namespace {

TableReward table() {
  return {.rewards = {{"low", -9},
                      {"in", 0.5},
                      {"high", 9},
                      {"never", -infinity},
                      {"always", infinity},
                      {"nan", unset}}};
}

}  // namespace

TEST_CASE("clamped: keeps a reward between two bounds", "[reward]") {
  TableReward inner = table();
  const auto reward = clamped(inner, -1, 2);
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  CHECK(score(reward, {"low", "in", "high", "never", "always"}) == Values{-1, 0.5, 2, -1, 2});
  CHECK(std::isnan(score(reward, {"nan"})[0]));
  CHECK(inner.batches.size() == 2);
  CHECK(outcomes(reward, {"in", "?"}) == std::vector<std::string>{"0.5", "no reward for ?"});
}

TEST_CASE("clamped: an infinite bound is no bound", "[reward]") {
  CHECK(score(clamped(table(), -infinity, 2), {"low", "high", "never"}) ==
        Values{-9, 2, -infinity});
  CHECK(score(clamped(table(), -1, infinity), {"low", "high", "always"}) ==
        Values{-1, 9, infinity});
  CHECK(score(clamped(table(), 3, 3), {"low", "high"}) == Values{3, 3});
}

TEST_CASE("clamped: refuses bounds that leave nothing", "[reward]") {
  CHECK_THROWS_AS(clamped(table(), 2, 1), tilt::InvalidOption);
  CHECK_THROWS_AS(clamped(table(), unset, 1), tilt::InvalidOption);
  CHECK_THROWS_AS(clamped(table(), 0, unset), tilt::InvalidOption);
  CHECK_THROWS_AS(clamped(table(), infinity, infinity), tilt::InvalidOption);
  CHECK_THROWS_AS(clamped(table(), -infinity, -infinity), tilt::InvalidOption);
}

TEST_CASE("clamped: has the operators, and passes on what its part says", "[reward]") {
  auto reward = clamped(WholeOnlyReward{}, 0, 1);
  STATIC_REQUIRE(!decltype(reward)::partial);
  CHECK(score(2 * clamped(table(), 0, 1), {"high"}) == Values{2});
}

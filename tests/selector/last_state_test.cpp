#include "tilt/selector/last_state.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "tilt/testing/check_selector.hpp"
#include "tilt/testing/law.hpp"

using tilt::Candidate;
using tilt::LastState;
using tilt::Population;
using tilt::Random;

TEST_CASE("LastState: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(LastState{}) == none);
}

TEST_CASE("LastState: the last candidate of positive weight", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<LastState>);
  STATIC_REQUIRE(!LastState::needs_reward);
  STATIC_REQUIRE(LastState::needs_states);
  Random random(1);
  Candidate last{.reward = -5, .weight = 1};
  last.response.text = "last";
  const Population population({{.reward = 9, .weight = 4}, last, {.reward = 99, .weight = 0}});
  const tilt::Decision decision = LastState{}(population, random);
  CHECK(decision.index == 1);
  CHECK(decision.answer == "last");
  CHECK(decision.share == 1);
  CHECK(LastState{}(Population({{.weight = 0}, {.weight = 0}}), random).index == 1);
}

TEST_CASE("LastState: an empty population", "[selector]") {
  Random random(1);
  const tilt::Decision decision = LastState{}(Population{}, random);
  CHECK(decision.index == tilt::npos);
  CHECK(decision.share == 0);
}

namespace {

// Four lanes: the first has one state, the second none of positive weight, the third nothing at all,
// the fourth five states.
Population lanes() {
  Population population;
  population.add({.weight = 2}, 0);
  for (int i = 0; i < 3; ++i) population.add({.weight = 0}, 1);
  for (int i = 0; i < 5; ++i) population.add({.weight = 1}, 3);
  population.add({.weight = 0}, 3);
  return population;
}

}  // namespace

TEST_CASE("LastState: the lane is uniform among those that have a state", "[selector][law]") {
  const Population population = lanes();
  tilt::testing::LawCheck check(std::vector<double>{0.5, 0, 0, 0, 0, 0, 0, 0, 0.5, 0});
  // The planted fault: a state drawn in proportion to the number of states, not of lanes.
  tilt::testing::LawCheck by_candidate(std::vector<double>{0.5, 0, 0, 0, 0, 0, 0, 0, 0.5, 0});
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    check.count(LastState{}(population, random).index);
    Random again(seed);
    by_candidate.count(again.below(6) == 0 ? 0 : 8);
  }
  INFO(check.report());
  CHECK(check.holds());
  CHECK(!by_candidate.holds());
}

TEST_CASE("LastState: without any positive weight every lane that has a candidate counts",
          "[selector]") {
  Population population;
  population.add({.weight = 0}, 0);
  population.add({.weight = 0}, 2);
  population.add({.weight = 0}, 2);
  std::vector<int> counts(3);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    ++counts[LastState{}(population, random).index];
  }
  CHECK(counts[0] > 50);
  CHECK(counts[1] == 0);
  CHECK(counts[2] > 50);
}

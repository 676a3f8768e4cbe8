#include "tilt/selector/eligible.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using tilt::better_reward;
using tilt::Candidate;
using tilt::eligible;
using tilt::infinity;
using tilt::Population;
using tilt::unset;

TEST_CASE("eligible: candidates of positive weight, or all with weight 1", "[selector]") {
  Population population({Candidate{.weight = 0}, Candidate{.weight = 2}, Candidate{.weight = 0.5}});
  const auto some = eligible(population);
  REQUIRE(some.size() == 2);
  CHECK(some[0].index == 1);
  CHECK(some[0].weight == 2);
  CHECK(some[1].index == 2);
  CHECK(some[1].candidate == &population[2]);

  Population weightless({Candidate{.weight = 0}, Candidate{.weight = 0}});
  const auto all = eligible(weightless);
  REQUIRE(all.size() == 2);
  CHECK(all[1].index == 1);
  CHECK(all[1].weight == 1);

  CHECK(eligible(Population{}).empty());
}

TEST_CASE("eligible: without weights what has a reward goes before texts without one", "[selector]") {
  const Population population({Candidate{.weight = 0}, Candidate{.reward = -infinity, .weight = 0},
                               Candidate{.weight = 0}, Candidate{.reward = 1, .weight = 0}});
  const auto scored = eligible(population);
  REQUIRE(scored.size() == 2);
  CHECK(scored[0].index == 1);
  CHECK(scored[1].index == 3);
  CHECK(scored[1].weight == 1);
  // A weight goes before a reward: a method may need none.
  const auto weighty = eligible(Population({Candidate{.reward = 1, .weight = 0}, Candidate{}}));
  REQUIRE(weighty.size() == 1);
  CHECK(weighty[0].index == 1);
}

TEST_CASE("eligible: infinite weights leave nothing to others, NaN is not positive", "[selector]") {
  const Population infinite({Candidate{.weight = 3}, Candidate{.weight = infinity},
                             Candidate{.weight = unset}, Candidate{.weight = infinity}});
  const auto chosen = eligible(infinite);
  REQUIRE(chosen.size() == 2);
  CHECK(chosen[0].index == 1);
  CHECK(chosen[1].index == 3);
  CHECK(chosen[0].weight == 1);
  const Population unknown({Candidate{.weight = unset}, Candidate{.weight = 2}});
  REQUIRE(eligible(unknown).size() == 1);
  CHECK(eligible(unknown)[0].index == 1);
}

TEST_CASE("eligible: indices count across lanes", "[selector]") {
  Population population;
  population.add({.weight = 1}, 2);
  population.add({.weight = 0}, 0);
  population.add({.weight = 3}, 0);
  const auto found = eligible(population);
  REQUIRE(found.size() == 2);
  CHECK(found[0].index == 1);
  CHECK(found[0].weight == 3);
  CHECK(found[1].index == 2);
}

TEST_CASE("better_reward: unscored is worse than anything scored", "[selector]") {
  CHECK(better_reward(1, 0));
  CHECK(!better_reward(0, 0));
  CHECK(!better_reward(0, 1));
  CHECK(better_reward(-infinity, unset));
  CHECK(!better_reward(unset, -infinity));
  CHECK(!better_reward(unset, unset));
}

TEST_CASE("tilted_log_weights: log weight plus scaled distance to the largest reward",
          "[selector]") {
  const auto weights = [](std::vector<Candidate> candidates, double scale) {
    const Population population(std::move(candidates));
    return tilt::tilted_log_weights(eligible(population), scale);
  };
  const auto mixed = weights(
      {{.reward = 1, .weight = 2}, {.reward = 3}, {.reward = -infinity}, {.reward = unset}}, 0.5);
  CHECK(mixed == std::vector<double>{std::log(2.0) - 4, 0, -infinity, -infinity});
  CHECK(weights({{.reward = -infinity, .weight = 2}, {.reward = unset}}, 1) ==
        std::vector<double>{std::log(2.0), -infinity});
  CHECK(weights({{.weight = 2}, {.weight = 3}}, 1) ==
        std::vector<double>{std::log(2.0), std::log(3.0)});
  CHECK(weights({{.reward = 1e308}, {.reward = -1e308}}, 1e-3) ==
        std::vector<double>{0, -infinity});
  CHECK(weights({}, 1).empty());
}

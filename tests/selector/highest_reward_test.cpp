#include "tilt/selector/highest_reward.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/table.hpp"
#include "tilt/testing/check_selector.hpp"

using tilt::Candidate;
using tilt::Decision;
using tilt::HighestReward;
using tilt::infinity;
using tilt::Population;
using tilt::unset;

namespace {

Decision choose(std::vector<Candidate> candidates) {
  tilt::Random random(1);
  return HighestReward{}(Population(std::move(candidates)), random);
}

}  // namespace

TEST_CASE("HighestReward: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(HighestReward{}) == none);
}

TEST_CASE("HighestReward: the largest reward, earliest on ties", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<HighestReward>);
  STATIC_REQUIRE(HighestReward::needs_reward);
  STATIC_REQUIRE(HighestReward::needs_states);
  CHECK(choose({{.reward = 1}, {.reward = 3}, {.reward = 2}}).index == 1);
  CHECK(choose({{.reward = 1}, {.reward = 3}, {.reward = 3}}).index == 1);
  Candidate named{.reward = 5};
  named.response.text = "five";
  const Decision decision = choose({{.reward = 1}, named});
  CHECK(decision.answer == "five");
  CHECK(decision.share == 1);
}

TEST_CASE("HighestReward: weight 0 counts only when there is nothing else", "[selector]") {
  CHECK(choose({{.reward = 9, .weight = 0}, {.reward = 1, .weight = 0.1}}).index == 1);
  CHECK(choose({{.reward = 1, .weight = 0}, {.reward = 9, .weight = 0}}).index == 1);
  // A large weight is no large reward.
  CHECK(choose({{.reward = 1, .weight = 100}, {.reward = 2}}).index == 1);
}

TEST_CASE("HighestReward: edge cases", "[selector]") {
  const Decision none = choose({});
  CHECK(none.index == tilt::npos);
  CHECK(none.share == 0);
  CHECK(none.answer.empty());
  CHECK(choose({{.reward = -infinity}, {.reward = -1e300}}).index == 1);
  CHECK(choose({{.reward = -infinity}, {.reward = -infinity}}).index == 0);
  CHECK(choose({{.reward = unset}, {.reward = -infinity}}).index == 1);
  CHECK(choose({{.reward = unset}, {.reward = 1}, {.reward = unset}}).index == 1);
  CHECK(choose({{.reward = unset}, {.reward = unset}}).index == 0);
}

namespace {

// The law over the table's rows of a choice among n draws, by going through all samples.
template <class Choose>
std::vector<double> law_of(std::size_t n, Choose&& pick) {
  std::vector<double> law(table::rows.size());
  table::for_each_sample(n, [&](std::span<const std::size_t> picks, double probability) {
    law[picks[pick(picks)]] += probability;
  });
  return law;
}

double distance(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::abs(p[i] - q[i]);
  return sum;
}

// F(y)^n - G(y)^n
std::vector<double> order_statistic_law(std::size_t n) {
  std::vector<double> law;
  for (const table::Row& row : table::rows) {
    double at_most = 0, below = 0;
    for (const table::Row& other : table::rows) {
      if (other.reward <= row.reward) at_most += other.probability;
      if (other.reward < row.reward) below += other.probability;
    }
    const auto draws = static_cast<double>(n);
    law.push_back(std::pow(at_most, draws) - std::pow(below, draws));
  }
  return law;
}

}  // namespace

TEST_CASE("HighestReward: over n draws it has the law of the best of n", "[selector][law]") {
  tilt::Random random(1);
  const auto highest = [&](std::span<const std::size_t> picks) {
    return HighestReward{}(table::population(picks), random).index;
  };
  for (const std::size_t n : {1u, 2u, 4u, 6u}) {
    CHECK(distance(law_of(n, highest), order_statistic_law(n)) < 1e-13);
  }
}

TEST_CASE("HighestReward: the law test sees planted faults", "[selector][law]") {
  const auto row_reward = [](std::size_t row) { return table::rows[row].reward; };
  const auto without_last = [&](std::span<const std::size_t> picks) {
    const auto best = std::max_element(picks.begin(), picks.end() - 1, [&](auto a, auto b) {
      return row_reward(a) < row_reward(b);
    });
    return static_cast<std::size_t>(best - picks.begin());
  };
  const auto by_size = [&](std::span<const std::size_t> picks) {
    const auto best = std::max_element(picks.begin(), picks.end(), [&](auto a, auto b) {
      return std::abs(row_reward(a)) < std::abs(row_reward(b));
    });
    return static_cast<std::size_t>(best - picks.begin());
  };
  CHECK(distance(law_of(4, without_last), order_statistic_law(4)) > 0.05);
  CHECK(distance(law_of(4, by_size), order_statistic_law(4)) > 0.05);
}

#include "tilt/runtime/lane.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;
using detail::Lane;
using detail::Phase;
using detail::Place;

namespace {

// A lane whose round asks for draws of the given lengths; 0 is a scoring.
struct Asked {
  Population population = {};
  Lane lane = {};

  explicit Asked(const std::vector<std::size_t>& lengths, Lane::Limit limit = {}) {
    lane.limit = limit;
    lane.round.begin(population, 1, 0, 0, 0, lane.room(1));
    for (const std::size_t length : lengths) {
      if (length == 0) {
        lane.round.score("x", {.text = "given"});
      } else {
        lane.round.sample({.prompt = "x", .max_tokens = length});
      }
    }
    lane.slots.assign(lane.round.results().size(), {});
  }
  // Everything that is in flight comes back, with so many tokens each.
  void come_back(std::size_t tokens) {
    for (std::size_t i = lane.admitted - lane.in_flight; i < lane.admitted; ++i) {
      lane.spent.tokens += tokens;
      ++lane.spent.policy_calls;
      ++lane.spent.reward_calls;
      lane.slots[i].phase = Phase::resolved;
    }
    lane.in_flight = 0;
  }
};

}  // namespace

TEST_CASE("an id tells its place, and ids of a phase are ordered by lane, round and index") {
  std::uint64_t last = 0;
  for (const std::size_t lane : {std::size_t{0}, std::size_t{7}, Place::most_lanes - 1}) {
    for (const std::size_t round : {std::size_t{0}, std::size_t{9}, Place::most_rounds - 1}) {
      for (const std::size_t index : {std::size_t{0}, std::size_t{5}, Round::most_draws - 1}) {
        for (const Phase phase : {Phase::generating, Phase::scoring}) {
          const Place place{.lane = lane, .round = round, .index = index, .phase = phase};
          const Place back = Place::of(place.id());
          CHECK(back.lane == lane);
          CHECK(back.round == round);
          CHECK(back.index == index);
          CHECK((back.phase == phase));
          CHECK((place.id() > last || place.id() == 0));
          last = place.id();
        }
      }
    }
  }
}

TEST_CASE("a lane lets in what is sure to stay within its share of the tokens") {
  Asked other({10, 10, 10, 10}, {.tokens = 35});
  other.lane.admit(false);
  CHECK(other.lane.admitted == 3);
  other.come_back(4);
  other.lane.admit(false);  // 12 spent, and 10 more fit
  CHECK(other.lane.admitted == 4);
  other.come_back(4);

  Asked small({10, 10}, {.tokens = 9});
  small.lane.admit(false);
  CHECK(small.lane.in_flight == 0);
  CHECK(small.lane.stop == Stop::tokens);

  // Lane 0 may let in one alone, and goes over by less than that.
  Asked first({10, 10}, {.tokens = 9});
  first.lane.admit(true);
  CHECK(first.lane.in_flight == 1);
  first.come_back(4);
  first.lane.admit(true);
  CHECK(first.lane.in_flight == 1);
  first.come_back(10);
  CHECK(first.lane.spent.tokens == 14);

  Asked spent({10}, {.tokens = 9});
  spent.lane.spent.tokens = 9;
  spent.lane.admit(true);
  CHECK(spent.lane.stop == Stop::tokens);

  // A scoring takes no tokens; lengths that no number holds overflow nothing.
  Asked scoring({0, npos, npos}, {.tokens = 0});
  scoring.lane.admit(false);
  CHECK(scoring.lane.admitted == 1);
  Asked endless({npos, npos, npos}, {.tokens = npos - 1});
  endless.lane.admit(true);
  CHECK(endless.lane.admitted == 1);
  Asked unlimited({npos, npos, npos});
  unlimited.lane.admit(false);
  CHECK(unlimited.lane.admitted == 3);
}

TEST_CASE("a lane counts calls when it lets work in, and says which limit it has met") {
  Asked calls({1, 1, 1, 1}, {.policy_calls = 3});
  calls.lane.admit(false);
  CHECK(calls.lane.admitted == 3);
  CHECK(calls.lane.stop == Stop::finished);
  calls.come_back(1);
  calls.lane.admit(false);
  CHECK(calls.lane.stop == Stop::policy_calls);

  Asked rewards({1, 1, 0, 0}, {.reward_calls = 3});
  rewards.lane.admit(true);
  CHECK(rewards.lane.admitted == 3);
  rewards.come_back(1);
  rewards.lane.admit(true);
  CHECK(rewards.lane.stop == Stop::reward_calls);

  // What the round has not kept, because no budget could let it in, ends the lane as well.
  Asked many(std::vector<std::size_t>(50, 1), {.policy_calls = 2});
  CHECK(many.lane.slots.size() == 2);
  CHECK(many.lane.round.asked() == 50);
  many.lane.admit(true);
  many.come_back(1);
  many.lane.admit(true);
  CHECK(many.lane.admitted == 2);
  CHECK(many.lane.stop == Stop::policy_calls);
}

#include "tilt/core/round.hpp"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

Generation about(const char* prompt) { return {.prompt = prompt, .max_tokens = 3}; }

}  // namespace

TEST_CASE("work stands in the order in which it was asked for") {
  Population population;
  Round round;
  round.begin(population, 42, 1, 3, 77);
  CHECK(round.draws().empty());
  CHECK(round.lane() == 1);
  CHECK(round.index() == 3);
  round.sample(about("drawn and scored"));
  round.generate(about("drawn"));
  round.score("scored", {.text = "given"});
  REQUIRE(round.draws().size() == 3);

  const auto draws = round.draws();
  CHECK((draws[0].to_generate && draws[0].to_score));
  CHECK((draws[1].to_generate && !draws[1].to_score));
  CHECK((!draws[2].to_generate && draws[2].to_score));
  CHECK(draws[0].work.prompt == Prompt("drawn and scored"));
  CHECK(draws[0].work.max_tokens == 3);
  CHECK(draws[2].work.prompt == Prompt("scored"));
  CHECK(draws[2].response.text == "given");
  for (const Draw& draw : draws) {
    CHECK(draw.status == DrawStatus::skipped);
    CHECK(std::isnan(draw.reward));
    CHECK(draw.work.affinity == 77);
  }
}

// Computed by an independent program in Python.
TEST_CASE("seeds and random streams are functions of seed, lane, round and index") {
  Population population;
  Round round;
  round.begin(population, 42, 1, 3, 0);
  round.sample(about("x"));
  round.sample(about("x"));
  CHECK(round.draws()[0].work.seed == 0x51befcef457fc2ce);
  CHECK(round.draws()[1].work.seed == 0xb461500c76b90651);
  CHECK(round.random(9).bits() == 0xa5799572efaab5df);
  CHECK(round.random(9, 0).bits() == round.random(9).bits());

  std::set<std::uint64_t> seen;
  std::size_t made = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::uint32_t lane = 0; lane < 3; ++lane) {
      for (std::size_t index = 0; index < 3; ++index) {
        round.begin(population, seed, lane, index, 0);
        for (std::uint64_t i = 0; i < 3; ++i) {
          round.sample(about("x"));
          seen.insert(round.draws()[i].work.seed);
          seen.insert(round.random(0, i).bits());
          seen.insert(round.random(1, i).bits());
          made += 3;
        }
      }
    }
  }
  CHECK(seen.size() == made);
}

TEST_CASE("a sampler's own seed is replaced") {
  Population population;
  Round round;
  round.begin(population, 42, 1, 3, 0);
  Generation work = about("x");
  work.seed = 5;
  work.affinity = 5;
  round.sample(std::move(work));
  CHECK(round.draws()[0].work.seed == 0x51befcef457fc2ce);
  CHECK(round.draws()[0].work.affinity == 0);
}

TEST_CASE("take moves the response and copies the rewards") {
  Population population;
  Round round;
  round.begin(population, 1, 2, 0, 0);
  round.sample(about("x"));
  Draw& draw = round.results()[0];
  draw.response = {.tokens = {1, 2}};
  draw.reward = 3;
  draw.raw_reward = 4;
  const Candidate candidate = round.take(0);
  CHECK(candidate.response.tokens == std::vector<Token>{1, 2});
  CHECK(candidate.reward == 3);
  CHECK(candidate.raw_reward == 4);
  CHECK(candidate.weight == 1);
  CHECK(round.draws()[0].response.tokens.empty());
}

TEST_CASE("emit keeps candidates in the round's lane") {
  Population population;
  Round round;
  round.begin(population, 1, 2, 0, 0);
  const std::uint64_t first = round.emit({.reward = 1});
  const std::uint64_t second = round.emit({.reward = 2, .parent = first});
  CHECK(first == std::uint64_t{2} << 32);
  CHECK(round.candidate(second).reward == 2);
  CHECK(round.candidate(second).parent == first);
  round.add_weight(first, 3);
  CHECK(population[0].weight == 4);
  CHECK(population[0].lane == 2);
  CHECK(population.size() == 2);
}

TEST_CASE("settle gives the whole prefix each time") {
  Population population;
  Round round;
  round.begin(population, 1, 0, 0, 0);
  CHECK(round.settled().empty());
  const std::vector<Token> one = {1}, three = {1, 2, 3};
  round.settle(one);
  round.settle(three);
  CHECK(std::vector<Token>(round.settled().begin(), round.settled().end()) == three);
}

TEST_CASE("begin starts afresh") {
  Population population;
  Round round;
  round.begin(population, 1, 0, 0, 0);
  round.sample(about("x"));
  round.close();
  CHECK(round.closing());
  round.begin(population, 1, 0, 1, 0);
  CHECK(round.draws().empty());
  CHECK_FALSE(round.closing());
  CHECK(round.index() == 1);
}

TEST_CASE("what no budget of calls can let in is counted and not kept") {
  Population population;
  Round round;
  const auto begin = [&](const Round::Room& room) { round.begin(population, 42, 0, 0, 0, room); };
  const auto ahead = [](std::size_t i) {
    return Generation{.prompt = "ahead", .max_tokens = 3, .seed = i};
  };
  begin({.policy_calls = 2});
  for (int i = 0; i < 5; ++i) round.sample(about("x"));
  CHECK(round.draws().size() == 2);
  CHECK(round.asked() == 5);
  round.score("x", {.text = "behind what is never let in"});
  CHECK(round.draws().size() == 2);
  CHECK(round.asked() == 6);

  // Each kind of call by itself: a draw that is not scored needs no reward.
  begin({.policy_calls = 3, .reward_calls = 1});
  round.generate(about("x"));
  round.score("x", {.text = "given"});
  round.generate(about("x"));
  round.sample(about("x"));
  CHECK(round.draws().size() == 3);
  CHECK(round.draws()[1].response.text == "given");

  begin({.policy_calls = 0, .at_least = 4});
  for (int i = 0; i < 9; ++i) round.sample(about("x"));
  CHECK(round.draws().size() == 4);

  // Draws ahead come first, whatever was asked for before them.
  begin({.policy_calls = 4});
  for (int i = 0; i < 9; ++i) round.sample(about("x"));
  round.sample_ahead(3, ahead);
  CHECK(round.ahead().size() == 3);
  CHECK(round.draws().size() == 4);
  CHECK(round.asked() == 12);
  begin({.policy_calls = 4});
  round.sample(about("x"));
  std::size_t made = 0;
  round.sample_ahead(1'000'000, [&](std::size_t i) {
    ++made;
    return ahead(i);
  });
  CHECK(round.ahead().size() == 4);
  CHECK(round.draws().empty());
  CHECK(round.asked() == 1'000'001);
  CHECK(made <= 5);

  begin({});
  round.sample(about("x"));
  CHECK(round.asked() == 1);
  round.release();
  CHECK(round.asked() == 0);
  begin({.policy_calls = 0});
  const auto endless = [&] {
    for (;;) round.sample(about("x"));
  };
  CHECK_THROWS_AS(endless(), Error);
}

TEST_CASE("draws ahead stand in front of the sampler's own and change nothing of these") {
  Population population;
  Round round;
  round.begin(population, 42, 0, 0, 7);
  round.sample(about("own"));
  const std::uint64_t seed = round.draws()[0].work.seed;
  CHECK(round.ahead().empty());
  Generation first = about("first"), second = about("second");
  first.seed = 11;
  second.seed = 12;
  round.sample_ahead(2, [&](std::size_t i) { return i == 0 ? first : second; });
  round.generate(about("late"));
  REQUIRE(round.ahead().size() == 2);
  REQUIRE(round.draws().size() == 2);
  REQUIRE(round.results().size() == 4);
  CHECK(round.ahead()[0].work.prompt == Prompt("first"));
  CHECK(round.ahead()[0].work.seed == 11);
  CHECK(round.ahead()[1].work.seed == 12);
  CHECK(round.ahead()[1].work.affinity == 7);
  CHECK((round.ahead()[1].to_generate && round.ahead()[1].to_score));
  CHECK(round.draws()[0].work.prompt == Prompt("own"));
  CHECK(round.draws()[0].work.seed == seed);
  Round plain;
  plain.begin(population, 42, 0, 0, 7);
  plain.sample(about("own"));
  plain.generate(about("late"));
  CHECK(round.draws()[1].work.seed == plain.draws()[1].work.seed);
  // A result is found where it was put, and taken from the sampler's own draws.
  round.results()[1].reward = 5;
  round.results()[2].reward = 6;
  CHECK(round.ahead()[1].reward == 5);
  CHECK(round.draws()[0].reward == 6);
  CHECK(round.take(0).reward == 6);
  round.begin(population, 42, 0, 1, 7);
  CHECK(round.ahead().empty());
  CHECK(round.results().empty());
}

TEST_CASE("a law is copied into memory that the round before no longer needs") {
  const SamplingLaw law = {.top_k = 3,
                           .stop = {"a stop string that is longer than a small one",
                                    "and another one that is longer than a small one"},
                           .stop_tokens = {5, 6}};
  Population population;
  Round round;
  const auto ask = [&](std::size_t index) {
    round.begin(population, 1, 0, index, 0);
    for (int i = 0; i < 3; ++i) round.sample({.law = round.copy(law)});
    std::set<const void*> memory;
    for (const Draw& draw : round.draws()) {
      CHECK(draw.work.law == law);
      memory.insert(draw.work.law.stop.data());
      memory.insert(draw.work.law.stop_tokens.data());
      for (const std::string& stop : draw.work.law.stop) memory.insert(stop.data());
    }
    CHECK(memory.size() == 3 * 4);
    return memory;
  };
  const auto first = ask(0);
  CHECK(ask(1) == first);
  CHECK(ask(2) == first);
  // A draw that is lent out and another law leave nothing behind.
  round.begin(population, 1, 0, 3, 0);
  round.sample({.law = round.copy({.stop = {"x"}})});
  CHECK(round.draws()[0].work.law == SamplingLaw{.stop = {"x"}});
  round.begin(population, 1, 0, 4, 0);
  round.sample({.law = round.copy({})});
  CHECK(round.draws()[0].work.law == SamplingLaw{});
}

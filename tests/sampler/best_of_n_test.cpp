#include "tilt/sampler/best_of_n.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"

using namespace tilt;
using namespace tilt::testing;
using law_table::expect_caught;
using law_table::expect_law;

namespace {

constexpr std::size_t runs = 20'000;

template <class D>
LawCheck answers(const D& decoder, const ResponseLaw& states, std::vector<double> law) {
  LawCheck check(std::move(law));
  for_each_run(decoder, runs,
               [&](const Result& result) { check.count(states.index_of(result.answer.response)); });
  return check;
}

template <class Select = HighestReward>
auto best_of(BestOfNOptions options, Select select = {}) {
  options.max_tokens = toy::max_tokens;
  return Decoder{toy::policy(), tied_toy::reward(), BestOfN{options}, select};
}

// The last of those of the highest reward.
struct LatestBest {
  Decision operator()(const Population& population, Random&) const {
    std::size_t best = 0;
    for (std::size_t i = 0; i < population.size(); ++i) {
      if (population[i].reward >= population[best].reward) best = i;
    }
    return {.index = best};
  }
};
// Of all draws the best, those that stand behind the one that reached the goal included.
struct BestOfAllDraws {
  Decision operator()(const Population& population, Random&) const {
    std::size_t best = 0;
    for (std::size_t i = 0; i < population.size(); ++i) {
      if (population[i].reward > population[best].reward) best = i;
    }
    return {.index = best};
  }
};

std::vector<double> clipped(std::vector<double> rewards, double at) {
  for (double& r : rewards) r = std::min(r, at);
  return rewards;
}

}  // namespace

TEST_CASE("BestOfN refuses options out of range and names them") {
  const auto build = [](BestOfNOptions options) { return [options] { BestOfN{options}; }; };
  expect_refused(build({.n = 0}), "BestOfNOptions.n", "0");
  expect_refused(build({.max_tokens = 0}), "BestOfNOptions.max_tokens", "0");
  expect_refused(build({.stop_at = unset}), "BestOfNOptions.stop_at", "nan");
  expect_refused(build({.law = {.temperature = unset}}), "BestOfNOptions.law.temperature", "nan");
  CHECK_NOTHROW(BestOfN{{.stop_at = -infinity}});
  CHECK_NOTHROW(BestOfN{{.n = 1, .width = 100}});
}

TEST_CASE("the best of n draws has the law F^n - F(-)^n, ties to the earliest", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities();
  const std::vector<double> rewards = tied_toy::rewards_of(base);
  REQUIRE(exact::classes_of(rewards).size() < 15);  // of 31: many ties
  for (const std::size_t n : {1u, 2u, 4u, 16u}) {
    expect_law("BestOfN: n = " + to_text(n),
               answers(best_of({.n = n}), base, exact::best_of_n(p, rewards, n)));
  }
  CHECK(total_variation(exact::best_of_n(p, rewards, 1), p) < 1e-14);
  expect_law("BestOfN: n = 5, three a round",
             answers(best_of({.n = 5, .width = 3}), base, exact::best_of_n(p, rewards, 5)));

  const std::vector<double> four = exact::best_of_n(p, rewards, 4);
  expect_caught("best of 3 for best of 4", answers(best_of({.n = 3}), base, four));
  expect_caught("best of 5 for best of 4", answers(best_of({.n = 5}), base, four));
}

TEST_CASE("ties go to the earliest draw, whatever comes later") {
  BestOfN sampler{{.n = 4, .max_tokens = 4}};
  RoundBench bench(sampler);
  REQUIRE(bench.ask().size() == 4);
  for (const auto& [i, reward] : {std::pair{0u, 1.0}, {1u, 3.0}, {2u, 3.0}, {3u, 2.0}}) {
    bench.answer(i, tokens_of({static_cast<Token>(i)}), reward);
  }
  bench.tell();
  Random random(1);
  CHECK(HighestReward{}(bench.population, random).index == 1);
  CHECK(LatestBest{}(bench.population, random).index == 2);
  CHECK(bench.ask().empty());
}

TEST_CASE("stopping at a reward has the law of the clipped reward, in waves of any width",
          "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities();
  const std::vector<double> rewards = tied_toy::rewards_of(base);
  for (const double stop_at : {0.5, 0.75, 1.5}) {
    const std::vector<double> law = exact::best_of_n(p, clipped(rewards, stop_at), 6);
    for (const std::size_t width : {0u, 1u, 2u, 4u}) {
      expect_law("BestOfN: n = 6, stop at " + to_text(stop_at) + ", width " + to_text(width),
                 answers(best_of({.n = 6, .stop_at = stop_at, .width = width}), base, law));
    }
  }
  expect_law("BestOfN: a goal that nothing reaches",
             answers(best_of({.n = 6, .stop_at = 100, .width = 2}), base,
                     exact::best_of_n(p, rewards, 6)));
  expect_law("BestOfN: a goal that everything reaches gives the base law",
             answers(best_of({.n = 6, .stop_at = -infinity, .width = 4}), base, p));
  expect_caught("stopping at 0.5, the best of the wave returned",
                answers(best_of({.n = 6, .stop_at = 0.5}, BestOfAllDraws{}), base,
                        exact::best_of_n(p, clipped(rewards, 0.5), 6)));
}

TEST_CASE("draws behind the one that reached the goal have weight 0, and no wave follows") {
  RoundBench bench(BestOfN{{.n = 9, .max_tokens = 4, .stop_at = 2, .width = 3}});
  REQUIRE(bench.ask().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) bench.answer(i, tokens_of({toy::a}), 1);
  bench.tell();
  REQUIRE(bench.ask().size() == 3);
  bench.answer(0, tokens_of({toy::a}), -1);
  bench.answer(1, tokens_of({toy::b}), 2);
  bench.answer(2, tokens_of({toy::end}), 5);
  bench.tell();
  CHECK(bench.ask().empty());
  std::vector<double> weights;
  for (const Candidate& candidate : bench.population) weights.push_back(candidate.weight);
  CHECK(weights == std::vector<double>{1, 1, 1, 1, 1, 0});
  Random random(1);
  CHECK(HighestReward{}(bench.population, random).index == 4);
}

TEST_CASE("waves are no wider than what is left of n") {
  RoundBench bench(BestOfN{{.n = 5, .max_tokens = 4, .width = 3}});
  CHECK(bench.ask().size() == 3);
  bench.tell();  // all skipped
  CHECK(bench.population.empty());
  CHECK(bench.ask().size() == 2);
  bench.tell();
  CHECK(bench.ask().empty());
}

TEST_CASE("failed draws and rewards of -infinity") {
  RoundBench bench(BestOfN{{.n = 4, .max_tokens = 4}});
  bench.ask();
  bench.fail(0);
  bench.answer(1, tokens_of({toy::a}), -infinity);
  bench.answer(2, tokens_of({toy::b}), -3);
  bench.answer(3, tokens_of({toy::end}), -infinity);
  bench.tell();
  REQUIRE(bench.population.size() == 3);
  Random random(1);
  CHECK(HighestReward{}(bench.population, random).index == 1);

  RewardFunction impossible{[](const Prompt&, const Response&) { return -infinity; }};
  Decoder decoder{toy::policy(), impossible, BestOfN{{.n = 4, .max_tokens = 4}}};
  CHECK(decoder("").decision.index == 0);
}

TEST_CASE("what BestOfN spends and says") {
  const Result all = best_of({.n = 16})("", {.seed = 4});
  CHECK(all.spent.policy_calls == 16);
  CHECK(all.spent.reward_calls == 16);
  CHECK(all.spent.rounds == 1);
  CHECK_THAT(stat_of(all.stats, "kl_upper_bound"),
             Catch::Matchers::WithinAbs(std::log(16) - 15.0 / 16, 1e-12));
  CHECK(best_of({.n = 7, .width = 3})("").spent.rounds == 3);
  // A lucky early stop is one of the runs of a method that may go on to n.
  const Result early = best_of({.n = 16, .stop_at = -infinity, .width = 1})("");
  CHECK(early.spent.policy_calls == 1);
  CHECK_THAT(stat_of(early.stats, "kl_upper_bound"),
             Catch::Matchers::WithinAbs(std::log(16) - 15.0 / 16, 1e-12));
}

TEST_CASE(
    "a constant in the reward does not matter to the best of n, and no reward gives the first") {
  const auto run = [](double constant) {
    RewardFunction reward{
        [=](const Prompt&, const Response& y) { return tied_toy::reward_of(y.tokens) + constant; }};
    return Decoder{toy::policy(), reward, BestOfN{{.n = 8, .max_tokens = 4}}}("", {.seed = 9});
  };
  CHECK(run(0).decision.index == run(1024).decision.index);
  CHECK(run(0).answer.response == run(-64).answer.response);
  RewardFunction zero{[](const Prompt&, const Response&) { return 0.0; }};
  CHECK(Decoder{toy::policy(), zero, BestOfN{{.n = 8, .max_tokens = 4}}}("").decision.index == 0);
}

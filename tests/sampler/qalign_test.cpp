#include "tilt/sampler/qalign.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;

namespace {

const Response abba = tokens_of({toy::a, toy::b, toy::b, toy::a});

// Begins the chain in this response.
void stand(RoundBench<QAlign>& bench, const Response& y, double reward) {
  REQUIRE(bench.ask().size() == 1);
  bench.answer(0, y, reward);
  bench.tell();
}

std::vector<double> weights_of(const Population& population) {
  std::vector<double> weights;
  for (const Candidate& candidate : population) weights.push_back(candidate.weight);
  return weights;
}

}  // namespace

TEST_CASE("QAlign refuses options out of range and names them") {
  const auto build = [](QAlignOptions options) { return [options] { QAlign{options}; }; };
  expect_refused(build({.beta = 0}), "QAlignOptions.beta", "0");
  expect_refused(build({.beta = -1}), "QAlignOptions.beta", "-1");
  expect_refused(build({.beta = unset}), "QAlignOptions.beta", "nan");
  expect_refused(build({.beta = infinity}), "QAlignOptions.beta", "inf");
  expect_refused(build({.chains = 0}), "QAlignOptions.chains", "0");
  expect_refused(build({.fork = 0}), "QAlignOptions.fork", "0");
  for (const std::size_t n : {npos, npos / 2, (std::size_t{1} << 20) + 1}) {
    expect_refused(build({.steps = n}), "QAlignOptions.steps", to_text(n));
    expect_refused(build({.chains = n}), "QAlignOptions.chains", to_text(n));
    expect_refused(build({.fork = n}), "QAlignOptions.fork", to_text(n));
    expect_refused(build({.max_tokens = n}), "QAlignOptions.max_tokens", to_text(n));
    expect_refused(build({.initial_draws = n}), "QAlignOptions.initial_draws", to_text(n));
  }
  expect_refused(build({.max_tokens = 0}), "QAlignOptions.max_tokens", "0");
  expect_refused(build({.steps = 4, .fork = 2, .burn_in = 9}), "QAlignOptions.burn_in", "9");
  expect_refused(build({.restart = -0.1}), "QAlignOptions.restart", "-0.1");
  expect_refused(build({.restart = 1.1}), "QAlignOptions.restart", "1.1");
  expect_refused(build({.restart = unset}), "QAlignOptions.restart", "nan");
  expect_refused(build({.law = {.temperature = -1}}), "QAlignOptions.law.temperature", "-1");
  expect_refused(build({.law = {.top_p = 0}}), "QAlignOptions.law.top_p", "0");
  expect_refused(build({.law = {.min_p = 2}}), "QAlignOptions.law.min_p", "2");
  expect_refused(build({.law = {.stop = {""}}}), "QAlignOptions.law.stop", "an empty string");
  CHECK_NOTHROW(QAlign{{.steps = 0}});
  CHECK_NOTHROW(QAlign{{.steps = 4, .fork = 2, .burn_in = 8}});
  CHECK_NOTHROW(QAlign{{.restart = 1}});
}

TEST_CASE("recycled weights are not those of states, and selectors of states refuse them") {
  const QAlign recycled{{.recycle = true}};
  CHECK_FALSE(recycled.emits_states());
  CHECK(QAlign{}.emits_states());
  expect_refused([&] { Decoder(toy::policy(), toy::reward(), recycled); }, "Decoder.selector",
                 "one that reads chain states");
  expect_refused([&] { Decoder(toy::policy(), toy::reward(), recycled, HighestReward{}); },
                 "Decoder.selector", "one that reads chain states");
  const auto first = [](const Population&, Random&) { return Decision{.index = 0}; };
  CHECK_NOTHROW(Decoder(toy::policy(), toy::reward(), recycled, first));
}

TEST_CASE("an accepted suffix is a new candidate, a rejected one lengthens the stay") {
  RoundBench bench(QAlign{{.steps = 3, .fork = 2, .max_tokens = 8}});
  stand(bench, abba, 1);
  CHECK(bench.state.states == 1);
  REQUIRE(bench.ask().size() == 2);
  const Response better = tokens_of({toy::end}), worse = tokens_of({toy::b, toy::end});
  bench.answer(0, better, 1000);
  bench.answer(1, worse, -1000);
  bench.tell();
  REQUIRE(bench.population.size() == 2);
  CHECK(weights_of(bench.population) == std::vector<double>{1, 2});
  CHECK(bench.population[1].response == better);
  CHECK(bench.population[1].reward == 1000);
  CHECK(bench.population[1].parent == bench.population[0].id);
  CHECK(bench.state.current->response == better);
  CHECK(bench.state.current->id == bench.population[1].id);
  CHECK(bench.state.states == 3);
  CHECK(bench.state.accepted == 1);
  CHECK(bench.state.moved == 1);

  // The bare end token: every cut is at 0, and the same suffix again is accepted without a move.
  REQUIRE(bench.ask().size() == 2);
  CHECK(bench.state.cut == 0);
  bench.answer(0, better, 1000);
  bench.answer(1, worse, -infinity);
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{1, 2, 2});
  CHECK(bench.population[2].parent == bench.population[1].id);
  CHECK(bench.state.accepted == 2);
  CHECK(bench.state.moved == 1);

  REQUIRE(bench.ask().size() == 2);
  bench.answer(0, worse, -infinity);
  bench.answer(1, worse, -infinity);
  bench.tell();
  CHECK(bench.population.total_weight() == 7);  // 1 + 3 * 2 states
  CHECK(bench.ask().empty());
}

TEST_CASE("the first burn_in states have weight 0, and are there for an early end") {
  RoundBench bench(QAlign{{.steps = 3, .fork = 2, .burn_in = 3, .max_tokens = 8}});
  stand(bench, abba, 1);
  CHECK(weights_of(bench.population) == std::vector<double>{0});
  bench.ask();
  bench.answer(0, tokens_of({toy::end}), 1000);  // state 1
  bench.answer(1, tokens_of({toy::b}), -1000);   // state 2
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{0, 0});
  bench.ask();
  bench.answer(0, tokens_of({toy::b}), -1000);              // state 3
  bench.answer(1, tokens_of({toy::a, toy::end}), 1000000);  // state 4
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{0, 1, 1});
}

TEST_CASE("of recycled weights each sub-step gives 1, shared by the proposal and the state") {
  RoundBench bench(
      QAlign{{.beta = 2, .steps = 3, .fork = 1, .burn_in = 2, .max_tokens = 8, .recycle = true}});
  stand(bench, tokens_of({toy::b}), 1);
  CHECK(weights_of(bench.population) == std::vector<double>{0});
  bench.ask();
  bench.answer(0, tokens_of({toy::a, toy::end}), 1);  // state 1 of burn-in
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{0, 0});
  bench.state.current = bench.population[0];
  bench.ask();
  bench.answer(0, tokens_of({toy::a, toy::end}), 0);
  bench.tell();
  // exp((0 - 1)/2) * 1/2
  CHECK_THAT(bench.population[2].weight, WithinAbs(0.5 * std::exp(-0.5), 1e-15));
  CHECK_THAT(bench.population[0].weight, WithinAbs(1 - 0.5 * std::exp(-0.5), 1e-15));
  CHECK(bench.population[2].parent == bench.population[0].id);
}

TEST_CASE("a failed or skipped draw skips its sub-step") {
  RoundBench bench(QAlign{{.steps = 2, .fork = 3, .max_tokens = 8}});
  stand(bench, tokens_of({toy::b}), 0);
  bench.ask();
  bench.answer(0, tokens_of({toy::a}), -1000);
  bench.fail(1);
  bench.answer(2, tokens_of({toy::end}), 1000);
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{2, 1});
  CHECK(bench.state.states == 3);
  bench.ask();
  for (std::size_t i = 0; i < 3; ++i) bench.fail(i);
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{2, 1});
  CHECK(bench.state.step == 2);
  CHECK(bench.ask().empty());
}

TEST_CASE("in a closing round the draws that are there still count") {
  RoundBench bench(QAlign{{.steps = 5, .fork = 3, .max_tokens = 8}});
  stand(bench, tokens_of({toy::b}), 0);
  bench.ask();
  bench.answer(0, tokens_of({toy::end}), 1000);
  bench.tell_closing();
  CHECK(weights_of(bench.population) == std::vector<double>{1, 1});
}

TEST_CASE("a start that failed is tried again, but not for ever") {
  SECTION("later it succeeds") {
    RoundBench bench(QAlign{{.steps = 2, .max_tokens = 8}});
    REQUIRE(bench.ask().size() == 1);
    bench.fail(0);
    bench.tell();
    CHECK(bench.population.empty());
    stand(bench, abba, 0);
    CHECK(bench.population.size() == 1);
    for (int step = 0; step < 2; ++step) {
      REQUIRE(bench.ask().size() == 1);
      bench.answer(0, abba, 0);
      bench.tell();
    }
    CHECK(bench.ask().empty());
    CHECK(bench.population.total_weight() == 3);
  }
  SECTION("never") {
    RoundBench bench(QAlign{{.steps = 2, .max_tokens = 8, .initial_draws = 4}});
    std::size_t rounds = 0;
    while (!bench.ask().empty()) {
      REQUIRE(bench.round.draws().size() == 4);
      for (std::size_t i = 0; i < 4; ++i) bench.fail(i);
      bench.tell();
      REQUIRE(++rounds < 10);
    }
    CHECK(rounds == 3);  // steps + 1
    CHECK(bench.population.empty());
  }
  SECTION("some of the initial draws are enough") {
    RoundBench bench(QAlign{{.max_tokens = 8, .initial_draws = 3}});
    REQUIRE(bench.ask().size() == 3);
    bench.fail(0);
    bench.answer(1, abba, -infinity);
    bench.answer(2, tokens_of({toy::end}), 2);
    bench.tell();
    REQUIRE(bench.population.size() == 2);
    CHECK(weights_of(bench.population) == std::vector<double>{0, 1});
    CHECK(bench.state.current->reward == 2);
    CHECK(bench.state.base_rewards == std::vector<double>{-infinity, 2});
  }
}

TEST_CASE("the start among initial draws") {
  const auto start_of = [](double beta, const std::vector<double>& rewards, std::uint64_t seed) {
    RoundBench bench(QAlign{{.beta = beta, .max_tokens = 8, .initial_draws = rewards.size()}},
                     seed);
    REQUIRE(bench.ask().size() == rewards.size());
    for (std::size_t i = 0; i < rewards.size(); ++i) {
      bench.answer(i, tokens_of({static_cast<Token>(i)}), rewards[i]);
    }
    bench.tell();
    CHECK(bench.population.size() == rewards.size());
    CHECK(bench.population.total_weight() == 1);
    return static_cast<std::size_t>(bench.state.current->response.tokens[0]);
  };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    // One of reward -infinity is never chosen while another is there; if all are, the earliest is.
    CHECK(start_of(1, {-infinity, 0, -infinity}, seed) == 1);
    CHECK(start_of(1, {-infinity, -infinity, -infinity}, seed) == 0);
    // Rewards that overflow when they are divided by beta.
    CHECK(start_of(1e-300, {-1e10, 1e10, 1e9}, seed) == 1);
    CHECK(start_of(1e-300, {-1e200, -1e10, -1e100}, seed) == 1);
  }
}

TEST_CASE("a reward is asked for once and kept") {
  // A reward that never says the same twice: what the chain holds is what it was told.
  std::vector<double> told;
  RewardFunction noisy{[&](const Prompt&, const Response& y) {
    told.push_back(toy::reward_of(y.tokens) + 0.001 * static_cast<double>(told.size()));
    return told.back();
  }};
  Decoder decoder{
      toy::policy(), noisy,
      QAlign{{.beta = 0.7, .steps = 20, .fork = 3, .max_tokens = 4, .initial_draws = 5}}};
  const Result result = decoder("", {.seed = 3});
  CHECK(result.spent.policy_calls == 65);
  CHECK(result.spent.reward_calls == 65);
  CHECK(told.size() == 65);
  CHECK(result.spent.rounds == 21);
  CHECK(result.candidates.total_weight() == 61);
  CHECK(result.stop == Stop::finished);
  CHECK(result.law_holds);
  for (const Candidate& candidate : result.candidates) {
    CHECK(std::count(told.begin(), told.end(), candidate.reward) == 1);
  }
}

TEST_CASE("adding to the reward, or scaling reward and beta, changes nothing") {
  const auto run = [](double scale, double constant) {
    RewardFunction reward{[=](const Prompt&, const Response& y) {
      return scale * tied_toy::reward_of(y.tokens) + constant;
    }};
    Decoder decoder{toy::policy(), reward,
                    QAlign{{.beta = scale * 0.75,
                            .steps = 40,
                            .chains = 2,
                            .fork = 2,
                            .max_tokens = 4,
                            .initial_draws = 3,
                            .restart = 0.1}}};
    return decoder("", {.seed = 5});
  };
  const Result plain = run(1, 0);
  for (const Result& other : {run(1, 1024), run(1, -512), run(4, 0), run(0.25, 64)}) {
    REQUIRE(other.candidates.size() == plain.candidates.size());
    for (std::size_t i = 0; i < plain.candidates.size(); ++i) {
      CHECK(other.candidates[i].response == plain.candidates[i].response);
      CHECK(other.candidates[i].weight == plain.candidates[i].weight);
    }
    CHECK(other.decision.index == plain.decision.index);
  }
}

TEST_CASE("failed draws of a run that survives are no states, and are told") {
  std::size_t calls = 0;
  RewardFunction reward{[&](const Prompt&, const Response& y) {
    if (++calls % 7 == 0) throw std::runtime_error("out of order");
    return toy::reward_of(y.tokens);
  }};
  Decoder decoder{toy::policy(), reward,
                  QAlign{{.beta = 0.7, .steps = 30, .fork = 2, .max_tokens = 4}}};
  const Result result = decoder("", {.seed = 1, .on_failure = OnFailure::survive});
  CHECK(result.failures.size() == 8);  // of 61 scorings
  CHECK(result.candidates.total_weight() == 53);
  CHECK(result.stop == Stop::finished);
  CHECK_FALSE(result.law_holds);
  CHECK_THROWS_AS(decoder("", {.seed = 1}), RewardError);
}

TEST_CASE("diagnostics of QAlign") {
  Decoder decoder{toy::policy(), toy::reward(),
                  QAlign{{.beta = 0.7,
                          .steps = 400,
                          .chains = 4,
                          .burn_in = 50,
                          .max_tokens = 4,
                          .initial_draws = 50}}};
  const Result result = decoder("", {.seed = 2});
  // The published rate of moves of this chain is .417.
  CHECK_THAT(stat_of(result.stats, "moved"), WithinAbs(0.417, 0.05));
  CHECK(stat_of(result.stats, "acceptance") > stat_of(result.stats, "moved"));
  CHECK_THAT(stat_of(result.stats, "kl"), WithinAbs(0.697676, 0.25));
  CHECK(stat_of(result.stats, "split_r_hat") < 1.1);
  CHECK(stat_of(result.stats, "chain_ess") > 50);
  // Of at most 4 tokens cuts lie in the tenths 0, 2, 3, 5, 6 and 7 only.
  for (const int tenth : {0, 2, 3, 5, 6, 7}) {
    const double rate = stat_of(result.stats, "acceptance_cut_" + std::to_string(tenth));
    CHECK((rate > 0 && rate <= 1));
  }
  for (const int tenth : {1, 4, 8, 9}) {
    CHECK(std::isnan(stat_of(result.stats, "acceptance_cut_" + std::to_string(tenth))));
  }
  CHECK(std::isnan(
      stat_of(Decoder(toy::policy(), toy::reward(), QAlign{{.max_tokens = 4}})("").stats, "kl")));
}

TEST_CASE("HighestReward over QAlign finds the best response that was paid for") {
  for (const QAlignOptions& options :
       {QAlignOptions{.beta = 1e-3, .steps = 40, .chains = 3, .fork = 2},
        QAlignOptions{.beta = 0.3, .steps = 40, .chains = 2, .burn_in = 20},
        QAlignOptions{.beta = 5, .steps = 40, .chains = 2, .initial_draws = 4}}) {
    QAlignOptions capped = options;
    capped.max_tokens = 6;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      double best = -infinity;
      const RewardFunction reward{[&](const Prompt&, const Response& y) {
        // Long responses are worth a little more, and the ratio of the cuts speaks against them.
        const double r = 0.01 * static_cast<double>(y.size()) + 1e-3 * toy::reward_of(y.tokens);
        best = std::max(best, r);
        return r;
      }};
      const Decoder highest{toy::policy(), reward, QAlign{capped}, HighestReward{}};
      const Result result = highest("", {.seed = seed});
      CHECK(result.answer.reward == best);
    }
  }
}

TEST_CASE("the best rejected proposal comes last, once, and changes nothing else") {
  RoundBench bench(QAlign{{.beta = 1e-9, .steps = 3, .restart = 1}});
  stand(bench, tokens_of({1, 2, 3, 4}), 1);
  const auto reject = [&](Token token, double reward) {
    REQUIRE(bench.ask().size() == 1);
    bench.answer(0, tokens_of({token}), reward);
    bench.tell();
  };
  // Rejected though better: not at this beta. So the chain is told that it stands higher.
  bench.state.current->reward = 9;
  reject(5, 3);
  reject(6, 7);
  CHECK(bench.population.size() == 1);
  reject(7, 5);
  REQUIRE(bench.population.size() == 2);
  CHECK(weights_of(bench.population) == std::vector<double>{4, 0});
  CHECK(bench.population[1].response.tokens == std::vector<Token>{6});
  CHECK(bench.population[1].spare);
  CHECK_FALSE(bench.population[0].spare);
  Random random(1);
  CHECK(LastState{}(bench.population, random).index == 0);
  CHECK(HighestReward{}(bench.population, random).index == 1);
  // At a tie what has weight is chosen, and what is not spare never is.
  Population tie({{.reward = 7, .weight = 1},
                  {.reward = 7, .weight = 0, .spare = true},
                  {.reward = 8, .weight = 0}});
  CHECK(HighestReward{}(tie, random).index == 0);
}

TEST_CASE("a run that ends within the burn-in ends with its last state") {
  for (const std::size_t burn_in : {0u, 3u}) {
    RoundBench bench(QAlign{{.beta = 1e-9, .steps = 3, .burn_in = burn_in, .restart = 1}});
    stand(bench, tokens_of({1, 2, 3, 4}), 1);
    bench.state.current->reward = 9;  // so that a better proposal is rejected
    bench.ask();
    bench.answer(0, tokens_of({5}), 3);
    bench.tell_closing();
    INFO(burn_in);
    CHECK(bench.population.size() == (burn_in > 0 ? 1 : 2));
    Random random(1);
    CHECK(LastState{}(bench.population, random).index == 0);
  }
}

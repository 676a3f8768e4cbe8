#include "tilt/runtime/budget.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/text_policy.hpp"

using namespace tilt;
using runs::response_of;
using runs::Scripted;

namespace {

constexpr Stop every_stop[] = {Stop::finished,     Stop::tokens,  Stop::policy_calls,
                               Stop::reward_calls, Stop::seconds, Stop::cancelled,
                               Stop::failed};

// Draws `length` tokens each time, so that a token budget can be foretold.
Scripted of_length(std::size_t length) {
  return Scripted([length](const Generation& work) {
    const std::size_t n = std::min(length, work.max_tokens);
    return response_of(std::vector<Token>(n, 1), Finish::length);
  });
}

runs::Judge zero_reward() {
  return runs::Judge([](const Prompt&, const Response&) { return 0.0; });
}

}  // namespace

TEST_CASE("every reason to stop has a name of its own") {
  std::vector<std::string> names;
  for (const Stop stop : every_stop) names.emplace_back(name_of(stop));
  CHECK(names == std::vector<std::string>{"finished", "tokens", "policy_calls", "reward_calls",
                                          "seconds", "cancelled", "failed"});
  CHECK(std::string(name_of(static_cast<Stop>(99))) == "unknown");
}

TEST_CASE("run options out of range are refused") {
  CHECK_NOTHROW(check_run_options({}));
  CHECK_NOTHROW(check_run_options({.budget = {.tokens = 0, .seconds = 0}}));
  CHECK_THROWS_AS(check_run_options({.budget = {.seconds = -0.5}}), InvalidOption);
  CHECK_THROWS_AS(check_run_options({.budget = {.seconds = unset}}), InvalidOption);
  CHECK_THROWS_AS(check_run_options({.min_survivors = 0}), InvalidOption);
}

TEST_CASE("a budget of calls is never exceeded") {
  for (std::size_t limit = 0; limit <= 17; ++limit) {
    Scripted policy(runs::numbered());
    Decoder decoder{policy, zero_reward(), BestOfN{{.n = 16}}};
    const Result by_policy = decoder("p", {.budget = {.policy_calls = limit}});
    CHECK(by_policy.spent.policy_calls == std::min<std::size_t>(limit, 16));
    CHECK(by_policy.stop == (limit < 16 ? Stop::policy_calls : Stop::finished));
    CHECK(by_policy.law_holds == (limit >= 16));
    CHECK(by_policy.candidates.size() == std::min<std::size_t>(limit, 16));
    // The same draws as the whole run's first ones.
    for (const Candidate& candidate : by_policy.candidates) CHECK(candidate.lane == 0);

    const Result by_reward = decoder("p", {.budget = {.reward_calls = limit}});
    CHECK(by_reward.spent.reward_calls == std::min<std::size_t>(limit, 16));
    CHECK(by_reward.spent.policy_calls == by_reward.spent.reward_calls);  // none is drawn in vain
    CHECK(by_reward.stop == (limit < 16 ? Stop::reward_calls : Stop::finished));
  }
}

TEST_CASE("a budget of tokens is spent, and overshot by less than one piece of work") {
  for (const std::size_t length : {1u, 3u, 10u}) {
    for (std::size_t limit = 0; limit <= 60; ++limit) {
      Scripted policy = of_length(length);
      Decoder decoder{policy, zero_reward(), BestOfN{{.n = 16, .max_tokens = 10}}};
      const Result result = decoder("p", {.budget = {.tokens = limit}});
      const std::size_t spent = result.spent.generated_tokens;
      if (16 * length <= limit) {
        CHECK(result.stop == Stop::finished);
        continue;
      }
      CHECK(result.stop == (limit > 15 * length ? Stop::finished : Stop::tokens));
      CHECK(spent >= std::min(limit, 16 * length));
      CHECK(spent < limit + length);
      CHECK(result.law_holds == (result.stop == Stop::finished));
      CHECK(result.candidates.size() == result.spent.policy_calls);
    }
  }
}

TEST_CASE("the draws of a run on a budget are the first draws of the whole run") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Decoder decoder{policy, reward, BestOfN{{.n = 20, .max_tokens = toy::max_tokens}}};
  const Result whole = decoder("p", {.seed = 6});
  for (const Budget& budget :
       {Budget{.tokens = 23}, Budget{.policy_calls = 7}, Budget{.reward_calls = 11}}) {
    const Result part = decoder("p", {.seed = 6, .budget = budget});
    REQUIRE(part.candidates.size() > 3);
    REQUIRE(part.candidates.size() < 20);
    for (std::size_t i = 0; i < part.candidates.size(); ++i) {
      CHECK(runs::text_of(part.candidates[i]) == runs::text_of(whole.candidates[i]));
    }
    // The best so far.
    for (const Candidate& candidate : part.candidates) {
      CHECK(candidate.reward <= part.answer.reward);
    }
  }
}

TEST_CASE("a chain on a budget is the beginning of the whole chain") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Decoder decoder{policy, reward, QAlign{{.beta = 0.7, .steps = 60, .max_tokens = 4}}};
  const Result whole = decoder("p", {.seed = 6});
  const Result part = decoder("p", {.seed = 6, .budget = {.policy_calls = 31}});
  CHECK(part.stop == Stop::policy_calls);
  CHECK(part.candidates.total_weight() == 31);
  const Population beginning = whole.candidates.first(31);
  REQUIRE(part.candidates.size() == beginning.size());
  for (std::size_t i = 0; i < beginning.size(); ++i) {
    CHECK(runs::text_of(part.candidates[i]) == runs::text_of(beginning[i]));
  }
}

TEST_CASE("budgets are split over the lanes, the first lanes take the remainder") {
  Scripted policy(runs::numbered());
  Decoder decoder{policy, zero_reward(), QAlign{{.steps = 20, .chains = 4}}};
  const Result result = decoder("p", {.budget = {.policy_calls = 14}});
  CHECK(result.stop == Stop::policy_calls);
  CHECK(result.spent.policy_calls == 14);
  for (std::size_t lane = 0; lane < 4; ++lane) {
    double states = 0;
    for (const Candidate& candidate : result.candidates.lane(lane)) states += candidate.weight;
    CHECK(states == (lane < 2 ? 4 : 3));
  }
  // Fewer calls than lanes: the first lanes have one each.
  const Result few = decoder("p", {.budget = {.reward_calls = 3}});
  CHECK(few.spent.policy_calls == 3);
  CHECK(few.candidates.lane(2).size() == 1);
  CHECK(few.candidates.lane(3).empty());
  // Tokens alike: 11, 10 and 10, which lane 0 alone may overshoot.
  Scripted threes = of_length(3);
  Decoder of_threes{threes, zero_reward(), QAlign{{.steps = 50, .chains = 3, .max_tokens = 3}}};
  const Result tokens = of_threes("p", {.budget = {.tokens = 31}});
  CHECK(tokens.stop == Stop::tokens);
  CHECK(tokens.spent.generated_tokens < 31 + 3);
  CHECK(tokens.spent.generated_tokens > 31 - 2 * 3);
}

TEST_CASE("a budget of tokens is overshot by less than one piece in the whole run") {
  for (const std::size_t lanes : {1u, 2u, 7u, 64u}) {
    for (const std::size_t piece : {1u, 3u, 50u, 200u}) {
      for (const std::size_t limit : {1u, 10u, 80u, 1000u, 12'800u}) {
        INFO(lanes << " lanes, pieces of " << piece << " tokens, limit " << limit);
        Scripted policy = of_length(piece);
        Decoder decoder{policy, zero_reward(),
                        QAlign{{.steps = 1u << 20, .chains = lanes, .max_tokens = piece}}};
        const Result result = decoder("p", {.budget = {.tokens = limit}});
        const std::size_t spent = result.spent.generated_tokens;
        CHECK(result.stop == Stop::tokens);
        CHECK(spent < limit + piece);
        CHECK(spent >= piece);  // one piece is let in at least
        // A share may stay unspent where no further piece fits into it, and no more.
        CHECK(spent + lanes * piece > limit);
        CHECK_FALSE(result.candidates.empty());
      }
    }
  }
  // 64 lanes of 200-token pieces with 80 tokens: all lanes together draw one.
  Scripted policy = of_length(200);
  Decoder decoder{policy, zero_reward(), QAlign{{.steps = 5, .chains = 64, .max_tokens = 200}}};
  const Result result = decoder("p", {.budget = {.tokens = 80}});
  CHECK(result.spent.generated_tokens == 200);
  CHECK(result.spent.policy_calls == 1);
  CHECK(result.answer.lane == 0);
}

TEST_CASE("a round that never ran is not counted") {
  Scripted policy = of_length(1);
  Decoder decoder{policy, zero_reward(), BestOfN{{.n = 12, .width = 4}}};
  CHECK(decoder("p").spent.rounds == 3);
  for (const Budget& budget : {Budget{.policy_calls = 8}, Budget{.reward_calls = 8}}) {
    const Result at_the_border = decoder("p", {.budget = budget});
    CHECK(at_the_border.stop != Stop::finished);
    CHECK(at_the_border.spent.policy_calls == 8);
    CHECK(at_the_border.spent.rounds == 2);
  }
  CHECK(decoder("p", {.budget = {.policy_calls = 9}}).spent.rounds == 3);
  CHECK(decoder("p", {.budget = {.policy_calls = 0}}).spent.rounds == 0);
  CHECK(decoder("p", {.budget = {.tokens = 0}}).spent.rounds == 0);
  CHECK(decoder("p", {.budget = {.seconds = 0}}).spent.rounds == 0);
}

TEST_CASE("draws are kept as they can be let in, whatever number is asked for") {
  // A sampler that asks for a million draws, of which five can ever be paid for.
  struct Greedy {
    std::size_t width = 1'000'000;
    std::shared_ptr<std::size_t> kept = std::make_shared<std::size_t>(0);
    struct State {
      Prompt prompt = {};
    };
    [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
    void ask(State& state, Round& round) const {
      for (std::size_t i = 0; i < width; ++i) round.sample({.prompt = state.prompt});
      *kept = round.draws().size();
    }
    void tell(State&, Round& round) const {
      CHECK(round.closing());
      for (std::size_t i = 0; i < round.draws().size(); ++i) {
        if (round.draws()[i].status == DrawStatus::done) round.emit(round.take(i));
      }
    }
  };
  for (const Budget& budget : {Budget{.policy_calls = 5}, Budget{.reward_calls = 5}}) {
    const Greedy sampler;
    Scripted policy = of_length(1);
    Decoder decoder{policy, zero_reward(), sampler, runs::Heaviest{}};
    const Result result = decoder("p", {.budget = budget});
    CHECK(result.stop == (budget.policy_calls == 5 ? Stop::policy_calls : Stop::reward_calls));
    CHECK(result.candidates.size() == 5);
    CHECK(result.spent.policy_calls == 5);
    CHECK(*sampler.kept <= 1u << 14);
  }
  // Beyond what a round may ask for the run fails; nothing is paid for, and nobody's memory is spent.
  const Greedy endless{.width = npos};
  Scripted policy = of_length(1);
  Decoder decoder{policy, zero_reward(), endless, runs::Heaviest{}};
  const Result result = decoder.batch({"p"}, {.budget = {.policy_calls = 5}})[0];
  CHECK(result.stop == Stop::failed);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].part == FailedPart::sampler);
  CHECK(runs::contains(result.failures[0].what, "more than 2097152 draws"));
  CHECK(policy.calls == 0);
}

TEST_CASE("the first of several budgets to be spent is the reason") {
  Scripted policy = of_length(2);
  Decoder decoder{policy, zero_reward(), BestOfN{{.n = 16, .max_tokens = 2}}};
  CHECK(decoder("p", {.budget = {.tokens = 8, .policy_calls = 9}}).stop == Stop::tokens);
  CHECK(decoder("p", {.budget = {.tokens = 10, .policy_calls = 3}}).stop == Stop::policy_calls);
  CHECK(decoder("p", {.budget = {.policy_calls = 9, .reward_calls = 4}}).stop ==
        Stop::reward_calls);
}

TEST_CASE("with a budget of nothing every sampler ends at once, with an empty result") {
  for (const Budget& budget : {Budget{.tokens = 0}, Budget{.policy_calls = 0}, Budget{.seconds = 0},
                               Budget{.tokens = 0, .policy_calls = 0, .reward_calls = 0}}) {
    runs::for_each_sampler([&](const std::string& name, const auto& sampler) {
      INFO(name);
      auto policy = toy::policy();
      auto reward = toy::reward();
      Decoder decoder{policy, reward, sampler, runs::Heaviest{}};
      const Result result = decoder("p", {.budget = budget});
      CHECK(result.candidates.empty());
      CHECK(result.answer.response.empty());
      CHECK(result.decision.index == npos);
      CHECK(result.spent.policy_calls == 0);
      CHECK(result.spent.generated_tokens == 0);
      CHECK(result.stop != Stop::finished);
      CHECK_FALSE(result.law_holds);
    });
  }
}

TEST_CASE("any budget of any sampler ends with what there is, and is not exceeded") {
  runs::for_each_sampler([&](const std::string& name, const auto& sampler) {
    INFO(name);
    auto policy = toy::policy();
    auto reward = toy::reward();
    Decoder decoder{policy, reward, sampler, runs::Heaviest{}};
    for (std::size_t limit = 1; limit < 14; ++limit) {
      const Result calls = decoder("p", {.budget = {.policy_calls = limit}});
      CHECK(calls.spent.policy_calls <= limit);
      const Result scores = decoder("p", {.budget = {.reward_calls = limit}});
      CHECK(scores.spent.reward_calls <= limit);
      const Result tokens = decoder("p", {.budget = {.tokens = limit}});
      CHECK(tokens.spent.generated_tokens < limit + toy::max_tokens);
      for (const Result* result : {&calls, &scores, &tokens}) {
        CHECK((result->law_holds == (result->stop == Stop::finished)));
        CHECK((result->decision.index == npos) == result->candidates.empty());
      }
    }
  });
}

TEST_CASE("seconds end a run after the call in which they pass, with the best so far") {
  Scripted policy([next = 0](const Generation&) mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return response_of({next++});
  });
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 100'000, .width = 1}}};
  const Result result = decoder("p", {.budget = {.seconds = 0.25}});
  CHECK(result.stop == Stop::seconds);
  CHECK_FALSE(result.law_holds);
  CHECK(result.spent.seconds >= 0.25);
  REQUIRE(result.candidates.total_weight() >= 1);
  CHECK(result.candidates.size() < 100'000);
  CHECK(result.answer.reward == result.candidates.total_weight() - 1);
}

TEST_CASE("a stop request from another thread ends a run with the best so far") {
  std::stop_source source;
  std::atomic<int> drawn = 0;
  Scripted policy([&](const Generation&) {
    const int number = drawn.fetch_add(1);
    return response_of({number});
  });
  // Without the request this run would go on for long.
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 1u << 20, .width = 1}}};
  Result result;
  {
    std::jthread stopper([&] {
      while (drawn.load() < 100) std::this_thread::yield();
      source.request_stop();
    });
    result = decoder("p", {.stop = source.get_token()});
  }
  CHECK(result.stop == Stop::cancelled);
  CHECK_FALSE(result.law_holds);
  CHECK(result.candidates.total_weight() >= 99);
  CHECK(result.answer.reward == result.candidates.total_weight() - 1);
}

TEST_CASE("a stop request ends all runs of a batch") {
  std::stop_source source;
  Scripted policy([&, calls = 0](const Generation&) mutable {
    if (++calls == 20) source.request_stop();
    return response_of({1});
  });
  Decoder decoder{policy, zero_reward(), BestOfN{{.n = 1000, .width = 1}}};
  const std::vector<Prompt> prompts = {"a", "b", "c"};
  const std::vector<Result> results = decoder.batch(prompts, {.stop = source.get_token()});
  REQUIRE(results.size() == 3);
  for (const Result& result : results) {
    CHECK(result.stop == Stop::cancelled);
    CHECK(result.candidates.total_weight() == 6);
    REQUIRE(result.candidates.size() == 7);  // what was drawn last is kept without a reward
    CHECK(result.candidates[6].weight == 0);
    CHECK(std::isnan(result.candidates[6].reward));
  }
}

TEST_CASE("a stop request before the run gives an empty result and calls nobody") {
  std::stop_source source;
  source.request_stop();
  Scripted policy(runs::numbered());
  Decoder decoder{policy, zero_reward(), BestOfN{}};
  const Result result = decoder("p", {.stop = source.get_token()});
  CHECK(result.stop == Stop::cancelled);
  CHECK(result.candidates.empty());
  CHECK(policy.calls == 0);
}

TEST_CASE("a token budget never ends a run of texts") {
  TextPolicy policy{[](std::string_view) { return std::string("words"); }};
  Decoder decoder{policy, zero_reward(), BestOfN{{.n = 8}}};
  const Result result = decoder("p", {.budget = {.tokens = 1}});
  CHECK(result.stop == Stop::finished);
  CHECK(result.candidates.size() == 8);
}

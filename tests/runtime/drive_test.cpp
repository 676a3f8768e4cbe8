#include "tilt/runtime/drive.hpp"

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/last_state.hpp"

using namespace tilt;
using runs::contains;
using runs::response_of;
using runs::Scripted;

namespace {

// Passes a batch on in pieces, the last piece first.
template <class P>
class Split {
 public:
  Split(P policy, std::size_t width) : policy_(std::move(policy)), width_(width) {}

  void generate(std::span<const Generation> work, std::span<Response> out) {
    for (std::size_t end = work.size(); end > 0;) {
      const std::size_t begin = end > width_ ? end - width_ : 0;
      policy_.generate(work.subspan(begin, end - begin), out.subspan(begin, end - begin));
      end = begin;
    }
  }

 private:
  P policy_;
  std::size_t width_;
};

std::vector<Prompt> prompts_of(std::size_t n) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < n; ++i) prompts.emplace_back("prompt " + std::to_string(i));
  return prompts;
}

// Whole batch through one driver.
template <class S, class P, class R>
std::vector<Result> drive(const S& sampler, P& policy, R& reward, std::size_t n,
                          const RunOptions& options) {
  std::vector<Session<S>> sessions;
  for (std::size_t i = 0; i < n; ++i) {
    RunOptions mine = options;
    mine.stream += i;
    sessions.emplace_back(sampler, prompts_of(n)[i], mine);
  }
  Driver<S, P, R> driver(policy, reward);
  while (driver.pass(sessions)) {
  }
  std::vector<Result> results;
  for (Session<S>& session : sessions) {
    results.push_back(std::move(session).result(runs::Heaviest{}));
  }
  return results;
}

std::string text_of(const std::vector<Result>& results) {
  std::string text;
  for (const Result& result : results) text += runs::text_of(result) + "----\n";
  return text;
}

// A policy with an end token that follows a script.
struct WithEndToken : Scripted {
  using Scripted::Scripted;
  [[nodiscard]] Token end_token() const { return 9; }
};
// One with several.
struct WithEndTokens : Scripted {
  using Scripted::Scripted;
  [[nodiscard]] bool is_end(Token token) const { return token == 8 || token == 9; }
};

Result one_draw(auto& policy) {
  auto reward = runs::token_sum();
  return drive(BestOfN{{.n = 1, .max_tokens = 4}}, policy, reward, 1, {})[0];
}

}  // namespace

TEST_CASE("the rounds of all prompts are merged into one call of the policy and one of the reward") {
  Scripted policy(runs::numbered());
  std::vector<std::size_t> scored;
  struct Counting {
    std::vector<std::size_t>& rows;
    void score(std::span<const Scoring> work, std::span<double> out) {
      rows.push_back(work.size());
      for (double& reward : out) reward = 0;
    }
  } reward{scored};
  drive(BestOfN{{.n = 6, .width = 2}}, policy, reward, 5, {});
  CHECK(policy.rows == std::vector<std::size_t>{10, 10, 10});
  CHECK(scored == std::vector<std::size_t>{10, 10, 10});
}

TEST_CASE("prompts that are done take no part in later calls") {
  // Prompt i draws rewards 0, 1, 2, …: those with a low goal end early.
  Scripted policy([](const Generation& work) { return response_of({Token(work.prompt.text().size())}); });
  auto reward = runs::token_sum();
  const BestOfN sampler{{.n = 3, .stop_at = 3, .width = 1}};
  std::vector<Session<BestOfN>> sessions;
  for (const char* prompt : {"a", "abcd", "ab"}) sessions.emplace_back(sampler, prompt);
  Driver<BestOfN, Scripted, decltype(reward)> driver(policy, reward);
  while (driver.pass(sessions)) {
  }
  CHECK(policy.rows == std::vector<std::size_t>{3, 2, 2});
  CHECK_FALSE(driver.pass(sessions));
  CHECK_FALSE(driver.pass(std::span<Session<BestOfN>>{}));
}

TEST_CASE("results do not depend on how a batch is split or merged") {
  for (const Budget& budget : {Budget{}, Budget{.tokens = 40, .reward_calls = 17}}) {
    const RunOptions options = {.seed = 11, .stream = 3, .budget = budget};
    runs::for_each_sampler([&](const std::string& name, const auto& sampler) {
      INFO(name);
      auto policy = toy::policy();
      auto reward = toy::reward();
      const std::string merged = text_of(drive(sampler, policy, reward, 4, options));
      for (const std::size_t width : {1u, 3u}) {
        Split split(toy::policy(), width);
        CHECK(text_of(drive(sampler, split, reward, 4, options)) == merged);
      }
      // One by one: run i is stream + i.
      std::string single;
      for (std::size_t i = 0; i < 4; ++i) {
        RunOptions mine = options;
        mine.stream += i;
        Session session(sampler, prompts_of(4)[i], mine);
        Driver<std::remove_cvref_t<decltype(sampler)>, decltype(policy), decltype(reward)> driver(
            policy, reward);
        while (driver.pass({&session, 1})) {
        }
        single += runs::text_of(session.result(runs::Heaviest{})) + "----\n";
      }
      CHECK(single == merged);
    });
  }
}

TEST_CASE("results do not depend on threads") {
  const auto run = [](std::size_t stream) {
    std::string text;
    runs::for_each_sampler([&](const std::string&, const auto& sampler) {
      auto policy = toy::policy();
      auto reward = toy::reward();
      text += text_of(drive(sampler, policy, reward, 2, {.seed = 7, .stream = stream}));
    });
    return text;
  };
  std::array<std::string, 4> alone, together;
  for (std::size_t i = 0; i < alone.size(); ++i) alone[i] = run(i % 2);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < together.size(); ++i) {
    threads.emplace_back([&, i] { together[i] = run(i % 2); });
  }
  threads.clear();
  for (std::size_t i = 0; i < alone.size(); ++i) CHECK(together[i] == alone[i]);
  CHECK(alone[0] == alone[2]);
  CHECK(alone[0] != alone[1]);
}

TEST_CASE("tokens after the end token are a fault, whatever the policy calls its end token") {
  WithEndToken good([](const Generation&) { return response_of({1, 9}); });
  CHECK(one_draw(good).stop == Stop::finished);
  WithEndToken late([](const Generation&) { return response_of({1, 9, 2, 3}); });
  const Result result = one_draw(late);
  CHECK(result.stop == Stop::failed);
  CHECK(contains(result.failures[0].what, "2 tokens after the end token"));
  WithEndTokens second([](const Generation&) { return response_of({8, 9}); });
  CHECK(contains(one_draw(second).failures[0].what, "1 tokens after the end token"));
  WithEndTokens none([](const Generation&) { return response_of({1, 2, 3}, Finish::length); });
  CHECK(one_draw(none).stop == Stop::finished);
  // A policy that does not say what its end token is cannot be checked.
  Scripted silent([](const Generation&) { return response_of({1, 9, 2, 3}); });
  CHECK(one_draw(silent).stop == Stop::finished);
}

TEST_CASE("an empty response is a fault of a token policy and legal from a text policy") {
  Scripted empty([](const Generation&) { return Response{}; });
  const Result result = one_draw(empty);
  CHECK(result.stop == Stop::failed);
  CHECK(contains(result.failures[0].what, "empty response, not even an end token"));

  TextPolicy silent{[](std::string_view) { return std::string(); }};
  const Result legal = one_draw(silent);
  CHECK(legal.stop == Stop::finished);
  CHECK(legal.candidates.size() == 1);
  CHECK(legal.answer.response.empty());
}

TEST_CASE("a policy that fills nothing in fails each draw") {
  struct Nothing {
    void generate(std::span<const Generation>, std::span<Response>) {}
  } policy;
  auto reward = runs::token_sum();
  const Result result =
      drive(BestOfN{{.n = 3}}, policy, reward, 1, {.on_failure = OnFailure::survive})[0];
  CHECK(result.stop == Stop::failed);
  CHECK(result.failures.size() == 3);
}

TEST_CASE("a text without tokens is a fault for a sampler that works on tokens") {
  Scripted policy([](const Generation&) { return Response{.text = "words"}; });
  auto reward = runs::token_sum();
  CHECK(drive(BestOfN{{.n = 1}}, policy, reward, 1, {})[0].stop == Stop::finished);
  const Result result = drive(QAlign{{.steps = 1}}, policy, reward, 1, {})[0];
  CHECK(result.stop == Stop::failed);
  CHECK(contains(result.failures[0].what, "no tokens"));
}

TEST_CASE("items that fail alone leave the rest of a batch in peace") {
  Scripted policy([next = 0](const Generation&) mutable {
    if (++next % 3 == 0) throw std::runtime_error("draw " + std::to_string(next) + " was lost");
    return response_of({next});
  });
  auto reward = runs::token_sum();
  const std::vector<Result> results =
      drive(BestOfN{{.n = 3}}, policy, reward, 2, {.on_failure = OnFailure::survive});
  for (const Result& result : results) {
    CHECK(result.stop == Stop::finished);
    CHECK(result.candidates.size() == 2);
    REQUIRE(result.failures.size() == 1);
    CHECK(result.failures[0].index == 2);
  }
  CHECK(contains(results[1].failures[0].what, "\"prompt 1\""));
  CHECK(contains(results[1].failures[0].what, "draw 6 was lost"));
}

TEST_CASE("under OnFailure::fail what was drawn beside a failure is scored and kept") {
  Scripted policy([next = 0](const Generation&) mutable {
    if (++next == 1) throw std::runtime_error("the first draw was lost");
    return response_of({next});
  });
  auto reward = runs::token_sum();
  const std::vector<Result> results = drive(BestOfN{{.n = 4}}, policy, reward, 2, {});
  CHECK(results[0].stop == Stop::failed);
  CHECK(results[0].candidates.size() == 3);
  CHECK(results[0].spent.reward_calls == 3);
  CHECK(results[1].stop == Stop::finished);
  CHECK(results[1].candidates.size() == 4);
}

TEST_CASE("a reward that fails on one response fails that draw and no other") {
  Scripted policy(runs::numbered());
  runs::Judge reward{[](const Prompt&, const Response& y) -> double {
    if (y.tokens[0] == 2) throw std::runtime_error("cannot judge this");
    return y.tokens[0];
  }};
  const std::vector<Result> results = drive(BestOfN{{.n = 4}}, policy, reward, 2, {});
  CHECK(results[0].stop == Stop::failed);
  CHECK(results[0].candidates.size() == 3);
  REQUIRE(results[0].failures.size() == 1);
  CHECK(results[0].failures[0].part == FailedPart::reward);
  CHECK(results[0].failures[0].index == 2);
  CHECK(contains(results[0].failures[0].what, "the reward model failed on the prompt \"prompt 0\""));
  CHECK(contains(results[0].failures[0].what, "cannot judge this"));
  CHECK(results[1].stop == Stop::finished);
}

TEST_CASE("an exception of a whole call runs its items again one by one: one prompt fails alone") {
  struct Poisoned {
    std::vector<std::size_t> rows = {};
    std::exception_ptr error = std::make_exception_ptr(std::runtime_error("the engine gave up"));
    void generate(std::span<const Generation> work, std::span<Response> out) {
      rows.push_back(work.size());
      for (std::size_t i = 0; i < work.size(); ++i) {
        // Some are filled in before the call fails: nobody can know which.
        if (work[i].prompt.text() == "prompt 1") std::rethrow_exception(error);
        out[i] = response_of({Token(i)});
      }
    }
  } policy;
  auto reward = runs::token_sum();
  const std::vector<Result> results = drive(BestOfN{{.n = 4}}, policy, reward, 3, {});
  // One call for all; then each alone, but for the draws that the failed run no longer needs.
  CHECK(policy.rows == std::vector<std::size_t>{12, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  for (const std::size_t good : {0u, 2u}) {
    CHECK(results[good].stop == Stop::finished);
    CHECK(results[good].candidates.size() == 4);
    CHECK(results[good].failures.empty());
    CHECK(results[good].spent.policy_calls == 4);
    CHECK(results[good].spent.retries == 4);
  }
  CHECK(results[1].stop == Stop::failed);
  CHECK(results[1].candidates.empty());
  REQUIRE(results[1].failures.size() == 1);
  CHECK(contains(results[1].failures[0].what, "the engine gave up"));
  CHECK(results[1].spent.policy_calls == 1);
  CHECK(results[1].spent.retries == 1);

  // Under `survive` each draw has its own failure; something else than a std::exception is one too.
  Poisoned other{.error = std::make_exception_ptr(42)};
  const std::vector<Result> survivors =
      drive(BestOfN{{.n = 4}}, other, reward, 3, {.on_failure = OnFailure::survive});
  CHECK(survivors[0].stop == Stop::finished);
  CHECK(survivors[1].failures.size() == 4);
  CHECK(contains(survivors[1].failures[3].what, "not a std::exception"));
  CHECK(survivors[1].spent.retries == 4);

  // One item is not tried twice.
  Poisoned alone;
  const Result single = drive(BestOfN{{.n = 1}}, alone, reward, 2, {})[1];
  CHECK(single.stop == Stop::failed);
  CHECK(alone.rows == std::vector<std::size_t>{2, 1, 1});
}

TEST_CASE("an exception of a whole reward call runs its items again one by one") {
  Scripted policy(runs::numbered());
  struct Poisoned {
    std::vector<std::size_t> rows = {};
    void score(std::span<const Scoring> work, std::span<double> out) {
      rows.push_back(work.size());
      for (std::size_t i = 0; i < work.size(); ++i) {
        if (work[i].response->tokens[0] == 2) throw std::runtime_error("cannot judge this");
        out[i] = 1;
      }
    }
  } reward;
  const std::vector<Result> results =
      drive(BestOfN{{.n = 2}}, policy, reward, 3, {.on_failure = OnFailure::survive});
  CHECK(reward.rows == std::vector<std::size_t>{6, 1, 1, 1, 1, 1, 1});
  CHECK(results[0].candidates.size() == 2);
  CHECK(results[1].candidates.size() == 1);
  CHECK(results[2].candidates.size() == 2);
  REQUIRE(results[1].failures.size() == 1);
  CHECK(results[1].failures[0].part == FailedPart::reward);
  CHECK(contains(results[1].failures[0].what, "cannot judge this"));
  CHECK(results[1].spent.reward_calls == 2);
  CHECK(results[1].spent.retries == 2);
}

TEST_CASE("items are not run again when the time is up or a stop was requested") {
  std::stop_source source;
  struct Failing {
    std::stop_source& source;
    std::size_t calls = 0;
    void generate(std::span<const Generation>, std::span<Response>) {
      if (++calls == 3) source.request_stop();
      throw std::runtime_error("out of order");
    }
  } policy{source};
  auto reward = runs::token_sum();
  const std::vector<Result> results =
      drive(BestOfN{{.n = 1}}, policy, reward, 100, {.stop = source.get_token()});
  CHECK(policy.calls == 3);
  CHECK(results[0].stop == Stop::failed);
  CHECK(results[1].stop == Stop::failed);
  CHECK(results[2].stop == Stop::cancelled);
  CHECK(results[99].stop == Stop::cancelled);
}

TEST_CASE("a reward that leaves an entry alone has not scored it 0") {
  struct Lazy {
    void score(std::span<const Scoring>, std::span<double> out) { out[0] = 5; }
  } reward;
  Scripted policy(runs::numbered());
  const Result result =
      drive(BestOfN{{.n = 2}}, policy, reward, 1, {.on_failure = OnFailure::survive})[0];
  CHECK(result.candidates.size() == 1);
  REQUIRE(result.failures.size() == 1);
  CHECK(contains(result.failures[0].what, "the reward is nan"));
}

TEST_CASE("a PartialFailure without one entry per item fails all of them, and none becomes a candidate") {
  struct Reporting {
    std::vector<std::exception_ptr> causes;
    void generate(std::span<const Generation>, std::span<Response> out) {
      out[0] = response_of({1});  // the others stay empty
      throw PartialFailure(causes);
    }
    void score(std::span<const Scoring>, std::span<double>) { throw PartialFailure(causes); }
  };
  const std::exception_ptr cause = std::make_exception_ptr(std::runtime_error("cause"));
  auto reward = runs::token_sum();
  const auto run = [&](std::vector<std::exception_ptr> causes) {
    Reporting policy{std::move(causes)};
    return drive(BestOfN{{.n = 3}}, policy, reward, 1, {.on_failure = OnFailure::survive})[0];
  };
  for (const auto& causes : {std::vector<std::exception_ptr>{}, {cause}, {nullptr, cause},
                             {nullptr, nullptr, cause, cause, cause}}) {
    const Result result = run(causes);
    CHECK(result.stop == Stop::failed);
    CHECK(result.candidates.empty());
    REQUIRE(result.failures.size() == 3);
    CHECK(contains(result.failures[0].what,
                   "the policy reported the failures of " + std::to_string(causes.size()) +
                       " items in a call of 3"));
    CHECK_THROWS_AS(std::rethrow_exception(result.failures[0].cause), PolicyError);
    CHECK(result.spent.retries == 0);
  }
  // One entry per item is believed: what is good is checked like any continuation.
  const Result believed = run({nullptr, cause, cause});
  CHECK(believed.candidates.size() == 1);
  CHECK(believed.failures.size() == 2);
  CHECK(run({nullptr, nullptr, nullptr}).failures.size() == 2);  // two empty responses

  Scripted policy(runs::numbered());
  Reporting broken{{cause}};
  const Result unscored =
      drive(BestOfN{{.n = 3}}, policy, broken, 1, {.on_failure = OnFailure::survive})[0];
  CHECK(unscored.stop == Stop::failed);
  REQUIRE(unscored.failures.size() == 3);
  CHECK(contains(unscored.failures[0].what, "the reward model reported the failures of 1 items"));
  CHECK_THROWS_AS(std::rethrow_exception(unscored.failures[0].cause), RewardError);
}

TEST_CASE("a policy gets its work back unharmed when it throws") {
  struct Once {
    std::vector<std::string> seen = {};
    void generate(std::span<const Generation> work, std::span<Response> out) {
      for (const Generation& g : work) seen.emplace_back(g.prompt.text());
      if (seen.size() == 2) throw std::runtime_error("once");
      for (std::size_t i = 0; i < work.size(); ++i) out[i] = response_of({1});
    }
  } policy;
  auto reward = runs::token_sum();
  const Result result = drive(BestOfN{{.n = 4, .width = 2}}, policy, reward, 1,
                              {.on_failure = OnFailure::survive})[0];
  CHECK(result.stop == Stop::finished);
  CHECK(policy.seen == std::vector<std::string>(6, "prompt 0"));  // two of them a second time
  CHECK(result.failures.empty());
  CHECK(result.candidates.size() == 4);
  CHECK(result.spent.retries == 2);
}

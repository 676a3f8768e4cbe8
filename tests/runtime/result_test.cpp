#include "tilt/runtime/result.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/decoder.hpp"

using namespace tilt;
using runs::contains;
using runs::response_of;

namespace {

// Says how many candidates it saw.
struct Counting : runs::Heaviest {
  [[nodiscard]] Stats stats(const Population& population) const {
    return {{"candidates_seen", static_cast<double>(population.size())}};
  }
};

double stat(const Result& result, const std::string& name) {
  for (const auto& [key, value] : result.stats) {
    if (key == name) return value;
  }
  return unset;
}

}  // namespace

TEST_CASE("a result begins empty and lawful") {
  const Result result;
  CHECK(result.candidates.empty());
  CHECK(result.decision.index == npos);
  CHECK(result.stop == Stop::finished);
  CHECK(result.law_holds);
  CHECK(result.failures.empty());
  CHECK(result.stats.empty());
}

TEST_CASE("the answer is the chosen candidate, and the decision its position") {
  runs::Scripted policy([next = Token{0}](const Generation&) mutable {
    return response_of({(next++ * 3) % 5});  // 0 3 1 4 2
  });
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 5}}};
  const Result result = decoder("p");
  CHECK(result.decision.index == 3);
  CHECK(result.decision.answer == "4");
  CHECK(result.decision.share == 1);
  CHECK(result.answer.reward == 4);
  CHECK(result.answer.raw_reward == 4);
  CHECK(result.answer.id == result.candidates[3].id);
  CHECK(result.answer.response == result.candidates[3].response);
}

TEST_CASE("where the selector chooses none the answer is the earliest candidate") {
  const auto choose_none = [](const Population&, Random&) { return Decision{.share = 0}; };
  runs::Scripted policy(runs::numbered());
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 3}}, choose_none};
  const Result result = decoder("p");
  CHECK(result.decision.index == npos);
  CHECK(result.decision.answer.empty());
  CHECK(result.answer.response.tokens == std::vector<Token>{0});
}

TEST_CASE("stats of the sampler come first, then those of the selector") {
  runs::Scripted policy(runs::numbered());
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 3}}, Counting{}};
  const Result result = decoder("p");
  REQUIRE(result.stats.size() == 2);
  CHECK(result.stats[0].first == "kl_upper_bound");
  CHECK(result.stats[1].first == "candidates_seen");
  CHECK(stat(result, "candidates_seen") == 3);
}

TEST_CASE("failures are ordered by lane, round and draw, whatever order they came in") {
  Session session(QAlign{{.steps = 1, .chains = 3, .initial_draws = 2}}, "p",
                  {.on_failure = OnFailure::survive});
  while (!session.finished()) {
    const std::vector<Work> pending = session.pending();
    for (auto work = pending.rbegin(); work != pending.rend(); ++work) {
      session.fail(work->id, std::make_exception_ptr(std::runtime_error("lost")));
    }
  }
  const std::vector<Failure> failures = session.result(LastState{}).failures;
  REQUIRE(failures.size() == 12);
  for (std::size_t i = 0; i < failures.size(); ++i) {
    CHECK(failures[i].lane == i / 4);
    CHECK(failures[i].round == i / 2 % 2);
    CHECK(failures[i].index == i % 2);
  }
}

TEST_CASE("the law holds for a run that was done and lost nothing") {
  std::size_t calls = 0;
  runs::Scripted policy([&](const Generation&) {
    if (++calls == 2) throw std::runtime_error("lost");
    return response_of({1});
  });
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 4}}};
  const Result survived = decoder("p", {.on_failure = OnFailure::survive});
  CHECK(survived.stop == Stop::finished);
  CHECK(survived.candidates.size() == 3);
  CHECK_FALSE(survived.law_holds);
  CHECK(decoder("p").law_holds);
  CHECK_FALSE(decoder("p", {.budget = {.policy_calls = 2}}).law_holds);
}

TEST_CASE("candidates after n units of weight are those of the shorter run") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Decoder long_run{policy, reward, QAlign{{.beta = 0.7, .steps = 40, .max_tokens = 4}}};
  Decoder short_run{policy, reward, QAlign{{.beta = 0.7, .steps = 15, .max_tokens = 4}}};
  const Population beginning = long_run("p", {.seed = 2}).candidates.first(16);
  const Population whole = short_run("p", {.seed = 2}).candidates;
  REQUIRE(beginning.size() == whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CHECK(runs::text_of(beginning[i]) == runs::text_of(whole[i]));
  }
}

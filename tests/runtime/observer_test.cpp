#include "tilt/runtime/observer.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/decoder.hpp"

using namespace tilt;
using runs::contains;

namespace {

// Writes every event down.
struct Listener {
  std::vector<std::string> heard = {};

  void on(const RunStarted& event) {
    heard.push_back("start " + std::to_string(event.run) + "/" + std::to_string(event.runs) + " " +
                    std::string(event.prompt.text()));
  }
  void on(const CandidateEmitted& event) {
    heard.push_back("candidate " + std::to_string(event.run) + " " +
                    std::to_string(event.candidate.id));
  }
  void on(const PrefixSettled& event) {
    heard.push_back("settled " + std::to_string(event.run) + " " +
                    std::to_string(event.tokens.size()));
  }
  void on(const RunProgressed& event) {
    heard.push_back("progress " + std::to_string(event.run) + " " +
                    std::to_string(event.spent.policy_calls) + "+" +
                    std::to_string(event.spent.reward_calls) + " of " +
                    std::to_string(event.candidates.size()));
  }
  void on(const RunFinished& event) {
    heard.push_back("finish " + std::to_string(event.run) + "/" + std::to_string(event.runs) + " " +
                    std::string(event.prompt.text()) + " " + name_of(event.result.stop) + " " +
                    std::to_string(event.result.candidates.size()));
  }
};

struct OnlyCandidates {
  std::size_t heard = 0;
  void on(const CandidateEmitted&) { ++heard; }
};
struct Misspelt {
  void at(const RunFinished&) {}
};
struct OfAnotherEvent {
  void on(const std::string&) {}
};

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("an observer handles at least one event") {
  STATIC_REQUIRE(Observer<Listener>);
  STATIC_REQUIRE(Observer<OnlyCandidates>);
  STATIC_REQUIRE(Observer<ProgressBar>);
  STATIC_REQUIRE_FALSE(Observer<Misspelt>);
  STATIC_REQUIRE_FALSE(Observer<OfAnotherEvent>);
  STATIC_REQUIRE_FALSE(Observer<const OnlyCandidates>);  // its hook is not const
  STATIC_REQUIRE(Handles<OnlyCandidates, CandidateEmitted>);
  STATIC_REQUIRE_FALSE(Handles<OnlyCandidates, RunFinished>);
}

TEST_CASE("notify tells those observers that handle the event") {
  Listener listener;
  OnlyCandidates counter;
  const Prompt prompt("p");
  notify(RunStarted{0, 1, prompt}, listener, counter);
  notify(CandidateEmitted{0, Candidate{}}, listener, counter);
  notify(CandidateEmitted{0, Candidate{}});
  CHECK(listener.heard.size() == 2);
  CHECK(counter.heard == 1);
}

TEST_CASE("events come in the order of what happens") {
  runs::Scripted policy(runs::numbered());
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 4, .width = 2}}};
  Listener listener;
  const std::vector<Prompt> prompts = {"a", "b"};
  const auto results = decoder.batch(prompts, {.seed = 1}, listener);
  CHECK(results.size() == 2);
  CHECK(listener.heard == std::vector<std::string>{
                              "start 0/2 a", "start 1/2 b",
                              // the first call of the policy, then of the reward
                              "progress 0 2+0 of 0", "progress 1 2+0 of 0",
                              "candidate 0 0", "candidate 0 1", "progress 0 2+2 of 2",
                              "candidate 1 0", "candidate 1 1", "progress 1 2+2 of 2",
                              "progress 0 4+2 of 2", "progress 1 4+2 of 2",
                              "candidate 0 2", "candidate 0 3", "progress 0 4+4 of 4",
                              "finish 0/2 a finished 4",
                              "candidate 1 2", "candidate 1 3", "progress 1 4+4 of 4",
                              "finish 1/2 b finished 4"});
}

TEST_CASE("every run starts once and finishes once, also one that ends at once or fails") {
  for (const Budget& budget : {Budget{}, Budget{.policy_calls = 0}, Budget{.policy_calls = 3}}) {
    runs::Scripted policy([](const Generation& work) {
      if (work.prompt.text() == "bad") throw std::runtime_error("no answer");
      return runs::response_of({1});
    });
    Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 4, .width = 2}}};
    Listener listener;
    const std::vector<Prompt> prompts = {"good", "bad", "fine"};
    (void)decoder.batch(prompts, {.budget = budget}, listener);
    std::size_t starts = 0, finishes = 0;
    for (const std::string& line : listener.heard) {
      starts += line.starts_with("start");
      finishes += line.starts_with("finish");
    }
    CHECK(starts == 3);
    CHECK(finishes == 3);
  }
}

TEST_CASE("settled prefixes are told as they grow, up to the whole response") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Decoder decoder{policy, reward,
                  Cards{{.reward_goal = 1.5,
                         .max_tokens = 4,
                         .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 1}}}};
  struct Stream {
    std::vector<std::vector<Token>> prefixes = {};
    void on(const PrefixSettled& event) {
      prefixes.emplace_back(event.tokens.begin(), event.tokens.end());
    }
  };
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    Stream stream;
    const Result result = decoder("p", {.seed = seed}, stream);
    REQUIRE(stream.prefixes.size() == result.answer.response.size());
    for (std::size_t i = 0; i < stream.prefixes.size(); ++i) {
      CHECK(stream.prefixes[i] == result.answer.response.first(i + 1).tokens);
    }
  }
}

TEST_CASE("observers change no result") {
  runs::for_each_sampler([](const std::string& name, const auto& sampler) {
    INFO(name);
    auto policy = toy::policy();
    auto reward = toy::reward();
    Decoder decoder{policy, reward, sampler, runs::Heaviest{}};
    const std::vector<Prompt> prompts = {"a", "b", "c"};
    const auto unobserved = decoder.batch(prompts, {.seed = 9});
    Listener listener;
    OnlyCandidates counter;
    std::ostringstream out;
    const auto observed =
        decoder.batch(prompts, {.seed = 9}, listener, counter, ProgressBar(out, name));
    REQUIRE(observed.size() == unobserved.size());
    std::size_t candidates = 0;
    for (std::size_t i = 0; i < observed.size(); ++i) {
      CHECK(runs::text_of(observed[i]) == runs::text_of(unobserved[i]));
      candidates += observed[i].candidates.size();
    }
    CHECK(counter.heard == candidates);
  });
}

TEST_CASE("what an observer throws ends the call") {
  struct Throwing {
    void on(const CandidateEmitted&) { throw std::runtime_error("disk full"); }
  };
  runs::Scripted policy(runs::numbered());
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 2}}};
  CHECK_THROWS_WITH(decoder("p", {}, Throwing{}), "disk full");
}

TEST_CASE("the progress bar shows prompts, tokens and the best reward, on one line") {
  std::ostringstream out;
  runs::Scripted policy([next = Token{0}](const Generation&) mutable {
    return runs::response_of({next++, 0, 0});
  });
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 2}}};
  const std::vector<Prompt> prompts = {"a", "b"};
  ProgressBar bar(out, "best-of-2");
  (void)decoder.batch(prompts, {}, bar);
  const std::string text = out.str();
  CHECK(lines_of(text) == 1);
  CHECK(text.starts_with("\rbest-of-2 ["));
  CHECK(contains(text, "[............"));
  CHECK(contains(text, "############............] 1/2 prompts"));
  CHECK(contains(text, "########################] 2/2 prompts  12 tokens"));
  CHECK(contains(text, "best 1"));
  CHECK(contains(text, "best 3"));
  CHECK(text.back() == '\n');
}

TEST_CASE("one progress bar serves one batch after another") {
  std::ostringstream out;
  runs::Scripted policy(runs::numbered());
  Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 2}}};
  ProgressBar bar(out);
  for (int i = 0; i < 3; ++i) (void)decoder("p", {}, bar);
  const std::vector<Prompt> prompts = {"a", "b"};
  (void)decoder.batch(prompts, {}, bar);
  (void)decoder.batch(std::vector<Prompt>{}, {}, bar);
  CHECK(lines_of(out.str()) == 4);
  CHECK(contains(out.str(), "1/1 prompts  2 tokens"));
  CHECK(contains(out.str(), "2/2 prompts  4 tokens"));
  CHECK_FALSE(contains(out.str(), "2/1"));
}

TEST_CASE("a shorter line of the progress bar covers the longer one before") {
  std::ostringstream out;
  ProgressBar bar(out);
  const Prompt prompt("p");
  Result result;
  result.spent.generated_tokens = 10;
  bar.on(RunStarted{0, 2, prompt});
  result.candidates.add({.reward = -1234.5678}, 0);
  bar.on(RunFinished{0, 2, prompt, result});
  const std::size_t longest = out.str().size();
  result.candidates = {};
  bar.on(RunFinished{1, 2, prompt, result});
  CHECK(out.str().size() == 2 * longest + 1);  // and the end of the line
}

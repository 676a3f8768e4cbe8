// The methods that let a model read and rewrite its own texts, each once on a real model.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "engine/test_model.hpp"
#include "support/catch.hpp"
#include "support/round_bench.hpp"
#include "tilt/decoder.hpp"
#include "tilt/reward/reward_function.hpp"
#include "tilt/sampler/prs.hpp"
#include "tilt/sampler/tpo.hpp"

using namespace tilt;

namespace {

constexpr const char* question = "What is the capital of France?";

// The policy, and what each call of it was asked and told.
struct Recorded {
  static constexpr Capabilities capabilities = llama::Policy::capabilities;
  llama::Policy& policy;
  struct Call {
    Prompt prompt;
    Usage usage;
  };
  std::vector<Call>& calls;

  void generate(std::span<const Generation> work, std::span<Response> out) {
    policy.generate(work, out);
    for (std::size_t i = 0; i < work.size(); ++i) calls.push_back({work[i].prompt, out[i].usage});
  }
};

// Short answers that name the city.
RewardFunction<double (*)(const Prompt&, const Response&)> reward() {
  return RewardFunction{+[](const Prompt&, const Response& y) {
    const bool names = y.text.find("Paris") != std::string::npos;
    return (names ? 1.0 : 0.0) - 0.01 * static_cast<double>(y.text.size());
  }};
}

double highest(const Population& population) {
  double best = -infinity;
  for (const Candidate& c : population) best = std::max(best, c.reward);
  return best;
}

// Of neighbouring calls on one prompt all but the first compute nothing of it, and every call on a
// prompt of the method's own begins with what is still held.
void check_cached(const std::vector<Recorded::Call>& calls) {
  for (std::size_t i = 1; i < calls.size(); ++i) {
    INFO("call " << i << ": " << calls[i].usage.cached_tokens << " of "
                 << calls[i].usage.prompt_tokens << " tokens cached");
    if (calls[i].prompt == calls[i - 1].prompt) {
      CHECK(calls[i].usage.cached_tokens == calls[i].usage.prompt_tokens);
    } else {
      CHECK(calls[i].usage.cached_tokens > 0);
    }
  }
}

void print(const char* name, const Result& result) {
  std::printf("%s: %zu candidates, %zu of %zu prompt tokens cached\n", name,
              result.candidates.size(), result.spent.cached_tokens, result.spent.prompt_tokens);
  for (const auto& [stat, value] : result.stats) std::printf("  %s %g\n", stat.c_str(), value);
  for (const Candidate& c : result.candidates) {
    std::printf("  [%g] %s\n", c.reward, c.response.text.c_str());
  }
}

}  // namespace

TEST_CASE("Tpo on a real model", "[engine]") {
  constexpr std::size_t n = 3;
  std::vector<Recorded::Call> calls;
  const Decoder decoder{Recorded{test::shared_policy(), calls}, reward(),
                        Tpo{{.n = n, .rounds = 1, .max_tokens = 48, .critique_max_tokens = 48}}};
  const Result result = decoder(question, {.seed = 4});
  print("Tpo", result);
  CHECK(result.stop == Stop::finished);
  REQUIRE(stat_of(result.stats, "skipped_rounds") == 0);
  CHECK(result.spent.policy_calls == n + 2 + n);
  CHECK(result.spent.reward_calls == result.candidates.size());
  double discarded = 0;
  for (const char* cause : {"length", "no_tag", "unclosed", "empty", "growth"}) {
    discarded += stat_of(result.stats, std::string("discarded_") + cause);
  }
  CHECK(discarded + static_cast<double>(result.candidates.size()) == 2 * n);
  CHECK(stat_of(result.stats, "depth") == 4);
  CHECK(result.answer.reward == highest(result.candidates));
  for (const Candidate& c : result.candidates) {
    if (c.parent == npos) continue;
    CHECK(c.response.tokens.empty());
    CHECK(c.response.text.find("</answer>") == std::string::npos);
    CHECK_FALSE(c.response.text.empty());
  }
  REQUIRE(calls.size() == 2 * n + 2);
  check_cached(calls);
}

TEST_CASE("Prs on a real model", "[engine]") {
  constexpr std::size_t n = 6, width = 3;
  std::vector<Recorded::Call> calls;
  const Decoder decoder{Recorded{test::shared_policy(), calls}, reward(),
                        Prs{{.n = n,
                             .layers = 2,
                             .max_tokens = 48,
                             .preference = "I like short answers.",
                             .feedback_max_tokens = 48}}};
  const Result result = decoder(question, {.seed = 4});
  print("Prs", result);
  CHECK(result.stop == Stop::finished);
  CHECK(result.spent.policy_calls == n + 1);
  const double blank = stat_of(result.stats, "discarded_empty");
  CHECK(static_cast<double>(result.candidates.size()) + blank == n);
  CHECK(result.spent.reward_calls == result.candidates.size());
  CHECK(stat_of(result.stats, "depth") == 3);
  CHECK(result.answer.reward == highest(result.candidates));
  for (std::size_t i = width; i < result.candidates.size(); ++i) {
    CHECK(result.candidates[i].parent < width);
    CHECK_FALSE(result.candidates[i].response.tokens.empty());
  }
  REQUIRE(calls.size() == n + 1);
  check_cached(calls);
}

#include "tilt/engine/llama/contrast_reward.hpp"

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "engine/test_model.hpp"
#include "engine/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/runs.hpp"

using tilt::Generation;
using tilt::InvalidOption;
using tilt::Message;
using tilt::Prompt;
using tilt::Response;
using tilt::RewardError;
using tilt::Scoring;
using tilt::llama::ContrastReward;
using tilt::llama::Policy;
using tilt::test::draw;
using tilt::test::forwards;
using tilt::test::shared_policy;

namespace {

const Prompt question = "Describe the sea.";
const std::string cheerful = "Answer cheerfully.";

double score(ContrastReward& reward, const Prompt& prompt, const Response& response) {
  const Scoring work = {&prompt, &response};
  double out = 0;
  try {
    reward.score({&work, 1}, {&out, 1});
  } catch (const tilt::PartialFailure& failure) {
    std::rethrow_exception(failure.causes()[0]);
  }
  return out;
}

Prompt chat(const std::string& system) {
  return Prompt::from_messages({{"system", system}, {"user", "Describe the sea."}});
}

double log_prob(Policy& policy, const Prompt& prompt, const Response& response) {
  const auto terms = policy.log_probs(prompt, response);
  return std::accumulate(terms.begin(), terms.end(), 0.0);
}

}  // namespace

TEST_CASE("the contrast reward is a difference of log-probs", "[engine]") {
  STATIC_REQUIRE(tilt::RewardModel<ContrastReward>);
  STATIC_REQUIRE(tilt::scores_prefixes(ContrastReward::partial));
  Policy& policy = shared_policy();
  const Response y = draw(policy, {.prompt = question, .max_tokens = 16, .seed = 4});
  ContrastReward reward{policy, cheerful, ""};
  const double expected = log_prob(policy, chat(cheerful), y) - log_prob(policy, question, y);
  CHECK(std::abs(score(reward, question, y) - expected) < 1e-9);
  // The other way round it is the other sign; of a prompt with itself nothing.
  ContrastReward back{policy, "", cheerful};
  CHECK(std::abs(score(back, question, y) + expected) < 1e-9);
  ContrastReward same{policy, cheerful, cheerful};
  CHECK(score(same, question, y) == 0);
}

TEST_CASE("the contrast reward replaces the system message", "[engine]") {
  Policy& policy = shared_policy();
  const Response y = draw(policy, {.prompt = question, .max_tokens = 8, .seed = 4});
  ContrastReward reward{policy, cheerful, "Be brief."};
  const double expected = score(reward, question, y);
  CHECK(score(reward, chat("Be brief."), y) == expected);
  CHECK(score(reward, chat("Something else."), y) == expected);
  CHECK(score(reward, Prompt::from_messages({{"user", "Hi"}}), y) != expected);
}

TEST_CASE("a longer prefix costs its new tokens alone", "[engine]") {
  Policy& policy = shared_policy();
  const Response y = draw(policy, {.prompt = question, .max_tokens = 24, .seed = 6});
  REQUIRE(y.tokens.size() == 24);
  ContrastReward reward{policy, cheerful, ""};
  const std::size_t context = policy.prompt_tokens(chat(cheerful)).size();

  // What was drawn under B has its log-probs already; the last token is never computed.
  double first = 0;
  CHECK(forwards(policy, [&] { first = score(reward, question, y.first(8)); }) ==
        context - 4 + 8 - 1 + 1 + 2);
  double second = 0;
  CHECK(forwards(policy, [&] { second = score(reward, question, y.first(20)); }) == 12);
  CHECK(forwards(policy, [&] { CHECK(score(reward, question, y.first(20)) == second); }) == 0);
  CHECK(forwards(policy, [&] { CHECK(score(reward, question, y.first(8)) == first); }) == 0);

  // Scored at once, in batches of another shape, it is the same number but for rounding.
  policy.clear_cache();
  CHECK(std::abs(score(reward, question, y.first(20)) - second) < 0.05 * 20);
}

TEST_CASE("many responses are scored in one batch", "[engine]") {
  Policy& policy = shared_policy();
  std::vector<Generation> work(8, {.prompt = question, .max_tokens = 8});
  std::vector<Response> out(8);
  for (std::size_t i = 0; i < work.size(); ++i) work[i].seed = i;
  policy.generate(work, out);
  out[3] = out[2];
  std::vector<Scoring> scorings;
  for (const Response& r : out) scorings.push_back({&question, &r});
  std::vector<double> rewards(8);
  ContrastReward reward{policy, cheerful, ""};
  const std::size_t calls = policy.statistics().decode_calls;
  reward.score(scorings, rewards);
  CHECK(policy.statistics().decode_calls - calls <= 3);
  CHECK(rewards[3] == rewards[2]);
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(score(reward, question, out[i]) == rewards[i]);
  }
}

TEST_CASE("an empty response has reward 0", "[engine]") {
  ContrastReward reward{shared_policy(), cheerful, ""};
  CHECK(score(reward, question, {}) == 0);
}

TEST_CASE("what a contrast reward cannot score is refused", "[engine]") {
  Policy& policy = shared_policy();
  ContrastReward reward{policy, cheerful, ""};
  Response y;
  y.tokens = {5};
  CHECK_THROWS_AS(score(reward, Prompt::from_tokens({1, 2, 3}), y), RewardError);
  Response text;
  text.text = "The sea";
  CHECK_THROWS_AS(score(reward, question, text), RewardError);
  y.tokens = {-1};
  CHECK_THROWS_AS(score(reward, question, y), RewardError);
  y.tokens.assign(4000, 5);
  CHECK(runs::contains(runs::thrown_by<RewardError>([&] { (void)score(reward, question, y); }),
                       "does not fit"));

  CHECK_NOTHROW(reward.check_law({}));
  CHECK_THROWS_AS(reward.check_law({.temperature = 0.5}), InvalidOption);
  CHECK_THROWS_AS(reward.check_law({.top_k = 5}), InvalidOption);
  CHECK_THROWS_AS(reward.check_law({.stop = {"."}}), InvalidOption);
}

TEST_CASE("a template that leaves messages out gives no contrast", "[engine]") {
  const tilt::test::TinyModel file({.special = {{"<s>", 3}, {"</s>", 3}}});
  const auto policy = [&](const char* name) {
    return Policy{file.path(),
                  {.sequences = 1, .context = 512, .threads = 1, .chat_template = name}};
  };
  const Policy no_system = policy("yandex");
  CHECK(runs::contains(
      runs::thrown_by<tilt::PolicyError>([&] { ContrastReward(no_system, cheerful, ""); }),
      "leaves out message 1 of 2, of role \"system\""));
  CHECK_NOTHROW(ContrastReward(no_system, "", ""));
  CHECK_THROWS_AS(ContrastReward(policy("none"), cheerful, ""), tilt::PolicyError);

  const Policy no_tool = policy("zephyr");
  const Policy no_tools = policy("vicuna");
  Response y;
  y.tokens = {'a', 'b'};
  const Prompt prompt = Prompt::from_messages({{"user", "Hi"}, {"tool", "It rains."}});
  ContrastReward some(no_tool, cheerful, "");
  CHECK(score(some, prompt, y) != 0);
  ContrastReward none(no_tools, cheerful, "");
  CHECK(score(none, question, y) != 0);
  CHECK(runs::contains(runs::thrown_by<RewardError>([&] { (void)score(none, prompt, y); }),
                       "leaves out message 3 of 3, of role \"tool\": \"It rains.\""));
}

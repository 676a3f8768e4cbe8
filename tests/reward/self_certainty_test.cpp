#include "tilt/reward/self_certainty.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/rewards.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/selector/borda_vote.hpp"
#include "tilt/testing/check_reward.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::Prompt;
using tilt::Response;
using tilt::RewardError;
using tilt::Scoring;
using tilt::SelfCertainty;
using tilt::Token;
using tilt::TokenSpan;

namespace {

double certainty(std::vector<double> logits) {
  return tilt::certainty_of(std::span<const double>(logits));
}

double score(const auto& reward, const Response& response, const Prompt& prompt = {}) {
  const Scoring work = {&prompt, &response};
  double out = tilt::unset;
  try {
    reward.score({&work, 1}, {&out, 1});
  } catch (const tilt::PartialFailure& failure) {
    std::rethrow_exception(failure.causes()[0]);
  }
  return out;
}

Response of_tokens(std::vector<Token> tokens) {
  Response response;
  response.tokens = std::move(tokens);
  return response;
}

// KL(uniform || p) from probabilities, term by term.
double divergence(const std::vector<double>& logits) {
  double z = 0;
  for (const double logit : logits) z += std::exp(logit);
  const auto v = static_cast<double>(logits.size());
  double sum = 0;
  for (const double logit : logits) sum -= std::log(v * std::exp(logit) / z) / v;
  return sum;
}

}  // namespace

TEST_CASE("certainty_of: known values", "[reward]") {
  CHECK(certainty({0, 0, 0, 0}) == 0);
  CHECK_THAT(certainty({-3.7, -3.7, -3.7}), WithinAbs(0, 1e-15));
  CHECK_THAT(certainty({std::log(0.9), std::log(0.1)}), WithinAbs(0.510826, 5e-7));
  CHECK_THAT(certainty({std::log(0.9), std::log(0.1)}), WithinAbs(std::log(1 / 0.6), 1e-15));
  // A constant does not matter, nor does the height: no overflow.
  CHECK_THAT(certainty({1, 2, 4}), WithinAbs(divergence({1, 2, 4}), 1e-14));
  CHECK_THAT(certainty({1e4 + 1, 1e4 + 2, 1e4 + 4}), WithinAbs(divergence({1, 2, 4}), 1e-11));
  const std::vector<float> floats = {1, 2, 4};
  CHECK_THAT(tilt::certainty_of(std::span<const float>(floats)),
             WithinAbs(divergence({1, 2, 4}), 1e-14));
}

TEST_CASE("certainty_of: impossible tokens are left out", "[reward]") {
  const double masked = certainty({std::log(0.9), -infinity, std::log(0.1), -infinity});
  CHECK_THAT(masked, WithinAbs(std::log(1 / 0.6), 1e-15));
  CHECK(certainty({-infinity, 5, -infinity}) == 0);
  CHECK(certainty({5}) == 0);
}

TEST_CASE("certainty_of: what is no law is refused", "[reward]") {
  CHECK_THROWS_AS(certainty({}), RewardError);
  CHECK_THROWS_AS(certainty({-infinity, -infinity}), RewardError);
  CHECK_THROWS_WITH(certainty({0, tilt::unset}), "the policy returned a logit of NaN");
  CHECK_THROWS_WITH(certainty({0, infinity}), "the policy returned a logit of +infinity");
}

TEST_CASE("SelfCertainty: a reward over any policy with logits", "[reward]") {
  auto policy = toy::policy();
  SelfCertainty reward{policy};
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  STATIC_REQUIRE(tilt::scores_prefixes(decltype(reward)::partial));
  STATIC_REQUIRE(tilt::HasLogits<decltype(policy)>);
  STATIC_REQUIRE(!tilt::HasSelfCertainty<decltype(policy)>);
  const Prompt prompt;
  std::vector<Response> responses;
  const tilt::testing::ResponseLaw law = toy::base_law();
  for (std::size_t i = 0; i < law.size(); ++i) responses.push_back(law.response(i));
  std::vector<Scoring> work;
  for (const Response& response : responses) work.push_back({&prompt, &response});
  std::vector<double> out(work.size());
  reward.score(work, out);
  for (std::size_t i = 0; i < responses.size(); ++i) {
    double sum = 0;
    for (std::size_t t = 0; t < responses[i].size(); ++t) {
      sum += divergence(toy::logits(TokenSpan(responses[i].tokens).first(t)));
    }
    CHECK_THAT(out[i], WithinAbs(sum / static_cast<double>(responses[i].size()), 1e-14));
  }
}

TEST_CASE("SelfCertainty: positions are those that the tokens were drawn from", "[reward][law]") {
  // Sure about the first token, less about each that follows; after the end anything may come.
  const auto logits = [](TokenSpan context) {
    const auto n = static_cast<double>(context.size());
    return std::vector<double>{4 - n, 0, 0.5 * n};
  };
  tilt::LogitPolicy policy(2, logits);
  const SelfCertainty reward{policy};
  const std::vector<Token> tokens = {0, 1, 2};
  double exact = 0, late = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    exact += divergence(logits(TokenSpan(tokens).first(t))) / 3;
    late += divergence(logits(TokenSpan(tokens).first(t + 1))) / 3;
  }
  const double seen = score(reward, of_tokens(tokens));
  law_table::expect_exact("self-certainty over positions 0 to n-1", 3, std::abs(seen - exact));
  // The authors' slice: the first law left out, the one after the end taken in.
  law_table::expect_exact_caught("self-certainty with positions 1 to n", 3, std::abs(seen - late));
  // Of one token the first law alone: the prompt is part of the context.
  CHECK_THAT(score(reward, of_tokens({1})), WithinAbs(divergence({4, 0, 0}), 1e-14));
  CHECK_THAT(score(reward, of_tokens({1}), Prompt::from_tokens({0, 0})),
             WithinAbs(divergence({2, 0, 1}), 1e-14));
}

TEST_CASE("SelfCertainty: uniform is 0 and the sampling law plays no part", "[reward]") {
  const SelfCertainty reward{
      tilt::LogitPolicy(-1, [](TokenSpan) { return std::vector<double>(5, 1.5); })};
  CHECK_THAT(score(reward, of_tokens({0, 4, 2})), WithinAbs(0, 1e-15));
  const SelfCertainty pair{tilt::LogitPolicy(-1, [](TokenSpan) {
    return std::vector<double>{std::log(0.9), std::log(0.1)};
  })};
  CHECK_THAT(score(pair, of_tokens({1, 1, 0})), WithinAbs(0.510826, 5e-7));
  Response drawn = of_tokens({1, 0});
  drawn.log_probs = drawn.raw_log_probs = {-100, -100};
  CHECK_THAT(score(pair, drawn), WithinAbs(0.510826, 5e-7));
}

TEST_CASE("SelfCertainty: masked logits are left out of the mean", "[reward]") {
  const SelfCertainty reward{tilt::LogitPolicy(-1, [](TokenSpan) {
    return std::vector<double>{std::log(0.9), std::log(0.1), -infinity};
  })};
  CHECK_THAT(score(reward, of_tokens({0, 1})), WithinAbs(std::log(1 / 0.6), 1e-14));
}

TEST_CASE("SelfCertainty: what it cannot score fails alone", "[reward]") {
  auto policy = toy::policy();
  const SelfCertainty reward{policy};
  Response text_only;
  text_only.text = "hello";
  CHECK_THROWS_AS(score(reward, Response{}), RewardError);
  CHECK_THROWS_WITH(score(reward, Response{}),
                    "an empty response has no self-certainty: it is a mean over tokens");
  CHECK_THROWS_WITH(score(reward, text_only),
                    "a response of text without token ids has no self-certainty");
  const Prompt prompt;
  const Response good = of_tokens({0, 2}), none;
  const std::vector<Scoring> work = {{&prompt, &none}, {&prompt, &good}};
  std::vector<double> out(2, tilt::unset);
  try {
    reward.score(work, out);
    FAIL("no error");
  } catch (const tilt::PartialFailure& failure) {
    CHECK(failure.causes()[0]);
    CHECK(!failure.causes()[1]);
  }
  CHECK(out[1] == score(reward, good));
  const SelfCertainty broken{tilt::LogitPolicy(-1, [](TokenSpan) {
    return std::vector<double>{0, tilt::unset};
  })};
  CHECK_THROWS_AS(score(broken, good), tilt::Error);
}

namespace {

// Works certainties out by itself.
struct OwnCertainty {
  std::vector<double> values = {};
  int calls = 0;

  void generate(std::span<const tilt::Generation>, std::span<Response>) {}
  std::vector<double> self_certainty(const Prompt&, const Response&) {
    ++calls;
    return values;
  }
  std::vector<double> logits(const Prompt&, const Response&) { throw std::runtime_error("unused"); }
};

}  // namespace

TEST_CASE("SelfCertainty: uses the policy's own certainties where it has them", "[reward]") {
  STATIC_REQUIRE(tilt::HasSelfCertainty<OwnCertainty>);
  OwnCertainty policy{.values = {1, 2, 6}};
  const SelfCertainty reward{policy};
  CHECK(score(reward, of_tokens({5, 6, 7})) == 3);
  CHECK(policy.calls == 1);  // an lvalue is held by reference
  CHECK_THROWS_WITH(score(reward, of_tokens({5, 6})),
                    "the policy gave 3 certainties for a response of 2 tokens");
  const SelfCertainty owned{OwnCertainty{.values = {4}}};
  CHECK(score(owned, of_tokens({5})) == 4);
}

TEST_CASE("SelfCertainty: Borda over it in a decoder", "[reward]") {
  auto policy = toy::policy();
  const tilt::Decoder decoder{policy, SelfCertainty{policy},
                              tilt::BestOfN{{.n = 12, .max_tokens = toy::max_tokens}},
                              tilt::BordaVote{}};
  const tilt::Result result = decoder("p", {.seed = 3});
  CHECK(result.stop == tilt::Stop::finished);
  REQUIRE(result.decision.index != tilt::npos);
  const SelfCertainty reward{policy};
  for (const tilt::Candidate& candidate : result.candidates) {
    CHECK(candidate.reward == score(reward, candidate.response));
  }
}

TEST_CASE("SelfCertainty: prefixes are those of the response, and none is made anew", "[reward]") {
  struct Watching {
    std::vector<const Response*> seen = {};
    Response whole = {};
    std::vector<double> logits(const Prompt&, const Response& prefix) {
      const auto n = static_cast<std::ptrdiff_t>(seen.size());
      CHECK(prefix.tokens == std::vector<Token>(whole.tokens.begin(), whole.tokens.begin() + n));
      CHECK(prefix.text == (n == 0 || whole.ends.empty()
                                ? std::string()
                                : whole.text.substr(0, whole.ends[seen.size() - 1])));
      CHECK(prefix.ends.size() == (whole.ends.empty() ? 0 : seen.size()));
      seen.push_back(&prefix);
      return {0, 1};
    }
  };
  for (const bool has_ends : {true, false}) {
    Watching policy;
    policy.whole = {.tokens = {3, 4, 5}, .text = "abbccc", .log_probs = {-1, -2, -3}};
    if (has_ends) policy.whole.ends = {1, 3, 6};
    const SelfCertainty reward{policy};
    const Prompt prompt;
    const Scoring work{&prompt, &policy.whole};
    double out = 0;
    reward.score({&work, 1}, {&out, 1});
    REQUIRE(policy.seen.size() == 3);
    CHECK(policy.seen[0] == policy.seen[1]);
    CHECK(policy.seen[1] == policy.seen[2]);
  }
}

#include "tilt/reward/cached.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/rewards.hpp"

using tilt::cached;
using tilt::infinity;
using tilt::Prompt;
using tilt::Response;
using tilt::Scoring;
using tilt::unset;
using Sizes = std::vector<std::size_t>;
using Texts = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

TableReward table() { return {.rewards = {{"a", 1}, {"b", 2}, {"c", 3}, {"never", -infinity}}}; }

template <class R>
double score_one(R& reward, const Prompt& prompt, const Response& response) {
  const Scoring work{&prompt, &response};
  double out = unset;
  reward.score(std::span(&work, 1), std::span(&out, 1));
  return out;
}

}  // namespace

TEST_CASE("cached: only what is not known goes to the inner reward, in one call", "[reward]") {
  TableReward inner = table();
  auto reward = cached(inner);
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  CHECK(score(reward, {"a", "b"}) == Values{1, 2});
  CHECK(score(reward, {"b", "c", "a", "never"}) == Values{2, 3, 1, -infinity});
  CHECK(score(reward, {"c", "never"}) == Values{3, -infinity});
  CHECK(inner.batches == Sizes{2, 2});
  CHECK(reward.hits() == 4);
  CHECK(reward.misses() == 4);
  CHECK(reward.size() == 4);
  CHECK(score(reward, {}).empty());
  reward.clear();
  CHECK(reward.size() == 0);
  CHECK(score(reward, {"a"}) == Values{1});
  CHECK(inner.batches == Sizes{2, 2, 1});
}

TEST_CASE("cached: a response that comes twice in a batch is scored once", "[reward]") {
  TableReward inner = table();
  auto reward = cached(inner);
  CHECK(score(reward, {"a", "b", "a", "a"}) == Values{1, 2, 1, 1});
  CHECK(inner.batches == Sizes{2});
  CHECK(reward.hits() == 2);
  CHECK(reward.misses() == 2);
}

TEST_CASE("cached: the key is the prompt, the tokens, the text and how it ended", "[reward]") {
  struct Counter {
    double calls = 0;
    void score(std::span<const Scoring> work, std::span<double> out) {
      for (std::size_t i = 0; i < work.size(); ++i) out[i] = ++calls;
    }
  };
  auto reward = cached(Counter{});
  const Prompt p("p"), q("q"), ids = Prompt::from_tokens({112});
  Response text, tokens, other, ended;
  text.text = "x";
  tokens.text = "x";
  tokens.tokens = {1, 2};
  other.text = "x";
  other.tokens = {1, 3};
  ended = tokens;
  ended.finish = tilt::Finish::length;
  CHECK(score_one(reward, p, text) == 1);
  CHECK(score_one(reward, q, text) == 2);
  CHECK(score_one(reward, ids, text) == 3);
  CHECK(score_one(reward, p, tokens) == 4);
  CHECK(score_one(reward, p, other) == 5);
  CHECK(score_one(reward, p, ended) == 6);
  CHECK(score_one(reward, p, Response{}) == 7);
  // An equal prompt made anew, and a response that differs in log-probs only, are known.
  Response with_log_probs = tokens;
  with_log_probs.log_probs = {-1, -2};
  CHECK(score_one(reward, Prompt(std::string("p")), with_log_probs) == 4);
  CHECK(score_one(reward, p, text) == 1);
}

TEST_CASE("cached: failures, NaN and +infinity are asked for again", "[reward]") {
  TableReward inner = table();
  inner.rewards["nan"] = unset;
  inner.rewards["inf"] = infinity;
  auto reward = cached(inner);
  CHECK(outcomes(reward, {"a", "?", "b", "?"}) ==
        Texts{"1", "no reward for ?", "2", "no reward for ?"});
  CHECK(reward.size() == 2);
  CHECK(outcomes(reward, {"?", "a"}) == Texts{"no reward for ?", "1"});
  CHECK(inner.batches == Sizes{3, 1});
  inner.rewards["?"] = 7;
  CHECK(score(reward, {"?"}) == Values{7});
  CHECK(score(reward, {"inf"}) == Values{infinity});
  CHECK(std::isnan(score(reward, {"nan"})[0]));
  CHECK(reward.size() == 3);
  CHECK(inner.batches.size() == 5);
  score(reward, {"inf", "nan"});
  CHECK(inner.batches.back() == 2);
}

TEST_CASE("cached: a failure of the whole call fails only what was asked for", "[reward]") {
  struct BreaksLater : TableReward {
    bool broken = false;
    void score(std::span<const Scoring> work, std::span<double> out) {
      if (broken) throw std::runtime_error("broken");
      TableReward::score(work, out);
    }
  } inner;
  inner.rewards = table().rewards;
  auto reward = cached(inner);
  CHECK(score(reward, {"a"}) == Values{1});
  inner.broken = true;
  CHECK(outcomes(reward, {"b", "a"}) == Texts{"broken", "1"});
  inner.broken = false;
  CHECK(score(reward, {"b"}) == Values{2});
}

TEST_CASE("cached: the reward used longest ago goes first", "[reward]") {
  TableReward inner = table();
  auto reward = cached(inner, {.capacity = 2});
  score(reward, {"a"});
  score(reward, {"b"});
  score(reward, {"a"});
  score(reward, {"c"});  // b goes
  CHECK(reward.size() == 2);
  CHECK(inner.batches.size() == 3);
  score(reward, {"a"});
  CHECK(inner.batches.size() == 3);
  score(reward, {"b"});
  CHECK(inner.batches.size() == 4);
  // A batch larger than the capacity is answered in full.
  CHECK(score(reward, {"c", "never", "a", "b"}) == Values{3, -infinity, 1, 2});
  CHECK(reward.size() == 2);
  CHECK_THROWS_AS(cached(inner, {.capacity = 0}), tilt::InvalidOption);
  CHECK_NOTHROW(cached(inner, {.capacity = tilt::npos}));
}

TEST_CASE("cached: can be moved, is composed, and passes on what its part says", "[reward]") {
  TableReward inner = table();
  auto reward = cached(inner);
  score(reward, {"a"});
  auto moved = std::move(reward);
  CHECK(score(moved, {"a"}) == Values{1});
  CHECK(inner.batches.size() == 1);
  CHECK(moved.hits() == 1);
  STATIC_REQUIRE(!std::is_copy_constructible_v<decltype(moved)>);

  CHECK(score(0.5 * cached(table()) + 0.5 * moved, {"b"}) == Values{2});
  STATIC_REQUIRE(!decltype(cached(WholeOnlyReward{}))::partial);
}

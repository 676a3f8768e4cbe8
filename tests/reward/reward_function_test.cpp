#include "tilt/reward/reward_function.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "tilt/core/token.hpp"
#include "tilt/testing/check_reward.hpp"

using namespace tilt;

namespace {

template <class R>
std::vector<double> score(R& reward, const Prompt& prompt, const std::vector<Response>& responses) {
  std::vector<Scoring> work;
  for (const Response& response : responses) work.push_back({&prompt, &response});
  std::vector<double> out(work.size(), unset);
  reward.score(work, out);
  return out;
}

}  // namespace

TEST_CASE("a function becomes a reward model") {
  RewardFunction reward{[](const Prompt& prompt, const Response& y) {
    return static_cast<double>(prompt.text().size()) + 10 * static_cast<double>(y.size());
  }};
  CHECK(score(reward, "ab", {{}, {.tokens = {1}}, {.tokens = {1, 2}}}) ==
        std::vector<double>{2, 12, 22});
  CHECK(score(reward, "ab", {}).empty());
  CHECK(testing::check_reward(reward, {"a", "bc"}, {Response{}, Response{.tokens = {1}}}).empty());
}

TEST_CASE("what the function returns becomes a double") {
  RewardFunction counts{
      [](const Prompt&, const Response& y) { return static_cast<int>(y.size()); }};
  CHECK(score(counts, {}, {{.tokens = {1, 2}}}) == std::vector<double>{2});
  RewardFunction floats{[](const Prompt&, const Response&) { return 0.5f; }};
  CHECK(score(floats, {}, {{}}) == std::vector<double>{0.5});
  RewardFunction yes{[](const Prompt&, const Response& y) { return y.empty(); }};
  CHECK(score(yes, {}, {{}, {.text = "x"}}) == std::vector<double>{1, 0});
  RewardFunction never{[](const Prompt&, const Response&) { return -infinity; }};
  CHECK(score(never, {}, {{}}) == std::vector<double>{-infinity});
}

TEST_CASE("what the function throws fails that response alone") {
  RewardFunction reward{[](const Prompt&, const Response& y) -> double {
    if (y.text == "bad") throw std::runtime_error("unscorable");
    return 1;
  }};
  const Prompt prompt;
  const std::vector<Response> responses = {{.text = "a"}, {.text = "bad"}, {.text = "c"}};
  const std::vector<Scoring> work = {
      {&prompt, &responses[0]}, {&prompt, &responses[1]}, {&prompt, &responses[2]}};
  std::vector<double> out(3, 7);
  try {
    reward.score(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    REQUIRE(failure.causes().size() == 3);
    CHECK(failure.causes()[0] == nullptr);
    CHECK(message_of(failure.causes()[1]) == "unscorable");
    CHECK(failure.causes()[2] == nullptr);
  }
  CHECK(out[0] == 1);
  CHECK(out[2] == 1);
}

TEST_CASE("functions may be move-only or stateful, and const ones serve const rewards") {
  RewardFunction owner{
      [held = std::make_unique<double>(3)](const Prompt&, const Response&) { return *held; }};
  CHECK(score(owner, {}, {{}}) == std::vector<double>{3});
  RewardFunction counter{[calls = 0.0](const Prompt&, const Response&) mutable { return ++calls; }};
  CHECK(score(counter, {}, {{}, {}}) == std::vector<double>{1, 2});
  const RewardFunction constant{[](const Prompt&, const Response&) { return 4.0; }};
  CHECK(score(constant, {}, {{}}) == std::vector<double>{4});
  STATIC_REQUIRE(RewardModel<const decltype(constant)>);
  STATIC_REQUIRE_FALSE(RewardModel<const decltype(counter)>);
}

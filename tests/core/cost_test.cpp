#include "tilt/core/cost.hpp"

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("costs of runs side by side: sums, but the most rounds and seconds") {
  Cost sum = {.policy_calls = 1,
              .reward_calls = 2,
              .prompt_tokens = 3,
              .cached_tokens = 4,
              .generated_tokens = 5,
              .lookahead_tokens = 6,
              .rounds = 7,
              .seconds = 8,
              .retries = 9};
  sum += Cost{.policy_calls = 10,
              .reward_calls = 20,
              .prompt_tokens = 30,
              .cached_tokens = 40,
              .generated_tokens = 50,
              .lookahead_tokens = 60,
              .rounds = 6,
              .seconds = 9,
              .retries = 90};
  CHECK(sum.policy_calls == 11);
  CHECK(sum.reward_calls == 22);
  CHECK(sum.prompt_tokens == 33);
  CHECK(sum.cached_tokens == 44);
  CHECK(sum.generated_tokens == 55);
  CHECK(sum.lookahead_tokens == 66);
  CHECK(sum.rounds == 7);
  CHECK(sum.seconds == 9);
  CHECK(sum.retries == 99);
}

// The tilted law on a real model. With r(x, y) = log p(y | x under A) - log p(y | x under B), base law B
// and beta = 1, the tilted law is the model under A, and the reward of a prefix is its exact soft value:
// rejection, CARDS without cap or clipping, and QAlign must all agree with plain sampling under A.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "tilt/engine/llama.hpp"
#include "tilt/tilt.hpp"

namespace {

constexpr std::size_t max_tokens = 8;
constexpr double ceiling = 4.5;  // above every reward seen under A
constexpr const char* question = "Describe the sea.";
constexpr const char* system_a = "Answer cheerfully.";

struct Mean {
  double value = 0, error = 0;  // standard error
};

Mean mean_of(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  for (const double v : values) squares += (v - sum / n) * (v - sum / n);
  return {sum / n, std::sqrt(squares / (n - 1) / n)};
}

bool agree(const Mean& a, const Mean& b) {
  return std::abs(a.value - b.value) < 4 * std::hypot(a.error, b.error);
}

struct Setting {
  tilt::llama::Policy policy{std::getenv("TILT_TEST_MODEL"), {.sequences = 32}};
  tilt::llama::ContrastReward reward{policy, system_a, ""};

  // The rewards of a method's answers to many copies of the question.
  template <class Sampler,
            class Selector = typename tilt::DefaultSelectorOf<Sampler>::type>
  std::vector<double> rewards(const char* name, Sampler sampler, std::size_t responses,
                              const tilt::Prompt& prompt = question, Selector selector = {}) {
    const tilt::Decoder decoder{policy, reward, std::move(sampler), std::move(selector)};
    std::vector<double> rewards;
    tilt::Cost cost;
    for (const tilt::Result& result :
         decoder.batch(std::vector<tilt::Prompt>(responses, prompt), {.seed = 7})) {
      REQUIRE(result.law_holds);
      rewards.push_back(result.answer.reward);
      cost += result.spent;
    }
    const Mean mean = mean_of(rewards);
    std::printf("%-20s mean reward %6.3f, standard error %.3f, %zu responses, %zu tokens\n", name,
                mean.value, mean.error, responses, cost.generated_tokens);
    std::fflush(stdout);
    return rewards;
  }

  // Plain sampling under A, scored by the same reward.
  Mean under_a() {
    const auto chat = tilt::Prompt::from_messages({{"system", system_a}, {"user", question}});
    const tilt::BestOfN plain{{.n = 1, .max_tokens = max_tokens}};
    return mean_of(rewards("plain under A", plain, 160, chat));
  }
};

Setting& setting() {
  static Setting shared;
  return shared;
}

}  // namespace

TEST_CASE("the tilted law on a real model: rejection", "[engine][law]") {
  const tilt::Rejection rejection{{.beta = 1,
                                   .ceiling = ceiling,
                                   .max_rejections = tilt::npos,
                                   .max_tokens = max_tokens,
                                   .parallel = 4}};
  CHECK(agree(mean_of(setting().rewards("rejection", rejection, 48)), setting().under_a()));
}

TEST_CASE("the tilted law on a real model: CARDS", "[engine][law]") {
  const tilt::Cards cards{{.beta = 1,
                           .reward_goal = ceiling,
                           .alpha = 1,
                           .max_rejections = tilt::npos,
                           .parallel = 4,
                           .max_tokens = max_tokens,
                           .segment = {.entropy = 3.0, .min_tokens = 3, .max_tokens = 5}}};
  CHECK(agree(mean_of(setting().rewards("cards", cards, 48)), setting().under_a()));
}

TEST_CASE("the tilted law on a real model: QAlign", "[engine][law]") {
  const tilt::QAlign qalign{{.beta = 1,
                             .steps = 12,
                             .fork = 3,
                             .max_tokens = max_tokens,
                             .initial_draws = 8,
                             .restart = 0.2}};
  CHECK(agree(mean_of(setting().rewards("qalign", qalign, 48)), setting().under_a()));
}

TEST_CASE("the tilted law on a real model: soft best-of-n tends to it", "[engine][law]") {
  const tilt::BestOfN draws{{.n = 64, .max_tokens = max_tokens}};
  CHECK(agree(mean_of(setting().rewards("soft best of 64", draws, 48, question, tilt::SoftBest{})),
              setting().under_a()));
}

TEST_CASE("the tilted law on a real model: plain sampling under B fails the check",
          "[engine][law][power]") {
  const tilt::BestOfN plain{{.n = 1, .max_tokens = max_tokens}};
  const std::vector<double> rewards = setting().rewards("plain under B", plain, 160);
  CHECK_FALSE(agree(mean_of(rewards), setting().under_a()));

  std::vector<double> ratios;
  for (const double r : rewards) ratios.push_back(std::exp(r));
  const Mean ratio = mean_of(ratios);
  std::printf("mean of exp r under B %.3f, standard error %.3f (1 in theory)\n", ratio.value,
              ratio.error);
  CHECK(std::abs(ratio.value - 1) < 4 * ratio.error);
}

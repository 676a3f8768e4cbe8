#include "tilt/testing/check_reward.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/toy.hpp"

using namespace tilt;
using namespace tilt::testing;

namespace {

const std::vector<Prompt> prompts = {"one", "two", Prompt::from_tokens({1, 2})};
const std::vector<Response> responses = {
    {}, {.tokens = {1}, .text = "a"}, {.tokens = {1, 2, 2}, .text = "abb"}, {.text = "text only"}};

double plain(const Scoring& work) {
  return static_cast<double>(work.response->text.size()) +
         0.1 * static_cast<double>(work.prompt->key() % 10);
}

// A reward model made of a function of the whole batch.
template <class F>
struct Batch {
  F function;
  void score(std::span<const Scoring> work, std::span<double> out) { function(work, out); }
};
template <class F>
Batch(F) -> Batch<F>;

template <class R>
std::string found(R&& reward, const RewardCheck& options = {}) {
  std::string text;
  for (const std::string& sentence : check_reward(reward, prompts, responses, options)) {
    text += sentence + '\n';
  }
  return text;
}

template <class F>
void check_caught(F function, const std::string& rule) {
  const std::string text = found(Batch{function});
  INFO("wanted: " << rule << "\nfound:\n" << text);
  CHECK(text.find(rule) != std::string::npos);
}

using Works = std::span<const Scoring>;
using Outs = std::span<double>;

}  // namespace

TEST_CASE("good rewards pass") {
  CHECK(found(toy::reward()).empty());
  CHECK(found(archetype::RewardModel(3)).empty());
  CHECK(found(no_reward).empty());
  CHECK(found(RewardFunction{[](const Prompt&, const Response& y) {
          return y.empty() ? -infinity : 1.0;
        }}).empty());
  CHECK(found(Batch{[](Works work, Outs out) {
          for (std::size_t i = 0; i < work.size(); ++i) out[i] = plain(work[i]);
        }}).empty());
}

TEST_CASE("values that are no rewards are found") {
  for (const double value : {std::nan(""), infinity}) {
    check_caught(
        [value](Works work, Outs out) {
          for (std::size_t i = 0; i < work.size(); ++i) {
            out[i] = work[i].response->text == "abb" ? value : 0;
          }
        },
        "a reward is a number or -infinity");
  }
}

TEST_CASE("rewards that depend on something else are found") {
  check_caught(
      [calls = 0.0](Works work, Outs out) mutable {
        ++calls;
        for (std::size_t i = 0; i < work.size(); ++i) out[i] = plain(work[i]) + calls;
      },
      "the same prompt and response get the same reward");
  check_caught(
      [](Works work, Outs out) {
        for (std::size_t i = 0; i < work.size(); ++i) {
          out[i] = plain(work[i]) - plain(work.front());
        }
      },
      "a reward does not depend on the batch that it is in");
  check_caught(
      [](Works work, Outs out) {  // normalised over the batch
        double mean = 0;
        for (const Scoring& one : work) mean += plain(one) / static_cast<double>(work.size());
        for (std::size_t i = 0; i < work.size(); ++i) out[i] = plain(work[i]) - mean;
      },
      "a reward does not depend on the batch that it is in");
  check_caught(
      [](Works work, Outs out) {  // padded to the longest
        for (std::size_t i = 0; i < work.size(); ++i) {
          out[i] = plain(work[i]) + (i > 0 && i < 12 && work.size() > 12 ? 1e-3 : 0);
        }
      },
      "a reward does not depend on the order of the batch");
  const Prompt* seen = nullptr;
  check_caught(
      [&seen](Works work, Outs out) {
        if (!seen && !work.empty()) seen = work.front().prompt;
        for (std::size_t i = 0; i < work.size(); ++i) {
          out[i] = static_cast<double>(work[i].prompt - seen);
        }
      },
      "a reward depends on the content of prompt and response");
}

TEST_CASE("rewards that are not written are found") {
  check_caught(
      [](Works work, Outs out) {
        for (std::size_t i = 0; i + 1 < work.size(); ++i) out[i] = 1;
        if (work.size() == 1) out[0] = 1;
      },
      "every reward of a batch is written");
  check_caught(
      [](Works work, Outs out) {  // adds to what is there
        for (std::size_t i = 0; i < work.size(); ++i) out[i] += 1;
      },
      "every reward of a batch is written");
}

TEST_CASE("failures are found with their cause") {
  check_caught([](Works, Outs) { throw std::runtime_error("no model"); },
               "an empty batch is accepted: it threw \"no model\"");
  const std::string text = found(RewardFunction{[](const Prompt&, const Response& y) -> double {
    if (y.empty()) throw std::runtime_error("nothing to score");
    return 0;
  }});
  CHECK(text == "a score succeeds: it threw \"nothing to score\"\n");
}

TEST_CASE("a tolerance forgives rounding and nothing else") {
  const auto rounds = [](double error) {
    return Batch{[error](Works work, Outs out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        out[i] = 10 + (work.size() > 1 ? error : 0);
      }
    }};
  };
  CHECK_FALSE(found(rounds(1e-6)).empty());
  CHECK(found(rounds(1e-6), {.tolerance = 1e-6}).empty());
  CHECK_FALSE(found(rounds(1e-4), {.tolerance = 1e-6}).empty());
  CHECK_THROWS_AS(found(rounds(0), {.tolerance = unset}), InvalidOption);
}

TEST_CASE("check_reward takes lists") {
  CHECK(check_reward(toy::reward(), {"x"}, {Response{}, Response{.tokens = {toy::b}}}).empty());
}

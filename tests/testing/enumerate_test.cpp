#include "tilt/testing/enumerate.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/toy.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;

namespace {

Response of(std::vector<Token> tokens) { return {.tokens = std::move(tokens)}; }

double probability_of(const ResponseLaw& law, std::vector<Token> tokens) {
  const std::size_t index = law.index_of(TokenSpan(tokens));
  return index == npos ? 0 : law.probability(index);
}

}  // namespace

TEST_CASE("enumerate gives the published numbers of the toy model") {
  const ResponseLaw p = toy::base_law();
  CHECK(p.size() == 31);
  CHECK_THAT(p.total(), WithinAbs(1, 1e-12));

  const std::vector<double> rewards = toy::rewards_of(p);
  const ResponseLaw pi = tilted(p, rewards, toy::beta);
  CHECK(pi.size() == 31);
  CHECK_THAT(pi.total(), WithinAbs(1, 1e-12));
  CHECK_THAT(std::exp(log_normalizer(p, rewards, toy::beta)), WithinAbs(1.923029, 5e-7));
  CHECK_THAT(log_normalizer(p, rewards, toy::beta), WithinAbs(0.653902, 5e-7));
  CHECK_THAT(expectation(p, rewards), WithinAbs(0.018609, 5e-7));
  CHECK_THAT(expectation(pi, rewards), WithinAbs(0.946105, 5e-7));
  CHECK_THAT(kl(pi, p), WithinAbs(0.697676, 5e-7));
  CHECK_THAT(total_variation(p, pi), WithinAbs(0.4254, 5e-5));

  const std::vector<double> lengths =
      p.evaluate([](const Response& y) { return static_cast<double>(y.size()); });
  CHECK_THAT(expectation(p, lengths), WithinAbs(2.986, 5e-4));
  CHECK_THAT(expectation(pi, lengths), WithinAbs(3.256, 5e-4));

  using toy::a, toy::b, toy::end;
  CHECK_THAT(probability_of(pi, {b, b, b, b}), WithinAbs(.128139, 5e-7));
  CHECK_THAT(probability_of(pi, {end}), WithinAbs(.098855, 5e-7));
  CHECK_THAT(probability_of(pi, {b, end}), WithinAbs(.084707, 5e-7));
  CHECK_THAT(probability_of(pi, {b, b, end}), WithinAbs(.069094, 5e-7));
  CHECK_THAT(probability_of(pi, {b, b, b, end}), WithinAbs(.057890, 5e-7));
  CHECK_THAT(probability_of(pi, {a, end}), WithinAbs(.055825, 5e-7));
  CHECK_THAT(probability_of(pi, {b, a, b, b}), WithinAbs(.051327, 5e-7));
}

TEST_CASE("enumerate gives the published numbers of the golden example for CARDS") {
  const auto entropy_after = [](std::vector<Token> context) {
    return entropy(log_softmax(cards_toy::logits(context)));
  };
  CHECK_THAT(entropy_after({}), WithinAbs(1.062455851, 5e-10));
  CHECK_THAT(entropy_after({1}), WithinAbs(0.819020206, 5e-10));
  CHECK_THAT(entropy_after({1, 0}), WithinAbs(0.816937087, 5e-10));
  CHECK_THAT(entropy_after({1, 0, 3}), WithinAbs(0.959292809, 5e-10));
  CHECK_THAT(entropy_after({2, 0}), WithinAbs(0.928029711, 5e-10));
  CHECK_THAT(cards_toy::reward_of({}), WithinAbs(1, 1e-15));
  CHECK_THAT(cards_toy::reward_of(std::vector<Token>{1, 0, 3}), WithinAbs(0.993657216, 5e-10));

  const std::vector<double> q = next_token_law(cards_toy::logits({}), cards_toy::law);
  CHECK_THAT(std::exp(q[0]), WithinAbs(0.075212, 5e-7));
  CHECK_THAT(std::exp(q[1]), WithinAbs(0.680437, 5e-7));
  CHECK_THAT(std::exp(q[2]), WithinAbs(0.244351, 5e-7));
  CHECK(q[3] == -infinity);

  const ResponseLaw root = cards_toy::segments({}, npos);
  CHECK(root.size() == 35);
  CHECK_THAT(root.total(), WithinAbs(1, 1e-12));
  for (const Response& segment : root.responses()) {
    CHECK(segment.finish == Finish::segment);
    CHECK(segment.size() >= 2);
    CHECK(segment.size() <= 4);
  }

  // Whole responses from segments: unclipped as the authors' code makes them, and clipped.
  const auto responses = [](bool clipped) {
    ResponseLaw whole;
    const auto grow = [&](const auto& self, const Response& y, double log_prob) -> void {
      if (y.size() >= cards_toy::max_tokens) return whole.add(y, log_prob);
      const ResponseLaw next =
          cards_toy::segments(y, clipped ? cards_toy::max_tokens - y.size() : npos);
      for (std::size_t i = 0; i < next.size(); ++i) {
        self(self, next.response(i), log_prob + next.log_prob(i));
      }
    };
    grow(grow, {}, 0);
    return whole;
  };
  const auto reward = [](const Response& y) { return cards_toy::reward_of(y.tokens); };

  const ResponseLaw official = responses(false);
  CHECK(official.size() == 3285);
  std::map<std::size_t, double> lengths;
  for (std::size_t i = 0; i < official.size(); ++i) {
    lengths[official.response(i).size()] += official.probability(i);
  }
  CHECK(lengths.size() == 4);
  CHECK_THAT(lengths[6], WithinAbs(0.343385, 5e-7));
  CHECK_THAT(lengths[7], WithinAbs(0.538628, 5e-7));
  CHECK_THAT(lengths[8], WithinAbs(0.091318, 5e-7));
  CHECK_THAT(lengths[9], WithinAbs(0.026669, 5e-7));
  const std::vector<double> rewards = official.evaluate(reward);
  CHECK_THAT(expectation(official, rewards), WithinAbs(0.215843, 5e-7));
  CHECK_THAT(expectation(tilted(official, rewards, cards_toy::beta), rewards),
             WithinAbs(0.744150, 5e-7));
  CHECK_THAT(cards_toy::beta * log_normalizer(official, rewards, cards_toy::beta),
             WithinAbs(0.507910033, 5e-10));

  const ResponseLaw clipped = responses(true);
  CHECK(clipped.size() == 729);
  const std::vector<double> clipped_rewards = clipped.evaluate(reward);
  CHECK_THAT(expectation(clipped, clipped_rewards), WithinAbs(0.235153546, 5e-10));
  CHECK_THAT(cards_toy::beta * log_normalizer(clipped, clipped_rewards, cards_toy::beta),
             WithinAbs(0.495438186, 5e-10));
  CHECK_THAT(probability_of(clipped, {1, 0, 3, 3, 0, 3}), WithinAbs(0.087315701, 5e-10));

  // In segments or at once: the same law.
  auto policy = cards_toy::policy();
  CHECK(total_variation(
            clipped, enumerate(policy, Prompt{}, cards_toy::max_tokens, cards_toy::law)) < 1e-12);
}

TEST_CASE("enumerate from a prefix conditions the law") {
  auto policy = toy::policy();
  const ResponseLaw whole = toy::base_law();
  const Response prefix = of({toy::b});
  const ResponseLaw rest = enumerate(policy, {.prefix = prefix, .max_tokens = 3});
  CHECK_THAT(rest.total(), WithinAbs(1, 1e-12));
  double mass = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole.response(i).tokens[0] == toy::b) mass += whole.probability(i);
  }
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::size_t at = whole.index_of(rest.response(i));
    REQUIRE(at != npos);
    CHECK_THAT(rest.probability(i), WithinAbs(whole.probability(at) / mass, 1e-12));
  }
}

TEST_CASE("enumerate follows the prompt's ids") {
  auto policy = toy::policy();
  const ResponseLaw after_b = enumerate(policy, Prompt::from_tokens({toy::b}), 3);
  const ResponseLaw rest = enumerate(policy, {.prefix = of({toy::b}), .max_tokens = 3});
  REQUIRE(after_b.size() == rest.size());
  for (std::size_t i = 0; i < rest.size(); ++i) {
    CHECK(rest.response(i).first(0).tokens.empty());
    CHECK_THAT(after_b.log_prob(i), WithinAbs(rest.log_prob(i), 1e-12));
  }
}

TEST_CASE("enumerated responses are complete: text, ends, log-probs and finish") {
  auto policy = toy::policy();
  const ResponseLaw law = enumerate(policy, Prompt{}, 3, {.temperature = 0.5});
  const std::size_t at = law.index_of(TokenSpan(std::vector<Token>{toy::b, toy::a, toy::end}));
  REQUIRE(at != npos);
  const Response& y = law.response(at);
  CHECK(y.text == "1 0");
  CHECK(y.ends == std::vector<std::uint32_t>{1, 3, 3});
  CHECK(y.finish == Finish::stop);
  CHECK_THAT(y.log_probs[0] + y.log_probs[1] + y.log_probs[2], WithinAbs(law.log_prob(at), 1e-12));
  // Weights 2, 1, .5 at the root; squared 4, 1, .25.
  CHECK_THAT(y.raw_log_probs[0], WithinAbs(std::log(1 / 3.5), 1e-12));
  CHECK_THAT(y.log_probs[0], WithinAbs(std::log(1 / 5.25), 1e-12));
  const std::size_t cut = law.index_of(TokenSpan(std::vector<Token>{toy::b, toy::a, toy::a}));
  REQUIRE(cut != npos);
  CHECK(law.response(cut).finish == Finish::length);
}

TEST_CASE("enumerate honours stop tokens and stop strings, also over the prefix's border") {
  auto policy = toy::policy();
  SECTION("a stop token ends the response and stays in it") {
    const ResponseLaw law = enumerate(policy, Prompt{}, 3, {.stop_tokens = {toy::b}});
    CHECK_THAT(law.total(), WithinAbs(1, 1e-12));
    CHECK(law.index_of(of({toy::b})) != npos);
    CHECK(law.index_of(of({toy::b, toy::a, toy::a})) == npos);
    CHECK(law.response(law.index_of(of({toy::a, toy::b}))).finish == Finish::stop);
  }
  SECTION("a stop string") {
    const ResponseLaw law = enumerate(policy, Prompt{}, 3, {.stop = {"0 1"}});
    CHECK_THAT(law.total(), WithinAbs(1, 1e-12));
    CHECK(law.index_of(of({toy::a, toy::b})) != npos);
    CHECK(law.index_of(of({toy::a, toy::b, toy::a})) == npos);
  }
  SECTION("a stop string that begins in the prefix; one that is all prefix does not count") {
    const Response prefix = {
        .tokens = {toy::b, toy::a, toy::b, toy::a}, .text = "1 0 1 0", .ends = {1, 3, 5, 7}};
    const ResponseLaw law =
        enumerate(policy, {.prefix = prefix, .max_tokens = 2, .law = {.stop = {"0 1"}}});
    CHECK(law.index_of(of({toy::b, toy::a, toy::b, toy::a, toy::b})) != npos);
    CHECK(law.index_of(of({toy::b, toy::a, toy::b, toy::a, toy::a, toy::b})) != npos);
    CHECK(law.index_of(of({toy::b, toy::a, toy::b, toy::a})) == npos);
  }
}

TEST_CASE("next_token_law follows the definition") {
  // Probabilities .1 .2 .4 .2 .1, so that two pairs tie.
  const std::vector<double> logits = {std::log(.1), std::log(.2), std::log(.4), std::log(.2),
                                      std::log(.1)};
  const auto law_of = [&](const SamplingLaw& law) {
    std::vector<double> law_now = next_token_law(logits, law);
    for (double& value : law_now) value = std::exp(value);
    return law_now;
  };
  const auto same = [](const std::vector<double>& seen, const std::vector<double>& expected) {
    REQUIRE(seen.size() == expected.size());
    for (std::size_t i = 0; i < seen.size(); ++i)
      CHECK_THAT(seen[i], WithinAbs(expected[i], 1e-12));
  };
  same(law_of({}), {.1, .2, .4, .2, .1});
  same(law_of({.temperature = 0.5}), {.01 / .26, .04 / .26, .16 / .26, .04 / .26, .01 / .26});
  same(law_of({.temperature = 0}), {0, 0, 1, 0, 0});
  same(law_of({.top_k = 2}), {0, 1. / 3, 2. / 3, 0, 0});
  same(law_of({.top_k = 4}), {.1 / .9, .2 / .9, .4 / .9, .2 / .9, 0});
  same(law_of({.top_k = 9}), {.1, .2, .4, .2, .1});
  same(law_of({.top_p = 0.5}), {0, 1. / 3, 2. / 3, 0, 0});
  same(law_of({.top_p = 0.7}), {0, .25, .5, .25, 0});
  same(law_of({.top_p = 1e-9}), {0, 0, 1, 0, 0});
  same(law_of({.min_p = 0.4}), {0, .25, .5, .25, 0});
  same(law_of({.min_p = 0.6}), {0, 0, 1, 0, 0});
  // top_p counts what top_k has left: .4 and .2 of .8 are less than .9 of it.
  same(law_of({.top_k = 3, .top_p = 0.9}), {0, .25, .5, .25, 0});
  same(law_of({.top_k = 3, .top_p = 0.7}), {0, 1. / 3, 2. / 3, 0, 0});
}

TEST_CASE("a law joins equal responses, and tells responses without tokens apart by their text") {
  ResponseLaw law;
  law.add({.text = "yes"}, std::log(.25));
  law.add({.text = "no"}, std::log(.25));
  law.add({.text = "yes"}, std::log(.5));
  CHECK(law.size() == 2);
  CHECK_THAT(law.probability(law.index_of({.text = "yes"})), WithinAbs(.75, 1e-12));
  CHECK(law.index_of({.text = "maybe"}) == npos);
  CHECK(law.index_of(of({1})) == npos);
  law.add({.tokens = {1}, .text = "yes"}, -infinity);
  CHECK(law.size() == 3);
  CHECK(law.index_of({.tokens = {1}, .text = "other spelling"}) == 2);
}

TEST_CASE("distances of laws with different supports") {
  ResponseLaw p, q;
  p.add(of({0}), std::log(.5));
  p.add(of({1}), std::log(.5));
  q.add(of({1}), std::log(.25));
  q.add(of({2}), std::log(.75));
  CHECK_THAT(total_variation(p, q), WithinAbs(.75, 1e-12));
  CHECK(kl(p, q) == infinity);
  CHECK(kl(p, p) == 0);
  CHECK_THAT(total_variation(p.probabilities(), q.probabilities()), WithinAbs(.25, 1e-12));
}

TEST_CASE("rewards of -infinity take a response out of the tilted law") {
  const ResponseLaw p = toy::base_law();
  std::vector<double> rewards(p.size(), 0.0);
  rewards[3] = -infinity;
  const ResponseLaw pi = tilted(p, rewards, 1);
  CHECK(pi.probability(3) == 0);
  CHECK_THAT(pi.total(), WithinAbs(1, 1e-12));
  CHECK_THAT(pi.probability(0), WithinAbs(p.probability(0) / (1 - p.probability(3)), 1e-12));
}

TEST_CASE("enumerate refuses what is too large") {
  LogitPolicy uniform{-1, [](TokenSpan) { return std::vector<double>(200, 0.0); }};
  CHECK_THROWS_AS(enumerate(uniform, Prompt{}, 3), Error);
}

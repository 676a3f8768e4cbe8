#include "tilt/sampler/cards.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/reward/combine.hpp"
#include "tilt/reward/self_certainty.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;

namespace {

// Segments of two tokens under a flat threshold of 0.
CardsOptions flat(std::size_t max_rejections = 20, std::size_t parallel = 1) {
  return {.beta = 1,
          .reward_goal = 0,
          .alpha = 1,
          .max_rejections = max_rejections,
          .parallel = parallel,
          .max_tokens = 6,
          .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 2}};
}

Response segment(std::vector<Token> tokens) { return tokens_of(std::move(tokens), Finish::length); }

struct WholeOnly {
  bool can = false;
  [[nodiscard]] bool partial() const { return can; }
  void score(std::span<const Scoring>, std::span<double>) const {}
};
struct NoSegments {
  static constexpr Capabilities capabilities = {.tokens = true};
  void generate(std::span<const Generation> work, std::span<Response> out) {
    for (std::size_t i = 0; i < work.size(); ++i) {
      CHECK_FALSE(work[i].until);
      out[i].tokens.assign(work[i].max_tokens, 1);
      out[i].finish = Finish::length;
    }
  }
};
struct NoSegmentsLoaded {  // says so when asked, not when compiled
  [[nodiscard]] Capabilities capabilities() const { return {.tokens = true}; }
  void generate(std::span<const Generation>, std::span<Response>) {}
};

}  // namespace

TEST_CASE("Cards refuses options out of range and names them") {
  const auto build = [](CardsOptions options) { return [options] { Cards{options}; }; };
  expect_refused(build({.beta = 0}), "CardsOptions.beta", "0");
  expect_refused(build({.beta = unset}), "CardsOptions.beta", "nan");
  expect_refused(build({.reward_goal = infinity}), "CardsOptions.reward_goal", "inf");
  expect_refused(build({.reward_goal = -infinity}), "CardsOptions.reward_goal", "-inf");
  expect_refused(build({.alpha = -0.5}), "CardsOptions.alpha", "-0.5");
  expect_refused(build({.alpha = 1.5}), "CardsOptions.alpha", "1.5");
  expect_refused(build({.alpha = unset}), "CardsOptions.alpha", "nan");
  expect_refused(build({.parallel = 0}), "CardsOptions.parallel", "0");
  for (const std::size_t n : {npos - 1, npos / 2, (std::size_t{1} << 20) + 1}) {
    expect_refused(build({.max_rejections = n}), "CardsOptions.max_rejections", to_text(n));
    expect_refused(build({.parallel = n}), "CardsOptions.parallel", to_text(n));
    expect_refused(build({.max_tokens = n}), "CardsOptions.max_tokens", to_text(n));
    expect_refused(build({.pilot_draws = n}), "CardsOptions.pilot_draws", to_text(n));
  }
  expect_refused(build({.max_tokens = 0}), "CardsOptions.max_tokens", "0");
  expect_refused(build({.segment = {.entropy = unset}}), "CardsOptions.segment.entropy", "nan");
  expect_refused(build({.segment = {.entropy = -1}}), "CardsOptions.segment.entropy", "-1");
  expect_refused(build({.segment = {.min_tokens = 0}}), "CardsOptions.segment.min_tokens", "0");
  expect_refused(build({.segment = {.min_tokens = 9, .max_tokens = 8}}),
                 "CardsOptions.segment.max_tokens", "8");
  expect_refused(build({.law = {.temperature = infinity}}), "CardsOptions.law.temperature", "inf");
  expect_refused(build({.pilot_draws = 4, .pilot_quantile = 1.5}), "CardsOptions.pilot_quantile",
                 "1.5");
  expect_refused(build({.reward_goal = 1, .pilot_draws = 4}), "CardsOptions.pilot_draws", "4");
  CHECK_NOTHROW(Cards{{}});
  CHECK_NOTHROW(Cards{{.max_rejections = 0}});
  CHECK_NOTHROW(Cards{{.pilot_draws = 4}});
  CHECK_NOTHROW(Cards{{.segment = {.entropy = infinity}}});
}

TEST_CASE("a goal must be given, or found by pilot draws") {
  expect_refused([] { Decoder(toy::policy(), toy::reward(), Cards{{}}); },
                 "CardsOptions.reward_goal", "nan");
  expect_refused([] { Session(Cards{{}}, ""); }, "CardsOptions.reward_goal", "nan");
  CHECK_NOTHROW(Decoder(toy::policy(), toy::reward(), Cards{{.pilot_draws = 1}}));
}

TEST_CASE("what the policy and the reward must be able to do") {
  expect_refused([] { Decoder(toy::policy(), WholeOnly{}, Cards{{.reward_goal = 1}}); },
                 "RewardModel.partial", "false");
  CHECK_NOTHROW(Decoder(toy::policy(), WholeOnly{true}, Cards{{.reward_goal = 1}}));
  expect_refused([] { Decoder(NoSegments{}, toy::reward(), Cards{{.reward_goal = 1}}); },
                 "Policy.capabilities.segments", "false");
  expect_refused([] { Decoder(NoSegmentsLoaded{}, toy::reward(), Cards{{.reward_goal = 1}}); },
                 "Policy.capabilities.segments", "false");
  // A mean over tokens says nothing of the bare prompt, alone or in a sum.
  auto model = toy::policy();
  expect_refused([&] { Decoder(model, SelfCertainty{model}, Cards{{.reward_goal = 1}}); },
                 "RewardModel.scores_bare_prompt", "false");
  expect_refused(
      [&] {
        Decoder(model, weighted(1, toy::reward(), 2, SelfCertainty{model}),
                Cards{{.reward_goal = 1}});
      },
      "RewardModel.scores_bare_prompt", "false");
  CHECK_NOTHROW(Decoder(model, SelfCertainty{model}, Cards{{.reward_goal = 1, .alpha = 1}}));
  // Segments of fixed length are served by any policy of tokens.
  Decoder decoder(NoSegments{}, toy::reward(),
                  Cards{{.reward_goal = 1,
                         .max_tokens = 5,
                         .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 2}}});
  CHECK(decoder("").answer.response.tokens == std::vector<Token>{1, 1, 1, 1, 1});
}

TEST_CASE("the published options") {
  const CardsOptions paper = cards_paper(8.5);
  CHECK(paper.beta == 0.7);
  CHECK(paper.reward_goal == 8.5);
  CHECK(paper.alpha == 0.5);
  CHECK(paper.max_rejections == 20);
  CHECK(paper.parallel == 1);
  CHECK(paper.max_tokens == 128);
  CHECK(paper.segment == SegmentRule{.entropy = 3, .min_tokens = 4, .max_tokens = 64});
  CHECK(paper.law == SamplingLaw{.temperature = 0.7, .top_k = 40});
  CHECK(paper.official);
  CHECK(std::isnan(cards_paper().reward_goal));
  CHECK_NOTHROW(Cards{cards_paper()});
}

TEST_CASE("the bare prompt is scored first, once, and not at all where it plays no part") {
  SECTION("scored") {
    CardsOptions options = flat();
    options.alpha = 0.25;
    options.reward_goal = 4;
    RoundBench bench(Cards{options}, 1, "why");
    const auto asked = bench.ask();
    REQUIRE(asked.size() == 1);
    CHECK_FALSE(asked[0].to_generate);
    CHECK(asked[0].to_score);
    CHECK(asked[0].work.prompt == Prompt("why"));
    CHECK(asked[0].response.empty());
    bench.answer(0, {}, -2);
    bench.tell();
    CHECK(bench.population.empty());
    CHECK_THAT(bench.state.first_threshold, WithinAbs(0.75 * -2 + 0.25 * 4, 1e-12));
    REQUIRE(bench.ask().size() == 1);
    CHECK(bench.round.draws()[0].to_generate);
  }
  SECTION("flat at the goal") {
    RoundBench bench(Cards{flat()});
    REQUIRE(bench.ask().size() == 1);
    CHECK(bench.round.draws()[0].to_generate);
    CHECK(bench.state.first_threshold == 0);
  }
  SECTION("a prompt of reward -infinity makes it flat") {
    CardsOptions options = flat();
    options.alpha = 0.5;
    RoundBench bench(Cards{options});
    bench.ask();
    bench.answer(0, {}, -infinity);
    bench.tell();
    CHECK(bench.state.first_threshold == 0);
    CHECK_FALSE(bench.state.done);
  }
  SECTION("without the prompt's reward there is no threshold") {
    CardsOptions options = flat();
    options.alpha = 0.5;
    RoundBench bench(Cards{options});
    bench.ask();
    bench.fail(0);
    bench.tell();
    CHECK(bench.state.done);
    CHECK(bench.ask().empty());
  }
}

TEST_CASE("a response grows by committed segments") {
  RoundBench bench(Cards{flat()});
  REQUIRE(bench.ask().size() == 1);
  CHECK(bench.round.draws()[0].work.prefix.empty());
  CHECK(bench.round.draws()[0].work.max_tokens == 2);
  CHECK_FALSE(bench.round.draws()[0].work.until);
  bench.answer(0, segment({1, 2}), 5);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(bench.population[0].weight == 0);
  CHECK(bench.population[0].parent == npos);
  CHECK(bench.population[0].response.finish == Finish::segment);
  CHECK(std::ranges::equal(bench.round.settled(), std::vector<Token>{1, 2}));

  REQUIRE(bench.ask().size() == 1);
  CHECK(bench.round.draws()[0].work.prefix.tokens == std::vector<Token>{1, 2});
  bench.answer(0, segment({1, 2, 9, 9}), -1e5);
  bench.tell();
  CHECK(bench.population.size() == 1);  // rejected
  REQUIRE(bench.ask().size() == 1);
  CHECK(bench.round.draws()[0].work.prefix.tokens == std::vector<Token>{1, 2});
  bench.answer(0, segment({1, 2, 3, 4}), 5);
  bench.tell();
  CHECK(bench.population[1].parent == bench.population[0].id);
  CHECK_FALSE(bench.sampler.law_holds({&bench.state, 1}));
  REQUIRE(bench.ask().size() == 1);
  bench.answer(0, segment({1, 2, 3, 4, 5, 6}), 7);
  bench.tell();
  CHECK(bench.ask().empty());
  REQUIRE(bench.population.size() == 3);
  CHECK(bench.population[2].weight == 1);
  CHECK(bench.population[2].reward == 7);
  CHECK(bench.population[2].response.finish == Finish::length);
  CHECK(bench.sampler.law_holds({&bench.state, 1}));
  CHECK(bench.state.segments == 3);
  CHECK(bench.state.candidates == 4);
  CHECK(bench.state.accepts == 3);
}

TEST_CASE("an end token is the end, wherever it stands") {
  RoundBench bench(Cards{flat()});
  bench.ask();
  bench.answer(0, tokens_of({2}, Finish::stop), 5);
  bench.tell();
  CHECK(bench.ask().empty());
  CHECK(bench.population[0].weight == 1);
  CHECK(bench.population[0].response.finish == Finish::stop);

  CardsOptions official = flat();
  official.official = true;
  RoundBench same(Cards{official});
  same.ask();
  same.answer(0, tokens_of({2}, Finish::stop), 50);
  same.tell();
  CHECK(same.ask().empty());
}

TEST_CASE("the last segment is clipped, but not in the official mode") {
  const auto asked = [](bool official, double entropy) {
    CardsOptions options = flat();
    options.official = official;
    options.segment = {.entropy = entropy, .min_tokens = 2, .max_tokens = 4};
    RoundBench bench(Cards{options});
    bench.state.accepted = tokens_of({1, 1, 1, 1, 1});
    bench.index = 1;
    return bench.ask()[0].work;
  };
  CHECK(asked(false, infinity).max_tokens == 1);
  CHECK(asked(false, 1.0).max_tokens == 1);
  CHECK(asked(true, infinity).max_tokens == 4);
  CHECK(asked(true, 1.0).max_tokens == 4);
  CHECK(asked(false, 1.0).until == SegmentRule{.entropy = 1, .min_tokens = 2, .max_tokens = 4});
  CHECK_FALSE(asked(false, infinity).until);

  CardsOptions options = flat();
  options.official = true;
  RoundBench bench(Cards{options});
  bench.state.accepted = tokens_of({1, 1, 1, 1, 1});
  bench.index = 1;
  bench.ask();
  bench.answer(0, tokens_of({1, 1, 1, 1, 1, 2, 3}, Finish::segment), 50);
  bench.tell();
  CHECK(bench.ask().empty());
  CHECK(bench.population[0].response.size() == 7);
  CHECK(bench.population[0].response.finish == Finish::length);
}

TEST_CASE("a full segment in mid-response is not taken for the end of the response") {
  // The reward of a prefix can see that it is one.
  std::vector<std::pair<std::size_t, Finish>> seen;
  RewardFunction reward{[&](const Prompt&, const Response& y) {
    seen.emplace_back(y.size(), y.finish);
    return 1.0;
  }};
  Decoder decoder{cards_toy::policy(), reward,
                  Cards{{.reward_goal = 1,
                         .max_tokens = 7,
                         .segment = {.entropy = 1.3, .min_tokens = 1, .max_tokens = 3}}}};
  const Result result = decoder("");
  CHECK(result.answer.response.size() == 7);
  REQUIRE(seen.size() > 2);
  for (const auto& [size, finish] : seen) {
    CHECK(finish == (size == 7 ? Finish::length : Finish::segment));
  }
}

TEST_CASE("of a round the lowest candidate that passes is committed, the others are not used") {
  RoundBench bench(Cards{flat(20, 4)});
  REQUIRE(bench.ask().size() == 4);
  bench.answer(0, segment({0}), -1e5);
  bench.answer(1, segment({1}), 1);
  bench.answer(2, segment({2}), 9);
  bench.answer(3, segment({3}), 1);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(bench.population[0].response.tokens == std::vector<Token>{1});
  CHECK(bench.state.candidates == 2);
}

TEST_CASE("after the cap the best of all is committed, the earliest of equals") {
  RoundBench bench(Cards{flat(4, 3)});
  REQUIRE(bench.ask().size() == 3);
  for (const std::size_t i : {0u, 1u, 2u}) {
    bench.answer(i, segment({static_cast<Token>(i)}), i == 1 ? -1e5 : -2e5);
  }
  bench.tell();
  CHECK(bench.population.empty());
  REQUIRE(bench.ask().size() == 2);  // 4 + 1 - 3 are left
  bench.answer(0, segment({3}), -1e5);
  bench.answer(1, segment({4}), -1e5);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(bench.population[0].response.tokens == std::vector<Token>{1});
  CHECK(bench.state.capped == 1);
  // The next segment begins to count anew.
  CHECK(bench.state.tried == 0);
  CHECK_FALSE(bench.state.best);
  CHECK(bench.ask().size() == 3);
}

TEST_CASE("equal rewards, all rejected: the first candidate is committed") {
  RoundBench bench(Cards{flat(20)});
  for (Token i = 0; i <= 20; ++i) {
    REQUIRE(bench.ask().size() == 1);
    bench.answer(0, segment({i}), -1e5);
    bench.tell();
    CHECK(bench.population.size() == (i == 20 ? 1 : 0));
  }
  CHECK(bench.population[0].response.tokens == std::vector<Token>{0});
}

TEST_CASE("the candidate that ends the search is taken as it is, without a test") {
  RoundBench bench(Cards{flat(0)});
  bench.ask();
  bench.answer(0, segment({7}), -infinity);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(bench.state.capped == 1);
  CHECK(bench.state.accepts == 0);
}

TEST_CASE(
    "failed candidates count as rejections, and if all of a segment fail the run ends there") {
  RoundBench bench(Cards{flat(2)});
  bench.ask();
  bench.fail(0);
  bench.tell();
  bench.ask();
  bench.answer(0, segment({1}), -1e5);
  bench.tell();
  bench.ask();
  bench.fail(0);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(bench.population[0].response.tokens == std::vector<Token>{1});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(bench.ask().size() == 1);
    bench.fail(0);
    bench.tell();
  }
  CHECK(bench.ask().empty());
  CHECK(bench.population.size() == 1);
  Random random(1);
  CHECK(LastState{}(bench.population, random).index == 0);
}

TEST_CASE(
    "a run that is ended early has the longest prefix, or its first segment's best candidate") {
  SECTION("within the first segment") {
    RoundBench bench(Cards{flat(20, 3)});
    bench.ask();
    bench.answer(0, segment({0}), -2e5);
    bench.answer(1, segment({1}), -1e5);
    bench.tell_closing();
    REQUIRE(bench.population.size() == 1);
    CHECK(bench.population[0].response.tokens == std::vector<Token>{1});
    CHECK(bench.population[0].weight == 0);
  }
  SECTION("later") {
    RoundBench bench(Cards{flat()});
    bench.ask();
    bench.answer(0, segment({0}), 1);
    bench.tell();
    bench.ask();
    bench.answer(0, segment({0, 1}), -1e5);
    bench.tell_closing();
    REQUIRE(bench.population.size() == 1);
    CHECK(bench.population[0].response.tokens == std::vector<Token>{0});
  }
  SECTION("through the decoder") {
    Decoder decoder{cards_toy::policy(), cards_toy::reward(),
                    Cards{{.reward_goal = 100,
                           .max_rejections = npos,
                           .max_tokens = 6,
                           .segment = cards_toy::segment}}};
    const Result result = decoder("", {.budget = {.reward_calls = 9}});
    CHECK(result.stop == Stop::reward_calls);
    CHECK(result.candidates.size() == 1);
    CHECK_FALSE(result.answer.response.empty());
    CHECK_FALSE(result.law_holds);
  }
}

TEST_CASE("pilot draws set the goal") {
  const auto options = [](double alpha) {
    CardsOptions o = flat();
    o.reward_goal = unset;
    o.alpha = alpha;
    o.pilot_draws = 4;
    o.pilot_quantile = 0.5;
    return o;
  };
  SECTION("by a quantile of their rewards, beside the prompt's") {
    RoundBench bench(Cards{options(0.5)});
    const auto asked = bench.ask();
    REQUIRE(asked.size() == 5);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(asked[i].to_generate);
      CHECK(asked[i].work.max_tokens == 6);
      CHECK_FALSE(asked[i].work.until);
      bench.answer(i, tokens_of({static_cast<Token>(i)}), static_cast<double>(i));
    }
    CHECK_FALSE(asked[4].to_generate);
    bench.answer(4, {}, 0.5);
    bench.tell();
    CHECK(bench.state.goal == 1.5);
    CHECK(bench.state.first_threshold == 1);
    REQUIRE(bench.population.size() == 4);
    CHECK(bench.population.total_weight() == 0);
    CHECK(bench.ask().size() == 1);
  }
  SECTION("flat at alpha = 1, and failed ones are left out") {
    RoundBench bench(Cards{options(1)});
    REQUIRE(bench.ask().size() == 4);
    bench.answer(0, tokens_of({0}), 3);
    bench.fail(1);
    bench.answer(2, tokens_of({2}), 5);
    bench.fail(3);
    bench.tell();
    CHECK(bench.state.goal == 4);
    CHECK(bench.ask().size() == 1);
    CHECK(bench.state.first_threshold == 4);
  }
  SECTION("-infinity says nothing about the goal") {
    RoundBench bench(Cards{options(1)});
    bench.ask();
    for (std::size_t i = 0; i < 4; ++i) {
      bench.answer(i, tokens_of({0}), i == 2 ? 7 : -infinity);
    }
    bench.tell();
    CHECK(bench.state.goal == 7);
    CHECK(bench.population.size() == 4);
  }
  SECTION("nothing to set it by: the run ends with the pilots") {
    RoundBench bench(Cards{options(1)});
    bench.ask();
    for (std::size_t i = 0; i < 4; ++i) bench.answer(i, tokens_of({0}), -infinity);
    bench.tell();
    CHECK(bench.ask().empty());
    CHECK(bench.population.size() == 4);
    RewardFunction impossible{[](const Prompt&, const Response&) { return -infinity; }};
    const Result result = Decoder{cards_toy::policy(), impossible, Cards{options(1)}}("");
    CHECK(result.stop == Stop::finished);
    CHECK(result.candidates.size() == 4);
    CHECK_FALSE(result.law_holds);
  }
  SECTION("in the stats and the cost") {
    CardsOptions o = options(0.5);
    o.max_rejections = npos;
    Decoder decoder{toy::policy(), toy::reward(), Cards{o}};
    const Result result = decoder("", {.seed = 8});
    CHECK(std::isfinite(stat_of(result.stats, "reward_goal")));
    CHECK(static_cast<double>(result.spent.reward_calls) ==
          5 + stat_of(result.stats, "candidates"));
    CHECK(result.spent.policy_calls == result.spent.reward_calls - 1);
  }
}

TEST_CASE("diagnostics of Cards") {
  RoundBench bench(Cards{flat(1)});
  const auto candidate = [&](Response y, double reward) {
    REQUIRE(bench.ask().size() == 1);
    bench.answer(0, std::move(y), reward);
    bench.tell();
  };
  candidate(segment({1, 1}), 3);              // accepted, above the threshold
  candidate(segment({1, 1, 2, 2}), -1e5);     // rejected
  candidate(segment({1, 1, 3, 3}), -1e5);     // by the cap
  candidate(segment({1, 1, 2, 2, 4, 4}), 0);  // accepted at the threshold itself
  CHECK(bench.ask().empty());
  CHECK(bench.population[1].response.tokens == std::vector<Token>{1, 1, 2, 2});
  const Stats stats = bench.sampler.stats({&bench.state, 1}, bench.population);
  CHECK(stat_of(stats, "segments") == 3);
  CHECK(stat_of(stats, "candidates") == 4);
  CHECK(stat_of(stats, "acceptance") == 0.5);
  CHECK_THAT(stat_of(stats, "cap_rate"), WithinAbs(1. / 3, 1e-12));
  CHECK(stat_of(stats, "clip_rate") == 0.25);
  CHECK(stat_of(stats, "reward_goal") == 0);
}

TEST_CASE("what is counted is what the model and the reward were asked for") {
  std::size_t positions = 0, scored = 0;
  LogitPolicy policy{-1, [&](TokenSpan context) {
                       ++positions;
                       return cards_toy::logits(context);
                     }};
  RewardFunction reward{[&](const Prompt&, const Response& y) {
    ++scored;
    return cards_toy::reward_of(y.tokens);
  }};
  for (const bool official : {false, true}) {
    for (const std::size_t parallel : {1u, 3u}) {
      Decoder decoder{policy, reward,
                      Cards{{.beta = 0.7,
                             .reward_goal = 1.2,
                             .max_rejections = 6,
                             .parallel = parallel,
                             .max_tokens = 6,
                             .segment = cards_toy::segment,
                             .law = cards_toy::law,
                             .official = official}}};
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        positions = scored = 0;
        const Result result = decoder("", {.seed = seed});
        CHECK(result.spent.reward_calls == scored);
        CHECK(result.spent.generated_tokens + result.spent.lookahead_tokens == positions);
        CHECK(result.spent.policy_calls + 1 == scored);
        if (parallel == 1) {
          CHECK(static_cast<double>(scored) == 1 + stat_of(result.stats, "candidates"));
        }
      }
    }
  }
}

TEST_CASE("what is committed is what the model itself says after rejections") {
  // Log-probs, text and reward of a response made of segments are those of the response made
  // afresh.
  auto policy = cards_toy::policy();
  Decoder decoder{policy, cards_toy::reward(),
                  Cards{{.beta = 0.7,
                         .reward_goal = 1.2,
                         .max_rejections = 6,
                         .max_tokens = 6,
                         .segment = cards_toy::segment,
                         .law = cards_toy::law}}};
  std::size_t rejected = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Result result = decoder("", {.seed = seed});
    for (const Candidate& candidate : result.candidates) {
      const Response& y = candidate.response;
      CHECK(candidate.reward == cards_toy::reward_of(y.tokens));
      const std::vector<double> fresh = policy.log_probs("", y, cards_toy::law);
      REQUIRE(y.log_probs.size() == fresh.size());
      for (std::size_t i = 0; i < fresh.size(); ++i) {
        CHECK_THAT(y.log_probs[i], WithinAbs(fresh[i], 1e-14));
      }
      std::string text;
      for (const Token token : y.tokens) policy.append_text(token, text);
      CHECK(y.text == text);
      REQUIRE(y.ends.size() == y.size());
      CHECK(y.ends.back() == y.text.size());
    }
    rejected += static_cast<std::size_t>(stat_of(result.stats, "candidates") -
                                         stat_of(result.stats, "segments"));
  }
  CHECK(rejected > 100);
}

TEST_CASE(
    "a segment ends before the uncertain token, by the untempered law, at the threshold itself") {
  // Three positions: certain, certain, uniform over four tokens; then the same again.
  LogitPolicy policy{-1, [](TokenSpan context) {
                       return context.size() % 3 == 2
                                  ? std::vector<double>(4, 0.25)
                                  : std::vector<double>{0, -infinity, -infinity, -infinity};
                     }};
  const auto segment_of = [&](double entropy, std::size_t min_tokens, double temperature) {
    const Generation work{
        .max_tokens = 12,
        .law = {.temperature = temperature},
        .until = SegmentRule{.entropy = entropy, .min_tokens = min_tokens, .max_tokens = 9}};
    Response out;
    policy.generate({&work, 1}, {&out, 1});
    return std::pair(out.size(), out.finish);
  };
  const double ln4 = std::log(4);
  CHECK(segment_of(ln4, 1, 1) == std::pair(std::size_t{2}, Finish::segment));
  CHECK(segment_of(std::nextafter(ln4, 2), 1, 1) == std::pair(std::size_t{9}, Finish::segment));
  CHECK(segment_of(ln4, 3, 1) == std::pair(std::size_t{5}, Finish::segment));
  CHECK(segment_of(ln4, 1, 0) == std::pair(std::size_t{2}, Finish::segment));
  CHECK(segment_of(ln4, 1, 0.1) == std::pair(std::size_t{2}, Finish::segment));
  CHECK(segment_of(0, 4, 1) == std::pair(std::size_t{4}, Finish::segment));
}

TEST_CASE("adding a constant to reward and goal changes nothing") {
  const auto run = [](double constant) {
    RewardFunction reward{[=](const Prompt&, const Response& y) {
      return static_cast<double>(y.size() % 3) - 0.25 * static_cast<double>(y.size()) + constant;
    }};
    Decoder decoder{cards_toy::policy(), reward,
                    Cards{{.beta = 0.5,
                           .reward_goal = 1 + constant,
                           .max_tokens = 8,
                           .segment = cards_toy::segment}}};
    return decoder("", {.seed = 12});
  };
  const Result plain = run(0);
  for (const double constant : {1024.0, -64.0}) {
    const Result other = run(constant);
    REQUIRE(other.candidates.size() == plain.candidates.size());
    for (std::size_t i = 0; i < plain.candidates.size(); ++i) {
      CHECK(other.candidates[i].response == plain.candidates[i].response);
    }
    CHECK(other.spent.reward_calls == plain.spent.reward_calls);
  }
}

TEST_CASE("what Cards keeps grows like the tokens, not like their square") {
  const auto kept = [](std::size_t tokens) {
    RoundBench bench(Cards{{.reward_goal = 0,
                            .alpha = 1,
                            .max_tokens = tokens,
                            .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 8}}});
    for (std::size_t n = 8; n <= tokens; n += 8) {
      REQUIRE(bench.ask().size() == 1);
      bench.answer(0, segment(std::vector<Token>(n, 1)), 1);
      bench.tell();
    }
    CHECK(bench.state.done);
    const Candidate& last = bench.population[bench.population.size() - 1];
    const Candidate& prefix = bench.population[bench.population.size() - 2];
    CHECK(last.response.size() == tokens);
    CHECK(last.parent == prefix.id);
    CHECK(prefix.response.size() == tokens - 8);
    std::size_t sum = bench.state.accepted.size();
    for (const Candidate& candidate : bench.population) sum += candidate.response.size();
    return sum;
  };
  CHECK(kept(1000) == 62'000 + 1000 + 992);  // every prefix, the response, and the state's prefix
  CHECK(kept(8000) <= Cards::most_prefix_tokens + 3 * 8000);
  CHECK(kept(16'000) <= Cards::most_prefix_tokens + 3 * 16'000);
}

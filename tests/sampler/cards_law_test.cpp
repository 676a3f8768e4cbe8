// The law of CARDS: exactly, from the sampler's own work and thresholds, and through the decoder.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/cards_exact.hpp"
#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/cards.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught;
using law_table::expect_exact;
using law_table::expect_exact_caught;
using law_table::expect_law;
using law_table::expect_mean;
using law_table::MeanCheck;

namespace {

constexpr double beta = cards_toy::beta;

CardsOptions golden(std::size_t max_rejections, bool official = false) {
  return {.beta = beta,
          .reward_goal = cards_toy::reward_goal,
          .alpha = cards_toy::alpha,
          .max_rejections = max_rejections,
          .max_tokens = cards_toy::max_tokens,
          .segment = cards_toy::segment,
          .law = cards_toy::law,
          .official = official};
}

CardsTree tree_of(const CardsBench& bench) {
  auto policy = cards_toy::policy();
  return CardsTree(bench, policy);
}

double probability_of(const ResponseLaw& law, const std::string& digits) {
  std::vector<Token> tokens;
  for (const char c : digits) tokens.push_back(c - '0');
  return law.probability(law.index_of(TokenSpan(tokens)));
}

std::vector<double> rewards_of(const ResponseLaw& law) {
  return law.evaluate([](const Response& y) { return cards_toy::reward_of(y.tokens); });
}

// The proposals over whole responses: every first candidate taken.
ResponseLaw proposals(const CardsTree& tree) { return tree.law(cards_toy::reward_of, 0).law; }

std::string name_of(std::size_t count) { return count == npos ? "none" : to_text(count); }

}  // namespace

TEST_CASE("CARDS has the golden numbers of its official mode", "[law]") {
  const CardsBench bench(golden(20, true), cards_toy::reward_of({}));
  const CardsTree tree = tree_of(bench);
  const ResponseLaw base = proposals(tree);
  REQUIRE(base.size() == 3285);
  const std::vector<double> rewards = rewards_of(base);
  const ResponseLaw target = tilted(base, rewards, beta);
  CHECK_THAT(expectation(target, rewards), WithinAbs(0.744150, 5e-7));
  CHECK(tree.root_segments().size() == 35);
  const exact::Capped root = tree.root(cards_toy::reward_of, npos, tree.measured());
  CHECK_THAT(1 / root.candidates, WithinAbs(0.294317135, 5e-10));

  struct Row {
    std::size_t K;
    double reward_calls, model_calls, reward, p1033110, p1033033, p2033020, p102020, kl;
  };
  for (const Row& row : {Row{npos, 7.365399176, 27.444189959, 0.628799, .092554865, .092205250,
                             .054563599, .042204846, 0.4405},
                         Row{20, 7.361379484, 27.429320090, 0.628846564, .092488654, .092139243,
                             .054644917, .042172320, 0.4415},
                         Row{4, 6.199032640, 23.139777756, 0.650687942, .105033508, .099450810,
                             .061980250, .037998989, 0.4704}}) {
    const CardsLaw cards = tree.law(cards_toy::reward_of, row.K);
    INFO("K = " << name_of(row.K));
    CHECK_THAT(cards.law.total(), WithinAbs(1, 1e-12));
    CHECK_THAT(cards.reward_calls, WithinAbs(row.reward_calls, 5e-10));
    CHECK_THAT(cards.model_calls, WithinAbs(row.model_calls, 5e-10));
    CHECK_THAT(expectation(cards.law, rewards_of(cards.law)),
               WithinAbs(row.reward, row.K == npos ? 5e-7 : 5e-10));
    const std::vector<std::pair<std::string, double>> published = {{"1033110", row.p1033110},
                                                                   {"1033033", row.p1033033},
                                                                   {"2033020", row.p2033020},
                                                                   {"102020", row.p102020}};
    for (const auto& [digits, probability] : published) {
      expect_exact("CARDS official, cap " + name_of(row.K) + ": P(" + digits + ")", 3285,
                   std::abs(probability_of(cards.law, digits) - probability), 5.1e-10);
    }
    CHECK_THAT(kl(cards.law, target), WithinAbs(row.kl, 5e-5));
  }
  const CardsLaw none = tree.law(cards_toy::reward_of, 0);
  CHECK_THAT(none.reward_calls, WithinAbs(2.198383, 5e-7));
  CHECK_THAT(none.model_calls, WithinAbs(8.195202, 5e-7));
  CHECK_THAT(expectation(none.law, rewards_of(none.law)), WithinAbs(0.215843, 5e-7));
  CHECK_THAT(kl(none.law, target), WithinAbs(0.4172, 5e-5));
}

TEST_CASE("CARDS has the golden numbers of its default mode", "[law]") {
  const CardsBench bench(golden(20), cards_toy::reward_of({}));
  const CardsTree tree = tree_of(bench);
  REQUIRE(proposals(tree).size() == 729);
  const exact::Capped root = tree.root(cards_toy::reward_of, npos, tree.measured());
  CHECK_THAT(1 / root.candidates, WithinAbs(.319271871, 5e-10));
  struct Row {
    std::size_t K;
    double reward_calls, model_calls, reward, p103303;
  };
  for (const Row& row : {Row{npos, 6.678253913, 20.542487072, .684072272, .169343344},
                         Row{20, 6.668536933, 20.526650572, .684666429, .169290115},
                         Row{4, 5.718043804, 17.461315527, .703523392, .181249995},
                         Row{0, 2.198383172, 6.543974140, .235153546, .087315701}}) {
    const CardsLaw cards = tree.law(cards_toy::reward_of, row.K);
    INFO("K = " << name_of(row.K));
    CHECK_THAT(cards.law.total(), WithinAbs(1, 1e-12));
    CHECK_THAT(cards.reward_calls, WithinAbs(row.reward_calls, 5e-10));
    CHECK_THAT(cards.model_calls, WithinAbs(row.model_calls, 5e-10));
    CHECK_THAT(expectation(cards.law, rewards_of(cards.law)), WithinAbs(row.reward, 5e-10));
    expect_exact("CARDS default, cap " + name_of(row.K) + ": P(103303)", 729,
                 std::abs(probability_of(cards.law, "103303") - row.p103303), 5.1e-10);
  }
}

TEST_CASE("a threshold that counts the candidate's length has another law", "[law]") {
  for (const double goal : {cards_toy::reward_goal, 6.0}) {  // a gentle and a steep slope
    CardsOptions options = golden(npos);
    options.alpha = 0;
    options.reward_goal = goal;
    const CardsBench frozen(options, cards_toy::reward_of({}));
    options.official = true;
    const CardsBench counting(options, cards_toy::reward_of({}));
    const CardsTree tree = tree_of(frozen), same = tree_of(counting);
    const exact::Capped right = tree.root(cards_toy::reward_of, npos, tree.measured());
    const exact::Capped biased = same.root(cards_toy::reward_of, npos, same.measured());
    REQUIRE(right.law.size() ==
            biased.law.size());  // segments of up to 4 of 6 tokens: none is clipped
    expect_exact_caught("CARDS, the threshold counts the candidate's length, goal " +
                            to_text(goal) + ", first segment",
                        right.law.size(), total_variation(right.law, biased.law));
    CHECK(biased.candidates > right.candidates);
  }
}

namespace {

// The published threshold.
double schedule(double r0, double goal, std::size_t length, std::size_t max_tokens) {
  return std::min(r0 + static_cast<double>(length) * (goal - r0) / static_cast<double>(max_tokens),
                  goal);
}

}  // namespace

TEST_CASE("the threshold rises from r0 to the goal and stays there", "[law]") {
  struct Setting {
    double goal, alpha, prompt_reward;
  };
  for (const Setting& s : {Setting{1.2, 0.5, 1}, Setting{8.5, 0.5, 2}, Setting{8.5, 0, 2},
                           Setting{-3, 0.25, -20}, Setting{1, 0.5, 7} /* above the goal: flat */,
                           Setting{4, 1, -100} /* flat, and the prompt is not asked about */}) {
    CardsOptions options = golden(20);
    options.reward_goal = s.goal;
    options.alpha = s.alpha;
    CardsOptions official = options;
    official.official = true;
    const CardsBench frozen(options, s.prompt_reward), counting(official, s.prompt_reward);
    const double r0 = (1 - s.alpha) * s.prompt_reward + s.alpha * s.goal;
    CHECK_THAT(frozen.prepared().first_threshold, WithinAbs(r0, 1e-12));
    double largest = 0;
    for (std::size_t y = 0; y < 6; ++y) {
      const Response prefix = tokens_of(std::vector<Token>(y));
      for (std::size_t fresh = 1; fresh <= 4; ++fresh) {
        const Response whole = tokens_of(std::vector<Token>(y + fresh));
        if (y + fresh <= 6) {
          largest = std::max(
              largest, std::abs(frozen.threshold(prefix, whole) - schedule(r0, s.goal, y, 6)));
        }
        largest = std::max(largest, std::abs(counting.threshold(prefix, whole) -
                                             schedule(r0, s.goal, y + fresh, 6)));
      }
    }
    expect_exact("CARDS thresholds: goal " + to_text(s.goal) + ", alpha " + to_text(s.alpha) +
                     ", prompt " + to_text(s.prompt_reward),
                 42, largest, 1e-11);
  }
}

TEST_CASE("a candidate is accepted with probability exp((R - threshold)/beta)", "[law]") {
  CardsOptions options = golden(npos);
  options.alpha = 1;
  LawCheck uniform(std::vector<double>(20, 0.05));
  const Response candidate = tokens_of({1, 0});
  double largest = 0;
  CardsOptions other_beta = options;
  other_beta.beta = 2;
  const CardsBench bench(options, 0), other(other_beta, 0);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const double log_u = (bench.critical_reward({}, candidate, seed) - 1.2) / beta;
    uniform.count(static_cast<std::size_t>(20 * std::exp(log_u)));
    if (seed % 10 == 0) {
      const double same = (other.critical_reward({}, candidate, seed) - 1.2) / 2;
      largest = std::max(largest, std::abs(same - log_u));
    }
    CHECK(bench.accepts({}, candidate, 1.2, seed));
    // No overflow, and -infinity is never accepted.
    CHECK(bench.accepts({}, candidate, 1e5, seed));
    CHECK_FALSE(bench.accepts({}, candidate, -1e5, seed));
    CHECK(bench.accepts({}, candidate, 1e300, seed));
    CHECK_FALSE(bench.accepts({}, candidate, -1e300, seed));
    CHECK_FALSE(bench.accepts({}, candidate, -infinity, seed));
  }
  expect_law("CARDS: the uniform number behind an acceptance", uniform);
  expect_exact("CARDS: log u found at two betas", 200, largest, 1e-11);
}

TEST_CASE("with the soft value for a reward CARDS has the tilted law, if nothing is clipped",
          "[law]") {
  for (const bool official : {false, true}) {
    const std::string mode = official ? "official" : "default";
    const auto flat = [&](double goal) {
      CardsOptions options = golden(npos, official);
      options.alpha = 1;
      options.reward_goal = goal;
      return options;
    };
    const CardsBench bench(flat(2), 0);
    const CardsTree tree = tree_of(bench);
    const TokenReward value = tree.soft_value(cards_toy::reward_of, beta);
    CHECK_THAT(value({}), WithinAbs(official ? .507910033 : .495438186, 5e-10));
    const ResponseLaw base = proposals(tree);
    const ResponseLaw target = tilted(base, rewards_of(base), beta);
    const CardsLaw unclipped = tree.law(value, npos);
    expect_exact("CARDS " + mode + ", soft value, uncapped: KL to the tilted law", base.size(),
                 std::abs(kl(unclipped.law, target)));
    expect_exact("CARDS " + mode + ", soft value, uncapped: distance to the tilted law",
                 base.size(), total_variation(unclipped.law, target));
    // Published for the official mode: .0164 and .0812.
    const std::vector<std::pair<double, double>> clipped = {{0.8, 0.0164}, {0.4, 0.0812}};
    for (const auto& [goal, published] : clipped) {
      const CardsBench low(flat(goal), 0);
      expect_exact_caught(
          "CARDS " + mode + ", threshold " + to_text(goal) + " below the largest reward: KL",
          base.size(), kl(tree_of(low).law(value, npos).law, target), official ? published : unset);
    }
    expect_exact_caught("CARDS " + mode + ", the reward of a prefix is not its soft value: KL",
                        base.size(), kl(tree.law(cards_toy::reward_of, npos).law, target));
    // An error of at most e at the inner ends moves the log-probability of a response of s segments by
    // at most (2s - 1) e / beta, and that of any by at most 2 (S - 1) e / beta.
    const CardsBench high(flat(4), 0);
    const CardsTree far = tree_of(high);
    const std::size_t S = *std::max_element(unclipped.segments.begin(), unclipped.segments.end());
    struct Shares {
      double own = 0, most = 0;       // of the two bounds, the largest share that was used
      double without_normaliser = 0;  // of 2 (s - 1) e / beta
    };
    const auto worst = [&](double error, const auto& sign) {  // of what an error of 0.1 allows
      const CardsLaw moved = far.law(
          [&](TokenSpan tokens) {
            const bool inner = tokens.size() < cards_toy::max_tokens;
            return value(tokens) + (inner ? sign(tokens) * error : 0);
          },
          npos);
      Shares shares;
      for (std::size_t i = 0; i < moved.law.size(); ++i) {
        const double ratio = std::abs(moved.law.log_prob(i) -
                                      target.log_prob(target.index_of(moved.law.response(i))));
        const auto s = static_cast<double>(moved.segments[i]);
        const auto units = ratio / (0.1 / beta);
        shares.own = std::max(shares.own, units / (2 * s - 1));
        shares.most = std::max(shares.most, units / (2 * static_cast<double>(S) - 2));
        if (s > 1)
          shares.without_normaliser = std::max(shares.without_normaliser, units / (2 * s - 2));
      }
      return shares;
    };
    const auto scattered = [](TokenSpan tokens) {
      double h = 0;
      for (const Token token : tokens) h = 1.7 * h + token + 1;
      return std::sin(40 * h) > 0 ? 1.0 : -1.0;
    };
    const Shares seen = worst(0.1, scattered);
    CHECK(std::max(seen.own, seen.most) <= 1);
    CHECK(worst(0.3, scattered).own > 1);  // three times the error breaks it
    // Against a response that has few segments, of which the last could have been followed by more:
    // prefixes of it are too good, all others too bad.
    std::size_t fewest = S;
    Response few;
    for (std::size_t i = 0; i < unclipped.law.size(); ++i) {
      if (unclipped.segments[i] >= fewest) continue;
      fewest = unclipped.segments[i];
      few = unclipped.law.response(i);
    }
    REQUIRE(fewest < S);
    const Shares against = worst(0.1, [&](TokenSpan tokens) {
      return std::equal(tokens.begin(), tokens.end(), few.tokens.begin()) ? 1.0 : -1.0;
    });
    CHECK(std::max(against.own, against.most) <= 1);
    CHECK(against.own > 0.7);               // the bound is not empty
    CHECK(against.without_normaliser > 1);  // and needs the normaliser behind the last prefix
  }
}

namespace {

constexpr std::size_t runs = 12'000;

struct Runs {
  LawCheck law;
  MeanCheck reward_calls, model_calls, reward;
};

// Independent runs against an exact law, of which the likeliest 40 responses are told apart.
template <class S>
Runs run(S sampler, const CardsLaw& expected, std::size_t prompt_calls = 1, std::size_t n = runs) {
  Decoder decoder{cards_toy::policy(), cards_toy::reward(), std::move(sampler)};
  const exact::Coarse coarse(expected.law.probabilities(), 40);
  Runs seen{LawCheck(coarse.probabilities()), MeanCheck(expected.reward_calls),
            MeanCheck(expected.model_calls),
            MeanCheck(expectation(expected.law, rewards_of(expected.law)))};
  for_each_run(decoder, n, [&](const Result& result) {
    seen.law.count(coarse(expected.law.index_of(result.answer.response)));
    seen.reward_calls.add(static_cast<double>(result.spent.reward_calls - prompt_calls));
    seen.model_calls.add(
        static_cast<double>(result.spent.generated_tokens + result.spent.lookahead_tokens));
    seen.reward.add(result.answer.reward);
  });
  return seen;
}

// The first committed segment of independent runs.
template <class S>
LawCheck first_segments(S sampler, const std::vector<Response>& segments, std::vector<double> law) {
  LawCheck check(std::move(law));
  Decoder decoder{cards_toy::policy(), cards_toy::reward(), std::move(sampler)};
  for_each_run(decoder, runs, [&](const Result& result) {
    const std::vector<Token>& first = result.candidates[0].response.tokens;
    const auto place = std::find_if(segments.begin(), segments.end(),
                                    [&](const Response& y) { return y.tokens == first; });
    check.count(place == segments.end() ? npos
                                        : static_cast<std::size_t>(place - segments.begin()));
  });
  return check;
}

// Tells CARDS the results of a round in another order than that of the draws.
template <class Before>
struct Reordered {
  using DefaultSelector = LastState;
  using State = Cards::State;
  Cards inner;
  Before before;

  [[nodiscard]] State start(const Prompt& prompt) const { return inner.start(prompt); }
  void ask(State& state, Round& round) const { inner.ask(state, round); }
  void tell(State& state, Round& round) const {
    std::stable_sort(round.results().begin(), round.results().end(), before);
    inner.tell(state, round);
  }
};
template <class Before>
Reordered(Cards, Before) -> Reordered<Before>;

const auto shortest_first = [](const Draw& a, const Draw& b) {
  return a.response.size() < b.response.size();
};
const auto highest_first = [](const Draw& a, const Draw& b) { return a.reward > b.reward; };
const auto by_seed = [](const Draw& a, const Draw& b) { return a.work.seed < b.work.seed; };

}  // namespace

TEST_CASE("through the decoder CARDS has its exact law, cost and reward", "[law]") {
  for (const bool official : {false, true}) {
    const CardsBench bench(golden(4, official), cards_toy::reward_of({}));
    const CardsTree tree = tree_of(bench);
    for (const std::size_t K :
         {npos, std::size_t{20}, std::size_t{4}, std::size_t{1}, std::size_t{0}}) {
      if (official && (K == 20 || K == 1)) continue;
      const Runs seen = run(Cards{golden(K, official)}, tree.law(cards_toy::reward_of, K));
      const std::string what =
          std::string(official ? "official" : "default") + ", cap " + name_of(K);
      expect_law("CARDS: " + what, seen.law);
      expect_mean("CARDS, reward calls: " + what, seen.reward_calls);
      expect_mean("CARDS, model calls: " + what, seen.model_calls);
      expect_mean("CARDS, reward: " + what, seen.reward);
    }
  }
  const CardsBench bench(golden(4), cards_toy::reward_of({}));
  const CardsTree tree = tree_of(bench);
  expect_caught("CARDS with one rejection more, cap 1",
                run(Cards{golden(2)}, tree.law(cards_toy::reward_of, 1)).law);
  law_table::expect_mean_caught(
      "CARDS without the prompt's own call",
      run(Cards{golden(4)}, tree.law(cards_toy::reward_of, 4), 0).reward_calls);
}

TEST_CASE("parallel candidates with the lowest index committed leave the law alone", "[law]") {
  const CardsBench bench(golden(npos), cards_toy::reward_of({}));
  const CardsTree tree = tree_of(bench);
  const CardsTree::Threshold threshold = tree.measured();
  const std::vector<Response> segments = tree.root_segments();
  const auto with = [](std::size_t parallel, std::size_t K) {
    CardsOptions options = golden(K);
    options.parallel = parallel;
    return Cards{options};
  };
  for (const std::size_t parallel : {1u, 4u, 8u}) {
    for (const std::size_t K : {npos, std::size_t{4}}) {
      const std::string what = to_text(parallel) + " in parallel, cap " + name_of(K);
      expect_law("CARDS first segment: " + what,
                 first_segments(with(parallel, K), segments,
                                tree.root(cards_toy::reward_of, K, threshold).law));
    }
    const Runs seen = run(with(parallel, 4), tree.law(cards_toy::reward_of, 4, threshold));
    expect_law("CARDS: " + to_text(parallel) + " in parallel, cap 4", seen.law);
    expect_mean("CARDS, reward: " + to_text(parallel) + " in parallel, cap 4", seen.reward);
  }
  const std::vector<double> law = tree.root(cards_toy::reward_of, npos, threshold).law;
  expect_law("CARDS first segment: any passing one of 8",
             first_segments(Reordered{with(8, npos), by_seed}, segments, law));
  for (const std::size_t parallel : {4u, 8u}) {
    expect_caught("the shortest passing one of " + to_text(parallel),
                  first_segments(Reordered{with(parallel, npos), shortest_first}, segments, law));
    expect_caught("the best passing one of " + to_text(parallel),
                  first_segments(Reordered{with(parallel, npos), highest_first}, segments, law));
  }
}

TEST_CASE("without rejections CARDS has the base law of the tempered, truncated model", "[law]") {
  auto policy = cards_toy::policy();
  const ResponseLaw base = enumerate(policy, Prompt{}, cards_toy::max_tokens, cards_toy::law);
  const auto check_of = [&](const CardsOptions& options, auto reward) {
    const exact::Coarse coarse(base.probabilities(), 40);
    LawCheck check(coarse.probabilities());
    Decoder decoder{cards_toy::policy(), std::move(reward), Cards{options}};
    for_each_run(decoder, runs, [&](const Result& result) {
      check.count(coarse(base.index_of(result.answer.response)));
    });
    return check;
  };
  CardsOptions hot = golden(20);
  hot.beta = 1e12;
  expect_law("CARDS: beta 1e12 gives the base law", check_of(hot, cards_toy::reward()));
  CardsOptions flat = golden(20);
  flat.reward_goal = 0;
  RewardFunction zero{[](const Prompt&, const Response&) { return 0.0; }};
  expect_law("CARDS: reward 0 gives the base law", check_of(flat, zero));
  CardsOptions longer = golden(20);
  longer.segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 2};
  longer.beta = 1e12;
  expect_law("CARDS: fixed segments without rejections give the base law",
             check_of(longer, cards_toy::reward()));
  CardsOptions untempered = golden(0);
  untempered.law.temperature = 1;
  expect_caught("temperature 1 for temperature .7", check_of(untempered, cards_toy::reward()));
}

TEST_CASE("a response that ends by itself ends CARDS", "[law]") {
  // The toy model of QAlign, whose responses end; segments of up to two tokens, or by entropy.
  for (const double entropy : {infinity, 1.0}) {
    const CardsOptions options = {
        .beta = 0.7,
        .reward_goal = 1,
        .alpha = 0.5,
        .max_rejections = 5,
        .max_tokens = toy::max_tokens,
        .segment = {.entropy = entropy, .min_tokens = 1, .max_tokens = 2}};
    const CardsBench bench(options, 0);
    auto policy = toy::policy();
    const CardsTree tree(bench, policy);
    const CardsLaw expected = tree.law(toy::reward_of, 5);
    REQUIRE(expected.law.size() == 31);
    LawCheck check(expected.law.probabilities()), endless = check;
    MeanCheck calls(expected.reward_calls), cost(expected.model_calls);
    Decoder decoder{toy::policy(), toy::reward(), Cards{options}};
    for_each_run(decoder, runs, [&](const Result& result) {
      check.count(expected.law.index_of(result.answer.response));
      calls.add(static_cast<double>(result.spent.reward_calls - 1));
      cost.add(static_cast<double>(result.spent.generated_tokens + result.spent.lookahead_tokens));
    });
    const std::string what = entropy == infinity ? "segments of 2" : "segments by entropy";
    expect_law("CARDS with an end token: " + what, check);
    expect_mean("CARDS with an end token, reward calls: " + what, calls);
    expect_mean("CARDS with an end token, model calls: " + what, cost);

    // Sampling past the end token, and cutting the answer there afterwards: segments of 2 may hold
    // more.
    if (entropy < infinity) continue;
    LogitPolicy never_ends{-1, [](TokenSpan context) { return toy::logits(context); }};
    Decoder past{never_ends, toy::reward(), Cards{options}};
    for_each_run(past, runs, [&](const Result& result) {
      const std::vector<Token>& tokens = result.answer.response.tokens;
      const auto end = std::find(tokens.begin(), tokens.end(), toy::end);
      const auto kept =
          static_cast<std::size_t>(end - tokens.begin()) + (end != tokens.end() ? 1 : 0);
      endless.count(expected.law.index_of(result.answer.response.first(kept)));
    });
    // By entropy most segments are single tokens, and the two laws lie too close for these draws.
    if (entropy == infinity) expect_caught("sampling past the end token: " + what, endless);
  }
}

TEST_CASE("pilot draws set the goal, independently of what is then tested", "[law]") {
  // With one pilot its reward is the goal: the law is a mixture over pilots.
  auto policy = cards_toy::policy();
  const ResponseLaw pilots = enumerate(policy, Prompt{}, cards_toy::max_tokens, cards_toy::law);
  const CardsBench bench(golden(2), cards_toy::reward_of({}));
  const CardsTree tree = tree_of(bench);
  const std::vector<Response> segments = tree.root_segments();
  std::vector<double> mixture(segments.size());
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    const double goal = cards_toy::reward_of(pilots.response(i).tokens);
    const double r0 = 0.5 * cards_toy::reward_of({}) + 0.5 * goal;
    const exact::Capped root = tree.root(cards_toy::reward_of, 2, [&](std::size_t y, std::size_t) {
      return schedule(r0, goal, y, cards_toy::max_tokens);
    });
    for (std::size_t j = 0; j < mixture.size(); ++j) {
      mixture[j] += pilots.probability(i) * root.law[j];
    }
  }
  const auto check_of = [&](CardsOptions options) {
    LawCheck check(mixture);
    Decoder decoder{cards_toy::policy(), cards_toy::reward(), Cards{options}};
    for_each_run(decoder, runs, [&](const Result& result) {
      std::size_t first = 0;  // the first candidate behind the pilots
      while (first < options.pilot_draws) {
        CHECK(result.candidates[first].weight == 0);
        ++first;
      }
      const std::vector<Token>& tokens = result.candidates[first].response.tokens;
      for (std::size_t j = 0; j < segments.size(); ++j) {
        if (segments[j].tokens == tokens) return check.count(j);
      }
      check.count(npos);
    });
    return check;
  };
  CardsOptions options = golden(2);
  options.reward_goal = unset;
  options.pilot_draws = 1;
  expect_law("CARDS first segment: goal by one pilot", check_of(options));
  options.pilot_draws = 4;
  options.pilot_quantile = 1;
  expect_caught("goal by the best of four pilots instead of one", check_of(options));
}

// QAlign through the decoder: independent chains against the exact law of their states.

#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/chain_kernel.hpp"
#include "support/chain_mutants.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/qalign.hpp"

using namespace tilt;
using namespace tilt::testing;
using law_table::expect_caught;
using law_table::expect_law;
using law_table::MeanCheck;

namespace {

constexpr std::size_t chains = 20'000;

// The exact laws of a setting on the toy model.
struct Exact {
  ResponseLaw states;
  Eigen::VectorXd start;
  Eigen::MatrixXd round;
  Eigen::VectorXd target;

  [[nodiscard]] std::vector<double> after_rounds(std::size_t rounds) const {
    return to_vector(after(round, start, rounds));
  }
  [[nodiscard]] std::vector<double> limit() const { return to_vector(target); }
};

Exact exact_of(QAlignOptions options, std::function<double(TokenSpan)> reward = toy::reward_of) {
  auto policy = toy::policy();
  const std::size_t fork = options.fork;
  const ResponseLaw base = enumerate(policy, Prompt{}, options.max_tokens, options.law);
  options.recycle = true;
  options.burn_in = 0;
  options.steps = std::max<std::size_t>(1, options.steps);
  const ChainKernel<QAlign> kernel(QAlign{options}, policy, reward, base,
                                   uniform_cuts(options.restart));
  std::vector<double> weights;
  for (const Response& y : base.responses()) {
    weights.push_back(std::exp(reward(y.tokens) / options.beta));
  }
  const std::size_t draws = std::max<std::size_t>(1, options.initial_draws);
  const std::vector<double> start =
      draws == 1 ? base.probabilities() : exact::resampled(base.probabilities(), weights, draws);
  return {.states = kernel.states(),
          .start = Eigen::Map<const Eigen::VectorXd>(start.data(),
                                                     static_cast<Eigen::Index>(start.size())),
          .round = kernel.round(fork),
          .target = kernel.tilted(base, options.beta)};
}

// Counts the answers of independent runs.
template <class D>
LawCheck answers(const D& decoder, const ResponseLaw& states, std::vector<double> law,
                 std::size_t runs = chains) {
  LawCheck check(std::move(law));
  for_each_run(decoder, runs,
               [&](const Result& result) { check.count(states.index_of(result.answer.response)); });
  return check;
}

// The ids of a text that `toy::policy` has written.
std::vector<Token> ids_in(const std::string& text) {
  std::vector<Token> ids;
  for (const char c : text) {
    if (c != ' ') ids.push_back(c - '0');
  }
  return ids;
}

// What a reward that reads text pays: the text shows all tokens but the end token.
double reward_of_text(TokenSpan tokens) {
  return static_cast<double>(toy::count_of(toy::b, tokens)) -
         0.4 * static_cast<double>(tokens.size() - toy::count_of(toy::end, tokens));
}

// Tokens and text without `ends`, as engines of text give them, and the text of given ids.
struct WithoutEnds {
  decltype(toy::policy()) inner = toy::policy();
  void generate(std::span<const Generation> work, std::span<Response> out) {
    inner.generate(work, out);
    for (Response& y : out) y.ends.clear();
  }
  std::string detokenize(TokenSpan tokens) {
    std::string text;
    for (const Token token : tokens) inner.append_text(token, text);
    return text;
  }
};

// The bug: a prefix of ids is kept and its text is lost.
struct ForgetsText : QAlign {
  using QAlign::QAlign;
  void ask(State& state, Round& round) const {
    QAlign::ask(state, round);
    for (Draw& draw : round.results()) {
      Response& prefix = draw.work.prefix;
      prefix.text.clear();
      prefix.ends.assign(prefix.size(), 0);
    }
  }
};

// One state of a run, drawn by weight.
const Candidate& by_weight(const Population& population, Random random) {
  double left = random.uniform() * population.total_weight();
  const Candidate* last = nullptr;
  for (const Candidate& candidate : population) {
    if (candidate.weight == 0) continue;
    last = &candidate;
    if (left < candidate.weight) break;
    left -= candidate.weight;
  }
  return *last;
}

template <class D>
LawCheck states_by_weight(const D& decoder, const ResponseLaw& states, std::vector<double> law,
                          std::size_t runs = chains) {
  LawCheck check(std::move(law));
  std::uint64_t run = 0;
  for_each_run(decoder, runs, [&](const Result& result) {
    check.count(states.index_of(by_weight(result.candidates, Random(99, run++)).response));
  });
  return check;
}

}  // namespace

TEST_CASE("the last state of a chain has the law that the kernel gives it", "[law]") {
  struct Setting {
    std::string name;
    QAlignOptions options;
  };
  const std::vector<Setting> settings = {
      {"1 round", {.beta = 0.7, .steps = 1, .max_tokens = 4}},
      {"3 rounds", {.beta = 0.7, .steps = 3, .max_tokens = 4}},
      {"2 rounds of 3 suffixes", {.beta = 0.7, .steps = 2, .fork = 3, .max_tokens = 4}},
      {"3 rounds, restart .3", {.beta = 0.7, .steps = 3, .max_tokens = 4, .restart = 0.3}},
      {"3 rounds at temperature .6",
       {.beta = 0.7, .steps = 3, .max_tokens = 4, .law = {.temperature = 0.6}}},
      {"2 rounds from 3 initial draws",
       {.beta = 0.7, .steps = 2, .max_tokens = 4, .initial_draws = 3}},
      {"3 rounds, burn-in to the last", {.beta = 0.7, .steps = 3, .burn_in = 3, .max_tokens = 4}},
      {"3 rounds, three chains, one of them drawn",
       {.beta = 0.7, .steps = 3, .chains = 3, .max_tokens = 4}},
  };
  for (const Setting& setting : settings) {
    const Exact exact = exact_of(setting.options);
    Decoder decoder{toy::policy(), toy::reward(), QAlign{setting.options}};
    expect_law("QAlign last state: " + setting.name,
               answers(decoder, exact.states, exact.after_rounds(setting.options.steps)));
  }
}

TEST_CASE("the last state of a long chain has the tilted law", "[law]") {
  const QAlignOptions options = {
      .beta = 0.7, .steps = 16, .fork = 4, .max_tokens = 4, .restart = 0.1};
  const Exact exact = exact_of(options);
  // What the rounds leave of the start is far below what the draws can show.
  CHECK(total_variation(after(exact.round, exact.start, options.steps), exact.target) < 2e-3);
  Decoder decoder{toy::policy(), toy::reward(), QAlign{options}};
  expect_law("QAlign last state: 16 rounds of 4 suffixes, restart .1, against the tilted law",
             answers(decoder, exact.states, exact.limit(), chains / 2));
}

TEST_CASE("the same check sees the bugs of chains", "[law]") {
  struct Twin {
    std::string name;
    MutantOptions options;
  };
  constexpr std::size_t rounds = 12;
  const auto run = [&](MutantOptions options) {
    const Exact exact =
        exact_of({.beta = 0.7, .fork = options.fork, .max_tokens = 4, .restart = options.restart});
    options.beta = 0.7;
    options.steps = rounds;
    Decoder decoder{toy::policy(), toy::reward(), MutantChain{options}};
    return answers(decoder, exact.states, exact.after_rounds(rounds), chains / 2);
  };
  expect_law("a chain written a second time, 12 rounds", run({}));
  expect_law("a chain written a second time, 12 rounds of 3, restart .3",
             run({.fork = 3, .restart = 0.3}));
  const std::vector<Twin> twins = {
      {"chain without a length term", {.bug = ChainBug::no_length_term}},
      {"chain with the length term inverted", {.bug = ChainBug::inverted_length_term}},
      {"chain that forgets the proposal's end token", {.bug = ChainBug::proposal_without_end}},
      {"chain whose ratio forgets its restarts",
       {.bug = ChainBug::restart_left_out, .restart = 0.5}},
      {"chain with max_tokens for the suffix", {.bug = ChainBug::suffix_cap}},
      {"chain that cannot grow", {.bug = ChainBug::shrinking_cap}},
      {"fork held against its first state", {.bug = ChainBug::fork_against_first, .fork = 3}},
      {"fork that chooses among the fresh ones", {.bug = ChainBug::fresh_only, .fork = 3}},
      {"chain that records the proposal", {.bug = ChainBug::proposal_recorded}},
      {"chain at temperature .6 against the tilt of temperature 1", {.law = {.temperature = 0.6}}},
      {"chain at temperature .6 corrected by mean log-probs",
       {.bug = ChainBug::mean_likelihood, .law = {.temperature = 0.6}}},
  };
  for (const Twin& twin : twins) expect_caught(twin.name, run(twin.options));
}

TEST_CASE("the start is one of the initial draws, in proportion to exp of reward over beta",
          "[law]") {
  for (const std::size_t draws : {0u, 1u, 2u, 3u}) {
    const QAlignOptions options = {
        .beta = 0.7, .steps = 0, .max_tokens = 4, .initial_draws = draws};
    const Exact exact = exact_of(options);
    Decoder decoder{toy::policy(), toy::reward(), QAlign{options}};
    expect_law("QAlign start: " + to_text(draws) + " initial draws",
               answers(decoder, exact.states, exact.after_rounds(0)));
    if (draws != 3) continue;
    Decoder multiplied{toy::policy(), toy::reward(),
                       QAlign{{.beta = 1 / 0.7, .steps = 0, .max_tokens = 4, .initial_draws = 3}}};
    expect_caught("start by exp of reward times beta",
                  answers(multiplied, exact.states, exact.after_rounds(0)));
    Decoder highest{toy::policy(), toy::reward(),
                    QAlign{{.beta = 1e-9, .steps = 0, .max_tokens = 4, .initial_draws = 3}}};
    expect_caught("start at the highest reward of the draws",
                  answers(highest, exact.states, exact.after_rounds(0)));
  }
}

TEST_CASE("a state drawn by weight has the law of all states that count", "[law]") {
  // 1 + 3 rounds of 2 sub-steps; the law of a sub-step's state is that of its cut's sub-chain.
  const QAlignOptions base = {.beta = 0.7, .steps = 3, .fork = 2, .max_tokens = 4};
  const Exact one = exact_of({.beta = 0.7, .steps = 3, .fork = 1, .max_tokens = 4});
  const Exact two = exact_of(base);
  const auto mean_of_states = [&](std::size_t burn_in) {
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(one.start.size());
    for (std::size_t state = burn_in; state <= 6; ++state) {
      const std::size_t rounds = state / 2;
      const Eigen::VectorXd whole = after(two.round, two.start, rounds);
      sum += state % 2 == 0 ? whole : after(one.round, whole, 1);
    }
    return to_vector(sum / static_cast<double>(7 - burn_in));
  };
  for (const bool recycle : {false, true}) {
    for (const std::size_t burn_in : {0u, 1u, 3u, 6u}) {
      QAlignOptions options = base;
      options.recycle = recycle;
      options.burn_in = burn_in;
      Decoder decoder{toy::policy(), toy::reward(), QAlign{options},
                      [](const Population&, Random&) { return Decision{.index = 0}; }};
      expect_law(std::string("QAlign states by weight: burn-in ") + to_text(burn_in) + " of 7" +
                     (recycle ? ", recycled" : ""),
                 states_by_weight(decoder, one.states, mean_of_states(burn_in)));
    }
  }
  const auto mutant = [&](ChainBug bug, std::size_t burn_in, bool recycle) {
    Decoder decoder{toy::policy(), toy::reward(),
                    MutantChain{{.bug = bug,
                                 .beta = 0.7,
                                 .steps = 3,
                                 .fork = 2,
                                 .burn_in = burn_in,
                                 .recycle = recycle}}};
    return states_by_weight(decoder, one.states, mean_of_states(burn_in));
  };
  expect_law("a chain written a second time, states by weight", mutant(ChainBug::none, 3, false));
  expect_law("a chain written a second time, recycled", mutant(ChainBug::none, 3, true));
  expect_caught("a state counted once however often it repeats",
                mutant(ChainBug::repeats_dropped, 0, false));
  expect_caught("recycled weights of the proposals alone", mutant(ChainBug::rest_dropped, 0, true));
}

TEST_CASE("averages over states are unbiased, and recycled weights make them less noisy", "[law]") {
  const QAlignOptions options = {.beta = 0.7, .steps = 6, .max_tokens = 4};
  const Exact exact = exact_of(options);
  double expected = 0;
  for (std::size_t state = 0; state <= 6; ++state) {
    const std::vector<double> law = exact.after_rounds(state);
    for (std::size_t i = 0; i < law.size(); ++i) {
      expected += law[i] * toy::reward_of(exact.states.response(i).tokens) / 7;
    }
  }
  const auto mean_reward = [&](auto sampler) {
    Decoder decoder{toy::policy(), toy::reward(), std::move(sampler),
                    [](const Population&, Random&) { return Decision{.index = 0}; }};
    MeanCheck check(expected);
    for_each_run(decoder, chains, [&](const Result& result) {
      double sum = 0;
      for (const Candidate& candidate : result.candidates) {
        sum += candidate.weight * candidate.reward;
      }
      check.add(sum / result.candidates.total_weight());
    });
    return check;
  };
  QAlignOptions recycled = options;
  recycled.recycle = true;
  const MeanCheck plain = mean_reward(QAlign{options});
  const MeanCheck less_noisy = mean_reward(QAlign{recycled});
  law_table::expect_mean("QAlign average: mean reward of the states", plain);
  law_table::expect_mean("QAlign average: the same mean, recycled", less_noisy);
  CHECK(less_noisy.variance() < 0.97 * plain.variance());
  const auto mutant = [&](ChainBug bug, bool recycle) {
    return mean_reward(MutantChain{{.bug = bug, .beta = 0.7, .steps = 6, .recycle = recycle}});
  };
  law_table::expect_mean_caught("a mean without repeats", mutant(ChainBug::repeats_dropped, false));
  law_table::expect_mean_caught("a recycled mean of the proposals alone",
                                mutant(ChainBug::rest_dropped, true));
}

TEST_CASE("chains are independent of each other", "[law]") {
  const QAlignOptions options = {.beta = 0.7, .steps = 2, .chains = 2, .max_tokens = 2};
  const Exact exact = exact_of(options);
  const std::vector<double> law = exact.after_rounds(2);
  std::vector<double> joint;
  for (const double p : law) {
    for (const double q : law) joint.push_back(p * q);
  }
  LawCheck check(joint), same(joint);
  Decoder decoder{toy::policy(), toy::reward(), QAlign{options}};
  for_each_run(decoder, chains, [&](const Result& result) {
    REQUIRE(result.candidates.lanes() == 2);
    const std::size_t first = exact.states.index_of(result.candidates.lane(0).back().response);
    const std::size_t second = exact.states.index_of(result.candidates.lane(1).back().response);
    check.count(first * law.size() + second);
    same.count(first * law.size() + first);
  });
  expect_law("QAlign: last states of two chains, jointly", check);
  expect_caught("two chains on one stream", same);
}

TEST_CASE("responses of reward -infinity are left at once and never entered", "[law]") {
  const auto forbidding = [](TokenSpan tokens) {
    return !tokens.empty() && tokens[0] == toy::a ? -infinity : toy::reward_of(tokens);
  };
  const QAlignOptions options = {.beta = 0.7, .steps = 3, .max_tokens = 4, .restart = 0.5};
  const Exact exact = exact_of(options, forbidding);
  const std::vector<double> law = exact.after_rounds(3);
  SECTION("given as -infinity") {
    RewardFunction reward{[&](const Prompt&, const Response& y) { return forbidding(y.tokens); }};
    Decoder decoder{toy::policy(), reward, QAlign{options}};
    expect_law("QAlign last state: rewards of -infinity", answers(decoder, exact.states, law));
    for_each_run(decoder, 500, [](const Result& result) {
      bool finite = false;
      for (const Candidate& candidate : result.candidates) {
        CHECK_FALSE((finite && candidate.reward == -infinity));
        finite = finite || candidate.reward > -infinity;
      }
    });
  }
  SECTION("NaN, rejected on request") {
    RewardFunction reward{[&](const Prompt&, const Response& y) {
      const double r = forbidding(y.tokens);
      return r == -infinity ? unset : r;
    }};
    Decoder decoder{toy::policy(), reward, QAlign{options}};
    LawCheck check(law);
    for_each_run(
        decoder, chains,
        [&](const Result& result) { check.count(exact.states.index_of(result.answer.response)); },
        {.on_nan = OnNan::reject});
    expect_law("QAlign last state: rejected NaN", check);
  }
}

TEST_CASE("a chain without a reward keeps the base law", "[law]") {
  const ResponseLaw base = toy::base_law();
  RewardFunction zero{[](const Prompt&, const Response&) { return 0.0; }};
  Decoder decoder{toy::policy(), zero,
                  QAlign{{.beta = 0.7, .steps = 5, .fork = 2, .max_tokens = 4}}};
  expect_law("QAlign last state: reward 0 gives the base law",
             answers(decoder, base, base.probabilities()));
  Decoder flat{toy::policy(), toy::reward(),
               QAlign{{.beta = 1e12, .steps = 5, .max_tokens = 4, .initial_draws = 4}}};
  expect_law("QAlign last state: beta 1e12 gives the base law",
             answers(flat, base, base.probabilities()));
}

TEST_CASE("QAlign: text and tokens stay together where the policy tells text by detokenize",
          "[law]") {
  const RewardFunction reward(
      [](const Prompt&, const Response& y) { return reward_of_text(ids_in(y.text)); });
  const QAlignOptions options = {.beta = 0.3, .steps = 12, .max_tokens = toy::max_tokens};
  const Exact exact = exact_of(options, reward_of_text);
  std::size_t parted = 0;
  const auto check_of = [&](const auto& decoder) {
    LawCheck check(exact.after_rounds(options.steps));
    WithoutEnds policy;
    parted = 0;
    for_each_run(decoder, chains, [&](const Result& result) {
      const Response& y = result.answer.response;
      if (y.text != policy.detokenize(y.tokens)) ++parted;
      check.count(exact.states.index_of(y));
    });
    return check;
  };
  expect_law("QAlign: reward of text, policy without ends but with detokenize",
             check_of(Decoder{WithoutEnds{}, reward, QAlign{options}}));
  CHECK(parted == 0);
  expect_caught("QAlign: the text of a kept prefix is lost",
                check_of(Decoder{WithoutEnds{}, reward, ForgetsText{options}}));
  CHECK(parted > 0);
}

// The transition matrix of QAlign, read off the sampler and compared with its law to 1e-12.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/chain_kernel.hpp"
#include "support/chain_mutants.hpp"
#include "support/law_table.hpp"
#include "support/toy.hpp"
#include "tilt/sampler/qalign.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;
using law_table::expect_exact;
using law_table::expect_exact_caught;
using law_table::expect_law;

namespace {

using Kernel = ChainKernel<QAlign>;
using MutantKernel = ChainKernel<MutantChain>;

QAlign recycling(QAlignOptions options) {
  options.recycle = true;
  return QAlign{std::move(options)};
}

struct Setting {
  std::string name;
  QAlignOptions options;
  std::function<double(TokenSpan)> reward = toy::reward_of;
  std::size_t fork = 1;
};

ResponseLaw base_of(const QAlignOptions& options) {
  auto model = toy::policy();
  return enumerate(model, Prompt{}, options.max_tokens, options.law);
}

Kernel kernel_of(const Setting& setting) {
  auto policy = toy::policy();
  return Kernel(recycling(setting.options), policy, setting.reward, base_of(setting.options),
                uniform_cuts(setting.options.restart));
}

// Rewards that forbid two a's in a row.
double forbidding(TokenSpan tokens) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i] == toy::a && tokens[i + 1] == toy::a) return -infinity;
  }
  return toy::reward_of(tokens);
}

MutantKernel mutant_kernel(MutantOptions options, const ResponseLaw& base,
                           std::function<double(TokenSpan)> reward = toy::reward_of) {
  auto policy = toy::policy();
  options.recycle = true;
  options.beta = options.beta == 1 ? toy::beta : options.beta;
  const MutantChain chain(options);
  return MutantKernel(chain, policy, std::move(reward), base,
                      [chain](const Response& y) { return chain.cut_law(y); });
}

}  // namespace

TEST_CASE("the tilted law is the stationary law of every kernel of QAlign", "[law]") {
  const std::vector<Setting> settings = {
      {"one suffix", {.beta = 0.7, .max_tokens = 4}},
      {"three suffixes from one cut", {.beta = 0.7, .fork = 3, .max_tokens = 4}, toy::reward_of, 3},
      {"restart .3", {.beta = 0.7, .max_tokens = 4, .restart = 0.3}},
      {"restart .3, two suffixes",
       {.beta = 0.7, .fork = 2, .max_tokens = 4, .restart = 0.3},
       toy::reward_of,
       2},
      {"restart 1, an independence sampler", {.beta = 0.7, .max_tokens = 4, .restart = 1}},
      {"beta .1", {.beta = 0.1, .max_tokens = 4}},
      {"beta 100", {.beta = 100, .max_tokens = 4}},
      {"temperature .6", {.beta = 0.7, .max_tokens = 4, .law = {.temperature = 0.6}}},
      {"temperature 1.7, top_k 2",
       {.beta = 0.7, .max_tokens = 4, .law = {.temperature = 1.7, .top_k = 2}}},
      {"top_p .7", {.beta = 0.7, .max_tokens = 4, .law = {.top_p = 0.7}}},
      {"a stop token", {.beta = 0.7, .max_tokens = 4, .law = {.stop_tokens = {toy::b}}}},
      {"a stop string over the cut", {.beta = 0.7, .max_tokens = 4, .law = {.stop = {"0 1"}}}},
      {"at most 1 token", {.beta = 0.7, .max_tokens = 1}},
      {"at most 2 tokens", {.beta = 0.7, .max_tokens = 2}},
      {"at most 6 tokens", {.beta = 0.7, .max_tokens = 6}},
      {"rewards of -infinity", {.beta = 0.7, .max_tokens = 4}, forbidding},
      {"rewards of -infinity, two suffixes, restart .1",
       {.beta = 0.7, .fork = 2, .max_tokens = 4, .restart = 0.1},
       forbidding,
       2},
      {"nothing but -infinity",
       {.beta = 0.7, .max_tokens = 4},
       [](TokenSpan) { return -infinity; }},
      {"rewards of 1e6",
       {.beta = 0.7, .max_tokens = 4},
       [](TokenSpan tokens) { return 1e6 + toy::reward_of(tokens); }},
  };
  for (const Setting& setting : settings) {
    const ResponseLaw base = base_of(setting.options);
    const Kernel kernel = kernel_of(setting);
    REQUIRE(kernel.size() == base.size());  // no move leaves the responses of at most max_tokens
    const Eigen::MatrixXd matrix = kernel.round(setting.fork);
    CHECK((matrix.rowwise().sum().array() - 1).abs().maxCoeff() < 1e-13);
    CHECK(matrix.minCoeff() >= -1e-16);
    // Where every reward is -infinity all are equally good, and the law is the base law.
    const bool all_impossible = setting.name == "nothing but -infinity";
    const Eigen::VectorXd pi =
        all_impossible ? kernel.over_states(base) : kernel.tilted(base, setting.options.beta);
    const double tolerance = setting.name == "rewards of 1e6" ? 1e-9 : 1e-12;  // rounded rewards
    expect_exact("QAlign kernel: " + setting.name + ", stationary law", base.size(),
                 total_variation(stationary(matrix), pi), tolerance);
    CHECK(total_variation(after(matrix, pi, 1), pi) < tolerance);
  }
}

TEST_CASE("with extreme temperatures of the reward a chain stays exact", "[law]") {
  SECTION("an infinite one in all but name gives the base law") {
    for (const double beta : {1e12, 1e300}) {
      const Setting setting{"", {.beta = beta, .max_tokens = 4}};
      const Kernel kernel = kernel_of(setting);
      expect_exact(
          "QAlign kernel: beta " + to_text(beta) + " gives the base law", 31,
          total_variation(stationary(kernel.round()), kernel.over_states(base_of(setting.options))),
          1e-11);
    }
  }
  SECTION("next to zero it climbs, and the best response is never left for a worse one") {
    for (const double beta : {1e-12, 1e-300}) {
      const Setting setting{"", {.beta = beta, .max_tokens = 4}};
      const Kernel kernel = kernel_of(setting);
      const Eigen::VectorXd law = stationary(kernel.round());
      const std::size_t best =
          kernel.states().index_of(tokens_of({toy::b, toy::b, toy::b, toy::b}));
      expect_exact("QAlign kernel: beta " + to_text(beta) + " gives the best response", 31,
                   1 - law[static_cast<Eigen::Index>(best)]);
    }
  }
}

TEST_CASE("a constant reward leaves the base law unchanged", "[law]") {
  for (const double constant : {0.0, -3.5, 1e9}) {
    const Setting setting{
        "", {.beta = 0.7, .max_tokens = 4, .restart = 0.2}, [=](TokenSpan) { return constant; }};
    const Kernel kernel = kernel_of(setting);
    expect_exact(
        "QAlign kernel: reward " + to_text(constant) + " gives the base law", 31,
        total_variation(stationary(kernel.round()), kernel.over_states(base_of(setting.options))));
  }
}

TEST_CASE("the names of the tokens do not matter to the kernel", "[law]") {
  // Tokens renamed a -> end -> b -> a, in the model and in the reward.
  const std::vector<Token> renamed = {2, 0, 1};
  const auto original = [&](TokenSpan tokens) {
    std::vector<Token> names;
    for (const Token token : tokens) {
      names.push_back(
          static_cast<Token>(std::find(renamed.begin(), renamed.end(), token) - renamed.begin()));
    }
    return names;
  };
  LogitPolicy policy(renamed[toy::end], [&](TokenSpan context) {
    const std::vector<double> values = toy::logits(original(context));
    std::vector<double> mine(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      mine[static_cast<std::size_t>(renamed[i])] = values[i];
    }
    return mine;
  });
  const QAlignOptions options = {.beta = 0.7, .max_tokens = 4, .restart = 0.1};
  const Kernel plain = kernel_of({"", options});
  const Kernel other(
      recycling(options), policy,
      [&](TokenSpan tokens) { return toy::reward_of(original(tokens)); },
      enumerate(policy, Prompt{}, 4), uniform_cuts(options.restart));
  REQUIRE(other.size() == plain.size());
  const Eigen::MatrixXd p = plain.round(), q = other.round();
  double largest = 0;
  std::vector<Eigen::Index> place;
  for (const Response& y : other.states().responses()) {
    place.push_back(static_cast<Eigen::Index>(plain.states().index_of(original(y.tokens))));
  }
  for (Eigen::Index i = 0; i < q.rows(); ++i) {
    for (Eigen::Index j = 0; j < q.cols(); ++j) {
      largest = std::max(largest, std::abs(q(i, j) - p(place[static_cast<std::size_t>(i)],
                                                       place[static_cast<std::size_t>(j)])));
    }
  }
  expect_exact("QAlign kernel: renamed tokens, largest difference of two entries", 31, largest,
               1e-14);
}

TEST_CASE("the cut has the law that the acceptance supposes", "[law]") {
  for (const double restart : {0.0, 0.3, 1.0}) {
    for (const std::size_t length : {1u, 2u, 3u, 4u}) {
      std::vector<Token> tokens(length - 1, toy::b);
      tokens.push_back(toy::end);
      const Response y = tokens_of(tokens);
      LawCheck check(uniform_cuts(restart)(y));
      LawCheck plain(uniform_cuts(0)(y));
      for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
        RoundBench bench(QAlign{{.max_tokens = 6, .restart = restart}}, seed);
        bench.state.current = Candidate{.response = y};
        const auto asked = bench.ask();
        REQUIRE(asked.size() == 1);
        check.count(bench.state.cut);
        plain.count(bench.state.cut);
      }
      const std::string what = "restart " + to_text(restart) + ", " + to_text(length) + " tokens";
      expect_law("QAlign cut: " + what, check);
      if (restart == 0.3 && length == 4) {
        law_table::expect_caught("restarting cuts held against the uniform law, 4 tokens", plain);
      }
    }
  }
}

TEST_CASE("a round asks for suffixes of one prefix, and for no more tokens than the cap leaves") {
  const Response y = tokens_of({toy::b, toy::a, toy::b, toy::end});
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RoundBench bench(QAlign{{.fork = 3, .max_tokens = 6, .law = {.temperature = 0.5}}}, seed);
    bench.state.current = Candidate{.response = y};
    const auto asked = bench.ask();
    REQUIRE(asked.size() == 3);
    for (const Draw& draw : asked) {
      CHECK(draw.to_generate);
      CHECK(draw.to_score);
      CHECK(draw.work.prefix == y.first(bench.state.cut));
      CHECK(draw.work.max_tokens == 6 - bench.state.cut);
      CHECK(draw.work.law == SamplingLaw{.temperature = 0.5});
      CHECK_FALSE(draw.work.until);
    }
    CHECK(asked[0].work.seed != asked[1].work.seed);
    CHECK(asked[1].work.seed != asked[2].work.seed);
  }
}

TEST_CASE("one uniform number decides each step, and it is uniform", "[law]") {
  // Of all proposals, those are accepted whose probability of acceptance exceeds the step's number.
  const Setting setting{"", {.beta = 0.7, .max_tokens = 4, .restart = 0.2}};
  const Kernel kernel = kernel_of(setting);
  const std::size_t from = kernel.states().index_of(tokens_of({toy::b, toy::b, toy::end}));
  const std::size_t cut = 0;
  std::vector<double> acceptances;
  for (const auto& move : kernel.moves(from, cut)) acceptances.push_back(move.acceptance);
  std::sort(acceptances.begin(), acceptances.end());
  acceptances.erase(std::unique(acceptances.begin(), acceptances.end()), acceptances.end());
  REQUIRE(acceptances.size() > 5);
  std::vector<double> gaps;  // between neighbouring probabilities: where the number may lie
  for (std::size_t i = 0; i < acceptances.size(); ++i) {
    gaps.push_back(acceptances[i] - (i == 0 ? 0 : acceptances[i - 1]));
  }
  REQUIRE_THAT(acceptances.back(), WithinAbs(1, 1e-15));
  LawCheck check(gaps);
  const QAlign plain{setting.options};
  std::size_t rounds = 0;
  for (std::uint64_t seed = 0; rounds < 3000; ++seed) {
    double below = 0, above = 1;  // the number lies in [below, above)
    bool right_cut = true;
    for (const auto& move : kernel.moves(from, cut)) {
      RoundBench bench(plain, seed);
      Candidate current{.response = kernel.states().response(from), .reward = kernel.reward(from)};
      current.id = bench.population.add(current, 0);
      bench.state.current = current;
      bench.ask();
      right_cut = bench.state.cut == cut;
      if (!right_cut) break;
      bench.answer(0, kernel.states().response(move.to), kernel.reward(move.to));
      bench.tell();
      const bool accepted = bench.population.size() == 2;
      CHECK(bench.state.accepted == (accepted ? 1 : 0));
      accepted ? above = std::min(above, move.acceptance)
               : below = std::max(below, move.acceptance);
    }
    if (!right_cut) continue;
    ++rounds;
    REQUIRE(below < above);
    const auto gap = std::lower_bound(acceptances.begin(), acceptances.end(), above);
    check.count(static_cast<std::size_t>(gap - acceptances.begin()));
  }
  expect_law("QAlign: the uniform number of a step", check);
}

namespace {

// The largest difference, over all states, cuts and pairs of suffixes, between the probability with
// which a round of two accepts and that of two rounds of one in a row.
template <class S>
double fork_deviation(const S& chain, const ChainKernel<S>& kernel) {
  double largest = 0;
  for (std::size_t s = 0; s < kernel.size(); ++s) {
    for (std::size_t cut = 0; cut < kernel.states().response(s).size(); ++cut) {
      std::uint64_t seed = 0;
      const auto& moves = kernel.moves(s, cut);
      for (const auto& first : moves) {
        for (const auto& second : moves) {
          for (;; ++seed) {
            RoundBench<S> bench(chain, seed);
            Candidate current{.response = kernel.states().response(s), .reward = kernel.reward(s)};
            current.id = bench.population.add(current, 0);
            bench.state.current = current;
            bench.state.states = 1;
            bench.ask();
            if (bench.state.cut != cut) continue;
            bench.answer(0, kernel.states().response(first.to), kernel.reward(first.to));
            bench.answer(1, kernel.states().response(second.to), kernel.reward(second.to));
            bench.tell();
            // The parent of the second proposal tells what it was held against.
            const bool moved = bench.population[2].parent == bench.population[1].id;
            const double expected = kernel.acceptance(moved ? first.to : s, cut, second.to);
            largest = std::max(largest, std::abs(bench.population[2].weight - expected));
            ++seed;
            break;
          }
        }
      }
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("a fork is its sub-steps in a row, each against the state after the one before",
          "[law]") {
  const QAlignOptions options = {.beta = 0.7, .fork = 2, .max_tokens = 3, .restart = 0.1};
  const Kernel kernel = kernel_of({"", options});
  expect_exact("QAlign fork: second acceptance, all states, cuts and pairs", kernel.size(),
               fork_deviation(recycling(options), kernel), 1e-15);

  MutantOptions mutant = {.beta = 0.7, .steps = 9, .fork = 2, .max_tokens = 3, .recycle = true};
  const ResponseLaw base = base_of(options);
  const MutantKernel control = mutant_kernel(mutant, base);
  CHECK(fork_deviation(MutantChain(mutant), control) < 1e-15);
  mutant.bug = ChainBug::fork_against_first;
  expect_exact_caught("a fork's suffixes all held against the first state", kernel.size(),
                      fork_deviation(MutantChain(mutant), control));
}

TEST_CASE("recycled weights give every average without bias", "[law]") {
  // Under the stationary law, A f(proposal) + (1 - A) f(state) has the mean of f: for each
  // indicator f.
  const Setting setting{"", {.beta = 0.7, .max_tokens = 4, .restart = 0.1}};
  const Kernel kernel = kernel_of(setting);
  const Eigen::VectorXd pi = kernel.tilted(toy::base_law(), setting.options.beta);
  Eigen::VectorXd recycled = Eigen::VectorXd::Zero(pi.size()), proposals = recycled;
  for (std::size_t s = 0; s < kernel.size(); ++s) {
    const double here = pi[static_cast<Eigen::Index>(s)];
    const std::vector<double> cuts = uniform_cuts(0.1)(kernel.states().response(s));
    for (std::size_t cut = 0; cut < cuts.size(); ++cut) {
      for (const auto& move : kernel.moves(s, cut)) {
        const double mass = here * cuts[cut] * move.proposal;
        recycled[static_cast<Eigen::Index>(move.to)] += mass * move.acceptance;
        recycled[static_cast<Eigen::Index>(s)] += mass * (1 - move.acceptance);
        proposals[static_cast<Eigen::Index>(move.to)] += mass * move.acceptance;
      }
    }
  }
  expect_exact("QAlign recycle: expected weights under the stationary law", 31,
               total_variation(recycled, pi));
  proposals /= proposals.sum();
  expect_exact_caught("recycled weights of the proposals alone", 31,
                      total_variation(proposals, pi));
}

TEST_CASE("a chain without bugs, written a second time, has the same kernel", "[law]") {
  for (const double restart : {0.0, 0.3}) {
    const Kernel kernel = kernel_of({"", {.beta = 0.7, .max_tokens = 4, .restart = restart}});
    const MutantKernel control =
        mutant_kernel({.steps = 9, .max_tokens = 4, .restart = restart}, toy::base_law());
    REQUIRE(control.size() == kernel.size());
    expect_exact("QAlign kernel against a second writing, restart " + to_text(restart), 31,
                 (control.round() - kernel.round()).cwiseAbs().maxCoeff(), 1e-15);
  }
}

TEST_CASE("the check of the stationary law sees the bugs that chains have shipped with", "[law]") {
  const ResponseLaw base = toy::base_law();
  struct Twin {
    std::string name;
    MutantOptions options;
    double published;
  };
  const std::vector<Twin> twins = {
      {"no length term", {.bug = ChainBug::no_length_term}, .136},
      {"inverted length term", {.bug = ChainBug::inverted_length_term}, .221},
      {"cuts on 0 to n with the ratio of 0 to n-1", {.bug = ChainBug::cut_after_end}, .058},
      {"cuts by 1/(i+1) with the uniform ratio", {.bug = ChainBug::front_loaded_cut}, .093},
      // The bare end token is never left: all but its own probability, .0989, is lost.
      {"cuts before the end token, lengths with it", {.bug = ChainBug::cut_of_content}, .901},
      {"cuts in blocks, floor over floor", {.bug = ChainBug::cut_in_blocks}, unset},
      {"the proposal's end token not counted", {.bug = ChainBug::proposal_without_end}, unset},
      {"restart .5 left out of the ratio",
       {.bug = ChainBug::restart_left_out, .restart = 0.5},
       unset},
      {"the cap at the current length", {.bug = ChainBug::shrinking_cap}, unset},
  };
  for (Twin twin : twins) {
    twin.options.steps = 9;
    const MutantKernel kernel = mutant_kernel(twin.options, base);
    const Eigen::VectorXd pi = kernel.tilted(base, toy::beta);
    const double distance = total_variation(stationary(kernel.round()), pi);
    expect_exact_caught(twin.name, 31, distance, twin.published);
  }
}

TEST_CASE("a tempered proposal without its likelihoods has the tempered tilt, not the base one",
          "[law]") {
  const SamplingLaw tempered = {.temperature = 0.6};
  const Kernel kernel = kernel_of({"", {.beta = 0.7, .max_tokens = 4, .law = tempered}});
  const Eigen::VectorXd law = stationary(kernel.round());
  expect_exact("QAlign kernel: temperature .6 has the tempered tilt", 31,
               total_variation(law, kernel.tilted(toy::base_law(tempered), toy::beta)));
  expect_exact_caught("temperature .6 taken for the tilt of temperature 1", 31,
                      total_variation(law, kernel.tilted(toy::base_law(), toy::beta)), .144);
  const MutantKernel by_mean = mutant_kernel(
      {.bug = ChainBug::mean_likelihood, .steps = 9, .law = tempered}, toy::base_law(tempered));
  expect_exact_caught(
      "temperature .6 corrected by mean log-probs", 31,
      total_variation(stationary(by_mean.round()), by_mean.tilted(toy::base_law(), toy::beta)),
      .086);
}

TEST_CASE("a cap on the suffix has another law than a cap on the response", "[law]") {
  const MutantKernel kernel = mutant_kernel(
      {.bug = ChainBug::suffix_cap, .steps = 9, .max_tokens = 4, .context = 8}, toy::base_law());
  const Eigen::VectorXd law = after(kernel.round(), kernel.over_states(toy::base_law()), 400);
  expect_exact_caught("max_tokens for the suffix: against the law of responses of at most 4 tokens",
                      31, total_variation(law, kernel.tilted(toy::base_law(), toy::beta)));
  // Nor is it the tilted law of those responses that end by themselves, over a longer context.
  auto policy = toy::policy();
  const ResponseLaw longer = enumerate(policy, Prompt{}, 8);
  Eigen::VectorXd ended = law, pi = kernel.tilted(longer, toy::beta);
  for (Eigen::Index s = 0; s < law.size(); ++s) {
    if (kernel.states().response(static_cast<std::size_t>(s)).tokens.back() == toy::end) continue;
    ended[s] = pi[s] = 0;
  }
  expect_exact_caught("max_tokens for the suffix: responses that end by themselves", kernel.size(),
                      total_variation(ended / ended.sum(), pi / pi.sum()), .125);
}

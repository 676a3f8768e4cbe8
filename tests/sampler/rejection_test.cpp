#include "tilt/sampler/rejection.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/rejection_mutant.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/stats/kl.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught;
using law_table::expect_exact;
using law_table::expect_law;
using law_table::expect_mean;
using law_table::MeanCheck;

namespace {

constexpr std::size_t runs = 20'000;
constexpr double beta = toy::beta;

struct Runs {
  LawCheck law;
  MeanCheck calls, cap_rate;
};

// Independent runs against the exact law of a cap.
template <class S, class R>
Runs run(S sampler, R reward, const ResponseLaw& base, const exact::Capped& capped,
         RunOptions options = {}) {
  Decoder decoder{toy::policy(), std::move(reward), std::move(sampler)};
  Runs seen{LawCheck(capped.law), MeanCheck(capped.candidates), MeanCheck(capped.cap_rate)};
  for_each_run(
      decoder, runs,
      [&](const Result& result) {
        seen.law.count(base.index_of(result.answer.response));
        seen.calls.add(static_cast<double>(result.spent.reward_calls));
        seen.cap_rate.add(stat_of(result.stats, "capped"));
      },
      options);
  return seen;
}

std::string name_of(std::size_t count) { return count == npos ? "none" : to_text(count); }

}  // namespace

TEST_CASE("Rejection refuses options out of range and names them") {
  const auto build = [](RejectionOptions options) { return [options] { Rejection{options}; }; };
  expect_refused(build({.beta = 0}), "RejectionOptions.beta", "0");
  expect_refused(build({.beta = unset}), "RejectionOptions.beta", "nan");
  expect_refused(build({.ceiling = infinity}), "RejectionOptions.ceiling", "inf");
  expect_refused(build({.ceiling = -infinity}), "RejectionOptions.ceiling", "-inf");
  expect_refused(build({.max_tokens = 0}), "RejectionOptions.max_tokens", "0");
  expect_refused(build({.parallel = 0}), "RejectionOptions.parallel", "0");
  expect_refused(build({.parallel = npos}), "RejectionOptions.parallel", to_text(npos));
  expect_refused(build({.max_tokens = npos}), "RejectionOptions.max_tokens", to_text(npos));
  expect_refused(build({.max_rejections = npos - 1}), "RejectionOptions.max_rejections",
                 to_text(npos - 1));
  expect_refused(build({.law = {.top_p = 1.5}}), "RejectionOptions.law.top_p", "1.5");
  // A ceiling that was never given is refused when the sampler is to be run.
  CHECK_NOTHROW(Rejection{{}});
  expect_refused([] { Decoder(toy::policy(), toy::reward(), Rejection{{}}); },
                 "RejectionOptions.ceiling", "nan");
  expect_refused([] { Session(Rejection{{}}, ""); }, "RejectionOptions.ceiling", "nan");
}

TEST_CASE("a draw is accepted with probability exp((min(r, ceiling) - ceiling)/beta)", "[law]") {
  // For each seed the smallest reward that passes, by bisection: it is ceiling + beta log u, or the
  // ceiling itself for every u. So u is recovered and compared with the uniform law.
  const auto passes = [](double at_beta, double ceiling, double reward, std::uint64_t seed) {
    RoundBench bench(Rejection{{.beta = at_beta, .ceiling = ceiling}}, seed);
    bench.ask();
    bench.answer(0, tokens_of({toy::a}), reward);
    bench.tell();
    return bench.state.done;
  };
  const auto smallest = [&](double at_beta, double ceiling, std::uint64_t seed) {
    double low = ceiling - 200 * at_beta, high = ceiling;
    while (true) {
      const double middle = low + (high - low) / 2;
      if (middle == low || middle == high) return high;
      (passes(at_beta, ceiling, middle, seed) ? high : low) = middle;
    }
  };
  LawCheck uniform(std::vector<double>(20, 0.05));
  double largest = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    CHECK(passes(0.7, 2.5, 2.5, seed));
    CHECK(passes(0.7, 2.5, 1e6, seed));
    CHECK_FALSE(passes(0.7, 2.5, -infinity, seed));
    CHECK_FALSE(passes(0.7, 2.5, -1e5, seed));
    const double log_u = (smallest(0.7, 2.5, seed) - 2.5) / 0.7;
    uniform.count(static_cast<std::size_t>(20 * std::exp(log_u)));
    for (const auto& [at_beta, ceiling] : {std::pair{0.7, 0.0}, {3.0, -1.0}, {0.01, 100.0}}) {
      largest = std::max(largest,
                         std::abs((smallest(at_beta, ceiling, seed) - ceiling) / at_beta - log_u));
    }
  }
  expect_law("Rejection: the uniform number behind an acceptance", uniform);
  expect_exact("Rejection: log u found at four pairs of beta and ceiling", 2000, largest, 1e-11);
}

TEST_CASE("the law of rejection, with and without a cap, one by one and in parallel", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> rewards = toy::rewards_of(base);
  const double highest = *std::max_element(rewards.begin(), rewards.end());
  REQUIRE_THAT(highest, WithinAbs(2.4, 1e-12));
  for (const double ceiling : {highest, 0.6, 2.8}) {
    const std::vector<double> accept = exact::acceptances(rewards, ceiling, beta);
    const std::vector<std::size_t> caps = ceiling == highest
                                              ? std::vector<std::size_t>{npos, 0, 1, 4, 20}
                                              : std::vector<std::size_t>{npos, 4};
    for (const std::size_t K : caps) {
      const exact::Capped capped =
          exact::capped_rejection(base.probabilities(), rewards, accept, K);
      const Runs seen =
          run(Rejection{{.beta = beta, .ceiling = ceiling, .max_rejections = K, .max_tokens = 4}},
              toy::reward(), base, capped);
      const std::string what = "ceiling " + to_text(ceiling) + ", cap " + name_of(K);
      expect_law("Rejection: " + what, seen.law);
      expect_mean("Rejection, draws: " + what, seen.calls);
      expect_mean("Rejection, rate of the cap: " + what, seen.cap_rate);
    }
  }
  const std::vector<double> accept = exact::acceptances(rewards, highest, beta);
  for (const std::size_t parallel : {3u, 8u}) {
    for (const std::size_t K : {npos, std::size_t{4}}) {
      const exact::Capped capped =
          exact::capped_rejection(base.probabilities(), rewards, accept, K);
      const Runs seen = run(Rejection{{.beta = beta,
                                       .ceiling = highest,
                                       .max_rejections = K,
                                       .max_tokens = 4,
                                       .parallel = parallel}},
                            toy::reward(), base, capped);
      const std::string what = to_text(parallel) + " in parallel, cap " + name_of(K);
      expect_law("Rejection: " + what, seen.law);
      expect_mean("Rejection, rate of the cap: " + what, seen.cap_rate);
    }
  }
}

TEST_CASE("below the ceiling rejection has the tilted law, above it the clipped one") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> rewards = toy::rewards_of(base);
  const auto law = [&](double ceiling) {
    return exact::capped_rejection(base.probabilities(), rewards,
                                   exact::acceptances(rewards, ceiling, beta), npos)
        .law;
  };
  CHECK(total_variation(law(2.4), toy::tilted_law().probabilities()) < 1e-12);
  CHECK(total_variation(law(5), toy::tilted_law().probabilities()) < 1e-12);
  CHECK(total_variation(law(0.6), toy::tilted_law().probabilities()) > 0.1);
  CHECK(total_variation(law(-10), base.probabilities()) < 1e-12);
}

TEST_CASE("the check of rejection sees the bugs of such loops", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> rewards = toy::rewards_of(base);
  struct Twin {
    std::string name;
    MutantRejectionOptions options;
    double ceiling = 2.4;
  };
  const auto law_of = [&](Twin twin) {
    twin.options.beta = beta;
    twin.options.ceiling = twin.ceiling;
    const exact::Capped capped = exact::capped_rejection(
        base.probabilities(), rewards, exact::acceptances(rewards, twin.ceiling, beta),
        twin.options.max_rejections);
    LawCheck check(capped.law);
    Decoder decoder{toy::policy(), toy::reward(), MutantRejection{twin.options}};
    for_each_run(decoder, runs,
                 [&](const Result& result) { check.count(base.index_of(result.answer.response)); });
    return check;
  };
  expect_law("rejection written a second time, four in parallel", law_of({"", {.parallel = 4}}));
  expect_law("rejection written a second time, cap 4", law_of({"", {.max_rejections = 4}}));
  using Bug = RejectionBug;
  for (const Twin& twin : std::vector<Twin>{
           {"the largest reward so far for a ceiling", {.bug = Bug::running_maximum}},
           {"one uniform number for a round of 4", {.bug = Bug::shared_uniform, .parallel = 4}},
           {"the best of the passing ones of 4", {.bug = Bug::best_of_passing, .parallel = 4}, 0.6},
           {"the shortest of the passing ones of 4",
            {.bug = Bug::shortest_passing, .parallel = 4},
            0.6},
           {"the forced draw returned, cap 4",
            {.bug = Bug::forced_is_returned, .max_rejections = 4}},
           {"one draw less before the cap of 1",
            {.bug = Bug::one_rejection_less, .max_rejections = 1}},
           {"beta multiplied instead of divided", {.bug = Bug::beta_multiplies}}}) {
    expect_caught(twin.name, law_of(twin));
  }
  // The tilted law, where the rewards exceed the ceiling.
  LawCheck unclipped(toy::tilted_law().probabilities());
  Decoder low{toy::policy(), toy::reward(),
              Rejection{{.beta = beta, .ceiling = 0.6, .max_rejections = npos, .max_tokens = 4}}};
  for_each_run(low, runs, [&](const Result& result) {
    unclipped.count(base.index_of(result.answer.response));
  });
  expect_caught("clipped rejection taken for the tilted law", unclipped);
}

TEST_CASE("the draw that ends the run is not tested", "[law]") {
  // A small difference: told apart by the reward alone, whose law has fewer outcomes.
  constexpr double hot = 1.5, ceiling = 2.4;
  const ResponseLaw base = toy::base_law();
  const auto key = [](const Response& y) { return std::round(10 * toy::reward_of(y.tokens)); };
  const std::vector<double> rewards = toy::rewards_of(base);
  const exact::Capped capped = exact::capped_rejection(
      base.probabilities(), rewards, exact::acceptances(rewards, ceiling, hot), 2);
  std::vector<double> keys, law;
  for (const auto& [value, outcomes] : exact::classes_of(base.evaluate(key))) {
    keys.push_back(value);
    law.push_back(exact::mass_of(capped.law, outcomes));
  }
  const auto seen = [&](auto sampler) {
    LawCheck check(law);
    Decoder decoder{toy::policy(), toy::reward(), std::move(sampler)};
    for_each_run(decoder, 2 * runs, [&](const Result& result) {
      const auto place = std::find(keys.begin(), keys.end(), key(result.answer.response));
      check.count(static_cast<std::size_t>(place - keys.begin()));
    });
    return check;
  };
  expect_law(
      "Rejection: rewards at cap 2, beta 1.5",
      seen(Rejection{{.beta = hot, .ceiling = ceiling, .max_rejections = 2, .max_tokens = 4}}));
  expect_caught("the forced draw tested, cap 2, beta 1.5",
                seen(MutantRejection{{.bug = RejectionBug::forced_is_tested,
                                      .beta = hot,
                                      .ceiling = ceiling,
                                      .max_rejections = 2}}));
}

TEST_CASE("rejection of rewards of -infinity", "[law]") {
  const auto forbidding = [](TokenSpan tokens) {
    return tokens[0] == toy::a ? -infinity : toy::reward_of(tokens);
  };
  const ResponseLaw base = toy::base_law();
  const std::vector<double> rewards =
      base.evaluate([&](const Response& y) { return forbidding(y.tokens); });
  const std::vector<double> accept = exact::acceptances(rewards, 2.4, beta);
  RewardFunction reward{[&](const Prompt&, const Response& y) { return forbidding(y.tokens); }};
  for (const std::size_t K : {npos, std::size_t{2}}) {
    const exact::Capped capped = exact::capped_rejection(base.probabilities(), rewards, accept, K);
    const Runs seen =
        run(Rejection{{.beta = beta, .ceiling = 2.4, .max_rejections = K, .max_tokens = 4}}, reward,
            base, capped);
    expect_law("Rejection: rewards of -infinity, cap " + name_of(K), seen.law);
  }
}

TEST_CASE("rejection without a reward, or with a flat one, gives the base law", "[law]") {
  const ResponseLaw base = toy::base_law();
  const exact::Capped first{.law = base.probabilities(), .candidates = 1, .cap_rate = 0};
  RewardFunction zero{[](const Prompt&, const Response&) { return 0.0; }};
  const Runs without =
      run(Rejection{{.beta = beta, .ceiling = 0, .max_tokens = 4}}, zero, base, first);
  expect_law("Rejection: reward 0 gives the base law", without.law);
  CHECK(without.calls.mean() == 1);
  const Runs flat =
      run(Rejection{{.beta = 1e12, .ceiling = 3, .max_tokens = 4}}, toy::reward(), base, first);
  expect_law("Rejection: beta 1e12 gives the base law", flat.law);
  CHECK(flat.calls.mean() < 1.001);
}

namespace {

std::vector<double> weights_of(const Population& population) {
  std::vector<double> weights;
  for (const Candidate& candidate : population) weights.push_back(candidate.weight);
  return weights;
}

}  // namespace

TEST_CASE("of a round the lowest draw that passes is returned, with weight 1") {
  RoundBench bench(Rejection{{.beta = 1, .ceiling = 2, .max_tokens = 4, .parallel = 4}});
  REQUIRE(bench.ask().size() == 4);
  bench.answer(0, tokens_of({0}), -1e6);
  bench.answer(1, tokens_of({1}), 2);
  bench.answer(2, tokens_of({2}), 9);
  bench.answer(3, tokens_of({3}), -1e6);
  bench.tell();
  CHECK(weights_of(bench.population) == std::vector<double>{0, 1, 0, 0});
  CHECK(bench.state.tried == 2);
  CHECK(bench.state.done);
  CHECK_FALSE(bench.state.capped);
  CHECK(bench.ask().empty());
}

TEST_CASE("at the cap the best of all is returned, the earliest of equals") {
  RoundBench bench(Rejection{{.beta = 1, .ceiling = 0, .max_rejections = 4, .parallel = 3}});
  REQUIRE(bench.ask().size() == 3);
  for (const std::size_t i : {0u, 1u, 2u}) bench.answer(i, tokens_of({0}), i == 1 ? -1e5 : -2e5);
  bench.tell();
  REQUIRE(bench.ask().size() == 2);  // of 3, because 4 + 1 - 3 are left
  bench.answer(0, tokens_of({1}), -1e5);
  bench.answer(1, tokens_of({1}), -1e5);
  bench.tell();
  CHECK(bench.state.done);
  CHECK(bench.state.capped);
  CHECK(bench.state.tried == 5);
  CHECK(weights_of(bench.population) == std::vector<double>{0, 1, 0, 0, 0});
  CHECK(bench.ask().empty());
}

TEST_CASE("nothing but -infinity: the cap returns the earliest") {
  RewardFunction impossible{[](const Prompt&, const Response&) { return -infinity; }};
  Decoder decoder{toy::policy(), impossible,
                  Rejection{{.ceiling = 0, .max_rejections = 5, .max_tokens = 4}}};
  const Result result = decoder("");
  CHECK(result.candidates.size() == 6);
  CHECK(result.decision.index == 0);
  CHECK(result.answer.weight == 1);
}

TEST_CASE("failed draws count as rejections, skipped ones do not") {
  RoundBench bench(Rejection{{.beta = 1, .ceiling = 0, .max_rejections = 2, .parallel = 3}});
  bench.ask();
  bench.fail(0);
  bench.answer(1, tokens_of({1}), -1e5);
  bench.fail(2);
  bench.tell();
  CHECK(bench.state.done);
  CHECK(bench.state.capped);
  CHECK(weights_of(bench.population) == std::vector<double>{1});

  RoundBench all(Rejection{{.beta = 1, .ceiling = 0, .max_rejections = 1, .parallel = 2}});
  all.ask();
  all.fail(0);
  all.fail(1);
  all.tell();
  CHECK(all.state.done);
  CHECK(all.population.empty());
}

TEST_CASE("a run that is ended early returns the best so far") {
  RoundBench bench(Rejection{{.beta = 1, .ceiling = 0, .max_rejections = 9, .parallel = 4}});
  bench.ask();
  bench.answer(0, tokens_of({0}), -3e5);
  bench.answer(1, tokens_of({1}), -1e5);
  bench.answer(2, tokens_of({2}), -2e5);
  bench.tell_closing();
  CHECK_FALSE(bench.state.done);
  CHECK(weights_of(bench.population) == std::vector<double>{0, 1, 0});

  RewardFunction low{
      [](const Prompt&, const Response& y) { return toy::reward_of(y.tokens) - 1e6; }};
  Decoder decoder{toy::policy(), low,
                  Rejection{{.ceiling = 0, .max_rejections = npos, .max_tokens = 4}}};
  const Result result = decoder("", {.seed = 1, .budget = {.reward_calls = 20}});
  CHECK(result.stop == Stop::reward_calls);
  REQUIRE(result.candidates.size() == 20);
  double highest = -infinity;
  for (const Candidate& candidate : result.candidates)
    highest = std::max(highest, candidate.reward);
  CHECK(result.answer.reward == highest);
  CHECK_FALSE(result.law_holds);
}

TEST_CASE("diagnostics of Rejection") {
  Decoder decoder{toy::policy(), toy::reward(),
                  Rejection{{.beta = beta, .ceiling = 0.6, .max_tokens = 4, .parallel = 20}}};
  const Result result = decoder("", {.seed = 1});
  CHECK(stat_of(result.stats, "draws") >= 1);
  CHECK(stat_of(result.stats, "capped") == 0);
}

TEST_CASE("the estimate of the KL of rejection is unbiased, one by one and in parallel", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities(), rewards = toy::rewards_of(base);
  for (const double ceiling : {2.4, 0.6}) {
    const std::vector<double> law =
        exact::capped_rejection(p, rewards, exact::acceptances(rewards, ceiling, beta), npos).law;
    double exact = 0;
    for (std::size_t i = 0; i < p.size(); ++i) exact += law[i] * std::log(law[i] / p[i]);
    for (const std::size_t parallel : {1u, 8u}) {
      const std::string what =
          "ceiling " + to_text(ceiling) + ", " + to_text(parallel) + " in parallel";
      MeanCheck seen(exact), old(exact);
      const Decoder decoder{toy::policy(), toy::reward(),
                            Rejection{{.beta = beta,
                                       .ceiling = ceiling,
                                       .max_rejections = npos,
                                       .max_tokens = 4,
                                       .parallel = parallel}}};
      for_each_run(decoder, 20'000, [&](const Result& result) {
        seen.add(stat_of(result.stats, "kl"));
        // All draws taken for a sample of the base law, though a good one has ended them.
        std::vector<double> clipped, weights;
        for (const Candidate& candidate : result.candidates) {
          clipped.push_back(std::min(candidate.reward, ceiling));
          weights.push_back(candidate.weight);
        }
        old.add(kl_estimate(clipped, weights, clipped, beta));
      });
      law_table::expect_mean("Rejection, estimate of the KL: " + what, seen);
      // Of 8 in parallel the draws behind make up for most of the one that stops.
      if (parallel == 1) {
        law_table::expect_mean_caught("the draw that stops among the base draws: " + what, old);
      }
    }
  }
}

TEST_CASE("with a cap Rejection bounds the KL of its law, and estimates none") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities(), rewards = toy::rewards_of(base);
  for (const std::size_t K : {std::size_t{0}, std::size_t{1}, std::size_t{4}, std::size_t{20}}) {
    const std::vector<double> law =
        exact::capped_rejection(p, rewards, exact::acceptances(rewards, 2.4, beta), K).law;
    double exact = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (law[i] > 0) exact += law[i] * std::log(law[i] / p[i]);
    }
    const Decoder decoder{
        toy::policy(), toy::reward(),
        Rejection{{.beta = beta, .ceiling = 2.4, .max_rejections = K, .max_tokens = 4}}};
    const Result result = decoder("");
    CHECK(std::isnan(stat_of(result.stats, "kl")));
    const double bound = stat_of(result.stats, "kl_upper_bound");
    CHECK(bound == std::log(static_cast<double>(K + 1)));
    CHECK(exact <= bound + 1e-12);
  }
}

#include "tilt/sampler/epsilon_best_of.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/testing/check_sampler.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught;
using law_table::expect_law;
using law_table::expect_mean;
using law_table::MeanCheck;

namespace {

constexpr std::size_t runs = 20'000;

auto decoder_of(double epsilon, std::size_t k) {
  return Decoder{toy::policy(), tied_toy::reward(),
                 EpsilonBestOf{{.epsilon = epsilon, .k = k, .max_tokens = toy::max_tokens}}};
}

std::vector<double> mixture(const ResponseLaw& base, double epsilon, std::size_t k) {
  std::vector<double> law = base.probabilities();
  const std::vector<double> best = exact::best_of_n(law, tied_toy::rewards_of(base), k);
  for (std::size_t i = 0; i < law.size(); ++i) law[i] += epsilon * (best[i] - law[i]);
  return law;
}

double divergence(const std::vector<double>& law, const std::vector<double>& base) {
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (law[i] > 0) sum += law[i] * std::log(law[i] / base[i]);
  }
  return sum;
}

}  // namespace

TEST_CASE("EpsilonBestOf refuses options out of range and names them") {
  const auto build = [](EpsilonBestOfOptions options) {
    return [options] { EpsilonBestOf{options}; };
  };
  expect_refused(build({.epsilon = -0.1}), "EpsilonBestOfOptions.epsilon", "-0.1");
  expect_refused(build({.epsilon = 1.1}), "EpsilonBestOfOptions.epsilon", "1.1");
  expect_refused(build({.epsilon = 0.5, .k = 0}), "EpsilonBestOfOptions.k", "0");
  expect_refused(build({.epsilon = 0.5, .max_tokens = 0}), "EpsilonBestOfOptions.max_tokens", "0");
  expect_refused(build({.epsilon = 0.5, .law = {.min_p = 2}}), "EpsilonBestOfOptions.law.min_p",
                 "2");
  CHECK_NOTHROW(EpsilonBestOf{{}});
  expect_refused([] { Session(EpsilonBestOf{{}}, ""); }, "EpsilonBestOfOptions.epsilon", "nan");
}

TEST_CASE("EpsilonBestOf keeps the semantics of samplers") {
  const std::vector<std::string> none;
  CHECK(check_sampler(EpsilonBestOf{{.epsilon = 1, .k = 5, .max_tokens = 6}}) == none);
  CHECK(check_sampler(EpsilonBestOf{{.epsilon = 0.5, .k = 5, .max_tokens = 6}}) == none);
}

TEST_CASE("EpsilonBestOf has the law of the mixture", "[law]") {
  const ResponseLaw base = toy::base_law();
  for (const double epsilon : {0.0, 0.4, 1.0}) {
    LawCheck check(mixture(base, epsilon, 6));
    MeanCheck draws(1 + 5 * epsilon);
    for_each_run(decoder_of(epsilon, 6), runs, [&](const Result& result) {
      check.count(base.index_of(result.answer.response));
      draws.add(static_cast<double>(result.spent.policy_calls));
      CHECK(stat_of(result.stats, "draws") == static_cast<double>(result.spent.policy_calls));
    });
    expect_law("EpsilonBestOf: epsilon = " + to_text(epsilon) + ", k = 6", check);
    expect_mean("EpsilonBestOf, draws: epsilon = " + to_text(epsilon), draws);
  }
  LawCheck best(mixture(base, 0.4, 6)), swapped(mixture(base, 0.3, 6)),
      fewer(mixture(base, 0.8, 6));
  for_each_run(decoder_of(0.7, 6), runs,
               [&](const Result& result) { swapped.count(base.index_of(result.answer.response)); });
  expect_caught("epsilon taken for the share of plain draws", swapped);
  for_each_run(decoder_of(0.8, 3), runs,
               [&](const Result& result) { fewer.count(base.index_of(result.answer.response)); });
  expect_caught("best of 3 for best of 6 in the mixture", fewer);
  // As many draws on average, but always the same number.
  Decoder fixed{toy::policy(), tied_toy::reward(),
                BestOfN{{.n = 3, .max_tokens = toy::max_tokens}}};
  for_each_run(fixed, runs,
               [&](const Result& result) { best.count(base.index_of(result.answer.response)); });
  expect_caught("best of 3 for a mixture of 3 draws on average", best);
}

TEST_CASE("EpsilonBestOf: its KL is a bound that ties make larger than the truth") {
  const ResponseLaw base = toy::base_law();
  const double bound = stat_of(decoder_of(0.4, 6)("").stats, "kl_upper_bound");
  const double truth = divergence(mixture(base, 0.4, 6), base.probabilities());
  CHECK(truth < bound);
  CHECK(truth > 0.5 * bound);
  const auto kl = [](double epsilon, std::size_t k) {
    const EpsilonBestOf sampler{{.epsilon = epsilon, .k = k}};
    return sampler.tilt().kl();
  };
  CHECK(kl(0, 8) < 1e-12);
  CHECK(kl(0.3, 1) < 1e-12);
  CHECK_THAT(kl(1, 8), WithinAbs(kl_best_of_n_bound(8), 1e-10));
  CHECK_THAT(kl(.411, 28), WithinAbs(.5, 1e-3));
  CHECK_THAT((EpsilonBestOf{{.epsilon = 0.3, .k = 4}}.tilt().win_rate()),
             WithinAbs(0.5 + 0.3 * (4.0 / 5 - 0.5), 1e-12));
}

TEST_CASE("EpsilonBestOf: failed draws are left out") {
  RoundBench bench(EpsilonBestOf{{.epsilon = 1, .k = 3, .max_tokens = 4}});
  REQUIRE(bench.ask().size() == 3);
  bench.fail(0);
  bench.answer(1, tokens_of({1}), -infinity);
  bench.answer(2, tokens_of({2}), -5);
  bench.tell();
  CHECK(bench.population.size() == 2);
  CHECK(bench.ask().empty());
}

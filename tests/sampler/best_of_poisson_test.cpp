#include "tilt/sampler/best_of_poisson.hpp"

#include <algorithm>
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

auto decoder_of(double mu) {
  return Decoder{toy::policy(), tied_toy::reward(),
                 BestOfPoisson{{.mu = mu, .max_tokens = toy::max_tokens}}};
}

// The best of n averaged over the Poisson law of n - 1, term by term.
std::vector<double> poisson_mixture(const ResponseLaw& base, double mu) {
  const std::vector<double> p = base.probabilities(), rewards = tied_toy::rewards_of(base);
  std::vector<double> law(p.size());
  double weight = std::exp(-mu);
  for (std::size_t n = 1; n < 100; ++n) {
    const std::vector<double> best = exact::best_of_n(p, rewards, n);
    for (std::size_t i = 0; i < p.size(); ++i) law[i] += weight * best[i];
    weight *= mu / static_cast<double>(n);
  }
  return law;
}

}  // namespace

TEST_CASE("BestOfPoisson refuses options out of range and names them") {
  const auto build = [](BestOfPoissonOptions options) {
    return [options] { BestOfPoisson{options}; };
  };
  expect_refused(build({.mu = -1}), "BestOfPoissonOptions.mu", "-1");
  expect_refused(build({.mu = infinity}), "BestOfPoissonOptions.mu", "inf");
  expect_refused(build({.mu = 2e6}), "BestOfPoissonOptions.mu", "2000000");
  expect_refused(build({.mu = 1, .max_tokens = 0}), "BestOfPoissonOptions.max_tokens", "0");
  expect_refused(build({.mu = 1, .law = {.top_p = 0}}), "BestOfPoissonOptions.law.top_p", "0");
  CHECK_NOTHROW(BestOfPoisson{{}});
  expect_refused([] { Session(BestOfPoisson{{}}, ""); }, "BestOfPoissonOptions.mu", "nan");
}

TEST_CASE("BestOfPoisson keeps the semantics of samplers") {
  const std::vector<std::string> none;
  CHECK(check_sampler(BestOfPoisson{{.mu = 3, .max_tokens = 6}}) == none);
  CHECK(check_sampler(BestOfPoisson{{.mu = 0, .max_tokens = 6}}) == none);
}

TEST_CASE("BestOfPoisson has the law of the Poisson mixture", "[law]") {
  const ResponseLaw base = toy::base_law();
  for (const double mu : {0.0, 0.7, 4.0}) {
    const std::vector<double> law = poisson_mixture(base, mu);
    LawCheck check(law);
    MeanCheck draws(1 + mu);
    for_each_run(decoder_of(mu), runs, [&](const Result& result) {
      check.count(base.index_of(result.answer.response));
      draws.add(static_cast<double>(result.spent.policy_calls));
      CHECK(stat_of(result.stats, "draws") == static_cast<double>(result.spent.policy_calls));
    });
    expect_law("BestOfPoisson: mu = " + to_text(mu), check);
    expect_mean("BestOfPoisson, draws: mu = " + to_text(mu), draws);
    // The closed form v exp(mu (v - 1)) of the distribution function.
    const std::vector<double> p = base.probabilities();
    std::vector<double> closed(p.size());
    double below = 0;
    const auto G = [mu](double v) { return v * std::exp(mu * (v - 1)); };
    for (const auto& [value, outcomes] : exact::classes_of(tied_toy::rewards_of(base))) {
      const double mass = exact::mass_of(p, outcomes);
      for (const std::size_t i : outcomes) {
        closed[i] = (G(below + mass) - G(below)) * p[i] / mass;
      }
      below += mass;
    }
    CHECK(total_variation(closed, law) < 1e-12);
  }
  const std::vector<double> law = poisson_mixture(base, 4);
  LawCheck fixed(law), one_less(poisson_mixture(base, 1.5));
  Decoder five{toy::policy(), tied_toy::reward(), BestOfN{{.n = 5, .max_tokens = toy::max_tokens}}};
  for_each_run(five, runs,
               [&](const Result& result) { fixed.count(base.index_of(result.answer.response)); });
  expect_caught("5 draws for 1 + Poisson(4)", fixed);
  // n = max(1, Poisson): the draw that is always made is forgotten.
  const std::vector<double> rewards = tied_toy::rewards_of(base);
  for (std::uint64_t run = 0; run < runs; ++run) {
    Random random(run, 4);
    const std::size_t n = std::max<std::size_t>(1, random.poisson(1.5));
    std::size_t answer = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t y = random.categorical(base.log_probs());
      if (i == 0 || rewards[y] > rewards[answer]) answer = y;
    }
    one_less.count(answer);
  }
  expect_caught("the best of max(1, Poisson(1.5))", one_less);
}

TEST_CASE("BestOfPoisson: its KL is a bound that ties make larger than the truth") {
  const ResponseLaw base = toy::base_law();
  const double bound = stat_of(decoder_of(4)("").stats, "kl_upper_bound");
  CHECK_THAT(bound, WithinAbs(.673937, 0.51e-6));
  const std::vector<double> law = poisson_mixture(base, 4), p = base.probabilities();
  double truth = 0;
  for (std::size_t i = 0; i < p.size(); ++i) truth += law[i] * std::log(law[i] / p[i]);
  CHECK(truth < bound);
  CHECK(truth > 0.5 * bound);
  CHECK((BestOfPoisson{{.mu = 0}}.tilt().kl()) < 1e-12);
  CHECK_THAT((BestOfPoisson{{.mu = 7}}.tilt().win_rate()), WithinAbs(.877532, 0.51e-6));
}

TEST_CASE("BestOfPoisson: failed draws are left out, and nothing is asked twice") {
  RoundBench bench(BestOfPoisson{{.mu = 6, .max_tokens = 4}}, 3);
  const std::size_t n = bench.ask().size();
  REQUIRE(n > 2);
  bench.fail(0);
  for (std::size_t i = 1; i < n; ++i) bench.answer(i, tokens_of({1}), -infinity);
  bench.tell();
  CHECK(bench.population.size() == n - 1);
  CHECK(bench.ask().empty());
}

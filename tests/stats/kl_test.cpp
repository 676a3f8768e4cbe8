#include "tilt/stats/kl.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "tilt/core/random.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::unset;

TEST_CASE("kl_best_of_n_bound: log n - (n-1)/n", "[stats]") {
  CHECK(tilt::kl_best_of_n_bound(1) == 0);
  CHECK_THAT(tilt::kl_best_of_n_bound(4), WithinAbs(std::log(4.0) - 0.75, 1e-15));
  CHECK(std::isnan(tilt::kl_best_of_n_bound(0)));
}

// Over m responses of equal probability and distinct rewards best-of-n has the law
// (j/m)^n - ((j-1)/m)^n: its KL is below the bound and tends to it.
TEST_CASE("kl_best_of_n_bound: bounds the divergence and is attained in the limit", "[stats]") {
  const auto kl = [](double m, double n) {
    double sum = 0;
    for (double j = 1; j <= m; ++j) {
      const double p = std::pow(j / m, n) - std::pow((j - 1) / m, n);
      sum += p * std::log(p * m);
    }
    return sum;
  };
  CHECK_THAT(kl(4, 2), WithinAbs(0.17398, 5e-6));
  CHECK(kl(4, 16) < tilt::kl_best_of_n_bound(16));
  CHECK_THAT(kl(100000, 16), WithinAbs(tilt::kl_best_of_n_bound(16), 1e-4));
}

// NumPy: sum(w r)/sum(w)/beta - log(mean(exp(b/beta)))
TEST_CASE("kl_estimate: equals an independent computation", "[stats]") {
  const std::vector<double> rewards = {1.2, 0.4, 2.0, 2.0}, weights = {1, 2, 0, 3};
  const std::vector<double> base = {-0.5, 0.1, 0.9, 1.4, -2};
  CHECK_THAT(tilt::kl_estimate(rewards, weights, base, 0.7), WithinAbs(0.9720589014265486, 1e-14));

  tilt::Population population;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    population.add({.reward = rewards[i], .weight = weights[i]}, 0);
  }
  CHECK(tilt::kl_estimate(population, base, 0.7) == tilt::kl_estimate(rewards, weights, base, 0.7));
}

TEST_CASE("kl_estimate: edge cases", "[stats]") {
  const std::vector<double> one = {1.0}, none = {};
  CHECK(std::isnan(tilt::kl_estimate(none, none, one, 1)));
  CHECK(std::isnan(tilt::kl_estimate(one, one, none, 1)));
  CHECK(std::isnan(tilt::kl_estimate(one, one, std::vector{-infinity}, 1)));
  CHECK(std::isnan(tilt::kl_estimate(one, std::vector{0.0}, one, 1)));
  // What weighs nothing does no harm, also where its reward is -infinity.
  CHECK_THAT(tilt::kl_estimate(std::vector{1.0, -infinity}, std::vector{1.0, 0.0},
                               std::vector{1.0, -infinity}, 1),
             WithinAbs(std::log(2.0), 1e-15));
  CHECK_THAT(tilt::kl_estimate(std::vector{2000.0}, one, std::vector{2000.0, 0.0}, 1),
             WithinAbs(std::log(2.0), 1e-12));
  CHECK_THROWS_AS(tilt::kl_estimate(one, one, one, 0), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::kl_estimate(one, none, one, 1), tilt::InvalidOption);
}

// Two responses, p = (0.75, 0.25), r = (0, 1), beta = 0.5: the exact KL is the limit of the estimate.
TEST_CASE("kl_estimate: tends to the exact divergence", "[stats][law]") {
  const double p = 0.25, beta = 0.5;
  const double z = 1 - p + p * std::exp(1 / beta);
  const double q = p * std::exp(1 / beta) / z;
  const double exact = q * std::log(q / p) + (1 - q) * std::log((1 - q) / (1 - p));
  tilt::Random random(20250601);
  std::vector<double> tilted, base;
  for (int i = 0; i < 40000; ++i) {
    tilted.push_back(random.uniform() < q ? 1 : 0);
    base.push_back(random.uniform() < p ? 1 : 0);
  }
  const std::vector<double> ones(tilted.size(), 1.0);
  // Five standard errors: of the mean of r/beta, and, by the delta method, of log Z.
  const double n = static_cast<double>(base.size());
  const double spread = std::exp(1 / beta) - 1;
  const double bound =
      5 * std::sqrt(q * (1 - q) / (beta * beta * n) + p * (1 - p) * spread * spread / (z * z * n));
  CHECK_THAT(tilt::kl_estimate(tilted, ones, base, beta), WithinAbs(exact, bound));
  // The planted fault: the base draws taken for the result.
  CHECK(std::abs(tilt::kl_estimate(base, ones, base, beta) - exact) > bound);
}

namespace {

// A law over a few responses: unequal probabilities, and ties of the reward in every second one.
struct SmallLaw {
  std::vector<double> probabilities, rewards;

  explicit SmallLaw(std::uint64_t number) {
    tilt::Random random(20250602, number);
    const std::size_t size = 2 + random.below(8);
    const double spread = 1 + 2 * random.uniform();
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) {
      probabilities.push_back(std::pow(random.exponential(), spread));
      total += probabilities.back();
      rewards.push_back(static_cast<double>(number % 2 == 0 ? i : random.below(3)));
    }
    for (double& p : probabilities) p /= total;
  }
};

double divergence(const std::vector<double>& law, const std::vector<double>& base) {
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (law[i] > 0) sum += law[i] * std::log(law[i] / base[i]);
  }
  return sum;
}

}  // namespace

TEST_CASE("kl_best_of_n_exact: equals the divergence of the enumerated law", "[stats][law]") {
  double worst = 0;
  for (std::uint64_t number = 0; number < 60; ++number) {
    const auto [p, rewards] = SmallLaw(number);
    for (const std::size_t n : {1u, 2u, 5u, 16u}) {
      const std::vector<double> law = exact::best_of_n(p, rewards, n);
      worst =
          std::max(worst, std::abs(tilt::kl_best_of_n_exact(p, rewards, n) - divergence(law, p)));
    }
  }
  law_table::expect_exact("kl_best_of_n_exact: 60 laws, n = 1 2 5 16", 9, worst);
  // The planted fault: responses of one reward taken for responses of different ones.
  const std::vector<double> p = {0.25, 0.25, 0.25, 0.25}, tied = {0, 1, 1, 1};
  const double right = divergence(exact::best_of_n(p, tied, 4), p);
  const double apart = tilt::kl_best_of_n_exact(p, std::vector<double>{0, 1, 2, 3}, 4);
  law_table::expect_exact_caught("kl_best_of_n_exact: ties taken apart", 4,
                                 std::abs(apart - right));
}

TEST_CASE("kl_best_of_n_exact: edge cases", "[stats]") {
  const std::vector<double> p = {0.2, 0.5, 0.3}, rewards = {1, -infinity, 2};
  CHECK(tilt::kl_best_of_n_exact(p, rewards, 1) == 0);
  CHECK(std::isnan(tilt::kl_best_of_n_exact(p, rewards, 0)));
  CHECK(tilt::kl_best_of_n_exact(p, std::vector<double>(3, 1.0), 8) == 0);
  CHECK(tilt::kl_best_of_n_exact(std::vector{1.0}, std::vector{5.0}, 8) == 0);
  CHECK(tilt::kl_best_of_n_exact(std::vector{0.5, 0.0, 0.5}, std::vector<double>{1, 2, 3}, 4) ==
        tilt::kl_best_of_n_exact(std::vector{0.5, 0.5}, std::vector<double>{1, 3}, 4));
  // In the limit of large n the best response is certain, also where it is rare.
  CHECK_THAT(tilt::kl_best_of_n_exact(p, rewards, 100'000), WithinAbs(-std::log(0.3), 1e-12));
  const std::vector<double> rare = {1 - 1e-18, 1e-18}, order = {0, 1};
  CHECK_THAT(tilt::kl_best_of_n_exact(rare, order, tilt::npos), WithinAbs(-std::log(1e-18), 1e-3));
  CHECK_THAT(tilt::kl_best_of_n_exact(rare, order, 1'000'000), WithinAbs(0, 1e-10));
}

TEST_CASE("kl_best_of_n_exact: refuses what is no law", "[stats]") {
  const std::vector<double> half = {0.5, 0.5}, rewards = {0, 1};
  const auto refuse = [&](std::vector<double> p, std::vector<double> r, const std::string& field,
                          const std::string& value) {
    expect_refused([&] { (void)tilt::kl_best_of_n_exact(p, r, 2); }, field, value);
  };
  refuse({0.5}, rewards, "kl_best_of_n_exact.rewards", "2");
  refuse({1.5, -0.5}, rewards, "kl_best_of_n_exact.probabilities[1]", "-0.5");
  refuse({0.5, 0.4}, rewards, "the sum of kl_best_of_n_exact.probabilities", "0.9");
  refuse({}, {}, "the sum of kl_best_of_n_exact.probabilities", "0");
  refuse(half, {0, unset}, "kl_best_of_n_exact.rewards[1]", "nan");
  refuse(half, {infinity, 0}, "kl_best_of_n_exact.rewards[0]", "inf");
}

TEST_CASE("kl_best_of_n_estimate: four equal responses", "[stats]") {
  const std::vector<double> p(4, 0.25), rewards = {1, 2, 3, 4};
  struct Row {
    std::size_t n;
    double estimate, exact;
  };
  for (const Row& row :
       {Row{2, .19166, .17398}, Row{4, .61588, .59031}, Row{16, 1.33757, 1.33007}}) {
    CHECK_THAT(tilt::kl_best_of_n_estimate(row.n, std::log(0.25)), WithinAbs(row.estimate, 5e-6));
    CHECK_THAT(tilt::kl_best_of_n_exact(p, rewards, row.n), WithinAbs(row.exact, 1e-5));
  }
}

TEST_CASE("kl_best_of_n_estimate: between the exact divergence and the bound", "[stats][law]") {
  // Planted faults: the estimate without its second term, and the bound for the estimate.
  std::size_t first_term_below = 0, bound_is_worse = 0;
  for (std::uint64_t number = 0; number < 400; ++number) {
    const auto [p, rewards] = SmallLaw(number);
    const std::size_t n = 2 + number % 15;
    const std::vector<double> law = exact::best_of_n(p, rewards, n);
    double mean = 0, first_term = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      mean += law[i] * tilt::kl_best_of_n_estimate(n, std::log(p[i]));
      const auto draws = static_cast<double>(n);
      first_term += law[i] * std::pow(1 - p[i], draws) *
                    (tilt::kl_best_of_n_bound(n) + (draws - 1) * std::log1p(-p[i]));
    }
    const double exact = tilt::kl_best_of_n_exact(p, rewards, n);
    CHECK(mean >= exact - 1e-12);
    CHECK(mean <= tilt::kl_best_of_n_bound(n) + 1e-12);
    if (first_term < exact) ++first_term_below;
    if (mean - exact < 0.5 * (tilt::kl_best_of_n_bound(n) - exact)) ++bound_is_worse;
  }
  CHECK(first_term_below > 200);
  CHECK(bound_is_worse > 200);
}

TEST_CASE("kl_best_of_n_estimate: falls from the bound as the response gets likelier", "[stats]") {
  for (const std::size_t n : {2u, 4u, 256u}) {
    double before = tilt::kl_best_of_n_bound(n);
    for (double log_probability = -60; log_probability <= 0; log_probability += 0.01) {
      const double here = tilt::kl_best_of_n_estimate(n, log_probability);
      if (!(here <= before + 1e-13 && here > -1e-13)) {
        CAPTURE(n, log_probability, before, here);
        FAIL_CHECK("it rises or is negative");
      }
      before = here;
    }
    // Responses of hundreds of tokens have probabilities that no double holds.
    CHECK_THAT(tilt::kl_best_of_n_estimate(n, -740), WithinAbs(tilt::kl_best_of_n_bound(n), 1e-13));
    CHECK(tilt::kl_best_of_n_estimate(n, -5000) == tilt::kl_best_of_n_bound(n));
    CHECK(tilt::kl_best_of_n_estimate(n, -infinity) == tilt::kl_best_of_n_bound(n));
    CHECK(tilt::kl_best_of_n_estimate(n, 0) == 0);
  }
}

TEST_CASE("kl_best_of_n_estimate: edge cases", "[stats]") {
  CHECK(tilt::kl_best_of_n_estimate(1, -3) == 0);
  CHECK(std::isnan(tilt::kl_best_of_n_estimate(0, -3)));
  const std::vector<double> two = {-3, -1};
  CHECK_THAT(
      tilt::kl_best_of_n_estimate(4, two),
      WithinAbs((tilt::kl_best_of_n_estimate(4, -3) + tilt::kl_best_of_n_estimate(4, -1)) / 2,
                1e-15));
  CHECK(std::isnan(tilt::kl_best_of_n_estimate(4, std::vector<double>{})));
  const std::string field = "kl_best_of_n_estimate.log_probability";
  expect_refused([] { (void)tilt::kl_best_of_n_estimate(4, 0.5); }, field, "0.5");
  expect_refused([] { (void)tilt::kl_best_of_n_estimate(4, unset); }, field, "nan");
}

#include "tilt/stats/kl.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "tilt/core/random.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;

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

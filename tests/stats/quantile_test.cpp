#include "tilt/stats/quantile.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::quantile;

// Expected numbers: NumPy 1.26, quantile with its default method.
TEST_CASE("quantile: equals an independent implementation", "[stats]") {
  const std::vector<double> values = {3, -1, 4, 1, -5, 9, 2, 6};
  CHECK(quantile(values, 0) == -5);
  CHECK_THAT(quantile(values, 0.1), WithinAbs(-2.2, 1e-14));
  CHECK_THAT(quantile(values, 0.25), WithinAbs(0.5, 1e-14));
  CHECK_THAT(quantile(values, 0.5), WithinAbs(2.5, 1e-14));
  CHECK_THAT(quantile(values, 0.75), WithinAbs(4.5, 1e-14));
  CHECK_THAT(quantile(values, 0.9), WithinAbs(6.9, 1e-14));
  CHECK(quantile(values, 1) == 9);
}

TEST_CASE("quantile: edge cases", "[stats]") {
  CHECK(std::isnan(quantile(std::vector<double>{}, 0.5)));
  CHECK(quantile(std::vector{7.0}, 0.3) == 7);
  CHECK(std::isnan(quantile(std::vector{1.0, tilt::unset}, 0)));
  const std::vector<double> open = {-infinity, 0, 1, infinity};
  CHECK(quantile(open, 0) == -infinity);
  CHECK(quantile(open, 0.1) == -infinity);
  CHECK_THAT(quantile(open, 0.5), WithinAbs(0.5, 1e-15));
  CHECK(quantile(open, 0.9) == infinity);
  CHECK(quantile(std::vector{-infinity, -infinity}, 0.5) == -infinity);
  CHECK_THROWS_AS(quantile(open, -0.01), tilt::InvalidOption);
  CHECK_THROWS_AS(quantile(open, 1.01), tilt::InvalidOption);
  CHECK_THROWS_AS(quantile(open, tilt::unset), tilt::InvalidOption);
}

#include "tilt/stats/normal.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinRel;

// Expected numbers: scipy 1.17, stats.norm.ppf.
TEST_CASE("normal_quantile: equals an independent implementation", "[stats]") {
  const std::vector<std::pair<double, double>> table = {
      {1e-300, -37.0470962993612},   {1e-20, -9.262340089798409},  {1e-7, -5.1993375821928165},
      {0.001, -3.090232306167813},   {0.025, -1.9599639845400545}, {0.1, -1.2815515655446004},
      {0.3, -0.5244005127080409},    {0.9, 1.2815515655446004},    {0.975, 1.959963984540054},
      {1 - 1e-9, 5.997807019601637},
  };
  for (const auto& [p, z] : table) CHECK_THAT(tilt::normal_quantile(p), WithinRel(z, 1e-12));
  CHECK(tilt::normal_quantile(0.5) == 0);
  CHECK(tilt::normal_quantile(0) == -tilt::infinity);
  CHECK(tilt::normal_quantile(1) == tilt::infinity);
}

TEST_CASE("normal_quantile: inverts normal_probability", "[stats]") {
  for (double z = -8; z <= 4; z += 0.125) {
    CHECK(std::abs(tilt::normal_quantile(tilt::normal_probability(z)) - z) <= 1e-11);
  }
}

TEST_CASE("normal_quantile: refuses what is no probability", "[stats]") {
  CHECK_THROWS_AS(tilt::normal_quantile(-0.1), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::normal_quantile(1.1), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::normal_quantile(tilt::unset), tilt::InvalidOption);
}

#include "tilt/stats/ess.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/series.hpp"

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using tilt::infinity;
using Values = std::vector<std::vector<double>>;

TEST_CASE("effective_sample_size: of importance weights", "[stats]") {
  CHECK_THAT(tilt::effective_sample_size(std::vector{0.0, 0.0, 0.0}), WithinAbs(3, 1e-15));
  // NumPy: w = exp(x), sum(w)**2 / sum(w**2)
  CHECK_THAT(tilt::effective_sample_size(std::vector{0.0, -1.0, -2.5, 0.3, -700.0}),
             WithinAbs(2.6445689535387396, 1e-14));
  CHECK_THAT(tilt::effective_sample_size(std::vector{5.0, -infinity}), WithinAbs(1, 1e-15));
  CHECK(tilt::effective_sample_size(std::vector<double>{}) == 0);
  CHECK(tilt::effective_sample_size(std::vector{-infinity, -infinity}) == 0);
  CHECK(std::isnan(tilt::effective_sample_size(std::vector{0.0, tilt::unset})));
  CHECK(std::isnan(tilt::effective_sample_size(std::vector{0.0, infinity})));
}

TEST_CASE("effective_sample_size: weights beyond the range of exp", "[stats]") {
  const std::vector<double> large = {2000, 1999, 1997.5, 2000.3, 1300};
  CHECK_THAT(tilt::effective_sample_size(large), WithinAbs(2.6445689535387396, 1e-12));
  double sum = 0, squares = 0;  // the planted fault: no maximum subtracted
  for (const double w : large) {
    sum += std::exp(w);
    squares += std::exp(w) * std::exp(w);
  }
  CHECK(std::isnan(sum * sum / squares));
}

// Expected numbers: arviz 0.20, ess(x, method="mean"), of the same series rebuilt in Python; but for
// the two marked, whose correlations stay positive up to the last lag. There arviz leaves out the last
// two pairs of lags (4.0728 and 3.9041); the numbers are from a plain NumPy rewrite that does not.
TEST_CASE("chain_ess: equals an independent implementation", "[stats]") {
  struct Case {
    Values chains;
    double ess;
  };
  const std::vector<Case> cases = {
      {{autoregressive(1, 100, 0.5), autoregressive(2, 100, 0.5), autoregressive(3, 100, 0.5),
        autoregressive(4, 100, 0.5)},
       135.83643487824915},
      {{autoregressive(5, 101, 0.9), autoregressive(6, 101, 0.9)}, 3.82001261174459},  // marked
      {{autoregressive(7, 200, 0.7)}, 48.570433933064464},
      {{autoregressive(8, 120, -0.5), autoregressive(9, 120, -0.5)}, 571.2506980107854},
      {{autoregressive(10, 60, 0.3), autoregressive(11, 60, 0.3, 1),
        autoregressive(12, 60, 0.3, 2)},
       3.4431388401003233},  // marked
      {{autoregressive(13, 50, 0), autoregressive(14, 50, 0), autoregressive(15, 50, 0)},
       212.1777114850102},
      {{stepped(18, 90, 0.8), stepped(19, 90, 0.8)}, 28.33268408861188},
  };
  for (const Case& c : cases) CHECK_THAT(tilt::chain_ess(c.chains), WithinRel(c.ess, 1e-11));
}

TEST_CASE("chain_ess: edge cases", "[stats]") {
  const std::vector<double> constant(10, 0.1), other(10, 0.2);
  CHECK(std::isnan(tilt::chain_ess(Values{})));
  CHECK(std::isnan(tilt::chain_ess(Values{{1, 2, 3}})));
  CHECK(std::isnan(tilt::chain_ess(Values{constant})));
  // Chains that never move are worth about one value each.
  CHECK_THAT(tilt::chain_ess(Values{constant, other}), WithinAbs(2, 1));
  std::vector<double> broken = autoregressive(1, 40, 0);
  broken[7] = -infinity;
  CHECK(std::isnan(tilt::chain_ess(Values{broken})));
  broken[7] = tilt::unset;
  CHECK(std::isnan(tilt::chain_ess(Values{broken})));
}

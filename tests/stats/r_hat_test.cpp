#include "tilt/stats/r_hat.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/series.hpp"

using Catch::Matchers::WithinAbs;
using Values = std::vector<std::vector<double>>;

// Expected numbers: arviz 0.20, rhat(x, method="split") and rhat(x, method="rank"), of the same series
// rebuilt in Python.
TEST_CASE("split_r_hat and rank_r_hat: equal an independent implementation", "[stats]") {
  struct Case {
    Values chains;
    double split, rank;
  };
  std::vector<double> wide = autoregressive(17, 80, 0.2);
  for (double& value : wide) value *= 5;
  const std::vector<Case> cases = {
      {{autoregressive(1, 100, 0.5), autoregressive(2, 100, 0.5), autoregressive(3, 100, 0.5),
        autoregressive(4, 100, 0.5)},
       1.006958495737375,
       1.0076250705638754},
      {{autoregressive(5, 101, 0.9), autoregressive(6, 101, 0.9)},
       1.5088934540073857,
       1.4901868847109017},
      {{autoregressive(8, 120, -0.5), autoregressive(9, 120, -0.5)},
       0.9942638191955069,
       1.0058277455423972},
      {{autoregressive(10, 60, 0.3), autoregressive(11, 60, 0.3, 1),
        autoregressive(12, 60, 0.3, 2)},
       3.0718893965216587,
       2.4381575890758143},
      {{autoregressive(13, 50, 0), autoregressive(14, 50, 0), autoregressive(15, 50, 0)},
       0.9914525747022249,
       0.9927389563787168},
      {{autoregressive(16, 80, 0.2), wide}, 1.0057168647327088, 1.3358969950825945},
      {{stepped(18, 90, 0.8), stepped(19, 90, 0.8)}, 1.0523196796015233, 1.053818503887024},
  };
  for (const Case& c : cases) {
    CHECK_THAT(tilt::split_r_hat(c.chains), WithinAbs(c.split, 1e-12));
    CHECK_THAT(tilt::rank_r_hat(c.chains), WithinAbs(c.rank, 1e-12));
  }
}

TEST_CASE("split_r_hat: sees a drift within one chain", "[stats]") {
  CHECK(tilt::split_r_hat(Values{autoregressive(1, 100, 0)}) < 1.05);
  std::vector<double> drifting = autoregressive(1, 100, 0);
  for (std::size_t t = 0; t < drifting.size(); ++t) drifting[t] += 0.02 * static_cast<double>(t);
  CHECK(tilt::split_r_hat(Values{drifting}) > 1.5);
}

TEST_CASE("split_r_hat and rank_r_hat: edge cases", "[stats]") {
  const std::vector<double> constant(10, 0.1), other(10, 0.2);
  CHECK(std::isnan(tilt::split_r_hat(Values{})));
  CHECK(std::isnan(tilt::split_r_hat(Values{{1, 2, 3}})));
  CHECK(std::isnan(tilt::split_r_hat(Values{constant, constant})));
  CHECK(tilt::split_r_hat(Values{constant, other}) == tilt::infinity);
  CHECK(std::isnan(tilt::rank_r_hat(Values{constant, constant})));
  CHECK(tilt::rank_r_hat(Values{constant, other}) == tilt::infinity);

  Values chains = {autoregressive(1, 40, 0), autoregressive(2, 40, 0)};
  chains[0][3] = -tilt::infinity;
  CHECK(std::isnan(tilt::split_r_hat(chains)));
  CHECK(tilt::rank_r_hat(chains) < 1.1);
  chains[0][3] = tilt::unset;
  CHECK(std::isnan(tilt::split_r_hat(chains)));
  CHECK(std::isnan(tilt::rank_r_hat(chains)));
}

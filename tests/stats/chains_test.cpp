#include "tilt/stats/chains.hpp"

#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;
using Values = std::vector<std::vector<double>>;

TEST_CASE("split_chains: halves of the shortest length, without the middle of an odd one",
          "[stats]") {
  CHECK(tilt::split_chains(Values{{1, 2, 3, 4}}) == Values{{1, 2}, {3, 4}});
  CHECK(tilt::split_chains(Values{{1, 2, 3, 4, 5}}) == Values{{1, 2}, {4, 5}});
  CHECK(tilt::split_chains(Values{{1, 2, 3, 4, 5, 6}, {7, 8, 9}}) == Values{{1}, {3}, {7}, {9}});
  CHECK(tilt::split_chains(Values{{1, 2}, {}}) == Values{{}, {}, {}, {}});
  CHECK(tilt::split_chains(Values{}).empty());
}

// Expected scores: scipy 1.17, norm.ppf((rankdata(x) - 3/8) / (6 + 1/4)).
TEST_CASE("rank_normalized: normal scores of mean ranks over all chains", "[stats]") {
  const Values scores = tilt::rank_normalized(Values{{3, 1, 1}, {2, -tilt::infinity, 9}});
  CHECK_THAT(scores[0][0], WithinAbs(0.643345405392917, 1e-14));
  CHECK_THAT(scores[0][1], WithinAbs(-0.41246312944140473, 1e-14));
  CHECK(scores[0][2] == scores[0][1]);
  CHECK_THAT(scores[1][0], WithinAbs(0.20189347914185074, 1e-14));
  CHECK_THAT(scores[1][1], WithinAbs(-1.2815515655446004, 1e-14));
  CHECK_THAT(scores[1][2], WithinAbs(1.2815515655446004, 1e-14));
}

TEST_CASE("ChainVariances: exactly zero for constant chains", "[stats]") {
  const tilt::ChainVariances same(Values{std::vector<double>(7, 0.1), std::vector<double>(7, 0.1)});
  CHECK(same.within == 0);
  CHECK(same.total == 0);
  // By hand: variances 1 and 4, means 2 and 6, so within 2.5 and total 2/3 * 2.5 + 8.
  const tilt::ChainVariances two(Values{{1, 2, 3}, {4, 6, 8}});
  CHECK(two.means == std::vector<double>{2, 6});
  CHECK_THAT(two.within, WithinAbs(2.5, 1e-15));
  CHECK_THAT(two.total, WithinAbs(5.0 / 3 + 8, 1e-14));
}

#include "tilt/stats/summary.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;

// Expected numbers: NumPy 1.26 (std with ddof=1), scipy 1.17 (stats.sem).
TEST_CASE("summarize: equals an independent implementation", "[stats]") {
  const std::vector<double> values = {3, -1, 4, 1, -5, 9, 2, 6};
  const tilt::Summary summary = tilt::summarize(values);
  CHECK(summary.count == 8);
  CHECK_THAT(summary.mean, WithinAbs(2.375, 1e-15));
  CHECK_THAT(summary.deviation, WithinAbs(4.274091382136927, 1e-14));
  CHECK_THAT(summary.standard_error, WithinAbs(1.5111194998600022, 1e-14));
  CHECK(summary.lowest == -5);
  CHECK(summary.highest == 9);
}

TEST_CASE("summarize: a large common offset costs no digits", "[stats]") {
  const std::vector<double> values = {1e9 + 1, 1e9 + 2, 1e9 + 3};
  CHECK_THAT(tilt::summarize(values).deviation, WithinAbs(1, 1e-12));
  double sum = 0, squares = 0;  // the planted fault: the mean of squares minus the squared mean
  for (const double v : values) {
    sum += v;
    squares += v * v;
  }
  CHECK(std::abs(std::sqrt(std::max(0.0, (squares - sum * sum / 3) / 2)) - 1) > 0.1);
}

TEST_CASE("summarize: edge cases", "[stats]") {
  const tilt::Summary none = tilt::summarize({});
  CHECK(none.count == 0);
  CHECK(std::isnan(none.mean));
  const tilt::Summary one = tilt::summarize(std::vector{4.0});
  CHECK(one.mean == 4);
  CHECK(std::isnan(one.standard_error));
  CHECK(std::isnan(tilt::summarize(std::vector{1.0, tilt::unset}).mean));
  const tilt::Summary open = tilt::summarize(std::vector{1.0, -tilt::infinity});
  CHECK(open.mean == -tilt::infinity);
  CHECK(open.lowest == -tilt::infinity);
  CHECK(std::isnan(open.deviation));
}

#include "tilt/stats/transform.hpp"

#include <cmath>
#include <functional>
#include <vector>

#include "support/catch.hpp"
#include "support/refused.hpp"

namespace transform = tilt::transform;
using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::unset;
using Function = std::function<double(double)>;

TEST_CASE("transform: the plain ones are what they say") {
  for (const double u : {0.0, 0.25, 0.5, 1.0}) {
    CHECK(transform::identity(u) == u);
    CHECK(transform::log(u) == std::log(u));
    CHECK(transform::exponential(3)(u) == std::exp(3 * u));
    CHECK(transform::exponential(-3)(u) == -std::exp(-3 * u));
    CHECK(transform::drop_below(0.25)(u) == (u < 0.25 ? -infinity : 0.0));
    CHECK(transform::drop_below(0)(u) == 0);
  }
}

TEST_CASE("transform: parameters out of range are refused") {
  for (const double t : {0.0, unset, infinity, -infinity, 710.0}) {
    expect_refused([&] { (void)transform::exponential(t); }, "transform::exponential.t",
                   tilt::to_text(t));
  }
  for (const double tau : {-0.1, 1.0, unset}) {
    expect_refused([&] { (void)transform::drop_below(tau); }, "transform::drop_below.tau",
                   tilt::to_text(tau));
  }
  expect_refused([] { (void)transform::best_of(0, 1); }, "transform::best_of.n", "0");
  expect_refused([] { (void)transform::worst_of(0, 1); }, "transform::worst_of.n", "0");
  expect_refused([] { (void)transform::best_of(2, 0); }, "transform::best_of.beta", "0");
  expect_refused([] { (void)transform::worst_of(2, unset); }, "transform::worst_of.beta", "nan");
}

TEST_CASE("transform: check refuses what is no transform, and says where") {
  const auto refused = [](Function phi, const std::string& value) {
    expect_refused([&] { transform::check(phi, "X.phi", 4); }, "X.phi", value);
  };
  refused({}, "empty");
  refused([](double u) { return -u; }, "-0.25 at the quantile 0.25 after -0");
  refused([](double u) { return u == 0.5 ? unset : u; }, "nan at the quantile 0.5");
  refused([](double u) { return u == 1 ? infinity : u; }, "inf at the quantile 1");
  refused([](double) { return -infinity; }, "-inf everywhere");
  CHECK_NOTHROW(transform::check(transform::log, "X.phi"));
  CHECK_NOTHROW(transform::check([](double) { return 3.0; }, "X.phi"));
  CHECK_NOTHROW(transform::check(transform::drop_below(0.99), "X.phi"));
  CHECK_NOTHROW(transform::check(transform::exponential(700), "X.phi"));
  CHECK_NOTHROW(transform::check(transform::exponential(-700), "X.phi"));
}

TEST_CASE("transform: the fixed points are transforms, and tell their beta through a function") {
  for (const std::size_t n : {1u, 2u, 4u, 16u}) {
    for (const double beta : {1.0, 0.05}) {
      for (const Function& phi :
           {Function(transform::best_of(n, beta)), Function(transform::worst_of(n, beta))}) {
        CHECK_NOTHROW(transform::check(phi, "X.phi"));
        CHECK(phi(1) == 0);
        const auto* solved = phi.target<transform::FixedPoint>();
        REQUIRE(solved != nullptr);
        CHECK(solved->beta() == beta);
        CHECK(solved->n() == n);
        CHECK(solved->residual() < 1e-9);
      }
    }
  }
  CHECK_FALSE(transform::best_of(2, 1).is_worst_of());
  CHECK(transform::worst_of(2, 1).is_worst_of());
  CHECK(Function(transform::identity).target<transform::FixedPoint>() == nullptr);
}

TEST_CASE("transform: for one answer the fixed point is the identity, shifted") {
  for (const transform::FixedPoint& phi :
       {transform::best_of(1, 0.3), transform::worst_of(1, 0.3)}) {
    for (double u = 0; u <= 1; u += 0.125) CHECK_THAT(phi(u), WithinAbs(u - 1, 1e-10));
  }
}

TEST_CASE("transform: the fixed points solve their equation, by another quadrature") {
  // The midpoint rule on a uniform grid: -n^2 int_v^1 (F u)^(n-1) du, F the mass of exp(phi/beta).
  constexpr std::size_t cells = 20'000;
  for (const bool worst : {false, true}) {
    const std::size_t n = 4;
    const double beta = 0.2, draws = 4;
    const transform::FixedPoint phi =
        worst ? transform::worst_of(n, beta) : transform::best_of(n, beta);
    std::vector<double> f(cells);
    double total = 0;
    for (std::size_t i = 0; i < cells; ++i) {
      f[i] = std::exp(phi((static_cast<double>(i) + 0.5) / cells) / beta);
      total += f[i];
    }
    std::vector<double> slope(cells);
    double below = 0;
    for (std::size_t i = 0; i < cells; ++i) {
      const double u = (static_cast<double>(i) + 0.5) / cells;
      const double F = (below + 0.5 * f[i]) / total;
      slope[i] = draws * draws * std::pow(worst ? (1 - F) * (1 - u) : F * u, draws - 1);
      below += f[i];
    }
    double above = 0;
    for (std::size_t i = cells; i-- > 0;) {
      above += slope[i] / cells;
      if (i % 2000 == 0) CHECK_THAT(phi(static_cast<double>(i) / cells), WithinAbs(-above, 1e-6));
    }
  }
}

TEST_CASE("transform: an equation that is not solved is an error") {
  try {
    (void)transform::best_of(64, 0.001);
    FAIL_CHECK("it claims to be solved");
  } catch (const tilt::InvalidOption&) {
    FAIL_CHECK("the options are legal");
  } catch (const tilt::Error& error) {
    CHECK(std::string(error.what()).find("transform::best_of(64, 0.001)") == 0);
  }
}

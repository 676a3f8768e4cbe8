#include "tilt/stats/panels.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using tilt::Panels;

namespace {

template <class F>
std::vector<double> at_nodes(const Panels& panels, F&& f) {
  std::vector<double> values(panels.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = f(panels.node(i));
  return values;
}

}  // namespace

TEST_CASE("Panels: nodes ascend within the interval, and tell their distance to 1 exactly") {
  const Panels panels(40);
  CHECK(panels.panels() == 80);
  CHECK(panels.size() == 80 * Panels::order);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    CHECK((panels.node(i) > 0 && panels.distance_to_one(i) > 0));
    if (i > 0) CHECK(panels.node(i) > panels.node(i - 1));
    // The panels are symmetric, and so must be the distances.
    CHECK_THAT(panels.distance_to_one(i), WithinRel(panels.node(panels.size() - 1 - i), 1e-13));
  }
}

TEST_CASE(
    "Panels: polynomials of degree 31 are integrated exactly, and those of 15 to every node") {
  const Panels panels(3);
  for (int degree = 0; degree <= 31; ++degree) {
    const auto values = at_nodes(panels, [&](double u) { return std::pow(u, degree); });
    CHECK_THAT(panels.integral(values), WithinAbs(1.0 / (degree + 1), 1e-15));
    if (degree > 15) continue;
    std::vector<double> below(panels.size()), above(panels.size());
    panels.integrate_from_zero(values, below);
    panels.integrate_to_one(values, above);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const double expected = std::pow(panels.node(i), degree + 1) / (degree + 1);
      CHECK_THAT(below[i], WithinAbs(expected, 1e-15));
      CHECK_THAT(above[i], WithinAbs(1.0 / (degree + 1) - expected, 1e-15));
    }
    for (const double u : {0.0, 0.01, 0.25, 0.3, 0.5, 0.99, 1.0}) {
      CHECK_THAT(panels.interpolate(values, u), WithinAbs(std::pow(u, degree), 1e-13));
    }
    CHECK_THAT(panels.interpolate(values, panels.node(7)), WithinAbs(values[7], 1e-15));
  }
}

TEST_CASE("Panels: small integrals near 1 keep their digits") {
  const Panels panels(40);
  const auto values = at_nodes(panels, [](double u) { return 3 * u * u; });
  std::vector<double> above(panels.size());
  panels.integrate_to_one(values, above);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const double d = panels.distance_to_one(i);
    CHECK_THAT(above[i], WithinRel(d * (3 - 3 * d + d * d), 1e-12));
  }
}

TEST_CASE("Panels: peaks and jumps are cut out, wherever they are") {
  const auto total = [](auto f) {
    std::vector<double> values;
    const Panels panels(f, 1e-14, values);
    REQUIRE(values.size() == panels.size());
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i] == f(panels.node(i)));
    return panels.integral(values);
  };
  CHECK_THAT(total([](double u) { return std::exp(5e4 * (u - 1)); }), WithinRel(2e-5, 1e-12));
  CHECK_THAT(total([](double u) { return std::exp(-5e4 * u); }), WithinRel(2e-5, 1e-12));
  CHECK_THAT(total([](double u) { return std::exp(-1e6 * (u - 0.4) * (u - 0.4)); }),
             WithinRel(1e-3 * std::sqrt(std::numbers::pi), 1e-12));
  // Of these some lie in the middle of a panel.
  for (const double tau : {0.1, 0.25, 0.375, 0.3935, 0.5, 0.6875, 0.9}) {
    CHECK_THAT(total([tau](double u) { return u >= tau ? 1.0 : 0.0; }), WithinAbs(1 - tau, 1e-13));
    std::vector<double> values;
    const Panels panels([tau](double u) { return u >= tau ? 1.0 : 0.0; }, 1e-14, values);
    std::vector<double> below(values.size());
    panels.integrate_from_zero(values, below);
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK_THAT(below[i], WithinAbs(std::max(0.0, panels.node(i) - tau), 1e-13));
    }
  }
  // Noise in the last digits ends somewhere.
  std::size_t calls = 0;
  (void)total([&calls](double u) {
    ++calls;
    return std::exp(std::exp(10 * u) - std::exp(10.0));
  });
  CHECK(calls < 100'000);
}

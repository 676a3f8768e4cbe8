#include "tilt/stats/hedge.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using tilt::Hedge;
using tilt::HedgeMethod;
using tilt::HedgeOutcome;
using tilt::HedgeTune;
using tilt::infinity;
using tilt::unset;
using Values = std::vector<double>;

namespace {

constexpr HedgeMethod methods[] = {HedgeMethod::best_of_n, HedgeMethod::best_of_poisson,
                                   HedgeMethod::quantile_tilt};

// The true reward u - c u^k: it rises with the proxy's quantile u, then falls.
constexpr double c = 0.25, k = 9;
double exploited(double u) { return u - c * std::pow(u, k); }

// Draws at the middles of `size` cells, in an order of their own, with a proxy that is no quantile.
struct Calibration {
  Values proxy = {}, gold = {};

  explicit Calibration(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const double u = (static_cast<double>(i * 7919 % size) + 0.5) / static_cast<double>(size);
      proxy.push_back(std::exp(4 * u) - 30);
      gold.push_back(exploited(u));
    }
  }
};

// The densities and scores as the source has them.
double density(HedgeMethod method, double strength, double u) {
  switch (method) {
    case HedgeMethod::best_of_n:
      return strength * std::pow(u, strength - 1);
    case HedgeMethod::best_of_poisson:
      return (1 + strength * u) * std::exp(strength * (u - 1));
    case HedgeMethod::quantile_tilt:
      break;
  }
  return strength * std::exp(strength * u) / std::expm1(strength);
}
double score(HedgeMethod method, double strength, double u) {
  switch (method) {
    case HedgeMethod::best_of_n:
      return 1 / strength + std::log(u);
    case HedgeMethod::best_of_poisson:
      return u / (1 + strength * u) + u - 1;
    case HedgeMethod::quantile_tilt:
      break;
  }
  return u - (1 / -std::expm1(-strength) - 1 / strength);
}

// The integral over [a, b], by the midpoint rule.
template <class Function>
double integral(double a, double b, const Function& f) {
  constexpr int points = 20'000;
  double sum = 0;
  for (int i = 0; i < points; ++i) sum += f(a + (b - a) * (i + 0.5) / points);
  return sum * (b - a) / points;
}

// The strength of the highest expected true reward of the continuous law, by a dense search.
double dense_search(HedgeMethod method, double low, double high) {
  double best = low, highest = -infinity;
  for (int level = 0; level < 3; ++level) {
    const double step = (high - low) / 100;
    for (int i = 0; i <= 100; ++i) {
      const double strength = low + i * step;
      const double here =
          integral(0, 1, [&](double u) { return exploited(u) * density(method, strength, u); });
      if (here > highest) {
        highest = here;
        best = strength;
      }
    }
    low = best - 2 * step;
    high = best + 2 * step;
  }
  return best;
}

double parameter_of(HedgeMethod method, double strength) {
  return method == HedgeMethod::quantile_tilt ? 1 / strength : strength;
}

}  // namespace

// E[u - c u^k] = n/(n+1) - c n/(n+k) has the slope 1/(n+1)^2 - c k/(n+k)^2, whose root is
// n = (k - s)/(s - 1) with s = sqrt(c k).
TEST_CASE("HedgeTune: the n of a closed form", "[stats]") {
  const Calibration set(4000);
  const Hedge hedge = HedgeTune{set.proxy, set.gold}.best_of_n(1, 200);
  const double s = std::sqrt(c * k), n = (k - s) / (s - 1);
  CHECK(hedge.outcome == HedgeOutcome::peak);
  CHECK_THAT(hedge.parameter, WithinRel(n, 1e-4));
  CHECK_THAT(hedge.true_reward, WithinAbs(n / (n + 1) - c * n / (n + k), 1e-6));
  CHECK_THAT(hedge.weakest, WithinAbs(0.5 - c / (1 + k), 1e-6));
  CHECK_THAT(hedge.strongest, WithinAbs(200.0 / 201 - c * 200 / (200 + k), 1e-4));
  CHECK(hedge.true_reward > hedge.strongest);

  // The planted fault: the proxy itself for the true reward has no root.
  const Hedge blind = HedgeTune{set.proxy, set.proxy}.best_of_n(1, 200);
  CHECK(blind.outcome == HedgeOutcome::rising);
  CHECK(blind.parameter == 200);
  CHECK(blind.true_reward == blind.strongest);
}

TEST_CASE("HedgeTune: mu and lambda of a dense search", "[stats]") {
  const Calibration set(4000);
  const HedgeTune tune{set.proxy, set.gold};
  const Hedge poisson = tune.best_of_poisson(0, 100);
  CHECK(poisson.outcome == HedgeOutcome::peak);
  CHECK_THAT(poisson.parameter, WithinRel(dense_search(HedgeMethod::best_of_poisson, 1, 40), 2e-3));
  const Hedge tilted = tune.quantile_tilt(0.01, 10);
  CHECK(tilted.outcome == HedgeOutcome::peak);
  CHECK_THAT(1 / tilted.parameter,
             WithinRel(dense_search(HedgeMethod::quantile_tilt, 1, 40), 2e-3));
  // The planted faults: lambda taken for 1/lambda, and one family's root for another's.
  CHECK(tune.slope(HedgeMethod::quantile_tilt, 1 / tilted.parameter) > 1e-3);
  const double other = tune.slope(HedgeMethod::best_of_n, poisson.parameter);
  CHECK(std::abs(other) >
        1e3 * std::abs(tune.slope(HedgeMethod::best_of_poisson, poisson.parameter)));
}

TEST_CASE("HedgeTune: the slope is the mean of true reward times score", "[stats]") {
  const Values proxy = {3, 1, 2}, gold = {-1, 0.5, 2};
  const HedgeTune tune{proxy, gold};
  const auto cell_reward = [](double u) { return u < 1.0 / 3 ? 0.5 : u < 2.0 / 3 ? 2.0 : -1.0; };
  for (const HedgeMethod method : methods) {
    for (const double strength : {1.0, 2.5, 7.0, 0.01}) {
      if (method == HedgeMethod::best_of_n && strength < 1) continue;
      double mean = 0, slope = 0;
      for (int cell = 0; cell < 3; ++cell) {
        const double a = cell / 3.0, b = (cell + 1) / 3.0, r = cell_reward((a + b) / 2);
        mean += r * integral(a, b, [&](double u) { return density(method, strength, u); });
        slope += r * integral(a, b, [&](double u) {
                   return density(method, strength, u) * score(method, strength, u);
                 });
      }
      CAPTURE(static_cast<int>(method), strength);
      CHECK_THAT(tune.true_reward(method, parameter_of(method, strength)), WithinAbs(mean, 1e-7));
      // Of best-of-1 the score is the logarithm, which the midpoint rule does less well.
      CHECK_THAT(tune.slope(method, parameter_of(method, strength)), WithinAbs(slope, 2e-5));
    }
  }
  // A weak tilt is where the mean of u, 1/(1 - e^-g) - 1/g, loses its digits.
  const double slope = tune.slope(HedgeMethod::quantile_tilt, 1e9);
  const double exact = (0.5 * (-2.0 / 9) + 2 * 0.0 - 1 * (2.0 / 9)) / 2;
  CHECK_THAT(slope, WithinAbs(exact, 1e-8));
}

// For whole n the expectation is that of n draws with replacement from the set, ties by the mean.
TEST_CASE("HedgeTune: the true reward of best-of-n and Best-of-Poisson by enumeration",
          "[stats][law]") {
  const Values proxy = {0.3, 2, -1, 2, 0.3, 0.3, 5}, gold = {4, 1, -2, 3, 0, 7, -1};
  const HedgeTune tune{proxy, gold};
  const Values p(proxy.size(), 1.0 / 7);
  const auto best_of = [&](std::size_t n) {
    const Values law = exact::best_of_n(p, proxy, n);
    double mean = 0;
    for (std::size_t i = 0; i < law.size(); ++i) mean += law[i] * gold[i];
    return mean;
  };
  double worst = 0;
  for (const std::size_t n : {1u, 2u, 3u, 10u}) {
    const double seen = tune.true_reward(HedgeMethod::best_of_n, static_cast<double>(n));
    worst = std::max(worst, std::abs(seen - best_of(n)));
  }
  law_table::expect_exact("HedgeTune: best-of-n from the set, n = 1 2 3 10", 7, worst);
  const double mu = 2.5;
  double poisson = 0, chance = std::exp(-mu);
  for (std::size_t more = 0; more < 80; ++more) {
    poisson += chance * best_of(1 + more);
    chance *= mu / static_cast<double>(more + 1);
  }
  law_table::expect_exact("HedgeTune: Best-of-Poisson from the set, mu = 2.5", 7,
                          std::abs(tune.true_reward(HedgeMethod::best_of_poisson, mu) - poisson));
  // The planted fault: mu draws instead of 1 + mu.
  law_table::expect_exact_caught(
      "HedgeTune: Poisson(mu) draws, none counted as one", 7,
      std::abs(tune.true_reward(HedgeMethod::best_of_poisson, mu - 1) - poisson));
}

TEST_CASE("HedgeTune: rising and falling are outcomes", "[stats]") {
  const Values proxy = {1, 2, 3, 4}, good = {1, 2, 3, 4}, bad = {4, 3, 2, 1}, same(4, 0.1);
  struct Case {
    const Values& gold;
    HedgeOutcome outcome;
  };
  for (const Case& one : {Case{good, HedgeOutcome::rising}, Case{bad, HedgeOutcome::falling},
                          Case{same, HedgeOutcome::falling}}) {
    const HedgeTune tune{proxy, one.gold};
    const bool rises = one.outcome == HedgeOutcome::rising;
    const Hedge n = tune.best_of_n(1, 8), mu = tune.best_of_poisson(0, 8),
                lambda = tune.quantile_tilt(0.2, 3);
    CHECK(n.outcome == one.outcome);
    CHECK(n.parameter == (rises ? 8 : 1));
    CHECK(mu.outcome == one.outcome);
    CHECK(mu.parameter == (rises ? 8 : 0));
    CHECK(lambda.outcome == one.outcome);
    CHECK(lambda.parameter == (rises ? 0.2 : 3));
    for (const Hedge& hedge : {n, mu, lambda}) {
      CHECK(hedge.true_reward == (rises ? hedge.strongest : hedge.weakest));
    }
  }
}

TEST_CASE("HedgeTune: a peak beside an end of the range is a peak", "[stats]") {
  const Calibration set(1000);
  const HedgeTune tune{set.proxy, set.gold};
  const double n = tune.best_of_n(1, 200).parameter;
  for (const double shift : {-1e-6, 1e-6}) {
    const Hedge above = tune.best_of_n(n + shift, 200), below = tune.best_of_n(1, n - shift);
    CHECK(above.outcome == (shift < 0 ? HedgeOutcome::peak : HedgeOutcome::falling));
    CHECK(below.outcome == (shift < 0 ? HedgeOutcome::peak : HedgeOutcome::rising));
    CHECK_THAT(above.parameter, WithinAbs(n, 2e-6));
    CHECK_THAT(below.parameter, WithinAbs(n, 2e-6));
  }
}

TEST_CASE("HedgeTune: only the order of the proxy matters and prompts have quantiles of their own",
          "[stats]") {
  const Calibration set(500);
  Values stretched = set.proxy;
  for (double& r : stretched) r = std::atan(r) - 1000;
  const Hedge one = HedgeTune{set.proxy, set.gold}.best_of_n(1, 100);
  CHECK(HedgeTune{stretched, set.gold}.best_of_n(1, 100).parameter == one.parameter);

  HedgeTune both{set.proxy, set.gold};
  both.add(stretched, set.gold);
  CHECK_THAT(both.best_of_n(1, 100).parameter, WithinRel(one.parameter, 1e-9));
  // The planted fault: both prompts in one pool, where the proxy's scale decides.
  Values pool = set.proxy, gold = set.gold;
  pool.insert(pool.end(), stretched.begin(), stretched.end());
  gold.insert(gold.end(), set.gold.begin(), set.gold.end());
  CHECK(std::abs(HedgeTune{pool, gold}.best_of_n(1, 100).parameter - one.parameter) > 1);
}

TEST_CASE("HedgeTune: refuses bad input", "[stats]") {
  const Values one = {1}, two = {1, 2};
  const auto build = [](Values proxy, Values gold) { return [=] { HedgeTune{proxy, gold}; }; };
  expect_refused(build(one, one), "HedgeTune.proxy", "1");
  expect_refused(build({}, {}), "HedgeTune.proxy", "0");
  expect_refused(build(two, one), "HedgeTune.gold", "1");
  expect_refused(build({1, unset}, two), "HedgeTune.proxy[1]", "nan");
  expect_refused(build({infinity, 1}, two), "HedgeTune.proxy[0]", "inf");
  expect_refused(build(two, {1, unset}), "HedgeTune.gold[1]", "nan");
  expect_refused(build(two, {1, -infinity}), "HedgeTune.gold[1]", "-inf");
  CHECK_NOTHROW(build({-infinity, 1}, two)());

  const HedgeTune tune{two, two};
  expect_refused([&] { (void)tune.best_of_n(8, 8); }, "HedgeTune.low", "8");
  expect_refused([&] { (void)tune.best_of_n(9, 8); }, "HedgeTune.low", "9");
  expect_refused([&] { (void)tune.best_of_n(0.5, 8); }, "HedgeTune.low", "0.5");
  expect_refused([&] { (void)tune.best_of_n(1, infinity); }, "HedgeTune.high", "inf");
  expect_refused([&] { (void)tune.best_of_poisson(-1, 8); }, "HedgeTune.low", "-1");
  expect_refused([&] { (void)tune.quantile_tilt(0, 8); }, "HedgeTune.low", "0");
  expect_refused([&] { (void)tune.quantile_tilt(0.1, unset); }, "HedgeTune.high", "nan");
  expect_refused([&] { (void)tune.slope(HedgeMethod::best_of_n, unset); }, "HedgeTune.parameter",
                 "nan");
  expect_refused([] { (void)HedgeTune{}.best_of_n(1, 8); }, "HedgeTune.proxy", "0");
}

TEST_CASE("HedgeTune: what rises throughout has no peak where the numbers no longer change",
          "[stats]") {
  Values proxy, rising, falling_at_last;
  for (int i = 0; i < 16; ++i) {
    proxy.push_back(i);
    rising.push_back(0.1 * i);
    falling_at_last.push_back(i < 15 ? 0.1 * i : 1.3999);
  }
  for (const double high : {1e2, 1e3, 1e4, 1e6, 1e9}) {
    const HedgeTune tune{proxy, rising};
    const Hedge n = tune.best_of_n(1, high), mu = tune.best_of_poisson(0, high),
                lambda = tune.quantile_tilt(1 / high, 3);
    CHECK(n.parameter == high);
    CHECK(mu.parameter == high);
    CHECK(lambda.parameter == 1 / high);
    for (const Hedge& hedge : {n, mu, lambda}) {
      INFO(high);
      CHECK(hedge.outcome == HedgeOutcome::rising);
      CHECK(hedge.true_reward == hedge.strongest);
    }
    if (high < 1e3) continue;
    // The same range, where the last draw is worth less than the one before.
    const HedgeTune exploited_late{proxy, falling_at_last};
    for (const Hedge& hedge :
         {exploited_late.best_of_n(1, high), exploited_late.best_of_poisson(0, high),
          exploited_late.quantile_tilt(1 / high, 3)}) {
      CHECK(hedge.outcome == HedgeOutcome::peak);
    }
  }
  // A range in which nothing but the best draw is left.
  const HedgeTune tune{proxy, rising};
  CHECK(tune.best_of_n(1e6, 1e8).outcome == HedgeOutcome::rising);
  const HedgeTune late{proxy, falling_at_last};
  CHECK(late.best_of_n(1e6, 1e8).outcome == HedgeOutcome::falling);
}

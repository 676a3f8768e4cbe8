#include "tilt/core/token_law.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "tilt/testing/enumerate.hpp"
#include "tilt/testing/law.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using testing::LawCheck;

namespace {

template <class Scalar>
std::vector<Scalar> random_logits(std::size_t n, double spread, std::uint64_t seed) {
  Random random(seed, n);
  std::vector<Scalar> logits(n);
  for (Scalar& logit : logits) logit = static_cast<Scalar>(spread * random.normal());
  return logits;
}

template <class Scalar>
std::vector<double> widened(const std::vector<Scalar>& logits) {
  return {logits.begin(), logits.end()};
}

// One log-probability per token must equal the definition's.
template <class Scalar>
void check_against_definition(const std::vector<Scalar>& logits, const SamplingLaw& law,
                              double tolerance) {
  TokenLaw<Scalar> token_law;
  token_law.read(logits);
  const std::vector<double> wide = widened(logits);
  const std::vector<double> expected = testing::next_token_law(wide, law);
  const std::vector<double> raw = testing::log_softmax(wide);
  for (std::size_t id = 0; id < logits.size(); ++id) {
    CAPTURE(id, logits.size(), law.temperature, law.top_k, law.top_p, law.min_p);
    const auto token = static_cast<Token>(id);
    const double seen = token_law.log_prob(law, token);
    if (expected[id] == -infinity) {
      CHECK(seen == -infinity);
    } else {
      CHECK_THAT(seen, WithinAbs(expected[id], tolerance));
    }
    if (raw[id] == -infinity) {
      CHECK(token_law.raw_log_prob(token) == -infinity);
    } else {
      CHECK_THAT(token_law.raw_log_prob(token), WithinAbs(raw[id], tolerance));
    }
  }
  CHECK_THAT(token_law.entropy(), WithinAbs(testing::entropy(raw), tolerance));
}

// Draws at the midpoints of N equal parts of [0, 1): each token must be drawn N p times, but for the
// parts at its two borders.
template <class Scalar>
void check_inversion(const std::vector<Scalar>& logits, const SamplingLaw& law) {
  constexpr std::size_t parts = 20'000;
  TokenLaw<Scalar> token_law;
  token_law.read(logits);
  const std::vector<double> expected = testing::next_token_law(widened(logits), law);
  std::vector<double> count(logits.size());
  std::size_t wrong_log_probs = 0;
  for (std::size_t i = 0; i < parts; ++i) {
    const TokenDraw draw = token_law.draw(law, (static_cast<double>(i) + 0.5) / parts);
    const auto id = static_cast<std::size_t>(draw.token);
    count.at(id) += 1;
    if (std::abs(draw.log_prob - expected[id]) > 1e-4) ++wrong_log_probs;
  }
  CHECK(wrong_log_probs == 0);
  for (std::size_t id = 0; id < logits.size(); ++id) {
    CAPTURE(id);
    CHECK_THAT(count[id], WithinAbs(parts * std::exp(expected[id]), 1.5));
  }
}

// The definition in long double, ranked by logit and then by id, and whether rounding may decide what
// is kept: a mass or a share is within `nearly` of a border.
struct ExactLaw {
  std::vector<double> log_probs;  // nats, -infinity for what the law excludes
  bool at_border = false;

  template <class Scalar>
  ExactLaw(const std::vector<Scalar>& logits, const SamplingLaw& law, long double nearly)
      : log_probs(logits.size(), -infinity) {
    std::vector<std::size_t> order;
    for (std::size_t id = 0; id < logits.size(); ++id) {
      if (static_cast<double>(logits[id]) > -infinity) order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    if (law.top_k > 0 && law.top_k < order.size()) order.resize(law.top_k);
    std::vector<long double> below;  // log of the weight relative to the largest
    for (const std::size_t id : order) {
      const long double logit = logits[id], largest = logits[order[0]];
      below.push_back((logit - largest) / static_cast<long double>(law.temperature));
    }
    const auto sum = [&] {
      long double total = 0;
      for (std::size_t i = 0; i < order.size(); ++i) total += std::exp(below[i]);
      return total;
    };
    if (law.top_p < 1) {
      const long double target = static_cast<long double>(law.top_p) * sum();
      long double mass = 0;
      std::size_t fewest = 0;
      do {
        mass += std::exp(below[fewest++]);
        if (std::abs(mass - target) < nearly * target) at_border = true;
      } while (fewest < order.size() && mass < target);
      order.resize(fewest);
    }
    const auto least = static_cast<long double>(law.min_p);
    const auto share = [&](std::size_t i) { return std::exp(below[i]); };
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (least > 0 && i > 0 && std::abs(share(i) - least) < nearly * least) at_border = true;
    }
    while (order.size() > 1 && share(order.size() - 1) < least) order.pop_back();
    const long double log_total = std::log(sum());
    for (std::size_t i = 0; i < order.size(); ++i) {
      log_probs[order[i]] = static_cast<double>(below[i] - log_total);
    }
  }
};

std::vector<SamplingLaw> laws() {
  return {{},
          {.temperature = 0},
          {.temperature = 0.3},
          {.temperature = 2.5},
          {.top_k = 1},
          {.top_k = 3},
          {.top_k = 100'000},
          {.top_p = 0.35},
          {.top_p = 0.83},
          {.top_p = 0.999},
          {.top_p = 1e-6},
          {.min_p = 0.07},
          {.min_p = 0.5},
          {.min_p = 1},
          {.temperature = 0.7, .top_k = 5, .top_p = 0.83},
          {.temperature = 1.4, .top_k = 7, .min_p = 0.11},
          {.top_p = 0.9, .min_p = 0.13},
          {.temperature = 0.6, .top_k = 9, .top_p = 0.95, .min_p = 0.03},
          {.temperature = 0, .top_k = 3, .top_p = 0.5, .min_p = 0.5}};
}

}  // namespace

TEST_CASE("the law of a token is the definition's, in double") {
  for (const std::size_t n : {1u, 2u, 7u, 300u}) {
    const std::vector<double> logits = random_logits<double>(n, 1.5, 1);
    for (const SamplingLaw& law : laws()) check_against_definition(logits, law, 1e-11);
  }
}

TEST_CASE("the law of a token is the definition's, in float") {
  for (const std::size_t n : {1u, 2u, 7u, 300u}) {
    const std::vector<float> logits = random_logits<float>(n, 1.5, 2);
    for (const SamplingLaw& law : laws()) check_against_definition(logits, law, 2e-5);
  }
}

TEST_CASE("impossible tokens have no probability") {
  std::vector<double> logits = random_logits<double>(20, 1.0, 3);
  for (const std::size_t id : {0u, 3u, 4u, 19u}) logits[id] = -infinity;
  for (const SamplingLaw& law : laws()) check_against_definition(logits, law, 1e-11);
  check_inversion(logits, {});
  check_inversion(logits, {.temperature = 1.7});
  check_inversion(logits, {.top_k = 18});
  std::vector<float> narrow(logits.begin(), logits.end());
  for (const SamplingLaw& law : laws()) check_against_definition(narrow, law, 2e-5);
}

TEST_CASE("a draw is the inversion of its law") {
  const std::vector<double> logits = random_logits<double>(9, 1.2, 4);
  for (const SamplingLaw& law : laws()) check_inversion(logits, law);
  const std::vector<float> narrow = random_logits<float>(9, 1.2, 5);
  for (const SamplingLaw& law : laws()) check_inversion(narrow, law);
  // More than one block of the vocabulary.
  check_inversion(random_logits<float>(700, 1, 6), {});
  check_inversion(random_logits<double>(700, 1, 7), {.temperature = 0.8});
  check_inversion(random_logits<float>(700, 1, 8), {.top_p = 0.9});
}

TEST_CASE("the ends of the unit interval are drawn lawfully") {
  // The first and the last token are impossible; the last possible one takes what rounding leaves.
  const std::vector<double> logits = {-infinity, 0, 1, 0, -infinity};
  TokenLaw<double> token_law;
  token_law.read(logits);
  const double last = 1 - 0x1.0p-53;
  for (const SamplingLaw& law : {SamplingLaw{}, SamplingLaw{.temperature = 0.5},
                                 SamplingLaw{.top_k = 4}, SamplingLaw{.top_p = 0.999}}) {
    const TokenDraw low = token_law.draw(law, 0), high = token_law.draw(law, last);
    CHECK(logits[static_cast<std::size_t>(low.token)] > -infinity);
    CHECK(logits[static_cast<std::size_t>(high.token)] > -infinity);
    CHECK(std::isfinite(low.log_prob));
    CHECK(std::isfinite(high.log_prob));
  }
  CHECK(token_law.draw({}, 0).token == 1);
  CHECK(token_law.draw({}, last).token == 3);
}

TEST_CASE("ties go to the lower id") {
  const std::vector<double> logits = {1, 2, 2, 1, 2, 1};
  TokenLaw<double> token_law;
  token_law.read(logits);
  CHECK(token_law.draw({.temperature = 0}, 0.99).token == 1);
  CHECK_THAT(token_law.log_prob({.top_k = 1}, 1), WithinAbs(0, 1e-15));
  CHECK(token_law.log_prob({.top_k = 2}, 4) == -infinity);
  CHECK_THAT(token_law.log_prob({.top_k = 2}, 2), WithinAbs(std::log(.5), 1e-12));
  CHECK(token_law.log_prob({.top_k = 4}, 0) > -infinity);
  CHECK(token_law.log_prob({.top_k = 4}, 3) == -infinity);
  // Two of the three likeliest reach half of the mass.
  CHECK(token_law.log_prob({.top_p = 0.4}, 4) == -infinity);
  CHECK(token_law.log_prob({.top_p = 0.4}, 2) > -infinity);
  for (const SamplingLaw& law : laws()) check_against_definition(logits, law, 1e-11);
}

TEST_CASE("top_k of a large vocabulary whose border is all ties") {
  std::vector<float> logits(5000, 0.0f);
  logits[4321] = 1;
  TokenLaw<float> token_law;
  token_law.read(logits);
  const SamplingLaw law = {.top_k = 10};
  CHECK(token_law.log_prob(law, 4321) > -infinity);
  for (Token id = 0; id < 9; ++id) CHECK(token_law.log_prob(law, id) > -infinity);
  for (Token id = 9; id < 20; ++id) CHECK(token_law.log_prob(law, id) == -infinity);
}

TEST_CASE("ties and ranks are those of the logits, whatever the weights are rounded to") {
  const auto check = [](auto scalar) {
    using Scalar = decltype(scalar);
    constexpr std::size_t trials = 3000;
    std::size_t wrong_sets = 0, wrong_numbers = 0, borders = 0;
    Random random(27, sizeof(Scalar));
    for (std::size_t trial = 0; trial < trials; ++trial) {
      const std::size_t n = 1 + random.below(trial % 10 == 0 ? 700 : 40);
      const std::size_t levels = 1 + random.below(6);
      const double spread = trial % 2 == 0 ? 1.5 : 0.01;
      std::vector<Scalar> level(levels), logits(n);
      for (Scalar& value : level) value = static_cast<Scalar>(spread * random.normal());
      for (Scalar& logit : logits) logit = level[random.below(levels)];
      if (trial % 7 == 0) logits[random.below(n)] = -std::numeric_limits<Scalar>::infinity();
      logits[random.below(n)] = level[0];
      SamplingLaw law;
      law.temperature = std::vector<double>{1, 0.3, 1.7, 1e-3, 1e-30, 1e30, 1e300}[random.below(7)];
      if (random.below(2) == 0) law.top_k = 1 + random.below(n + 1);
      if (random.below(2) == 0) law.top_p = std::max(1e-6, random.uniform());
      if (random.below(3) == 0) law.min_p = random.uniform();
      const ExactLaw exact(logits, law, 40.0L * std::numeric_limits<Scalar>::epsilon());
      if (exact.at_border) ++borders;
      if (exact.at_border) continue;
      TokenLaw<Scalar> token_law;
      token_law.read(logits);
      const double tolerance = sizeof(Scalar) == 4 ? 2e-5 : 1e-11;
      for (std::size_t id = 0; id < n; ++id) {
        const double seen = token_law.log_prob(law, static_cast<Token>(id));
        const double expected = exact.log_probs[id];
        if ((seen == -infinity) != (expected == -infinity)) ++wrong_sets;
        if (expected == -infinity || seen == -infinity) continue;
        if (!(std::abs(seen - expected) <= tolerance * (1 + std::abs(expected)))) ++wrong_numbers;
      }
      for (const double u : {0.0, 0.5, 1 - 0x1.0p-53}) {
        const TokenDraw draw = token_law.draw(law, u);
        if (exact.log_probs[static_cast<std::size_t>(draw.token)] == -infinity) ++wrong_sets;
      }
    }
    CHECK(wrong_sets == 0);
    CHECK(wrong_numbers == 0);
    CHECK(borders < trials / 50);  // left out: nearer to a border of top_p or min_p than rounding
  };
  SECTION("double") { check(double{}); }
  SECTION("float") { check(float{}); }
}

TEST_CASE("borders that fractions meet are met, though their logarithms are rounded") {
  // 1/2, 1/4, 1/4 and .75; .6, .3, .1 and half of the largest.
  const auto check = [](auto scalar) {
    using Scalar = decltype(scalar);
    const auto logs = [](std::vector<double> shares) {
      std::vector<Scalar> logits;
      for (const double share : shares) logits.push_back(static_cast<Scalar>(std::log(share)));
      return logits;
    };
    const auto kept = [](const std::vector<Scalar>& logits, const SamplingLaw& law) {
      TokenLaw<Scalar> token_law;
      token_law.read(logits);
      std::size_t count = 0;
      for (std::size_t id = 0; id < logits.size(); ++id) {
        if (token_law.log_prob(law, static_cast<Token>(id)) > -infinity) ++count;
      }
      return count;
    };
    CHECK(kept(logs({.5, .25, .25}), {.top_p = .75}) == 2);
    CHECK(kept(logs({.6, .3, .1}), {.top_p = .9}) == 2);
    CHECK(kept(logs({.6, .3, .1}), {.min_p = .5}) == 2);
    for (std::size_t n = 1; n <= 40; ++n) {
      const std::vector<double> uniform(n, 1 / static_cast<double>(n));
      for (std::size_t m = 1; m <= n; ++m) {
        CHECK(kept(logs(uniform), {.top_p = static_cast<double>(m) / static_cast<double>(n)}) == m);
      }
    }
  };
  check(double{});
  check(float{});
}

TEST_CASE("known entropies") {
  const auto entropy_of = [](const std::vector<double>& logits) {
    TokenLaw<double> token_law;
    token_law.read(logits);
    return token_law.entropy();
  };
  for (const std::size_t n : {1u, 2u, 4u, 1000u, 50'000u}) {
    CHECK_THAT(entropy_of(std::vector<double>(n, 3.5)),
               WithinAbs(std::log(static_cast<double>(n)), 1e-11));
  }
  CHECK(entropy_of({0, -infinity, -infinity}) == 0);
  CHECK(entropy_of({-infinity, 5}) == 0);
  CHECK(entropy_of({0, -1e6, -1e6}) >= 0);
  CHECK_THAT(entropy_of({std::log(.5), std::log(.25), std::log(.25)}),
             WithinAbs(1.5 * std::log(2), 1e-12));
  // Shifting all logits changes nothing, however far.
  CHECK_THAT(entropy_of({1e6 + 1, 1e6, 1e6}), WithinAbs(entropy_of({1, 0, 0}), 1e-9));
  // The entropy is that of temperature 1, whatever was drawn with before.
  const std::vector<double> logits = {1, 0, 0};
  TokenLaw<double> token_law;
  token_law.read(logits);
  const double before = token_law.entropy();
  (void)token_law.draw({.temperature = 0.2}, 0.5);
  (void)token_law.draw({.top_k = 2}, 0.5);
  CHECK(token_law.entropy() == before);
}

TEST_CASE("a uniform law in float has the entropy ln V") {
  for (const std::size_t n : {2u, 49'152u, 151'936u}) {
    const std::vector<float> logits(n, -7.25f);
    TokenLaw<float> token_law;
    token_law.read(logits);
    CHECK_THAT(token_law.entropy(), WithinAbs(std::log(static_cast<double>(n)), 1e-5));
  }
}

TEST_CASE("a vocabulary as large as a real one") {
  const std::vector<float> logits = random_logits<float>(151'936, 3, 9);
  TokenLaw<float> token_law;
  token_law.read(logits);
  const std::vector<double> wide = widened(logits);
  const std::vector<double> raw = testing::log_softmax(wide);
  CHECK_THAT(token_law.entropy(), WithinAbs(testing::entropy(raw), 1e-4));
  const auto total_of = [&](const SamplingLaw& law, auto& ids) {
    double total = 0;
    for (const Token id : ids) total += std::exp(token_law.log_prob(law, id));
    return total;
  };
  // The fifty likeliest ids hold all of the law that keeps fifty.
  std::vector<Token> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<Token>(i);
  std::partial_sort(ids.begin(), ids.begin() + 50, ids.end(), [&](Token a, Token b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  ids.resize(50);
  CHECK_THAT(total_of({.top_k = 50}, ids), WithinAbs(1, 1e-9));
  CHECK_THAT(total_of({.temperature = 0.5, .top_k = 50}, ids), WithinAbs(1, 1e-9));
  for (const double u : {0.0, 0.1, 0.5, 0.9, 0.999999}) {
    const TokenDraw draw = token_law.draw({}, u);
    CHECK_THAT(draw.log_prob, WithinAbs(raw[static_cast<std::size_t>(draw.token)], 1e-4));
    const TokenDraw nucleus = token_law.draw({.top_p = 0.8}, u);
    CHECK(nucleus.log_prob > nucleus.raw_log_prob);
  }
  // What the definition keeps of the nucleus, the law keeps, and no more.
  const SamplingLaw law = {.top_p = 0.3};
  double mass = 0;
  std::vector<std::size_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  std::size_t kept = 0;
  while (mass < 0.3) mass += std::exp(raw[order[kept++]]);
  REQUIRE(kept > 10);
  CHECK(token_law.log_prob(law, static_cast<Token>(order[kept - 3])) > -infinity);
  CHECK(token_law.log_prob(law, static_cast<Token>(order[kept + 2])) == -infinity);
}

TEST_CASE("extreme logits and temperatures") {
  TokenLaw<double> token_law;
  SECTION("far apart") {
    const std::vector<double> logits = {0, -800, 700};
    token_law.read(logits);
    CHECK(token_law.raw_log_prob(2) == 0);
    CHECK(token_law.raw_log_prob(0) == -700);
    CHECK(token_law.raw_log_prob(1) == -1500);
    CHECK_THAT(token_law.log_prob({.temperature = 1000}, 1),
               WithinAbs(testing::next_token_law(logits, {.temperature = 1000})[1], 1e-12));
  }
  SECTION("a low temperature keeps the log-prob of a token that is never drawn") {
    const std::vector<double> logits = {0, -10};
    token_law.read(logits);
    CHECK_THAT(token_law.log_prob({.temperature = 0.001}, 1), WithinRel(-10'000.0, 1e-12));
    TokenLaw<float> narrow;
    const std::vector<float> narrow_logits = {0, -10};
    narrow.read(narrow_logits);
    CHECK_THAT(narrow.log_prob({.temperature = 0.1}, 1), WithinRel(-100.0, 1e-6));
  }
  SECTION("temperatures next to 0 are the argmax") {
    const std::vector<double> logits = {1, 3, 2};
    token_law.read(logits);
    TokenLaw<float> narrow;
    const std::vector<float> narrow_logits = {1, 3, 2};
    narrow.read(narrow_logits);
    for (const double temperature : {1e-3, 1e-30, 1e-300, 4.9e-324}) {
      const SamplingLaw law = {.temperature = temperature};
      const TokenDraw draw = token_law.draw(law, 0.99);
      CHECK(draw.token == 1);
      CHECK(draw.log_prob == 0);
      CHECK(narrow.draw(law, 0.99).token == 1);
      CHECK(narrow.draw(law, 0.99).log_prob == 0);
      SamplingLaw truncated = law;
      truncated.top_k = 2;
      CHECK(token_law.draw(truncated, 0.99).token == 1);
      CHECK(narrow.draw(truncated, 0.99).token == 1);
    }
  }
  SECTION("a temperature near infinity is uniform over the possible") {
    const std::vector<double> logits = {1, 3, -infinity};
    token_law.read(logits);
    CHECK_THAT(token_law.log_prob({.temperature = 1e300}, 0), WithinAbs(std::log(.5), 1e-12));
    CHECK(token_law.log_prob({.temperature = 1e300}, 2) == -infinity);
    CHECK(token_law.draw({.temperature = 1e300}, 0.999).token == 1);
    // In float such a temperature makes the scale 0, and 0 times -infinity is a NaN.
    std::vector<float> narrow_logits(600, -std::numeric_limits<float>::infinity());
    narrow_logits[1] = 1;
    narrow_logits[300] = 3;
    TokenLaw<float> narrow;
    narrow.read(narrow_logits);
    for (const SamplingLaw& law :
         {SamplingLaw{.temperature = 1e300}, SamplingLaw{.temperature = 1e300, .top_k = 500}}) {
      CHECK_THAT(narrow.log_prob(law, 1), WithinAbs(std::log(.5), 1e-6));
      CHECK(narrow.log_prob(law, 2) == -infinity);
      CHECK(narrow.draw(law, 0.25).token == 1);
      CHECK(narrow.draw(law, 0.75).token == 300);
      CHECK(narrow.draw(law, 1 - 0x1.0p-53).token == 300);
    }
  }
}

TEST_CASE("at the neutral law both log-probs are one") {
  const std::vector<float> logits = random_logits<float>(1000, 2, 10);
  TokenLaw<float> token_law;
  token_law.read(logits);
  for (const double u : {0.05, 0.3, 0.77, 0.99}) {
    const TokenDraw draw = token_law.draw({}, u);
    CHECK(draw.log_prob == draw.raw_log_prob);
    CHECK(draw.log_prob == token_law.log_prob({}, draw.token));
  }
}

TEST_CASE("the log-prob of a draw is the forced one") {
  const std::vector<double> logits = random_logits<double>(50, 1.5, 11);
  TokenLaw<double> token_law;
  token_law.read(logits);
  for (const SamplingLaw& law : laws()) {
    for (const double u : {0.0, 0.2, 0.5, 0.8, 0.99}) {
      const TokenDraw draw = token_law.draw(law, u);
      CHECK_THAT(token_law.log_prob(law, draw.token), WithinAbs(draw.log_prob, 1e-12));
      CHECK_THAT(token_law.raw_log_prob(draw.token), WithinAbs(draw.raw_log_prob, 1e-12));
    }
  }
}

TEST_CASE("broken logits are refused with the reason") {
  TokenLaw<double> token_law;
  const auto reason = [&](const std::vector<double>& logits) -> std::string {
    try {
      token_law.read(logits);
    } catch (const PolicyError& e) {
      return e.what();
    }
    return "";
  };
  CHECK(reason({}) == "the policy returned no logits");
  CHECK(reason({0, unset, 1}) == "the policy returned a NaN logit");
  CHECK(reason({unset}) == "the policy returned a NaN logit");
  CHECK(reason({infinity, unset}) == "the policy returned a NaN logit");
  CHECK(reason({-infinity, unset}) == "the policy returned a NaN logit");
  CHECK(reason({0, infinity}) == "the policy returned a logit of +infinity");
  CHECK(reason({-infinity, -infinity}) == "the policy made every token impossible");
  CHECK(reason({0, -infinity}).empty());
  // Where a vector instruction compares several values at once, a NaN may hide anywhere.
  for (std::size_t place = 0; place < 33; ++place) {
    std::vector<double> logits(33, 0.0);
    logits[place] = unset;
    CHECK(reason(logits) == "the policy returned a NaN logit");
  }
}

TEST_CASE("a law object serves positions of different sizes one after another") {
  TokenLaw<double> token_law;
  const std::vector<double> large = random_logits<double>(400, 1, 12), small = {0, 1};
  for (int repeat = 0; repeat < 2; ++repeat) {
    token_law.read(large);
    CHECK_THAT(token_law.log_prob({.top_k = 5}, 7),
               WithinAbs(testing::next_token_law(large, {.top_k = 5})[7], 1e-11) ||
                   WithinAbs(-infinity, 0));
    CHECK_THAT(token_law.entropy(),
               WithinAbs(testing::entropy(testing::log_softmax(large)), 1e-11));
    token_law.read(small);
    CHECK_THAT(token_law.log_prob({.temperature = 0.5}, 0),
               WithinAbs(-std::log1p(std::exp(2.0)), 1e-12));
    CHECK_THAT(token_law.entropy(),
               WithinAbs(testing::entropy(testing::log_softmax(small)), 1e-11));
  }
}

TEST_CASE("tokens drawn with random numbers have the law", "[law]") {
  const std::vector<double> logits = random_logits<double>(12, 1.3, 13);
  TokenLaw<double> token_law;
  token_law.read(logits);
  const auto draws = [&](const SamplingLaw& drawn, const SamplingLaw& claimed) {
    std::vector<double> law = testing::next_token_law(logits, claimed);
    for (double& p : law) p = std::exp(p);
    LawCheck check(law);
    Random random(99);
    for (int i = 0; i < 100'000; ++i) {
      check.count(static_cast<std::size_t>(token_law.draw(drawn, random.uniform()).token));
    }
    return check;
  };
  std::size_t number = 0;
  for (const SamplingLaw& law : laws()) {
    law_table::expect_law("TokenLaw: law " + std::to_string(number++), draws(law, law));
  }
  const auto caught = [&](const char* bug, const SamplingLaw& drawn, const SamplingLaw& claimed) {
    law_table::expect_caught(std::string("TokenLaw: ") + bug, draws(drawn, claimed));
  };
  caught("temperature .9 for 1", {.temperature = 0.9}, {});
  caught("top_k one too small", {.top_k = 5}, {.top_k = 6});
  caught("top_p ignored", {}, {.top_p = 0.9});
  caught("top_p taken for min_p", {.top_p = 0.9}, {.min_p = 0.3});
}

TEST_CASE("a law that would keep nothing keeps the most probable token") {
  // Such laws are refused by those who check them; here they must not reach beyond what is kept.
  const std::vector<double> logits = {1, 3, 2};
  TokenLaw<double> token_law;
  token_law.read(logits);
  CHECK(token_law.draw({.top_p = 0}, 0.99).token == 1);
  CHECK(token_law.draw({.top_k = 2, .top_p = 0}, 0.99).token == 1);
}

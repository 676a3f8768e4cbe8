#include "tilt/core/random.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "tilt/core/token.hpp"
#include "tilt/testing/law.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught, law_table::expect_law;
using testing::LawCheck;

namespace {

using Block = std::array<std::uint32_t, 4>;

template <class Draw>
LawCheck count(std::vector<double> law, std::size_t draws, Draw&& draw) {
  LawCheck check(std::move(law));
  Random random(2024);
  for (std::size_t i = 0; i < draws; ++i) check.count(static_cast<std::size_t>(draw(random)));
  return check;
}

}  // namespace

TEST_CASE("philox gives the known answers of Random123") {
  STATIC_REQUIRE(philox({0, 0, 0, 0}, {0, 0}) ==
                 Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t ones = 0xffffffff;
  STATIC_REQUIRE(philox({ones, ones, ones, ones}, {ones, ones}) ==
                 Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  STATIC_REQUIRE(
      philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
      Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("mix is the finaliser of SplitMix64") {
  STATIC_REQUIRE(mix(0) == 0xe220a8397b1dcdaf);
  STATIC_REQUIRE(mix(1) == 0x910a2dec89025cc1);
  STATIC_REQUIRE(mix(0xffffffffffffffff) == 0xe4d971771b652c20);
}

// The golden values of this file were computed by an independent program in Python.
TEST_CASE("derive_seed is stable, and the order of seed and ids matters") {
  STATIC_REQUIRE(derive_seed(42) == 0x704550bc3830fd7b);
  STATIC_REQUIRE(derive_seed(42, 1) == 0x49ff87e5c78fde10);
  STATIC_REQUIRE(derive_seed(42, 1, 2) == 0xf28d4309e8e9ebf6);
  STATIC_REQUIRE(derive_seed(42, 2, 1) == 0x51cfe32aaa960796);
  STATIC_REQUIRE(derive_seed(0, 0) == 0xfeb0cabc94719b2e);
  STATIC_REQUIRE(derive_seed(1, -1) == derive_seed(1, npos));
  STATIC_REQUIRE(derive_seed(1, std::uint32_t{7}) == derive_seed(1, std::uint64_t{7}));
}

TEST_CASE("small seeds and ids in any order give different keys") {
  // One, two and three numbers below 12: seed and ids swapped, equal, or left out.
  std::set<std::uint64_t> keys;
  std::size_t made = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    keys.insert(derive_seed(seed));
    ++made;
    for (std::uint64_t a = 0; a < 12; ++a) {
      keys.insert(derive_seed(seed, a));
      ++made;
      for (std::uint64_t b = 0; b < 12; ++b) {
        keys.insert(derive_seed(seed, a, b));
        ++made;
      }
    }
  }
  CHECK(keys.size() == made);
}

TEST_CASE("uniform numbers are the same on every machine") {
  Random random(42);
  CHECK(random.uniform() == 0x1.dea80caed48cap-2);
  CHECK(random.uniform() == 0x1.9d432beaa1ff5p-1);
  CHECK(random.uniform() == 0x1.92b08b7aa3780p-5);
  CHECK(random.uniform() == 0x1.6e68d81025d6cp-2);
  Random keyed(42, 7, 3);
  CHECK(keyed.bits() == 0xec8dcb3dfc651023);
  CHECK(keyed.bits() == 0xbe423546333ce239);
  CHECK(keyed.bits() == 0xa1b1ac2c367c3976);
  STATIC_REQUIRE(Random(42).uniform() == 0x1.dea80caed48cap-2);
}

TEST_CASE("below is the same on every machine") {
  Random random(42, 7, 3);
  for (const std::uint64_t expected :
       {5u, 4u, 3u, 0u, 3u, 1u, 2u, 2u, 3u, 3u, 0u, 0u, 3u, 3u, 2u, 4u, 5u, 1u, 5u, 4u}) {
    CHECK(random.below(6) == expected);
  }
  // A bound of three quarters of 2^64: a quarter of the blocks is rejected, here one of six.
  Random large(42, 7, 3);
  for (const std::uint64_t expected :
       {12784127723816340506u, 10282184093469616554u, 8738462262657624856u, 7050354563125775387u,
        3469908040226258958u}) {
    CHECK(large.below(std::uint64_t{3} << 62) == expected);
  }
}

TEST_CASE("categorical is the same on every machine") {
  const std::vector<double> log_weights = {std::log(.1), std::log(.6), std::log(.3)};
  Random random(42, 7, 3);
  for (const std::size_t expected :
       {2u, 2u, 1u, 0u, 1u, 1u, 1u, 1u, 1u, 1u, 0u, 1u, 1u, 1u, 1u, 2u, 2u, 1u, 2u, 2u}) {
    CHECK(random.categorical(log_weights) == expected);
  }
}

TEST_CASE("normal and exponential follow their formulas") {
  Random random(5);
  CHECK_THAT(random.normal(), WithinAbs(3.000459240089625, 1e-13));
  CHECK_THAT(random.normal(), WithinAbs(-0.10474470936295686, 1e-13));
  CHECK_THAT(random.normal(), WithinAbs(0.09448183796679106, 1e-13));
  Random again(5);
  CHECK_THAT(again.exponential(), WithinAbs(4.502888186545336, 1e-13));
  CHECK_THAT(again.log_uniform(), WithinAbs(-5.837884010819535, 1e-13));
}

TEST_CASE("a copy of a stream goes on alike and apart") {
  Random a(3, 4);
  a.bits();
  Random b = a;
  const std::uint64_t next = a.bits();
  CHECK(b.bits() == next);
}

TEST_CASE("below of 1 is 0, and of the largest bound any number") {
  Random random(1);
  for (int i = 0; i < 100; ++i) CHECK(random.below(1) == 0);
  CHECK(random.below(npos) < npos);
}

TEST_CASE("categorical never gives a weight of -infinity") {
  Random random(1);
  const std::vector<double> log_weights = {-infinity, 0, -infinity, -1e300, -infinity};
  for (int i = 0; i < 1000; ++i) CHECK(random.categorical(log_weights) == 1);
  const std::vector<double> huge = {1e5, 1e5 + std::log(3), -1e5};
  std::size_t ones = 0;
  for (int i = 0; i < 1000; ++i) ones += random.categorical(huge);
  CHECK(ones > 650);
  CHECK(ones < 850);
}

TEST_CASE("uniform numbers are uniform, in a stream and over streams", "[law]") {
  const std::vector<double> even(64, 1.0 / 64);
  const auto bin = [](double u) { return std::floor(u * 64); };
  const LawCheck stream = count(even, 200'000, [&](Random& r) { return bin(r.uniform()); });
  expect_law("Random: uniform, one stream", stream);
  // The first number of many streams, keyed as positions of a response are.
  LawCheck streams(even);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (std::uint64_t position = 0; position < 100; ++position) {
      streams.count(static_cast<std::size_t>(bin(Random(seed, position).uniform())));
    }
  }
  expect_law("Random: uniform, first number of many streams", streams);
  // Neighbouring streams are independent.
  LawCheck pairs(even);
  for (std::uint64_t seed = 0; seed < 200'000; ++seed) {
    pairs.count(static_cast<std::size_t>(std::floor(Random(seed, 0).uniform() * 8) * 8 +
                                         std::floor(Random(seed, 1).uniform() * 8)));
  }
  expect_law("Random: pairs of neighbouring streams", pairs);
  LawCheck twin(even);
  for (std::uint64_t seed = 0; seed < 200'000; ++seed) {
    const double both = std::floor(Random(seed).uniform() * 8);
    twin.count(static_cast<std::size_t>(both * 8 + both));
  }
  expect_caught("Random: pairs of streams that share a key", twin);
}

TEST_CASE("below is unbiased where a remainder would be biased", "[law]") {
  // Three quarters of 2^64: the remainder of 64 bits falls twice as often below 2^62.
  const std::uint64_t bound = std::uint64_t{3} << 62;
  const std::vector<double> thirds(3, 1.0 / 3);
  const LawCheck right = count(thirds, 30'000, [&](Random& r) { return r.below(bound) >> 62; });
  expect_law("Random: below 3/4 of 2^64", right);
  const LawCheck wrong = count(thirds, 30'000, [&](Random& r) { return r.bits() % bound >> 62; });
  expect_caught("Random: a remainder instead", wrong);
}

TEST_CASE("the distributions have their laws", "[law]") {
  SECTION("categorical") {
    const std::vector<double> p = {.05, 0, .5, .25, .2};
    std::vector<double> log_weights;
    for (const double x : p) log_weights.push_back(std::log(x) + 17);
    const LawCheck right = count(p, 100'000, [&](Random& r) { return r.categorical(log_weights); });
    expect_law("Random: categorical", right);
    const LawCheck wrong = count({.06, 0, .49, .25, .2}, 100'000,
                                 [&](Random& r) { return r.categorical(log_weights); });
    expect_caught("Random: categorical, probabilities off by .01", wrong);
  }
  SECTION("exponential: eight bins of equal probability") {
    const auto draw = [](Random& r) { return std::floor(8 * (1 - std::exp(-r.exponential()))); };
    const LawCheck right = count(std::vector<double>(8, .125), 100'000, draw);
    expect_law("Random: exponential", right);
    const auto slower = [](Random& r) {
      return std::floor(8 * (1 - std::exp(-1.1 * r.exponential())));
    };
    expect_caught("Random: exponential of mean 1.1",
                  count(std::vector<double>(8, .125), 100'000, slower));
  }
  SECTION("normal: eight bins of equal probability") {
    const auto bin = [](double x) { return std::floor(4 * std::erfc(-x / std::sqrt(2.0))); };
    const std::vector<double> even(8, .125);
    const LawCheck right = count(even, 100'000, [&](Random& r) { return bin(r.normal()); });
    expect_law("Random: normal", right);
    expect_caught("Random: normal of deviation 1.1",
                  count(even, 100'000, [&](Random& r) { return bin(1.1 * r.normal()); }));
  }
  SECTION("log_uniform accepts with probability exp(a)") {
    const double a = -0.7;
    const LawCheck right = count({1 - std::exp(a), std::exp(a)}, 100'000,
                                 [&](Random& r) { return r.log_uniform() < a ? 1 : 0; });
    expect_law("Random: log_uniform below log p", right);
    expect_caught("Random: log_uniform below p",
                  count({1 - std::exp(a), std::exp(a)}, 100'000,
                        [&](Random& r) { return r.uniform() < -a ? 1 : 0; }));
  }
}

TEST_CASE("log_uniform is finite and never positive") {
  Random random(9);
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.log_uniform();
    CHECK((std::isfinite(value) && value <= 0));
  }
}

TEST_CASE("poisson has its law, also where a large mean is cut into parts", "[law]") {
  for (const double mean : {0.3, 4.0, 16.0, 40.0}) {
    // The last outcome stands for all larger numbers.
    const std::size_t most = 12 + static_cast<std::size_t>(2 * mean);
    std::vector<double> law(most + 1);
    double probability = std::exp(-mean), rest = 1;
    for (std::size_t k = 0; k < most; ++k) {
      law[k] = probability;
      rest -= probability;
      probability *= mean / static_cast<double>(k + 1);
    }
    law[most] = std::max(0.0, rest);
    const auto draw = [&](Random& r) { return std::min<std::uint64_t>(most, r.poisson(mean)); };
    expect_law("Random: poisson of mean " + to_text(mean), count(law, 100'000, draw));
    const auto other = [&](Random& r) {
      return std::min<std::uint64_t>(most, r.poisson(1.15 * mean));
    };
    expect_caught("Random: poisson of a mean 15 % larger than " + to_text(mean),
                  count(law, 100'000, other));
  }
  Random random(3);
  CHECK(random.poisson(0) == 0);
  double sum = 0;
  for (int i = 0; i < 1000; ++i) sum += static_cast<double>(random.poisson(1e4));
  CHECK(std::abs(sum / 1000 - 1e4) < 4.89 * std::sqrt(1e4 / 1000));
}

TEST_CASE("poisson refuses a mean that would take for ever") {
  Random random(1);
  for (const double mean : {-1.0, 1e10, 3e17, 1e300, tilt::infinity, tilt::unset}) {
    CHECK_THROWS_AS(random.poisson(mean), tilt::InvalidOption);
  }
  const double seen = static_cast<double>(random.poisson(1e6));
  CHECK(std::abs(seen - 1e6) < 6e3);
}

#include "tilt/stats/win_rate.hpp"

#include <array>
#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "tilt/core/random.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::unset;
using tilt::win_rate;
using tilt::win_rate_of_all_pairs;
using tilt::WinRate;
using Values = std::vector<double>;

namespace {

// Over all pairs, one by one.
WinRate one_by_one(const Values& a, const Values& b) {
  WinRate result;
  for (const double x : a) {
    for (const double y : b) ++(x > y ? result.wins : x < y ? result.losses : result.ties);
  }
  const double pairs = static_cast<double>(a.size() * b.size());
  result.rate = (static_cast<double>(result.wins) + 0.5 * static_cast<double>(result.ties)) / pairs;
  return result;
}

}  // namespace

TEST_CASE("win_rate: pairs that belong together and ties by one half", "[stats]") {
  const WinRate seen = win_rate(Values{3, 1, 2, -infinity, 5}, Values{1, 3, 2, -infinity, 4});
  CHECK(seen.wins == 2);
  CHECK(seen.ties == 2);
  CHECK(seen.losses == 1);
  CHECK_THAT(seen.rate, WithinAbs(0.6, 1e-15));
  // By hand: the points 1, 0, 1/2, 1/2, 1 have the variance 0.7 / 4.
  CHECK_THAT(seen.standard_error, WithinAbs(std::sqrt(0.7 / 4 / 5), 1e-15));
  // The planted fault: ties that count for nobody.
  CHECK(std::abs(static_cast<double>(seen.wins) / 5 - seen.rate) > 0.1);
}

TEST_CASE("win_rate_of_all_pairs: equals the count over all pairs", "[stats]") {
  for (std::uint64_t number = 0; number < 50; ++number) {
    tilt::Random random(20250603, number);
    Values a(1 + random.below(12)), b(1 + random.below(12));
    for (double& x : a) x = static_cast<double>(random.below(6));
    for (double& y : b) y = static_cast<double>(random.below(5));
    const WinRate expected = one_by_one(a, b), seen = win_rate_of_all_pairs(a, b);
    CHECK(seen.wins == expected.wins);
    CHECK(seen.ties == expected.ties);
    CHECK(seen.losses == expected.losses);
    CHECK_THAT(seen.rate, WithinAbs(expected.rate, 1e-15));
    CHECK_THAT(win_rate_of_all_pairs(b, a).rate, WithinAbs(1 - expected.rate, 1e-15));
  }
}

TEST_CASE("win_rate_of_all_pairs: only the order of rewards matters", "[stats]") {
  const Values a = {0.3, -1, 2, 0.3}, b = {0.1, 0.3, 5};
  const auto stretched = [](Values values) {
    for (double& v : values) v = std::exp(3 * v);
    return values;
  };
  const WinRate seen = win_rate_of_all_pairs(a, b);
  const WinRate again = win_rate_of_all_pairs(stretched(a), stretched(b));
  CHECK(again.rate == seen.rate);
  CHECK(again.standard_error == seen.standard_error);
}

// Samples of four rewards from {0, 1, 2} with the laws (.5, .3, .2) and (.2, .4, .4), every one of them
// with its probability: the rate has the mean P(a > b) + P(a = b) / 2, and the squared standard error
// is on average the variance of the rate, or a little more.
TEST_CASE("win_rate_of_all_pairs: unbiased and its standard error is honest", "[stats][law]") {
  const std::array<double, 3> p = {0.5, 0.3, 0.2}, q = {0.2, 0.4, 0.4};
  constexpr std::size_t size = 4;
  struct Sample {
    Values rewards;
    double probability;
  };
  const auto samples = [](const std::array<double, 3>& law) {
    std::vector<Sample> all;
    for (std::size_t code = 0; code < 81; ++code) {
      Sample sample{{}, 1};
      for (std::size_t i = 0, rest = code; i < size; ++i, rest /= 3) {
        sample.rewards.push_back(static_cast<double>(rest % 3));
        sample.probability *= law[rest % 3];
      }
      all.push_back(sample);
    }
    return all;
  };
  double mean = 0, square = 0, squared_error = 0, as_independent = 0;
  const std::vector<Sample> of_a = samples(p), of_b = samples(q);
  for (const Sample& a : of_a) {
    for (const Sample& b : of_b) {
      const double probability = a.probability * b.probability;
      const WinRate seen = win_rate_of_all_pairs(a.rewards, b.rewards);
      mean += probability * seen.rate;
      square += probability * seen.rate * seen.rate;
      squared_error += probability * seen.standard_error * seen.standard_error;
      // The planted fault: 16 independent pairs.
      as_independent += probability * seen.rate * (1 - seen.rate) / (size * size);
    }
  }
  double exact = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) exact += p[i] * q[j] * (i > j ? 1 : i == j ? 0.5 : 0);
  }
  const double variance = square - mean * mean;
  law_table::expect_exact("win_rate_of_all_pairs: mean over all pairs of samples of 4", 6561,
                          std::abs(mean - exact));
  CAPTURE(variance, squared_error, as_independent);
  CHECK(squared_error >= variance);
  CHECK(squared_error < 1.1 * variance);
  CHECK(as_independent < 0.6 * variance);
}

TEST_CASE("win rates: edge cases", "[stats]") {
  for (const WinRate& none :
       {win_rate({}, {}), win_rate_of_all_pairs({}, {}), win_rate_of_all_pairs(Values{1}, {})}) {
    CHECK(std::isnan(none.rate));
    CHECK(std::isnan(none.standard_error));
    CHECK(none.wins + none.ties + none.losses == 0);
  }
  CHECK(win_rate(Values{1}, Values{0}).rate == 1);
  CHECK(std::isnan(win_rate(Values{1}, Values{0}).standard_error));
  CHECK(win_rate_of_all_pairs(Values{1}, Values{2, 3}).rate == 0);
  CHECK(std::isnan(win_rate_of_all_pairs(Values{1}, Values{2, 3}).standard_error));
  CHECK(win_rate_of_all_pairs(Values{1, 2}, Values{3, 4}).standard_error == 0);
  CHECK(win_rate_of_all_pairs(Values(3, -infinity), Values(2, -infinity)).rate == 0.5);
}

TEST_CASE("win rates: refuse rewards that are missing", "[stats]") {
  const Values fine = {1, 2}, missing = {1, unset};
  expect_refused([&] { (void)win_rate(missing, fine); }, "win_rate.a[1]", "nan");
  expect_refused([&] { (void)win_rate(fine, missing); }, "win_rate.b[1]", "nan");
  expect_refused([&] { (void)win_rate(fine, Values{1}); }, "win_rate.b", "1");
  expect_refused([&] { (void)win_rate_of_all_pairs(missing, fine); }, "win_rate_of_all_pairs.a[1]",
                 "nan");
  expect_refused([&] { (void)win_rate_of_all_pairs(fine, missing); }, "win_rate_of_all_pairs.b[1]",
                 "nan");
}

#include "tilt/stats/pass_at_k.hpp"

#include <bit>
#include <cmath>
#include <cstddef>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"

using Catch::Matchers::WithinAbs;
using tilt::pass_at_k;

TEST_CASE("pass_at_k: the share of sets of k that hold a correct one", "[stats]") {
  CHECK_THAT(pass_at_k(5, 2, 2), WithinAbs(0.7, 1e-15));
  for (std::size_t n = 1; n <= 8; ++n) {
    for (std::size_t correct = 0; correct <= n; ++correct) {
      for (std::size_t k = 1; k <= n; ++k) {
        std::size_t sets = 0, hold = 0;
        for (unsigned set = 0; set < (1u << n); ++set) {
          if (static_cast<std::size_t>(std::popcount(set)) != k) continue;
          ++sets;
          if ((set & ((1u << correct) - 1)) != 0) ++hold;
        }
        const double expected = static_cast<double>(hold) / static_cast<double>(sets);
        CHECK_THAT(pass_at_k(n, correct, k), WithinAbs(expected, 1e-14));
      }
    }
  }
}

// The planted fault: 1 - (1 - c/n)^k, the probability of k draws with the estimated rate, is biased.
TEST_CASE("pass_at_k: unbiased where the plug-in estimate is not", "[stats][law]") {
  const std::size_t n = 6, k = 3;
  const double rate = 0.3;
  double mean = 0, plug_in = 0, probability = std::pow(1 - rate, 6);
  for (std::size_t correct = 0; correct <= n; ++correct) {
    const auto c = static_cast<double>(correct);
    mean += probability * pass_at_k(n, correct, k);
    plug_in += probability * (1 - std::pow(1 - c / 6, 3));
    probability *= (6 - c) / (c + 1) * rate / (1 - rate);
  }
  const double exact = 1 - std::pow(1 - rate, 3);
  law_table::expect_exact("pass_at_k: mean over all outcomes of 6 draws", 7,
                          std::abs(mean - exact));
  law_table::expect_exact_caught("pass_at_k: plug-in estimate", 7, std::abs(plug_in - exact));
}

TEST_CASE("pass_at_k: edge cases", "[stats]") {
  CHECK(pass_at_k(1, 0, 1) == 0);
  CHECK(pass_at_k(1, 1, 1) == 1);
  CHECK(pass_at_k(10, 0, 10) == 0);
  CHECK(pass_at_k(10, 8, 3) == 1);  // two are wrong
  CHECK(pass_at_k(10, 8, 2) < 1);
  // C(10^9, 500) does not fit in a double.
  CHECK_THAT(pass_at_k(1'000'000'000, 1'000'000, 500), WithinAbs(1 - std::pow(0.999, 500), 1e-6));
}

TEST_CASE("pass_at_k: refuses arguments out of range", "[stats]") {
  expect_refused([] { (void)pass_at_k(5, 2, 6); }, "pass_at_k.k", "6");
  expect_refused([] { (void)pass_at_k(5, 6, 2); }, "pass_at_k.correct", "6");
  expect_refused([] { (void)pass_at_k(5, 2, 0); }, "pass_at_k.k", "0");
  expect_refused([] { (void)pass_at_k(0, 0, 1); }, "pass_at_k.k", "1");
}

#include "tilt/core/log_math.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;

TEST_CASE("log_sum_exp") {
  using Values = std::vector<double>;
  CHECK_THAT(log_sum_exp(Values{std::log(1), std::log(2), std::log(3)}),
             WithinAbs(std::log(6), 1e-15));
  CHECK_THAT(log_sum_exp(Values{1e5, 1e5}), WithinAbs(1e5 + std::log(2), 1e-10));
  CHECK_THAT(log_sum_exp(Values{-1e5, -1e5}), WithinAbs(-1e5 + std::log(2), 1e-10));
  CHECK(log_sum_exp(Values{3}) == 3);
  CHECK(log_sum_exp(Values{}) == -infinity);
  CHECK(log_sum_exp(Values{-infinity, -infinity}) == -infinity);
  CHECK(log_sum_exp(Values{-infinity, 2}) == 2);
  CHECK(log_sum_exp(Values{0, infinity, -infinity}) == infinity);
  CHECK(std::isnan(log_sum_exp(Values{0, unset, infinity})));
  CHECK(std::isnan(log_sum_exp(Values{unset})));
}

TEST_CASE("log_mean_exp") {
  using Values = std::vector<double>;
  CHECK_THAT(log_mean_exp(Values{std::log(1), std::log(3)}), WithinAbs(std::log(2), 1e-15));
  CHECK_THAT(log_mean_exp(Values{700, 800}), WithinAbs(800 - std::log(2), 1e-10));
  CHECK(std::isnan(log_mean_exp(Values{})));
  CHECK(log_mean_exp(Values{-infinity}) == -infinity);
}

TEST_CASE("log_add") {
  CHECK_THAT(log_add(std::log(2), std::log(5)), WithinAbs(std::log(7), 1e-15));
  CHECK(log_add(-infinity, -infinity) == -infinity);
  CHECK(log_add(-infinity, 1) == 1);
  CHECK(log_add(infinity, 1) == infinity);
  CHECK(std::isnan(log_add(unset, 1)));
}

TEST_CASE("reward_difference: -infinity minus -infinity is 0") {
  CHECK(reward_difference(3, 1) == 2);
  CHECK(reward_difference(-infinity, -infinity) == 0);
  CHECK(reward_difference(1, -infinity) == infinity);
  CHECK(reward_difference(-infinity, 1) == -infinity);
  CHECK(std::isnan(reward_difference(unset, unset)));
}

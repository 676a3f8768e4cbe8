#include "tilt/testing/law.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/toy.hpp"
#include "tilt/core/random.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;

TEST_CASE("l1_bound is the formula") {
  CHECK_THAT(l1_bound(20000, 31), WithinAbs(0.0594163893, 1e-9));
  CHECK_THAT(l1_bound(1, 1, 0.5), WithinAbs(std::sqrt(4 * std::log(2)), 1e-12));
  CHECK_THROWS_AS(l1_bound(0, 3), InvalidOption);
  CHECK_THROWS_AS(l1_bound(3, 0), InvalidOption);
  CHECK_THROWS_AS(l1_bound(3, 3, 0), InvalidOption);
  CHECK_THROWS_AS(l1_bound(3, 3, 1), InvalidOption);
}

TEST_CASE("l1_bound is passed no more often than it says", "[law]") {
  // A tenth of the runs may exceed the bound at alpha = .1; the bound is not tight, so fewer do.
  const std::vector<double> log_weights = {std::log(.5), std::log(.3), std::log(.2)};
  std::size_t exceeded = 0;
  for (std::uint64_t run = 0; run < 2000; ++run) {
    LawCheck check({.5, .3, .2}, 0.1);
    Random random(7, run);
    for (int i = 0; i < 100; ++i) check.count(random.categorical(log_weights));
    if (!check.holds()) ++exceeded;
  }
  CHECK(exceeded < 200);
  CHECK(exceeded > 0);  // nor is it empty
}

TEST_CASE("a law check holds for the law, and fails for a law that is off", "[law]") {
  auto policy = toy::policy();
  LawCheck right(toy::base_law()), wrong(toy::base_law({.temperature = 0.8}));
  for (std::uint64_t seed = 0; seed < 50'000; ++seed) {
    const Generation work = {.max_tokens = toy::max_tokens, .seed = seed};
    Response y;
    policy.generate({&work, 1}, {&y, 1});
    right.count(y);
    wrong.count(y);
  }
  law_table::expect_law("toy model", right);
  CHECK(right.draws() == 50'000);
  CHECK(right.outside() == 0);
  law_table::expect_caught("toy model: temperature 1 for .8", wrong);
}

TEST_CASE("one draw outside the law is enough to fail it") {
  LawCheck check({.5, .5, 0});
  check.count(0, 500);
  check.count(1, 500);
  CHECK(check.holds());
  SECTION("an outcome of probability 0") { check.count(2); }
  SECTION("an index out of range") { check.count(npos); }
  CHECK(check.distance() < check.bound());
  CHECK(check.outside() == 1);
  CHECK_FALSE(check.holds());
}

TEST_CASE("a response that is not in the law is named") {
  LawCheck check(toy::base_law());
  check.count(Response{.tokens = {toy::end, toy::a}});
  CHECK_FALSE(check.holds());
  CHECK(check.report().find("1 draws outside the law (tokens 2 0)") != std::string::npos);
}

TEST_CASE("distance and report") {
  LawCheck check({.5, .25, .25});
  CHECK_FALSE(check.holds());  // nothing was drawn: nothing is shown
  CHECK(std::isnan(check.distance()));
  check.count(0, 75);
  check.count(1, 25);
  CHECK(check.support() == 3);
  CHECK_THAT(check.distance(), WithinAbs(.5, 1e-12));
  CHECK_THAT(check.bound(), WithinAbs(l1_bound(100, 3), 1e-12));
  CHECK(check.report().find("the law holds: 100 draws over 3 outcomes, L1 distance 0.5") == 0);
  check.count(0, 9900);
  CHECK_FALSE(check.holds());
  CHECK(check.report().find("  outcome 0: seen 0.9975, expected 0.5\n") != std::string::npos);
}

TEST_CASE("an unknown draw counts in the distance") {
  LawCheck check({1.0});
  check.count(0);
  check.count(5);
  CHECK_THAT(check.distance(), WithinAbs(1, 1e-12));
}

TEST_CASE("a law must be complete") {
  CHECK_THROWS_AS(LawCheck({.5, .4}), InvalidOption);
  CHECK_THROWS_AS(LawCheck({1.5, -.5}), InvalidOption);
  CHECK_THROWS_AS(LawCheck(std::vector<double>{unset}), InvalidOption);
  CHECK_THROWS_AS(LawCheck(std::vector<double>{}), InvalidOption);
}

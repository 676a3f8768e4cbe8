#include "tilt/reward/combine.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/rewards.hpp"

using Catch::Matchers::WithinAbs;
using tilt::infinity;
using tilt::mean_minus_variance;
using tilt::minimum;
using tilt::Prompt;
using tilt::Response;
using tilt::RewardFunction;
using tilt::RewardModel;
using tilt::unset;
using tilt::weighted;
using Values = std::vector<double>;

namespace {

const std::vector<std::string> texts = {"x", "y"};
TableReward make(double x, double y) { return {.rewards = {{"x", x}, {"y", y}}}; }

}  // namespace

TEST_CASE("weighted: the weighted sum, one call per part for a whole batch", "[reward]") {
  TableReward a = make(1, 2), b = make(10, -20);
  auto reward = weighted(0.5, a, 2, b);
  STATIC_REQUIRE(RewardModel<decltype(reward)>);
  STATIC_REQUIRE(RewardModel<const decltype(reward)>);
  CHECK(score(reward, texts) == Values{20.5, -39});
  CHECK(a.batches == std::vector<std::size_t>{2});
  CHECK(b.batches == std::vector<std::size_t>{2});
  CHECK(score(reward, {}).empty());
  CHECK(score(weighted(3, a), {"y"}) == Values{6});
}

TEST_CASE("weighted: lvalues are held by reference, rvalues owned", "[reward]") {
  TableReward a = make(1, 2);
  auto reward = weighted(1, a, 1, make(10, 20));
  a.rewards["x"] = 5;
  CHECK(score(reward, {"x"}) == Values{15});
  CHECK(a.batches.size() == 1);
  const auto moved = std::move(reward);
  CHECK(score(moved, {"x"}) == Values{15});
  const tilt::NoReward& constant = tilt::no_reward;
  CHECK(score(weighted(2, constant, 1, a), {"x"}) == Values{5});
  // Also what can only be moved.
  CHECK(score(weighted(2, archetype::RewardModel(3)), texts) == Values{6, 6});
}

TEST_CASE("weighted: a part that may abstain has no say where it scores NaN", "[reward]") {
  TableReward a = make(1, 2), b = make(unset, 10), c = make(unset, unset);
  CHECK(score(weighted(1, a, 0.5, tilt::abstaining(b)), texts) == Values{1, 7});
  CHECK(score(weighted(2, tilt::abstaining(b), 1, tilt::abstaining(c), -1, a), texts) ==
        Values{-1, 18});
  // Where all that count abstain there is no score; a part of weight 0 does not count.
  const Values none = score(weighted(1, tilt::abstaining(b), 0, a), texts);
  CHECK(std::isnan(none[0]));
  CHECK(none[1] == 10);
  // Elsewhere NaN stays an error, alone and beside one that abstains.
  CHECK(std::isnan(score(weighted(1, a, 1, b), texts)[0]));
  CHECK(std::isnan(score(weighted(1, tilt::abstaining(a), 1, b), texts)[0]));
  CHECK(std::isnan(score(tilt::abstaining(b), texts)[0]));
  CHECK(std::isnan(score(minimum(a, tilt::abstaining(b)), texts)[0]));
  CHECK(score(0.5 * tilt::abstaining(a) + 1 * tilt::abstaining(a), texts) == Values{1.5, 3});
  STATIC_REQUIRE(RewardModel<decltype(tilt::abstaining(a))>);
}

TEST_CASE("weighted: weights must be finite", "[reward]") {
  TableReward a = make(1, 2);
  for (const double bad : {infinity, -infinity, unset}) {
    CHECK_THROWS_AS(weighted(1, a, bad, a), tilt::InvalidOption);
    CHECK_THROWS_AS(bad * (1 * RewardFunction{[](const Prompt&, const Response&) { return 1.0; }}),
                    tilt::InvalidOption);
  }
  CHECK_THROWS_WITH(weighted(1, a, infinity, a),
                    "weighted.weights[1] is inf; it must be a finite number");
}

TEST_CASE("weighted: a part of weight 0 counts for nothing and is not called", "[reward]") {
  TableReward forbidding = make(-infinity, unset);
  CHECK(score(weighted(1, make(1, 2), 0, forbidding), texts) == Values{1, 2});
  CHECK(forbidding.batches.empty());
  CHECK(score(weighted(1, make(1, 2), 0, BrokenReward{}), texts) == Values{1, 2});
  CHECK(score(weighted(0, forbidding), texts) == Values{0, 0});
}

TEST_CASE("weighted: -infinity forbids, NaN and +infinity are not covered", "[reward]") {
  CHECK(score(weighted(0.1, make(-infinity, 1), 5, make(1e300, 1)), texts) ==
        Values{-infinity, 5.1});
  CHECK(score(weighted(1, make(-infinity, 0), 1, make(-infinity, 0)), {"x"}) == Values{-infinity});
  CHECK(std::isnan(score(weighted(1, make(-infinity, 0), 1, make(infinity, 0)), {"x"})[0]));
  CHECK(std::isnan(score(weighted(1, make(-infinity, 0), 1, make(unset, 0)), {"x"})[0]));
  CHECK(score(weighted(-1, make(-infinity, 0), 1, make(3, 0)), {"x"}) == Values{infinity});
}

TEST_CASE("minimum: the worst part", "[reward]") {
  CHECK(score(minimum(make(1, 2), make(3, -4)), texts) == Values{1, -4});
  CHECK(score(minimum(make(1, 2)), texts) == Values{1, 2});
  CHECK(score(minimum(make(-infinity, infinity), make(1, 2)), texts) == Values{-infinity, 2});
  CHECK(std::isnan(score(minimum(make(1, 2), make(unset, 2)), texts)[0]));
  CHECK(std::isnan(score(minimum(make(unset, 2), make(1, 2)), texts)[0]));
}

TEST_CASE("mean_minus_variance: mean less lambda times the variance with divisor k", "[reward]") {
  // By hand: mean 2, variance 8/3; mean 5, variance 0.
  const auto reward = mean_minus_variance(0.5, make(0, 5), make(2, 5), make(4, 5));
  const Values values = score(reward, texts);
  CHECK_THAT(values[0], WithinAbs(2 - 0.5 * 8 / 3, 1e-14));
  CHECK_THAT(values[1], WithinAbs(5, 1e-14));
  CHECK(score(mean_minus_variance(7, make(3, 4)), texts) == Values{3, 4});
  CHECK(score(mean_minus_variance(0, make(1, 2), make(3, 4)), texts) == Values{2, 3});
}

TEST_CASE("mean_minus_variance: edge cases", "[reward]") {
  CHECK(score(mean_minus_variance(1, make(-infinity, 0), make(1, 0)), texts) ==
        Values{-infinity, 0});
  CHECK(score(mean_minus_variance(1, make(-infinity, 0), make(-infinity, 0)), {"x"}) ==
        Values{-infinity});
  CHECK(std::isnan(score(mean_minus_variance(1, make(unset, 0), make(1, 0)), {"x"})[0]));
  CHECK(!std::isfinite(score(mean_minus_variance(1, make(infinity, 0), make(1, 0)), {"x"})[0]));
  for (const double bad : {-0.1, infinity, unset}) {
    CHECK_THROWS_AS(mean_minus_variance(bad, make(0, 0)), tilt::InvalidOption);
  }
}

TEST_CASE("compositions: a failure fails just the items concerned", "[reward]") {
  const TableReward all = make(1, 2), only_x{.rewards = {{"x", 10}}},
                    only_y{.rewards = {{"y", 10}}};
  using Texts = std::vector<std::string>;
  CHECK(outcomes(weighted(1, TableReward(all), 1, TableReward(only_x)), texts) ==
        Texts{"11", "no reward for y"});
  CHECK(outcomes(minimum(TableReward(only_x), TableReward(only_y)), texts) ==
        Texts{"no reward for x", "no reward for y"});
  CHECK(outcomes(weighted(1, weighted(1, TableReward(only_y)), 1, TableReward(all)), texts) ==
        Texts{"no reward for x", "12"});
  CHECK_THROWS_WITH(score(weighted(1, TableReward(all), 1, BrokenReward{}), texts), "broken");
}

TEST_CASE("operators: the same numbers as weighted", "[reward]") {
  RewardFunction a{[](const Prompt&, const Response& y) { return y.text == "x" ? 0.1 : 0.7; }};
  RewardFunction b{[](const Prompt&, const Response& y) { return y.text == "x" ? 0.3 : -1.1; }};
  const Values expected = score(weighted(0.7, a, 0.3, b), texts);
  CHECK(score(0.7 * a + 0.3 * b, texts) == expected);
  CHECK(score(a * 0.7 + b * 0.3, texts) == expected);
  CHECK(score(a + b, texts) == score(weighted(1, a, 1, b), texts));
  CHECK(score(2 * (0.7 * a + 0.3 * b), texts) ==
        score(weighted(2, weighted(0.7, a, 0.3, b)), texts));
  CHECK(score(0.5 * minimum(a, b) + mean_minus_variance(1, a, b) + a, texts).size() == 2);
  // Parts made on the spot are owned.
  const auto owned = 0.5 * RewardFunction{[n = std::vector<double>{4}](
                                              const Prompt&, const Response&) { return n[0]; }} +
                     1 * RewardFunction{[](const Prompt&, const Response&) { return 3.0; }};
  CHECK(score(owned, {"x"}) == Values{5});
}

namespace tilt {
struct Meters {  // a type of the same namespace that is no reward, with operators of its own
  double value;
  friend Meters operator*(double factor, Meters m) { return {factor * m.value}; }
};
namespace elsewhere {
struct OptedIn : RewardOperators {
  void score(std::span<const Scoring>, std::span<double> out) const {
    for (double& reward : out) reward = 2;
  }
};
}  // namespace elsewhere
}  // namespace tilt

namespace {

template <class A, class B>
concept Multiplies = requires(A a, B b) {
  a* b;
};
template <class A, class B>
concept Adds = requires(A a, B b) {
  a + b;
};

struct StatelessScore {
  double operator()(const Prompt&, const Response&) const { return 1; }
};

}  // namespace

TEST_CASE("operators: only for reward models that have them", "[reward]") {
  using Own = RewardFunction<StatelessScore>;
  STATIC_REQUIRE(Multiplies<double, Own>);
  STATIC_REQUIRE(Multiplies<Own&, int>);
  STATIC_REQUIRE(Adds<Own, const Own&>);
  STATIC_REQUIRE(!Multiplies<Own, Own>);
  STATIC_REQUIRE(!Multiplies<double, TableReward>);
  STATIC_REQUIRE(!Adds<Own, TableReward>);
  STATIC_REQUIRE(!Multiplies<double, tilt::Response>);
  STATIC_REQUIRE(!Adds<tilt::Prompt, tilt::Prompt>);
  STATIC_REQUIRE(std::is_same_v<decltype(2.0 * tilt::Meters{1}), tilt::Meters>);
  // A reward in another namespace has them by its base class.
  const tilt::elsewhere::OptedIn there;
  CHECK(score(0.5 * there + 3 * there, {"x"}) == Values{7});
}

namespace {

struct SaysYes : TableReward {
  static constexpr bool partial = true;
};
struct Depends : TableReward {
  bool answer = true;
  bool partial() const { return answer; }
};
struct NeedsNeutralLaw : TableReward {
  void check_law(const tilt::SamplingLaw& law) const {
    if (!law.neutral()) throw tilt::InvalidOption("law", "tilted", "neutral");
  }
};

template <class R>
concept KnowsPartial = tilt::HasStaticPartial<R>;
template <class R>
concept HasRules = requires(const R& r) {
  r.check_law(tilt::SamplingLaw{});
};

}  // namespace

TEST_CASE("compositions: score prefixes only if all parts do", "[reward]") {
  auto silent = weighted(1, TableReward{}, 1, SaysYes{});
  STATIC_REQUIRE(KnowsPartial<decltype(silent)>);
  STATIC_REQUIRE(decltype(silent)::partial);
  CHECK(tilt::scores_prefixes(silent));

  auto whole = minimum(TableReward{}, WholeOnlyReward{}, Depends{});
  STATIC_REQUIRE(KnowsPartial<decltype(whole)>);
  STATIC_REQUIRE(!decltype(whole)::partial);
  WholeOnlyReward held;
  STATIC_REQUIRE(!decltype(weighted(1, minimum(held)))::partial);

  Depends yes, no;
  no.answer = false;
  auto dynamic = weighted(1, TableReward{}, 1, no);
  STATIC_REQUIRE(!KnowsPartial<decltype(dynamic)>);
  CHECK(!tilt::scores_prefixes(dynamic));
  no.answer = true;
  CHECK(tilt::scores_prefixes(dynamic));
  CHECK(tilt::scores_prefixes(mean_minus_variance(1, weighted(1, yes), SaysYes{})));
}

TEST_CASE("compositions: rules about the base law come through", "[reward]") {
  auto ruled = weighted(1, TableReward{}, 1, minimum(NeedsNeutralLaw{}, TableReward{}));
  STATIC_REQUIRE(HasRules<decltype(ruled)>);
  CHECK_NOTHROW(ruled.check_law(tilt::SamplingLaw{}));
  CHECK_THROWS_AS(ruled.check_law(tilt::SamplingLaw{.temperature = 0.5}), tilt::InvalidOption);
  STATIC_REQUIRE(!HasRules<decltype(weighted(1, TableReward{}))>);
}

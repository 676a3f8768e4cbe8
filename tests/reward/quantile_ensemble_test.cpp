#include "tilt/reward/quantile_ensemble.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/refused.hpp"
#include "support/rewards.hpp"
#include "support/runs.hpp"
#include "tilt/core/random.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/testing/check_reward.hpp"

using Catch::Matchers::WithinAbs;
using runs::contains;
using runs::thrown_by;
using tilt::infinity;
using tilt::Prompt;
using tilt::quantile_mean;
using tilt::quantile_mean_minus_variance;
using tilt::quantile_minimum;
using tilt::Response;
using tilt::unset;
using Texts = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

std::vector<Response> responses(const Texts& texts) {
  std::vector<Response> made;
  for (const std::string& text : texts) made.emplace_back().text = text;
  return made;
}

// Three members of very different scales over the same eight texts.
TableReward table(const Values& rewards) {
  TableReward made;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    made.rewards[std::string(1, static_cast<char>('a' + i))] = rewards[i];
  }
  return made;
}
const Values first = {1, 2, 2, 3, 4, 2, 0.5, 9}, second = {-700, 100, -50, 0, 3000, 20, 100, -701},
             third = {.1, .4, .2, .3, .1, .15, .9, -.2};
const Texts references = {"a", "b", "c", "d", "e"}, all = {"a", "b", "c", "d", "e", "f", "g", "h"};

// (number below + half of the number equal) / 5, counted one by one.
double quantile_of(const Values& rewards, double value) {
  double count = 0;
  for (std::size_t i = 0; i < references.size(); ++i) {
    count += rewards[i] < value ? 1 : rewards[i] == value ? 0.5 : 0;
  }
  return count / 5;
}

template <class R>
Values scored(R reward) {
  reward.calibrate("prompt", responses(references));
  return score(reward, all);
}

}  // namespace

TEST_CASE("quantile ensembles: mean and minimum and mean less variance of quantiles", "[reward]") {
  const Values mean = scored(quantile_mean(table(first), table(second), table(third)));
  const Values least = scored(quantile_minimum(table(first), table(second), table(third)));
  const Values careful =
      scored(quantile_mean_minus_variance(2, table(first), table(second), table(third)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Values u = {quantile_of(first, first[i]), quantile_of(second, second[i]),
                      quantile_of(third, third[i])};
    const double m = (u[0] + u[1] + u[2]) / 3;
    CHECK_THAT(mean[i], WithinAbs(m, 1e-15));
    CHECK(least[i] == std::min({u[0], u[1], u[2]}));
    const double variance =
        ((u[0] - m) * (u[0] - m) + (u[1] - m) * (u[1] - m) + (u[2] - m) * (u[2] - m)) / 3;
    CHECK_THAT(careful[i], WithinAbs(m - 2 * variance, 1e-15));
  }
  // Two ties among the references, at "b" and "c": one below and half of two.
  CHECK(scored(quantile_mean(table(first)))[1] == 0.4);
  CHECK(scored(quantile_mean(table(first)))[6] == 0);
  CHECK(scored(quantile_mean(table(first)))[7] == 1);
}

// {1, 2, 3} with lambda 1/2: 1.6667 with the population's variance, 1.5 with the sample's.
TEST_CASE("quantile ensembles: the variance is the population's", "[reward]") {
  const tilt::MeanMinusVariance rule{0.5};
  CHECK_THAT(rule(Values{1, 2, 3}), WithinAbs(2 - 0.5 * 2 / 3, 1e-15));
  CHECK(std::abs(rule(Values{1, 2, 3}) - 1.5) > 0.1);
}

TEST_CASE("quantile ensembles: the references have the mean one half", "[reward]") {
  const Values mean = scored(quantile_mean(table(first), table(second), table(third)));
  double sum = 0;
  for (std::size_t i = 0; i < references.size(); ++i) sum += mean[i];
  CHECK_THAT(sum / 5, WithinAbs(0.5, 1e-15));
  // The planted fault: ties counted whole.
  double whole = 0;
  for (std::size_t i = 0; i < references.size(); ++i) {
    for (std::size_t j = 0; j < references.size(); ++j) whole += first[j] <= first[i] ? 1 : 0;
  }
  CHECK(std::abs(whole / 25 - 0.5) > 0.05);
}

TEST_CASE("quantile ensembles: strictly increasing transforms of a member change nothing",
          "[reward]") {
  const auto transformed = [](const Values& rewards, const std::function<double(double)>& f) {
    Values result;
    for (const double r : rewards) result.push_back(f(r));
    return result;
  };
  const Values tame = transformed(second, [](double r) { return std::atan(r / 100); });
  const Values wild = transformed(third, [](double r) { return std::exp(50 * r) - 1e6; });
  const auto check = [&](const auto& make) {
    CHECK(scored(make(table(first), table(second), table(third))) ==
          scored(make(table(first), table(tame), table(wild))));
  };
  check([](auto... members) { return quantile_mean(std::move(members)...); });
  check([](auto... members) { return quantile_minimum(std::move(members)...); });
  check([](auto... members) { return quantile_mean_minus_variance(0.5, std::move(members)...); });

  // The planted fault: the mean of raw rewards, of which the largest scale decides.
  const auto best_by_raw_mean = [](const Values& a, const Values& b, const Values& c) {
    const Values raw = score(tilt::weighted(1, table(a), 1, table(b), 1, table(c)), all);
    return std::max_element(raw.begin(), raw.end()) - raw.begin();
  };
  CHECK(best_by_raw_mean(first, second, third) != best_by_raw_mean(first, tame, third));
  CHECK(best_by_raw_mean(first, second, third) != best_by_raw_mean(first, second, wild));
}

TEST_CASE("quantile ensembles: a prompt without calibration is an error and never 0", "[reward]") {
  TableReward member = table(first);
  auto reward = quantile_mean(member);
  CHECK(reward.references("prompt") == 0);
  CHECK(
      outcomes(reward, {"a"})[0] ==
      "the ensemble was not calibrated for the prompt \"prompt\"; call calibrate with references");
  CHECK(member.batches.empty());

  // In one batch the other items are scored.
  reward.calibrate("known", responses(references));
  CHECK(reward.references("known") == 5);
  CHECK(reward.references("other") == 0);
  const std::vector<Response> y = responses({"h", "b"});
  const Prompt known = "known", other = "other";
  const tilt::Scoring work[] = {{&other, &y[0]}, {&known, &y[0]}, {&other, &y[1]}, {&known, &y[1]}};
  Values out(4, unset);
  try {
    reward.score(work, out);
    FAIL("it did not throw");
  } catch (const tilt::PartialFailure& failure) {
    CHECK(failure.causes()[0] != nullptr);
    CHECK(failure.causes()[1] == nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(failure.causes()[2]), tilt::RewardError);
    CHECK(failure.causes()[3] == nullptr);
  }
  CHECK(out[1] == 1);
  CHECK(out[3] == 0.4);
  CHECK(member.batches == std::vector<std::size_t>{5, 2});
  CHECK(score(reward, {}).empty());

  tilt::TextPolicy policy{[](std::string_view) { return std::string("a"); }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{{.n = 2}}};
  const std::string message = thrown_by<tilt::RewardError>([&] { (void)decoder("unseen"); });
  CHECK(contains(message, "not calibrated"));
  CHECK(contains(message, "unseen"));
  CHECK(decoder("known").answer.reward == 0.1);
}

TEST_CASE("quantile ensembles: prompts have laws of their own and can be calibrated anew",
          "[reward]") {
  auto reward = quantile_mean(table(first));
  const std::vector<Response> y = responses({"d"});
  const Prompt p = "p", q = Prompt::from_tokens({1, 2});
  const auto at = [&](const Prompt& prompt) {
    const tilt::Scoring work{&prompt, &y[0]};
    double out = unset;
    reward.score({&work, 1}, {&out, 1});
    return out;
  };
  reward.calibrate(p, responses({"a", "b"}));
  reward.calibrate(q, responses({"h"}));
  CHECK(at(p) == 1);
  CHECK(at(q) == 0);
  reward.calibrate(p, responses({"d", "h", "h"}));
  CHECK_THAT(at(p), WithinAbs(0.5 / 3, 1e-15));
  CHECK(reward.references(p) == 3);
}

TEST_CASE("quantile ensembles: what is forbidden stays forbidden and errors stay errors",
          "[reward]") {
  const Values never = {1, -infinity, 2, 3, 4, unset, infinity, 5};
  auto reward = quantile_minimum(table(never), table(first));
  reward.calibrate("prompt", responses({"a", "b", "c", "d"}));
  const Values seen = score(reward, all);
  CHECK(seen[1] == -infinity);
  CHECK(std::isnan(seen[5]));
  CHECK(std::isnan(seen[6]));
  CHECK(seen[0] == 0.125);
  CHECK(outcomes(reward, {"a", "?", "b"}) == Texts{"0.125", "no reward for ?", "-inf"});

  // References that failed leave the calibration as it was.
  CHECK_THROWS_WITH(
      reward.calibrate("prompt", responses({"a", "?"})),
      "member 0 cannot be calibrated on the prompt \"prompt\": reference 1: no reward "
      "for ?");
  CHECK(
      contains(thrown_by<tilt::RewardError>([&] { reward.calibrate("prompt", responses({"g"})); }),
               "the reward is inf"));
  CHECK_THROWS_AS(reward.calibrate("prompt", responses({"f"})), tilt::RewardError);
  CHECK(reward.references("prompt") == 4);
  CHECK(score(reward, {"a"}) == Values{0.125});
  expect_refused([&] { reward.calibrate("prompt", {}); }, "QuantileEnsemble.references", "0");
  CHECK_THROWS_WITH(quantile_mean(BrokenReward{}).calibrate("prompt", responses({"a"})), "broken");
}

TEST_CASE("quantile ensembles: members are held and composed like other parts", "[reward]") {
  TableReward member = table(first);
  auto reward = quantile_mean(member, archetype::RewardModel(3));
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  STATIC_REQUIRE(!decltype(reward)::partial);
  reward.calibrate("prompt", responses(references));
  member.rewards["a"] = 100;  // by reference: the member has learnt
  CHECK(score(reward, {"a"}) == Values{0.75});
  CHECK(score(2 * reward + tilt::minimum(reward), {"a"}) == Values{2.25});
  STATIC_REQUIRE(!decltype(2 * reward)::partial);

  const std::vector<std::string> none;
  CHECK(tilt::testing::check_reward(reward, {Prompt("prompt")},
                                    {responses({"a"})[0], responses({"h"})[0]}) == none);
  for (const double bad : {-0.1, infinity, unset}) {
    CHECK_THROWS_AS(quantile_mean_minus_variance(bad, member), tilt::InvalidOption);
  }
}

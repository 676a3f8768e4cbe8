#include "tilt/selector/regularized_best.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/table.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/testing/check_selector.hpp"

using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;
using tilt::Random;
using tilt::RegularizedBest;
using tilt::RegularizedBestOptions;
using tilt::unset;

namespace {

Candidate saying(const char* text, double reward, double weight = 1) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

Candidate with_log_probs(std::vector<double> log_probs, double reward) {
  Candidate candidate{.reward = reward};
  candidate.response.tokens.assign(log_probs.size(), 1);
  candidate.response.raw_log_probs = std::move(log_probs);
  return candidate;
}

Decision choose(const auto& rule, std::vector<Candidate> candidates) {
  Random random(1);
  return rule(Population(std::move(candidates)), random);
}

}  // namespace

TEST_CASE("RegularizedBest: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(RegularizedBest{}) == none);
  CHECK(tilt::testing::check_selector(RegularizedBest{{.mbr = 2, .length = 1}}) == none);
}

TEST_CASE("RegularizedBest: options", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<RegularizedBest<>>);
  STATIC_REQUIRE(RegularizedBest<>::needs_reward);
  STATIC_REQUIRE(RegularizedBest<>::needs_states);
  CHECK(RegularizedBest{}.options().mbr == 0);
  CHECK(RegularizedBest{{.kl = -0.5}}.options().kl == -0.5);
  CHECK(RegularizedBest{tilt::exact_match, {.mbr = 2}}.options().mbr == 2);
  for (const double bad : {infinity, -infinity, unset}) {
    CHECK_THROWS_AS((RegularizedBest{{.mbr = bad}}), tilt::InvalidOption);
    CHECK_THROWS_AS((RegularizedBest{{.length = bad}}), tilt::InvalidOption);
    CHECK_THROWS_AS((RegularizedBest{{.kl = bad}}), tilt::InvalidOption);
  }
  CHECK_THROWS_WITH((RegularizedBest{{.kl = infinity}}),
                    "RegularizedBestOptions.kl is inf; it must be a finite number");
}

TEST_CASE("RegularizedBest: without terms it is the highest reward", "[selector]") {
  // The utility would throw.
  const RegularizedBest rule{[](std::string_view, std::string_view) -> double { throw 1; }};
  const tilt::HighestReward plain;
  Random random(5);
  const std::vector<double> rewards = {unset, -infinity, -1, 0, 0.5, 0.5000000001, 2};
  for (int trial = 0; trial < 500; ++trial) {
    Population population;
    for (std::uint64_t i = random.below(6); i > 0; --i) {
      population.add(
          saying("x", rewards[random.below(rewards.size())], static_cast<double>(random.below(3))),
          0);
    }
    const Decision a = rule(population, random), b = plain(population, random);
    CHECK(a.index == b.index);
    CHECK(a.answer == b.answer);
    CHECK(a.share == b.share);
  }
}

TEST_CASE("RegularizedBest: the MBR term is the mean utility with the self-term", "[selector]") {
  const std::vector<Candidate> candidates = {saying("x", 1.2), saying("y", 1), saying("y", 0.9)};
  const auto at = [&](double mbr) {
    return choose(RegularizedBest{tilt::exact_match, {.mbr = mbr}}, candidates).index;
  };
  // x has mean 1/3, y 2/3: they meet where 0.2 = mbr / 3.
  CHECK(at(0.59) == 0);
  CHECK(at(0.61) == 1);
  CHECK(at(-5) == 0);
  // Weights: x has 3/5 then.
  CHECK(choose(RegularizedBest{tilt::exact_match, {.mbr = 100}},
               {saying("x", 0, 3), saying("y", 1), saying("y", 0.9)})
            .index == 0);
}

TEST_CASE("RegularizedBest: the length term is reward over length", "[selector]") {
  const auto of_length = [](std::size_t n, double reward) {
    Candidate candidate{.reward = reward};
    candidate.response.tokens.assign(n, 1);
    return candidate;
  };
  const std::vector<Candidate> candidates = {of_length(2, 1), of_length(4, 0.9)};
  const auto at = [&](double length) {
    return choose(RegularizedBest{{.length = length}}, candidates).index;
  };
  // They meet where 0.1 = length (1/2 - 1/4).
  CHECK(at(0.39) == 0);
  CHECK(at(0.41) == 1);
  CHECK(at(-1) == 0);
  // An empty response counts as one token: no division by zero, of either sign.
  CHECK(choose(RegularizedBest{{.length = 1}}, {of_length(0, 1), of_length(2, 0.4)}).index == 0);
  CHECK(choose(RegularizedBest{{.length = 1}}, {of_length(0, 1), of_length(2, 0.6)}).index == 1);
  CHECK(choose(RegularizedBest{{.length = -1}}, {of_length(0, 0), of_length(2, 0.6)}).index == 1);
}

TEST_CASE("RegularizedBest: lengths are words where a candidate has no ids", "[selector]") {
  Candidate with_ids = saying("one", 0);
  with_ids.response.tokens.assign(50, 1);
  CHECK(choose(RegularizedBest{{.length = 1}}, {with_ids, saying("now two", 0)}).index == 1);
  Candidate both = saying("now two", 0);
  both.response.tokens.assign(2, 1);
  CHECK(choose(RegularizedBest{{.length = 1}}, {with_ids, both}).index == 0);
}

TEST_CASE("RegularizedBest: the KL term is the log-prob of the whole response", "[selector]") {
  const std::vector<Candidate> candidates = {with_log_probs({-1, -2}, 1),
                                             with_log_probs({-0.5, -0.25, -0.25}, 0.8)};
  const auto at = [&](double kl) { return choose(RegularizedBest{{.kl = kl}}, candidates).index; };
  // They meet where 0.2 = kl (3 - 1).
  CHECK(at(0.09) == 0);
  CHECK(at(0.11) == 1);
  CHECK(at(-1) == 0);
}

TEST_CASE("RegularizedBest: the KL term needs log-probs", "[selector]") {
  const RegularizedBest rule{{.kl = 0.1}};
  const Candidate good = with_log_probs({-1}, 0);
  Candidate none = good, some = with_log_probs({-1, -1}, 0), nan = with_log_probs({unset}, 0);
  none.response.raw_log_probs.clear();
  some.response.raw_log_probs.pop_back();
  for (const Candidate& bad : {none, some, nan, saying("text", 0)}) {
    CHECK_THROWS_WITH(choose(rule, {good, bad}),
                      "RegularizedBestOptions.kl is not 0 and candidate 1 has no finite "
                      "raw_log_probs, one per token; use a policy with capabilities.log_probs, or "
                      "set kl to 0");
  }
  // Who may not be chosen need not have any.
  none.weight = 0;
  CHECK(choose(rule, {good, none}).index == 0);
}

TEST_CASE("RegularizedBest: edge cases", "[selector]") {
  const RegularizedBest rule{tilt::token_f1, {.mbr = 100}};
  const Decision none = choose(rule, {});
  CHECK(none.index == tilt::npos);
  CHECK(none.share == 0);
  CHECK(choose(rule, {saying("only", 1)}).answer == "only");
  CHECK(choose(rule, {saying("x", 1), saying("x", 1)}).index == 0);
  // Equal rewards and equal mean utilities: 3 times 0.1 is not 0.1 + 0.1 + 0.1.
  const RegularizedBest tenth{
      [](std::string_view a, std::string_view b) { return a == b ? 0.1 : 0.0; }, {.mbr = 1}};
  CHECK(choose(tenth, {saying("x", 0), saying("y", 0, 3), saying("x", 0), saying("x", 0)}).index ==
        0);
  CHECK(choose(tenth, {saying("y", 0, 3), saying("x", 0), saying("x", 0), saying("x", 0)}).index ==
        0);
  // No term makes up for a reward of -infinity or for none.
  for (const double worst : {-infinity, unset}) {
    CHECK(choose(rule, {saying("x", worst), saying("x", worst), saying("y", -9)}).index == 2);
    CHECK(choose(rule, {saying("y", worst), saying("x", worst), saying("x", worst)}).index == 0);
  }
  CHECK(choose(rule, {saying("y", unset), saying("x", -infinity)}).index == 1);
  const RegularizedBest broken{[](std::string_view, std::string_view) { return infinity; },
                               {.mbr = 1}};
  CHECK_THROWS_AS(choose(broken, {saying("x", 1)}), tilt::Error);
}

namespace {

constexpr RegularizedBestOptions all_terms = {.mbr = 2.5, .length = 3, .kl = 0.8};
constexpr std::array<std::size_t, 4> lengths = {4, 1, 3, 2};

Candidate row_candidate(std::size_t row) {
  Candidate candidate = table::candidate(row);
  candidate.response.tokens.assign(lengths[row], static_cast<tilt::Token>(row));
  const double each = std::log(table::rows[row].probability) / static_cast<double>(lengths[row]);
  candidate.response.raw_log_probs.assign(lengths[row], each);
  candidate.response.log_probs.assign(lengths[row], 0.0);  // another law's
  return candidate;
}

enum class Fault { none, no_self, sum, per_token, length_sign, kl_sign };

std::size_t by_hand(std::span<const std::size_t> picks, Fault fault) {
  std::size_t best = 0;
  double most = -infinity;
  const auto n = static_cast<double>(picks.size());
  for (std::size_t i = 0; i < picks.size(); ++i) {
    const std::size_t row = picks[i];
    double same = 0;
    for (std::size_t j = 0; j < picks.size(); ++j) {
      if (fault == Fault::no_self && i == j) continue;
      if (picks[j] == row) ++same;
    }
    const auto length = static_cast<double>(lengths[row]);
    const double log_p = std::log(table::rows[row].probability);
    const double score = table::rows[row].reward +
                         all_terms.mbr * (fault == Fault::sum ? same : same / n) -
                         (fault == Fault::length_sign ? -1 : 1) * all_terms.length / length +
                         (fault == Fault::kl_sign ? -1 : 1) * all_terms.kl *
                             (fault == Fault::per_token ? log_p / length : log_p);
    if (score > most + 1e-9) {
      best = i;
      most = score;
    }
  }
  return best;
}

}  // namespace

TEST_CASE("RegularizedBest: over all samples it decides as the formula by hand",
          "[selector][law]") {
  const RegularizedBest rule{tilt::exact_match, all_terms};
  Random random(1);
  std::map<Fault, double> disagreement;
  const auto faults = {Fault::none,      Fault::no_self,     Fault::sum,
                       Fault::per_token, Fault::length_sign, Fault::kl_sign};
  table::for_each_sample(4, [&](std::span<const std::size_t> picks, double probability) {
    Population population;
    for (const std::size_t row : picks) population.add(row_candidate(row), 0);
    const std::size_t index = rule(population, random).index;
    for (const Fault fault : faults) {
      if (picks[index] != picks[by_hand(picks, fault)]) disagreement[fault] += probability;
    }
  });
  law_table::expect_exact("regularised best of 4: the argmax of the formula", 256,
                          disagreement[Fault::none]);
  // With the same self-utility for all it is a constant: the choice must not change.
  law_table::expect_exact("regularised best of 4: a constant self-term does not matter", 256,
                          disagreement[Fault::no_self]);
  law_table::expect_exact_caught("regularised best with a sum of utilities", 256,
                                 disagreement[Fault::sum]);
  law_table::expect_exact_caught("regularised best with log p per token", 256,
                                 disagreement[Fault::per_token]);
  law_table::expect_exact_caught("regularised best with the length term's sign turned", 256,
                                 disagreement[Fault::length_sign]);
  law_table::expect_exact_caught("regularised best with the KL term's sign turned", 256,
                                 disagreement[Fault::kl_sign]);
}

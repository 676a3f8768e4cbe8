#include "tilt/selector/minimum_bayes_risk.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/table.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/testing/check_selector.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Candidate;
using tilt::Decision;
using tilt::MinimumBayesRisk;
using tilt::Population;
using tilt::Random;
using tilt::Response;

namespace {

Candidate saying(const char* text, double weight = 1, double reward = 0) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

template <class Rule>
Decision choose(const Rule& rule, std::vector<Candidate> candidates) {
  Random random(1);
  return rule(Population(std::move(candidates)), random);
}

}  // namespace

TEST_CASE("MinimumBayesRisk: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(MinimumBayesRisk{}) == none);
  CHECK(tilt::testing::check_selector(MinimumBayesRisk{tilt::exact_match}) == none);
}

TEST_CASE("MinimumBayesRisk: the candidate that agrees best with all", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<MinimumBayesRisk<>>);
  STATIC_REQUIRE(!MinimumBayesRisk<>::needs_reward);
  STATIC_REQUIRE(!MinimumBayesRisk<>::needs_states);
  // Rewards are not looked at.
  const Decision decision = choose(MinimumBayesRisk{tilt::token_f1},
                                   {saying("a dog ran", 1, 9), saying("the cat ran"),
                                    saying("the cat sat", 1, tilt::unset), saying("the cat lay")});
  CHECK(decision.index == 1);
  CHECK(decision.answer == "the cat ran");
  CHECK_THAT(decision.share, WithinAbs((1.0 / 3 + 1 + 2.0 / 3 + 2.0 / 3) / 4, 1e-15));
}

TEST_CASE("MinimumBayesRisk: exact match is a majority vote over texts", "[selector]") {
  const MinimumBayesRisk rule{tilt::exact_match};
  const std::vector<Candidate> candidates = {saying("x"), saying("y"), saying("z", 0.5),
                                             saying("y"), saying("z", 1.25)};
  const Decision decision = choose(rule, candidates);
  CHECK(decision.index == 1);
  CHECK_THAT(decision.share, WithinAbs(2 / 4.75, 1e-15));
  CHECK(choose(rule, candidates).answer == choose(tilt::MajorityVote{}, candidates).answer);
}

TEST_CASE("MinimumBayesRisk: ties go to the earliest", "[selector]") {
  const MinimumBayesRisk rule{tilt::token_f1};
  CHECK(choose(rule, {saying("a"), saying("b"), saying("c")}).index == 0);
  CHECK(choose(rule, {saying("z"), saying("a b"), saying("b a"), saying("a b")}).index == 1);
  // Equal on paper: a weight of 3, and three of weight 1.
  const MinimumBayesRisk tenth{
      [](std::string_view a, std::string_view b) { return a == b ? 0.1 : 0.0; }};
  CHECK(choose(tenth, {saying("x"), saying("y", 3), saying("x"), saying("x")}).index == 0);
  CHECK(choose(tenth, {saying("y", 3), saying("x"), saying("x"), saying("x")}).index == 0);
}

TEST_CASE("MinimumBayesRisk: weights are references and the self-term counts", "[selector]") {
  const MinimumBayesRisk rule{tilt::exact_match};
  CHECK(choose(rule, {saying("x"), saying("y", 2)}).index == 1);
  CHECK(choose(rule, {saying("x", 0), saying("x", 0), saying("y")}).index == 2);
  CHECK(choose(rule, {saying("y", 0), saying("x", 0), saying("x", 0)}).index == 1);
  // Without the self-term "b" would win: it is nearer to the heavy one than that is to the others.
  CHECK(choose(MinimumBayesRisk{tilt::token_f1}, {saying("c"), saying("b x"), saying("x", 3)})
            .index == 2);
}

TEST_CASE("MinimumBayesRisk: the first argument is the hypothesis", "[selector]") {
  const auto recall = [](const Response& y, const Response& reference) {
    return y.text.find(reference.text) != std::string::npos ? 1.0 : 0.0;
  };
  CHECK(choose(MinimumBayesRisk{recall}, {saying("a"), saying("b"), saying("abc")}).index == 2);
  const auto precision = [recall](const Response& y, const Response& reference) {
    return recall(reference, y);
  };
  CHECK(choose(MinimumBayesRisk{precision}, {saying("abc"), saying("b"), saying("ab")}).index == 1);
}

TEST_CASE("MinimumBayesRisk: edge cases", "[selector]") {
  const Decision none = choose(MinimumBayesRisk{}, {});
  CHECK(none.index == tilt::npos);
  CHECK(none.share == 0);
  CHECK(none.answer.empty());
  const Decision one = choose(MinimumBayesRisk{}, {saying("only")});
  CHECK(one.index == 0);
  CHECK(one.answer == "only");
  CHECK(one.share == 1);
  // Utilities of other scales: the share stays a share.
  const MinimumBayesRisk distance{[](std::string_view a, std::string_view b) {
    return -std::abs(static_cast<double>(a.size()) - static_cast<double>(b.size()));
  }};
  const Decision middle = choose(distance, {saying("a"), saying("aaaa"), saying("aa")});
  CHECK(middle.index == 2);
  CHECK(middle.share == 0);
}

TEST_CASE("MinimumBayesRisk: a utility that is not finite fails the run", "[selector]") {
  const MinimumBayesRisk broken{[](std::string_view, std::string_view) { return tilt::unset; }};
  CHECK_THROWS_AS(choose(broken, {saying("a"), saying("b")}), tilt::Error);
  const tilt::Decoder decoder{tilt::TextPolicy{[](std::string_view) { return std::string("x"); }},
                              tilt::no_reward, tilt::BestOfN{{.n = 3}}, broken};
  const std::vector<tilt::Result> results = decoder.batch({tilt::Prompt("p")});
  CHECK(results[0].stop == tilt::Stop::failed);
  REQUIRE(results[0].failures.size() == 1);
  CHECK(results[0].failures[0].what.find("the utility of candidate 0 with candidate 0") !=
        std::string::npos);
  CHECK(results[0].candidates.size() == 3);
}

namespace {

// Not symmetric, and with another self-term for each text.
double worth(std::string_view y, std::string_view reference) {
  static const std::map<std::string, double, std::less<>> values = {
      {"aa", 0.8}, {"ab", 0.4}, {"ac", 0.1}, {"ad", 0.3}, {"ba", 0.5}, {"bb", 0.9},
      {"bc", 0.3}, {"bd", 0.0}, {"ca", 0.2}, {"cb", 0.6}, {"cc", 0.6}, {"cd", 0.9},
      {"da", 0.7}, {"db", 0.1}, {"dc", 0.5}, {"dd", 0.2}};
  return values.at(std::string(y) + std::string(reference));
}

enum class Fault { none, no_self, by_reward, transposed, weights_ignored, late_ties };

// The argmax written down as one would by hand; the weight of a candidate is given by its place.
std::size_t by_hand(std::span<const std::size_t> picks, std::span<const double> weights,
                    Fault fault) {
  std::size_t best = 0;
  double most = -1e9;
  for (std::size_t i = 0; i < picks.size(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < picks.size(); ++j) {
      if (fault == Fault::no_self && i == j) continue;
      const table::Row& y = table::rows[picks[i]];
      const table::Row& reference = table::rows[picks[j]];
      const double u = fault == Fault::transposed ? worth(reference.text, y.text)
                                                  : worth(y.text, reference.text);
      const double w = fault == Fault::by_reward         ? reference.reward
                       : fault == Fault::weights_ignored ? 1
                                                         : weights[j];
      sum += w * u;
    }
    // Sums that are equal on paper.
    if (fault == Fault::late_ties ? sum >= most - 1e-9 : sum > most + 1e-9) {
      best = i;
      most = sum;
    }
  }
  return best;
}

}  // namespace

TEST_CASE("MinimumBayesRisk: over all samples it decides as sums by hand", "[selector][law]") {
  const MinimumBayesRisk rule{worth};
  const std::vector<double> weights = {1, 2, 0.5, 1, 3};
  Random random(1);
  std::map<Fault, double> disagreement;
  table::for_each_sample(5, [&](std::span<const std::size_t> picks, double probability) {
    Population population;
    for (std::size_t i = 0; i < picks.size(); ++i) {
      population.add(table::candidate(picks[i], weights[i]), 0);
    }
    const std::size_t index = rule(population, random).index;
    for (const Fault fault : {Fault::none, Fault::no_self, Fault::by_reward, Fault::transposed,
                              Fault::weights_ignored, Fault::late_ties}) {
      if (index != by_hand(picks, weights, fault)) disagreement[fault] += probability;
    }
  });
  law_table::expect_exact("MBR of 5 draws with weights: the argmax of the sums", 1024,
                          disagreement[Fault::none]);
  law_table::expect_exact_caught("MBR without the self-term", 1024, disagreement[Fault::no_self]);
  law_table::expect_exact_caught("MBR with raw rewards as weights", 1024,
                                 disagreement[Fault::by_reward]);
  law_table::expect_exact_caught("MBR with hypothesis and reference exchanged", 1024,
                                 disagreement[Fault::transposed]);
  law_table::expect_exact_caught("MBR that ignores weights", 1024,
                                 disagreement[Fault::weights_ignored]);
  law_table::expect_exact_caught("MBR whose ties go to the latest", 1024,
                                 disagreement[Fault::late_ties]);
}

namespace {

// The law over the table's rows of the choice among n draws from the base law.
std::vector<double> law_of(std::size_t n, Fault fault) {
  std::vector<double> law(table::rows.size());
  const std::vector<double> ones(n, 1);
  table::for_each_sample(n, [&](std::span<const std::size_t> picks, double probability) {
    law[picks[by_hand(picks, ones, fault)]] += probability;
  });
  return law;
}

}  // namespace

TEST_CASE("MinimumBayesRisk: over n draws from the base law it has the law of MBR decoding",
          "[selector][law]") {
  const std::size_t n = 4;
  tilt::testing::LawCheck check(law_of(n, Fault::none)), other(law_of(n, Fault::transposed)),
      rewarded(law_of(n, Fault::by_reward));
  const MinimumBayesRisk rule{worth};
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed, 11);
    std::vector<std::size_t> picks;
    for (std::size_t i = 0; i < n; ++i) picks.push_back(table::draw(random));
    const std::size_t row = picks[rule(table::population(picks), random).index];
    check.count(row);
    other.count(row);
    rewarded.count(row);
  }
  law_table::expect_law("MBR over 4 draws from the base law", check);
  law_table::expect_caught("MBR with hypothesis and reference exchanged (4 draws)", other);
  law_table::expect_caught("MBR with raw rewards as weights (4 draws)", rewarded);
}

TEST_CASE("MinimumBayesRisk: a state of weight w is w states", "[selector]") {
  const MinimumBayesRisk rule{worth};
  Random random(3);
  for (int trial = 0; trial < 200; ++trial) {
    Population weighted, repeated;
    std::vector<std::size_t> first_of;  // in `repeated`
    for (int i = 0; i < 4; ++i) {
      const std::size_t row = table::draw(random);
      const std::uint64_t weight = 1 + random.below(3);
      weighted.add(table::candidate(row, static_cast<double>(weight)), 0);
      first_of.push_back(repeated.size());
      for (std::uint64_t k = 0; k < weight; ++k) repeated.add(table::candidate(row), 0);
    }
    const Decision a = rule(weighted, random), b = rule(repeated, random);
    CHECK(a.answer == b.answer);
    CHECK_THAT(a.share, WithinAbs(b.share, 1e-14));
  }
}

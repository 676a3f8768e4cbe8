#include "tilt/selector/borda_vote.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/table.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/testing/check_selector.hpp"

using Catch::Matchers::WithinAbs;
using tilt::BordaVote;
using tilt::Candidate;
using tilt::Decision;
using tilt::infinity;
using tilt::Population;
using tilt::Random;
using tilt::unset;

namespace {

Candidate saying(const char* text, double reward = 0, double weight = 1) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

Decision choose(const auto& vote, std::vector<Candidate> candidates) {
  Random random(1);
  return vote(Population(std::move(candidates)), random);
}

Decision count(double power, std::vector<Candidate> candidates) {
  return choose(BordaVote{tilt::last_number, {.power = power}}, std::move(candidates));
}

}  // namespace

TEST_CASE("BordaVote: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(BordaVote{}) == none);
  for (const double power : {0.0, 0.5, 3.0, infinity}) {
    CHECK(tilt::testing::check_selector(BordaVote{tilt::last_number, {.power = power}}) == none);
  }
}

TEST_CASE("BordaVote: options", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<BordaVote<>>);
  STATIC_REQUIRE(BordaVote<>::needs_reward);
  STATIC_REQUIRE(!BordaVote<>::needs_states);
  CHECK(BordaVote{}.options().power == 0.5);
  CHECK(BordaVote{tilt::last_number, {.power = infinity}}.options().power == infinity);
  for (const double power : {-1.0, -infinity, unset}) {
    CHECK_THROWS_AS((BordaVote{tilt::last_number, {.power = power}}), tilt::InvalidOption);
  }
  CHECK_THROWS_WITH((BordaVote{tilt::last_number, {.power = -1}}),
                    "BordaVoteOptions.power is -1; it must be a number >= 0, or infinity");
}

TEST_CASE("BordaVote: rank r of N has N - r + 1 to the power votes", "[selector]") {
  const std::vector<Candidate> candidates = {saying("1", 0.1), saying("2", 0.9), saying("1", 0.2),
                                             saying("1", 0.3), saying("3", 0.8)};
  // Ranks from the best: 2, 3, 1, 1, 1 with 5, 4, 3, 2, 1 votes.
  for (const double power : {0.0, 0.5, 1.0, 1.2, 2.0, 7.0}) {
    const auto votes = [&](double k) { return std::pow(k, power); };
    const double ones = votes(3) + votes(2) + votes(1), all = ones + votes(4) + votes(5);
    const Decision decision = count(power, candidates);
    const bool ones_win = ones > votes(5);
    CAPTURE(power);
    CHECK(decision.answer == (ones_win ? "1" : "2"));
    CHECK(decision.index == (ones_win ? 3u : 1u));
    CHECK_THAT(decision.share, WithinAbs((ones_win ? ones : votes(5)) / all, 1e-14));
  }
}

TEST_CASE("BordaVote: sizes of rewards do not matter", "[selector]") {
  Random random(9);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<Candidate> plain, stretched;
    for (int i = 0; i < 7; ++i) {
      const double reward = random.uniform();
      const char* text = random.below(2) == 0 ? "1" : "2";
      plain.push_back(saying(text, reward));
      stretched.push_back(saying(text, std::exp(500 * reward) - 1e4));
    }
    const Decision a = count(1.3, plain), b = count(1.3, stretched);
    CHECK(a.index == b.index);
    CHECK(a.share == b.share);
  }
}

TEST_CASE("BordaVote: power 0 is the majority and infinity the highest reward", "[selector]") {
  Random random(4);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<Candidate> candidates;
    for (std::uint64_t i = random.below(8); i > 0; --i) {
      candidates.push_back(saying(random.below(3) == 0 ? "1" : "2",
                                  static_cast<double>(random.below(5)),
                                  static_cast<double>(random.below(4))));
    }
    const Decision majority = choose(tilt::MajorityVote{tilt::last_number}, candidates);
    const Decision none = count(0, candidates);
    CHECK(none.index == majority.index);
    CHECK(none.answer == majority.answer);
    CHECK_THAT(none.share, WithinAbs(majority.share, 1e-14));
    for (const double power : {1e6, 1e308, infinity}) {
      const Decision all = count(power, candidates);
      CHECK(all.index == choose(tilt::HighestReward{}, candidates).index);
      if (!candidates.empty()) CHECK_THAT(all.share, WithinAbs(1, 1e-12));
    }
  }
}

TEST_CASE("BordaVote: equal sums tie for the answer given first", "[selector]") {
  // 4 + 1 = 3 + 2, and 3 = 1 + 2 as square roots of 9, 1 and 4.
  CHECK(count(1, {saying("1", 4), saying("2", 3), saying("2", 2), saying("1", 1)}).answer == "1");
  CHECK(count(1, {saying("2", 3), saying("1", 4), saying("1", 1), saying("2", 2)}).answer == "2");
  CHECK(count(1, {saying("1", 1), saying("2", 2), saying("2", 1), saying("1", 2)}).answer == "1");
  // Every way to share ten ranks between two answers, counted in whole numbers.
  std::size_t ties = 0;
  for (unsigned first = 0; first < 1024; ++first) {
    std::vector<Candidate> candidates;
    unsigned votes = 0;
    for (unsigned rank = 0; rank < 10; ++rank) {
      const bool is_first = ((first >> rank) & 1u) != 0;
      candidates.push_back(saying(is_first ? "1" : "2", rank));
      if (is_first) votes += rank + 1;
    }
    const std::string given_first = candidates.front().response.text;
    const std::string expected = 2 * votes > 55 ? "1" : 2 * votes < 55 ? "2" : given_first;
    CHECK(count(1, candidates).answer == expected);
    candidates.pop_back();  // of nine ranks the sum is odd; of eight it may be shared equally
    candidates.pop_back();
    votes -= (first >> 9 & 1u) * 10 + (first >> 8 & 1u) * 9;
    ties += 2 * votes == 36;
    CHECK(count(1, candidates).answer == (2 * votes > 36   ? "1"
                                          : 2 * votes < 36 ? "2"
                                                           : given_first));
  }
  CHECK(ties > 50);
}

TEST_CASE("BordaVote: equal rewards are ranked by their order", "[selector]") {
  const Decision decision = count(2, {saying("1", 5), saying("2", 5), saying("3", 5)});
  CHECK(decision.answer == "1");
  CHECK_THAT(decision.share, WithinAbs(9.0 / 14, 1e-15));
}

TEST_CASE("BordaVote: what has no answer takes no rank", "[selector]") {
  const std::vector<Candidate> voters = {saying("1", 5), saying("2", 4), saying("2", 3)};
  std::vector<Candidate> with_silent = voters;
  with_silent.insert(with_silent.begin() + 1, saying("none", 4.5));
  with_silent.push_back(saying("none", -9));
  const Decision a = count(1.5, voters), b = count(1.5, with_silent);
  CHECK(a.answer == b.answer);
  CHECK(a.share == b.share);
  for (const Decision& none : {count(1, {saying("none"), saying("")}), count(1, {})}) {
    CHECK(none.index == tilt::npos);
    CHECK(none.share == 0);
    CHECK(none.answer.empty());
  }
  const Decision one = count(1, {saying("7", unset)});
  CHECK(one.index == 0);
  CHECK(one.answer == "7");
  CHECK(one.share == 1);
}

TEST_CASE("BordaVote: unscored candidates rank last", "[selector]") {
  const Decision decision =
      count(1, {saying("1", unset), saying("2", -infinity), saying("3", -1e300)});
  CHECK(decision.answer == "3");
  CHECK_THAT(decision.share, WithinAbs(3.0 / 6, 1e-15));
  // They vote all the same, and by their order when none is scored.
  CHECK(count(0, {saying("1", unset), saying("1", unset), saying("2", 3)}).answer == "1");
  CHECK(count(1, {saying("1", unset), saying("2", unset)}).answer == "1");
  CHECK(count(infinity, {saying("1", unset), saying("2", -infinity)}).answer == "2");
}

TEST_CASE("BordaVote: a candidate of weight w votes as w equal states", "[selector]") {
  Random random(8);
  for (int trial = 0; trial < 300; ++trial) {
    const double power = 2.5 * random.uniform();
    std::vector<Candidate> weighted, repeated;
    for (int i = 0; i < 5; ++i) {
      const std::string text = std::to_string(random.below(3));
      const auto reward = static_cast<double>(random.below(6));
      const std::uint64_t weight = 1 + random.below(4);
      weighted.push_back(saying(text.c_str(), reward, static_cast<double>(weight)));
      for (std::uint64_t k = 0; k < weight; ++k) {
        repeated.push_back(saying(text.c_str(), reward));
      }
    }
    const Decision a = count(power, weighted), b = count(power, repeated);
    CHECK(a.answer == b.answer);
    CHECK_THAT(a.share, WithinAbs(b.share, 1e-13));
  }
  // A part of a state in part: heights 2.5 to 1.5 take half of 3 and half of 2.
  CHECK_THAT(count(1, {saying("1", 1), saying("2", 0, 1.5)}).share,
             WithinAbs(2.5 / (2.5 + 1 + 0.5 * 2), 1e-15));
}

TEST_CASE("BordaVote: many states in one candidate", "[selector]") {
  // The sum of k^p over k = 1 .. n and n+1 .. 3n, by hand.
  const double power = GENERATE(0.0, 0.5, 1.0, 2.0, 40.0);
  const std::size_t n = 20000;
  double low = 0, high = 0;
  for (std::size_t k = 1; k <= 3 * n; ++k) {
    (k <= n ? low : high) += std::pow(static_cast<double>(k) / (3.0 * n), power);
  }
  const Decision decision = count(power, {saying("1", 1, n), saying("2", 2, 2 * n)});
  CHECK(decision.answer == "2");
  CHECK_THAT(decision.share, WithinAbs(high / (low + high), 1e-6));
  // Weights beyond what can be counted.
  CHECK(count(power, {saying("1", 1, 1e300), saying("2", 2, 1e300)}).answer ==
        (power == 0 ? "1" : "2"));
}

TEST_CASE("BordaVote: the index is the best member and not the first", "[selector]") {
  const std::vector<Candidate> candidates = {saying("1", 1), saying("2", 2), saying("1", 3),
                                             saying("1", 3)};
  const Decision decision = count(0.5, candidates);
  CHECK(decision.answer == "1");
  CHECK(decision.index == 2);
  // The planted fault, the authors' choice: the first member of the winning answer.
  std::size_t first = 0;
  while (candidates[first].response.text != decision.answer) ++first;
  CHECK(first != decision.index);
}

TEST_CASE("BordaVote: without an extractor whole responses are grouped", "[selector]") {
  const Decision decision =
      choose(BordaVote{}, {saying("x 1", 3), saying("y 1", 2), saying("y 1", 1)});
  CHECK(decision.answer == "y 1");
  CHECK(decision.index == 1);
}

namespace {

std::optional<std::string> answer_of(std::string_view text) {
  if (text == "b") return std::nullopt;
  return std::string(text == "d" ? "a" : text);
}

enum class Fault { none, ranks_before_dropping, ascending, no_power, first_member, off_by_one };

struct Chosen {
  std::string answer;
  std::size_t index = tilt::npos;
};

// A Borda vote as one would count it by hand.
Chosen by_hand(std::span<const std::size_t> picks, double power, Fault fault) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < picks.size(); ++i) {
    const bool has_answer = answer_of(table::rows[picks[i]].text).has_value();
    if (has_answer || fault == Fault::ranks_before_dropping) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    const double a = table::rows[picks[i]].reward, b = table::rows[picks[j]].reward;
    return fault == Fault::ascending ? a < b : a > b;
  });
  std::map<std::string, double> votes;
  for (std::size_t r = 0; r < order.size(); ++r) {
    const std::optional<std::string> answer = answer_of(table::rows[picks[order[r]]].text);
    if (!answer) continue;
    const auto height =
        static_cast<double>(order.size() - r - (fault == Fault::off_by_one ? 1 : 0));
    votes[*answer] += fault == Fault::no_power ? height : std::pow(height, power);
  }
  Chosen best;
  double most = -1;
  for (std::size_t i = 0; i < picks.size(); ++i) {  // in the order of the votes, for ties
    const std::optional<std::string> answer = answer_of(table::rows[picks[i]].text);
    if (!answer) continue;
    if (votes[*answer] > most + 1e-9) {
      best = {*answer, i};
      most = votes[*answer];
    } else if (*answer == best.answer && fault != Fault::first_member &&
               table::rows[picks[i]].reward > table::rows[picks[best.index]].reward) {
      best.index = i;
    }
  }
  return best;
}

}  // namespace

TEST_CASE("BordaVote: over all samples it decides as a count by hand", "[selector][law]") {
  const double power = 1.7;
  const BordaVote vote{answer_of, {.power = power}};
  Random random(1);
  std::map<Fault, double> disagreement;
  const auto faults = {Fault::none,     Fault::ranks_before_dropping, Fault::ascending,
                       Fault::no_power, Fault::first_member,          Fault::off_by_one};
  table::for_each_sample(6, [&](std::span<const std::size_t> picks, double probability) {
    const Decision decision = vote(table::population(picks), random);
    for (const Fault fault : faults) {
      const Chosen chosen = by_hand(picks, power, fault);
      if (decision.answer != chosen.answer || decision.index != chosen.index) {
        disagreement[fault] += probability;
      }
    }
  });
  law_table::expect_exact("Borda vote of 6: answer and index of a count by hand", 4096,
                          disagreement[Fault::none]);
  law_table::expect_exact_caught("Borda that ranks before it drops what has no answer", 4096,
                                 disagreement[Fault::ranks_before_dropping]);
  law_table::expect_exact_caught("Borda with the worst first", 4096,
                                 disagreement[Fault::ascending]);
  law_table::expect_exact_caught("Borda of power 1 always", 4096, disagreement[Fault::no_power]);
  law_table::expect_exact_caught("Borda that returns the answer's first member", 4096,
                                 disagreement[Fault::first_member]);
  law_table::expect_exact_caught("Borda with N - r votes", 4096, disagreement[Fault::off_by_one]);
}

TEST_CASE("BordaVote: over n draws from the base law it has the law of a Borda vote",
          "[selector][law]") {
  const std::size_t n = 5;
  const double power = 1.7;
  // Outcomes: a, c, none.
  const auto outcome = [](const std::string& answer) {
    return answer.empty() ? 2u : answer == "a" ? 0u : 1u;
  };
  const auto law_of = [&](Fault fault, double p) {
    std::vector<double> law(3);
    table::for_each_sample(n, [&](std::span<const std::size_t> picks, double probability) {
      law[outcome(by_hand(picks, p, fault).answer)] += probability;
    });
    return law;
  };
  tilt::testing::LawCheck check(law_of(Fault::none, power)), up(law_of(Fault::ascending, power)),
      plain(law_of(Fault::none, 0));
  const BordaVote vote{answer_of, {.power = power}};
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed, 13);
    std::vector<std::size_t> picks;
    for (std::size_t i = 0; i < n; ++i) picks.push_back(table::draw(random));
    const std::size_t chosen = outcome(vote(table::population(picks), random).answer);
    check.count(chosen);
    up.count(chosen);
    plain.count(chosen);
  }
  law_table::expect_law("Borda vote over 5 draws from the base law", check);
  law_table::expect_caught("Borda with the worst first (5 draws)", up);
  law_table::expect_caught("Borda that forgets its power (5 draws)", plain);
}

#include "tilt/selector/majority_vote.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/table.hpp"
#include "tilt/testing/check_selector.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Candidate;
using tilt::Decision;
using tilt::MajorityVote;
using tilt::Population;
using tilt::Random;
using tilt::Response;

namespace {

Candidate saying(const char* text, double reward = 0, double weight = 1) {
  Candidate candidate{.reward = reward, .weight = weight};
  candidate.response.text = text;
  return candidate;
}

template <class Vote>
Decision choose(const Vote& vote, std::vector<Candidate> candidates) {
  Random random(1);
  return vote(Population(std::move(candidates)), random);
}

}  // namespace

TEST_CASE("MajorityVote: keeps the semantics of selectors", "[selector]") {
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_selector(MajorityVote{}) == none);
  CHECK(tilt::testing::check_selector(MajorityVote{tilt::last_number}) == none);
}

TEST_CASE("MajorityVote: the answer that most give, and its best member", "[selector]") {
  STATIC_REQUIRE(tilt::Selector<MajorityVote<>>);
  STATIC_REQUIRE(!MajorityVote<>::needs_reward);
  STATIC_REQUIRE(!MajorityVote<>::needs_states);
  const MajorityVote vote{tilt::last_number};
  const Decision decision =
      choose(vote, {saying("so 1,000", 1), saying("it is 7", 9), saying("$1000.0", 2)});
  CHECK(decision.answer == "1000");
  CHECK(decision.index == 2);
  CHECK_THAT(decision.share, WithinAbs(2.0 / 3, 1e-15));
}

TEST_CASE("MajorityVote: weights are votes", "[selector]") {
  const MajorityVote vote{tilt::last_number};
  const Decision decision =
      choose(vote, {saying("1", 0, 3), saying("2"), saying("2"), saying("2", 0, 0.5)});
  CHECK(decision.answer == "1");
  CHECK_THAT(decision.share, WithinAbs(3 / 5.5, 1e-15));
  CHECK(choose(vote, {saying("1", 0, 0), saying("1", 0, 0), saying("2")}).answer == "2");
  CHECK(choose(vote, {saying("2", 0, 0), saying("1", 0, 0), saying("1", 0, 0)}).answer == "1");
}

TEST_CASE("MajorityVote: ties go to the answer whose first member is earliest", "[selector]") {
  const MajorityVote vote{tilt::last_number};
  CHECK(choose(vote, {saying("2"), saying("1"), saying("1"), saying("2")}).answer == "2");
  CHECK(choose(vote, {saying("x"), saying("1"), saying("2"), saying("2"), saying("1")}).answer ==
        "1");
  // Rewards do not vote.
  CHECK(choose(vote, {saying("2", 0), saying("1", 5)}).answer == "2");
}

TEST_CASE("MajorityVote: what has no answer does not vote", "[selector]") {
  const MajorityVote vote{tilt::last_number};
  const Decision decision =
      choose(vote, {saying("none"), saying("none"), saying("none"), saying("1")});
  CHECK(decision.answer == "1");
  CHECK(decision.index == 3);
  CHECK(decision.share == 1);
  for (const Decision& none : {choose(vote, {saying("none"), saying("")}), choose(vote, {})}) {
    CHECK(none.index == tilt::npos);
    CHECK(none.share == 0);
    CHECK(none.answer.empty());
  }
}

TEST_CASE("MajorityVote: without rewards the index is the earliest member", "[selector]") {
  const MajorityVote vote{tilt::last_number};
  CHECK(choose(vote, {saying("2"), saying("1", tilt::unset), saying("1", tilt::unset)}).index == 1);
  CHECK(choose(vote, {saying("2"), saying("1", 0), saying("1", 0)}).index == 1);
}

TEST_CASE("MajorityVote: without an extractor whole responses are grouped", "[selector]") {
  const MajorityVote vote{};
  const Decision by_text = choose(vote, {saying("x 1"), saying("y 1"), saying("y 1")});
  CHECK(by_text.answer == "y 1");
  CHECK(by_text.index == 1);

  Candidate ended = saying("same"), cut = saying("same"), other = saying("other");
  ended.response.tokens = {1, 2, 0};
  cut.response.tokens = {1, 2};
  other.response.tokens = {3};
  const Decision by_tokens = choose(vote, {ended, cut, other, other});
  CHECK(by_tokens.answer == "other");
  CHECK(by_tokens.share == 0.5);
  CHECK(choose(vote, {}).index == tilt::npos);
}

TEST_CASE("MajorityVote: extractors of users", "[selector]") {
  const MajorityVote by_length{[](const Response& response) -> std::optional<std::string> {
    return std::to_string(response.text.size());
  }};
  CHECK(choose(by_length, {saying("a"), saying("bb"), saying("cc")}).answer == "2");
  const MajorityVote by_text{[](std::string_view text) { return std::string(text.substr(0, 1)); }};
  CHECK(choose(by_text, {saying("b1"), saying("a1"), saying("a2")}).answer == "a");
}

namespace {

// Counts votes as one would by hand. Row "b" of the table has no answer; "d" answers as "a" does.
const std::map<std::string, std::string> answers = {{"a", "A"}, {"c", "C"}, {"d", "A"}};

std::optional<std::string> answer_of(std::string_view text) {
  const auto found = answers.find(std::string(text));
  return found == answers.end() ? std::nullopt : std::optional(found->second);
}

enum class Fault { none, no_answer_votes, late_ties, each_row_once };

std::string by_hand(std::span<const std::size_t> picks, Fault fault = Fault::none) {
  std::vector<std::pair<std::string, int>> counts;
  std::vector<std::size_t> seen;
  for (const std::size_t row : picks) {
    if (fault == Fault::each_row_once && std::count(seen.begin(), seen.end(), row) > 0) continue;
    seen.push_back(row);
    std::optional<std::string> answer = answer_of(table::rows[row].text);
    if (!answer && fault == Fault::no_answer_votes) answer = "";
    if (!answer) continue;
    auto place = counts.begin();
    while (place != counts.end() && place->first != *answer) ++place;
    if (place == counts.end()) place = counts.insert(place, {*answer, 0});
    ++place->second;
  }
  std::pair<std::string, int> best = {"", 0};
  for (const auto& count : counts) {
    const bool more = count.second > best.second;
    if (more || (fault == Fault::late_ties && count.second == best.second)) best = count;
  }
  return best.first;
}

}  // namespace

TEST_CASE("MajorityVote: over all samples it decides as a count by hand", "[selector][law]") {
  const MajorityVote vote{answer_of};
  Random random(1);
  for (const std::size_t n : {1u, 2u, 5u}) {
    std::map<std::string, double> law, by_count;
    std::map<Fault, double> disagreement;
    table::for_each_sample(n, [&](std::span<const std::size_t> picks, double probability) {
      const std::string answer = vote(table::population(picks), random).answer;
      law[answer] += probability;
      by_count[by_hand(picks)] += probability;
      for (const Fault fault :
           {Fault::none, Fault::no_answer_votes, Fault::late_ties, Fault::each_row_once}) {
        if (answer != by_hand(picks, fault)) disagreement[fault] += probability;
      }
    });
    CHECK(disagreement[Fault::none] == 0);
    for (const auto& [answer, p] : law) CHECK_THAT(p, WithinAbs(by_count[answer], 1e-15));
    if (n == 5) {  // planted faults
      CHECK(disagreement[Fault::no_answer_votes] > 0.1);
      CHECK(disagreement[Fault::late_ties] > 0.1);
      CHECK(disagreement[Fault::each_row_once] > 0.1);
    }
  }
}

// Samples of equal composition have equal probability, so that the winning answer's law is also a sum
// over multinomial counts.
TEST_CASE("MajorityVote: the winner's law is the multinomial's", "[selector][law]") {
  const double none = table::rows[1].probability, c = table::rows[2].probability;
  const double a = table::rows[0].probability + table::rows[3].probability;
  const MajorityVote vote{answer_of};
  Random random(1);
  double wins_a = 0, wins_c = 0;
  table::for_each_sample(4, [&](std::span<const std::size_t> picks, double probability) {
    const std::string answer = vote(table::population(picks), random).answer;
    if (answer == "A") wins_a += probability;
    if (answer == "C") wins_c += probability;
  });
  const auto choose_n = [](int n, int k) {
    return std::tgamma(n + 1) / (std::tgamma(k + 1) * std::tgamma(n - k + 1));
  };
  double expected_a = 0, expected_c = 0;
  for (int i = 0; i <= 4; ++i) {
    for (int j = 0; i + j <= 4; ++j) {
      const double p = choose_n(4, i) * choose_n(4 - i, j) * std::pow(a, i) * std::pow(c, j) *
                       std::pow(none, 4 - i - j);
      if (i + j == 0) continue;
      // A tie goes to whose vote came first: by symmetry each with probability one half.
      expected_a += i > j ? p : i == j ? p / 2 : 0;
      expected_c += j > i ? p : i == j ? p / 2 : 0;
    }
  }
  CHECK_THAT(wins_a, WithinAbs(expected_a, 1e-14));
  CHECK_THAT(wins_c, WithinAbs(expected_c, 1e-14));
}

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/selector/concept.hpp"
#include "tilt/testing/violations.hpp"

namespace tilt::testing {

/// How to check a selector.
struct SelectorCheck {
  std::size_t seeds = 20;  ///< random streams for each population
  /// Populations of the user's own beside the built-in ones, such as with answers that the selector
  /// knows how to extract.
  std::vector<Population> populations = {};
};

/// Checks a selector against the semantics of the concept; made by `check_selector`.
template <Selector S>
class SelectorChecker {
 public:
  SelectorChecker(const S& selector, SelectorCheck options)
      : selector_(selector), options_(std::move(options)) {
    require_at_least_one("SelectorCheck.seeds", options_.seeds);
  }

  std::vector<std::string> run() {
    check_empty();
    std::vector<Population> populations = built_in();
    for (Population& population : options_.populations) {
      populations.push_back(std::move(population));
    }
    for (std::size_t i = 0; i < populations.size(); ++i) {
      for (std::uint64_t seed = 0; seed < options_.seeds; ++seed) check(populations[i], seed);
    }
    return std::move(violations_).sentences();
  }

 private:
  static Candidate candidate(std::string text, double reward, double weight) {
    Candidate result;
    result.response.tokens = {static_cast<Token>(text.size()), 1};
    result.response.text = std::move(text);
    result.reward = result.raw_reward = reward;
    result.weight = weight;
    return result;
  }

  // Texts are numbers, so that rules that extract answers find some.
  static std::vector<Population> built_in() {
    const auto lanes = [](std::vector<std::vector<Candidate>> all) {
      Population population;
      std::uint32_t lane = 0;
      for (std::vector<Candidate>& candidates : all) {
        for (Candidate& c : candidates) population.add(std::move(c), lane);
        ++lane;
      }
      return population;
    };
    return {lanes({{candidate("7", 0.5, 1)}}),
            lanes({{candidate("7", 0.5, 0)}}),
            lanes({{candidate("1", 1, 1), candidate("2", 1, 1), candidate("1", 1, 1)}}),
            lanes({{candidate("1", 9, 0), candidate("2", 1, 1), candidate("3", 2, 3),
                    candidate("3", 8, 0), candidate("2", 0, 0.5)}}),
            lanes({{candidate("1", 9, 0), candidate("2", 1, 0), candidate("3", 2, 0)}}),
            lanes({{candidate("1", -infinity, 1), candidate("2", -infinity, 1)}}),
            lanes({{candidate("1", -infinity, 1), candidate("2", -3, 2), candidate("1", 700, 1)}}),
            lanes({{candidate("4", 1, 0), candidate("4", 2, 2)},
                   {},
                   {candidate("5", 3, 1), candidate("4", 0, 0)},
                   {candidate("6", 5, 0)}}),
            lanes({{candidate("", 1, 1), candidate("no number", 2, 1)}})};
  }

  static std::string show(const Population& population) {
    std::string text;
    for (const Candidate& c : population) {
      text += (text.empty() ? "" : ", ") + std::string("\"") + c.response.text + "\" (reward " +
              to_text(c.reward) + ", weight " + to_text(c.weight) + ", lane " +
              std::to_string(c.lane) + ')';
    }
    return '[' + text + ']';
  }
  static std::string show(const Decision& decision) {
    return "index " + (decision.index == npos ? "npos" : std::to_string(decision.index)) +
           ", answer \"" + decision.answer + "\", share " + to_text(decision.share);
  }
  static bool same(const Decision& a, const Decision& b) {
    return a.index == b.index && a.answer == b.answer && a.share == b.share;
  }
  static bool same(const Population& a, const Population& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!(a[i].response == b[i].response && a[i].weight == b[i].weight && a[i].id == b[i].id &&
            reward_equal(a[i].reward, b[i].reward))) {
        return false;
      }
    }
    return true;
  }
  static bool reward_equal(double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));
  }

  // The decision, or one of nothing if the selector threw.
  bool decide(const Population& population, std::uint64_t seed, Decision& decision) {
    Random random(seed, 0x73656c);
    try {
      decision = selector_(population, random);
      return true;
    } catch (...) {
      violations_.add(
          "a selector decides on every population of scored candidates",
          show(population) + ": it threw \"" + message_of(std::current_exception()) + '"');
      return false;
    }
  }

  void check_empty() {
    const Population none;
    Decision decision;
    if (!decide(none, 1, decision)) return;
    violations_.require(decision.index == npos && decision.share == 0,
                        "of an empty population nothing is chosen: index npos, share 0",
                        show(decision));
  }

  void check(const Population& population, std::uint64_t seed) {
    const Population before = population;
    Decision decision;
    if (!decide(population, seed, decision)) return;
    const std::string where = show(population) + " gave " + show(decision);
    violations_.require(same(before, population), "a selector does not change the population",
                        show(before) + " became " + show(population));
    violations_.require(decision.share >= 0 && decision.share <= 1 + 1e-12,
                        "the share is from 0 to 1", where);
    Decision again;
    if (decide(population, seed, again)) {
      violations_.require(same(decision, again),
                          "the same population and stream give the same decision",
                          where + ", then " + show(again));
    }
    if (decision.index == npos) {
      violations_.require(decision.share == 0, "where nothing is chosen the share is 0", where);
      return;
    }
    if (decision.index >= population.size()) {
      violations_.add("the index is a position in the population, or npos", where);
      return;
    }
    Population counted;  // without the candidates of weight 0
    for (const Candidate& c : population) {
      if (c.weight > 0) counted.add(c, c.lane);
    }
    if (counted.empty()) return;
    violations_.require(population[decision.index].weight > 0,
                        "a candidate of weight 0 is not chosen while another has a weight", where);
    Decision without;
    if (!decide(counted, seed, without)) return;
    const bool alike = without.index < counted.size() &&
                       counted[without.index].response == population[decision.index].response &&
                       without.answer == decision.answer &&
                       std::abs(without.share - decision.share) <= 1e-12;
    violations_.require(alike, "candidates of weight 0 play no part while another has a weight",
                        where + ", without them " + show(without));
  }

  const S& selector_;
  SelectorCheck options_;
  Violations violations_ = {};
};

/// Checks a selector against what the concept promises, on small populations with ties, weights of 0,
/// several lanes and rewards of -infinity:
/// - of an empty population nothing is chosen, and the share is 0;
/// - the index is in range or npos, the share from 0 to 1;
/// - candidates of weight 0 play no part, unless all weights are 0;
/// - the same population and random stream give the same decision; the population is not changed.
///
/// @returns one sentence per rule that is broken; none if all is well
/// @throws InvalidOption for options out of range
template <Selector S>
[[nodiscard]] std::vector<std::string> check_selector(const S& selector,
                                                      SelectorCheck options = {}) {
  return SelectorChecker<S>(selector, std::move(options)).run();
}

}  // namespace tilt::testing

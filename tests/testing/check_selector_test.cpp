#include "tilt/testing/check_selector.hpp"

#include <stdexcept>
#include <string>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/last_state.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/selector/soft_best.hpp"
#include "tilt/selector/weighted_majority_vote.hpp"

using namespace tilt;
using namespace tilt::testing;

namespace {

template <class S>
std::string found(const S& selector) {
  std::string text;
  for (const std::string& sentence : check_selector(selector)) text += sentence + '\n';
  return text;
}

template <class S>
void check_caught(const S& selector, const std::string& rule) {
  const std::string text = found(selector);
  INFO("wanted: " << rule << "\nfound:\n" << text);
  CHECK(text.find(rule) != std::string::npos);
}

Decision chosen(const Population& population, std::size_t index, double share = 1) {
  return {.index = index, .answer = population[index].response.text, .share = share};
}

}  // namespace

TEST_CASE("the library's selectors pass") {
  CHECK(found(archetype::Selector(0)) == "");
  CHECK(found(HighestReward{}) == "");
  CHECK(found(LastState{}) == "");
  CHECK(found(MajorityVote{}) == "");
  CHECK(found(MajorityVote{last_number}) == "");
  CHECK(found(WeightedMajorityVote{last_number}) == "");
  CHECK(found(SoftBest{}) == "");
  CHECK(found(SoftBest{{.lambda = 0.1}}) == "");
}

TEST_CASE("a selector that chooses of nothing is found") {
  check_caught([](const Population&, Random&) { return Decision{}; },
               "of an empty population nothing is chosen");
  check_caught(
      [](const Population& population, Random&) -> Decision {
        if (population.empty()) throw std::logic_error("empty");
        return chosen(population, 0);
      },
      "a selector decides on every population of scored candidates: []: it threw \"empty\"");
}

TEST_CASE("an index or a share out of range is found") {
  check_caught(
      [](const Population& population, Random&) {
        return Decision{.index = population.empty() ? npos : population.size(), .share = 0};
      },
      "the index is a position in the population, or npos");
  check_caught(
      [](const Population& population, Random& random) {
        Decision decision = archetype::Selector(0)(population, random);
        decision.share = static_cast<double>(population.size());
        return decision;
      },
      "the share is from 0 to 1");
  check_caught([](const Population& population,
                  Random&) { return Decision{.share = population.empty() ? 0.0 : 1.0}; },
               "where nothing is chosen the share is 0");
}

TEST_CASE("a selector that heeds candidates of weight 0 is found") {
  check_caught(
      [](const Population& population, Random&) {  // the highest reward of all
        if (population.empty()) return Decision{.share = 0};
        std::size_t best = 0;
        for (std::size_t i = 0; i < population.size(); ++i) {
          if (population[i].reward > population[best].reward) best = i;
        }
        return chosen(population, best);
      },
      "a candidate of weight 0 is not chosen while another has a weight");
  check_caught(
      [](const Population& population,
         Random& random) {  // a share of the number, not of the weight
        Decision decision = archetype::Selector(0)(population, random);
        if (!population.empty()) decision.share = 1.0 / static_cast<double>(population.size());
        return decision;
      },
      "candidates of weight 0 play no part while another has a weight");
  check_caught(
      [](const Population& population, Random& random) {  // draws until it hits one that counts
        if (population.empty()) return Decision{.share = 0};
        if (!(population.total_weight() > 0)) return chosen(population, 0);
        std::size_t index = 0;
        do {
          index = static_cast<std::size_t>(random.below(population.size()));
        } while (!(population[index].weight > 0));
        return chosen(population, index);
      },
      "candidates of weight 0 play no part while another has a weight");
}

TEST_CASE("a selector with a memory, or with random numbers of its own, is found") {
  check_caught(
      [calls = std::make_shared<std::size_t>(0)](const Population& population, Random&) {
        if (population.empty()) return Decision{.share = 0};
        std::size_t index = (*calls)++ % population.size();
        while (!(population[index].weight > 0) && population.total_weight() > 0) {
          index = (index + 1) % population.size();
        }
        return chosen(population, index);
      },
      "the same population and stream give the same decision");
}

TEST_CASE("a selector that changes the population is found") {
  check_caught(
      [](const Population& population, Random& random) {
        const Decision decision = archetype::Selector(0)(population, random);
        if (!population.empty()) {
          const_cast<Population&>(population).add_weight(population[0].id, 1);
        }
        return decision;
      },
      "a selector does not change the population");
}

TEST_CASE("the user's own populations are checked too") {
  const auto picky = [](const Population& population, Random& random) {
    for (const Candidate& candidate : population) {
      if (candidate.response.text == "special") throw std::runtime_error("unforeseen");
    }
    return archetype::Selector(0)(population, random);
  };
  CHECK(check_selector(picky).empty());
  SelectorCheck options;
  options.populations.push_back(Population({{.response = {.text = "special"}, .reward = 1}}));
  CHECK(check_selector(picky, options).size() == 1);
  CHECK_THROWS_AS(check_selector(picky, {.seeds = 0}), InvalidOption);
}

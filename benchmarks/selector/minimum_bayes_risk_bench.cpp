#include "tilt/selector/minimum_bayes_risk.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tilt/policy/concept.hpp"

#include "support/compare.hpp"
#include "support/model.hpp"

namespace {

constexpr std::size_t max_tokens = 256;

tilt::Population drawn(std::size_t n) {
  bench::Model model;
  tilt::Population population;
  for (std::size_t i = 0; i < n; ++i) {
    tilt::Candidate candidate;
    model.draw(candidate.response, max_tokens);
    population.add(std::move(candidate), 0);
  }
  return population;
}

// The overlap F1 of every pair, each response sorted once, and the largest weighted sum.
std::size_t by_hand(const tilt::Population& population) {
  const std::size_t n = population.size();
  std::vector<std::vector<tilt::Token>> bags;
  std::vector<double> weights;
  for (const tilt::Candidate& candidate : population) {
    bags.push_back(candidate.response.tokens);
    std::sort(bags.back().begin(), bags.back().end());
    weights.push_back(candidate.weight);
  }
  std::size_t best = 0;
  double most = -1;
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const std::vector<tilt::Token>&a = bags[i], &b = bags[j];
      std::size_t common = 0;
      for (std::size_t x = 0, y = 0; x < a.size() && y < b.size();) {
        if (a[x] < b[y]) {
          ++x;
        } else if (b[y] < a[x]) {
          ++y;
        } else {
          ++common, ++x, ++y;
        }
      }
      sum +=
          weights[j] * 2 * static_cast<double>(common) / static_cast<double>(a.size() + b.size());
    }
    if (sum > most + 1e-9) {
      best = i;
      most = sum;
    }
  }
  return best;
}

// The choice among n candidates by token F1: n^2 utilities.
void minimum_bayes_risk(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const tilt::Population population = drawn(n);
  const tilt::MinimumBayesRisk rule{tilt::token_f1};
  bench::compare(
      state, static_cast<double>(n),
      [&] {
        tilt::Random random(1);
        return rule(population, random).index;
      },
      [&] { return by_hand(population); });
}

// The same with a utility that costs nothing: what is left is the walk over pairs and the sums.
void free_utility(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const tilt::Population population = drawn(n);
  const auto closeness = [](const tilt::Response& a, const tilt::Response& b) {
    return 1 / (1 + std::abs(static_cast<double>(a.size()) - static_cast<double>(b.size())));
  };
  const tilt::MinimumBayesRisk rule{closeness};
  bench::compare(
      state, static_cast<double>(n),
      [&] {
        tilt::Random random(1);
        return rule(population, random).index;
      },
      [&] {
        std::size_t best = 0;
        double most = -1;
        for (std::size_t i = 0; i < n; ++i) {
          double sum = 0;
          const tilt::Response& y = population[i].response;
          for (std::size_t j = 0; j < n; ++j) {
            sum += population[j].weight * closeness(y, population[j].response);
          }
          if (sum > most + 1e-9) {
            best = i;
            most = sum;
          }
        }
        return best;
      });
}

}  // namespace

BENCHMARK(minimum_bayes_risk)
    ->ArgNames({"n"})
    ->Args({16})
    ->Args({64})
    ->Args({256})
    ->UseManualTime();
BENCHMARK(free_utility)->ArgNames({"n"})->Args({16})->Args({256})->UseManualTime();

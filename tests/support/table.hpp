#pragma once

// A base law over four responses that is small enough to go through every possible sample of n draws.

#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "tilt/core/population.hpp"
#include "tilt/core/random.hpp"

namespace table {

struct Row {
  const char* text;
  double probability;
  double reward;
};
inline constexpr std::array<Row, 4> rows = {
    {{"a", 0.4, 0.5}, {"b", 0.3, -1.0}, {"c", 0.2, 1.5}, {"d", 0.1, 2.25}}};

/// A candidate that is row `row`.
inline tilt::Candidate candidate(std::size_t row, double weight = 1) {
  tilt::Candidate made{
      .reward = rows[row].reward, .raw_reward = rows[row].reward, .weight = weight};
  made.response.text = rows[row].text;
  return made;
}

/// A population of one candidate per pick.
inline tilt::Population population(std::span<const std::size_t> picks) {
  tilt::Population made;
  for (const std::size_t row : picks) made.add(candidate(row), 0);
  return made;
}

/// Calls `visit(picks, probability)` for every sample of n independent draws.
inline void for_each_sample(
    std::size_t n, const std::function<void(std::span<const std::size_t>, double)>& visit) {
  std::vector<std::size_t> picks(n, 0);
  for (;;) {
    double probability = 1;
    for (const std::size_t row : picks) probability *= rows[row].probability;
    visit(picks, probability);
    std::size_t i = 0;
    while (i < n && ++picks[i] == rows.size()) picks[i++] = 0;
    if (i == n) return;
  }
}

/// A draw from the base law.
inline std::size_t draw(tilt::Random& random) {
  std::array<double, rows.size()> log_probs;
  for (std::size_t i = 0; i < rows.size(); ++i) log_probs[i] = std::log(rows[i].probability);
  return random.categorical(log_probs);
}

/// The law p(y) exp(r(y)/beta) / Z.
inline std::vector<double> tilted(double beta) {
  std::vector<double> law;
  double z = 0;
  for (const Row& row : rows) {
    law.push_back(row.probability * std::exp(row.reward / beta));
    z += law.back();
  }
  for (double& p : law) p /= z;
  return law;
}

}  // namespace table

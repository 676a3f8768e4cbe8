#pragma once

// The laws that methods claim, computed from their formulas over enumerated responses. Nothing here
// calls a sampler.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <vector>

#include "support/toy.hpp"
#include "tilt/core/token.hpp"
#include "tilt/testing/enumerate.hpp"

/// The toy model with rewards that are multiples of 1/2, so that sums are exact and many responses
/// tie: (number of b) - (number of tokens) / 2 + [ended by itself] / 2.
namespace tied_toy {

inline double reward_of(tilt::TokenSpan tokens) {
  const bool ended = !tokens.empty() && tokens.back() == toy::end;
  return static_cast<double>(toy::count_of(toy::b, tokens)) -
         0.5 * static_cast<double>(tokens.size()) + (ended ? 0.5 : 0.0);
}
inline auto reward() {
  return tilt::RewardFunction(
      [](const tilt::Prompt&, const tilt::Response& y) { return reward_of(y.tokens); });
}
inline std::vector<double> rewards_of(const tilt::testing::ResponseLaw& law) {
  return law.evaluate([](const tilt::Response& y) { return reward_of(y.tokens); });
}

}  // namespace tied_toy

namespace exact {

/// The outcomes grouped by the value of a key, in ascending order.
inline std::map<double, std::vector<std::size_t>> classes_of(const std::vector<double>& keys) {
  std::map<double, std::vector<std::size_t>> classes;
  for (std::size_t i = 0; i < keys.size(); ++i) classes[keys[i]].push_back(i);
  return classes;
}

inline double mass_of(const std::vector<double>& p, const std::vector<std::size_t>& outcomes) {
  double mass = 0;
  for (const std::size_t i : outcomes) mass += p[i];
  return mass;
}

/// The best of n independent draws, ties to the earliest: a value of the reward has probability
/// F^n - F(-)^n; within it the earliest draw is as likely as in p.
inline std::vector<double> best_of_n(const std::vector<double>& p,
                                     const std::vector<double>& rewards, std::size_t n) {
  std::vector<double> law(p.size());
  double below = 0;
  for (const auto& [value, outcomes] : classes_of(rewards)) {
    const double mass = mass_of(p, outcomes), upto = below + mass;
    const auto power = static_cast<double>(n);
    for (const std::size_t i : outcomes) {
      law[i] = (std::pow(upto, power) - std::pow(below, power)) * p[i] / mass;
    }
    below = upto;
  }
  return law;
}

/// Rejection with probabilities of acceptance and a cap.
struct Capped {
  std::vector<double> law;
  double candidates = 0;  ///< expected number
  double cap_rate = 0;    ///< probability that the cap ends the search
};

/// Candidates from q, candidate j accepted with probability a_j; after K rejections candidate K+1
/// ends the search without a test, and the highest reward of all is taken, earliest on ties:
/// P(j) = q_j a_j (1 - B^K)/A + G_j^K F_j - G_{j-1}^K F_{j-1}. Outcomes of one reward are one j,
/// and share a mass in the proportion of q; they must have the same a.
/// @param K  npos: no cap
inline Capped capped_rejection(const std::vector<double>& q, const std::vector<double>& rewards,
                               const std::vector<double>& accept, std::size_t K) {
  const double A = std::inner_product(q.begin(), q.end(), accept.begin(), 0.0);
  const double BK = K == tilt::npos ? 0 : std::pow(1 - A, static_cast<double>(K));
  Capped result;
  result.law.resize(q.size());
  result.candidates = (A > 0 ? (1 - BK) / A : static_cast<double>(K)) + BK;
  result.cap_rate = BK;
  double rejected = 0, any = 0, before = 0;  // G, F and G^K F up to the value before
  for (const auto& [value, outcomes] : classes_of(rewards)) {
    const double mass = mass_of(q, outcomes);
    for (const std::size_t i : outcomes) rejected += q[i] * (1 - accept[i]);
    any += mass;
    const double upto = K == tilt::npos ? 0 : std::pow(rejected, static_cast<double>(K)) * any;
    for (const std::size_t i : outcomes) {
      if (q[i] == 0) continue;
      result.law[i] = (A > 0 ? q[i] * accept[i] * (1 - BK) / A : 0) + (upto - before) * q[i] / mass;
    }
    before = upto;
  }
  return result;
}

/// One of n independent draws, chosen in proportion to its weight; computed over all tuples.
inline std::vector<double> resampled(const std::vector<double>& p,
                                     const std::vector<double>& weights, std::size_t n) {
  std::vector<double> law(p.size());
  std::vector<std::size_t> tuple;
  const auto visit = [&](const auto& self, double probability, double total) -> void {
    if (tuple.size() == n) {
      for (const std::size_t i : tuple) law[i] += probability * weights[i] / total;
      return;
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
      tuple.push_back(i);
      self(self, probability * p[i], total + weights[i]);
      tuple.pop_back();
    }
  };
  visit(visit, 1, 0);
  return law;
}

/// exp((min(r, ceiling) - ceiling) / beta) of each reward.
inline std::vector<double> acceptances(const std::vector<double>& rewards, double ceiling,
                                       double beta) {
  std::vector<double> accept;
  for (const double r : rewards)
    accept.push_back(std::exp((std::min(r, ceiling) - ceiling) / beta));
  return accept;
}

/// A law whose `keep` likeliest outcomes stand for themselves and all others for one: so that a law
/// over thousands of outcomes can be compared sharply with few draws.
class Coarse {
 public:
  Coarse(const std::vector<double>& law, std::size_t keep) : place_(law.size(), 0) {
    std::vector<std::size_t> order(law.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return law[a] > law[b]; });
    probabilities_.assign(std::min(keep, law.size()) + 1, 0.0);
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
      place_[order[rank]] = rank < keep ? rank + 1 : 0;
      probabilities_[place_[order[rank]]] += law[order[rank]];
    }
  }
  [[nodiscard]] const std::vector<double>& probabilities() const { return probabilities_; }
  /// The coarse outcome; npos stays npos.
  [[nodiscard]] std::size_t operator()(std::size_t outcome) const {
    return outcome == tilt::npos ? tilt::npos : place_[outcome];
  }

 private:
  std::vector<std::size_t> place_;
  std::vector<double> probabilities_ = {};
};

}  // namespace exact

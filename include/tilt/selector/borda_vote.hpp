#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/selector/vote.hpp"

namespace tilt {

struct BordaVoteOptions {
  double power = 0.5;  ///< >= 0, infinity allowed: how much more the better ranks count
};

/// The answer with the most votes, where a candidate of rank r by reward, the best first, has
/// (N - r + 1)^power of them; N is the number of votes. Over the reward `SelfCertainty` it is the Borda
/// vote over self-certainty; over another reward it is Borda over that.
///
///     BordaVote{last_boxed, {.power = 0.5}}
///
/// Law: a function of the population and of the order of its rewards alone, not of their sizes: it
/// needs no temperature, and any increasing transform of the reward gives the same decision. Power 0 is
/// `MajorityVote`, power infinity the answer of the highest reward, power 1 Borda's own count.
///
/// Ranks are given among the candidates with an answer: one without has no part at all. Equal rewards
/// are ranked by their order in the population; -infinity is below every number, an unscored candidate
/// (NaN) below that. They vote with their rank all the same: `WeightedMajorityVote` leaves them out.
///
/// A candidate of weight w stands for w equal states with ranks that follow each other, N being the
/// sum of the weights: a chain that stays in a state decides as if it had emitted it again. A part of a
/// state counts in part. Weights that count no states, such as those that sum to 1, blur the ranks.
///
/// Ties, to a relative 1e-11, go to the answer whose first member is earliest. The index is the answer's
/// member of highest reward, earliest on ties. The share is of all votes. If there is no vote, the index
/// is npos, the answer empty and the share 0.
///
/// Cost: one extraction per candidate, a sort, and one power per state (beyond 4096 states of one
/// candidate the rest is an integral, to a relative 1e-5). No random number.
/// @throws InvalidOption when the power is negative or NaN
///
/// Source: Kang et al. 2025, self-certainty (2502.18581), default 0.5; 1.2 is reported for N = 64. The
/// authors' code ranks candidates without an answer too before it leaves them out, and returns the
/// first member of the winning answer in place of the best one.
template <class Extract = WholeResponse>
class BordaVote {
 public:
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = false;

  explicit BordaVote(Extract extract = {}, BordaVoteOptions options = {})
      : extract_(std::move(extract)), options_(options) {
    static_assert(AnswerExtractor<Extract>,
                  "tilt::BordaVote needs a const function std::optional<std::string>(const "
                  "tilt::Response&) or std::optional<std::string>(std::string_view)");
    require_option(options_.power >= 0, "BordaVoteOptions.power", options_.power,
                   "a number >= 0, or infinity");
  }

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const Ballots ballots(population, extract_);
    return with_text<Extract>(population, ballots.decide(log_votes_of(ballots.voters())));
  }

  [[nodiscard]] const BordaVoteOptions& options() const noexcept { return options_; }

 private:
  // log of each voter's votes; those of the best state are 0.
  [[nodiscard]] std::vector<double> log_votes_of(std::span<const Eligible> voters) const {
    std::vector<std::size_t> ranking(voters.size());
    std::iota(ranking.begin(), ranking.end(), std::size_t{0});
    std::stable_sort(ranking.begin(), ranking.end(), [&](std::size_t a, std::size_t b) {
      return better_reward(voters[a].candidate->reward, voters[b].candidate->reward);
    });
    double states = 0;
    for (const Eligible& voter : voters) states += voter.weight;
    const double log_best = std::log(std::ceil(states));
    std::vector<double> log_votes(voters.size(), -infinity);
    if (std::isinf(options_.power)) {
      if (!ranking.empty()) log_votes[ranking.front()] = 0;
      return log_votes;
    }
    double top = states;  // states of this rank and below
    for (const std::size_t i : ranking) {
      const double bottom = std::max(top - voters[i].weight, 0.0);
      log_votes[i] = log_sum(bottom, top, log_best);
      top = bottom;
    }
    return log_votes;
  }

  // log of the sum of k^power over the states k = 1 .. N that lie between two heights, a state being
  // the interval from k-1 to k, less power * log_best.
  [[nodiscard]] double log_sum(double bottom, double top, double log_best) const {
    const double power = options_.power;
    const double first = std::ceil(top), log_first = std::log(first);
    const auto relative = [&](double log_height) { return power * (log_height - log_first); };
    double sum = 0, k = first;
    for (int i = 0; i < 4096 && k > bottom; ++i, --k) {
      const double part = std::min(top, k) - std::max(bottom, k - 1);
      sum += part * std::exp(relative(std::log(k)));
    }
    if (k > bottom) {  // the integral of (t + 1/2)^power from the bottom to k
      const double high = std::log(k + 0.5), low = std::log(bottom + 0.5);
      sum += std::exp(relative(high)) * (k + 0.5) / (power + 1) *
             -std::expm1((power + 1) * (low - high));
    }
    return std::log(sum) - relative(log_best);
  }

  Extract extract_;
  BordaVoteOptions options_;
};

}  // namespace tilt

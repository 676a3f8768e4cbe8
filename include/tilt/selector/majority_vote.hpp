#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "tilt/selector/vote.hpp"

namespace tilt {

/// The answer that most candidates give.
///
///     MajorityVote{last_number}; MajorityVote{[](std::string_view text) { ... }}; MajorityVote{}
///
/// The vote of an answer is the sum of the weights of the candidates that give it: over the states of a
/// chain each state counts once, repeats included. Without an extractor whole responses are grouped
/// (`WholeResponse`).
///
/// Law: over n draws from a law q it returns the answer of the largest multinomial count, which tends
/// to the most probable answer under q: the base law's over `BestOfN`, the tilted law's over `QAlign`
/// or `Cards`.
///
/// Candidates without an answer are dropped; if there is no other, the index is npos, the answer empty
/// and the share 0. Ties go to the answer whose first member is earliest. The index is the answer's
/// member of highest reward, earliest on ties; unscored members (NaN) come last, so that without
/// rewards it is the earliest. The share is of the weight that voted.
///
/// Cost: one extraction per candidate and a sort; no random number.
///
/// Source: Wang et al. 2022, self-consistency (2203.11171), where what has no answer votes too.
template <class Extract = WholeResponse>
class MajorityVote {
 public:
  static constexpr bool needs_reward = false;
  static constexpr bool needs_states = false;

  explicit MajorityVote(Extract extract = {}) : extract_(std::move(extract)) {
    static_assert(AnswerExtractor<Extract>,
                  "tilt::MajorityVote needs a const function std::optional<std::string>(const "
                  "tilt::Response&) or std::optional<std::string>(std::string_view)");
  }

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const Ballots ballots(population, extract_);
    std::vector<double> log_weights;
    for (const Eligible& voter : ballots.voters()) log_weights.push_back(std::log(voter.weight));
    return with_text<Extract>(population, ballots.decide(log_weights));
  }

 private:
  Extract extract_;
};

}  // namespace tilt

#pragma once

#include <utility>

#include "tilt/core/check.hpp"
#include "tilt/core/stats.hpp"
#include "tilt/selector/vote.hpp"
#include "tilt/stats/ess.hpp"

namespace tilt {

struct WeightedMajorityVoteOptions {
  double beta = 1;  ///< > 0, in units of reward: smaller trusts the reward more
};

/// The answer with the largest weight, each candidate voting with w exp((r - max r)/beta), w its weight
/// and r its reward.
///
///     WeightedMajorityVote{last_number, {.beta = 0.5}}
///
/// Law: over draws from the base law p the votes are self-normalised importance weights of the tilted
/// law p(y) exp(r(y)/beta) / Z: the answer tends to the most probable one under the tilted law. How
/// many draws carry the vote is in the stats, `vote_ess`; near 1 it is best-of-n in disguise.
/// **Over a population that is tilted already (`QAlign`, `Cards`, `Rejection`) this tilts twice**:
/// there `MajorityVote` is the vote of the tilted law.
///
/// beta to infinity is `MajorityVote`; beta to 0 the answer of the highest reward.
///
/// Ties, candidates without an answer, index and share as with `MajorityVote`; the maximum is over the
/// candidates that have an answer. A reward of -infinity votes with weight 0 while a larger one votes,
/// else with its candidate's weight (-infinity minus -infinity counts as 0). An unscored candidate
/// (NaN) does not vote while a scored one does; if none is scored the vote is by weight alone.
///
/// Cost: one extraction per candidate and a sort; no random number.
/// @throws InvalidOption unless beta is finite and positive
///
/// Source: the weighted vote that QAlign is compared with (2504.03790). Its code normalises without
/// subtracting the largest reward first, so that large rewards overflow, and counts "no answer" as an
/// answer.
template <class Extract = WholeResponse>
class WeightedMajorityVote {
 public:
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = false;

  explicit WeightedMajorityVote(Extract extract = {}, WeightedMajorityVoteOptions options = {})
      : extract_(std::move(extract)), options_(options) {
    static_assert(AnswerExtractor<Extract>,
                  "tilt::WeightedMajorityVote needs a const function std::optional<std::string>("
                  "const tilt::Response&) or std::optional<std::string>(std::string_view)");
    require_positive("WeightedMajorityVoteOptions.beta", options_.beta);
  }

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const Ballots ballots(population, extract_);
    return with_text<Extract>(population,
                              ballots.decide(tilted_log_weights(ballots.voters(), options_.beta)));
  }

  /// `vote_ess`: the effective sample size of the votes' weights, candidates without an answer left
  /// out; 0 when there is no vote.
  [[nodiscard]] Stats stats(const Population& population) const {
    const Ballots ballots(population, extract_);
    return {
        {"vote_ess", effective_sample_size(tilted_log_weights(ballots.voters(), options_.beta))}};
  }

  [[nodiscard]] const WeightedMajorityVoteOptions& options() const noexcept { return options_; }

 private:
  Extract extract_;
  WeightedMajorityVoteOptions options_;
};

}  // namespace tilt

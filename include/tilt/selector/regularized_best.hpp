#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/selector/utility.hpp"

namespace tilt {

/// How much each term counts beside the reward. All finite, of either sign; 0 leaves a term out.
struct RegularizedBestOptions {
  double mbr = 0;     ///< reward per unit of expected utility; > 0 prefers what others agree with
  double length = 0;  ///< reward times tokens, over the length; > 0 marks short responses down
  double kl = 0;      ///< reward per nat of log p; > 0 prefers what the model finds likely
};

/// The candidate of the highest reward once its distance from the base law is paid for: regularised
/// best-of-n, against rewards that are right about typical responses only.
///
///     RegularizedBest{token_f1, {.mbr = 0.5}}; RegularizedBest{{.kl = 0.05, .length = 2}}
///
/// Law: given the population it returns argmax_i of
///
///     r_i + mbr * sum_j w_j u(y_i, y_j) / sum_j w_j - length / |y_i| + kl * log p(y_i)
///
/// - mbr: the mean utility over all candidates by weight, the candidate itself included, as in
///   `MinimumBayesRisk`; the first argument is y_i. Not divided by anything else.
/// - length: |y_i| is the number of tokens, the end token included, or of white-space separated words
///   where a candidate has text and no ids; at least 1. The term tends to 0 for long responses. A
///   negative option marks long ones down.
/// - kl: log p is the sum of `raw_log_probs`, the model's own law at temperature 1, nats, not divided by
///   the length. Averaged over the choices it is the part of the KL divergence to p that depends on p.
///
/// With all options 0 it is `HighestReward`, and the utility is never called.
///
/// Ties go to the earliest, mean utilities that differ by rounding alone being equal. A reward of
/// -infinity is chosen only when no candidate has a larger one, an unscored candidate (NaN) only when
/// none is scored, whatever the other terms are. Weights decide who may be chosen and the mean utility:
/// candidates of weight 0 count when there are no others. The share is 1.
///
/// Cost: linear in the number of candidates n; with mbr n^2 utilities. No random number.
/// @throws InvalidOption unless all options are finite
/// @throws Error from a call when kl is not 0 and a candidate has no log-probs, when a utility is NaN or
/// infinite (naming the pair): the decoder makes it a failed result
///
/// Source: Jinnai et al. 2024 (2404.01054), regularised best-of-n with an MBR or a KL term, and
/// stochastic regularised best-of-n (TMLR 2025) with a length term. There the KL term multiplies the
/// reward in one variant and the regulariser in another; here each option multiplies its term. Their
/// variant that draws in proportion to p exp(r) is left out: over draws from p it aims at p^2 exp(r), and
/// `SoftBest` is what it should be.
template <class U = TokenF1>
class RegularizedBest {
 public:
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = true;

  explicit RegularizedBest(U utility = {}, RegularizedBestOptions options = {})
      : utility_(std::move(utility)), options_(options) {
    static_assert(Utility<U>,
                  "tilt::RegularizedBest needs a const function double(const tilt::Response& "
                  "hypothesis, const tilt::Response& reference) or double(std::string_view, "
                  "std::string_view)");
    require_finite("RegularizedBestOptions.mbr", options_.mbr);
    require_finite("RegularizedBestOptions.length", options_.length);
    require_finite("RegularizedBestOptions.kl", options_.kl);
  }
  explicit RegularizedBest(RegularizedBestOptions options) : RegularizedBest(U{}, options) {}

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const std::vector<Eligible> candidates = eligible(population);
    if (candidates.empty()) return {.share = 0};
    ExpectedUtilities expected;
    if (options_.mbr != 0) expected = expected_utilities(utility_, candidates);
    const double rounding = std::abs(options_.mbr) * expected.rounding;
    const bool in_tokens = std::all_of(candidates.begin(), candidates.end(), [](const Eligible& e) {
      return !e.candidate->response.tokens.empty() || e.candidate->response.text.empty();
    });
    std::size_t best = 0;
    double most = unset;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      double score = candidates[i].candidate->reward;
      double terms = terms_of(candidates[i], in_tokens);
      if (options_.mbr != 0) terms += options_.mbr * expected.values[static_cast<Eigen::Index>(i)];
      if (std::isfinite(score)) score += terms;  // else it keeps its place below all others
      if (better_reward(score, most + rounding)) {
        best = i;
        most = score;
      }
    }
    return {.index = candidates[best].index, .answer = candidates[best].candidate->response.text};
  }

  [[nodiscard]] const RegularizedBestOptions& options() const noexcept { return options_; }

 private:
  // The terms of length and log p.
  [[nodiscard]] double terms_of(const Eligible& candidate, bool in_tokens) const {
    const Response& response = candidate.candidate->response;
    double terms = 0;
    if (options_.length != 0) {
      const std::size_t length = in_tokens ? response.size() : words_of(response.text).size();
      terms -= options_.length / static_cast<double>(std::max<std::size_t>(length, 1));
    }
    if (options_.kl != 0) terms += options_.kl * log_prob(candidate);
    return terms;
  }

  static double log_prob(const Eligible& candidate) {
    const Response& response = candidate.candidate->response;
    double sum = 0;
    for (const double term : response.raw_log_probs) sum += term;
    if (response.tokens.empty() || response.raw_log_probs.size() != response.size() ||
        !std::isfinite(sum)) {
      throw Error("RegularizedBestOptions.kl is not 0 and candidate " +
                  std::to_string(candidate.index) +
                  " has no finite raw_log_probs, one per token; use a policy with "
                  "capabilities.log_probs, or set kl to 0");
    }
    return sum;
  }

  U utility_;
  RegularizedBestOptions options_;
};

RegularizedBest(RegularizedBestOptions)->RegularizedBest<TokenF1>;

}  // namespace tilt

#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/selector/utility.hpp"

namespace tilt {

/// The candidate that agrees best with all candidates: minimum Bayes risk decoding.
///
///     MinimumBayesRisk{token_f1}; MinimumBayesRisk{[](std::string_view y, std::string_view ref) {...}}
///
/// Law: given the population it returns argmax_i sum_j w_j u(y_i, y_j), over all j, i itself included;
/// the first argument of the utility is the hypothesis y_i, the second the reference y_j. Over n draws
/// from a law q that sum estimates, up to a factor, the expected utility of y_i when the right answer
/// follows q: the base law over `BestOfN`, the tilted law over `QAlign`. With
/// `exact_match` it is a majority vote over texts.
///
/// Weights are those of the candidates, never rewards: rewards are not looked at. The self-term is
/// kept, as an average over draws from q has it. For utilities of the same u(y, y) it only matters where
/// weights differ.
///
/// Ties, to 1e-11 of the largest utility, go to the earliest. Candidates of weight 0 count, as
/// hypotheses and as references, when there are no others. Nothing is chosen of an empty population; a
/// single candidate is chosen. The share is the chosen candidate's expected utility,
/// sum_j w_j u_ij / sum_j w_j, clamped to 0..1: with `exact_match` the share of the vote, with `token_f1`
/// the mean overlap with the population; with a utility of another range it says little.
///
/// Cost: n^2 utilities for n candidates; memory of the order n. No random number.
/// @throws Error from a call, naming the pair, when a utility is NaN or infinite: the decoder makes it
/// a failed result; what the utility throws passes through
///
/// Source: as in 2406.00049 and 2310.01387. Codes differ in whether they keep the self-term; here it is
/// kept. Raw rewards as weights would make the choice depend on a constant that is added to the reward.
template <class U = TokenF1>
class MinimumBayesRisk {
 public:
  static constexpr bool needs_reward = false;
  static constexpr bool needs_states = false;

  explicit MinimumBayesRisk(U utility = {}) : utility_(std::move(utility)) {
    static_assert(Utility<U>,
                  "tilt::MinimumBayesRisk needs a const function double(const tilt::Response& "
                  "hypothesis, const tilt::Response& reference) or double(std::string_view, "
                  "std::string_view)");
  }

  [[nodiscard]] Decision operator()(const Population& population, Random&) const {
    const std::vector<Eligible> candidates = eligible(population);
    if (candidates.empty()) return {.share = 0};
    const auto [expected, rounding] = expected_utilities(utility_, candidates);
    const double most = expected.maxCoeff() - rounding;
    Eigen::Index best = 0;
    while (expected[best] < most) ++best;
    const Eligible& chosen = candidates[static_cast<std::size_t>(best)];
    return {.index = chosen.index,
            .answer = chosen.candidate->response.text,
            .share = std::clamp(expected[best], 0.0, 1.0)};
  }

 private:
  U utility_;
};

}  // namespace tilt

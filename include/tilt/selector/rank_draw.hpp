#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/stats.hpp"
#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/stats/quantile_tilt.hpp"

namespace tilt {

/// Draws a rank of the candidates by the shape of a density over reward quantiles.
///
///     RankDraw{QuantileTilt::from(transform::identity, 0.25)}
///
/// Law: of n candidates sorted by ascending reward it draws the j-th with probability p_j in proportion
/// to f((j-1)/(n-1)), f the density of the tilt; n = 1: that one. Over n independent draws from the base
/// law with distinct rewards the quantile of the result has the density
/// sum_j p_j Beta(u; j, n-j+1) exactly: the Bernstein polynomial of f of degree n-1, scaled to mass 1.
/// It tends to f as n grows and equals it where f is linear. The reward's scale plays no part, no
/// references are needed, and win rate and KL are known beforehand: `win_rate(n)`, `kl(n)`. With ties in
/// the reward the KL is an upper bound. Over a population that is tilted already (`QAlign`, `Cards`) it
/// tilts twice.
///
/// Ties in the reward are ranked by position, the earlier one lower. A reward of -infinity ranks below
/// every finite one, an unscored candidate (NaN) below that. Weights do not change the ranks or their
/// probabilities; they decide only who takes part: candidates of weight 0 do when there are no others.
/// The share is the probability that the candidate had.
/// Edge cases: an empty population gives index npos and share 0; where f is 0 at every rank, as for a
/// density that vanishes at both ends and n = 2, each is as likely.
///
/// Cost: n log n in the number of candidates, n values of the density; one random number.
/// @throws InvalidOption when f is not finite at 0 or at 1
///
/// Source: own; the densities of Balashankar et al. 2024 (2412.19792), used on ranks.
class RankDraw {
 public:
  static constexpr bool needs_reward = true;
  static constexpr bool needs_states = false;

  explicit RankDraw(QuantileTilt tilt) : tilt_(std::move(tilt)) {
    require_finite("RankDraw.tilt.density(0)", tilt_.density(0));
    require_finite("RankDraw.tilt.density(1)", tilt_.density(1));
  }

  [[nodiscard]] Decision operator()(const Population& population, Random& random) const {
    std::vector<Eligible> candidates = eligible(population);
    if (candidates.empty()) return {.share = 0};
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Eligible& a, const Eligible& b) {
                       return better_reward(b.candidate->reward, a.candidate->reward);
                     });
    const std::vector<double> probabilities = weights(candidates.size());
    std::vector<double> log_weights;
    log_weights.reserve(probabilities.size());
    for (const double p : probabilities) log_weights.push_back(std::log(p));
    const std::size_t j = random.categorical(log_weights);
    return {.index = candidates[j].index,
            .answer = candidates[j].candidate->response.text,
            .share = probabilities[j]};
  }

  /// p_1 .. p_n: the probabilities of the ranks of n candidates, by ascending reward.
  /// @throws InvalidOption when n is 0
  [[nodiscard]] std::vector<double> weights(std::size_t n) const {
    require_at_least_one("RankDraw.weights.n", n);
    if (n == 1) return {1};
    std::vector<double> p(n);
    double total = 0;
    for (std::size_t j = 0; j < n; ++j) {
      p[j] = tilt_.density(static_cast<double>(j) / static_cast<double>(n - 1));
      total += p[j];
    }
    if (total == 0) return std::vector<double>(n, 1 / static_cast<double>(n));
    for (double& value : p) value /= total;
    return p;
  }

  /// The probability that the result is better than a base draw, if the candidates are n independent
  /// base draws: sum_j j p_j / (n+1). Ties count 1/2.
  /// @throws InvalidOption when n is 0
  [[nodiscard]] double win_rate(std::size_t n) const {
    double sum = 0, rank = 0;
    for (const double p : weights(n)) sum += ++rank * p;
    return sum / static_cast<double>(n + 1);
  }
  /// The KL divergence to the base law, nats, if the candidates are n independent base draws of distinct
  /// rewards; at most log n - (n-1)/n. Cost: n times some thousand exponentials.
  /// @throws InvalidOption when n is 0
  [[nodiscard]] double kl(std::size_t n) const {
    return QuantileTilt::from_rank_weights(weights(n)).kl();
  }

  /// `rank_draw_win_rate` and `rank_draw_kl_upper_bound` for as many independent base draws as take
  /// part.
  [[nodiscard]] Stats stats(const Population& population) const {
    const std::size_t n = eligible(population).size();
    return {{"rank_draw_win_rate", n == 0 ? unset : win_rate(n)},
            {"rank_draw_kl_upper_bound", n == 0 ? unset : kl(n)}};
  }

  [[nodiscard]] const QuantileTilt& tilt() const noexcept { return tilt_; }

 private:
  QuantileTilt tilt_;
};

}  // namespace tilt

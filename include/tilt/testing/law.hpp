#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/testing/enumerate.hpp"

namespace tilt::testing {

/// How far, in L1 distance (twice the total variation), the frequencies of independent draws may be
/// from their law: a larger distance has a probability below alpha.
///
/// Source: Weissman, Ordentlich, Seroussi, Verdu and Weinberger, "Inequalities for the L1 deviation of
/// the empirical distribution", HP Labs 2003: sqrt(2 (k ln 2 - ln alpha) / N).
/// @param draws     N, at least 1
/// @param outcomes  k, how many have a positive probability
/// @param alpha     the probability of a false alarm, in (0, 1)
/// @throws InvalidOption when an argument is out of its range
[[nodiscard]] inline double l1_bound(std::size_t draws, std::size_t outcomes, double alpha = 1e-6) {
  require_at_least_one("l1_bound.draws", draws);
  require_at_least_one("l1_bound.outcomes", outcomes);
  require_option(alpha > 0 && alpha < 1, "l1_bound.alpha", alpha, "a number > 0 and < 1");
  return std::sqrt(2 * (static_cast<double>(outcomes) * std::log(2) - std::log(alpha)) /
                   static_cast<double>(draws));
}

/// Counts independent draws and compares them with the law that they should have.
///
///     LawCheck check{enumerate(policy, prompt, 4)};
///     for (...) check.count(draw);
///     if (!check.holds()) std::cerr << check.report();
///
/// It fails when the L1 distance exceeds `l1_bound`, and always when an outcome was drawn that has
/// probability 0 or is not in the law. The draws must be independent: the states of one chain are
/// not, the last states of many chains are.
///
/// What it can see: with N draws a wrong law passes only while its L1 distance to the right one is
/// below about twice the bound. Plant a bug once to see that N is large enough.
class LawCheck {
 public:
  /// @param probabilities  one per outcome, in any order; they sum to 1
  /// @param alpha          the probability of a false alarm
  /// @throws InvalidOption when they do not sum to 1 (within 1e-9), or one is negative or NaN
  explicit LawCheck(std::vector<double> probabilities, double alpha = 1e-6)
      : probabilities_(std::move(probabilities)), counts_(probabilities_.size()), alpha_(alpha) {
    for (const double p : probabilities_) {
      require_option(p >= 0, "LawCheck.probabilities", p, "numbers >= 0");
    }
    const double total = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
    require_option(std::abs(total - 1) <= 1e-9, "the sum of LawCheck.probabilities", total, "1");
  }

  /// Counts responses.
  explicit LawCheck(ResponseLaw law, double alpha = 1e-6) : LawCheck(law.probabilities(), alpha) {
    law_ = std::move(law);
  }

  /// Counts an outcome by its index; one that is out of range counts as outside the law.
  void count(std::size_t outcome, std::size_t times = 1) {
    draws_ += times;
    if (outcome < counts_.size()) {
      counts_[outcome] += times;
      if (probabilities_[outcome] == 0) outside_ += times;
    } else {
      outside_ += times;
      unknown_ += times;
    }
  }
  /// Counts a response of the law given to the constructor.
  void count(const Response& response, std::size_t times = 1) {
    const std::size_t outcome = law_.index_of(response);
    if (outcome == npos && stranger_.empty()) stranger_ = name(response);
    count(outcome, times);
  }

  [[nodiscard]] std::size_t draws() const noexcept { return draws_; }
  /// How often each outcome was drawn.
  [[nodiscard]] const std::vector<std::size_t>& counts() const noexcept { return counts_; }
  /// Draws of outcomes that have probability 0 or are not in the law.
  [[nodiscard]] std::size_t outside() const noexcept { return outside_; }
  /// The outcomes of positive probability.
  [[nodiscard]] std::size_t support() const {
    return static_cast<std::size_t>(std::count_if(probabilities_.begin(), probabilities_.end(),
                                                  [](double p) { return p > 0; }));
  }

  /// The L1 distance of the frequencies to the law, 0 to 2; NaN before the first draw.
  [[nodiscard]] double distance() const {
    if (draws_ == 0) return unset;
    double sum = static_cast<double>(unknown_) / static_cast<double>(draws_);
    for (std::size_t i = 0; i < counts_.size(); ++i) sum += std::abs(excess(i));
    return sum;
  }
  /// The largest distance that is still put down to chance; infinite before the first draw.
  [[nodiscard]] double bound() const {
    return draws_ == 0 ? infinity : l1_bound(draws_, support(), alpha_);
  }
  /// Whether the draws may come from the law. False before the first draw.
  [[nodiscard]] bool holds() const { return outside_ == 0 && distance() <= bound(); }

  /// One line with the verdict, and where it fails the outcomes that are farthest off.
  [[nodiscard]] std::string report() const {
    std::string text = holds() ? "the law holds: " : "the law does not hold: ";
    text += std::to_string(draws_) + " draws over " + std::to_string(support()) +
            " outcomes, L1 distance " + to_text(distance()) + ", bound " + to_text(bound());
    if (outside_ > 0) {
      text += ", " + std::to_string(outside_) + " draws outside the law";
      if (!stranger_.empty()) text += " (" + stranger_ + ")";
    }
    text += '\n';
    if (holds() || draws_ == 0) return text;
    std::vector<std::size_t> order(counts_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return std::abs(excess(a)) > std::abs(excess(b));
    });
    constexpr std::size_t shown = 5;
    for (std::size_t i = 0; i < std::min(shown, order.size()); ++i) {
      const std::size_t outcome = order[i];
      text += "  " + name(outcome) + ": seen " +
              to_text(static_cast<double>(counts_[outcome]) / static_cast<double>(draws_)) +
              ", expected " + to_text(probabilities_[outcome]) + '\n';
    }
    return text;
  }

 private:
  [[nodiscard]] double excess(std::size_t outcome) const {
    return static_cast<double>(counts_[outcome]) / static_cast<double>(draws_) -
           probabilities_[outcome];
  }

  static std::string name(const Response& response) {
    if (response.tokens.empty()) return "text \"" + response.text + '"';
    std::string text = "tokens";
    for (const Token token : response.tokens) text += ' ' + std::to_string(token);
    return text;
  }
  [[nodiscard]] std::string name(std::size_t outcome) const {
    return law_.size() > 0 ? name(law_.response(outcome)) : "outcome " + std::to_string(outcome);
  }

  std::vector<double> probabilities_;
  std::vector<std::size_t> counts_;
  ResponseLaw law_ = {};
  std::string stranger_ = {};  // the first outcome that is not in the law
  double alpha_;
  std::size_t draws_ = 0, outside_ = 0, unknown_ = 0;
};

}  // namespace tilt::testing

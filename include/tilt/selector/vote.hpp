#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/log_math.hpp"
#include "tilt/selector/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/selector/extract.hpp"

namespace tilt {

/// The answers of a population, those of equal answers together. The common part of the votes.
///
/// Who votes: the eligible candidates (positive weight, or all if there is none) in which an answer is
/// found. The others are dropped; they do not share in the total.
class Ballots {
 public:
  template <AnswerExtractor E>
  Ballots(const Population& population, const E& extract) {
    for (const Eligible& candidate : eligible(population)) {
      std::optional<std::string> answer = extract_answer(extract, candidate.candidate->response);
      if (!answer) continue;
      voters_.push_back(candidate);
      answers_.push_back(std::move(*answer));
    }
  }

  [[nodiscard]] std::span<const Eligible> voters() const noexcept { return voters_; }

  /// The answer with the largest sum of exp(log_weights), its share of the whole sum, and the index of
  /// its highest reward. Ties go to the answer that was given first, and to its earliest member. Sums
  /// that are equal on paper, such as 4 + 1 and 3 + 2, differ by the rounding of the exponentials: they
  /// tie up to a relative 1e-11.
  ///
  /// A weight of NaN does not vote; if none other is there, nothing is decided. Infinite weights vote alone,
  /// each for 1, and so do those of -infinity where there are no others.
  /// @param log_weights  nats, one per voter
  /// @throws Error for another number of weights than of voters
  [[nodiscard]] Decision decide(std::span<const double> log_weights) const {
    if (log_weights.size() != voters_.size()) {
      throw Error("a vote of " + std::to_string(voters_.size()) + " has " +
                  std::to_string(log_weights.size()) + " weights");
    }
    double largest = unset;
    for (const double weight : log_weights) {
      if (std::isnan(largest) || weight > largest) largest = weight;
    }
    if (std::isnan(largest)) return {.share = 0};
    struct Class {
      std::size_t best;
      double total = 0;
    };
    std::vector<Class> classes;  // in the order of their first members
    std::vector<std::size_t> class_of(voters_.size());
    std::unordered_map<std::string_view, std::size_t> numbers;
    for (std::size_t i = 0; i < voters_.size(); ++i) {
      if (std::isnan(log_weights[i])) continue;
      const auto [place, is_new] = numbers.try_emplace(answers_[i], classes.size());
      if (is_new) classes.push_back({i});
      class_of[i] = place->second;
      std::size_t& best = classes[place->second].best;
      if (better_reward(reward(i), reward(best))) best = i;
    }
    double all = 0, most = 0;
    for (std::size_t i = 0; i < voters_.size(); ++i) {
      if (std::isnan(log_weights[i])) continue;
      const double weight = std::exp(reward_difference(log_weights[i], largest));
      Class& mine = classes[class_of[i]];
      mine.total += weight;
      all += weight;
      most = std::max(most, mine.total);
    }
    const auto winner = std::find_if(classes.begin(), classes.end(), [most](const Class& c) {
      return c.total >= most * (1 - rounding);
    });
    return {.index = voters_[winner->best].index,
            .answer = answers_[winner->best],
            .share = winner->total / all};
  }

 private:
  static constexpr double rounding = 1e-11;

  [[nodiscard]] double reward(std::size_t i) const { return voters_[i].candidate->reward; }

  std::vector<Eligible> voters_ = {};
  std::vector<std::string> answers_ = {};
};

/// A decision over whole responses has their text as its answer.
template <AnswerExtractor E>
[[nodiscard]] Decision with_text([[maybe_unused]] const Population& population, Decision decision) {
  if constexpr (std::same_as<E, WholeResponse>) {
    if (decision.index != npos) decision.answer = population[decision.index].response.text;
  }
  return decision;
}

}  // namespace tilt

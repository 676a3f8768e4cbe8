#pragma once

// What methods earn for what they cost: curves of reward against generated tokens, with standard
// errors over prompts, and differences at equal tokens.

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tilt/tilt.hpp>

/// A mean over prompts and its standard error (NaN for a single prompt).
struct Estimate {
  double mean = tilt::unset, error = tilt::unset;

  [[nodiscard]] double standard_errors() const { return mean / error; }
};

[[nodiscard]] inline Estimate estimate(std::span<const double> values) {
  const tilt::Summary summary = tilt::summarize(values);
  return {summary.mean, summary.standard_error};
}

/// Half the width of the 95 % interval of a mean of n values, in standard errors: the quantile of
/// Student's t, expanded about the normal one in 1/(n-1) (error below 2 % from n = 5 on).
[[nodiscard]] inline double interval_width(std::size_t n) {
  if (n < 2) return tilt::unset;
  const double v = static_cast<double>(n - 1), z = 1.959964;
  const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

/// What a method's answers earned and cost with one setting: one entry per prompt.
struct Point {
  std::string setting = {};  ///< "n = 4"
  std::vector<double> reward = {}, tokens = {};
  std::vector<double> depth = {};  ///< generations one after the other

  [[nodiscard]] double mean_tokens() const { return estimate(tokens).mean; }
  [[nodiscard]] double mean_depth() const { return estimate(depth).mean; }
};

/// A method's points, by growing cost.
using Curve = std::vector<Point>;

/// Best-of-n out of draws that were made once: for each k up to `most`, the mean over all sets of k
/// draws of a prompt of the highest reward (unbiased), and k times the mean length.
/// @param rewards, tokens  of each prompt's draws, in any order
[[nodiscard]] inline Curve best_of_n_curve(const std::vector<std::vector<double>>& rewards,
                                           const std::vector<std::vector<double>>& tokens,
                                           std::size_t most) {
  Curve curve;
  for (std::size_t k = 1; k <= most; ++k) curve.push_back({.setting = "n = " + std::to_string(k)});
  for (std::size_t p = 0; p < rewards.size(); ++p) {
    const std::vector<double> best = tilt::best_of_n_curve(rewards[p], most);
    const double length = estimate(tokens[p]).mean;
    for (std::size_t k = 1; k <= most; ++k) {
      Point& point = curve[k - 1];
      point.reward.push_back(best[k - 1]);
      point.tokens.push_back(static_cast<double>(k) * length);
      point.depth.push_back(1);
    }
  }
  return curve;
}

/// The rewards per prompt of a curve at a mean cost, linear between its neighbouring points; none
/// outside of the curve.
[[nodiscard]] inline std::optional<std::vector<double>> rewards_at(const Curve& curve,
                                                                   double tokens) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const double here = curve[i].mean_tokens();
    if (here == tokens) return curve[i].reward;
    if (i + 1 == curve.size() || here > tokens) break;
    const double next = curve[i + 1].mean_tokens();
    if (next < tokens) continue;
    const double part = (tokens - here) / (next - here);
    std::vector<double> rewards(curve[i].reward.size());
    for (std::size_t p = 0; p < rewards.size(); ++p) {
      rewards[p] = (1 - part) * curve[i].reward[p] + part * curve[i + 1].reward[p];
    }
    return rewards;
  }
  return std::nullopt;
}

/// The mean difference of two lists over the same prompts.
[[nodiscard]] inline Estimate difference(std::span<const double> a, std::span<const double> b) {
  std::vector<double> differences(a.size());
  for (std::size_t p = 0; p < a.size(); ++p) differences[p] = a[p] - b[p];
  return estimate(differences);
}

/// The lowest mean cost at which a curve reaches a mean reward, linear between its points.
[[nodiscard]] inline std::optional<double> tokens_to_reach(const Curve& curve, double reward) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const double here = estimate(curve[i].reward).mean;
    if (here < reward) continue;
    if (i == 0) return curve[i].mean_tokens();
    const double before = estimate(curve[i - 1].reward).mean;
    return std::lerp(curve[i - 1].mean_tokens(), curve[i].mean_tokens(),
                     (reward - before) / (here - before));
  }
  return std::nullopt;
}

/// Watches a batch and notes, after each round of each run, what it had cost and what the answer
/// would have been worth.
class CurveRecorder {
 public:
  using Worth = std::function<double(const tilt::Population&)>;

  explicit CurveRecorder(Worth worth) : worth_(std::move(worth)) {}

  void on(const tilt::RunProgressed& event) {
    if (event.run >= runs_.size()) {
      runs_.resize(event.run + 1);
      depths_.resize(event.run + 1);
    }
    auto& steps = runs_[event.run];
    auto& [calls, depth] = depths_[event.run];
    if (event.spent.policy_calls > calls) ++depth;
    calls = event.spent.policy_calls;
    if (event.candidates.empty()) return;
    if (!steps.empty() && steps.back().round == event.spent.rounds) return;
    steps.push_back({event.spent.rounds, static_cast<double>(event.spent.generated_tokens),
                     static_cast<double>(depth), worth_(event.candidates)});
  }

  /// A point per round that has cost tokens; a run that has ended stays where it was. Run r belongs to prompt
  /// r mod `prompts`, and the runs of a prompt are averaged.
  [[nodiscard]] Curve curve(std::size_t prompts) const {
    std::size_t longest = 0;
    for (const auto& steps : runs_) longest = std::max(longest, steps.size());
    Curve curve;
    for (std::size_t i = 0; i < longest; ++i) {
      Point point{.setting = "round " + std::to_string(i + 1),
                  .reward = std::vector<double>(prompts, 0.0),
                  .tokens = std::vector<double>(prompts, 0.0),
                  .depth = std::vector<double>(prompts, 0.0)};
      const double share = static_cast<double>(prompts) / static_cast<double>(runs_.size());
      for (std::size_t run = 0; run < runs_.size(); ++run) {
        const Step& step = runs_[run][std::min(i, runs_[run].size() - 1)];
        point.reward[run % prompts] += share * step.reward;
        point.tokens[run % prompts] += share * step.tokens;
        point.depth[run % prompts] += share * step.depth;
      }
      // What was drawn counts when it has been scored, which costs no further tokens.
      if (!curve.empty() && curve.back().tokens == point.tokens) curve.pop_back();
      curve.push_back(std::move(point));
    }
    return curve;
  }

 private:
  struct Step {
    std::size_t round = 0;
    double tokens = 0, depth = 0, reward = 0;
  };

  Worth worth_;
  std::vector<std::vector<Step>> runs_ = {};
  std::vector<std::pair<std::size_t, std::size_t>> depths_ = {};  // policy calls seen, depth
};

/// Several recorders that watch the same batch, or none.
struct Recorders {
  std::vector<CurveRecorder*> all = {};

  void on(const tilt::RunProgressed& event) {
    for (CurveRecorder* recorder : all) recorder->on(event);
  }
};

/// What a candidate is worth: the reward model's own word, also where a method has transformed it.
[[nodiscard]] inline double worth_of(const tilt::Candidate& candidate) {
  return std::isnan(candidate.raw_reward) ? candidate.reward : candidate.raw_reward;
}

/// What the choice of a selector is worth.
template <class Select>
[[nodiscard]] CurveRecorder::Worth reward_of(Select selector) {
  return [selector](const tilt::Population& population) {
    tilt::Random random(0);
    return worth_of(population[selector(population, random).index]);
  };
}

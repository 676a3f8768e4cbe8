#pragma once

// The exact law of CARDS over a small model. What the sampler asks for is enumerated, its
// thresholds are measured by finding the rewards at which it changes its mind, and whether a
// response is finished is seen in its state; only the formula of capped rejection is ours.

#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "support/exact_laws.hpp"
#include "support/round_bench.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/testing/enumerate.hpp"

/// A reward function of tokens, prefixes included.
using TokenReward = std::function<double(tilt::TokenSpan)>;

/// The smallest number from which on a rule says yes, to the last bit.
template <class Rule>
double turning_point(Rule says_yes, double low, double high) {
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) return high;
    (says_yes(middle) ? high : low) = middle;
  }
}

/// A sampler that stands behind its preparations, with a prefix accepted.
class CardsBench {
 public:
  /// @param prompt_reward  answered if the sampler asks for it
  CardsBench(tilt::CardsOptions options, double prompt_reward) : options_(std::move(options)) {
    RoundBench bench(tilt::Cards{options_});
    if (!bench.ask().empty() && !bench.round.draws()[0].to_generate) {
      bench.answer(0, {}, prompt_reward);
      bench.tell();
    }
    prepared_ = bench.state;
  }

  /// What it asks for after a prefix.
  [[nodiscard]] tilt::Generation work_after(const tilt::Response& prefix) const {
    RoundBench bench(tilt::Cards{options_});
    stand(bench, prefix);
    return bench.ask()[0].work;
  }
  /// Whether a response is finished once this has been committed.
  [[nodiscard]] bool finishes(const tilt::Response& prefix, const tilt::Response& whole) const {
    RoundBench bench(tilt::Cards{uncapped()});
    stand(bench, prefix);
    bench.ask();
    bench.answer(0, whole, 1e9);
    bench.tell();
    return bench.state.done;
  }
  /// The threshold that a candidate meets after a prefix, measured: the reward from which on it is
  /// accepted is threshold + beta log u, u the number of the seed, which a flat threshold of 0
  /// shows.
  [[nodiscard]] double threshold(const tilt::Response& prefix, const tilt::Response& whole) const {
    constexpr std::uint64_t seed = 5;
    tilt::CardsOptions flat = uncapped();
    flat.alpha = 1;
    flat.reward_goal = 0;
    const CardsBench zero(flat, 0);
    return critical_reward(prefix, whole, seed) - zero.critical_reward({}, whole, seed);
  }
  [[nodiscard]] double critical_reward(const tilt::Response& prefix, const tilt::Response& whole,
                                       std::uint64_t seed) const {
    return turning_point([&](double reward) { return accepts(prefix, whole, reward, seed); }, -300,
                         300);
  }
  [[nodiscard]] bool accepts(const tilt::Response& prefix, const tilt::Response& whole,
                             double reward, std::uint64_t seed) const {
    RoundBench bench(tilt::Cards{uncapped()}, seed);
    stand(bench, prefix);
    bench.ask();
    bench.answer(0, whole, reward);
    bench.tell();
    return bench.state.segments == 1;
  }

  [[nodiscard]] const tilt::Cards::State& prepared() const { return prepared_; }
  [[nodiscard]] const tilt::CardsOptions& options() const { return options_; }

 private:
  [[nodiscard]] tilt::CardsOptions uncapped() const {
    tilt::CardsOptions options = options_;
    options.max_rejections = tilt::npos;
    options.parallel = 1;
    return options;
  }
  void stand(RoundBench<tilt::Cards>& bench, const tilt::Response& prefix) const {
    bench.state = prepared_;
    bench.state.accepted = prefix;
    bench.index = 1;
  }

  tilt::CardsOptions options_;
  tilt::Cards::State prepared_ = {};
};

/// What CARDS returns and spends, exactly.
struct CardsLaw {
  tilt::testing::ResponseLaw law = {};
  std::vector<std::size_t> segments = {};  ///< of each response
  double reward_calls = 0;                 ///< expected, the prompt's own not counted
  double model_calls = 0;                  ///< expected tokens and looked-at positions
};

/// The segments of a model from every prefix that can be committed, found once.
class CardsTree {
 public:
  template <class P>
  CardsTree(const CardsBench& bench, P& policy) : bench_(bench) {
    nodes_.push_back({});
    for (std::size_t at = 0; at < nodes_.size(); ++at) {  // grows while it is walked over
      const tilt::Response prefix = nodes_[at].prefix;
      const tilt::Generation work = bench.work_after(prefix);
      const tilt::testing::ResponseLaw law = tilt::testing::enumerate(policy, work);
      for (std::size_t i = 0; i < law.size(); ++i) {
        const tilt::Response& whole = law.response(i);
        const std::size_t fresh = whole.size() - prefix.size();
        const bool looked_further =
            whole.finish == tilt::Finish::segment && work.until && fresh < work.until->max_tokens;
        Segment segment{.whole = whole,
                        .q = law.probability(i),
                        .cost = static_cast<double>(fresh + (looked_further ? 1 : 0))};
        if (!bench.finishes(prefix, whole)) {
          segment.next = nodes_.size();
          nodes_.push_back({.prefix = whole, .depth = nodes_[at].depth + 1});
        }
        nodes_[at].segments.push_back(std::move(segment));
      }
    }
  }

  /// The threshold of a candidate after a prefix, given their lengths.
  using Threshold = std::function<double(std::size_t, std::size_t)>;

  /// Measured on the sampler that the tree was made with.
  [[nodiscard]] Threshold measured() const {
    std::map<std::pair<std::size_t, std::size_t>, double> by_length;
    for (const Node& node : nodes_) {
      for (const Segment& segment : node.segments) {
        const std::pair key(node.prefix.size(), segment.whole.size());
        if (!by_length.contains(key)) by_length[key] = bench_.threshold(node.prefix, segment.whole);
      }
    }
    return [by_length](std::size_t y, std::size_t whole) { return by_length.at({y, whole}); };
  }

  [[nodiscard]] CardsLaw law(const TokenReward& reward, std::size_t max_rejections) const {
    return law(reward, max_rejections, measured());
  }
  [[nodiscard]] CardsLaw law(const TokenReward& reward, std::size_t max_rejections,
                             const Threshold& threshold) const {
    CardsLaw result;
    std::vector<double> reached(nodes_.size());
    reached[0] = 1;
    for (std::size_t at = 0; at < nodes_.size(); ++at) {  // children stand behind their parents
      const exact::Capped capped = one_segment(at, reward, max_rejections, threshold);
      double cost = 0;
      for (const Segment& segment : nodes_[at].segments) cost += segment.q * segment.cost;
      result.reward_calls += reached[at] * capped.candidates;
      result.model_calls += reached[at] * capped.candidates * cost;  // Wald: cost and stop
      for (std::size_t i = 0; i < capped.law.size(); ++i) {
        const Segment& segment = nodes_[at].segments[i];
        if (segment.next != tilt::npos) {
          reached[segment.next] += reached[at] * capped.law[i];
        } else {
          result.law.add(segment.whole, std::log(reached[at] * capped.law[i]));
          result.segments.push_back(nodes_[at].depth + 1);
        }
      }
    }
    return result;
  }

  /// The soft value of every prefix that can be committed: beta log of the mean of exp(r/beta) over
  /// the responses that go on from it, which for a finished response is its reward.
  [[nodiscard]] TokenReward soft_value(const TokenReward& reward, double beta) const {
    std::map<std::vector<tilt::Token>, double> values;
    for (std::size_t at = nodes_.size(); at-- > 0;) {  // children stand behind their parents
      std::vector<double> terms;
      for (const Segment& segment : nodes_[at].segments) {
        const double value = segment.next == tilt::npos ? reward(segment.whole.tokens)
                                                        : values.at(segment.whole.tokens);
        if (segment.next == tilt::npos) values[segment.whole.tokens] = value;
        terms.push_back(std::log(segment.q) + value / beta);
      }
      values[nodes_[at].prefix.tokens] = beta * tilt::log_sum_exp(terms);
    }
    return [values = std::move(values)](tilt::TokenSpan tokens) {
      return values.at({tokens.begin(), tokens.end()});
    };
  }

  /// The first segment alone.
  [[nodiscard]] exact::Capped root(const TokenReward& reward, std::size_t max_rejections,
                                   const Threshold& threshold) const {
    return one_segment(0, reward, max_rejections, threshold);
  }
  [[nodiscard]] std::vector<tilt::Response> root_segments() const {
    std::vector<tilt::Response> all;
    for (const Segment& segment : nodes_[0].segments) all.push_back(segment.whole);
    return all;
  }

 private:
  struct Segment {
    tilt::Response whole = {};
    double q = 0, cost = 0;
    std::size_t next = tilt::npos;  // the node behind it; npos: finished
  };
  struct Node {
    tilt::Response prefix = {};
    std::vector<Segment> segments = {};
    std::size_t depth = 0;
  };

  [[nodiscard]] exact::Capped one_segment(std::size_t at, const TokenReward& reward,
                                          std::size_t max_rejections,
                                          const Threshold& threshold) const {
    const Node& node = nodes_[at];
    std::vector<double> q, rewards, accept;
    for (const Segment& segment : node.segments) {
      const double r = reward(segment.whole.tokens);
      q.push_back(segment.q);
      rewards.push_back(r);
      const double margin = r - threshold(node.prefix.size(), segment.whole.size());
      accept.push_back(std::exp(std::min(0.0, margin) / bench_.options().beta));
    }
    return exact::capped_rejection(q, rewards, accept, max_rejections);
  }

  const CardsBench& bench_;
  std::vector<Node> nodes_ = {};
};

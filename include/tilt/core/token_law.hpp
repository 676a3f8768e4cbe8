#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tilt/core/generation.hpp"
#include "tilt/core/random.hpp"

namespace tilt {

/// A token drawn from logits, and its log-probability (nats) under the law that was sampled and under
/// the model's own.
struct TokenDraw {
  Token token = 0;
  double log_prob = 0, raw_log_prob = 0;
};

/// Turns the logits of one position into a `SamplingLaw`'s draw, exactly.
///
/// A law without truncation costs a pass of exponentials over the vocabulary; top_k, top_p and min_p
/// cost a partial sort of it as well. Keeps its working memory: use one per thread and reuse it.
///
/// Scalar is the type of the logits: float for engines, double for `LogitPolicy`.
template <class Scalar>
class TokenLaw {
 public:
  using Logits = std::span<const Scalar>;

  /// Takes the logits of one position, -infinity for an impossible token. The span must stay valid
  /// until the last call that concerns this position.
  /// @throws PolicyError when there are none, one is NaN or +infinity, or all are -infinity
  void read(Logits logits) {
    logits_ = logits;
    if (logits.empty()) throw PolicyError("the policy returned no logits");
    const auto values = array(logits);
    largest_ = values.maxCoeff();
    if (values.isNaN().any()) throw PolicyError("the policy returned a NaN logit");
    if (std::isinf(largest_)) {
      throw PolicyError(largest_ > 0 ? "the policy returned a logit of +infinity"
                                     : "the policy made every token impossible");
    }
    base_.fill(values, largest_, 1);
    log_total_ = std::log(base_.total);
  }

  /// The entropy of the model's own next-token law, nats, over the full vocabulary.
  [[nodiscard]] double entropy() const {
    // H = log Z - sum p (z - max); terms of probability 0 contribute 0, also those of -infinity.
    const auto values = array(logits_);
    double expected = 0;
    for (Eigen::Index start = 0; start < values.size(); start += block) {
      const Eigen::Index n = std::min<Eigen::Index>(block, values.size() - start);
      const auto weights = base_.values.segment(start, n);
      expected += static_cast<double>(
          (weights > 0)
              .select(weights * (values.segment(start, n) - largest_), Scalar{0})
              .sum());
    }
    return log_total_ - expected / base_.total;
  }

  /// log p(token) of the model's own law, nats.
  [[nodiscard]] double raw_log_prob(Token token) const {
    return static_cast<double>(logits_[static_cast<std::size_t>(token)]) -
           static_cast<double>(largest_) - log_total_;
  }

  /// Draws a token under a law, by inversion of one uniform number.
  [[nodiscard]] TokenDraw draw(const SamplingLaw& law, double uniform) {
    if (law.temperature == 0) {
      const Token token = argmax();
      return {token, 0.0, raw_log_prob(token)};
    }
    if (!truncates(law)) {
      const Weights& weights = tempered(law.temperature);
      const Token token = weights.invert(uniform, argmax());
      return {token, weights.log_prob(token), raw_log_prob(token)};
    }
    const std::span<const Kept> kept = keep(law);
    double total = 0;
    for (const Kept& k : kept) total += k.weight;
    double left = uniform * total;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (kept[i].weight > 0) chosen = i;
      if (left < kept[i].weight) break;
      left -= kept[i].weight;
    }
    return {kept[chosen].token, std::log(kept[chosen].weight / total),
            raw_log_prob(kept[chosen].token)};
  }

  /// log-probability of a given token under a law, nats; -infinity if the law excludes it.
  [[nodiscard]] double log_prob(const SamplingLaw& law, Token token) {
    if (law.temperature == 0) return token == argmax() ? 0.0 : -infinity;
    if (!truncates(law)) {
      return law.temperature == 1 ? raw_log_prob(token) : tempered(law.temperature).log_prob(token);
    }
    double total = 0, mine = 0;
    for (const Kept& k : keep(law)) {
      total += k.weight;
      if (k.token == token) mine = k.weight;
    }
    return std::log(mine / total);
  }

 private:
  using Array = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
  static constexpr Eigen::Index block = 256;

  struct Kept {
    Token token;
    double weight;  // relative to the most probable token
  };

  // exp((logit - largest) / temperature) with its sums: blocks in Scalar, added in double, which is
  // near double's accuracy at float's speed.
  struct Weights {
    Array values = {};
    std::vector<double> blocks = {};
    double total = 0;

    void fill(Eigen::Map<const Array> logits, Scalar largest, double temperature) {
      // Eigen's vectorised exp of -infinity is a tiny number; an impossible token must have none.
      constexpr Scalar lowest = sizeof(Scalar) == 4 ? Scalar(-87) : Scalar(-700);
      const auto scale = static_cast<Scalar>(1 / temperature);
      values.resize(logits.size());
      blocks.clear();
      total = 0;
      for (Eigen::Index start = 0; start < logits.size(); start += block) {
        const Eigen::Index n = std::min<Eigen::Index>(block, logits.size() - start);
        auto part = values.segment(start, n);
        part = (logits.segment(start, n) - largest) * scale;
        part = (part > lowest).select(part.exp(), Scalar{0});
        blocks.push_back(static_cast<double>(part.sum()));
        total += blocks.back();
      }
    }

    [[nodiscard]] double log_prob(Token token) const {
      return std::log(static_cast<double>(values[token]) / total);
    }

    // The token at which the running sum passes uniform * total. Rounding may leave a trace of mass
    // behind the last token of a block; it goes to the last possible one.
    [[nodiscard]] Token invert(double uniform, Token most_probable) const {
      double left = uniform * total;
      std::size_t b = 0;
      while (b + 1 < blocks.size() && left >= blocks[b]) left -= blocks[b++];
      const Eigen::Index start = static_cast<Eigen::Index>(b) * block;
      const Eigen::Index end = std::min<Eigen::Index>(start + block, values.size());
      Token last = -1;
      for (Eigen::Index i = start; i < end; ++i) {
        const auto weight = static_cast<double>(values[i]);
        if (weight > 0) {
          last = static_cast<Token>(i);
          if (left < weight) break;
        }
        left -= weight;
      }
      return last < 0 ? most_probable : last;
    }
  };

  static bool truncates(const SamplingLaw& law) {
    return law.top_k > 0 || law.top_p < 1 || law.min_p > 0;
  }

  static Eigen::Map<const Array> array(Logits logits) {
    return {logits.data(), static_cast<Eigen::Index>(logits.size())};
  }

  [[nodiscard]] Token argmax() const {
    return static_cast<Token>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  }

  const Weights& tempered(double temperature) {
    if (temperature == 1) return base_;
    tempered_.fill(array(logits_), largest_, temperature);
    return tempered_;
  }

  // temperature, top_k, top_p, min_p in this order. The result is sorted by descending probability,
  // ties by ascending id.
  [[nodiscard]] std::span<const Kept> keep(const SamplingLaw& law) {
    const std::size_t n = logits_.size();
    kept_.resize(n);
    const Weights& weights = tempered(law.temperature);
    for (std::size_t i = 0; i < n; ++i) {
      kept_[i] = {static_cast<Token>(i),
                  static_cast<double>(weights.values[static_cast<Eigen::Index>(i)])};
    }
    const auto by_weight = [](const Kept& a, const Kept& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
    };
    std::size_t size = n;
    if (law.top_k > 0 && law.top_k < n) {
      size = law.top_k;
      std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(size),
                       kept_.end(), by_weight);
    }
    const auto end = [&] { return kept_.begin() + static_cast<std::ptrdiff_t>(size); };
    if (law.top_p < 1) {
      double total = 0;
      for (std::size_t i = 0; i < size; ++i) total += kept_[i].weight;
      // Sort just as much as is needed: the nucleus is mostly a small part of the vocabulary.
      double mass = 0;
      std::size_t sorted = 0, nucleus = 0;
      while (nucleus < size) {
        if (nucleus == sorted) {
          const std::size_t next = std::min(size, std::max<std::size_t>(64, 4 * sorted));
          std::partial_sort(kept_.begin() + static_cast<std::ptrdiff_t>(sorted),
                            kept_.begin() + static_cast<std::ptrdiff_t>(next), end(), by_weight);
          sorted = next;
        }
        mass += kept_[nucleus++].weight;
        if (mass >= law.top_p * total) break;
      }
      size = nucleus;
    }
    if (law.min_p > 0) {
      // The most probable token has weight 1; it is always among the kept ones.
      size = static_cast<std::size_t>(
          std::partition(kept_.begin(), end(),
                         [&](const Kept& k) { return k.weight >= law.min_p; }) -
          kept_.begin());
    }
    std::sort(kept_.begin(), end(), by_weight);
    return {kept_.data(), size};
  }

  Logits logits_ = {};
  Scalar largest_ = 0;
  Weights base_ = {}, tempered_ = {};
  std::vector<Kept> kept_ = {};
  double log_total_ = 0;
};

}  // namespace tilt

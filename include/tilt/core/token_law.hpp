#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
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
/// cost a few more passes and a sort of what they keep. Keeps its working memory: use one per thread
/// and reuse it.
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
    largest_ = values.template maxCoeff<Eigen::PropagateNaN>();
    if (std::isnan(largest_)) throw PolicyError("the policy returned a NaN logit");
    if (std::isinf(largest_)) {
      throw PolicyError(largest_ > 0 ? "the policy returned a logit of +infinity"
                                     : "the policy made every token impossible");
    }
    base_.fill(values, largest_, 1);
    tempered_for_ = 1;
    log_total_ = std::log(base_.total);
  }

  /// The entropy of the model's own next-token law, nats, over the full vocabulary.
  [[nodiscard]] double entropy() const {
    // H = log Z - sum p (z - max); terms of probability 0 contribute 0, also those of -infinity.
    const auto values = array(logits_);
    double expected = 0;
    for (Eigen::Index start = 0; start < values.size(); start += block) {
      const Eigen::Index n = std::min<Eigen::Index>(block, values.size() - start);
      // A floor under the difference: 0 times -infinity would be NaN.
      constexpr Scalar floor = -1e6;
      expected += static_cast<double>(
          (base_.values.segment(start, n) * (values.segment(start, n) - largest_).max(floor))
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
      Token token = tempered(law.temperature).invert(uniform);
      if (token < 0) token = argmax();
      return {token, log_prob(law, token), raw_log_prob(token)};
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
      if (law.temperature == 1) return raw_log_prob(token);
      return tempered_log_weight(law, token) - std::log(tempered(law.temperature).total);
    }
    double total = 0;
    const Kept* mine = nullptr;
    for (const Kept& k : keep(law)) {
      total += k.weight;
      if (k.token == token) mine = &k;
    }
    if (mine == nullptr) return -infinity;
    if (mine->weight > 0) return std::log(mine->weight / total);
    return tempered_log_weight(law, token) - std::log(total);
  }

 private:
  using Array = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
  static constexpr Eigen::Index block = 256;

  struct Kept {
    Token token;
    Scalar logit;
    double weight;  // relative to the most probable token; maybe rounded to 0
  };

  // exp((logit - largest) / temperature) with its sums: blocks in Scalar, added in double, which is
  // near double's accuracy at float's speed.
  struct Weights {
    Array values = {};
    std::vector<double> blocks = {};
    double total = 0;

    // exp(x) for -87 <= x <= 0, to one unit in the last place: 2^k times a series around 0. Plain
    // arithmetic that compilers turn into vector instructions; Eigen's exp of floats takes more than
    // twice as long where there is no AVX.
    static float exp_of_negative(float x) {
      const auto k = static_cast<std::int32_t>(x * 1.44269504f - 0.5f);
      const auto n = static_cast<float>(k);
      const float rest = (x - n * 0.693145751953125f) - n * 1.42860677e-6f;  // ln 2 in two parts
      float series = rest * (1.0f / 5040) + 1.0f / 720;
      series = series * rest + 1.0f / 120;
      series = series * rest + 1.0f / 24;
      series = series * rest + 1.0f / 6;
      series = series * rest + 0.5f;
      series = series * rest + 1.0f;
      series = series * rest + 1.0f;
      return std::bit_cast<float>(std::bit_cast<std::int32_t>(series) + (k << 23));
    }

    void fill(Eigen::Map<const Array> logits, Scalar largest, double temperature) {
      // An impossible token has no weight at all, not a tiny one. Eigen's select is not vectorised, so
      // only the blocks that hold such a token go through it.
      constexpr Scalar lowest = sizeof(Scalar) == 4 ? Scalar(-87) : Scalar(-700);
      // Temperatures next to 0 and next to infinity would make it infinite and 0, and the product of
      // these with 0 and with infinity a NaN.
      using Limits = std::numeric_limits<Scalar>;
      const auto scale = static_cast<Scalar>(std::clamp(
          1 / temperature, static_cast<double>(Limits::min()), static_cast<double>(Limits::max())));
      values.resize(logits.size());
      blocks.clear();
      total = 0;
      for (Eigen::Index start = 0; start < logits.size(); start += block) {
        const Eigen::Index n = std::min<Eigen::Index>(block, logits.size() - start);
        auto part = values.segment(start, n);
        const auto scaled = (logits.segment(start, n) - largest) * scale;
        part = scaled.max(lowest);
        const bool all_possible = part.minCoeff() > lowest;
        if constexpr (std::same_as<Scalar, float>) {
          const auto exponentiate = [x = values.data() + start](Eigen::Index size) {
            for (Eigen::Index i = 0; i < size; ++i) x[i] = exp_of_negative(x[i]);
          };
          n == block ? exponentiate(block) : exponentiate(n);  // vectors also at -O2: a known size
        } else {
          part = part.exp();
        }
        if (!all_possible) part = (scaled > lowest).select(part, Scalar{0});
        blocks.push_back(static_cast<double>(part.sum()));
        total += blocks.back();
      }
    }

    // The token at which the running sum passes uniform * total. Rounding may leave a trace of mass
    // behind the last token of a block; it goes to the last possible one there, -1 if there is none.
    [[nodiscard]] Token invert(double uniform) const {
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
      return last;
    }
  };

  static bool truncates(const SamplingLaw& law) {
    return law.top_k > 0 || law.top_p < 1 || law.min_p > 0;
  }

  // log of a token's weight relative to the most probable one, nats: from the logit, since the weight
  // itself may have been rounded to 0.
  [[nodiscard]] double tempered_log_weight(const SamplingLaw& law, Token token) const {
    const double below = static_cast<double>(logits_[static_cast<std::size_t>(token)]) -
                         static_cast<double>(largest_);
    return below / law.temperature;
  }

  static Eigen::Map<const Array> array(Logits logits) {
    return {logits.data(), static_cast<Eigen::Index>(logits.size())};
  }

  [[nodiscard]] Token argmax() const {
    return static_cast<Token>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  }

  const Weights& tempered(double temperature) {
    if (temperature == 1) return base_;
    if (temperature != tempered_for_) tempered_.fill(array(logits_), largest_, temperature);
    tempered_for_ = temperature;
    return tempered_;
  }

  // temperature, top_k, top_p, min_p in this order. Ranks are those of the logits, ties by
  // ascending id: weights are rounded, so that equal logits may have different weights, as the
  // compiler's vector instructions have it, and different logits equal ones.
  [[nodiscard]] std::span<const Kept> keep(const SamplingLaw& law) {
    const Weights& weights = tempered(law.temperature);
    const std::size_t k = law.top_k > 0 ? law.top_k : npos;
    // All tokens of at least some weight are the most probable ones, whatever comes after: take as
    // many as the law needs and sort no more than these.
    if (k == npos && law.top_p >= 1) {
      gather(weights, law.temperature, 0.99 * law.min_p);
    } else {
      const double mass = k == npos ? law.top_p * weights.total : infinity;
      for (double least = 0x1p-6;
           gather(weights, law.temperature, least) < mass && kept_.size() < k && least > 0;) {
        least = least > 0x1p-24 ? least * 0x1p-6 : 0;
      }
    }
    const auto before = [](const Kept& a, const Kept& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
    };
    std::size_t size = std::min(k, kept_.size());
    const auto end = kept_.begin() + static_cast<std::ptrdiff_t>(size);
    if (end != kept_.end()) std::nth_element(kept_.begin(), end, kept_.end(), before);
    std::sort(kept_.begin(), end, before);
    for (std::size_t i = 1; i < size; ++i) {
      if (kept_[i].logit == kept_[i - 1].logit) kept_[i].weight = kept_[i - 1].weight;
    }
    // A border that is met but for rounding is met.
    constexpr double nearly = 1 - 4 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
    if (law.top_p < 1) {
      double total = weights.total;
      if (k != npos) {
        total = 0;
        for (std::size_t i = 0; i < size; ++i) total += kept_[i].weight;
      }
      double mass = 0;
      std::size_t nucleus = 0;
      while (nucleus < size && mass < law.top_p * total * nearly) mass += kept_[nucleus++].weight;
      size = nucleus;
    }
    // The most probable token is always among the kept ones.
    size = std::max<std::size_t>(size, 1);
    while (size > 1 && kept_[size - 1].weight < law.min_p * nearly) --size;
    // Among weights that rounding has made equal the lower id is drawn first.
    const std::span<Kept> kept(kept_.data(), size);
    const auto drawn_before = [](const Kept& a, const Kept& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
    };
    if (!std::is_sorted(kept.begin(), kept.end(), drawn_before)) {
      std::sort(kept.begin(), kept.end(), drawn_before);
    }
    return kept;
  }

  // Lists the possible tokens of about some weight and more, the most probable one always among them,
  // and returns the sum of their weights. The border is one of the logits, so that equal logits are on
  // one side of it.
  double gather(const Weights& weights, double temperature, double least) {
    const auto largest = static_cast<double>(largest_);
    const double border = std::min(largest, largest + temperature * std::log(least));
    kept_.clear();
    double mass = 0;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      const auto logit = static_cast<double>(logits_[i]);
      if (logit >= border && logit > -infinity) {
        const auto weight = static_cast<double>(weights.values[static_cast<Eigen::Index>(i)]);
        kept_.push_back({static_cast<Token>(i), logits_[i], weight});
        mass += weight;
      }
    }
    return mass;
  }

  Logits logits_ = {};
  Scalar largest_ = 0;
  Weights base_ = {}, tempered_ = {};
  std::vector<Kept> kept_ = {};
  double log_total_ = 0;
  double tempered_for_ = 1;  // the temperature of which tempered_ holds the weights; 1: of none
};

}  // namespace tilt

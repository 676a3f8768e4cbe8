#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/random.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// The quantile of a reward among K draws from the base law of the same prompt, an estimate of the
/// calibrated reward C(y) = P(r(z) < r(y)) + P(r(z) = r(y))/2, z a base draw:
///
///     u(r) = (number below r + number equal to r / 2) / K
///
/// For a fixed response K u is binomial with mean K C, if no base draw has the same reward; the draws
/// must not include the response itself. Rewards of -infinity are legal. A missing score (NaN) is left
/// out and counted; it is never a low reward.
class ReferenceQuantiles {
 public:
  /// @param rewards  of the base draws, in any order
  explicit ReferenceQuantiles(std::span<const double> rewards) {
    for (const double reward : rewards) {
      if (std::isnan(reward)) {
        ++missing_;
      } else {
        sorted_.push_back(reward);
      }
    }
    std::sort(sorted_.begin(), sorted_.end());
  }

  /// In [0, 1]; NaN of a NaN reward, and where there are no references.
  [[nodiscard]] double operator()(double reward) const {
    if (std::isnan(reward) || sorted_.empty()) return unset;
    const auto [low, high] = std::equal_range(sorted_.begin(), sorted_.end(), reward);
    const auto below = static_cast<double>(low - sorted_.begin());
    const auto equal = static_cast<double>(high - low);
    return (below + 0.5 * equal) / static_cast<double>(sorted_.size());
  }

  /// K, the number of references that have a score.
  [[nodiscard]] std::size_t size() const noexcept { return sorted_.size(); }
  /// The number of those that have none.
  [[nodiscard]] std::size_t missing() const noexcept { return missing_; }
  /// In ascending order.
  [[nodiscard]] std::span<const double> rewards() const noexcept { return sorted_; }

 private:
  std::vector<double> sorted_ = {};
  std::size_t missing_ = 0;
};

/// By what factor a transform of an estimated quantile is too large on average:
/// E Phi(B/K) / Phi(C), B binomial with K trials of probability C. Exact, by summation over B.
///
/// Of `transform::exponential(t)` it is (1 - C + C exp(t/K))^K exp(-t C), about exp(C(1-C) t^2/(2K)): K
/// must be well above t^2. Of `transform::identity` it is 1. A transform that is -infinity somewhere
/// gives -infinity or infinity; NaN where Phi(C) is 0 or -infinity, which have no factor.
/// @param references  K, 1 to 2^20
/// @param quantile    C, in [0, 1]
/// @throws InvalidOption when an argument is out of its range
[[nodiscard]] inline double plug_in_bias(const std::function<double(double)>& phi,
                                         std::size_t references, double quantile) {
  require_count("plug_in_bias.references", references);
  require_fraction("plug_in_bias.quantile", quantile);
  const double truth = phi(quantile);
  if (truth == 0 || std::isinf(truth)) return unset;
  const auto K = static_cast<double>(references);
  const double log_hit = std::log(quantile), log_miss = std::log1p(-quantile);
  double mean = 0, log_binomial = 0;
  for (std::size_t b = 0; b <= references; ++b) {
    const auto hits = static_cast<double>(b);
    const double log_probability =
        log_binomial + (hits > 0 ? hits * log_hit : 0.0) + (hits < K ? (K - hits) * log_miss : 0.0);
    const double probability = std::exp(log_probability);
    if (probability > 0) mean += probability * phi(hits / K);
    log_binomial += std::log((K - hits) / (hits + 1));
  }
  return mean / truth;
}

/// Half the width of the band of Dvoretzky, Kiefer and Wolfowitz: with probability 1 - delta all
/// quantiles estimated from K references are within sqrt(log(2/delta) / (2K)) of the true ones. Massart
/// 1990. Infinite for K = 0.
/// @param delta  in (0, 1)
/// @throws InvalidOption when delta is out of its range
[[nodiscard]] inline double dkw_band(std::size_t references, double delta = 0.05) {
  require_option(delta > 0 && delta < 1, "dkw_band.delta", delta, "a number > 0 and < 1");
  if (references == 0) return infinity;
  return std::sqrt(std::log(2 / delta) / (2 * static_cast<double>(references)));
}

/// What the references of a prompt are a function of, apart from the policy and the reward.
struct ReferenceKey {
  Prompt prompt = {};
  SamplingLaw law = {};
  std::size_t references = 0;
  std::size_t max_tokens = 0;

  friend bool operator==(const ReferenceKey&, const ReferenceKey&) = default;

  /// A stable 64-bit hash of all members, the same on every machine.
  [[nodiscard]] std::uint64_t hash() const {
    std::uint64_t key = derive_seed(
        prompt.key(), references, max_tokens, std::bit_cast<std::uint64_t>(law.temperature),
        law.top_k, std::bit_cast<std::uint64_t>(law.top_p), std::bit_cast<std::uint64_t>(law.min_p),
        law.stop.size(), law.stop_tokens.size());
    for (const std::string& stop : law.stop) key = derive_seed(key, hash_of(stop));
    for (const Token token : law.stop_tokens) key = derive_seed(key, token);
    return derive_seed(key, hash_of(law.extra));
  }

  /// The seed of reference i: never that of a run, so that every run draws the same references.
  [[nodiscard]] std::uint64_t seed(std::size_t i) const {
    return derive_seed(hash(), reference_streams, i);
  }

 private:
  static std::uint64_t hash_of(std::string_view text) {  // FNV-1a
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return h;
  }
  static constexpr std::uint64_t reference_streams = 0x7265666572000000u;
};

/// References of prompts that have been drawn before, so that they are paid for once. A handle: copies
/// share one store, also between threads. One store is for one policy and one reward.
class ReferenceStore {
 public:
  using Quantiles = std::shared_ptr<const ReferenceQuantiles>;

  /// Null when there are none.
  [[nodiscard]] Quantiles find(const ReferenceKey& key) const {
    const std::lock_guard lock(shared_->mutex);
    const auto found = shared_->held.find(key);
    return found == shared_->held.end() ? nullptr : found->second;
  }
  /// Keeps references; those of a key that is there already stay.
  void insert(const ReferenceKey& key, Quantiles quantiles) {
    const std::lock_guard lock(shared_->mutex);
    shared_->held.try_emplace(key, std::move(quantiles));
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->held.size();
  }
  void clear() {
    const std::lock_guard lock(shared_->mutex);
    shared_->held.clear();
  }

 private:
  struct Hash {
    std::size_t operator()(const ReferenceKey& key) const {
      return static_cast<std::size_t>(key.hash());
    }
  };
  struct Shared {
    std::mutex mutex = {};
    std::unordered_map<ReferenceKey, Quantiles, Hash> held = {};
  };

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace tilt

#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tilt/core/check.hpp"

namespace tilt {

/// A bijective 64-bit mixer (the finaliser of SplitMix64, Steele, Lea and Flood 2014).
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// One 64-bit key for a seed and any ids; the order of all of them matters.
template <class... Ids>
[[nodiscard]] constexpr std::uint64_t derive_seed(std::uint64_t seed, Ids... ids) noexcept {
  // The constant tells the seed from an id: (1, 2) and (2, 1) must differ, and so must (1, 1) and
  // (2, 2).
  std::uint64_t key = mix(seed ^ 0x74696c7473656564u);
  ((key = mix(key ^ mix(static_cast<std::uint64_t>(ids)))), ...);
  return key;
}

/// Philox4x32-10, a counter-based generator: a keyed bijection of 128-bit counters.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                            std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A stream of random numbers keyed by a seed and any ids (prompt, lane, round, draw, position).
///
/// Streams with different keys are independent for every practical purpose, so that a result does
/// not depend on threads, batching or the order in which work is done. The distributions are our
/// own: GCC and Clang, libstdc++ and libc++ give the same numbers.
class Random {
 public:
  template <class... Ids>
  explicit constexpr Random(std::uint64_t seed, Ids... ids) noexcept
      : key_(derive_seed(seed, ids...)) {}

  /// 64 uniform bits.
  constexpr std::uint64_t bits() noexcept {
    const auto block = philox({static_cast<std::uint32_t>(count_),
                               static_cast<std::uint32_t>(count_ >> 32), 0, 0},
                              {static_cast<std::uint32_t>(key_),
                               static_cast<std::uint32_t>(key_ >> 32)});
    ++count_;
    return (std::uint64_t{block[1]} << 32) | block[0];
  }

  /// Uniform on [0, 1), a multiple of 2^-53. One block of the generator.
  constexpr double uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

  /// Uniform on 0 .. n-1, without bias; n must be at least 1. Mostly one block (Lemire 2019).
  constexpr std::uint64_t below(std::uint64_t n) noexcept {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(bits()) * n;
    if (static_cast<std::uint64_t>(product) < n) {
      const std::uint64_t floor = (0 - n) % n;
      while (static_cast<std::uint64_t>(product) < floor) product = static_cast<Wide>(bits()) * n;
    }
    return static_cast<std::uint64_t>(product >> 64);
  }

  /// log of a number uniform on (0, 1], nats: accept with probability exp(a) iff log_uniform() < a
  /// for a < 0. One block.
  double log_uniform() noexcept { return std::log(1 - uniform()); }

  /// Exponential with mean 1. One block.
  double exponential() noexcept { return -log_uniform(); }

  /// Standard normal (Box and Muller). Two blocks.
  double normal() noexcept {
    const double radius = std::sqrt(2 * exponential());
    return radius * std::cos(6.283185307179586476925 * uniform());
  }

  /// Poisson, by inversion of its distribution function; a large mean is cut into parts of at most 16,
  /// whose numbers are added. One block for each part.
  /// @param mean  0 to 1e9; 0 gives 0
  /// @throws InvalidOption when the mean is out of its range: larger ones would take minutes
  std::uint64_t poisson(double mean) {
    require_option(mean >= 0 && mean <= 1e9, "Random::poisson.mean", mean,
                   "a number from 0 to 1e9");
    constexpr double most = 16;
    std::uint64_t sum = 0;
    for (; mean > 0; mean -= most) {
      const double part = mean < most ? mean : most;
      double left = uniform(), probability = std::exp(-part);
      std::uint64_t k = 0;
      // Rounding may leave a trace of mass behind the last number that a uniform number can tell.
      while (left >= probability && (static_cast<double>(k) < part || probability > 0x1p-60)) {
        left -= probability;
        probability *= part / static_cast<double>(++k);
      }
      sum += k;
    }
    return sum;
  }

  /// An index drawn in proportion to exp(log_weights[i]); at least one weight must be finite and
  /// none NaN or +infinity. One block.
  std::size_t categorical(std::span<const double> log_weights) noexcept {
    double largest = log_weights[0];
    for (const double w : log_weights) largest = w > largest ? w : largest;
    double total = 0;
    for (const double w : log_weights) total += std::exp(w - largest);
    double left = uniform() * total;
    std::size_t last = 0;  // rounding may leave a trace of mass behind the last weight
    for (std::size_t i = 0; i < log_weights.size(); ++i) {
      const double weight = std::exp(log_weights[i] - largest);
      if (weight > 0) {
        last = i;
        if (left < weight) return i;
      }
      left -= weight;
    }
    return last;
  }

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
};

}  // namespace tilt

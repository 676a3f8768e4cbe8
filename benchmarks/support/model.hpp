#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "support/clock.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/random.hpp"

namespace bench {

/// What the hand-written loops call a response: the same fields as the library's, so that both pay
/// for the same memory.
struct Text {
  std::vector<std::int32_t> tokens = {};
  std::string text = {};
  std::vector<std::uint32_t> ends = {};
  std::vector<double> log_probs = {}, raw_log_probs = {};
  bool ended = false;
};

/// A model that costs next to nothing, or a stated time for each response. Tokens by hashing, an end
/// token after 16 of them on average. The n-th response since `restart` is the same in every run.
class Model {
 public:
  /// @param microseconds  processor time for each response, spent by waiting busily
  /// @param bare          tokens only; else text, offsets and log-probs as well
  explicit Model(double microseconds = 0, bool bare = true)
      : wait_(1e-6 * microseconds), bare_(bare) {}

  void restart() { drawn_ = 0; }
  [[nodiscard]] bool bare() const noexcept { return bare_; }

  /// Appends at most `max_tokens` tokens to an empty response and says whether it ended by itself.
  template <class Response>
  bool draw(Response& response, std::size_t max_tokens) {
    const double start = wait_ > 0 ? processor_seconds() : 0;
    const std::uint64_t seed = tilt::mix(++drawn_);
    std::size_t length = 1;
    while (length < max_tokens && !ends(seed, length)) ++length;
    response.tokens.resize(length);
    for (std::size_t i = 0; i < length; ++i) {
      response.tokens[i] = static_cast<std::int32_t>((seed >> (4 * (i % 16))) % 16);
    }
    if (!bare_) {
      response.text.assign(4 * length, 'x');
      response.ends.resize(length);
      for (std::size_t i = 0; i < length; ++i) {
        response.ends[i] = static_cast<std::uint32_t>(4 * (i + 1));
      }
      response.log_probs.assign(length, -1.5);
      response.raw_log_probs.assign(length, -1.5);
    }
    while (wait_ > 0 && processor_seconds() - start < wait_) {
    }
    return ends(seed, length);
  }

 private:
  static bool ends(std::uint64_t seed, std::size_t length) {
    return tilt::mix(seed + length) % 16 == 0;
  }

  double wait_;  // seconds
  bool bare_;
  std::uint64_t drawn_ = 0;
};

/// A reward between 0 and 1 that costs little and has no structure: a hash of the tokens.
inline double reward_of(std::span<const std::int32_t> tokens) {
  std::uint64_t hash = 0;
  for (const std::int32_t token : tokens) hash = 31 * hash + static_cast<std::uint64_t>(token) + 1;
  return static_cast<double>(tilt::mix(hash) >> 11) * 0x1.0p-53;
}

/// The model as a policy of the library.
class Policy {
 public:
  explicit Policy(Model& model) : model_(model) {}

  [[nodiscard]] tilt::Capabilities capabilities() const { return {.log_probs = !model_.bare()}; }

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) {
      const bool ended = model_.draw(out[i], work[i].max_tokens);
      out[i].finish = ended ? tilt::Finish::stop : tilt::Finish::length;
    }
  }

 private:
  Model& model_;
};

/// The reward as a reward model of the library.
struct Reward {
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = reward_of(work[i].response->tokens);
  }
};

}  // namespace bench

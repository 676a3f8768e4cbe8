#pragma once

#include <concepts>
#include <utility>

#include "tilt/reward/concept.hpp"

namespace tilt {

/// A reward model made of a function: `double(const Prompt&, const Response&)`.
///
///     RewardFunction reward{[](const Prompt&, const Response& y) { return double(y.size()); }};
///
/// Cost: one call per response. An exception of the function fails that response alone.
template <class F>
class RewardFunction {
 public:
  explicit RewardFunction(F function) : function_(std::move(function)) {
    static_assert(std::is_invocable_r_v<double, F&, const Prompt&, const Response&>,
                  "tilt::RewardFunction needs a function "
                  "double(const tilt::Prompt&, const tilt::Response&)");
  }

  void score(std::span<const Scoring> work, std::span<double> out) { score_all(*this, work, out); }
  void score(std::span<const Scoring> work, std::span<double> out) const
    requires std::is_invocable_r_v<double, const F&, const Prompt&, const Response&>
  {
    score_all(*this, work, out);
  }

 private:
  static void score_all(auto& self, std::span<const Scoring> work, std::span<double> out) {
    for_each_isolated(work.size(), [&](std::size_t i) {
      out[i] = static_cast<double>(self.function_(*work[i].prompt, *work[i].response));
    });
  }

  F function_;
};

}  // namespace tilt

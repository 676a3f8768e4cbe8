#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tilt/reward/combine.hpp"

namespace tilt {

/// The rule of `clamped`.
struct Clamp {
  double low = -infinity, high = infinity;

  [[nodiscard]] double operator()(std::span<const double> values) const {
    return std::isnan(values[0]) ? values[0] : std::clamp(values[0], low, high);
  }
};

/// A reward kept between two bounds: `clamped(reward, -5, 5)`. The infinities become the bounds, so
/// that a response of reward -infinity is allowed again, unless `low` is -infinity. NaN stays NaN.
///
/// A reward given as an lvalue is held by reference, as an rvalue it is owned.
/// @param low, high  infinite bounds are legal, as no bound
/// @throws InvalidOption when a bound is NaN, `low` is above `high`, `low` is +infinity or `high` is
/// -infinity
template <class R>
[[nodiscard]] auto clamped(R&& reward, double low, double high) {
  require_option(low < infinity, "clamped.low", low, "a number below +infinity");
  require_option(high > -infinity && high >= low, "clamped.high", high,
                 "at least low, and above -infinity");
  return CombinedReward<Clamp, R>(Clamp{low, high}, std::forward<R>(reward));
}

}  // namespace tilt

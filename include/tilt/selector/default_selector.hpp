#pragma once

#include "tilt/selector/highest_reward.hpp"

namespace tilt {

/// The selector of a decoder that is given none: the sampler's `DefaultSelector`, else
/// `HighestReward`.
template <class S>
struct DefaultSelectorOf {
  using type = HighestReward;
};
template <class S>
  requires requires { typename S::DefaultSelector; }
struct DefaultSelectorOf<S> {
  using type = typename S::DefaultSelector;
};

}  // namespace tilt

#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "support/model.hpp"

namespace bench {

/// Best-of-n by hand: keeps all draws, as the library does, and returns the reward of the best.
inline double best_of_n_by_hand(Model& model, std::size_t n, std::size_t max_tokens) {
  struct Drawn {
    Text text = {};
    double reward = 0;
  };
  std::vector<Drawn> drawn;
  std::size_t best = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Drawn next;
    model.draw(next.text, max_tokens);
    next.reward = reward_of(next.text.tokens);
    drawn.push_back(std::move(next));
    if (drawn.back().reward > drawn[best].reward) best = drawn.size() - 1;
  }
  const Drawn answer = drawn[best];
  return answer.reward;
}

}  // namespace bench

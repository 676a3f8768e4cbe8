#pragma once

// Rejection of whole responses written a second time, with the bugs that such loops have shipped
// with.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "tilt/sampler/concept.hpp"
#include "tilt/selector/last_state.hpp"

enum class RejectionBug {
  none,
  running_maximum,     ///< the ceiling is the largest reward seen so far
  shared_uniform,      ///< all draws of a round are held against one uniform number
  best_of_passing,     ///< of a round's passing draws the one of the highest reward is returned
  shortest_passing,    ///< of a round's passing draws the shortest, which finishes first
  forced_is_tested,    ///< the last draw of the cap is returned if it passes the test
  forced_is_returned,  ///< at the cap the last draw is returned, not the best
  one_rejection_less,  ///< the cap ends the run with draw K, not K + 1
  beta_multiplies,     ///< exp(beta (r - ceiling))
};

struct MutantRejectionOptions {
  RejectionBug bug = RejectionBug::none;
  double beta = 1, ceiling = 0;
  std::size_t max_rejections = tilt::npos, parallel = 1, max_tokens = 4;
};

class MutantRejection {
 public:
  using DefaultSelector = tilt::LastState;
  struct State {
    std::size_t tried = 0;
    tilt::Candidate best = {.reward = -tilt::infinity};
    double largest = -tilt::infinity;
    bool done = false;
  };

  explicit MutantRejection(MutantRejectionOptions options) : o_(options) {
    if (o_.bug == RejectionBug::one_rejection_less) --o_.max_rejections;
  }

  [[nodiscard]] State start(const tilt::Prompt&) const { return {}; }

  void ask(State& state, tilt::Round& round) const {
    if (state.done) return;
    const std::size_t left =
        o_.max_rejections == tilt::npos ? tilt::npos : o_.max_rejections + 1 - state.tried;
    for (std::size_t i = 0; i < std::min(o_.parallel, left); ++i) {
      round.sample({.max_tokens = o_.max_tokens});
    }
  }

  void tell(State& state, tilt::Round& round) const {
    std::size_t returned = tilt::npos;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      const tilt::Draw& draw = round.draws()[i];
      const bool last = state.tried++ == o_.max_rejections;
      if (draw.reward > state.best.reward) {
        state.best = {.response = draw.response, .reward = draw.reward};
      }
      state.largest = std::max(state.largest, draw.reward);
      const double ceiling = o_.bug == RejectionBug::running_maximum ? state.largest : o_.ceiling;
      const double margin = std::min(draw.reward, ceiling) - ceiling;
      const double exponent =
          o_.bug == RejectionBug::beta_multiplies ? margin * o_.beta : margin / o_.beta;
      const std::size_t stream = o_.bug == RejectionBug::shared_uniform ? 0 : i;
      const bool passes = round.random(1, stream).log_uniform() < exponent;
      if (last && o_.bug != RejectionBug::forced_is_tested) {
        if (returned == tilt::npos) {
          emit(state, round,
               o_.bug == RejectionBug::forced_is_returned ? round.take(i) : state.best);
          return;
        }
      } else if (passes && prefers(round, i, returned)) {
        returned = i;
      }
      if (last && returned == tilt::npos) return emit(state, round, state.best);
    }
    if (returned != tilt::npos) emit(state, round, round.take(returned));
  }

 private:
  [[nodiscard]] bool prefers(const tilt::Round& round, std::size_t i, std::size_t other) const {
    if (other == tilt::npos) return true;
    const tilt::Draw &a = round.draws()[i], &b = round.draws()[other];
    if (o_.bug == RejectionBug::best_of_passing) return a.reward > b.reward;
    return o_.bug == RejectionBug::shortest_passing && a.response.size() < b.response.size();
  }
  static void emit(State& state, tilt::Round& round, tilt::Candidate candidate) {
    state.done = true;
    round.emit(std::move(candidate));
  }

  MutantRejectionOptions o_;
};

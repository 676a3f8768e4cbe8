#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tilt/core/generation.hpp"
#include "tilt/core/round.hpp"
#include "tilt/runtime/budget.hpp"

namespace tilt {

/// A piece of work that a session waits for; exactly one pointer is set. What it points to stays
/// where it is until the id is supplied, fails, or is cancelled.
struct Work {
  std::uint64_t id = 0;
  const Generation* generation = nullptr;
  const Scoring* scoring = nullptr;
};

namespace detail {

/// What a draw of a session waits for.
enum class Phase : std::uint8_t { waiting, generating, scoring, resolved };

/// Where a piece of work belongs. Its id packs this, from the top: lane 17 bits, round 25, index 21,
/// phase 1, so that ids of one phase are ordered by lane, round and index.
struct Place {
  static constexpr std::size_t most_lanes = 1u << 17, most_rounds = 1u << 25;
  static_assert(Round::most_draws == 1u << 21);

  std::size_t lane = 0, round = 0, index = 0;
  Phase phase = Phase::generating;

  [[nodiscard]] std::uint64_t id() const {
    return (std::uint64_t{lane} << 47) | (std::uint64_t{round} << 22) |
           (std::uint64_t{index} << 1) | (phase == Phase::scoring ? 1u : 0u);
  }
  [[nodiscard]] static Place of(std::uint64_t id) {
    return {.lane = static_cast<std::size_t>(id >> 47),
            .round = static_cast<std::size_t>((id >> 22) & (most_rounds - 1)),
            .index = static_cast<std::size_t>((id >> 1) & (Round::most_draws - 1)),
            .phase = (id & 1u) != 0 ? Phase::scoring : Phase::generating};
  }
};

/// A draw, as the session sees it.
struct Slot {
  Phase phase = Phase::waiting;
  bool listed = false;   // handed out in this phase
  bool dropped = false;  // no longer wanted; a late result is paid for all the same
  Scoring scoring = {};
};

/// One of the sampler's independent chains within a session: its round, and what it may spend.
struct Lane {
  struct Limit {
    std::size_t tokens = npos, policy_calls = npos, reward_calls = npos;
  };
  struct Spent {
    std::size_t tokens = 0, policy_calls = 0, reward_calls = 0, rounds = 0;
  };

  Round round = {};
  std::vector<Slot> slots = {};  // one per draw of the round, those ahead first
  std::size_t width = 0;         // how many slots there are, also when they have been given back
  std::size_t admitted = 0;      // draws let in so far; always the first ones
  std::size_t in_flight = 0;     // of those, draws not resolved yet
  Limit limit = {};
  Spent spent = {};
  Stop stop = Stop::finished;
  bool begun = true;     // false while it waits for the first round of lane 0
  bool dropped = false;  // a late result may still come for some slot
  bool finished = false;

  /// What a round may ask for that a budget of calls could ever let in.
  /// @param at_least  draws that are kept whatever the budget says
  [[nodiscard]] Round::Room room(std::size_t at_least) const {
    const auto left = [](std::size_t most, std::size_t used) {
      return most == npos ? npos : most - std::min(most, used);
    };
    return {.policy_calls = left(limit.policy_calls, spent.policy_calls),
            .reward_calls = left(limit.reward_calls, spent.reward_calls),
            .at_least = at_least};
  }

  /// Lets draws in, in index order, as far as the limits allow. Only called while nothing is in
  /// flight, so that what is let in never depends on the order of arrival. Where nothing is let in
  /// though something waits, `stop` says why.
  /// @param first  lane 0, which may let in one piece of work alone while spent < limit
  void admit(bool first) {
    const auto draws = round.results();
    std::size_t tokens = spent.tokens;  // with all that what has been let in may take
    std::size_t policy_calls = spent.policy_calls, reward_calls = spent.reward_calls;
    Stop reached = Stop::finished;
    while (admitted < draws.size()) {
      const Draw& draw = draws[admitted];
      const std::size_t most = most_tokens(draw.work);
      if (draw.to_generate && limit.tokens != npos) {
        const bool fits = most <= limit.tokens && tokens <= limit.tokens - most;
        const bool alone = first && in_flight == 0 && tokens < limit.tokens;
        if (!fits && !alone) reached = Stop::tokens;
      }
      if (draw.to_generate && policy_calls >= limit.policy_calls) reached = Stop::policy_calls;
      if (draw.to_score && reward_calls >= limit.reward_calls) reached = Stop::reward_calls;
      if (reached != Stop::finished) break;
      slots[admitted++].phase = draw.to_generate ? Phase::generating : Phase::scoring;
      ++in_flight;
      if (draw.to_generate) {
        ++policy_calls;
        tokens = most > npos - tokens ? npos : tokens + most;
      }
      if (draw.to_score) ++reward_calls;
    }
    if (in_flight > 0) return;
    if (reached == Stop::finished && admitted < round.asked()) {
      // The rest of the round was never kept, because no budget could let it in.
      const Round::Room left = room(0);
      reached = left.reward_calls <= left.policy_calls ? Stop::reward_calls : Stop::policy_calls;
    }
    stop = reached;
  }

  /// New tokens that a piece of work may take.
  [[nodiscard]] static std::size_t most_tokens(const Generation& work) {
    return std::min(work.max_tokens, work.until ? work.until->max_tokens : npos);
  }
};

}  // namespace detail
}  // namespace tilt

#pragma once

#include <algorithm>
#include <cstddef>

namespace tilt {

/// What a run has spent. Policy and reward are both counted, and so is work that was rejected.
struct Cost {
  std::size_t policy_calls = 0;      ///< generations completed, however they were batched
  std::size_t reward_calls = 0;      ///< responses scored
  std::size_t prompt_tokens = 0;     ///< tokens of prompts and prefixes needed, as the engine tells
  std::size_t cached_tokens = 0;     ///< of those, tokens that were not computed again
  std::size_t generated_tokens = 0;  ///< end tokens and rejected work included
  std::size_t lookahead_tokens = 0;  ///< positions looked at for their entropy and not emitted
  std::size_t rounds = 0;            ///< the most of any lane: the sequential depth
  double seconds = 0;                ///< wall clock from the start of the run
  /// Pieces of work that were run again, alone, because the call that they were merged into had failed
  /// as a whole. What such a call had spent nobody tells: it is in no other number.
  std::size_t retries = 0;

  /// Sums everything but `rounds` and `seconds`, of which the larger is kept: the runs went side by
  /// side.
  Cost& operator+=(const Cost& other) {
    policy_calls += other.policy_calls;
    reward_calls += other.reward_calls;
    prompt_tokens += other.prompt_tokens;
    cached_tokens += other.cached_tokens;
    generated_tokens += other.generated_tokens;
    lookahead_tokens += other.lookahead_tokens;
    rounds = std::max(rounds, other.rounds);
    seconds = std::max(seconds, other.seconds);
    retries += other.retries;
    return *this;
  }
};

}  // namespace tilt

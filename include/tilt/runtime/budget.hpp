#pragma once

#include <cstdint>
#include <stop_token>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// Why a run ended.
enum class Stop {
  finished,      ///< the method was done; its law holds
  tokens,        ///< `Budget::tokens` was spent
  policy_calls,  ///< `Budget::policy_calls` was spent
  reward_calls,  ///< `Budget::reward_calls` was spent
  seconds,       ///< `Budget::seconds` had passed
  cancelled,     ///< the stop token was triggered
  failed         ///< a draw failed and the run could not go on
};

[[nodiscard]] constexpr const char* name_of(Stop stop) noexcept {
  switch (stop) {
    case Stop::finished: return "finished";
    case Stop::tokens: return "tokens";
    case Stop::policy_calls: return "policy_calls";
    case Stop::reward_calls: return "reward_calls";
    case Stop::seconds: return "seconds";
    case Stop::cancelled: return "cancelled";
    case Stop::failed: return "failed";
  }
  return "unknown";
}

/// What one prompt's run may spend. Tokens and calls are split evenly over the sampler's lanes (the
/// first lanes take the remainder).
///
/// Calls are counted when work is let in, so that they are never exceeded. A lane lets a piece of work
/// in while what it has spent, and what its work in flight and this piece may take, stays within its
/// share of the tokens; lane 0 may let in one piece alone while it has spent less than its share. So a
/// run draws something, overshoots the limit by less than one piece of work in all, and may leave of
/// each other lane's share what is too little for a piece. A limit below lanes x tokens of a piece is
/// thus lane 0's alone. Work is let in by index, never by arrival. Seconds are looked at between calls
/// of the policy and the reward, and end a run with what it has drawn, scored or not.
struct Budget {
  std::size_t tokens = npos;  ///< generated tokens
  std::size_t policy_calls = npos, reward_calls = npos;
  double seconds = infinity;
};

enum class OnFailure {
  fail,    ///< the first failed draw ends the run
  survive  ///< go on without it, as long as `min_survivors` draws are left in the end
};

enum class OnNan {
  fail,   ///< a NaN or +infinite reward is a RewardError
  reject  ///< it counts as -infinity: never chosen or accepted while something finite is held
};

/// How to run, as opposed to what to sample.
struct RunOptions {
  std::uint64_t seed = 42, stream = 0;  ///< a run is a function of both; a batch uses stream + i
  Budget budget = {};
  std::stop_token stop = {};
  OnFailure on_failure = OnFailure::fail;
  std::size_t min_survivors = 1;  ///< with `survive`: fewer draws than this in the end is a failure
  OnNan on_nan = OnNan::fail;
};

/// @throws InvalidOption when a field is out of its range
inline void check_run_options(const RunOptions& options) {
  require_option(options.budget.seconds >= 0, "RunOptions.budget.seconds", options.budget.seconds,
                 "a number >= 0 (seconds)");
  require_at_least_one("RunOptions.min_survivors", options.min_survivors);
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cmath>

#include "tilt/core/log_math.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/last_state.hpp"

namespace tilt {

/// Options of `Rejection`.
struct RejectionOptions {
  double beta = 1;         ///< temperature of the reward, > 0: the reward is divided by it
  double ceiling = unset;  ///< the reward at which a draw is surely accepted; must be given
  std::size_t max_rejections = 20;  ///< after so many, one more draw ends the run; npos: never
  std::size_t max_tokens = 256;     ///< cap on each response, tokens
  SamplingLaw law = {};
  std::size_t parallel = 1;  ///< draws per round; the lowest that passes is returned
};

/// Rejection sampling of whole responses.
///
/// Law without the cap (`max_rejections` = npos): P(y) in proportion to
/// p(y) exp(min(r(y), ceiling)/beta), which is the tilted law exactly if no reward exceeds the
/// ceiling. With the cap of K rejections, the draw K+1, if it comes to that, ends the run with the
/// highest reward of all, earliest on ties; the stats then say `capped` = 1.
/// Accepts iff log u < (min(r, ceiling) - ceiling)/beta.
/// Cost: 1/A draws on average, A the base mean of exp((min(r, ceiling) - ceiling)/beta); each
/// wanted draw is generated and scored; with `parallel` = M a round draws M, and those behind the
/// returned one are wasted.
/// In the population the rejected draws have weight 0 and the returned one weight 1.
/// Edge cases: K = 0 is the base law; a reward of -infinity is always rejected; a failed draw
/// counts as a rejection. A run that is ended from outside returns the highest reward so far,
/// earliest on ties. Without a cap, and with nothing that can be accepted, only a budget ends the
/// run.
/// Stats: draws, capped, and of the KL of the law to the base law, nats: without the cap `kl`, with it
/// `kl_upper_bound`, log(K + 1), since the capped law has no estimate of its own. The estimate is
/// unbiased and, of one run, noisy: with draw N returned, and a_k the probability with which draw k is
/// accepted, log a_N + sum over k = 1 .. N of (1 - a_k)/k. For the KL is E[log a_N] - log A, and
/// sum_k P(N > k)/k = sum_k (1 - A)^k/k = -log A. Draws behind the returned one play no part, nor does
/// `parallel`; a run that returned no accepted draw has none.
/// @throws InvalidOption: from the constructor for numbers out of range; from the decoder or
/// session when the ceiling was never given
/// Source: von Neumann 1951; as the item-level baseline of CARDS (2406.16306), whose code adds the
/// length-dependent threshold of its segments; here the ceiling is flat, so that it cancels.
class Rejection {
 public:
  using DefaultSelector = LastState;
  struct State {
    Prompt prompt = {};
    std::size_t tried = 0;
    std::uint64_t best = npos;  ///< the id of the highest reward so far
    bool done = false, capped = false;
    std::size_t scored = 0;       ///< of the draws tried, those that have a reward
    double log_accepted = unset;  ///< log of the returned draw's probability of being accepted
    double rejecting = 0;         ///< sum over the scored draws k = 1, 2, ... of (1 - a_k)/k
  };

  explicit Rejection(RejectionOptions options = {}) : options_(std::move(options)) {
    require_positive("RejectionOptions.beta", options_.beta);
    require_option(!std::isinf(options_.ceiling), "RejectionOptions.ceiling", options_.ceiling,
                   "a finite number");
    require_count_or_npos("RejectionOptions.max_rejections", options_.max_rejections);
    require_count("RejectionOptions.max_tokens", options_.max_tokens);
    require_count("RejectionOptions.parallel", options_.parallel);
    check_law(options_.law, "RejectionOptions.law");
  }

  void check() const { require_finite("RejectionOptions.ceiling", options_.ceiling); }

  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, Round& round) const {
    if (state.done) return;
    const std::size_t left =
        options_.max_rejections == npos ? npos : options_.max_rejections + 1 - state.tried;
    for (std::size_t i = 0; i < std::min(options_.parallel, left); ++i) {
      round.sample({.prompt = state.prompt,
                    .max_tokens = options_.max_tokens,
                    .law = round.copy(options_.law)});
    }
  }

  void tell(State& state, Round& round) const {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      const DrawStatus status = round.draws()[i].status;
      if (status == DrawStatus::skipped) continue;
      const bool returned_before = state.done;
      const bool last = options_.max_rejections != npos && state.tried == options_.max_rejections;
      if (!returned_before) ++state.tried;
      if (status == DrawStatus::done) {
        const double reward = round.draws()[i].reward;
        Candidate candidate = round.take(i);
        candidate.weight = 0;
        const std::uint64_t id = round.emit(std::move(candidate));
        if (returned_before) continue;
        if (state.best == npos || reward > round.candidate(state.best).reward) state.best = id;
        const double log_accept = log_acceptance(reward);
        state.rejecting -= std::expm1(log_accept) / static_cast<double>(++state.scored);
        if (!last && round.random(accept_stream, i).log_uniform() < log_accept) {
          state.done = true;
          state.log_accepted = log_accept;
          round.add_weight(id, 1);
        }
      }
      if (last && !state.done) {
        state.done = true;
        state.capped = true;
        if (state.best != npos) round.add_weight(state.best, 1);
      }
    }
    if (round.closing() && !state.done && state.best != npos) round.add_weight(state.best, 1);
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    const State& state = states.front();
    Stats stats = {{"draws", static_cast<double>(state.tried)},
                   {"capped", state.capped ? 1.0 : 0.0}};
    if (options_.max_rejections != npos) {
      // The law is that of one of K + 1 base draws: at most K + 1 times as likely as in the base law.
      stats.emplace_back("kl_upper_bound",
                         std::log1p(static_cast<double>(options_.max_rejections)));
    } else if (!std::isnan(state.log_accepted)) {
      stats.emplace_back("kl", state.log_accepted + state.rejecting);
    }
    return stats;
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const RejectionOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t accept_stream = 1;

  // At most 0, nats.
  [[nodiscard]] double log_acceptance(double reward) const {
    return (std::min(reward, options_.ceiling) - options_.ceiling) / options_.beta;
  }

  RejectionOptions options_;
};

}  // namespace tilt

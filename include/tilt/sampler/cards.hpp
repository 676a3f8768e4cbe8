#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/last_state.hpp"
#include "tilt/stats/quantile.hpp"

namespace tilt {

/// Options of `Cards`.
struct CardsOptions {
  double beta = 0.7;           ///< temperature of the reward, > 0: the reward is divided by it
  double reward_goal = unset;  ///< the reward aimed at; must be given, or found by `pilot_draws`
  double alpha = 0.5;          ///< the first threshold lies so far between reward(prompt) and goal
  std::size_t max_rejections = 20;  ///< of one segment, then the best of all is taken; npos: no cap
  std::size_t parallel = 1;         ///< candidates per round; the lowest that passes is committed
  std::size_t max_tokens = 128;     ///< cap on the whole response, tokens
  SegmentRule segment = {};
  SamplingLaw law = {};
  bool official = false;  ///< threshold by the candidate's length and an unclipped last segment
  std::size_t pilot_draws = 0;  ///< draws that set a goal that was not given
  double pilot_quantile = 0.9;  ///< the quantile of the pilot draws' rewards that becomes the goal
};

/// The published settings for a 7B model on HH-RLHF, in parity with the authors' code.
/// @param reward_goal  hand-set by the authors for each reward model (8.5 for theirs)
[[nodiscard]] inline CardsOptions cards_paper(double reward_goal = unset) {
  return {.beta = 0.7,
          .reward_goal = reward_goal,
          .alpha = 0.5,
          .max_rejections = 20,
          .max_tokens = 128,
          .segment = {.entropy = 3.0, .min_tokens = 4, .max_tokens = 64},
          .law = {.temperature = 0.7, .top_k = 40},
          .official = true};
}

/// CARDS: builds a response out of segments, each drawn by rejection on the reward of the prefix.
///
///     r0 = (1 - alpha) reward(prompt, "") + alpha goal
///     while y is unfinished and |y| < max_tokens:
///       t = min(r0 + |y| (goal - r0)/max_tokens, goal)      frozen while the segment is sought
///       draw candidate segments g after y from p; accept iff log u < (reward(y g) - t)/beta
///       after max_rejections rejections, the next candidate ends the search: the best of all
///
/// Law of one segment without the cap: q(g|y) exp(min(R, t)/beta)/Z(y), with q the base law of
/// segments (`SegmentRule`) and R the reward of y g. The whole response has the tilted law
/// p(y) exp(r(y)/beta)/Z exactly if the reward of a prefix is its soft value and never exceeds t;
/// an error of at most e at inner ends changes the log-probability of a response of s segments by at
/// most (2s - 1)e/beta, and that of any by at most 2(S-1)e/beta, S the most segments of any response
/// that can be drawn: s - 1 rewards of its own, and a normaliser Z before each of its segments but where
/// all that can follow is finished.
/// With the cap of K, segment j of reward R_j has
/// P(j) = q_j a_j (1 - B^K)/A + (q_j / q) (G^K F - G'^K F'), where a_j is its acceptance,
/// A = sum q a, B = 1 - A, G = sum of q_i (1 - a_i) and F = sum of q_i over rewards up to R_j, G' and F'
/// over those below R_j, and q the sum of q_i over those equal to R_j, which also have its a (not with
/// `official`, whose threshold depends on the length).
/// `parallel` draws candidates side by side and commits the lowest index that passes: the same law.
///
/// Cost: about 1/A candidates per segment, generated and scored, and one scoring of the prompt
/// (none at alpha = 1). Committed prefixes are emitted with weight 0, the finished response with 1. Of
/// prefixes that hold more than `most_prefix_tokens` in all the newest takes the place of the one before,
/// so that memory is linear in the length; each candidate's work carries a copy of the prefix.
/// Edge cases: a response that ends by itself is a segment like any other; the last segment is
/// clipped at `max_tokens` and may be shorter than `min_tokens`; ties for the best go to the
/// earliest; a reward of -infinity is always rejected, and one of the bare prompt makes the
/// threshold flat at the goal; a failed candidate counts as a rejection, and if all of a segment's
/// candidates fail the run ends there. `pilot_draws` whole responses, drawn before and emitted with
/// weight 0, set a goal that was not given: a quantile of their rewards, -infinity left out; where
/// nothing is left the run ends with the pilots, and `Result::law_holds` is false. A run that is ended
/// from outside returns the longest committed prefix, or the best candidate of the first segment.
/// Without a cap, and with nothing that can be accepted, only a budget ends the run.
/// Stats: segments, candidates, acceptance, cap_rate (segments that ended by the cap), clip_rate
/// (candidates whose reward exceeded the threshold), reward_goal.
/// @throws InvalidOption: from the constructor for numbers out of range (counts: up to 2^20) or
/// contradictory; from the decoder or session when neither a goal nor pilot draws were given, the policy cannot serve an
/// entropy rule, or the reward cannot score prefixes
///
/// Source: Li et al. 2024 (2406.16306). Differs from the authors' code: the threshold is frozen at
/// the segment's start (theirs counts the candidate's length, which favours short segments), the
/// end token ends the response, the last segment is clipped, beta and temperature are two numbers,
/// and the prompt's own scoring is counted. `official` restores the first and the third.
class Cards {
 public:
  using DefaultSelector = LastState;
  static constexpr std::size_t most_prefix_tokens = 1u << 16;
  static constexpr Needs needs = {.policy = {.tokens = true, .ends = false},
                                  .partial_reward = true};

  struct State {
    Prompt prompt = {};
    double goal = unset;
    double first_threshold = unset;      ///< r0
    Response accepted = {};              ///< the committed prefix
    std::uint64_t committed = npos;      ///< the id of the candidate that holds it
    std::size_t prefix_tokens = 0;       ///< of all prefixes that were emitted
    std::size_t tried = 0;               ///< candidates of this segment so far
    std::optional<Candidate> best = {};  ///< of this segment's candidates
    bool done = false;
    bool finished = false;  ///< done with a finished response
    std::size_t segments = 0, capped = 0, candidates = 0, clipped = 0, accepts = 0;
  };

  explicit Cards(CardsOptions options = {}) : options_(std::move(options)) {
    const CardsOptions& o = options_;
    require_positive("CardsOptions.beta", o.beta);
    require_option(!std::isinf(o.reward_goal), "CardsOptions.reward_goal", o.reward_goal,
                   "a finite number");
    require_fraction("CardsOptions.alpha", o.alpha);
    require_count_or_npos("CardsOptions.max_rejections", o.max_rejections);
    require_count("CardsOptions.parallel", o.parallel);
    require_count("CardsOptions.max_tokens", o.max_tokens);
    require_count("CardsOptions.pilot_draws", o.pilot_draws, 0);
    require_fraction("CardsOptions.pilot_quantile", o.pilot_quantile);
    require_option(o.pilot_draws == 0 || std::isnan(o.reward_goal), "CardsOptions.pilot_draws",
                   o.pilot_draws, "0 when reward_goal is given");
    check_segment(o.segment, "CardsOptions.segment");
    check_law(o.law, "CardsOptions.law");
  }

  void check() const {
    if (options_.pilot_draws == 0) require_finite("CardsOptions.reward_goal", options_.reward_goal);
  }

  [[nodiscard]] Needs option_needs() const {
    Needs all = needs;
    all.policy.segments = options_.segment.needs_entropy();
    all.bare_prompt = options_.alpha < 1;
    return all;
  }

  [[nodiscard]] State start(const Prompt& prompt) const {
    return {.prompt = prompt, .goal = options_.reward_goal};
  }

  void ask(State& state, Round& round) const {
    if (state.done) return;
    if (round.index() == 0 && prepares()) {
      for (std::size_t i = 0; i < options_.pilot_draws; ++i) {
        round.sample(
            {.prompt = state.prompt, .max_tokens = options_.max_tokens, .law = options_.law});
      }
      if (options_.alpha < 1) round.score(state.prompt, Response{.finish = Finish::segment});
      return;
    }
    if (options_.alpha == 1) state.first_threshold = state.goal;
    for (std::size_t i = 0; i < std::min(options_.parallel, left(state)); ++i) {
      round.sample(segment_after(state, round));
    }
  }

  void tell(State& state, Round& round) const {
    if (round.index() == 0 && prepares()) {
      prepare(state, round);
      return;
    }
    for (std::size_t i = 0; i < round.draws().size() && !state.done; ++i) {
      const DrawStatus status = round.draws()[i].status;
      if (status == DrawStatus::skipped) continue;
      const bool last = left(state) == 1;
      ++state.tried;
      if (status == DrawStatus::done) {
        Candidate candidate = round.take(i);
        ++state.candidates;
        const double margin = candidate.reward - threshold(state, candidate.response);
        if (margin > 0) ++state.clipped;
        if (!last && round.random(accept_stream, i).log_uniform() < margin / options_.beta) {
          ++state.accepts;
          commit(state, round, std::move(candidate));
          return;  // what stands behind it was paid for and is not used
        }
        if (!state.best || candidate.reward > state.best->reward) {
          state.best = std::move(candidate);
        }
      }
      if (last) {
        if (!state.best) {
          state.done = true;  // every candidate has failed
        } else {
          ++state.capped;
          commit(state, round, std::move(*state.best));
        }
        return;
      }
    }
    // Ended from outside within the first segment: its best candidate is all there is.
    if (round.closing() && !state.done && state.committed == npos && state.best) {
      state.best->weight = 0;
      round.emit(std::move(*state.best));
    }
  }

  /// False where the run ended without a finished response of its own.
  [[nodiscard]] bool law_holds(std::span<const State> states) const {
    return states.front().finished;
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    const State& s = states.front();
    const auto share = [](std::size_t part, std::size_t whole) {
      return whole == 0 ? unset : static_cast<double>(part) / static_cast<double>(whole);
    };
    return {{"segments", static_cast<double>(s.segments)},
            {"candidates", static_cast<double>(s.candidates)},
            {"acceptance", share(s.accepts, s.candidates)},
            {"cap_rate", share(s.capped, s.segments)},
            {"clip_rate", share(s.clipped, s.candidates)},
            {"reward_goal", s.goal}};
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const CardsOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t accept_stream = 1;

  // Whether round 0 draws pilots or scores the prompt.
  [[nodiscard]] bool prepares() const { return options_.pilot_draws > 0 || options_.alpha < 1; }

  void prepare(State& state, Round& round) const {
    std::vector<double> pilot;
    double prompt_reward = unset;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      const Draw& draw = round.draws()[i];
      if (draw.status != DrawStatus::done) continue;
      if (!draw.to_generate) {
        prompt_reward = draw.reward;
        continue;
      }
      if (draw.reward > -infinity) pilot.push_back(draw.reward);
      Candidate candidate = round.take(i);
      candidate.weight = 0;
      round.emit(std::move(candidate));
    }
    if (options_.pilot_draws > 0) {
      state.goal = pilot.empty() ? unset : quantile(pilot, options_.pilot_quantile);
    }
    if (options_.alpha < 1) {
      state.first_threshold = prompt_reward == -infinity ? state.goal
                                                         : (1 - options_.alpha) * prompt_reward +
                                                               options_.alpha * state.goal;
    }
    // Without a goal or the prompt's reward there is no threshold; what failed is in the result.
    state.done = std::isnan(state.goal) || (options_.alpha < 1 && std::isnan(prompt_reward));
  }

  // Candidates of this segment that may still be tried, the one that ends the search included.
  [[nodiscard]] std::size_t left(const State& state) const {
    return options_.max_rejections == npos ? npos : options_.max_rejections + 1 - state.tried;
  }

  [[nodiscard]] Generation segment_after(const State& state, Round& round) const {
    Generation work{.prompt = state.prompt,
                    .prefix = state.accepted,
                    .max_tokens = options_.official ? options_.segment.max_tokens
                                                    : options_.max_tokens - state.accepted.size(),
                    .law = round.copy(options_.law)};
    if (options_.segment.needs_entropy()) {
      // With the rule's own cap, so that a full segment in mid-response is not taken for the end.
      work.until = options_.segment;
    } else {
      work.max_tokens = std::min(work.max_tokens, options_.segment.max_tokens);
    }
    return work;
  }

  [[nodiscard]] double threshold(const State& state, const Response& candidate) const {
    const std::size_t length = options_.official ? candidate.size() : state.accepted.size();
    const double r0 = state.first_threshold;
    return std::min(r0 + static_cast<double>(length) * (state.goal - r0) /
                             static_cast<double>(options_.max_tokens),
                    state.goal);
  }

  void commit(State& state, Round& round, Candidate candidate) const {
    ++state.segments;
    state.done = candidate.response.finish == Finish::stop ||
                 candidate.response.size() >= options_.max_tokens;
    if (state.done && candidate.response.finish == Finish::segment) {
      candidate.response.finish = Finish::length;
    } else if (!state.done) {
      candidate.response.finish = Finish::segment;
    }
    state.finished = state.done;
    state.tried = 0;
    state.best.reset();
    round.settle(candidate.response.tokens);
    candidate.weight = state.done ? 1 : 0;
    if (!state.done) {
      state.accepted = candidate.response;
      state.prefix_tokens += candidate.response.size();
      if (state.committed != npos && state.prefix_tokens > most_prefix_tokens) {
        candidate.parent = round.candidate(state.committed).parent;
        round.replace(state.committed, std::move(candidate));
        return;
      }
    }
    candidate.parent = state.committed;
    state.committed = round.emit(std::move(candidate));
  }

  CardsOptions options_;
};

}  // namespace tilt

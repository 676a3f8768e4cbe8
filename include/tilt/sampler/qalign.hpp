#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/selector/last_state.hpp"
#include "tilt/stats/ess.hpp"
#include "tilt/stats/kl.hpp"
#include "tilt/stats/r_hat.hpp"

namespace tilt {

/// Options of `QAlign`.
struct QAlignOptions {
  double beta = 1;               ///< temperature of the reward, > 0: the reward is divided by it
  std::size_t steps = 128;       ///< rounds of a chain after its start
  std::size_t chains = 1;        ///< independent chains, which wait for nothing of each other
  std::size_t fork = 1;          ///< suffixes from one cut in a round, tried one after the other
  std::size_t burn_in = 0;       ///< leading states of each chain that get weight 0
  std::size_t max_tokens = 256;  ///< cap on the whole response, tokens
  SamplingLaw law = {};
  std::size_t initial_draws = 0;  ///< start from one of so many draws, resampled by exp(r/beta)
  double restart = 0;             ///< probability of a cut at 0 before the uniform cut, [0, 1]
  bool recycle = false;           ///< weigh every proposal by its acceptance probability
};

/// QAlign: a Markov chain over responses that keeps a prefix and draws the rest anew.
///
/// Law: the chain leaves pi(y) proportional to p(y) exp(r(y)/beta) unchanged and converges to it, p
/// the base law with a forced stop at `max_tokens`. `LastState` returns the state after the last
/// step; votes and averages are over all states.
///
///     y ~ p                                       (or one of initial_draws, by exp(r/beta))
///     repeat steps times:
///       cut i: 0 with probability restart, else uniform on 0 .. n-1   n = |y|, end token included
///       draw fork suffixes after y[0, i), each from p, at most max_tokens - i tokens
///       for each y' in turn:
///         accept iff log u < (r(y') - r(y))/beta + log c(i|n') - log c(i|n)
///
/// with c(i|n) = restart [i = 0] + (1 - restart)/n the law of the cut; without restarts its ratio
/// is the old length over the new one. Every sub-step is a state: a chain has 1 + steps * fork of
/// them.
///
/// In the population each accepted state is one candidate, and each further sub-step spent in it
/// adds 1 to its weight; the first `burn_in` states count 0. With `initial_draws` the draws that
/// were not chosen are kept with weight 0. The best proposal of a chain that was rejected, where its
/// reward is higher than all that the chain emitted, comes last, with weight 0 (not in a run that is
/// ended within the burn-in). Candidates of weight 0 are spare: `HighestReward` over the population
/// finds the best response that was paid for. With `recycle` every proposal is a candidate whose
/// weight is its acceptance probability, and the state it was proposed from gains the rest: lower
/// variance for votes and averages, but no chain states, so that `LastState` and `HighestReward`
/// refuse.
///
/// Cost of a chain: 1 (or `initial_draws`) + steps * fork generations and scorings; a suffix has
/// half a response on average. Sequential depth steps + 1.
/// Edge cases: a response cut at `max_tokens` is a legal state; an identical suffix is accepted and
/// does not move; rewards of -infinity are left at once; a failed draw skips its sub-step, a failed
/// start is tried again in the next round.
/// Stats: acceptance, moved share, acceptance by tenth of the response in which the cut lay; split
/// R-hat and effective sample size of the reward over the chains; with `initial_draws` an estimate
/// of the KL to the base law, nats.
/// @throws InvalidOption from the constructor: a number out of range (counts: up to 2^20, chains up to
/// 65536), burn_in not below the number of states
///
/// Source: Faria and Smith 2025 (2504.03790), after QUEST (2406.00049); forks: repeated
/// independence Metropolis-Hastings given the cut. Differs from the authors' code: the cap is on
/// the whole response and not on the suffix, so that reverse moves exist; rewards are never
/// recomputed; tokens are never decoded and re-tokenised; the state, not the proposal, is what is
/// recorded; streams are seeded.
class QAlign {
 public:
  using DefaultSelector = LastState;
  static constexpr Needs needs = {.policy = {.tokens = true}};
  static constexpr std::size_t tenths = 10;

  struct State {
    Prompt prompt = {};
    std::optional<Candidate> current = {};
    std::size_t step = 0;
    std::size_t cut = 0;     ///< of the round in flight
    std::size_t states = 0;  ///< of the chain so far
    std::size_t accepted = 0, moved = 0;
    std::array<std::size_t, tenths> tried_at = {}, accepted_at = {};  ///< by tenth of the cut
    std::vector<double> base_rewards = {};                            ///< of the initial draws
    double best = unset;  ///< the highest reward of what was emitted
    std::optional<Candidate> rejected =
        {};  ///< the best proposal that was rejected, if better still
  };

  explicit QAlign(QAlignOptions options = {}) : options_(std::move(options)) {
    const QAlignOptions& o = options_;
    require_positive("QAlignOptions.beta", o.beta);
    require_count("QAlignOptions.steps", o.steps, 0);
    require_count("QAlignOptions.chains", o.chains, 1, std::size_t{1} << 16);
    require_count("QAlignOptions.fork", o.fork);
    require_count("QAlignOptions.max_tokens", o.max_tokens);
    require_count("QAlignOptions.initial_draws", o.initial_draws, 0);
    require_option(o.burn_in <= o.steps * o.fork, "QAlignOptions.burn_in", o.burn_in,
                   "at most steps * fork, or no state is left");
    require_fraction("QAlignOptions.restart", o.restart);
    check_law(o.law, "QAlignOptions.law");
  }

  [[nodiscard]] std::size_t lanes() const noexcept { return options_.chains; }
  [[nodiscard]] bool emits_states() const noexcept { return !options_.recycle; }

  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, Round& round) const {
    if (!state.current) {
      if (round.index() > options_.steps) return;  // every start has failed
      for (std::size_t i = 0; i < std::max<std::size_t>(1, options_.initial_draws); ++i) {
        round.sample(
            {.prompt = state.prompt, .max_tokens = options_.max_tokens, .law = options_.law});
      }
      return;
    }
    if (state.step == options_.steps) return;
    state.cut = draw_cut(state.current->response.size(), round.random(cut_stream));
    Response prefix = state.current->response.first(state.cut);
    for (std::size_t j = 0; j < options_.fork; ++j) {
      round.sample({.prompt = state.prompt,
                    .prefix = j + 1 < options_.fork ? prefix : std::move(prefix),
                    .max_tokens = options_.max_tokens - state.cut,
                    .law = round.copy(options_.law)});
    }
  }

  void tell(State& state, Round& round) const {
    if (!state.current) {
      begin_chain(state, round);
      return;
    }
    for (std::size_t j = 0; j < round.draws().size(); ++j) {
      if (round.draws()[j].status == DrawStatus::done) sub_step(state, round, j);
    }
    ++state.step;
    // Within the burn-in no state has a weight yet: the last candidate is to be the last state.
    const bool counts = state.states > options_.burn_in;
    if (state.rejected && counts && (state.step == options_.steps || round.closing())) {
      round.emit(std::move(*state.rejected));
      state.rejected.reset();
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> chains, const Population& population) const {
    std::array<std::size_t, tenths> tried_at{}, accepted_at{};
    std::size_t tried = 0, accepted = 0, moved = 0;
    std::vector<double> base_rewards;
    for (const State& chain : chains) {
      accepted += chain.accepted;
      moved += chain.moved;
      for (std::size_t i = 0; i < tenths; ++i) {
        tried += chain.tried_at[i];
        tried_at[i] += chain.tried_at[i];
        accepted_at[i] += chain.accepted_at[i];
      }
      base_rewards.insert(base_rewards.end(), chain.base_rewards.begin(), chain.base_rewards.end());
    }
    const auto share = [](std::size_t part, std::size_t whole) {
      return whole == 0 ? unset : static_cast<double>(part) / static_cast<double>(whole);
    };
    Stats stats = {{"acceptance", share(accepted, tried)}, {"moved", share(moved, tried)}};
    for (std::size_t i = 0; i < tenths; ++i) {
      stats.emplace_back("acceptance_cut_" + std::to_string(i), share(accepted_at[i], tried_at[i]));
    }
    if (!options_.recycle) {
      const std::vector<std::vector<double>> series = reward_series(population);
      stats.emplace_back("split_r_hat", split_r_hat(series));
      stats.emplace_back("chain_ess", chain_ess(series));
    }
    if (options_.initial_draws > 0) {
      stats.emplace_back("kl", kl_estimate(population, base_rewards, options_.beta));
    }
    return stats;
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const QAlignOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t cut_stream = 1, accept_stream = 2, start_stream = 3;

  [[nodiscard]] std::size_t draw_cut(std::size_t length, Random random) const {
    if (options_.restart > 0 && random.uniform() < options_.restart) return 0;
    return static_cast<std::size_t>(random.below(length));
  }

  // log of c(cut|length); every cut that was drawn is below both lengths.
  [[nodiscard]] double log_cut_law(std::size_t cut, std::size_t length) const {
    const double uniform = (1 - options_.restart) / static_cast<double>(length);
    return std::log(cut == 0 ? options_.restart + uniform : uniform);
  }

  // Weight 1 for a state that counts, 0 within the burn-in.
  [[nodiscard]] double state_weight(std::size_t state) const {
    return state >= options_.burn_in ? 1 : 0;
  }

  void begin_chain(State& state, Round& round) const {
    std::vector<std::size_t> done;
    double best = -infinity;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done) continue;
      done.push_back(i);
      best = std::max(best, round.draws()[i].reward);
      state.base_rewards.push_back(round.draws()[i].reward);
    }
    if (done.empty()) return;
    std::size_t chosen = 0;  // also where every reward is -infinity
    if (done.size() > 1 && best > -infinity) {
      // Differences, which are at most 0: reward / beta itself may overflow.
      std::vector<double> log_weights;
      for (const std::size_t i : done) {
        log_weights.push_back((round.draws()[i].reward - best) / options_.beta);
      }
      chosen = round.random(start_stream).categorical(log_weights);
    }
    for (std::size_t i = 0; i < done.size(); ++i) {
      if (i == chosen) continue;
      Candidate other = round.take(done[i]);
      other.weight = 0;
      emit(state, round, std::move(other));
    }
    Candidate first = round.take(done[chosen]);
    first.weight = state_weight(0);
    state.states = 1;
    enter(state, round, std::move(first));
  }

  void sub_step(State& state, Round& round, std::size_t j) const {
    Candidate& current = *state.current;
    Candidate proposal = round.take(j);
    const std::size_t length = current.response.size();
    const double log_ratio = reward_difference(proposal.reward, current.reward) / options_.beta +
                             log_cut_law(state.cut, proposal.response.size()) -
                             log_cut_law(state.cut, length);
    const bool accept = round.random(accept_stream, j).log_uniform() < log_ratio;
    const std::size_t tenth = std::min(tenths - 1, state.cut * tenths / length);
    const double weight = state_weight(state.states++);
    ++state.tried_at[tenth];
    if (accept) {
      ++state.accepted;
      ++state.accepted_at[tenth];
      if (proposal.response.tokens != current.response.tokens) ++state.moved;
    }
    proposal.parent = current.id;
    if (options_.recycle) {
      const double probability = std::exp(std::min(0.0, log_ratio));
      round.add_weight(current.id, weight * (1 - probability));
      proposal.weight = weight * probability;
      if (accept) {
        enter(state, round, std::move(proposal));
      } else {
        emit(state, round, std::move(proposal));
      }
    } else if (accept) {
      proposal.weight = weight;
      enter(state, round, std::move(proposal));
    } else {
      round.add_weight(current.id, weight);
      if (better_reward(proposal.reward, state.best) &&
          (!state.rejected || proposal.reward > state.rejected->reward)) {
        proposal.weight = 0;
        proposal.spare = true;
        state.rejected = std::move(proposal);
      }
    }
  }

  static void enter(State& state, Round& round, Candidate candidate) {
    state.current = candidate;
    state.current->id = emit(state, round, std::move(candidate));
  }
  // What has no weight may still be the best that was paid for.
  static std::uint64_t emit(State& state, Round& round, Candidate candidate) {
    candidate.spare = !(candidate.weight > 0);
    if (better_reward(candidate.reward, state.best)) state.best = candidate.reward;
    if (state.rejected && !better_reward(state.rejected->reward, state.best)) {
      state.rejected.reset();
    }
    return round.emit(std::move(candidate));
  }

  // The rewards of each chain's counted states, repeats included.
  [[nodiscard]] static std::vector<std::vector<double>> reward_series(
      const Population& population) {
    std::vector<std::vector<double>> series(population.lanes());
    for (const Candidate& candidate : population) {
      series[candidate.lane].insert(series[candidate.lane].end(),
                                    static_cast<std::size_t>(candidate.weight), candidate.reward);
    }
    return series;
  }

  QAlignOptions options_;
};

}  // namespace tilt

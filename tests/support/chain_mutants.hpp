#pragma once

// A chain over responses written a second time and as plainly as can be, with the bugs that chains
// of this kind have shipped with. Without a bug it passes what QAlign passes, so that where a
// mutant fails it is the bug that is seen.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "support/chain_kernel.hpp"
#include "support/toy.hpp"
#include "tilt/core/log_math.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/last_state.hpp"

enum class ChainBug {
  none,
  // in the acceptance
  no_length_term,        ///< exp(dr/beta) alone
  inverted_length_term,  ///< new length over old
  proposal_without_end,  ///< the proposal's length does not count its end token, the state's does
  restart_left_out,      ///< cuts restart, the ratio does not know
  mean_likelihood,       ///< a tempered proposal corrected by mean instead of summed log-probs
  // in the cut
  cut_after_end,     ///< uniform on 0 .. n, with the ratio of 0 .. n-1
  front_loaded_cut,  ///< proportional to 1/(i+1), with the ratio of the uniform law
  cut_of_content,    ///< uniform on the tokens before the end token, with n counting it
  cut_in_blocks,     ///< multiples of 2 below 2 floor(n/2), with floor(n/2) in the ratio
  // in what is asked for
  suffix_cap,     ///< max_tokens for the suffix, whole responses up to `context`
  shrinking_cap,  ///< at most as long as the state
  // in the steps
  fork_against_first,  ///< each of a fork's proposals is held against the round's first state
  fresh_only,          ///< a fork's next state is drawn among the fresh ones
  // in what is recorded
  proposal_recorded,  ///< the proposal stands in the record also when it was rejected
  repeats_dropped,    ///< a state counts once however long the chain stayed
  rest_dropped,       ///< recycled: the state does not gain what the proposal lacks
};

struct MutantOptions {
  ChainBug bug = ChainBug::none;
  double beta = 1;
  std::size_t steps = 1, fork = 1, burn_in = 0, max_tokens = 4;
  double restart = 0;
  bool recycle = false;
  tilt::SamplingLaw law = {};
  std::size_t context = 8;  ///< of `suffix_cap`
};

class MutantChain {
 public:
  using DefaultSelector = tilt::LastState;
  struct State {
    std::optional<tilt::Candidate> current = {};
    std::size_t step = 0, cut = 0, states = 0;
  };

  explicit MutantChain(MutantOptions options) : o_(std::move(options)) {}

  [[nodiscard]] State start(const tilt::Prompt&) const { return {}; }

  void ask(State& state, tilt::Round& round) const {
    if (!state.current) {
      round.sample({.max_tokens = o_.max_tokens, .law = o_.law});
      return;
    }
    tilt::Random random = round.random(1);
    for (; state.step < o_.steps; ++state.step) {
      const tilt::Response& y = state.current->response;
      std::vector<double> log_law = cut_law(y);
      for (double& p : log_law) p = std::log(p);
      state.cut = random.categorical(log_law);
      if (state.cut < y.size()) break;
      ++state.states;
      round.add_weight(state.current->id, 1);
    }
    if (state.step == o_.steps) return;
    const tilt::Response& y = state.current->response;
    std::size_t most = o_.max_tokens - state.cut;
    if (o_.bug == ChainBug::suffix_cap) most = std::min(o_.max_tokens, o_.context - state.cut);
    if (o_.bug == ChainBug::shrinking_cap) most = y.size() - state.cut;
    for (std::size_t j = 0; j < o_.fork; ++j) {
      round.sample({.prefix = y.first(state.cut), .max_tokens = most, .law = o_.law});
    }
  }

  void tell(State& state, tilt::Round& round) const {
    if (!state.current) {
      state.states = 1;
      enter(state, round, weighed(round.take(0), counts(0)));
      return;
    }
    ++state.step;
    if (o_.bug == ChainBug::fresh_only) {
      std::vector<double> log_weights;
      for (const tilt::Draw& draw : round.draws()) {
        log_weights.push_back(draw.reward / o_.beta -
                              std::log(static_cast<double>(draw.response.size())));
      }
      enter(state, round, round.take(round.random(3).categorical(log_weights)));
      return;
    }
    const tilt::Candidate first = *state.current;
    for (std::size_t j = 0; j < round.draws().size(); ++j) {
      if (round.draws()[j].status != tilt::DrawStatus::done) continue;
      const tilt::Candidate& from = o_.bug == ChainBug::fork_against_first ? first : *state.current;
      tilt::Candidate proposal = round.take(j);
      proposal.parent = state.current->id;
      const double log_ratio = tilt::reward_difference(proposal.reward, from.reward) / o_.beta +
                               log_factor(from.response, proposal.response, state.cut);
      const bool accept = round.random(2, j).log_uniform() < log_ratio;
      const double weight = counts(state.states++);
      if (o_.recycle) {
        const double probability = std::exp(std::min(0.0, log_ratio));
        if (o_.bug != ChainBug::rest_dropped) {
          round.add_weight(state.current->id, weight * (1 - probability));
        }
        proposal.weight = weight * probability;
        accept ? enter(state, round, std::move(proposal)) : void(round.emit(std::move(proposal)));
      } else if (accept) {
        enter(state, round, weighed(std::move(proposal), weight));
      } else if (o_.bug == ChainBug::proposal_recorded) {
        round.emit(weighed(std::move(proposal), weight));
      } else if (o_.bug != ChainBug::repeats_dropped) {
        round.add_weight(state.current->id, weight);
      }
    }
  }

  /// The law that cuts are drawn from; the last entry, if there are n + 1, means no move.
  [[nodiscard]] std::vector<double> cut_law(const tilt::Response& y) const {
    const std::size_t n = y.size();
    const auto uniform = [](std::size_t among) {
      return std::vector<double>(among, 1 / static_cast<double>(among));
    };
    std::vector<double> law = uniform(n);
    if (o_.bug == ChainBug::cut_after_end) return uniform(n + 1);
    if (o_.bug == ChainBug::front_loaded_cut) {
      double total = 0;
      for (std::size_t i = 0; i < n; ++i) total += law[i] = 1 / static_cast<double>(i + 1);
      for (double& p : law) p /= total;
    }
    if (o_.bug == ChainBug::cut_of_content && y.tokens.back() == toy::end) law = uniform(n - 1);
    if (o_.bug == ChainBug::cut_in_blocks) {
      const std::size_t blocks = std::max<std::size_t>(1, n / 2);
      law.assign(n, 0);
      for (std::size_t k = 0; k < blocks; ++k) law[2 * k] = 1 / static_cast<double>(blocks);
    }
    if (law.empty()) {  // nowhere to cut
      law.assign(n + 1, 0);
      law[n] = 1;
    }
    if (o_.restart > 0) {
      for (double& p : law) p *= 1 - o_.restart;
      law[0] += o_.restart;
    }
    return law;
  }

 private:
  [[nodiscard]] double log_factor(const tilt::Response& from, const tilt::Response& to,
                                  std::size_t cut) const {
    const auto length = [](const tilt::Response& y) { return static_cast<double>(y.size()); };
    const auto plain = [&](const tilt::Response& y) {
      const double law = (1 - o_.restart) / length(y);
      return std::log(cut == 0 ? law + o_.restart : law);
    };
    switch (o_.bug) {
      case ChainBug::no_length_term:
        return 0;
      case ChainBug::inverted_length_term:
        return plain(from) - plain(to);
      case ChainBug::restart_left_out:
      case ChainBug::front_loaded_cut:
      case ChainBug::cut_after_end:
      case ChainBug::cut_of_content:
        return std::log(length(from) / length(to));
      case ChainBug::proposal_without_end: {
        const double ended = to.tokens.back() == toy::end ? 1 : 0;
        return std::log(length(from) / std::max(1.0, length(to) - ended));
      }
      case ChainBug::cut_in_blocks:
        return std::log(std::max(1.0, std::floor(length(from) / 2)) /
                        std::max(1.0, std::floor(length(to) / 2)));
      case ChainBug::mean_likelihood:
        return plain(to) - plain(from) + mean_correction(to, cut) - mean_correction(from, cut);
      default:
        return plain(to) - plain(from);
    }
  }

  // The mean over the suffix of the log-probs of the model minus those of the proposal.
  static double mean_correction(const tilt::Response& y, std::size_t cut) {
    double sum = 0;
    for (std::size_t i = cut; i < y.size(); ++i) sum += y.raw_log_probs[i] - y.log_probs[i];
    return sum / static_cast<double>(y.size() - cut);
  }

  [[nodiscard]] double counts(std::size_t states_before) const {
    return states_before >= o_.burn_in ? 1 : 0;
  }
  static tilt::Candidate weighed(tilt::Candidate candidate, double weight) {
    candidate.weight = weight;
    return candidate;
  }
  static void enter(State& state, tilt::Round& round, tilt::Candidate candidate) {
    state.current = candidate;
    state.current->id = round.emit(std::move(candidate));
  }

  MutantOptions o_;
};

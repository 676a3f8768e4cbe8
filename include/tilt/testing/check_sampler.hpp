#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/random.hpp"
#include "tilt/policy/logit_policy.hpp"
#include "tilt/reward/reward_function.hpp"
#include "tilt/runtime/session.hpp"
#include "tilt/testing/violations.hpp"

namespace tilt::testing {

/// How to check a sampler.
struct SamplerCheck {
  Prompt prompt = "x";
  std::size_t runs = 8;           ///< random orders of arrival, patterns of failure and ends to try
  std::size_t most_draws = 1000;  ///< a run that asks for more is ended from outside
  std::uint64_t seed = 1;
};

/// Checks a sampler against the semantics of the concept; made by `check_sampler`.
template <Sampler S, Policy P, RewardModel R>
class SamplerChecker {
 public:
  SamplerChecker(const S& sampler, P& policy, R& reward, SamplerCheck options)
      : sampler_(sampler), policy_(policy), reward_(reward), options_(std::move(options)) {
    require_at_least_one("SamplerCheck.runs", options_.runs);
    require_at_least_one("SamplerCheck.most_draws", options_.most_draws);
    check_options(sampler);
  }

  std::vector<std::string> run() {
    const Population expected = drive({});
    expected_draws_ = draws_;
    require_same(expected, drive({}), "the same seed gives the same candidates");
    require_same(expected, drive({.with_copies = true}),
                 "a State is a value: what becomes of a copy does not change the original");
    check_failures();
    check_endings();
    check_arrival();
    return std::move(violations_).sentences();
  }

 private:
  using State = typename S::State;
  struct Lane {
    State state;
    Round round = {};
    bool finished = false;
  };
  // Which draws are done: all but those that fail, up to where the run is ended.
  struct Plan {
    std::uint64_t fail_seed = 0;  // 0: none fails
    double fail_share = 0;
    std::size_t end_after = npos;  // draws
    bool with_copies = false;
  };

  // A failed or skipped draw gets a response that no policy gives, with the best of all rewards; the
  // sampler must not look at it.
  static constexpr Token never_drawn = -7;
  static constexpr const char* never_said = "\x01 a draw that is not done \x01";

  static void spoil(Draw& draw, DrawStatus status) {
    draw.status = status;
    const std::string text = never_said;
    draw.response = {.tokens = std::vector<Token>(8, never_drawn), .text = text};
    for (std::size_t i = 1; i <= 8; ++i) {
      draw.response.ends.push_back(static_cast<std::uint32_t>(text.size() * i / 8));
    }
    draw.reward = draw.raw_reward = 1e9;
  }
  static bool is_spoilt(const Response& y) {
    return std::find(y.tokens.begin(), y.tokens.end(), never_drawn) != y.tokens.end() ||
           y.text.find(never_said) != std::string::npos;
  }
  static bool is_spoilt(const Prompt& prompt) {
    if (prompt.text().find(never_said) != std::string_view::npos) return true;
    for (const Message& message : prompt.messages()) {
      if (message.content.find(never_said) != std::string::npos) return true;
    }
    const TokenSpan tokens = prompt.tokens();
    return std::find(tokens.begin(), tokens.end(), never_drawn) != tokens.end();
  }

  static std::string show(const Generation& work) {
    return "work on the prompt " + describe(work.prompt) + " with a prefix of " +
           std::to_string(work.prefix.size()) + " tokens and max_tokens " +
           std::to_string(work.max_tokens);
  }

  Response answer(const Generation& work) {
    Response out;
    policy_.generate({&work, 1}, {&out, 1});
    return out;
  }
  double score(const Scoring& work) {
    double out = unset;
    reward_.score({&work, 1}, {&out, 1});
    return out;
  }

  void fulfil(Draw& draw) {
    if (draw.to_generate) {
      draw.response = draw.work.prefix;
      draw.response.append(answer(draw.work));
    }
    if (draw.to_score) {
      draw.reward = draw.raw_reward = score({&draw.work.prompt, &draw.response});
    }
    draw.status = DrawStatus::done;
  }

  void check_work(const Draw& draw) {
    const std::string where = show(draw.work);
    violations_.require(
        !is_spoilt(draw.work.prefix) && !is_spoilt(draw.work.prompt) && !is_spoilt(draw.response),
        "a draw that is not done is never used again", where);
    if (!draw.to_generate) return;
    violations_.require(draw.work.max_tokens >= 1, "max_tokens of what is asked for is at least 1",
                        where);
    if constexpr (requires(Token token) { policy_.is_end(token); }) {
      violations_.require(
          draw.work.prefix.tokens.empty() || !policy_.is_end(draw.work.prefix.tokens.back()),
          "a response that has ended is not continued", where);
    }
    try {
      check_law(draw.work.law, "Generation.law");
      if (draw.work.until) check_segment(*draw.work.until, "Generation.until");
    } catch (const InvalidOption& e) {
      violations_.add("what is asked for is legal", e.what());
    }
  }

  void check_candidates(const Population& population) {
    for (const Candidate& candidate : population) {
      violations_.require(!is_spoilt(candidate.response) && candidate.reward != 1e9,
                          "a draw that is not done never becomes a candidate",
                          "candidate " + std::to_string(candidate.id) + " of lane " +
                              std::to_string(candidate.lane));
      violations_.require(candidate.weight >= 0 && candidate.weight < infinity,
                          "weights are finite and not negative",
                          "a candidate has weight " + to_text(candidate.weight));
    }
  }

  // Runs the sampler without a session, lane by lane. What throws is the sampler, or a violation.
  Population drive(const Plan& plan) {
    Population population;
    draws_ = 0;
    try {
      std::vector<Lane> lanes;
      for (std::size_t i = 0; i < lanes_of(sampler_); ++i) {
        lanes.push_back({sampler_.start(options_.prompt)});
      }
      bool running = !lanes.empty();
      for (std::size_t index = 0; running; ++index) {
        running = false;
        for (std::size_t l = 0; l < lanes.size(); ++l) {
          if (lanes[l].finished) continue;
          step(lanes[l], population, l, index, plan);
          if constexpr (SharesFirstRound<S>) {
            for (std::size_t i = 1; l == 0 && index == 0 && i < lanes.size(); ++i) {
              sampler_.share(lanes[0].state, lanes[i].state);
            }
          }
          running = running || !lanes[l].finished;
        }
      }
    } catch (const std::exception& e) {
      violations_.add("start, ask, tell and stats do not throw", e.what());
    }
    check_candidates(population);
    return population;
  }

  void step(Lane& lane, Population& population, std::size_t l, std::size_t index,
            const Plan& plan) {
    if (plan.with_copies) {
      State state = lane.state;
      Population others = population;
      Round round;
      round.begin(others, options_.seed, static_cast<std::uint32_t>(l), index, 0);
      sampler_.ask(state, round);
      for (Draw& draw : round.results()) fulfil(draw);
      if (!round.draws().empty()) sampler_.tell(state, round);
    }
    lane.round.begin(population, options_.seed, static_cast<std::uint32_t>(l), index, 0);
    sampler_.ask(lane.state, lane.round);
    lane.finished = lane.round.draws().empty();
    if (lane.finished) return;
    for (Draw& draw : lane.round.results()) {
      check_work(draw);
      const std::size_t number = draws_++;
      if (number >= std::min(plan.end_after, options_.most_draws)) {
        spoil(draw, DrawStatus::skipped);
        lane.round.close();
      } else if (plan.fail_seed != 0 &&
                 Random(plan.fail_seed, number).uniform() < plan.fail_share) {
        spoil(draw, DrawStatus::failed);
      } else {
        fulfil(draw);
      }
    }
    sampler_.tell(lane.state, lane.round);
    lane.finished = lane.round.closing();
  }

  void check_failures() {
    for (std::uint64_t run = 1; run <= options_.runs; ++run) {
      (void)drive({.fail_seed = run, .fail_share = 0.3});
    }
    const Population none = drive({.fail_seed = 1, .fail_share = 1});
    violations_.require(none.empty(), "where every draw fails there is no candidate",
                        std::to_string(none.size()) + " were emitted");
  }

  void check_endings() {
    const std::size_t draws = std::min(expected_draws_, options_.most_draws);
    for (std::size_t end = 0; end < std::min(draws, options_.runs); ++end) {
      const Population part = drive({.end_after = end});
      violations_.require(end > 0 || part.empty(), "where no draw is done there is no candidate",
                          std::to_string(part.size()) + " were emitted");
    }
    for (std::uint64_t run = 0; run < options_.runs && draws > 0; ++run) {
      Random random(options_.seed, run, 1);
      (void)drive({.fail_seed = run + 1,
                   .fail_share = 0.2,
                   .end_after = static_cast<std::size_t>(random.below(draws))});
    }
  }

  // Sessions whose work is done in different orders.
  void check_arrival() {
    const RunOptions options = {
        .seed = options_.seed,
        .budget = {.policy_calls = options_.most_draws, .reward_calls = options_.most_draws}};
    const Population expected = arrive(options, 0);
    for (std::uint64_t order = 1; order <= options_.runs; ++order) {
      require_same(expected, arrive(options, order),
                   "candidates do not depend on the order in which results arrive");
    }
    // Two runs of one sampler object side by side.
    try {
      Session<S> one(sampler_, options_.prompt, options);
      RunOptions others = options;
      others.stream = 1;
      Session<S> other(sampler_, "another prompt", others);
      while (supply_one(one, 0)) supply_one(other, 0);
      require_no_fault(one);
      require_no_fault(other);
      require_same(expected, one.candidates(),
                   "a sampler keeps nothing outside its State: runs side by side are apart");
    } catch (const std::exception& e) {
      violations_.add("start, ask, tell and stats do not throw", e.what());
    }
    // A run that is stopped is finished, with what it has.
    for (std::size_t end = 0; end < options_.runs; ++end) {
      std::stop_source source;
      RunOptions stopped = options;
      stopped.stop = source.get_token();
      try {
        Session<S> session(sampler_, options_.prompt, stopped);
        for (std::size_t i = 0; i < end && !session.finished(); ++i) supply_one(session, end);
        source.request_stop();
        violations_.require(session.pending().empty() && session.finished(),
                            "a run that is stopped asks for nothing more");
        require_no_fault(session);
        check_candidates(session.result(AnyAnswer{}).candidates);
      } catch (const std::exception& e) {
        violations_.add("start, ask, tell and stats do not throw", e.what());
      }
    }
  }

  // @param order  0: first come, first served; else a random order
  Population arrive(const RunOptions& options, std::uint64_t order) {
    try {
      Session<S> session(sampler_, options_.prompt, options);
      while (supply_one(session, order)) {
      }
      require_no_fault(session);
      return session.candidates();
    } catch (const std::exception& e) {
      violations_.add("start, ask, tell and stats do not throw", e.what());
      return {};
    }
  }

  // A session takes what a sampler throws for a failure of the run.
  void require_no_fault(const Session<S>& session) {
    for (const Failure& failure : session.result(AnyAnswer{}).failures) {
      if (failure.part != FailedPart::sampler) continue;
      violations_.add("start, ask, tell and stats do not throw", failure.what);
    }
  }

  // Fulfils one piece of a session's pending work; false if there is none.
  bool supply_one(Session<S>& session, std::uint64_t order) {
    const std::vector<Work> pending = session.pending();
    if (pending.empty()) return false;
    const std::size_t pick =
        order == 0 ? 0
                   : static_cast<std::size_t>(
                         Random(order, pending.front().id, pending.size()).below(pending.size()));
    const Work& work = pending[pick];
    if (work.generation) {
      session.supply(work.id, answer(*work.generation));
    } else {
      session.supply(work.id, score(*work.scoring));
    }
    return true;
  }

  static bool same_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

  void require_same(const Population& a, const Population& b, std::string_view rule) {
    if (a.size() != b.size()) {
      violations_.add(rule,
                      std::to_string(a.size()) + " candidates, then " + std::to_string(b.size()));
      return;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool same =
          a[i].response.tokens == b[i].response.tokens &&
          a[i].response.text == b[i].response.text && same_number(a[i].reward, b[i].reward) &&
          same_number(a[i].raw_reward, b[i].raw_reward) && a[i].weight == b[i].weight &&
          a[i].id == b[i].id && a[i].parent == b[i].parent;
      violations_.require(same, rule, "candidate " + std::to_string(i) + " differs");
    }
  }

  struct AnyAnswer {
    Decision operator()(const Population&, Random&) const { return {.share = 0}; }
  };

  const S& sampler_;
  P& policy_;
  R& reward_;
  SamplerCheck options_;
  std::size_t draws_ = 0, expected_draws_ = 0;
  Violations violations_ = {};
};

/// Checks a sampler against what the concept promises, with a policy and a reward that are
/// deterministic:
/// - the same seed gives the same candidates, in whatever order results arrive, and with other runs of
///   the same sampler beside it: all that it remembers is in its `State`, a value;
/// - a draw that failed or was skipped never becomes a candidate, nor part of later work;
/// - a run can be ended at any draw: it then asks for nothing more and keeps what it has;
/// - what it asks for is legal, and a response that has ended is not continued;
/// - weights are finite and not negative; nothing throws.
///
/// It does not check the method's law: for that, enumerate the law that it claims (`enumerate`,
/// `tilted`) and count answers of many seeds with a `LawCheck`.
/// Cost: about 5 `runs` runs of the sampler.
/// @returns one sentence per rule that is broken; none if all is well
/// @throws InvalidOption for options out of range, also those of the sampler; what the policy or the
/// reward throws is taken for the sampler's
template <Sampler S, class P, class R>
  requires Policy<std::remove_reference_t<P>> && RewardModel<std::remove_reference_t<R>>
[[nodiscard]] std::vector<std::string> check_sampler(const S& sampler, P&& policy, R&& reward,
                                                     SamplerCheck options = {}) {
  return SamplerChecker<S, std::remove_reference_t<P>, std::remove_reference_t<R>>(
             sampler, policy, reward, std::move(options))
      .run();
}

/// The same with a built-in model of four tokens, one of which ends the response, and a reward that
/// differs with every response.
template <Sampler S>
[[nodiscard]] std::vector<std::string> check_sampler(const S& sampler, SamplerCheck options = {}) {
  LogitPolicy policy{3, [](TokenSpan context) {
                       double state = 1;
                       for (const Token token : context) state = 0.6 * state + token + 0.4;
                       std::vector<double> logits(4);
                       for (std::size_t v = 0; v < logits.size(); ++v) {
                         logits[v] = std::sin(7.3 * (state + static_cast<double>(v)));
                       }
                       return logits;
                     }};
  RewardFunction reward{[](const Prompt&, const Response& y) {
    double value = 0;
    for (const Token token : y.tokens) value = 0.7 * value + std::sin(3.1 * (token + 1));
    return value - 0.01 * static_cast<double>(y.size());
  }};
  return check_sampler(sampler, policy, reward, std::move(options));
}

}  // namespace tilt::testing

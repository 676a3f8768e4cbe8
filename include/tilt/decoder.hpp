#pragma once

#include <algorithm>
#include <concepts>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/held.hpp"
#include "tilt/runtime/drive.hpp"
#include "tilt/runtime/observer.hpp"
#include "tilt/runtime/session.hpp"
#include "tilt/selector/default_selector.hpp"

namespace tilt {

/// Refuses, when compiling, four parts that cannot work together. Each sentence says what to do.
template <class P, class R, class S, class Select>
constexpr void check_composition() {
  static_assert(Policy<P>,
                "tilt::Decoder: the first argument is not a Policy; give it a member "
                "void generate(std::span<const tilt::Generation>, std::span<tilt::Response>)");
  static_assert(
      RewardModel<R>,
      "tilt::Decoder: the second argument is not a RewardModel; give it a member "
      "void score(std::span<const tilt::Scoring>, std::span<double>), or wrap a lambda in "
      "tilt::RewardFunction");
  static_assert(Sampler<S>,
                "tilt::Decoder: the third argument is not a Sampler; it needs a copyable State and "
                "const members start(prompt), ask(state, round) and tell(state, round)");
  static_assert(Selector<Select>,
                "tilt::Decoder: the fourth argument is not a Selector; give it a const "
                "tilt::Decision operator()(const tilt::Population&, tilt::Random&)");
  constexpr Needs needs = static_needs<S>();
  if constexpr (HasStaticCapabilities<P>) {
    constexpr Capabilities has = std::remove_cvref_t<P>::capabilities;
    static_assert(has.tokens || !needs.policy.tokens,
                  "tilt::Decoder: this sampler keeps prefixes of token ids and this policy has no "
                  "tokens; use a LogitPolicy or an engine, or a sampler of whole responses such as "
                  "BestOfN");
    static_assert(
        has.ends || HasDetokenize<P> || !needs.policy.tokens || !needs.policy.ends,
        "tilt::Decoder: this sampler cuts responses and this policy gives text without ends; "
        "fill tilt::Response::ends, or give the policy a member "
        "std::string detokenize(tilt::TokenSpan)");
    static_assert(has.segments || !needs.policy.segments,
                  "tilt::Decoder: this sampler needs segments by entropy and this policy cannot "
                  "serve them; use a policy with capabilities.segments");
    static_assert(has.log_probs || !needs.policy.log_probs,
                  "tilt::Decoder: this sampler needs log-probs and this policy has none; use a "
                  "policy with capabilities.log_probs");
    static_assert(has.score_forced || !needs.policy.score_forced,
                  "tilt::Decoder: this sampler needs the log-probs of given responses and this "
                  "policy cannot compute them; use a policy with capabilities.score_forced");
    static_assert(has.logits || !needs.policy.logits,
                  "tilt::Decoder: this sampler needs next-token logits and this policy has none; "
                  "use a policy with capabilities.logits");
  }
  if constexpr (HasStaticPartial<R>) {
    static_assert(std::remove_cvref_t<R>::partial || !needs.partial_reward,
                  "tilt::Decoder: this sampler scores prefixes of responses and this reward says "
                  "that it cannot (partial = false); use Rejection or QAlign instead");
  }
  if constexpr (std::is_same_v<std::remove_cvref_t<R>, NoReward> &&
                requires { Select::needs_reward; }) {
    static_assert(!Select::needs_reward,
                  "tilt::Decoder: this selector compares rewards and no_reward gives none; pass a "
                  "selector such as MajorityVote, or a reward model");
  }
}

/// A policy, a reward model, a sampler and a selector, put together: a function from a prompt to an
/// aligned answer.
///
///     Decoder decoder{policy, reward, QAlign{{.beta = 0.5}}, MajorityVote{last_number}};
///     Result result = decoder("What is 17 * 23?", {.seed = 1, .budget = {.seconds = 30}});
///
/// A policy or reward given as an lvalue is held by reference, as an rvalue it is owned; sampler and
/// selector are held by value. A run is a function of (seed, stream) and of what the policy and the
/// reward answer, not of batching. One decoder is for one thread at a time.
///
/// @throws InvalidOption from the constructor when an option was never given, or asks for what the
/// policy or the reward cannot do
template <class P, class R, class S, class Select = typename DefaultSelectorOf<S>::type>
class Decoder {
 public:
  Decoder(P&& policy, R&& reward, S sampler, Select selector = {})
      : policy_(std::forward<P>(policy)),
        reward_(std::forward<R>(reward)),
        sampler_(std::move(sampler)),
        selector_(std::move(selector)) {
    check_composition<P, R, S, Select>();
    check_options(sampler_);
    const Needs needs = needs_of(sampler_);
    const Capabilities has = capabilities_of(policy_.get());
    require_capability(has.tokens || !needs.policy.tokens, "tokens");
    require_capability(has.ends || HasDetokenize<P> || !needs.policy.tokens || !needs.policy.ends,
                       "ends");
    require_capability(has.segments || !needs.policy.segments, "segments");
    require_capability(has.log_probs || !needs.policy.log_probs, "log_probs");
    require_capability(has.score_forced || !needs.policy.score_forced, "score_forced");
    require_capability(has.logits || !needs.policy.logits, "logits");
    if (needs.partial_reward && !scores_prefixes(reward_.get())) {
      throw InvalidOption("RewardModel.partial", "false",
                          "true for this sampler, which scores prefixes of responses");
    }
    if (needs.bare_prompt && !scores_bare_prompt<R>()) {
      throw InvalidOption("RewardModel.scores_bare_prompt", "false",
                          "true for this sampler with these options, which scores the bare prompt; "
                          "Cards does not at alpha = 1");
    }
    if constexpr (
        requires { requires Select::needs_states; } && requires { sampler_.emits_states(); }) {
      if (!sampler_.emits_states()) {
        throw InvalidOption("Decoder.selector", "one that reads chain states",
                            "a vote or an average, since recycled weights are not those of states");
      }
    }
    if constexpr (requires { reward_.get().check_law(sampler_.law()); }) {
      reward_.get().check_law(sampler_.law());
    }
  }

  /// Answers one prompt.
  /// @param observers  told of the run's events; one that handles none does not compile
  /// @throws PolicyError or RewardError when a draw failed and the run could not go on, Error when the
  /// sampler or the selector threw (InvalidOption where the sampler threw that, as for a prompt that it
  /// cannot work with); their `partial()` is what had been found, `failures` with each cause included.
  /// InvalidOption for run options out of range. Budgets and stop requests are no errors: see
  /// `Result::stop`.
  template <class... Os>
  [[nodiscard]] Result operator()(const Prompt& prompt, const RunOptions& options = {},
                                  Os&&... observers) const {
    std::vector<Result> results = run(std::span(&prompt, 1), shared(options), observers...);
    Result result = std::move(results.front());
    if (result.stop == Stop::failed) throw_failures(std::move(result));
    return result;
  }

  /// Answers many prompts; the rounds of all of them are merged into common calls of the policy and
  /// the reward (of thousands of pieces of work at most: further prompts begin when others have ended,
  /// and the seconds of a prompt's budget count from there). Run i uses stream + i, so that
  /// `batch({p}, o)[0]` equals `decoder(p, o)`. Never throws for one prompt: its result has
  /// `stop == Stop::failed` and says why in `failures`.
  /// @throws InvalidOption for run options out of range
  template <class... Os>
  [[nodiscard]] std::vector<Result> batch(std::span<const Prompt> prompts,
                                          const RunOptions& options = {}, Os&&... observers) const {
    return run(prompts, shared(options), observers...);
  }
  template <class... Os>
  [[nodiscard]] std::vector<Result> batch(std::initializer_list<Prompt> prompts,
                                          const RunOptions& options = {}, Os&&... observers) const {
    return run(std::span(prompts.begin(), prompts.size()), shared(options), observers...);
  }
  /// The same with options for each prompt, taken as they are: run i uses each[i].stream. For a job
  /// that gives a prompt the same stream wherever it stands.
  /// @param each  as many as prompts
  /// @throws InvalidOption when they are not, or one is out of range
  template <std::ranges::random_access_range Each, class... Os>
    requires std::same_as<std::ranges::range_value_t<Each>, RunOptions>
  [[nodiscard]] std::vector<Result> batch(std::span<const Prompt> prompts, const Each& each,
                                          Os&&... observers) const {
    require_option(std::ranges::size(each) == prompts.size(), "the RunOptions of a batch",
                   std::ranges::size(each), "as many as prompts");
    const auto own = [&each](std::size_t i) {
      return *(std::ranges::begin(each) + static_cast<std::ranges::range_difference_t<Each>>(i));
    };
    return run(prompts, own, observers...);
  }

  [[nodiscard]] const S& sampler() const noexcept { return sampler_; }
  [[nodiscard]] const Select& selector() const noexcept { return selector_; }

 private:
  static void require_capability(bool holds, const char* name) {
    if (holds) return;
    throw InvalidOption(std::string("Policy.capabilities.") + name, "false",
                        "true for this sampler with these options");
  }

  // The options of run i where all have the same.
  static auto shared(const RunOptions& options) {
    check_run_options(options);
    return [&options](std::size_t i) {
      RunOptions mine = options;
      mine.stream += i;
      return mine;
    };
  }

  template <class OptionsOf, class... Os>
  std::vector<Result> run(std::span<const Prompt> prompts, const OptionsOf& options_of,
                          Os&... observers) const {
    static_assert(
        (Observer<Os> && ...),
        "tilt::Decoder: an observer handles none of the events; give it a member on(const "
        "tilt::RunFinished&), or of another event of tilt/runtime/observer.hpp");
    for (std::size_t i = 0; i < prompts.size(); ++i) check_run_options(options_of(i));
    struct Run {
      Session<S> session;
      Report told;
    };
    std::vector<Result> results(prompts.size());
    std::vector<std::unique_ptr<Run>> runs;  // under way; one that has ended is let go at once
    std::vector<Session<S>*> sessions;
    Driver<S, std::remove_reference_t<P>, std::remove_reference_t<R>> driver(policy_.get(),
                                                                             reward_.get());
    const auto conclude = [&](Run& run) {
      const std::size_t i = run.told.run;
      results[i] = std::move(run.session).result(selector_);
      report_candidates(results[i].candidates, run.told, observers...);
      notify(RunFinished{i, prompts.size(), prompts[i], results[i]}, observers...);
    };
    for (std::size_t next = 0; next < prompts.size() || !runs.empty();) {
      std::size_t in_flight = 0;
      for (const auto& run : runs) in_flight += run->session.in_flight();
      for (; next < prompts.size() && in_flight < most_in_flight; ++next) {
        notify(RunStarted{next, prompts.size(), prompts[next]}, observers...);
        try {
          runs.push_back(std::make_unique<Run>(
              Run{Session<S>(sampler_, prompts[next], options_of(next)), Report{.run = next}}));
          in_flight += runs.back()->session.in_flight();
        } catch (...) {
          results[next] = refused(prompts[next], std::current_exception());
          notify(RunFinished{next, prompts.size(), prompts[next], results[next]}, observers...);
        }
      }
      const auto end_if = [&](auto&& ends) {
        std::erase_if(runs, [&](const auto& run) {
          report(run->session, run->told, observers...);
          if (!ends(run->session)) return false;
          conclude(*run);
          return true;
        });
      };
      end_if([](const auto& session) { return session.finished(); });
      sessions.clear();
      for (const auto& run : runs) sessions.push_back(&run->session);
      // A run that asks for nothing more has ended.
      if (!driver.pass(sessions)) end_if([](const auto&) { return true; });
    }
    return results;
  }

  // The result of a prompt that the sampler could not start with, such as one of token ids where a method
  // quotes text: it fails that run of a batch, no other.
  static Result refused(const Prompt& prompt, std::exception_ptr cause) {
    Result result;
    result.decision.share = 0;
    result.stop = Stop::failed;
    result.law_holds = false;
    result.failures.push_back({.what = "the sampler cannot start with the prompt " +
                                       describe(prompt) + ": " + message_of(cause),
                               .cause = std::move(cause),
                               .part = FailedPart::sampler});
    return result;
  }

  // What observers have been told of a run so far.
  struct Report {
    std::size_t run = 0;                       // which prompt
    std::vector<std::size_t> candidates = {};  // by lane
    std::vector<std::size_t> settled = {};     // tokens, by lane
    std::size_t policy_calls = 0, reward_calls = 0;
  };

  template <class... Os>
  static void report_candidates(const Population& candidates, Report& told, Os&... observers) {
    if constexpr (sizeof...(Os) > 0) {
      told.candidates.resize(std::max(told.candidates.size(), candidates.lanes()));
      for (std::size_t lane = 0; lane < candidates.lanes(); ++lane) {
        const auto emitted = candidates.lane(lane);
        for (std::size_t& next = told.candidates[lane]; next < emitted.size(); ++next) {
          notify(CandidateEmitted{told.run, emitted[next]}, observers...);
        }
      }
    }
  }

  // Nothing outside the bodies names Session<S>: of what is no sampler the compiler would complain
  // there, before it comes to the sentence that says what to do.
  template <class... Os>
  void report(const auto& session, Report& told, Os&... observers) const {
    if constexpr (sizeof...(Os) > 0) {
      report_candidates(session.candidates(), told, observers...);
      told.settled.resize(lanes_of(sampler_));
      for (std::size_t lane = 0; lane < told.settled.size(); ++lane) {
        const TokenSpan settled = session.settled(lane);
        if (settled.size() == told.settled[lane]) continue;
        told.settled[lane] = settled.size();
        notify(PrefixSettled{told.run, lane, settled}, observers...);
      }
      const Cost spent = session.spent();
      if (spent.policy_calls != told.policy_calls || spent.reward_calls != told.reward_calls) {
        told.policy_calls = spent.policy_calls;
        told.reward_calls = spent.reward_calls;
        notify(RunProgressed{told.run, session.candidates(), spent}, observers...);
      }
    }
  }

  // Of several failures the sampler's, or the selector's, is what ended the run.
  [[noreturn]] static void throw_failures(Result result) {
    const std::vector<Failure>& failures = result.failures;
    const auto found = std::find_if(failures.begin(), failures.end(), [](const Failure& failure) {
      return failure.part == FailedPart::sampler || failure.part == FailedPart::selector;
    });
    const auto first = static_cast<std::size_t>(
        found == failures.end() ? 0 : std::distance(failures.begin(), found));
    const FailedPart part = failures[first].part;
    const std::exception_ptr cause = failures[first].cause;
    std::string message = failures[first].what;
    std::size_t listed = 1;
    for (std::size_t i = 0; i < failures.size() && listed < most_listed; ++i) {
      if (i == first) continue;
      message += "\n" + failures[i].what;
      ++listed;
    }
    if (listed < failures.size()) {
      message += "\nand " + std::to_string(failures.size() - listed) + " more failures";
    }
    auto partial = std::make_shared<const Result>(std::move(result));
    const auto raise = [&]<class E>(E error) {
      error.attach(std::move(partial));
      throw error;
    };
    if (part == FailedPart::policy) raise(PolicyError(message));
    if (part == FailedPart::reward) raise(RewardError(message));
    if (part == FailedPart::sampler) {
      // A copy: one that held the result that holds itself would never be freed.
      std::optional<InvalidOption> refusal;
      try {
        std::rethrow_exception(cause);
      } catch (const InvalidOption& error) {
        refusal = error;
      } catch (...) {
      }
      if (refusal) raise(*refusal);
    }
    raise(Error(message));
    std::terminate();  // not reached
  }

  // Pieces of work, beyond which no further run of a batch begins until one has ended: memory is then
  // bounded by this and by the results, whatever the number of prompts.
  static constexpr std::size_t most_in_flight = 1u << 14;
  // Failures that an error's message lists; all are in its `partial()`.
  static constexpr std::size_t most_listed = 16;

  Held<P> policy_;
  Held<R> reward_;
  S sampler_;
  Select selector_;
};

template <class P, class R, class S>
Decoder(P&&, R&&, S) -> Decoder<P, R, S>;
template <class P, class R, class S, class Select>
Decoder(P&&, R&&, S, Select) -> Decoder<P, R, S, Select>;

}  // namespace tilt

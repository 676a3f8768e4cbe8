#pragma once

#include <concepts>
#include <exception>
#include <initializer_list>
#include <memory>
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
    require_capability(has.segments || !needs.policy.segments, "segments");
    require_capability(has.log_probs || !needs.policy.log_probs, "log_probs");
    require_capability(has.score_forced || !needs.policy.score_forced, "score_forced");
    require_capability(has.logits || !needs.policy.logits, "logits");
    if (needs.partial_reward && !scores_prefixes(reward_.get())) {
      throw InvalidOption("RewardModel.partial", "false",
                          "true for this sampler, which scores prefixes of responses");
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
  /// selector threw; its `partial()` is what had been found. InvalidOption for run options out of range and
  /// for a prompt that the sampler cannot work with. Budgets and stop requests are no errors:
  /// see `Result::stop`.
  template <class... Os>
  [[nodiscard]] Result operator()(const Prompt& prompt, const RunOptions& options = {},
                                  Os&&... observers) const {
    std::vector<Result> results = run(std::span(&prompt, 1), shared(options), observers...);
    Result result = std::move(results.front());
    if (result.stop == Stop::failed) throw_failures(std::move(result));
    return result;
  }

  /// Answers many prompts; the rounds of all of them are merged into common calls of the policy and
  /// the reward. Run i uses stream + i, so that `batch({p}, o)[0]` equals `decoder(p, o)`. Never
  /// throws for one prompt: its result has `stop == Stop::failed` and says why in `failures`.
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
    std::vector<Session<S>> sessions;
    sessions.reserve(prompts.size());
    std::vector<Result> results(prompts.size());
    Reports reports;  // of the sessions; a prompt that the sampler refuses has none
    reports.reserve(prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      notify(RunStarted{i, prompts.size(), prompts[i]}, observers...);
      try {
        sessions.emplace_back(sampler_, prompts[i], options_of(i));
        reports.push_back({.run = i});
      } catch (...) {
        results[i] = refused(prompts[i], std::current_exception());
        notify(RunFinished{i, prompts.size(), prompts[i], results[i]}, observers...);
      }
    }
    Driver<S, std::remove_reference_t<P>, std::remove_reference_t<R>> driver(policy_.get(),
                                                                             reward_.get());
    if constexpr (sizeof...(Os) > 0) {
      do {
        report(sessions, results, reports, observers...);
      } while (driver.pass(sessions));
      report(sessions, results, reports, observers...);
    } else {
      while (driver.pass(sessions)) {
      }
    }
    for (std::size_t k = 0; k < sessions.size(); ++k) {
      if (!reports[k].finished) results[reports[k].run] = conclude(sessions[k]);
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

  // A selector may call functions of the user: what it throws fails one run of a batch, no other.
  // Nothing outside the bodies names Session<S>: of what is no sampler the compiler would complain
  // there, before it comes to the sentence that says what to do.
  Result conclude(auto& session) const {
    try {
      return std::move(session).result(selector_);
    } catch (...) {
      const auto choose_none = [](const Population&, Random&) { return Decision{.share = 0}; };
      Result result = std::move(session).result(choose_none);
      result.stop = Stop::failed;
      result.law_holds = false;
      result.failures.push_back({.what = "the selector failed on the prompt " +
                                         describe(session.prompt()) + ": " +
                                         message_of(std::current_exception()),
                                 .cause = std::current_exception(),
                                 .part = FailedPart::selector});
      return result;
    }
  }

  // What observers have been told of a run so far.
  struct Report {
    std::size_t run = 0;                       // which prompt
    std::vector<std::size_t> candidates = {};  // by lane
    std::vector<std::size_t> settled = {};     // tokens, by lane
    std::size_t policy_calls = 0, reward_calls = 0;
    bool finished = false;
  };
  using Reports = std::vector<Report>;

  template <class Sessions, class... Os>
  void report(Sessions& sessions, std::vector<Result>& results, Reports& reports,
              Os&... observers) const {
    for (std::size_t k = 0; k < sessions.size(); ++k) {
      Report& told = reports[k];
      if (told.finished) continue;
      Session<S>& session = sessions[k];
      const std::size_t i = told.run;
      const Cost spent = session.spent();
      const Population& candidates = session.candidates();
      told.candidates.resize(candidates.lanes());
      for (std::size_t lane = 0; lane < candidates.lanes(); ++lane) {
        const auto emitted = candidates.lane(lane);
        for (std::size_t& next = told.candidates[lane]; next < emitted.size(); ++next) {
          notify(CandidateEmitted{i, emitted[next]}, observers...);
        }
      }
      told.settled.resize(lanes_of(sampler_));
      for (std::size_t lane = 0; lane < told.settled.size(); ++lane) {
        const TokenSpan settled = session.settled(lane);
        if (settled.size() == told.settled[lane]) continue;
        told.settled[lane] = settled.size();
        notify(PrefixSettled{i, lane, settled}, observers...);
      }
      if (spent.policy_calls != told.policy_calls || spent.reward_calls != told.reward_calls) {
        told.policy_calls = spent.policy_calls;
        told.reward_calls = spent.reward_calls;
        notify(RunProgressed{i, candidates, spent}, observers...);
      }
      if (session.finished()) {
        told.finished = true;
        const Prompt prompt = session.prompt();
        results[i] = conclude(session);
        notify(RunFinished{i, results.size(), prompt, results[i]}, observers...);
      }
    }
  }

  [[noreturn]] static void throw_failures(Result result) {
    const FailedPart part = result.failures.front().part;
    if (part == FailedPart::sampler) std::rethrow_exception(result.failures.front().cause);
    std::string message = result.failures.front().what;
    for (std::size_t i = 1; i < result.failures.size(); ++i) {
      message += "\n" + result.failures[i].what;
    }
    auto partial = std::make_shared<const Result>(std::move(result));
    const auto raise = [&]<class E>(E error) {
      error.attach(std::move(partial));
      throw error;
    };
    if (part == FailedPart::policy) raise(PolicyError(message));
    if (part == FailedPart::reward) raise(RewardError(message));
    raise(Error(message));
    std::terminate();  // not reached
  }

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

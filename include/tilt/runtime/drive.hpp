#pragma once

#include <exception>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilt/policy/abilities.hpp"
#include "tilt/policy/ends.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/runtime/session.hpp"

namespace tilt {

/// Whether a policy's continuation stands against what the policy itself says of its end token and of
/// its tokens; empty when it does.
template <class P>
[[nodiscard]] std::string fault_of_policy(P& policy, const Response& continuation) {
  const std::vector<Token>& tokens = continuation.tokens;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (ends_response(policy, tokens[i]).value_or(false)) {
      return "it returned " + std::to_string(tokens.size() - i - 1) + " tokens after the end token";
    }
  }
  if (continuation.empty() && capabilities_of(policy).tokens) {
    return "it returned an empty response, not even an end token";
  }
  return {};
}

/// Calls a policy and a reward for sessions until they are finished: the rounds of all sessions are
/// merged, one policy call for all that is to be generated, one reward call for all that is to be
/// scored. Keeps its vectors, so that a round allocates nothing but the responses.
///
/// A call that throws anything but a `PartialFailure` has failed as a whole, and one item may be the
/// cause: where it had several, they are run again one by one, so that a prompt that no call survives
/// fails by itself. What is run again is counted as `Cost::retries`. A `PartialFailure` without one
/// entry per item is no account of the call: all of its items have failed.
///
/// Equal work that sessions may share (`Session::shared`) is done once, and the first of them pays for it.
template <Sampler S, class P, class R>
class Driver {
 public:
  Driver(P& policy, R& reward) : policy_(policy), reward_(reward) {}

  /// One pass: all new generations in one batch, else all new scorings in one batch.
  /// @returns false when there is nothing new: the sessions are finished, unless somebody else has
  /// taken their work
  bool pass(std::span<Session<S>> sessions) {
    return pass_over(sessions, [](Session<S>& session) { return &session; });
  }
  /// The same, of sessions that stand anywhere.
  bool pass(std::span<Session<S>* const> sessions) {
    return pass_over(sessions, [](Session<S>* session) { return session; });
  }

 private:
  template <class Sessions, class Pointer>
  bool pass_over(Sessions sessions, Pointer pointer) {
    const auto take = [&](auto taken_from) {
      work_.clear();
      owners_.clear();
      for (auto& one : sessions) {
        Session<S>* session = pointer(one);
        taken_from(*session);
        owners_.resize(work_.size(), session);
      }
      set_copies_aside();
      return !work_.empty();
    };
    if (take([&](Session<S>& session) { session.take_generations(work_); })) {
      generate(0, work_.size());
    } else if (take([&](Session<S>& session) { session.take_scorings(work_); })) {
      score(0, work_.size());
    } else {
      return false;
    }
    return true;
  }

  // Work that is done as another piece is, `of` in `work_`.
  struct Copy {
    std::uint64_t id;
    Session<S>* owner;
    std::size_t of;
  };

  // Leaves the first of equal pieces of work that may be shared, and notes the others as its copies.
  void set_copies_aside() {
    copies_.clear();
    firsts_.clear();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (const Draw* draw = owners_[i]->shared(work_[i].id)) {
        const auto [first, is_new] = firsts_.try_emplace(draw->work.seed, kept);
        if (!is_new && is_same(*owners_[first->second]->shared(work_[first->second].id), *draw)) {
          copies_.push_back({work_[i].id, owners_[i], first->second});
          continue;
        }
      }
      work_[kept] = work_[i];
      owners_[kept++] = owners_[i];
    }
    work_.resize(kept);
    owners_.resize(kept);
  }
  static bool is_same(const Draw& a, const Draw& b) {
    return a.work.seed == b.work.seed && a.work.prompt == b.work.prompt &&
           a.work.law == b.work.law && a.work.max_tokens == b.work.max_tokens &&
           a.work.prefix.empty() && b.work.prefix.empty() && !a.work.until && !b.work.until &&
           a.response.tokens == b.response.tokens && a.response.text == b.response.text;
  }
  // Tells the copies of what has just been run; before the others, whose results are moved away.
  template <class Results>
  void tell_copies(std::size_t begin, std::size_t end, const Results& results) {
    for (const Copy& copy : copies_) {
      if (copy.of < begin || copy.of >= end) continue;
      if (causes_[copy.of - begin]) {
        copy.owner->fail(copy.id, causes_[copy.of - begin]);
      } else {
        copy.owner->supply(copy.id, results[copy.of - begin], false);
      }
    }
  }
  // Whether a piece of work is still waited for, by its owner or by that of a copy, which then takes
  // its place.
  bool is_wanted(std::size_t i) {
    if (owners_[i]->waits_for(work_[i].id)) return true;
    for (std::size_t c = 0; c < copies_.size(); ++c) {
      const Copy copy = copies_[c];
      if (copy.of != i || !copy.owner->waits_for(copy.id)) continue;
      work_[i] = copy.owner->work_of(copy.id);
      owners_[i] = copy.owner;
      copies_.erase(copies_.begin() + static_cast<std::ptrdiff_t>(c));
      return true;
    }
    return false;
  }

  // Runs the generations begin .. end-1 in one call.
  void generate(std::size_t begin, std::size_t end) {
    generations_.clear();
    for (std::size_t i = begin; i < end; ++i) {
      generations_.push_back(std::move(owners_[i]->lend(work_[i].id)));
    }
    responses_.clear();
    responses_.resize(end - begin);
    const bool failed = call<PolicyError>("the policy", end - begin,
                                          [&] { policy_.generate(generations_, responses_); });
    for (std::size_t i = begin; i < end; ++i) {
      owners_[i]->lend(work_[i].id) = std::move(generations_[i - begin]);
    }
    if (failed && end - begin > 1) {
      one_by_one(begin, end, [&](std::size_t i) { generate(i, i + 1); });
      return;
    }
    for (std::size_t i = begin; i < end; ++i) {
      if (causes_[i - begin]) continue;
      check(owners_[i]->lend(work_[i].id), responses_[i - begin], causes_[i - begin]);
    }
    // What was drawn is told before what failed, so that a failure loses nothing.
    tell_copies(begin, end, responses_);
    for (std::size_t i = begin; i < end; ++i) {
      if (!causes_[i - begin]) owners_[i]->supply(work_[i].id, std::move(responses_[i - begin]));
    }
    fail_others(begin, end);
  }

  // Holds a continuation to the policy's own word and fills the `ends` that it lacks; members of the
  // policy that do so may throw as `generate` may.
  void check(const Generation& work, Response& continuation, std::exception_ptr& cause) {
    try {
      const std::string fault = fault_of_policy(policy_, continuation);
      if (!fault.empty()) throw PolicyError(fault);
      fill_ends(policy_, work.prefix, continuation);
    } catch (...) {
      cause = std::current_exception();
    }
  }

  // Runs the scorings begin .. end-1 in one call.
  void score(std::size_t begin, std::size_t end) {
    scorings_.clear();
    for (std::size_t i = begin; i < end; ++i) scorings_.push_back(*work_[i].scoring);
    rewards_.assign(end - begin, unset);
    const bool failed = call<RewardError>("the reward model", end - begin,
                                          [&] { reward_.score(scorings_, rewards_); });
    if (failed && end - begin > 1) {
      one_by_one(begin, end, [&](std::size_t i) { score(i, i + 1); });
      return;
    }
    tell_copies(begin, end, rewards_);
    for (std::size_t i = begin; i < end; ++i) {
      if (!causes_[i - begin]) owners_[i]->supply(work_[i].id, rewards_[i - begin]);
    }
    fail_others(begin, end);
  }

  // Makes a call of n items and notes what failed of it.
  // @returns true when it failed as a whole
  template <class E, class Call>
  bool call(const char* who, std::size_t n, Call&& items) {
    causes_.assign(n, nullptr);
    try {
      items();
      return false;
    } catch (const PartialFailure& failure) {
      causes_ = failure.causes();
      if (causes_.size() == n) return false;
      causes_.assign(n, std::make_exception_ptr(E(std::string(who) + " reported the failures of " +
                                                  std::to_string(failure.causes().size()) +
                                                  " items in a call of " + std::to_string(n) +
                                                  ", so that no item of it can be told good")));
      return false;
    } catch (...) {
      causes_.assign(n, std::current_exception());
      return true;
    }
  }

  // Runs what is still waited for again: a run that an item ends needs its others no more.
  template <class Run>
  void one_by_one(std::size_t begin, std::size_t end, Run&& run) {
    for (std::size_t i = begin; i < end; ++i) {
      if (!is_wanted(i)) continue;
      owners_[i]->count_retry(work_[i].id);
      run(i);
    }
  }

  void fail_others(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (causes_[i - begin]) owners_[i]->fail(work_[i].id, causes_[i - begin]);
    }
  }

  P& policy_;
  R& reward_;
  std::vector<Work> work_ = {};
  std::vector<Session<S>*> owners_ = {};
  std::vector<Copy> copies_ = {};
  std::unordered_map<std::uint64_t, std::size_t> firsts_ = {};  // by seed, in `work_`
  std::vector<Generation> generations_ = {};
  std::vector<Response> responses_ = {};
  std::vector<Scoring> scorings_ = {};
  std::vector<double> rewards_ = {};
  std::vector<std::exception_ptr> causes_ = {};  // of the items of a call
};

}  // namespace tilt

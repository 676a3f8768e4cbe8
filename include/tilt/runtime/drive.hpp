#pragma once

#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/policy/concept.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/runtime/session.hpp"

namespace tilt {

/// Whether a policy's continuation stands against what the policy itself says of its end token and of
/// its tokens; empty when it does.
template <class P>
[[nodiscard]] std::string fault_of_policy([[maybe_unused]] P& policy,
                                          const Response& continuation) {
  const std::vector<Token>& tokens = continuation.tokens;
  if constexpr (requires(Token token) { policy.is_end(token); }) {
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      if (policy.is_end(tokens[i])) {
        return "it returned " + std::to_string(tokens.size() - i - 1) +
               " tokens after the end token";
      }
    }
  } else if constexpr (requires { policy.end_token(); }) {
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      if (tokens[i] == policy.end_token()) {
        return "it returned " + std::to_string(tokens.size() - i - 1) +
               " tokens after the end token";
      }
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
template <Sampler S, class P, class R>
class Driver {
 public:
  Driver(P& policy, R& reward) : policy_(policy), reward_(reward) {}

  /// One pass: all pending generations in one batch, else all pending scorings in one batch.
  /// @returns false when nothing is pending
  bool pass(std::span<Session<S>> sessions) {
    work_.clear();
    owners_.clear();
    for (Session<S>& session : sessions) {
      session.pending(work_);
      owners_.resize(work_.size(), &session);
    }
    if (work_.empty()) return false;
    const bool generating =
        std::any_of(work_.begin(), work_.end(), [](const Work& w) { return w.generation; });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if ((work_[i].generation != nullptr) != generating) continue;
      work_[kept] = work_[i];
      owners_[kept++] = owners_[i];
    }
    work_.resize(kept);
    causes_.assign(kept, nullptr);
    if (generating) {
      generate();
    } else {
      score();
    }
    return true;
  }

 private:
  void generate() {
    generations_.clear();
    for (std::size_t i = 0; i < work_.size(); ++i) {
      generations_.push_back(std::move(owners_[i]->lend(work_[i].id)));
    }
    responses_.clear();
    responses_.resize(work_.size());
    collect([&] { policy_.generate(generations_, responses_); });
    for (std::size_t i = 0; i < work_.size(); ++i) {
      owners_[i]->lend(work_[i].id) = std::move(generations_[i]);
      if (causes_[i]) continue;
      const std::string fault = fault_of_policy(policy_, responses_[i]);
      if (!fault.empty()) causes_[i] = std::make_exception_ptr(PolicyError(fault));
    }
    // What was drawn is told before what failed, so that a failure loses nothing.
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (!causes_[i]) owners_[i]->supply(work_[i].id, std::move(responses_[i]));
    }
    fail_others();
  }

  void score() {
    scorings_.clear();
    for (const Work& work : work_) scorings_.push_back(*work.scoring);
    rewards_.assign(work_.size(), unset);
    collect([&] { reward_.score(scorings_, rewards_); });
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (!causes_[i]) owners_[i]->supply(work_[i].id, rewards_[i]);
    }
    fail_others();
  }

  template <class Call>
  void collect(Call&& call) {
    try {
      call();
    } catch (const PartialFailure& failure) {
      for (std::size_t i = 0; i < causes_.size() && i < failure.causes().size(); ++i) {
        causes_[i] = failure.causes()[i];
      }
    } catch (...) {
      causes_.assign(causes_.size(), std::current_exception());
    }
  }

  void fail_others() {
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (causes_[i]) owners_[i]->fail(work_[i].id, causes_[i]);
    }
  }

  P& policy_;
  R& reward_;
  std::vector<Work> work_ = {};
  std::vector<Session<S>*> owners_ = {};
  std::vector<Generation> generations_ = {};
  std::vector<Response> responses_ = {};
  std::vector<Scoring> scorings_ = {};
  std::vector<double> rewards_ = {};
  std::vector<std::exception_ptr> causes_ = {};
};

}  // namespace tilt

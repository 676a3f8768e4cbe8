#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/testing/violations.hpp"

namespace tilt::testing {

/// How to check a reward model.
struct RewardCheck {
  /// Rewards that should be equal may differ by this much, and by this share of their size: engines
  /// round differently in batches of different shapes.
  double tolerance = 0;
};

/// Checks a reward model against the semantics of the concept; made by `check_reward`.
template <RewardModel R>
class RewardChecker {
 public:
  RewardChecker(R& reward, const RewardCheck& options) : reward_(reward), options_(options) {
    require_option(options.tolerance >= 0, "RewardCheck.tolerance", options.tolerance,
                   "a number >= 0");
  }

  std::vector<std::string> run(std::span<const Prompt> prompts,
                               std::span<const Response> responses) {
    require_done({}, 0, "an empty batch is accepted");
    std::vector<Scoring> work;
    for (const Prompt& prompt : prompts) {
      for (const Response& response : responses) work.push_back({&prompt, &response});
    }
    const auto first = require_done(work, 17, "a score succeeds");
    if (!first) return std::move(violations_).sentences();
    for (std::size_t i = 0; i < work.size(); ++i) check_value(work[i], (*first)[i]);

    // What was in the output before must not matter, or stay.
    compare(work, first, require_done(work, 18, "a score succeeds when it is repeated"),
            "the same prompt and response get the same reward");
    // Alone, and last to first.
    std::vector<double> alone(work.size());
    for (std::size_t i = work.size(); i-- > 0;) {
      const auto one = require_done(std::span(&work[i], 1), 19, "a score succeeds alone");
      if (!one) return std::move(violations_).sentences();
      alone[i] = one->front();
    }
    compare(work, first, alone, "a reward does not depend on the batch that it is in");
    // In another order, each twice.
    std::vector<Scoring> twice(work.rbegin(), work.rend());
    twice.insert(twice.end(), work.begin(), work.end());
    if (const auto out = require_done(twice, 20, "a larger batch succeeds")) {
      std::vector<double> front(out->begin(),
                                out->begin() + static_cast<std::ptrdiff_t>(work.size()));
      std::vector<double> back(out->begin() + static_cast<std::ptrdiff_t>(work.size()), out->end());
      front = {front.rbegin(), front.rend()};
      compare(work, first, front, "a reward does not depend on the order of the batch");
      compare(work, first, back, "a reward does not depend on the order of the batch");
    }
    // Copies of the prompts and responses, elsewhere in memory.
    const std::vector<Prompt> other_prompts(prompts.begin(), prompts.end());
    const std::vector<Response> other_responses(responses.begin(), responses.end());
    std::vector<Scoring> copies;
    for (const Prompt& prompt : other_prompts) {
      for (const Response& response : other_responses) copies.push_back({&prompt, &response});
    }
    compare(work, first, require_done(copies, 21, "a score succeeds for equal copies"),
            "a reward depends on the content of prompt and response, not on where they are");
    return std::move(violations_).sentences();
  }

 private:
  using Works = std::span<const Scoring>;
  using Rewards = std::optional<std::vector<double>>;

  // A quiet NaN with a payload of ours: what is left of it was not written.
  static double mark(std::uint64_t payload) {
    return std::bit_cast<double>(0x7ff8'0000'7457'0000u + payload);
  }

  Rewards require_done(Works work, std::uint64_t payload, std::string_view rule) {
    std::vector<double> out(work.size(), mark(payload));
    try {
      reward_.score(work, out);
    } catch (const PartialFailure& failure) {
      for (const std::exception_ptr& cause : failure.causes()) {
        if (cause) {
          violations_.add(rule, "it threw \"" + message_of(cause) + '"');
          break;
        }
      }
      return {};
    } catch (...) {
      violations_.add(rule, "it threw \"" + message_of(std::current_exception()) + '"');
      return {};
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (std::bit_cast<std::uint64_t>(out[i]) != std::bit_cast<std::uint64_t>(mark(payload))) {
        continue;
      }
      violations_.add("every reward of a batch is written", show(work[i]));
      return {};
    }
    return out;
  }

  static std::string show(const Scoring& work) {
    return "the prompt " + describe(*work.prompt) + " and a response of " +
           std::to_string(work.response->size()) + " tokens, \"" +
           work.response->text.substr(0, 60) + '"';
  }

  void check_value(const Scoring& work, double reward) {
    violations_.require(!std::isnan(reward) && reward < infinity,
                        "a reward is a number or -infinity",
                        show(work) + " gave " + to_text(reward));
  }

  void compare(Works work, const Rewards& expected, const Rewards& seen, std::string_view rule) {
    if (!expected || !seen) return;
    for (std::size_t i = 0; i < work.size(); ++i) {
      const double a = (*expected)[i], b = (*seen)[i];
      const bool equal = a == b || (std::isnan(a) && std::isnan(b)) ||
                         std::abs(a - b) <= options_.tolerance * (1 + std::abs(a));
      violations_.require(equal, rule,
                          show(work[i]) + " gave " + to_text(a) + ", then " + to_text(b));
    }
  }

  R& reward_;
  RewardCheck options_;
  Violations violations_ = {};
};

/// Checks a reward model against what the concept promises, on every pair of the given prompts and
/// responses (give an empty response as well where prefixes are scored):
/// - an empty batch is accepted, no pair fails, and every reward is written;
/// - a reward is a number or -infinity;
/// - it depends on the content of its prompt and response and on nothing else: not on the call, the
///   batch, the order, or the address.
///
/// Cost: six scorings per pair.
/// @returns one sentence per rule that is broken; none if all is well
/// @throws InvalidOption for options out of range
template <class R>
  requires RewardModel<std::remove_reference_t<R>>
[[nodiscard]] std::vector<std::string> check_reward(R&& reward, std::span<const Prompt> prompts,
                                                    std::span<const Response> responses,
                                                    const RewardCheck& options = {}) {
  return RewardChecker<std::remove_reference_t<R>>(reward, options).run(prompts, responses);
}
template <class R>
  requires RewardModel<std::remove_reference_t<R>>
[[nodiscard]] std::vector<std::string> check_reward(R&& reward,
                                                    std::initializer_list<Prompt> prompts,
                                                    std::initializer_list<Response> responses,
                                                    const RewardCheck& options = {}) {
  return check_reward(reward, std::span(prompts.begin(), prompts.size()),
                      std::span(responses.begin(), responses.size()), options);
}

}  // namespace tilt::testing

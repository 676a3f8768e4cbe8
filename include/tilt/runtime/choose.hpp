#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include "tilt/core/error.hpp"
#include "tilt/runtime/result.hpp"

namespace tilt::detail {

/// Calls a part that the user may have written. What it throws fails the result, no more.
/// @param what  begins the failure's sentence, up to the prompt
/// @returns false when it threw
template <class Call>
bool call_part(Result& result, FailedPart part, const std::string& what, const Prompt& prompt,
               Call&& call) {
  try {
    call();
    return true;
  } catch (...) {
    const std::exception_ptr cause = std::current_exception();
    result.stop = Stop::failed;
    result.failures.push_back(
        {.what = what + describe(prompt) + ": " + message_of(cause), .cause = cause, .part = part});
    return false;
  }
}

/// The sampler's diagnostics, where it has any.
template <class S, class States>
void add_stats(Result& result, const S& sampler, States states, const Population& candidates,
               const Prompt& prompt) {
  if constexpr (requires { sampler.stats(states, candidates); }) {
    call_part(result, FailedPart::sampler, "the sampler's stats failed on the prompt ", prompt,
              [&] { result.stats = sampler.stats(states, candidates); });
  }
}

/// What the sampler itself says of its law; true where it says nothing.
template <class S, class States>
bool law_holds(Result& result, const S& sampler, States states, const Prompt& prompt) {
  bool holds = true;
  if constexpr (requires {
                  { sampler.law_holds(states) } -> std::convertible_to<bool>;
                }) {
    call_part(result, FailedPart::sampler, "the sampler's law_holds failed on the prompt ", prompt,
              [&] { holds = sampler.law_holds(states); });
  }
  return holds;
}

/// Lets a selector choose the answer from the candidates, which the result then holds, and adds its
/// diagnostics. A position that is not there is a failure as what it throws is; the answer is then the
/// earliest candidate, and the share 0.
template <class Select>
void choose(Result& result, const Select& selector, Population candidates, Random& random,
            const Prompt& prompt) {
  const char* what = "the selector failed on the prompt ";
  const bool chosen = call_part(result, FailedPart::selector, what, prompt, [&] {
    Decision decision = selector(candidates, random);
    if (decision.index != npos && decision.index >= candidates.size()) {
      throw Error("it chose position " + std::to_string(decision.index) + " of " +
                  std::to_string(candidates.size()) + " candidates");
    }
    result.decision = std::move(decision);
  });
  if (!chosen) result.decision.share = 0;
  if (!candidates.empty()) {
    result.answer = candidates[result.decision.index == npos ? 0 : result.decision.index];
  }
  if constexpr (requires { selector.stats(candidates); }) {
    if (chosen) {
      call_part(result, FailedPart::selector, what, prompt, [&] {
        const Stats more = selector.stats(candidates);
        result.stats.insert(result.stats.end(), more.begin(), more.end());
      });
    }
  }
  result.candidates = std::move(candidates);
}

}  // namespace tilt::detail

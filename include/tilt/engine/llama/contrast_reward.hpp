#pragma once

#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/engine/llama/policy.hpp"
#include "tilt/reward/concept.hpp"

namespace tilt::llama {

/// r(x, y) = log p(y | x, A) - log p(y | x, B), nats: how much likelier a response becomes when the
/// model is given the system prompt A in place of B. The sum over the tokens that there are, the end
/// token included, at temperature 1.
///
///     tilt::llama::ContrastReward reward{policy, "Answer cheerfully.", ""};
///
/// Its aligned law is known: with base law B and beta = 1 the tilted law p_B exp(r) is the model
/// under A, and the reward of a prefix is the exact soft value of that prefix. So a method can be
/// checked on a real model. For this the base law must be the model's own under B: the decoder's
/// prompts carry B as their system message, or none if B is empty, and the sampler's `SamplingLaw` is
/// neutral.
///
/// The system message of a prompt is replaced by A and by B; an empty text stands for no system
/// message. Text is one user message. Prompts of token ids are refused, for they have no messages.
///
/// Cost: one forward per token and context, but for what the policy holds: a prefix that was scored
/// before is not computed again, and what the policy has drawn under B has its log-probs already, so
/// that mostly the new tokens under A are computed. Computes on the policy's model and waits for its
/// other callers.
class ContrastReward {
 public:
  static constexpr bool partial = true;

  /// @param system_a, system_b  system prompts; empty: none
  /// @throws PolicyError when the model's chat template leaves system messages out, so that every reward
  ///         would be 0, or there is no chat template
  ContrastReward(const Policy& policy, std::string system_a, std::string system_b)
      : engine_(policy.engine()),
        system_a_(std::move(system_a)),
        system_b_(std::move(system_b)) {
    for (const std::string& system : {system_a_, system_b_}) {
      (void)engine_->model().prompt_tokens(with_system("", system));
    }
  }

  /// @throws PartialFailure with a RewardError for each item that failed: a prompt of token ids, a
  ///         response of text without ids, a message that the chat template leaves out, a context that
  ///         does not fit into the cache, logits that are no law, an error of llama.cpp
  void score(std::span<const Scoring> work, std::span<double> out) {
    std::vector<Task> tasks(2 * work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      prepare(tasks[2 * i], work[i], system_a_);
      prepare(tasks[2 * i + 1], work[i], system_b_);
    }
    engine_->run(tasks);
    for_each_isolated(work.size(), [&](std::size_t i) {
      out[i] = log_prob(tasks[2 * i]) - log_prob(tasks[2 * i + 1]);
    });
  }

  /// Called by the decoder with the base law of its sampler.
  /// @throws InvalidOption unless the law is neutral: under another one r is no log-ratio of laws
  void check_law(const SamplingLaw& law) const {
    if (!law.neutral()) {
      throw InvalidOption("the sampler's SamplingLaw", "not neutral",
                          "the model's own (temperature 1, nothing cut off, no stop) for a "
                          "llama::ContrastReward");
    }
  }

 private:
  // Fills in what to score, or why it cannot be.
  void prepare(Task& task, const Scoring& work, const std::string& system) const {
    try {
      task.tokens = *engine_->prompt_tokens(with_system(*work.prompt, system));
      task.prompt = task.tokens.size();
      engine_->model().append_response(*work.response, task.tokens);
    } catch (...) {
      task.error = std::current_exception();
    }
  }

  static Prompt with_system(const Prompt& prompt, const std::string& system) {
    if (prompt.is_tokens()) {
      throw RewardError("a prompt of token ids has no system message to replace");
    }
    std::vector<Message> messages;
    if (!system.empty()) messages.push_back({"system", system});
    if (!prompt.is_messages()) messages.push_back({"user", std::string(prompt.text())});
    for (const Message& message : prompt.messages()) {
      if (message.role != "system") messages.push_back(message);
    }
    return Prompt::from_messages(std::move(messages));
  }

  static double log_prob(const Task& task) {
    if (task.error) throw RewardError(message_of(task.error));
    double sum = 0;
    for (const double term : task.log_probs) sum += term;
    return sum;
  }

  std::shared_ptr<Engine> engine_;
  std::string system_a_, system_b_;
};

}  // namespace tilt::llama

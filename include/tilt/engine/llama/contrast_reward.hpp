#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/engine/llama/policy.hpp"
#include "tilt/reward/concept.hpp"

namespace tilt::llama {

/// r(x, y) = log p(y | x, A) - log p(y | x, B), nats: how much more probable one system prompt makes
/// a response than another does, under the same model.
class ContrastReward {
 public:
  static constexpr bool partial = true;

  ContrastReward(Policy& policy, std::string system_a, std::string system_b)
      : engine_(policy.engine()), a_(std::move(system_a)), b_(std::move(system_b)) {}

  void score(std::span<const Scoring> work, std::span<double> out) {
    std::vector<Task> tasks(2 * work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      for (const bool under_b : {false, true}) {
        Task& task = tasks[2 * i + under_b];
        try {
          task = task_for(work[i], under_b ? b_ : a_);
        } catch (...) {
          task.error = std::current_exception();
        }
      }
    }
    engine_->run(tasks);
    for_each_isolated(work.size(), [&](std::size_t i) {
      double reward = 0;
      for (const double sign : {1.0, -1.0}) {
        const Task& task = tasks[2 * i + (sign < 0)];
        if (task.error) throw RewardError(message_of(task.error));
        for (const double log_prob : task.log_probs) reward += sign * log_prob;
      }
      out[i] = reward;
    });
  }

 private:
  [[nodiscard]] Task task_for(const Scoring& work, const std::string& system) const {
    if (work.prompt->is_tokens()) {
      throw RewardError("a prompt of token ids has no system message to replace");
    }
    std::vector<Message> messages;
    if (!system.empty()) messages.push_back({"system", system});
    for (const Message& message : work.prompt->messages()) {
      if (message.role != "system") messages.push_back(message);
    }
    if (!work.prompt->is_messages()) {
      messages.push_back({"user", std::string(work.prompt->text())});
    }
    Task task;
    task.tokens = engine_->model().prompt_tokens(Prompt::from_messages(std::move(messages)));
    task.from = task.tokens.size();
    for (const Token token : work.response->tokens) engine_->model().check_token(token);
    task.tokens.insert(task.tokens.end(), work.response->tokens.begin(),
                       work.response->tokens.end());
    return task;
  }

  std::shared_ptr<Engine> engine_;
  std::string a_, b_;
};

}  // namespace tilt::llama

#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/engine/llama/engine.hpp"
#include "tilt/policy/concept.hpp"

namespace tilt::llama {

/// A language model that llama.cpp runs inside the program. Serves every capability, exactly.
class Policy {
 public:
  static constexpr Capabilities capabilities = {.tokens = true,
                                                .segments = true,
                                                .log_probs = true,
                                                .score_forced = true,
                                                .logits = true,
                                                .concurrent = true};

  /// @param model  a GGUF file
  /// @throws InvalidOption when an option is out of its range
  /// @throws PolicyError when the file is missing or broken, or llama.cpp cannot run it
  explicit Policy(const std::filesystem::path& model, PolicyOptions options = {})
      : engine_(std::make_shared<Engine>(model, std::move(options))) {}

  void generate(std::span<const Generation> work, std::span<Response> out) {
    std::vector<Task> tasks(work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      try {
        if (work[i].max_tokens == 0) {
          out[i].finish = Finish::length;
          continue;
        }
        tasks[i] = task_for(work[i], out[i]);
      } catch (...) {
        tasks[i].error = std::current_exception();
      }
    }
    engine_->run(tasks);
    rethrow(tasks);
  }

  [[nodiscard]] Token end_token() const { return model().end_token(); }
  [[nodiscard]] bool is_end(Token token) const { return model().is_end(token); }
  [[nodiscard]] std::string fingerprint() const { return model().fingerprint(); }
  [[nodiscard]] std::size_t context_length() const { return engine_->capacity(); }
  [[nodiscard]] Statistics statistics() const { return engine_->statistics(); }
  void clear_cache() { engine_->clear(); }

  [[nodiscard]] std::vector<Token> tokenize(std::string_view text) const {
    return model().tokenize(text, false, false);
  }
  [[nodiscard]] std::vector<Token> prompt_tokens(const Prompt& prompt) const {
    return model().prompt_tokens(prompt);
  }
  [[nodiscard]] std::string piece(Token token) const {
    model().check_token(token);
    std::string text;
    model().append_piece(token, text);
    return text;
  }

  /// log p of each token of a given response under the law, nats.
  [[nodiscard]] std::vector<double> log_probs(const Prompt& prompt, const Response& response,
                                              const SamplingLaw& law = {}) {
    Task task;
    task.tokens = context(prompt, response);
    task.from = task.tokens.size() - response.tokens.size();
    if (!law.neutral()) task.law = &law;
    if (response.tokens.empty()) return {};
    engine_->run({&task, 1});
    rethrow({&task, 1});
    return std::move(task.log_probs);
  }

  /// The logits of the token that follows a response.
  [[nodiscard]] std::vector<float> logits(const Prompt& prompt, const Response& response) {
    std::vector<float> result;
    Task task;
    task.tokens = context(prompt, response);
    task.logits = &result;
    engine_->run({&task, 1});
    rethrow({&task, 1});
    return result;
  }

  /// What the policy runs on; shared with rewards that compute with the same model.
  [[nodiscard]] const std::shared_ptr<Engine>& engine() const noexcept { return engine_; }

 private:
  [[nodiscard]] const Model& model() const noexcept { return engine_->model(); }

  [[nodiscard]] std::vector<Token> context(const Prompt& prompt, const Response& response) const {
    std::vector<Token> tokens = prompt_tokens(prompt);
    if (response.tokens.empty() && !response.text.empty()) {
      throw PolicyError("a response of text without token ids cannot be continued or scored");
    }
    for (const Token token : response.tokens) model().check_token(token);
    tokens.insert(tokens.end(), response.tokens.begin(), response.tokens.end());
    if (tokens.empty()) throw PolicyError("an empty context: nothing to continue");
    return tokens;
  }

  Task task_for(const Generation& work, Response& out) const {
    check_law(work.law, "Generation.law");
    Task task;
    task.tokens = context(work.prompt, work.prefix);
    task.work = &work;
    task.out = &out;
    if (task.tokens.size() + work.max_tokens > engine_->capacity() + 1) {
      throw PolicyError("prompt and prefix of " + std::to_string(task.tokens.size()) +
                        " tokens and " + std::to_string(work.max_tokens) +
                        " new ones do not fit into the cache of " +
                        std::to_string(engine_->capacity()) + " tokens");
    }
    return task;
  }

  static void rethrow(std::span<const Task> tasks) {
    if (tasks.size() == 1) {
      if (tasks[0].error) std::rethrow_exception(tasks[0].error);
      return;
    }
    std::vector<std::exception_ptr> causes;
    bool failed = false;
    for (const Task& task : tasks) {
      causes.push_back(task.error);
      failed = failed || task.error;
    }
    if (failed) throw PartialFailure(std::move(causes));
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace tilt::llama

#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/engine/llama/engine.hpp"
#include "tilt/policy/concept.hpp"

namespace tilt::llama {

/// A language model that llama.cpp runs inside the program. Serves every capability, exactly.
///
///     tilt::llama::Policy policy{"SmolLM2-135M-Instruct.Q4_1.gguf"};
///
/// Law: each token is drawn here, from the model's logits over the whole vocabulary, under
/// `Generation::law`; the draw at position t of the response uses the stream (seed, t), so that a
/// response made in segments equals the one made whole. `SamplingLaw::extra` must be empty.
///
/// Prompts: text is one user message, messages are rendered with the model's chat template, both
/// followed by the opening of the answer; ids are taken as they are. A last message of the assistant is the
/// beginning of the answer, which the response goes on with. Nothing is added to the messages given, also
/// where a template would add a system message of its own; a template that leaves out one of them is an
/// error. The names of special tokens inside a message are plain text to the model. A prompt is tokenised
/// once for all draws; the text of one message may have `Vocabulary::longest_text` bytes at most.
///
/// Stop strings are looked for in the text of the response, also across the end of a prefix. Control tokens
/// have no text: a stop string that is the name of one stands for that token too.
///
/// Cost: what the works of a call have in common, and what is still held from earlier calls, is not
/// computed again, but for the last token of a context, because a cache holds no logits; works with
/// the same context share that one as well. `Response::usage` and `statistics()` tell. One call
/// generates up to `PolicyOptions::sequences` responses side by side, and the next work takes the
/// place of one that has finished.
///
/// Numbers: the logits of a token depend a little on what else is computed in the same batch and on
/// what was cached: mostly by 0.01 to 0.02 nat with weights of 4 or 8 bits, by up to 0.3 nat between
/// batches of a few and of more than about 64 tokens, which the engine multiplies in another way. So the same calls on a fresh
/// policy give the same responses, but a draw may come out differently when it is grouped with others
/// or when its prefix was cached, and log-probs that are computed anew differ by as much.
///
/// Several threads may call it; they wait for each other. Copies share the model and the cache.
class Policy {
 public:
  static constexpr Capabilities capabilities = {.tokens = true,
                                                .segments = true,
                                                .log_probs = true,
                                                .score_forced = true,
                                                .logits = true,
                                                .concurrent = true};

  /// @param model  a GGUF file
  /// @throws InvalidOption when an option is out of its range, or llama.cpp does not know the chat
  ///         template that is given
  /// @throws PolicyError when the file is missing or broken, llama.cpp cannot run it or does not know
  ///         its chat template, the model encodes texts instead of continuing them, or the library is of
  ///         another build than the headers
  explicit Policy(const std::filesystem::path& model, const PolicyOptions& options = {})
      : engine_(std::make_shared<Engine>(model, options)) {}

  /// Continues each work; see `tilt::Policy`.
  /// @throws PartialFailure with, for each work that failed: InvalidOption for a law out of range or
  ///         with `extra`; PolicyError for a context that is empty, that does not fit into the cache
  ///         together with the new tokens, or that holds text without ids or ids that are not in the
  ///         vocabulary, for a message that the chat template leaves out, for logits that are no law
  ///         (NaN), and for errors of llama.cpp
  void generate(std::span<const Generation> work, std::span<Response> out) {
    std::vector<Task> tasks(work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      prepare(tasks[i], work[i].prompt, work[i].prefix);
      tasks[i].work = &work[i];
      for (const std::string& stop : work[i].law.stop) {
        const std::optional<Token> token = model().vocabulary().control_token(stop);
        if (token) tasks[i].stop_tokens.push_back(*token);
      }
      tasks[i].out = &out[i];
      try {
        check_law(work[i].law, "Generation.law");
        if (!work[i].law.extra.empty()) {
          throw InvalidOption("SamplingLaw.extra", '"' + work[i].law.extra + '"',
                              "empty for llama::Policy, which has no further settings");
        }
      } catch (...) {
        tasks[i].error = std::current_exception();
      }
      if (work[i].max_tokens == 0) out[i].finish = Finish::length;
    }
    engine_->run(tasks);
    for_each_isolated(tasks.size(), [&](std::size_t i) {
      if (tasks[i].error) std::rethrow_exception(tasks[i].error);
    });
  }

  /// The token that ends a response, and whether one does: a model may have several.
  [[nodiscard]] Token end_token() const { return model().end_token(); }
  [[nodiscard]] bool is_end(Token token) const { return model().is_end(token); }

  /// Text that changes with the model's content.
  [[nodiscard]] std::string fingerprint() const { return model().fingerprint(); }

  /// Tokens that a prompt and its response may have together: as many as the cache holds
  /// (`PolicyOptions::context`), and no more than the positions of a model that has learned them one by
  /// one.
  [[nodiscard]] std::size_t context_length() const { return engine_->capacity(); }

  /// The ids of plain text, without special tokens.
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text) const {
    return model().tokenize(text, false, false);
  }

  /// The ids that the model is given for a prompt.
  /// @throws PolicyError as `generate` does
  [[nodiscard]] std::vector<Token> prompt_tokens(const Prompt& prompt) const {
    return *engine_->prompt_tokens(prompt);
  }

  /// A token's bytes: maybe a part of a UTF-8 character; none for a control token.
  /// @throws PolicyError when the id is not in the vocabulary
  [[nodiscard]] std::string piece(Token token) const {
    model().check_token(token);
    std::string text;
    model().append_piece(token, text);
    return text;
  }

  /// log p of each token of a given response under the law, nats; -infinity for one that the law
  /// excludes. What the policy has drawn or scored before and still holds is not computed again
  /// under the model's own law.
  /// @throws InvalidOption, PolicyError  as `generate` does
  [[nodiscard]] std::vector<double> log_probs(const Prompt& prompt, const Response& response,
                                              const SamplingLaw& law = {}) {
    check_law(law, "law");
    Task task;
    prepare(task, prompt, response);
    const bool own = law.temperature == 1 && law.top_k == 0 && law.top_p == 1 && law.min_p == 0;
    if (!own) task.law = &law;
    run(task);
    return std::move(task.log_probs);
  }

  /// The logits of the token that follows a response, one per token of the vocabulary.
  /// @throws PolicyError as `generate` does
  [[nodiscard]] std::vector<float> logits(const Prompt& prompt, const Response& response) {
    std::vector<float> result;
    Task task;
    prepare(task, prompt, response);
    task.logits = &result;
    run(task);
    return result;
  }

  /// KL(uniform || p) of the law p of each token of a given response, nats: one per token, the first that
  /// after the prompt alone; the model's own law over the whole vocabulary, tokens of logit -infinity left
  /// out. `SelfCertainty` takes their mean. All positions are computed in one run, also where log-probs
  /// are held; no logits leave the engine. A certainty, a mean over the whole vocabulary, depends more on
  /// what is computed in the same batch than log-probs do: by some tenths of a nat with weights of 4
  /// bits, where the mean over a long response moves by about 0.01.
  /// @throws PolicyError as `generate` does
  [[nodiscard]] std::vector<double> self_certainty(const Prompt& prompt, const Response& response) {
    std::vector<double> result;
    Task task;
    prepare(task, prompt, response);
    task.certainties = &result;
    run(task);
    return result;
  }

  /// What was computed and what is held.
  [[nodiscard]] Statistics statistics() const { return engine_->statistics(); }

  /// Forgets all that is held of earlier calls.
  void clear_cache() { engine_->clear(); }

  /// What the policy runs on; rewards that compute with the same model share it.
  [[nodiscard]] const std::shared_ptr<Engine>& engine() const noexcept { return engine_; }

 private:
  [[nodiscard]] const Model& model() const noexcept { return engine_->model(); }

  // Fills in the context, or why there is none.
  void prepare(Task& task, const Prompt& prompt, const Response& response) const {
    try {
      task.tokens = *engine_->prompt_tokens(prompt);
      task.prompt = task.tokens.size();
      model().append_response(response, task.tokens);
    } catch (...) {
      task.error = std::current_exception();
    }
  }

  void run(Task& task) {
    engine_->run({&task, 1});
    if (task.error) std::rethrow_exception(task.error);
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace tilt::llama

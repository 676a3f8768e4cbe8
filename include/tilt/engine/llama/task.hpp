#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <vector>

#include "tilt/core/generation.hpp"
#include "tilt/core/response.hpp"

namespace tilt::llama {

/// What an engine has done since it was made, and what it holds.
struct Statistics {
  std::size_t decode_calls = 0;     ///< calls of llama_decode, each for many sequences
  std::size_t token_forwards = 0;   ///< tokens that the model computed
  std::size_t context_tokens = 0;   ///< tokens of prompts, prefixes and scored responses needed
  std::size_t cached_tokens = 0;    ///< of those, tokens that were not computed again
  std::size_t restored_tokens = 0;  ///< tokens copied back from main memory
  std::size_t resident_tokens = 0;  ///< tokens in the cache now
  std::size_t parked_bytes = 0;     ///< main memory that parked sequences take now
  std::size_t tokenized_prompts =
      0;  ///< prompts turned into tokens; one that is used again is held
};

/// A piece of work for an engine, on a prompt and a response: to continue them by drawing tokens
/// (`work` and `out` are set), to find the logits of the token that follows (`logits` is set), or
/// else the log-probs of the response, with the certainties of its positions where these are asked for
/// (`certainties` is set).
struct Task {
  std::vector<Token> tokens = {};  ///< prompt and response, at least one token
  std::size_t prompt = 0;          ///< tokens of it that are the prompt
  const Generation* work = nullptr;
  Response* out = nullptr;
  std::vector<Token> stop_tokens = {};  ///< that end the response, besides those of the law
  std::vector<float>* logits = nullptr;
  /// Given empty, filled with KL(uniform || p) of the law p of each token of the response, nats.
  std::vector<double>* certainties = nullptr;
  const SamplingLaw* law = nullptr;    ///< the law to score under; null: the model's own
  std::vector<double> log_probs = {};  ///< filled when scoring: one per token of the response, nats
  std::exception_ptr error = {};       ///< why it failed; set beforehand, the task is left out

  /// Whether it scores the response.
  [[nodiscard]] bool scores() const { return work == nullptr && logits == nullptr; }

  /// Tokens that it may draw.
  [[nodiscard]] std::size_t new_tokens() const {
    if (work == nullptr) return 0;
    return work->until ? std::min(work->max_tokens, work->until->max_tokens) : work->max_tokens;
  }

  /// Forgets what it has found so far.
  void reset() {
    if (out != nullptr) *out = {};
    if (logits != nullptr) logits->clear();
    if (certainties != nullptr) certainties->clear();
    log_probs.clear();
  }
};

}  // namespace tilt::llama

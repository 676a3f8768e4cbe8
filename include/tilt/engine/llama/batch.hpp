#pragma once

#include <llama.h>

#include <cstdint>
#include <vector>

#include "tilt/core/token.hpp"

namespace tilt::llama {

/// The tokens of one call of llama_decode, with room that is kept for the next call.
class Batch {
 public:
  void clear() {
    tokens_.clear();
    positions_.clear();
    ids_.clear();
    outputs_.clear();
  }

  /// @param position  of the token in its sequence
  /// @param output    whether the logits that follow it are wanted
  void add(Token token, std::size_t position, llama_seq_id sequence, bool output) {
    tokens_.push_back(token);
    positions_.push_back(static_cast<llama_pos>(position));
    ids_.push_back(sequence);
    outputs_.push_back(output ? 1 : 0);
  }

  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }

  /// What llama_decode says of it: 0 if all went well.
  [[nodiscard]] std::int32_t decode(llama_context* context) {
    counts_.assign(size(), 1);
    pointers_.clear();
    for (llama_seq_id& id : ids_) pointers_.push_back(&id);
    llama_batch batch = {};
    batch.n_tokens = static_cast<std::int32_t>(size());
    batch.token = tokens_.data();
    batch.pos = positions_.data();
    batch.n_seq_id = counts_.data();
    batch.seq_id = pointers_.data();
    batch.logits = outputs_.data();
    return llama_decode(context, batch);
  }

 private:
  std::vector<Token> tokens_ = {};
  std::vector<llama_pos> positions_ = {};
  std::vector<llama_seq_id> ids_ = {};
  std::vector<llama_seq_id*> pointers_ = {};
  std::vector<std::int32_t> counts_ = {};
  std::vector<std::int8_t> outputs_ = {};
};

}  // namespace tilt::llama

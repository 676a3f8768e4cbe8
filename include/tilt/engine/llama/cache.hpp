#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tilt/engine/llama/model.hpp"

namespace tilt::llama {

/// Options of `Policy`: the model's memory and where it runs.
struct PolicyOptions {
  std::size_t sequences = 16;  ///< responses that are generated side by side, 1 to 128
  std::size_t context = 8192;  ///< tokens in the key-value cache, all sequences together; one piece
                               ///< of work must fit with its prompt, prefix and `max_tokens`
  std::size_t threads = 0;     ///< processor threads; 0: all cores
  int gpu_layers = 0;          ///< layers kept on a graphics processor; -1: all
  std::string chat_template = {};  ///< name or text of a chat template; empty: the model's own
  bool verbose = false;  ///< let llama.cpp write its messages to standard error
};

/// One token sequence of the cache: the record of what the engine holds for it.
struct Sequence {
  llama_seq_id id = 0;
  std::vector<Token> tokens = {};      ///< prompt and response; those not computed yet at the end
  std::vector<double> log_probs = {};  ///< of each token after those before it, nats; NaN: unknown
  std::vector<std::uint32_t> cells = {};  ///< one per computed token; sequences share cells
  std::uint64_t used = 0;                 ///< when it was last used, in uses of the cache
  bool running = false;                   ///< a running sequence is never evicted

  /// Tokens whose keys and values are held.
  [[nodiscard]] std::size_t computed() const noexcept { return cells.size(); }

  /// How many leading tokens this and another sequence have in common.
  [[nodiscard]] std::size_t common(TokenSpan other) const {
    const auto end = tokens.begin() +
                     static_cast<std::ptrdiff_t>(std::min(tokens.size(), other.size()));
    return static_cast<std::size_t>(std::mismatch(tokens.begin(), end, other.begin()).first -
                                    tokens.begin());
  }
};

/// The key-value cache of one llama.cpp context, shared by all sequences, with a record of every
/// sequence in it token by token.
///
/// A cell holds one computed token, and belongs to every sequence that begins with the same computed
/// tokens. Sequences at rest stay until their cells or their ids are needed; the least recently
/// used go first.
class Cache {
 public:
  /// @throws PolicyError when llama.cpp cannot make a context of this size
  Cache(const Model& model, const PolicyOptions& options, std::size_t threads) {
    llama_context_params params = llama_context_default_params();
    const std::size_t ids =
        std::clamp<std::size_t>(4 * options.sequences, 64, llama_max_parallel_sequences());
    params.n_ctx = static_cast<std::uint32_t>(options.context);
    params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(batch_size);
    params.n_seq_max = static_cast<std::uint32_t>(ids);
    params.n_outputs_max = params.n_seq_max;
    params.n_threads = params.n_threads_batch = static_cast<std::int32_t>(threads);
    params.kv_unified = true;
    params.no_perf = true;
    context_.reset(llama_init_from_model(model.get(), params));
    if (!context_) throw PolicyError("llama.cpp cannot make a context" + Log::reason());
    outputs_ = ids;
    for (std::size_t id = ids; id-- > 0;) free_ids_.push_back(static_cast<llama_seq_id>(id));
    references_.resize(llama_n_ctx(get()));
    clear();
  }

  [[nodiscard]] llama_context* get() const noexcept { return context_.get(); }

  /// Tokens that one decode call may compute, and of those how many may give logits.
  static constexpr std::size_t batch_size = 512;
  [[nodiscard]] std::size_t outputs() const noexcept { return outputs_; }

  /// Cells in all, and cells that no sequence uses.
  [[nodiscard]] std::size_t capacity() const noexcept { return references_.size(); }
  [[nodiscard]] std::size_t free_cells() const noexcept { return free_cells_.size(); }

  [[nodiscard]] std::list<Sequence>& sequences() noexcept { return sequences_; }

  /// Notes that a sequence was of use.
  void touch(Sequence& sequence) noexcept { sequence.used = ++clock_; }

  /// Cells that the running sequences use, those of `also` up to `shared` tokens included.
  [[nodiscard]] std::size_t running_cells(const Sequence* also, std::size_t shared) {
    marked_.assign(capacity(), 0);
    std::size_t count = 0;
    const auto mark = [&](const Sequence& sequence, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) {
        if (marked_[sequence.cells[i]] == 0) {
          marked_[sequence.cells[i]] = 1;
          ++count;
        }
      }
    };
    for (const Sequence& sequence : sequences_) {
      if (sequence.running) mark(sequence, sequence.computed());
    }
    if (also != nullptr) mark(*also, shared);
    return count;
  }

  /// Starts a running sequence of these tokens, of which it shares the first `shared` with another.
  Sequence& open(std::vector<Token> tokens, Sequence* source, std::size_t shared) {
    if (source != nullptr) touch(*source);
    if (free_ids_.empty()) evict_one(source);
    Sequence& sequence = sequences_.emplace_back();
    sequence.id = free_ids_.back();
    free_ids_.pop_back();
    sequence.running = true;
    sequence.tokens = std::move(tokens);
    sequence.log_probs.assign(sequence.tokens.size(), unset);
    touch(sequence);
    if (source != nullptr) {
      const std::size_t known = std::min(source->common(sequence.tokens), source->log_probs.size());
      std::copy_n(source->log_probs.begin(), known, sequence.log_probs.begin());
      if (shared > 0) {
        llama_memory_seq_cp(memory(), source->id, sequence.id, 0, static_cast<llama_pos>(shared));
        sequence.cells.assign(source->cells.begin(),
                              source->cells.begin() + static_cast<std::ptrdiff_t>(shared));
        for (const std::uint32_t cell : sequence.cells) ++references_[cell];
      }
    }
    return sequence;
  }

  /// Evicts sequences at rest until this many cells are free.
  void make_room(std::size_t cells) {
    while (free_cells_.size() < cells) evict_one(nullptr);
  }

  /// Ends the running of a sequence; it stays in the cache.
  void close(Sequence& sequence) {
    sequence.running = false;
    touch(sequence);
  }

  /// Notes that the sequence's next token is computed.
  void computed(Sequence& sequence) {
    sequence.cells.push_back(free_cells_.back());
    free_cells_.pop_back();
    references_[sequence.cells.back()] = 1;
  }

  /// Forgets everything.
  void clear() {
    llama_memory_clear(memory(), false);
    for (const Sequence& sequence : sequences_) free_ids_.push_back(sequence.id);
    sequences_.clear();
    free_cells_.clear();
    for (std::size_t cell = capacity(); cell-- > 0;) {
      references_[cell] = 0;
      free_cells_.push_back(static_cast<std::uint32_t>(cell));
    }
  }

 private:
  struct Free {
    void operator()(llama_context* context) const { llama_free(context); }
  };

  [[nodiscard]] llama_memory_t memory() const { return llama_get_memory(get()); }

  // Drops the sequence at rest that was used least recently.
  void evict_one(const Sequence* but) {
    auto oldest = sequences_.end();
    for (auto s = sequences_.begin(); s != sequences_.end(); ++s) {
      if (s->running || &*s == but) continue;
      if (oldest == sequences_.end() || s->used < oldest->used) oldest = s;
    }
    if (oldest == sequences_.end()) {
      throw PolicyError("the key-value cache of " + std::to_string(capacity()) +
                        " tokens is full; raise PolicyOptions.context");
    }
    llama_memory_seq_rm(memory(), oldest->id, -1, -1);
    for (const std::uint32_t cell : oldest->cells) {
      if (--references_[cell] == 0) free_cells_.push_back(cell);
    }
    free_ids_.push_back(oldest->id);
    sequences_.erase(oldest);
  }

  std::unique_ptr<llama_context, Free> context_ = {};
  std::size_t outputs_ = 0;
  std::list<Sequence> sequences_ = {};  // a list: running work holds on to its sequence
  std::vector<llama_seq_id> free_ids_ = {};
  std::vector<std::uint32_t> references_ = {}, free_cells_ = {};
  std::vector<char> marked_ = {};
  std::uint64_t clock_ = 0;
};

}  // namespace tilt::llama

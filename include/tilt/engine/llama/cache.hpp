#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tilt/engine/llama/model.hpp"
#include "tilt/engine/llama/options.hpp"

namespace tilt::llama {

/// Keys and values of consecutive positions of a sequence, in main memory.
struct Chunk {
  const std::size_t begin, end;  ///< positions
  const std::size_t size;        ///< bytes
  std::size_t& total;            ///< bytes of all chunks, this one counted while it exists
  const std::unique_ptr<std::uint8_t[]> bytes = std::make_unique_for_overwrite<std::uint8_t[]>(size);

  Chunk(std::size_t b, std::size_t e, std::size_t bytes_needed, std::size_t& all)
      : begin(b), end(e), size(bytes_needed), total(all) {
    total += size;
  }
  ~Chunk() { total -= size; }
  Chunk(const Chunk&) = delete;
};
using Chunks = std::vector<std::shared_ptr<const Chunk>>;

/// The record of one token sequence that a cache knows. Its keys and values are in cells of the
/// cache (it is live), or in main memory (it is parked).
struct Sequence {
  llama_seq_id id = -1;                ///< llama.cpp's name for it; -1: parked
  std::vector<Token> tokens = {};      ///< prompt and response; those not computed yet at the end
  std::vector<double> log_probs = {};  ///< of each token after those before it, nats; NaN: unknown
  std::size_t prompt = 0;              ///< tokens that are the prompt
  std::vector<std::uint32_t> cells = {};  ///< one per computed token, while it is live
  Chunks chunks = {};                     ///< from position 0 without gaps, while it is parked
  std::uint64_t used = 0;                 ///< when it was last used, in uses of the cache
  bool running = false;                   ///< being worked on: neither parked nor forgotten

  [[nodiscard]] bool live() const noexcept { return id >= 0; }

  /// Leading tokens whose keys and values are held.
  [[nodiscard]] std::size_t computed() const noexcept {
    if (live()) return cells.size();
    return chunks.empty() ? 0 : chunks.back()->end;
  }

  /// How many leading tokens this and another sequence have in common.
  [[nodiscard]] std::size_t common(TokenSpan other) const {
    const std::size_t n = std::min(tokens.size(), other.size());
    const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(n);
    return static_cast<std::size_t>(std::mismatch(tokens.begin(), end, other.begin()).first -
                                    tokens.begin());
  }
};

/// The key-value cache of one llama.cpp context, shared by all sequences, with a record token by
/// token of everything that is held.
///
/// A cell of the cache holds one computed token and belongs to every live sequence that begins with
/// the same computed tokens. Sequences at rest stay for later work. As the cost of attention grows
/// with every cell in use, at rest or not, no more of them stay in the cache than slow it by about a
/// sixteenth; the others are parked: copied to main memory, from where a copy back takes about a
/// hundredth of the time of computing them again. The least recently used are parked first, and
/// forgotten first when main memory is used up as well.
class Cache {
 public:
  /// @throws PolicyError when llama.cpp cannot make a context of this size
  Cache(const Model& model, const PolicyOptions& options) : parked_limit_(options.parked_bytes) {
    // One id each for what runs, as many for what rests, and one to copy by.
    const std::size_t ids = 2 * options.sequences + 2;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(options.context);
    params.n_batch = params.n_ubatch = 512;
    params.n_seq_max = static_cast<std::uint32_t>(ids);
    params.n_outputs_max = static_cast<std::uint32_t>(std::max<std::size_t>(ids, 128));
    params.n_threads = params.n_threads_batch = static_cast<std::int32_t>(options.threads);
    params.kv_unified = true;
    params.no_perf = true;
    context_.reset(llama_init_from_model(model.get(), params));
    if (!context_) {
      throw PolicyError("llama.cpp cannot make a context of " + std::to_string(options.context) +
                        " tokens" + Log::reason());
    }
    batch_size_ = std::min<std::size_t>(llama_n_batch(get()), options.context);
    outputs_ = params.n_outputs_max;
    copy_id_ = static_cast<llama_seq_id>(ids - 1);
    for (llama_seq_id id = copy_id_; id-- > 0;) free_ids_.push_back(id);
    // llama.cpp rounds the number of cells up; the limit stays the one that was asked for.
    references_.resize(std::min<std::size_t>(llama_n_ctx(get()), options.context));
    // One cell costs every token two products of the width per layer, a token all parameters.
    const auto width = static_cast<std::size_t>(llama_model_n_embd(model.get()));
    const auto layers = static_cast<std::size_t>(llama_model_n_layer(model.get()));
    resting_limit_ = std::max<std::size_t>(
        256, llama_model_n_params(model.get()) / std::max<std::size_t>(1, 2 * width * layers) / 16);
    clear();
  }

  [[nodiscard]] llama_context* get() const noexcept { return context_.get(); }

  /// Tokens that one call of llama_decode may compute, and for how many it may give logits.
  [[nodiscard]] std::size_t batch_size() const noexcept { return batch_size_; }
  [[nodiscard]] std::size_t outputs() const noexcept { return outputs_; }

  /// Cells in all, those in use, and the bytes that parked sequences take.
  [[nodiscard]] std::size_t capacity() const noexcept { return references_.size(); }
  [[nodiscard]] std::size_t used() const noexcept { return capacity() - free_cells_.size(); }
  [[nodiscard]] std::size_t parked_bytes() const noexcept { return parked_bytes_; }
  /// Tokens copied back from main memory so far.
  [[nodiscard]] std::size_t restored() const noexcept { return restored_; }

  [[nodiscard]] std::list<Sequence>& sequences() noexcept { return sequences_; }

  /// Notes that a sequence was of use.
  void touch(Sequence& sequence) noexcept { sequence.used = ++clock_; }

  /// The live sequence that has the most computed tokens in common with the given ones, but no more
  /// than `limit`, and their number.
  [[nodiscard]] std::pair<Sequence*, std::size_t> closest_live(TokenSpan tokens,
                                                               std::size_t limit) {
    std::pair<Sequence*, std::size_t> best = {nullptr, 0};
    for (Sequence& sequence : sequences_) {
      if (!sequence.live()) continue;
      const std::size_t n = std::min({sequence.common(tokens), sequence.computed(), limit});
      if (n > best.second) best = {&sequence, n};
    }
    return best;
  }

  /// Cells that running sequences use, the first `shared` ones of `also` included.
  std::size_t running_cells(const Sequence* also = nullptr, std::size_t shared = 0) {
    marked_.assign(capacity(), 0);
    std::size_t count = 0;
    const auto mark = [&](const Sequence& sequence, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) {
        char& seen = marked_[sequence.cells[i]];
        count += seen == 0;
        seen = 1;
      }
    };
    for (const Sequence& sequence : sequences_) {
      if (sequence.running) mark(sequence, sequence.computed());
    }
    if (also != nullptr) mark(*also, shared);
    return count;
  }

  /// Starts a sequence of these tokens. Its first `shared` ones are those of a live sequence, whose
  /// cells it shares.
  Sequence& open(std::vector<Token> tokens, std::size_t prompt, Sequence* live,
                 std::size_t shared) {
    if (live != nullptr) touch(*live);
    if (free_ids_.empty()) park(least_used([&](const Sequence& s) { return s.live() && &s != live; }));
    Sequence& sequence = sequences_.emplace_back();
    sequence.id = free_ids_.back();
    free_ids_.pop_back();
    sequence.running = true;
    sequence.prompt = prompt;
    sequence.tokens = std::move(tokens);
    sequence.log_probs.assign(sequence.tokens.size(), unset);
    touch(sequence);
    if (shared > 0) {
      llama_memory_seq_cp(memory(), live->id, sequence.id, 0, static_cast<llama_pos>(shared));
      sequence.cells.assign(live->cells.begin(),
                            live->cells.begin() + static_cast<std::ptrdiff_t>(shared));
      for (const std::uint32_t cell : sequence.cells) ++references_[cell];
    }
    return sequence;
  }

  /// Copies the keys and values up to position `end` that a sequence lacks back from main memory. It
  /// gets fewer where the cache has no room for the copy.
  void restore(Sequence& sequence, const Chunks& chunks, std::size_t end) {
    for (const auto& chunk : chunks) {
      const std::size_t from = sequence.computed();
      const std::size_t to = std::min(end, chunk->end);
      if (from >= to || from < chunk->begin) continue;
      // The whole chunk needs room for a moment.
      if (!make_room(chunk->end - chunk->begin)) return;
      if (llama_state_seq_set_data(get(), chunk->bytes.get(), chunk->size, copy_id_) == 0) {
        throw PolicyError("llama.cpp cannot restore a sequence" + Log::reason());
      }
      llama_memory_seq_cp(memory(), copy_id_, sequence.id, static_cast<llama_pos>(from),
                          static_cast<llama_pos>(to));
      llama_memory_seq_rm(memory(), copy_id_, -1, -1);
      for (std::size_t p = from; p < to; ++p) add_cell(sequence);
      restored_ += to - from;
    }
  }

  /// Parks sequences at rest until this many cells are free; false if that is not to be had.
  bool make_room(std::size_t cells) {
    while (free_cells_.size() < cells) {
      const auto oldest = least_used([](const Sequence& s) { return s.live(); });
      if (oldest == sequences_.end()) return false;
      park(oldest);
    }
    return true;
  }

  /// Parks sequences at rest until those that stay take no more cells than slow the others by about
  /// a sixteenth.
  void limit_resting() {
    while (used() - running_cells() > resting_limit_) {
      park(least_used([&](const Sequence& s) {
        return s.live() && std::any_of(s.cells.begin(), s.cells.end(), [&](std::uint32_t cell) {
                 return marked_[cell] == 0;
               });
      }));
    }
  }

  /// Notes that a sequence's next token is computed.
  void add_cell(Sequence& sequence) {
    sequence.cells.push_back(free_cells_.back());
    free_cells_.pop_back();
    references_[sequence.cells.back()] = 1;
  }

  /// Ends the work on a sequence; it stays for later work.
  void close(Sequence& sequence) {
    sequence.running = false;
    touch(sequence);
  }

  /// Forgets everything.
  void clear() {
    llama_memory_clear(memory(), false);
    for (const Sequence& sequence : sequences_) {
      if (sequence.live()) free_ids_.push_back(sequence.id);
    }
    sequences_.clear();
    free_cells_.clear();
    for (std::size_t cell = capacity(); cell-- > 0;) {
      references_[cell] = 0;
      free_cells_.push_back(static_cast<std::uint32_t>(cell));
    }
  }

 private:
  using Place = std::list<Sequence>::iterator;
  struct Free {
    void operator()(llama_context* context) const { llama_free(context); }
  };

  [[nodiscard]] llama_memory_t memory() const { return llama_get_memory(get()); }

  // The sequence at rest that was used least recently, of those that fit.
  template <class Fits>
  Place least_used(Fits fits) {
    Place oldest = sequences_.end();
    for (Place s = sequences_.begin(); s != sequences_.end(); ++s) {
      if (s->running || !fits(*s)) continue;
      if (oldest == sequences_.end() || s->used < oldest->used) oldest = s;
    }
    return oldest;
  }

  // Moves a live sequence at rest from the cache to main memory.
  void park(Place place) {
    Sequence& sequence = *place;
    Chunks chunks = saved(sequence);
    llama_memory_seq_rm(memory(), sequence.id, -1, -1);
    for (const std::uint32_t cell : sequence.cells) {
      if (--references_[cell] == 0) free_cells_.push_back(cell);
    }
    sequence.cells.clear();
    free_ids_.push_back(std::exchange(sequence.id, -1));
    if (chunks.empty()) {
      sequences_.erase(place);
      return;
    }
    sequence.chunks = std::move(chunks);
    while (parked_bytes_ > parked_limit_) {
      const Place oldest = least_used([](const Sequence& s) { return !s.live(); });
      if (oldest == sequences_.end()) break;
      sequences_.erase(oldest);
    }
  }

  // A copy of a live sequence: its prompt, which others may have in common with it, and the rest.
  // Empty if there is nothing to copy or no memory to copy it to.
  Chunks saved(const Sequence& sequence) {
    const std::size_t end = sequence.computed();
    const std::size_t prompt = std::min(sequence.prompt, end);
    if (end == 0 || parked_limit_ == 0) return {};
    Chunks chunks;
    for (const Sequence& other : sequences_) {
      if (prompt > 0 && !other.chunks.empty() && other.chunks[0]->end == prompt &&
          other.common(sequence.tokens) >= prompt) {
        chunks = {other.chunks[0]};
        break;
      }
    }
    if (prompt > 0 && chunks.empty()) chunks.push_back(saved(sequence, 0, prompt));
    if (end > prompt) chunks.push_back(saved(sequence, prompt, end));
    return chunks;
  }

  std::shared_ptr<const Chunk> saved(const Sequence& sequence, std::size_t begin,
                                     std::size_t end) {
    llama_memory_seq_cp(memory(), sequence.id, copy_id_, static_cast<llama_pos>(begin),
                        static_cast<llama_pos>(end));
    const auto chunk = std::make_shared<const Chunk>(
        begin, end, llama_state_seq_get_size(get(), copy_id_), parked_bytes_);
    const std::size_t written =
        llama_state_seq_get_data(get(), chunk->bytes.get(), chunk->size, copy_id_);
    llama_memory_seq_rm(memory(), copy_id_, -1, -1);
    if (written == 0) throw PolicyError("llama.cpp cannot copy a sequence" + Log::reason());
    return chunk;
  }

  std::unique_ptr<llama_context, Free> context_ = {};
  std::size_t batch_size_ = 0, outputs_ = 0;
  std::size_t resting_limit_ = 0;  // cells
  std::size_t parked_limit_ = 0, parked_bytes_ = 0, restored_ = 0;
  std::list<Sequence> sequences_ = {};  // a list: running work holds on to its sequence
  std::vector<llama_seq_id> free_ids_ = {};
  llama_seq_id copy_id_ = 0;  // names a range of positions while it is copied
  // Cells as counted here: how many live sequences use each. llama.cpp numbers them otherwise.
  std::vector<std::uint32_t> references_ = {}, free_cells_ = {};
  std::vector<char> marked_ = {};
  std::uint64_t clock_ = 0;
};

}  // namespace tilt::llama

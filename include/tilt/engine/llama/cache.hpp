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

/// The record of one token sequence that a cache knows. Its keys and values are in cells of the
/// cache (it is live), or in main memory (it is parked).
struct Sequence {
  llama_seq_id id = -1;                ///< llama.cpp's name for it; -1: parked
  std::vector<Token> tokens = {};      ///< prompt and response; those not computed yet at the end
  std::vector<double> log_probs = {};  ///< of each token after those before it, nats; NaN: unknown
  std::size_t prompt = 0;              ///< tokens that are the prompt
  std::vector<std::uint32_t> cells = {};  ///< one per computed token, while it is live
  std::shared_ptr<const Chunk> chunk = {};  ///< while it is parked
  std::uint64_t used = 0;                   ///< when it was last used, in uses of the cache
  bool running = false;                     ///< being worked on: neither parked nor forgotten

  [[nodiscard]] bool live() const noexcept { return id >= 0; }

  /// Tokens whose keys and values are in cells.
  [[nodiscard]] std::size_t computed() const noexcept { return cells.size(); }

  /// How many leading tokens this and another sequence have in common.
  [[nodiscard]] std::size_t common(TokenSpan other) const {
    const std::size_t n = std::min(tokens.size(), other.size());
    const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(n);
    return static_cast<std::size_t>(std::mismatch(tokens.begin(), end, other.begin()).first -
                                    tokens.begin());
  }
};

/// Where the keys and values of a context's leading tokens are: `shared` of them in the cells of a live
/// sequence, those that follow in main memory.
struct Held {
  struct Part {
    std::shared_ptr<const Chunk> chunk;
    std::size_t end;  ///< position up to which it serves
  };
  Sequence* live = nullptr;
  std::size_t shared = 0;
  std::vector<Part> parts = {};

  /// Tokens in all.
  [[nodiscard]] std::size_t size() const { return parts.empty() ? shared : parts.back().end; }
};

/// The key-value cache of one llama.cpp context, shared by all sequences, with a record token by
/// token of everything that is held.
///
/// A cell of the cache holds one computed token and belongs to every live sequence that begins with
/// the same computed tokens. Sequences at rest are kept for later work, but not in the cache while
/// something else runs: attention looks at every cell up to the last one in use, whoever it belongs
/// to, and would soon take more time than the model's weights. They are parked: what follows their
/// prompt is copied to main memory, from where a copy back takes about a hundredth of the time of
/// computing it again. Prompts stay in the cache, up to a limit. Where memory runs out the least
/// recently used are forgotten.
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
    if (memory() == nullptr) {
      throw PolicyError("the model has no key-value cache: it encodes texts and does not continue them");
    }
    batch_size_ = std::min<std::size_t>(llama_n_batch(get()), options.context);
    outputs_ = params.n_outputs_max;
    copy_id_ = static_cast<llama_seq_id>(ids - 1);
    for (llama_seq_id id = copy_id_; id-- > 0;) free_ids_.push_back(id);
    // llama.cpp rounds the number of cells up; the limit stays the one that was asked for.
    references_.resize(std::min<std::size_t>(llama_n_ctx(get()), options.context));
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

  [[nodiscard]] const std::list<Sequence>& sequences() const noexcept { return sequences_; }

  /// What is held of a context's first `limit` tokens. Counts as a use of it.
  [[nodiscard]] Held find(TokenSpan tokens, std::size_t limit) {
    Held held;
    for (Sequence& s : sequences_) {
      if (!s.live()) continue;
      const std::size_t n = std::min({s.common(tokens), s.computed(), limit});
      if (n > held.shared) held = {&s, n};
    }
    if (held.live != nullptr) touch(*held.live);
    while (true) {
      const std::size_t from = held.size();
      Sequence* next = nullptr;
      std::size_t end = from;
      for (Sequence& s : sequences_) {
        if (s.live() || s.chunk->begin > from) continue;
        const std::size_t n = std::min({s.common(tokens), s.chunk->end, limit});
        if (n > end) {
          next = &s;
          end = n;
        }
      }
      if (next == nullptr) return held;
      touch(*next);
      held.parts.push_back({next->chunk, end});
    }
  }

  /// Cells that running sequences use, those that `held` shares included.
  std::size_t running_cells(const Held& held = {}) {
    marked_.assign(capacity(), 0);
    std::size_t count = 0;
    const auto mark = [&](const Sequence& sequence, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) {
        char& seen = marked_[sequence.cells[i]];
        count += seen == 0;
        seen = 1;
      }
    };
    for (const Sequence& s : sequences_) {
      if (s.running) mark(s, s.computed());
    }
    if (held.live != nullptr) mark(*held.live, held.shared);
    return count;
  }

  /// Starts a sequence of these tokens with what is held of them; what lies in main memory as far as
  /// the cache has room for the copy.
  Sequence& open(std::vector<Token> tokens, std::size_t prompt, const Held& held) {
    while (free_ids_.empty()) {
      make_way(least_used([&](const Sequence& s) { return s.live() && &s != held.live; }));
    }
    Sequence& sequence = sequences_.emplace_back();
    sequence.id = free_ids_.back();
    free_ids_.pop_back();
    sequence.running = true;
    sequence.prompt = prompt;
    sequence.tokens = std::move(tokens);
    sequence.log_probs.assign(sequence.tokens.size(), unset);
    touch(sequence);
    if (held.shared > 0) {
      copy_range(held.live->id, sequence.id, 0, held.shared);
      sequence.cells.assign(held.live->cells.begin(),
                            held.live->cells.begin() + static_cast<std::ptrdiff_t>(held.shared));
      for (const std::uint32_t cell : sequence.cells) ++references_[cell];
    }
    for (const Held::Part& part : held.parts) {
      // The whole chunk needs room for a moment.
      const Chunk& chunk = *part.chunk;
      if (!make_room(chunk.end - chunk.begin)) break;
      if (llama_state_seq_set_data(get(), chunk.bytes.get(), chunk.size, copy_id_) == 0) {
        throw PolicyError("llama.cpp cannot restore a sequence" + Log::reason());
      }
      const std::size_t from = sequence.computed();
      copy_range(copy_id_, sequence.id, from, part.end);
      llama_memory_seq_rm(memory(), copy_id_, -1, -1);
      for (std::size_t p = from; p < part.end; ++p) add_cell(sequence);
      restored_ += part.end - from;
    }
    return sequence;
  }

  /// Parks or forgets sequences at rest until this many cells are free; false if that is not to be
  /// had.
  bool make_room(std::size_t cells) {
    while (free_cells_.size() < cells) {
      const Place oldest = least_used([](const Sequence& s) { return s.live(); });
      if (oldest == sequences_.end()) return false;
      make_way(oldest);
    }
    return true;
  }

  /// Parks what rests and takes cells that nothing else needs: responses, and prompts above a limit
  /// when something runs. Few cells in use are left as they are, since attention takes cells in
  /// blocks of 256 anyway.
  void park_resting() {
    constexpr std::size_t block = 256;
    if (parked_limit_ == 0 || used() <= block) return;
    const bool runs = running_cells() > 0;
    const auto in_the_way = [&](const Sequence& s) {
      return s.live() && std::any_of(s.cells.begin(), s.cells.end(),
                                     [&](std::uint32_t cell) { return marked_[cell] == 0; });
    };
    const auto rests = [&](const Sequence& s) { return in_the_way(s) && s.computed() > s.prompt; };
    for (Place s; (s = least_used(rests)) != sequences_.end();) make_way(s);
    if (!runs) return;
    while (used() > running_cells() + block) make_way(least_used(in_the_way));
  }

  /// Notes that a sequence's next token is computed.
  void add_cell(Sequence& sequence) {
    sequence.cells.push_back(free_cells_.back());
    free_cells_.pop_back();
    references_[sequence.cells.back()] = 1;
  }

  /// Ends the work on a sequence; it is kept for later work.
  void close(Sequence& sequence) {
    sequence.running = false;
    touch(sequence);
  }

  /// Ends the work on a sequence and forgets it.
  void drop(Sequence& sequence) {
    release(sequence, 0);
    sequences_.remove_if([&](const Sequence& s) { return &s == &sequence; });
  }

  /// Forgets everything.
  /// @param wipe  overwrite the memory too: attention looks at cells that are free, with weight 0, which
  ///              turns a NaN into a NaN
  void clear(bool wipe = false) {
    llama_memory_clear(memory(), wipe);
    for (const Sequence& s : sequences_) {
      if (s.live()) free_ids_.push_back(s.id);
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

  void touch(Sequence& sequence) noexcept { sequence.used = ++clock_; }

  // Gives the cells of a sequence's positions to another one as well.
  void copy_range(llama_seq_id from, llama_seq_id to, std::size_t begin, std::size_t end) {
    llama_memory_seq_cp(memory(), from, to, static_cast<llama_pos>(begin),
                        static_cast<llama_pos>(end));
  }

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

  // Takes a live sequence at rest out of the cache: parks its response, while its prompt stays under
  // the same id, unless another live sequence has it too; or parks its prompt if it has no response.
  // Forgets it where no main memory may be used.
  void make_way(Place place) {
    Sequence& sequence = *place;
    const std::size_t end = sequence.computed();
    const std::size_t begin = end > sequence.prompt ? sequence.prompt : 0;
    if (parked_limit_ == 0 || end == 0) {
      release(sequence, 0);
      sequences_.erase(place);
      return;
    }
    sequence.chunk = saved(sequence, begin, end);
    if (begin > 0 && !has_prompt_elsewhere(sequence)) {
      release(sequence, begin);
      Sequence& prompt = sequences_.emplace_back();
      prompt.id = std::exchange(sequence.id, -1);
      prompt.cells = std::exchange(sequence.cells, {});
      prompt.tokens.assign(sequence.tokens.begin(),
                           sequence.tokens.begin() + static_cast<std::ptrdiff_t>(begin));
      prompt.log_probs.assign(begin, unset);
      prompt.prompt = begin;
      prompt.used = sequence.used;
    } else {
      release(sequence, 0);
    }
    while (parked_bytes_ > parked_limit_) {
      const Place oldest = least_used([](const Sequence& s) { return !s.live(); });
      if (oldest == sequences_.end()) break;
      sequences_.erase(oldest);
    }
  }

  [[nodiscard]] bool has_prompt_elsewhere(const Sequence& sequence) const {
    return std::any_of(sequences_.begin(), sequences_.end(), [&](const Sequence& other) {
      return &other != &sequence && other.computed() >= sequence.prompt &&
             other.common(sequence.tokens) >= sequence.prompt;
    });
  }

  // Gives up the cells of a live sequence but the first `keep`, and its id if it keeps none.
  void release(Sequence& sequence, std::size_t keep) {
    llama_memory_seq_rm(memory(), sequence.id, static_cast<llama_pos>(keep), -1);
    for (std::size_t i = keep; i < sequence.cells.size(); ++i) {
      const std::uint32_t cell = sequence.cells[i];
      if (--references_[cell] == 0) free_cells_.push_back(cell);
    }
    sequence.cells.resize(keep);
    if (keep == 0) free_ids_.push_back(std::exchange(sequence.id, -1));
  }

  // A copy of a range of a live sequence in main memory.
  std::shared_ptr<const Chunk> saved(const Sequence& sequence, std::size_t begin,
                                     std::size_t end) {
    copy_range(sequence.id, copy_id_, begin, end);
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

#pragma once

#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "tilt/core/token_law.hpp"
#include "tilt/engine/llama/cache.hpp"
#include "tilt/policy/stop.hpp"

namespace tilt::llama {

/// What an engine has done since it was made.
struct Statistics {
  std::size_t decode_calls = 0;    ///< calls of llama_decode, each over many sequences
  std::size_t token_forwards = 0;  ///< tokens computed by the model
  std::size_t context_tokens = 0;  ///< tokens of prompts, prefixes and scored responses needed
  std::size_t cached_tokens = 0;   ///< of those, tokens that were not computed again
  std::size_t resident_tokens = 0;  ///< tokens in the cache now
};

/// A piece of work for the engine: continue a context (`work` set), or find the log-probs of its
/// tokens from `from` on.
struct Task {
  std::vector<Token> tokens = {};      ///< the context, or context and scored tokens
  const Generation* work = nullptr;    ///< what to generate
  Response* out = nullptr;             ///< where to
  std::size_t from = npos;             ///< first token to score
  const SamplingLaw* law = nullptr;    ///< under which law; null: the model's own
  std::vector<double> log_probs = {};  ///< result of scoring, nats, tokens from `from` on
  std::vector<float>* logits = nullptr;  ///< where to put the logits of the token that follows
  std::exception_ptr error = {};       ///< why it failed
};

/// Runs tasks over one context: shares what they have in common, decodes them side by side, and puts
/// the next task in the place of one that has finished.
class Engine {
 public:
  Engine(const std::filesystem::path& path, PolicyOptions options)
      : options_(checked(std::move(options))),
        model_(path, options_.gpu_layers, options_.chat_template),
        cache_(model_, options_, options_.threads) {}

  [[nodiscard]] const Model& model() const noexcept { return model_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return cache_.capacity(); }

  [[nodiscard]] Statistics statistics() {
    const std::lock_guard lock(mutex_);
    statistics_.resident_tokens = cache_.capacity() - cache_.free_cells();
    return statistics_;
  }

  /// Forgets all that is resident.
  void clear() {
    const std::lock_guard lock(mutex_);
    cache_.clear();
  }

  /// Runs all tasks; the error of each that failed is left in it. One caller at a time: others wait.
  void run(std::span<Task> tasks) {
    const std::lock_guard lock(mutex_);
    queue_.clear();
    runs_.clear();
    for (Task& task : tasks) {
      const bool nothing = task.work == nullptr && task.from >= task.tokens.size() &&
                           task.logits == nullptr;
      if (!task.error && !nothing) queue_.push_back(&task);
    }
    try {
      admit();
      while (!runs_.empty()) {
        decode();
        admit();
      }
    } catch (...) {
      // The state of the cache is unknown: start afresh, keep what has finished.
      for (Run& run : runs_) run.task->error = std::current_exception();
      for (Task* task : queue_) task->error = std::current_exception();
      runs_.clear();
      cache_.clear();
    }
  }

 private:
  struct Run {
    Task* task;
    Sequence* sequence;
    std::size_t last;       // cells that it may need in all
    std::string text = {};  // of prefix and continuation: stop strings may begin in the prefix
  };
  struct Row {
    Run* run;
    std::size_t position;
    bool output;
  };

  static PolicyOptions checked(PolicyOptions options) {
    require_option(options.sequences >= 1 && options.sequences <= 128, "PolicyOptions.sequences",
                   options.sequences, "from 1 to 128");
    require_option(options.context >= 1 && options.context <= (1u << 30), "PolicyOptions.context",
                   options.context, "from 1 to 2^30 tokens");
    require_option(options.threads <= 1024, "PolicyOptions.threads", options.threads,
                   "from 0 (all cores) to 1024");
    if (options.threads == 0) {
      options.threads = std::max<std::size_t>(1, std::thread::hardware_concurrency());
    }
    if (!options.verbose) Log::capture();
    return options;
  }

  // New tokens that a task may make.
  static std::size_t room(const Task& task) {
    if (task.work == nullptr) return 0;
    std::size_t most = task.work->max_tokens;
    if (task.work->until) most = std::min(most, task.work->until->max_tokens);
    return most;
  }

  // Cells that a task may need: its last token is never computed, unless its logits are wanted.
  static std::size_t cells(const Task& task) {
    return task.tokens.size() + room(task) - (task.logits != nullptr ? 0 : 1);
  }

  // Tokens of a sequence that a task need not compute. To draw or score the token at a position
  // takes the logits of the one before, which the cache does not hold.
  static std::size_t usable(const Task& task, const Sequence& sequence) {
    std::size_t common = sequence.common(task.tokens);
    if (task.from == npos) {
      return std::min({common, sequence.computed(), task.tokens.size() - 1});
    }
    std::size_t known = task.from;
    if (task.law == nullptr) {
      while (known < common && !std::isnan(sequence.log_probs[known])) ++known;
    }
    if (known >= task.tokens.size()) return known;
    return std::min({common, sequence.computed(), known - 1});
  }

  // Puts waiting tasks to work while there is room for them.
  void admit() {
    for (auto next = queue_.begin(); next != queue_.end() && runs_.size() < options_.sequences;) {
      Task& task = **next;
      Sequence* source = nullptr;
      std::size_t shared = 0;
      for (Sequence& sequence : cache_.sequences()) {
        const std::size_t n = usable(task, sequence);
        if (n > shared) {
          shared = n;
          source = &sequence;
        }
      }
      if (task.from != npos && shared >= task.tokens.size()) {
        finish_scored(task, *source);
        next = queue_.erase(next);
        continue;
      }
      if (soon_shared(task, shared)) {
        ++next;  // a running task is about to compute what this one needs as well
        continue;
      }
      std::size_t reserved = 0;
      for (const Run& run : runs_) reserved += run.last - run.sequence->computed();
      const std::size_t held = cache_.running_cells(source, shared);
      const std::size_t need = cells(task) - shared;
      if (held + reserved + need > cache_.capacity()) break;
      start(task, source, shared, reserved + need);
      next = queue_.erase(next);
    }
  }

  bool soon_shared(const Task& task, std::size_t shared) const {
    for (const Run& run : runs_) {
      const std::size_t planned =
          std::min(run.sequence->common(task.tokens), task.tokens.size() - 1);
      if (planned > shared && planned > run.sequence->computed()) return true;
    }
    return false;
  }

  Run& start(Task& task, Sequence* source, std::size_t shared, std::size_t room) {
    Sequence& sequence = cache_.open(task.tokens, source, shared);
    cache_.make_room(room);
    Run& run = runs_.emplace_back(Run{&task, &sequence, cells(task)});
    if (task.work != nullptr) {
      run.text = task.work->prefix.text;
      task.out->usage = {task.tokens.size(), shared};
    }
    statistics_.context_tokens += task.tokens.size();
    statistics_.cached_tokens += shared;
    return run;
  }

  void finish_scored(Task& task, Sequence& source) {
    cache_.touch(source);
    task.log_probs.assign(source.log_probs.begin() + static_cast<std::ptrdiff_t>(task.from),
                          source.log_probs.begin() +
                              static_cast<std::ptrdiff_t>(task.tokens.size()));
    statistics_.context_tokens += task.tokens.size();
    statistics_.cached_tokens += task.tokens.size();
  }

  // Tokens of a run that are to be computed: a scored sequence ends before its last token.
  static std::size_t planned(const Run& run) {
    return run.sequence->tokens.size() - (run.task->from != npos ? 1 : 0);
  }

  bool wants_logits(const Run& run, std::size_t position) const {
    if (run.task->from == npos) return position + 1 == run.sequence->tokens.size();
    return position + 1 >= run.task->from;
  }

  // One call of llama_decode over all runs, and what follows from its logits.
  void decode() {
    rows_.clear();
    std::size_t outputs = 0;
    // Sequences that generate come first, so that a long prompt does not hold them up.
    for (const bool generating : {true, false}) {
      for (Run& run : runs_) {
        const std::size_t end = planned(run);
        if ((end - run.sequence->computed() == 1) != generating) continue;
        for (std::size_t p = run.sequence->computed(); p < end; ++p) {
          const bool output = wants_logits(run, p);
          if (rows_.size() == Cache::batch_size || outputs + output > cache_.outputs()) break;
          rows_.push_back({&run, p, output});
          outputs += output;
        }
      }
    }
    call_decode();
    for (const Row& row : rows_) cache_.computed(*row.run->sequence);
    ++statistics_.decode_calls;
    statistics_.token_forwards += rows_.size();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].output) use_logits(rows_[i], static_cast<std::int32_t>(i));
    }
    runs_.remove_if([](const Run& run) { return run.sequence == nullptr; });
  }

  void call_decode() {
    const std::size_t n = rows_.size();
    tokens_.resize(n);
    positions_.resize(n);
    ids_.resize(n);
    id_pointers_.resize(n);
    id_counts_.assign(n, 1);
    flags_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const Sequence& sequence = *rows_[i].run->sequence;
      tokens_[i] = sequence.tokens[rows_[i].position];
      positions_[i] = static_cast<llama_pos>(rows_[i].position);
      ids_[i] = sequence.id;
      id_pointers_[i] = &ids_[i];
      flags_[i] = rows_[i].output ? 1 : 0;
    }
    llama_batch batch = {};
    batch.n_tokens = static_cast<std::int32_t>(n);
    batch.token = tokens_.data();
    batch.pos = positions_.data();
    batch.n_seq_id = id_counts_.data();
    batch.seq_id = id_pointers_.data();
    batch.logits = flags_.data();
    const std::int32_t status = llama_decode(cache_.get(), batch);
    if (status != 0) {
      throw PolicyError("llama_decode failed with status " + std::to_string(status) +
                        (status == 1 ? " (no room in the key-value cache)" : "") + Log::reason());
    }
  }

  void use_logits(const Row& row, std::int32_t index) {
    Run& run = *row.run;
    if (run.sequence == nullptr) return;
    const float* logits = llama_get_logits_ith(cache_.get(), index);
    if (logits == nullptr) throw PolicyError("llama.cpp gave no logits" + Log::reason());
    const std::span<const float> values(logits, model_.vocabulary_size());
    Task& task = *run.task;
    if (task.logits != nullptr) {
      task.logits->assign(values.begin(), values.end());
      return finish(run);
    }
    law_.read(values);
    if (task.from != npos) return score(run, row.position + 1);
    // Tasks with the very same context draw from the same logits.
    const std::vector<Token>& context = run.sequence->tokens;
    if (context.size() == task.tokens.size()) draw_alike(run);
    draw(run);
  }

  void draw_alike(Run& first) {
    for (auto next = queue_.begin(); next != queue_.end() && runs_.size() < options_.sequences;) {
      Task& task = **next;
      if (task.work == nullptr || task.tokens != first.task->tokens) {
        ++next;
        continue;
      }
      const std::size_t shared = first.sequence->computed();
      std::size_t reserved = 0;
      for (const Run& run : runs_) {
        if (run.sequence != nullptr) reserved += run.last - run.sequence->computed();
      }
      const std::size_t need = cells(task) - shared;
      if (cache_.running_cells(nullptr, 0) + reserved + need > cache_.capacity()) break;
      next = queue_.erase(next);
      draw(start(task, first.sequence, shared, reserved + need));
    }
  }

  void score(Run& run, std::size_t position) {
    Sequence& sequence = *run.sequence;
    Task& task = *run.task;
    const Token token = sequence.tokens[position];
    if (task.law == nullptr) {
      sequence.log_probs[position] = law_.raw_log_prob(token);
    } else {
      task.log_probs.push_back(law_.log_prob(*task.law, token));
    }
    if (position + 1 < sequence.tokens.size()) return;
    if (task.law == nullptr) {
      task.log_probs.assign(sequence.log_probs.begin() + static_cast<std::ptrdiff_t>(task.from),
                            sequence.log_probs.end());
    }
    finish(run);
  }

  // Draws the next token of a run from the logits that were read.
  void draw(Run& run) {
    const Generation& work = *run.task->work;
    Response& out = *run.task->out;
    Sequence& sequence = *run.sequence;
    if (work.until && work.until->needs_entropy() && out.tokens.size() >= work.until->min_tokens &&
        law_.entropy() >= work.until->entropy) {
      out.finish = Finish::segment;
      return finish(run);
    }
    const std::size_t position = work.prefix.tokens.size() + out.tokens.size();
    const TokenDraw drawn = law_.draw(work.law, Random(work.seed, position).uniform());
    out.tokens.push_back(drawn.token);
    out.log_probs.push_back(drawn.log_prob);
    out.raw_log_probs.push_back(drawn.raw_log_prob);
    sequence.tokens.push_back(drawn.token);
    sequence.log_probs.push_back(drawn.raw_log_prob);
    const std::size_t before = run.text.size();
    model_.append_piece(drawn.token, run.text);
    out.ends.push_back(static_cast<std::uint32_t>(run.text.size() - work.prefix.text.size()));
    if (model_.is_end(drawn.token) || is_stop_token(work.law, drawn.token) ||
        completes_stop(work.law, run.text, run.text.size() - before)) {
      out.finish = Finish::stop;
    } else if (out.tokens.size() == work.max_tokens) {
      out.finish = Finish::length;
    } else if (work.until && out.tokens.size() == work.until->max_tokens) {
      out.finish = Finish::segment;
    } else {
      return;
    }
    finish(run);
  }

  void finish(Run& run) {
    if (run.task->work != nullptr) {
      run.task->out->text = run.text.substr(run.task->work->prefix.text.size());
    }
    cache_.close(*run.sequence);
    run.sequence = nullptr;  // removed when all rows of the batch are used
  }

  std::mutex mutex_ = {};
  PolicyOptions options_;
  Model model_;
  Cache cache_;
  Statistics statistics_ = {};
  TokenLaw<float> law_ = {};
  std::list<Task*> queue_ = {};
  std::list<Run> runs_ = {};
  std::vector<Row> rows_ = {};
  std::vector<Token> tokens_ = {};
  std::vector<llama_pos> positions_ = {};
  std::vector<llama_seq_id> ids_ = {};
  std::vector<llama_seq_id*> id_pointers_ = {};
  std::vector<std::int32_t> id_counts_ = {};
  std::vector<std::int8_t> flags_ = {};
};

}  // namespace tilt::llama

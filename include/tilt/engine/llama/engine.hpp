#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/token_law.hpp"
#include "tilt/engine/llama/batch.hpp"
#include "tilt/engine/llama/cache.hpp"
#include "tilt/engine/llama/prompt_cache.hpp"
#include "tilt/engine/llama/task.hpp"
#include "tilt/policy/stop.hpp"

namespace tilt::llama {

/// Runs tasks on one model with one key-value cache: computes what they have in common once, decodes
/// them side by side in one call per step, and gives the place of a task that has finished to the
/// next one that waits.
class Engine {
 public:
  /// @throws InvalidOption, PolicyError  as `Policy` does
  Engine(const std::filesystem::path& path, const PolicyOptions& options)
      : options_(checked(options)),
        model_(path, options_.gpu_layers, options_.chat_template, options_.verbose),
        cache_(model_, options_) {}

  [[nodiscard]] const Model& model() const noexcept { return model_; }
  /// Tokens that a prompt and its response may have: as many as the cache holds and the model has
  /// positions for.
  [[nodiscard]] std::size_t capacity() const {
    return std::min(cache_.capacity(), model_.positions());
  }

  /// The ids of a prompt, made once for a prompt that is used again.
  /// @throws PolicyError as `Model::prompt_tokens` does, and at once for one that is longer than the
  ///         capacity in tokens of the longest kind
  [[nodiscard]] PromptCache::Tokens prompt_tokens(const Prompt& prompt) {
    if (prompt.is_tokens()) {
      return std::make_shared<const std::vector<Token>>(model_.prompt_tokens(prompt));
    }
    return prompts_.get(prompt, [&](const Prompt& p) {
      const std::size_t bytes = PromptCache::size_of(p);
      const std::size_t longest = std::max<std::size_t>(4, model_.vocabulary().longest_piece());
      if (bytes / longest > capacity()) {
        throw PolicyError("a prompt of " + std::to_string(bytes) + " bytes, in tokens of at most " +
                          std::to_string(longest) + ", does not fit into " + limit());
      }
      return model_.prompt_tokens(p);
    });
  }

  [[nodiscard]] Statistics statistics() {
    const std::lock_guard lock(mutex_);
    Statistics result = statistics_;
    result.restored_tokens = cache_.restored();
    result.resident_tokens = cache_.used();
    result.parked_bytes = cache_.parked_bytes();
    result.tokenized_prompts = prompts_.made();
    return result;
  }

  /// Forgets every sequence that it holds.
  void clear() {
    const std::lock_guard lock(mutex_);
    cache_.clear();
  }

  /// Runs all tasks and leaves in each why it failed. Calls from several threads wait for each other.
  void run(std::span<Task> tasks) {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    for (Task& task : tasks) {
      if (task.error || !has_work(task)) continue;
      try {
        check_size(task);
        waiting_.push_back(&task);
      } catch (...) {
        fail(task);
      }
    }
    work_off();
    // What a NaN spoils of the cache spoils the sequences beside it, too. So those that met one are done
    // again, each with a clean cache to itself, and the ones that fail there are the cause.
    alone_ = true;
    for (Task* task : std::exchange(suspects_, {})) {
      cache_.clear(true);
      waiting_ = {task};
      work_off();
      if (task->error) cache_.clear(true);
    }
    alone_ = false;
  }

 private:
  // A task that is being worked on, and its place in the cache.
  struct Run {
    Task* task = nullptr;
    Sequence* sequence = nullptr;  // null once it has finished
    std::size_t cells = 0;         // that it may need in all
    std::string text = {};         // of prefix and continuation: a stop string may begin in either
    std::size_t prefix = 0;        // bytes of it that are the prefix
  };
  // A token of a batch.
  struct Row {
    Run* run;
    std::size_t position;
    bool output;
  };

  static void fail(Task& task) {
    task.reset();
    task.error = std::current_exception();
  }

  // Runs what waits.
  void work_off() {
    try {
      cache_.park_resting();
      admit();
      while (!runs_.empty()) {
        step();
        admit();
      }
    } catch (...) {
      // What the cache holds is unknown now. What has finished is kept.
      for (const Run& run : runs_) fail(*run.task);
      for (Task* task : waiting_) fail(*task);
      runs_.clear();
      waiting_.clear();
      cache_.clear(true);
    }
  }

  // The exception that is being handled comes from a run's logits.
  void give_up(Run& run) {
    if (alone_) {
      fail(*run.task);
    } else {
      run.task->reset();
      suspects_.push_back(run.task);
    }
    cache_.drop(*run.sequence);
    run.sequence = nullptr;
  }

  // Whether a task that scores takes the logits of all positions, also where log-probs are known.
  static bool needs_logits(const Task& task) {
    return task.law != nullptr || task.certainties != nullptr;
  }

  static bool has_work(const Task& task) {
    if (task.work != nullptr) return task.work->max_tokens > 0;
    return !task.scores() || task.prompt < task.tokens.size();
  }

  // A task must fit into the cache when it is alone there.
  void check_size(const Task& task) const {
    if (task.tokens.empty() || (task.scores() && task.prompt == 0)) {
      throw PolicyError("the context has no tokens, so that the model has nothing to continue");
    }
    if (task.tokens.size() > capacity() ||
        task.new_tokens() > capacity() - task.tokens.size() + 1) {
      throw PolicyError("a context of " + std::to_string(task.tokens.size()) + " tokens with " +
                        std::to_string(task.new_tokens()) + " new ones does not fit into " + limit());
    }
  }

  [[nodiscard]] std::string limit() const {
    return capacity() == cache_.capacity()
               ? "the key-value cache of " + std::to_string(capacity()) +
                     " tokens (PolicyOptions.context)"
               : "the " + std::to_string(capacity()) + " positions that the model has";
  }

  // Cells that a task may need: the last token that it draws or scores is not computed.
  static std::size_t cells_for(const Task& task) {
    return task.tokens.size() + task.new_tokens() - (task.logits != nullptr ? 0 : 1);
  }

  // How far the log-probs that a task asks for are known to a sequence: the first position that is
  // not.
  static std::size_t known_until(const Task& task, const Sequence& sequence) {
    const std::size_t common = sequence.common(task.tokens);
    std::size_t position = task.prompt;
    while (position < common && !std::isnan(sequence.log_probs[position])) ++position;
    return position;
  }

  // Cells that may yet be asked for by what runs.
  [[nodiscard]] std::size_t reserved() const {
    std::size_t cells = 0;
    for (const Run& run : runs_) {
      if (run.sequence != nullptr) cells += run.cells - run.sequence->computed();
    }
    return cells;
  }

  // Puts waiting tasks to work, in their order, while there is room.
  void admit() {
    for (auto next = waiting_.begin(); next != waiting_.end();) {
      if (runs_.size() == options_.sequences) break;
      Task& task = **next;
      if (draws_with_another(task)) {  // before anything is looked up: there may be thousands of them
        ++next;
        continue;
      }
      const std::vector<double> known = known_log_probs(task);
      // The cache holds no logits, and to draw or score a token takes those of the one before.
      std::size_t needed = task.tokens.size();
      if (task.scores()) needed = task.prompt + (needs_logits(task) ? 0 : known.size());
      const Held held = cache_.find(task.tokens, needed - 1);
      if (task.scores() && needed == task.tokens.size()) {
        task.log_probs = known;
        count(task, needed);
      } else if (waits_for_another(task, held.size())) {
        ++next;
        continue;
      } else if (!start(task, held, known)) {
        break;  // in order, or a long task might wait for ever
      }
      next = waiting_.erase(next);
    }
    if (!runs_.empty()) cache_.park_resting();
  }

  // The log-probs of a task's tokens after the prompt, as far as a sequence knows them.
  std::vector<double> known_log_probs(const Task& task) const {
    std::size_t most = task.prompt;
    const Sequence* source = nullptr;
    for (const Sequence& sequence : cache_.sequences()) {
      const std::size_t n = known_until(task, sequence);
      if (n > most) {
        most = n;
        source = &sequence;
      }
    }
    if (source == nullptr) return {};
    const auto first = source->log_probs.begin();
    return {first + static_cast<std::ptrdiff_t>(task.prompt),
            first + static_cast<std::ptrdiff_t>(most)};
  }

  // Whether a running task is about to compute the logits of the very same context.
  [[nodiscard]] bool draws_with_another(const Task& task) const {
    return task.work != nullptr && std::any_of(runs_.begin(), runs_.end(), [&](const Run& run) {
             return run.task->work != nullptr && run.sequence->tokens == task.tokens;
           });
  }

  // Whether a running task is about to compute a good many of the tokens that this one needs too.
  [[nodiscard]] bool waits_for_another(const Task& task, std::size_t shared) const {
    constexpr std::size_t worth_a_step = 8;  // tokens
    for (const Run& run : runs_) {
      const Sequence& sequence = *run.sequence;
      const std::size_t common = std::min(sequence.common(task.tokens), task.tokens.size() - 1);
      if (common >= shared + worth_a_step && common > sequence.computed()) return true;
    }
    return false;
  }

  // Starts a task if the cells suffice for it and for all that runs, to the end.
  bool start(Task& task, const Held& held, std::span<const double> known) {
    const std::size_t cells = cells_for(task);
    const std::size_t promised = reserved();
    if (cache_.running_cells(held) + promised + cells - held.shared > cache_.capacity()) {
      return false;
    }
    Sequence& sequence = cache_.open(task.tokens, task.prompt, held);
    std::copy(known.begin(), known.end(),
              sequence.log_probs.begin() + static_cast<std::ptrdiff_t>(task.prompt));
    if (!cache_.make_room(promised + cells - sequence.computed())) {
      throw PolicyError("the key-value cache is full");
    }
    count(task, sequence.computed());
    Run& run = runs_.emplace_back();
    run.task = &task;
    run.sequence = &sequence;
    run.cells = cells;
    if (task.work == nullptr) return true;
    run.text = task.work->prefix.text;
    if (run.text.empty()) {  // not known, or the tokens have none
      for (const Token token : task.work->prefix.tokens) model_.append_piece(token, run.text);
    }
    run.prefix = run.text.size();
    return true;
  }

  void count(const Task& task, std::size_t cached) {
    statistics_.context_tokens += task.tokens.size();
    statistics_.cached_tokens += cached;
    if (task.out != nullptr) task.out->usage = {task.tokens.size(), cached};
  }

  // One call of llama_decode for all runs, and what follows from its logits.
  void step() {
    fill_rows();
    decode();
    for (const Row& row : rows_) cache_.add_cell(*row.run->sequence);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      Run& run = *rows_[i].run;
      if (rows_[i].output && run.sequence != nullptr) {
        use_logits(rows_[i], static_cast<std::int32_t>(i));
      }
    }
    runs_.remove_if([](const Run& run) { return run.sequence == nullptr; });
  }

  // The tokens to compute: what is one token away from its logits comes first, so that a long prompt
  // holds nobody up.
  void fill_rows() {
    rows_.clear();
    std::size_t outputs = 0;
    for (const bool near : {true, false}) {
      for (Run& run : runs_) {
        const Task& task = *run.task;
        const Sequence& sequence = *run.sequence;
        const std::size_t end = sequence.tokens.size() - (task.scores() ? 1 : 0);
        if ((end - sequence.computed() == 1) != near) continue;
        for (std::size_t p = sequence.computed(); p < end; ++p) {
          const bool output = task.scores() ? p + 1 >= task.prompt : p + 1 == end;
          if (rows_.size() == cache_.batch_size() || (output && outputs == cache_.outputs())) break;
          rows_.push_back({&run, p, output});
          outputs += output;
        }
      }
    }
  }

  void decode() {
    batch_.clear();
    for (const Row& row : rows_) {
      const Sequence& sequence = *row.run->sequence;
      batch_.add(sequence.tokens[row.position], row.position, sequence.id, row.output);
    }
    const std::int32_t status = batch_.decode(cache_.get());
    if (status != 0) {
      throw PolicyError("llama_decode failed with status " + std::to_string(status) +
                        (status == 1 ? ", no room in the key-value cache" : "") + Log::reason());
    }
    ++statistics_.decode_calls;
    statistics_.token_forwards += rows_.size();
  }

  void use_logits(const Row& row, std::int32_t index) {
    Run& run = *row.run;
    Task& task = *run.task;
    const float* logits = llama_get_logits_ith(cache_.get(), index);
    if (logits == nullptr) throw PolicyError("llama.cpp gave no logits" + Log::reason());
    const std::span<const float> values(logits, model_.vocabulary_size());
    if (task.logits != nullptr) {
      task.logits->assign(values.begin(), values.end());
      return finish(run);
    }
    try {
      law_.read(values);
    } catch (...) {  // NaN, or nothing possible
      return give_up(run);
    }
    if (task.scores()) return score(run, row.position + 1, values);
    if (run.sequence->tokens.size() == task.tokens.size()) draw_alike(run);
    draw(run);
  }

  // Tasks that wait with the very same context as one that has just got its logits draw from them.
  void draw_alike(const Run& first) {
    for (auto next = waiting_.begin(); next != waiting_.end();) {
      if (runs_.size() == options_.sequences) break;
      Task& task = **next;
      const bool alike = task.work != nullptr && task.tokens == first.task->tokens;
      if (!alike) {
        ++next;
        continue;
      }
      const Held held = {first.sequence, task.tokens.size()};
      if (!start(task, held, known_log_probs(task))) break;
      next = waiting_.erase(next);
      draw(runs_.back());
    }
  }

  void score(Run& run, std::size_t position, std::span<const float> logits) {
    Sequence& sequence = *run.sequence;
    Task& task = *run.task;
    const Token token = sequence.tokens[position];
    if (task.law == nullptr) {
      sequence.log_probs[position] = law_.raw_log_prob(token);
    } else {
      task.log_probs.push_back(law_.log_prob(*task.law, token));
    }
    if (task.certainties != nullptr) task.certainties->push_back(certainty(logits));
    if (position + 1 < sequence.tokens.size()) return;
    if (task.law == nullptr) {
      task.log_probs.assign(
          sequence.log_probs.begin() + static_cast<std::ptrdiff_t>(task.prompt),
          sequence.log_probs.end());
    }
    finish(run);
  }

  // KL(uniform || p) over the possible tokens, nats, of the logits that were read. The log-normaliser is
  // a token's logit less its log-prob.
  [[nodiscard]] double certainty(std::span<const float> logits) const {
    double sum = 0, log_normalizer = 0;
    std::size_t possible = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const auto z = static_cast<double>(logits[i]);
      if (z == -infinity) continue;
      if (possible++ == 0) log_normalizer = z - law_.raw_log_prob(static_cast<Token>(i));
      sum += z;
    }
    const auto v = static_cast<double>(possible);
    return std::max(0.0, log_normalizer - sum / v - std::log(v));
  }

  // Draws the next token of a run from the logits that were read, or ends it.
  void draw(Run& run) {
    const Generation& work = *run.task->work;
    Response& out = *run.task->out;
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
    run.sequence->tokens.push_back(drawn.token);
    run.sequence->log_probs.push_back(drawn.raw_log_prob);
    const std::size_t before = run.text.size();
    model_.append_piece(drawn.token, run.text);
    out.ends.push_back(static_cast<std::uint32_t>(run.text.size() - run.prefix));
    const std::vector<Token>& stops = run.task->stop_tokens;
    if (model_.is_end(drawn.token) || is_stop_token(work.law, drawn.token) ||
        std::find(stops.begin(), stops.end(), drawn.token) != stops.end() ||
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
      run.task->out->text = run.text.substr(run.prefix);
    }
    cache_.close(*run.sequence);
    run.sequence = nullptr;
  }

  std::mutex mutex_ = {};
  const PolicyOptions options_;
  const Model model_;
  Cache cache_;
  PromptCache prompts_{std::size_t{64} << 20};
  Statistics statistics_ = {};
  TokenLaw<float> law_ = {};
  std::list<Task*> waiting_ = {};
  std::vector<Task*> suspects_ = {};  // that had logits which are no law
  bool alone_ = false;                // whether each is run for itself
  std::list<Run> runs_ = {};  // a list: rows point to its elements while others are added
  std::vector<Row> rows_ = {};
  Batch batch_ = {};
};

}  // namespace tilt::llama

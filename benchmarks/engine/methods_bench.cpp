// QAlign with 8 chains and CARDS on the real model, beside a raw llama.cpp loop that does the same work:
// the token sequences of a run through tilt are recorded, and the loop computes them again, round by
// round, with the prefix sharing that one would write by hand, and the same arithmetic on the logits.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/turns.hpp"
#include "tilt/engine/llama.hpp"
#include "tilt/tilt.hpp"

namespace {

constexpr const char* question =
    "Write a short story about a lighthouse keeper who finds a message in a bottle.";

// One piece of work as it came out: the context it started from, and the tokens that were drawn.
struct Item {
  std::vector<tilt::Token> context, drawn;
  bool looked_ahead = false;  // the position after the last token was computed for its entropy
};
using Trace = std::vector<std::vector<Item>>;

// Passes work on to a policy and keeps what came of it.
struct Recorder {
  tilt::llama::Policy& policy;
  Trace trace = {};

  static constexpr tilt::Capabilities capabilities = tilt::llama::Policy::capabilities;
  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    policy.generate(work, out);
    std::vector<Item> round;
    for (std::size_t i = 0; i < work.size(); ++i) {
      Item item{.context = policy.prompt_tokens(work[i].prompt), .drawn = out[i].tokens};
      const auto& prefix = work[i].prefix.tokens;
      item.context.insert(item.context.end(), prefix.begin(), prefix.end());
      item.looked_ahead = work[i].until && out[i].finish == tilt::Finish::segment &&
                          out[i].tokens.size() < work[i].until->max_tokens;
      round.push_back(std::move(item));
    }
    trace.push_back(std::move(round));
  }
};

std::size_t drawn_tokens(const Trace& trace) {
  std::size_t tokens = 0;
  for (const auto& round : trace) {
    for (const Item& item : round) tokens += item.drawn.size();
  }
  return tokens;
}

// The loop without the library: its own context, two sequences for each piece of work of a round.
class RawLoop {
 public:
  RawLoop(llama_model* model, std::size_t width, std::size_t cells) : width_(width) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(cells);
    params.n_seq_max = static_cast<std::uint32_t>(2 * width);
    params.kv_unified = true;
    params.no_perf = true;
    const auto threads =
        static_cast<std::int32_t>(std::max(1u, std::thread::hardware_concurrency()));
    params.n_threads = params.n_threads_batch = threads;
    context_.reset(llama_init_from_model(model, params));
    vocabulary_ = static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
    batch_ = llama_batch_init(512, 0, 1);
  }
  ~RawLoop() { llama_batch_free(batch_); }

  void run(const Trace& trace, const tilt::SegmentRule* rule) {
    llama_memory_clear(memory(), false);
    resident_.assign(2 * width_, {});
    for (const auto& round : trace) run_round(round, rule);
  }

 private:
  struct Free {
    void operator()(llama_context* context) const { llama_free(context); }
  };
  llama_memory_t memory() const { return llama_get_memory(context_.get()); }

  static std::size_t common(const std::vector<tilt::Token>& a, const std::vector<tilt::Token>& b) {
    const std::size_t n = std::min(a.size(), b.size());
    return static_cast<std::size_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first -
        a.begin());
  }

  void run_round(const std::vector<Item>& round, const tilt::SegmentRule* rule) {
    // Sequences that this round reads from are kept; the others are written to.
    std::vector<std::size_t> source(round.size()), shared(round.size()), target(round.size());
    std::vector<bool> taken(resident_.size(), false);
    for (std::size_t i = 0; i < round.size(); ++i) {
      for (std::size_t s = 0; s < resident_.size(); ++s) {
        const std::size_t n =
            std::min(common(resident_[s], round[i].context), round[i].context.size() - 1);
        if (n > shared[i]) {
          shared[i] = n;
          source[i] = s;
        }
      }
      if (shared[i] > 0) taken[source[i]] = true;
    }
    std::size_t free = 0;
    for (std::size_t i = 0; i < round.size(); ++i) {
      while (taken[free]) ++free;
      target[i] = free++;
      llama_memory_seq_rm(memory(), id(target[i]), -1, -1);
      resident_[target[i]].clear();
    }
    for (std::size_t i = 0; i < round.size(); ++i) {
      if (shared[i] == 0) continue;
      llama_memory_seq_cp(memory(), id(source[i]), id(target[i]), 0,
                          static_cast<llama_pos>(shared[i]));
    }
    prefill(round, shared, target);
    decode(round, target, rule);
  }

  // The part of the contexts that is not resident; contexts that are all alike are computed once.
  void prefill(const std::vector<Item>& round, const std::vector<std::size_t>& shared,
               const std::vector<std::size_t>& target) {
    batch_.n_tokens = 0;
    rows_.assign(round.size(), -1);
    for (std::size_t i = 0; i < round.size(); ++i) {
      const auto twin =
          std::find_if(round.begin(), round.begin() + static_cast<std::ptrdiff_t>(i),
                       [&](const Item& other) { return other.context == round[i].context; });
      const auto first = static_cast<std::size_t>(twin - round.begin());
      if (first < i) {
        rows_[i] = rows_[first];
        continue;
      }
      for (std::size_t p = shared[i]; p < round[i].context.size(); ++p) {
        add(round[i].context[p], p, target[i], p + 1 == round[i].context.size());
      }
      rows_[i] = batch_.n_tokens - 1;
    }
    call();
    for (std::size_t i = 0; i < round.size(); ++i) {
      resident_[target[i]] = round[i].context;
      const auto first =
          static_cast<std::size_t>(std::find(rows_.begin(), rows_.end(), rows_[i]) - rows_.begin());
      if (first < i) {
        llama_memory_seq_rm(memory(), id(target[i]), -1, -1);
        llama_memory_seq_cp(memory(), id(target[first]), id(target[i]), 0, -1);
      }
    }
  }

  void decode(const std::vector<Item>& round, const std::vector<std::size_t>& target,
              const tilt::SegmentRule* rule) {
    std::vector<std::size_t> done(round.size(), 0);
    while (true) {
      const tilt::SamplingLaw neutral = {};
      for (std::size_t i = 0; i < round.size(); ++i) {
        if (rows_[i] < 0) continue;
        law_.read({llama_get_logits_ith(context_.get(), rows_[i]), vocabulary_});
        if (rule != nullptr && done[i] >= rule->min_tokens) {
          benchmark::DoNotOptimize(law_.entropy());
        }
        if (done[i] < round[i].drawn.size()) {
          benchmark::DoNotOptimize(law_.draw(neutral, tilt::Random(1, done[i]).uniform()));
        }
      }
      batch_.n_tokens = 0;
      for (std::size_t i = 0; i < round.size(); ++i) {
        rows_[i] = -1;
        const std::size_t needed = round[i].drawn.size() - (round[i].looked_ahead ? 0 : 1);
        if (done[i] >= needed) continue;
        std::vector<tilt::Token>& tokens = resident_[target[i]];
        rows_[i] = batch_.n_tokens;
        add(round[i].drawn[done[i]], tokens.size(), target[i], true);
        tokens.push_back(round[i].drawn[done[i]++]);
      }
      if (batch_.n_tokens == 0) return;
      call();
    }
  }

  static llama_seq_id id(std::size_t sequence) { return static_cast<llama_seq_id>(sequence); }

  void add(tilt::Token token, std::size_t position, std::size_t sequence, bool output) {
    const std::int32_t n = batch_.n_tokens++;
    batch_.token[n] = token;
    batch_.pos[n] = static_cast<llama_pos>(position);
    batch_.n_seq_id[n] = 1;
    batch_.seq_id[n][0] = id(sequence);
    batch_.logits[n] = output ? 1 : 0;
  }
  void call() {
    if (llama_decode(context_.get(), batch_) != 0) std::abort();
  }

  std::size_t width_, vocabulary_ = 0;
  std::unique_ptr<llama_context, Free> context_ = {};
  llama_batch batch_ = {};
  std::vector<std::vector<tilt::Token>> resident_ = {};
  std::vector<std::int32_t> rows_ = {};
  tilt::TokenLaw<float> law_ = {};
};

tilt::llama::Policy& policy() {
  static tilt::llama::Policy shared{std::getenv("TILT_TEST_MODEL"), {.sequences = 16}};
  return shared;
}

// A reward that costs nothing and prefers some tokens: half of the proposals pass.
const tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response& y) -> double {
  double sum = 0;
  for (const tilt::Token token : y.tokens) sum += token % 2 == 0 ? 0.05 : -0.05;
  return sum;
}};

const tilt::QAlign qalign{{.beta = 1, .steps = 8, .chains = 8, .max_tokens = 48}};
const tilt::Cards cards{{.beta = 1,
                         .reward_goal = 1,
                         .alpha = 1,
                         .max_rejections = 20,
                         .parallel = 8,
                         .max_tokens = 64,
                         .segment = {.entropy = 3.0, .min_tokens = 4, .max_tokens = 16}}};

template <class Sampler>
void beside_raw(benchmark::State& state, const Sampler& sampler, const tilt::SegmentRule* rule) {
  policy().clear_cache();
  Recorder recorder{policy()};
  const tilt::Decoder recorded{recorder, reward, sampler};
  (void)recorded(question, {.seed = 5});
  RawLoop loop(policy().engine()->model().get(), 16, 4096);
  const tilt::Decoder decoder{policy(), reward, sampler};
  std::size_t computed = 0, drawn = 0;
  bench::take_turns(
      state,
      [&](std::size_t) {
        return bench::turn([&] {
          loop.run(recorder.trace, rule);
          return drawn_tokens(recorder.trace);
        });
      },
      [&](std::size_t) {
        policy().clear_cache();
        const std::size_t before = policy().statistics().token_forwards;
        const bench::Turn turn =
            bench::turn([&] { return decoder(question, {.seed = 5}).spent.generated_tokens; });
        computed += policy().statistics().token_forwards - before;
        drawn += turn.tokens;
        return turn;
      });
  state.counters["forwards_per_token"] = static_cast<double>(computed) / static_cast<double>(drawn);
}

}  // namespace

BENCHMARK_CAPTURE(beside_raw, qalign_8_chains, qalign, nullptr)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(beside_raw, cards, cards, &cards.options().segment)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// The llama.cpp policy beside a raw loop over the same model: best of 16 from one prompt, what the
// cache saves a chain, and what the host does per token. TILT_TEST_MODEL names the model.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/turns.hpp"
#include "tilt/engine/llama.hpp"

namespace {

constexpr std::size_t draws = 16, max_tokens = 64;
constexpr const char* question =
    "Write a short story about a lighthouse keeper who finds a message in a bottle.";

tilt::llama::Policy& policy() {
  const char* path = std::getenv("TILT_TEST_MODEL");
  static tilt::llama::Policy shared{path != nullptr ? path : "", {.sequences = draws}};
  return shared;
}

std::vector<tilt::Generation> best_of_16(std::uint64_t seed) {
  std::vector<tilt::Generation> work(draws, {.prompt = question, .max_tokens = max_tokens});
  for (std::size_t i = 0; i < draws; ++i) work[i].seed = tilt::derive_seed(seed, i);
  return work;
}

std::size_t tokens_in(const std::vector<tilt::Response>& responses) {
  std::size_t sum = 0;
  for (const tilt::Response& r : responses) sum += r.tokens.size();
  return sum;
}

// Best of 16 as one would write it by hand: the prompt once, its cells shared by 16 sequences, one
// token of each per step. Draws with the same law and streams, and makes the same text.
class RawLoop {
 public:
  explicit RawLoop(const tilt::llama::Model& model) : model_(model) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 8192;
    params.n_batch = params.n_ubatch = 512;
    params.n_seq_max = draws;
    params.kv_unified = true;
    params.no_perf = true;
    params.n_threads = params.n_threads_batch =
        static_cast<std::int32_t>(std::thread::hardware_concurrency());
    context_.reset(llama_init_from_model(model.get(), params));
    batch_ = llama_batch_init(512, 0, 1);
  }
  ~RawLoop() { llama_batch_free(batch_); }

  std::size_t run(const std::vector<tilt::Token>& prompt, std::uint64_t seed) {
    llama_memory_clear(memory(), false);
    batch_.n_tokens = 0;
    for (std::size_t p = 0; p < prompt.size(); ++p) add(prompt[p], p, 0, p + 1 == prompt.size());
    decode();
    for (llama_seq_id s = 1; s < static_cast<llama_seq_id>(draws); ++s) {
      llama_memory_seq_cp(memory(), 0, s, 0, -1);
    }
    std::vector<std::vector<tilt::Token>> tokens(draws);
    std::vector<std::string> texts(draws);
    std::vector<std::size_t> running(draws);
    for (std::size_t i = 0; i < draws; ++i) running[i] = i;
    bool first = true;
    std::size_t total = 0;
    while (!running.empty()) {
      std::vector<std::size_t> still;
      for (std::size_t row = 0; row < running.size(); ++row) {
        const std::size_t i = running[row];
        const auto index = first ? static_cast<std::int32_t>(prompt.size() - 1)
                                 : static_cast<std::int32_t>(row);
        law_.read({llama_get_logits_ith(context_.get(), index), model_.vocabulary_size()});
        const double uniform =
            tilt::Random(tilt::derive_seed(seed, i), tokens[i].size()).uniform();
        const tilt::Token token = law_.draw(tilt::SamplingLaw{}, uniform).token;
        tokens[i].push_back(token);
        model_.append_piece(token, texts[i]);
        ++total;
        if (!model_.is_end(token) && tokens[i].size() < max_tokens) {
          still.push_back(i);
        } else {
          llama_memory_seq_rm(memory(), static_cast<llama_seq_id>(i), -1, -1);
        }
      }
      first = false;
      running = std::move(still);
      batch_.n_tokens = 0;
      for (const std::size_t i : running) {
        add(tokens[i].back(), prompt.size() + tokens[i].size() - 1, i, true);
      }
      if (!running.empty()) decode();
    }
    benchmark::DoNotOptimize(texts);
    return total;
  }

 private:
  struct Free {
    void operator()(llama_context* context) const { llama_free(context); }
  };
  llama_memory_t memory() const { return llama_get_memory(context_.get()); }

  void add(tilt::Token token, std::size_t position, std::size_t sequence, bool output) {
    const std::int32_t n = batch_.n_tokens++;
    batch_.token[n] = token;
    batch_.pos[n] = static_cast<llama_pos>(position);
    batch_.n_seq_id[n] = 1;
    batch_.seq_id[n][0] = static_cast<llama_seq_id>(sequence);
    batch_.logits[n] = output ? 1 : 0;
  }
  void decode() {
    if (llama_decode(context_.get(), batch_) != 0) std::abort();
  }

  const tilt::llama::Model& model_;
  std::unique_ptr<llama_context, Free> context_ = {};
  llama_batch batch_ = {};
  tilt::TokenLaw<float> law_ = {};
};

// @param warm  what earlier turns left in tilt's cache stays there
void best_of_16_beside_raw(benchmark::State& state, bool warm) {
  RawLoop raw(policy().engine()->model());
  const auto prompt = policy().prompt_tokens(question);
  policy().clear_cache();
  bench::take_turns(
      state, [&](std::uint64_t seed) { return bench::turn([&] { return raw.run(prompt, seed); }); },
      [&](std::uint64_t seed) {
        const auto work = best_of_16(seed);
        std::vector<tilt::Response> out(draws);
        if (!warm) policy().clear_cache();
        return bench::turn([&] {
          policy().generate(work, out);
          return tokens_in(out);
        });
      });
}
BENCHMARK_CAPTURE(best_of_16_beside_raw, cold, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(best_of_16_beside_raw, warm, true)->Unit(benchmark::kMillisecond)->UseRealTime();

// Tokens computed by a chain that resamples the end of its response 24 times, per token drawn: with
// what is held of earlier rounds, and without.
void chain_forwards(benchmark::State& state, bool reuse) {
  std::size_t drawn = 0, computed = 0;
  for (auto _ : state) {
    policy().clear_cache();
    const std::size_t before = policy().statistics().token_forwards;
    tilt::Random random(1);
    tilt::Response current;
    for (std::uint64_t round = 0; round < 25; ++round) {
      const std::size_t cut = round == 0 ? 0 : random.below(current.tokens.size());
      if (!reuse) policy().clear_cache();
      const tilt::Generation work = {.prompt = question,
                                     .prefix = current.first(cut),
                                     .max_tokens = max_tokens - cut,
                                     .seed = round};
      tilt::Response more;
      policy().generate({&work, 1}, {&more, 1});
      drawn += more.tokens.size();
      current = work.prefix;
      current.append(more);
    }
    computed += policy().statistics().token_forwards - before;
  }
  state.counters["forwards_per_token"] =
      static_cast<double>(computed) / static_cast<double>(drawn);
}
BENCHMARK_CAPTURE(chain_forwards, with_reuse, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(chain_forwards, without, false)->Unit(benchmark::kMillisecond)->UseRealTime();

// What the host does for one token: the weights of the whole vocabulary and a draw.
void host_draw(benchmark::State& state, tilt::SamplingLaw sampling, bool entropy) {
  const std::vector<float> logits = policy().logits(question, {});
  tilt::TokenLaw<float> law;
  std::uint64_t position = 0;
  for (auto _ : state) {
    law.read(logits);
    if (entropy) benchmark::DoNotOptimize(law.entropy());
    benchmark::DoNotOptimize(law.draw(sampling, tilt::Random(1, ++position).uniform()));
  }
}
BENCHMARK_CAPTURE(host_draw, neutral, tilt::SamplingLaw{}, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(host_draw, with_entropy, tilt::SamplingLaw{}, true)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(host_draw, temperature, tilt::SamplingLaw{.temperature = 0.7}, false)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(host_draw, top_k, tilt::SamplingLaw{.top_k = 40}, false)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(host_draw, top_p, tilt::SamplingLaw{.temperature = 0.7, .top_p = 0.95}, false)
    ->Unit(benchmark::kMicrosecond);

}  // namespace

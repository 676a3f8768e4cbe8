#include "tilt/sampler/prs.hpp"

#include <string>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

struct Kept {
  bench::Text text = {};
  double reward = 0;
};

// The policy of the library's run, with text.
class Policy {
 public:
  explicit Policy(bench::Model& model) : model_(model) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) {
      const bool ended = model_.draw(out[i], max_tokens);
      out[i].finish = ended ? tilt::Finish::stop : tilt::Finish::length;
    }
  }

 private:
  bench::Model& model_;
};

double by_hand(bench::Model& model, const std::string& query, std::size_t n, std::size_t layers) {
  const tilt::PrsTexts texts;
  std::vector<Kept> kept;
  std::size_t best = 0;
  std::string asked = query;  // what a policy would read
  for (std::size_t layer = 0; layer < layers; ++layer) {
    if (layer > 0) {
      const std::string opening = query + "\n\n" + kept[best].text.text + "\n\n";
      bench::Text feedback;
      asked = opening + texts.feedback;
      benchmark::DoNotOptimize(asked);
      model.draw(feedback, max_tokens);
      asked = opening + feedback.text + texts.refine;
    }
    benchmark::DoNotOptimize(asked);
    std::vector<Kept> drawn(n / layers);
    for (Kept& answer : drawn) model.draw(answer.text, max_tokens);
    for (Kept& answer : drawn) {
      answer.reward = bench::reward_of(answer.text.tokens);
      kept.push_back(std::move(answer));
      if (kept.back().reward > kept[best].reward) best = kept.size() - 1;
    }
  }
  return kept[best].reward;
}

void prs(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto layers = static_cast<std::size_t>(state.range(1));
  bench::Model model(static_cast<double>(state.range(2)), false);
  const tilt::Decoder decoder{Policy(model), bench::Reward{},
                              tilt::Prs{{.n = n, .layers = layers, .max_tokens = max_tokens}}};
  const std::string query = "What is 17 * 23?";
  const tilt::Prompt prompt(query);
  bench::compare(
      state, static_cast<double>(n / layers * layers + layers - 1),
      [&] {
        model.restart();
        return decoder(prompt).answer.reward;
      },
      [&] {
        model.restart();
        return by_hand(model, query, n, layers);
      });
}

}  // namespace

BENCHMARK(prs)
    ->ArgNames({"n", "layers", "us"})
    ->Args({16, 2, 0})
    ->Args({128, 4, 0})
    ->Args({16, 2, 10})
    ->Args({128, 4, 10})
    ->UseManualTime();

#include "tilt/sampler/tpo.hpp"

#include <string>
#include <vector>

#include "support/compare.hpp"
#include "support/model.hpp"
#include "tilt/decoder.hpp"

namespace {

constexpr std::size_t max_tokens = 32;

double reward_of(const std::string& text) {
  return static_cast<double>(tilt::mix(text.size()) >> 11) * 0x1.0p-53;
}

// Says everything within tags; only in updates they are looked for.
template <class Response>
bool say(bench::Model& model, Response& response) {
  const bool ended = model.draw(response, max_tokens);
  response.ends.clear();
  response.text = "<answer>" + response.text + "</answer>";
  return ended;
}

class Policy {
 public:
  explicit Policy(bench::Model& model) : model_(model) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) {
      out[i].finish = say(model_, out[i]) ? tilt::Finish::stop : tilt::Finish::length;
    }
  }

 private:
  bench::Model& model_;
};

struct Reward {
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = reward_of(work[i].response->text);
  }
};

struct Kept {
  bench::Text text = {};
  double reward = 0;
};

double by_hand(bench::Model& model, const std::string& query, std::size_t n, std::size_t rounds) {
  const tilt::TpoTexts texts;
  std::vector<Kept> kept;
  std::size_t best = 0, worst = 0;
  const auto keep = [&](bench::Text text) {
    const double reward = reward_of(text.text);
    kept.push_back({std::move(text), reward});
    if (reward > kept[best].reward) best = kept.size() - 1;
    if (reward < kept[worst].reward) worst = kept.size() - 1;
  };
  std::string asked;  // what a policy would read
  for (std::size_t i = 0; i < n; ++i) {
    bench::Text text;
    asked = query;
    say(model, text);
    keep(std::move(text));
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::string opening = query + "\n\n" + kept[worst].text.text + "\n\n<answer>" +
                                kept[best].text.text + "</answer>";
    bench::Text loss, gradient;
    asked = opening + texts.loss;
    say(model, loss);
    asked = opening + loss.text + texts.gradient;
    say(model, gradient);
    asked = opening + gradient.text + texts.update;
    benchmark::DoNotOptimize(asked);
    std::vector<bench::Text> children;
    for (std::size_t i = 0; i < n; ++i) {
      bench::Text update;
      if (!say(model, update)) continue;
      const std::size_t open = update.text.find("<answer>");
      const std::size_t close = update.text.find("</answer>", open);
      children.emplace_back().text = update.text.substr(open + 8, close - open - 8);
    }
    for (bench::Text& child : children) keep(std::move(child));
  }
  return kept[best].reward;
}

void tpo(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto rounds = static_cast<std::size_t>(state.range(1));
  bench::Model model(static_cast<double>(state.range(2)), false);
  const tilt::Decoder decoder{Policy(model), Reward{},
                              tilt::Tpo{{.n = n, .rounds = rounds, .max_tokens = max_tokens}}};
  const std::string query = "What is 17 * 23?";
  const tilt::Prompt prompt(query);
  bench::compare(
      state, static_cast<double>(n + rounds * (n + 2)),
      [&] {
        model.restart();
        return decoder(prompt).answer.reward;
      },
      [&] {
        model.restart();
        return by_hand(model, query, n, rounds);
      });
}

}  // namespace

BENCHMARK(tpo)
    ->ArgNames({"n", "rounds", "us"})
    ->Args({5, 2, 0})
    ->Args({20, 5, 0})
    ->Args({5, 2, 10})
    ->Args({20, 5, 10})
    ->UseManualTime();

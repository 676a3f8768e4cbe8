// A method of one's own: beam search by reward over blocks of tokens. It is three functions over a
// plain state, knows neither the model nor the reward, and is run by the same decoder as every
// other method, with its batches, budgets, accounting and replay.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <tilt/tilt.hpp>

/// Keeps the `width` best beginnings, draws `branch` blocks of `block` tokens after each, keeps the
/// `width` best of all these, and so on until all that is kept has ended.
struct BlockBeam {
  std::size_t width = 2, branch = 4, block = 6, max_tokens = 24;

  struct State {
    tilt::Prompt prompt = {};
    std::vector<tilt::Response> beginnings = {tilt::Response{}};
  };

  State start(const tilt::Prompt& prompt) const { return {.prompt = prompt}; }

  void ask(State& state, tilt::Round& round) const {
    for (const tilt::Response& prefix : state.beginnings) {
      for (std::size_t i = 0; i < branch; ++i) {
        round.sample({.prompt = state.prompt,
                      .prefix = prefix,
                      .max_tokens = std::min(block, max_tokens - prefix.size())});
      }
    }
  }

  void tell(State& state, tilt::Round& round) const {
    std::vector<tilt::Candidate> found;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status == tilt::DrawStatus::done) found.push_back(round.take(i));
    }
    std::ranges::stable_sort(found, std::ranges::greater{}, &tilt::Candidate::reward);
    if (found.size() > width) found.resize(width);
    state.beginnings.clear();
    for (tilt::Candidate& candidate : found) {
      const tilt::Response& y = candidate.response;
      const bool whole = y.finish == tilt::Finish::stop || y.size() >= max_tokens;
      if (!whole) state.beginnings.push_back(y);
      candidate.weight = whole ? 1 : 0;  // 0: an answer only when there is nothing better
      round.emit(std::move(candidate));
    }
  }
};
static_assert(tilt::Sampler<BlockBeam>);

int main() {
  // A model that babbles: vowels follow consonants and the other way round; "." ends.
  const std::string letters = "aeioubdglmnrst.";
  constexpr tilt::Token end = 14;
  const auto is_vowel = [](tilt::Token token) { return token < 5; };
  tilt::LogitPolicy policy{
      end,
      [&](tilt::TokenSpan context) {
        std::vector<double> logits(letters.size(), 0.0);
        for (tilt::Token t = 0; t < end; ++t) {
          const bool fits = context.empty() || is_vowel(t) != is_vowel(context.back());
          logits[static_cast<std::size_t>(t)] = fits ? 2 : 0;
        }
        return logits;
      },
      [&](tilt::Token token) { return std::string(1, letters[static_cast<std::size_t>(token)]); }};

  // A listener who is fond of "la" and tires of length.
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response& response) {
    double heard = 0;
    for (std::size_t at = 0; (at = response.text.find("la", at)) != std::string::npos; ++at) ++heard;
    return heard - 0.02 * static_cast<double>(response.size());
  }};

  const std::vector<tilt::Prompt> prompts(200);
  const auto show = [&](const char* name, const auto& sampler) {
    const tilt::Decoder decoder{policy, reward, sampler, tilt::HighestReward{}};
    const std::vector<tilt::Result> results = decoder.batch(prompts, {.seed = 1});
    double mean_reward = 0, mean_tokens = 0;
    for (const tilt::Result& result : results) {
      mean_reward += result.answer.reward / 200;
      mean_tokens += static_cast<double>(result.spent.generated_tokens) / 200;
    }
    std::printf("%-10s  reward %5.2f for %5.1f tokens, such as \"%s\"\n", name, mean_reward,
                mean_tokens, results.front().answer.response.text.c_str());
  };
  show("one draw", tilt::BestOfN{{.n = 1, .max_tokens = 24}});
  show("best of 6", tilt::BestOfN{{.n = 6, .max_tokens = 24}});
  show("block beam", BlockBeam{});
}

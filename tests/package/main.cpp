// A program of a user: two translation units that both include the whole library.
#include <tilt/tilt.hpp>

#include <cstdio>

double score_elsewhere(const tilt::Response& response);

int main() {
  tilt::LogitPolicy policy{1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0, 0.0}; }};
  tilt::RewardFunction reward{
      [](const tilt::Prompt&, const tilt::Response& response) { return score_elsewhere(response); }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{{.n = 8, .max_tokens = 4}}};
  const tilt::Result result = decoder(tilt::Prompt::from_tokens({0}), {.seed = 1});
  std::printf("tilt %s: reward %g of %zu candidates\n", TILT_VERSION, result.answer.reward,
              result.candidates.size());
  return result.candidates.size() == 8 ? 0 : 1;
}

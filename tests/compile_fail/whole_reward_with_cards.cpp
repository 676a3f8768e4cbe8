// expect: tilt::Decoder: this sampler scores prefixes of responses and this reward says that it cannot .partial = false.; use Rejection or QAlign instead
#include <tilt/tilt.hpp>

struct WholeOnly {
  static constexpr bool partial = false;
  void score(std::span<const tilt::Scoring>, std::span<double> out) { out[0] = 0; }
};

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::Decoder decoder{policy, WholeOnly{}, tilt::Cards{{.reward_goal = 1}}};
}

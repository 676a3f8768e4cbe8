// expect: tilt::Decoder: the third argument is not a Sampler
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfNOptions{.n = 2}};
}

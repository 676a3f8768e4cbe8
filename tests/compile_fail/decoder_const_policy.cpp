// expect: tilt::Decoder: the first argument is not a Policy
#include <tilt/tilt.hpp>

int main() {
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  const tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0}; }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{{.n = 2}}};
}

// expect: tilt::Decoder: the first argument is not a Policy
// expect: tilt::Decoder: the second argument is not a RewardModel
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{reward, policy, tilt::BestOfN{{.n = 2}}};
}

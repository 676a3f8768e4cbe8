// expect: tilt::Decoder: the second argument is not a RewardModel; .*wrap a lambda in tilt::RewardFunction
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::Decoder decoder{policy, [](const tilt::Prompt&, const tilt::Response&) { return 0.0; },
                        tilt::BestOfN{{.n = 2}}};
}

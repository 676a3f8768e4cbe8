// expect: tilt::Decoder: the fourth argument is not a Selector; give it a const tilt::Decision
#include <tilt/tilt.hpp>

struct NotConst {
  tilt::Decision operator()(const tilt::Population&, tilt::Random&) { return {}; }
};

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{{.n = 2}}, NotConst{}};
}

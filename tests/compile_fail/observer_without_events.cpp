// expect: tilt::Decoder: an observer handles none of the events; give it a member on
#include <tilt/tilt.hpp>

struct Misspelt {
  void onn(const tilt::RunFinished&) {}
};

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{{.n = 2}}};
  Misspelt observer;
  (void)decoder("x", {}, observer);
}

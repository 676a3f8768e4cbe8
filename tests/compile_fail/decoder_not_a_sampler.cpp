// expect: tilt::Decoder: the third argument is not a Sampler; it needs a copyable State
#include <tilt/tilt.hpp>

struct NoTell {
  using State = int;
  State start(const tilt::Prompt&) const { return 0; }
  void ask(State&, tilt::Round&) const {}
};

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{policy, reward, NoTell{}};
}

// expect: tilt::Decoder: this sampler needs next-token logits and this policy has none
#include <tilt/tilt.hpp>

struct Policy {
  static constexpr tilt::Capabilities capabilities = {};
  void generate(std::span<const tilt::Generation>, std::span<tilt::Response>) {}
};

struct Needy {
  using State = int;
  static constexpr tilt::Needs needs = {.policy = {.logits = true}};
  State start(const tilt::Prompt&) const { return 0; }
  void ask(State&, tilt::Round&) const {}
  void tell(State&, tilt::Round&) const {}
};

int main() { tilt::Decoder decoder{Policy{}, tilt::no_reward, Needy{}, tilt::LastState{}}; }

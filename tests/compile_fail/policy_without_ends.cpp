// expect: tilt::Decoder: this sampler cuts responses and this policy gives text without ends
#include <tilt/tilt.hpp>

struct Policy {
  static constexpr tilt::Capabilities capabilities = {.ends = false};
  void generate(std::span<const tilt::Generation>, std::span<tilt::Response>) {}
};

int main() { tilt::Decoder decoder{Policy{}, tilt::no_reward, tilt::QAlign{}}; }

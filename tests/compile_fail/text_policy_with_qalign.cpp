// expect: tilt::Decoder: this sampler keeps prefixes of token ids and this policy has no tokens; use a LogitPolicy or an engine
#include <tilt/tilt.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view) { return std::string("text"); }};
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{policy, reward, tilt::QAlign{{.steps = 2}}};
}

// expect: tilt::SelfCertainty needs a policy that gives full next-token logits
#include <tilt/policy/text_policy.hpp>
#include <tilt/reward/self_certainty.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view) { return std::string(); }};
  tilt::SelfCertainty reward{policy};
}

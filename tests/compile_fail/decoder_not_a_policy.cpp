// expect: tilt::Decoder: the first argument is not a Policy; give it a member void generate
#include <tilt/tilt.hpp>

struct OneAtATime {
  tilt::Response generate(const tilt::Generation&) { return {}; }
};

int main() {
  tilt::RewardFunction reward{[](const tilt::Prompt&, const tilt::Response&) { return 0.0; }};
  tilt::Decoder decoder{OneAtATime{}, reward, tilt::BestOfN{{.n = 2}}};
}

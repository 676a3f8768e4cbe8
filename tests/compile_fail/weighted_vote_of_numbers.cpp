// expect: tilt::WeightedMajorityVote needs a const function std::optional<std::string>
#include <tilt/tilt.hpp>

int main() {
  tilt::WeightedMajorityVote vote{[](std::string_view) { return 1; }};
}

// expect: tilt::MajorityVote needs a const function std::optional<std::string>
#include <tilt/tilt.hpp>

int main() {
  tilt::MajorityVote vote{[](std::string_view) { return 1; }};
}

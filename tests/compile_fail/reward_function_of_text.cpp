// expect: tilt::RewardFunction needs a function double.const tilt::Prompt&, const tilt::Response&.
#include <tilt/tilt.hpp>

int main() {
  tilt::RewardFunction reward{[](std::string_view text) { return double(text.size()); }};
}

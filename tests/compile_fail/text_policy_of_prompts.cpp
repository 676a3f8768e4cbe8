// expect: tilt::TextPolicy needs a function
#include <tilt/tilt.hpp>

int main() {
  tilt::TextPolicy policy{[](const tilt::Prompt&, int) { return std::string(); }};
}

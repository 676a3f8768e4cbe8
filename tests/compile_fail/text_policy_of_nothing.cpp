// expect: tilt::TextPolicy needs a function std::string.std::string_view.
#include <tilt/tilt.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view) {}};
}

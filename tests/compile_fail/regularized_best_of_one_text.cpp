// expect: tilt::RegularizedBest needs a const function double.const tilt::Response& hypothesis
#include <tilt/selector/regularized_best.hpp>

int main() {
  tilt::RegularizedBest rule{[](std::string_view) { return 1.0; }};
}

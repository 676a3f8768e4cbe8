// expect: tilt::LogitPolicy needs a function of tilt::TokenSpan that returns the logits
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](std::string_view) { return std::vector<double>{0.0}; }};
}

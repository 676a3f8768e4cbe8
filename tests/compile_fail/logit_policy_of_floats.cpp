// expect: tilt::LogitPolicy needs a function of tilt::TokenSpan that returns the logits
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<float>{0.0f}; }};
}

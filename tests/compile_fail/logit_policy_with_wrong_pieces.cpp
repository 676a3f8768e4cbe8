// expect: tilt::LogitPolicy needs a function std::string.tilt::Token. for the pieces of text
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0}; },
                           [](tilt::Token) { return 1; }};
}

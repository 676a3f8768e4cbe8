// expect: no viable conversion from .std::vector|conversion from .*std::vector.* requested
#include <tilt/tilt.hpp>

int main() { tilt::Prompt prompt = std::vector<tilt::Token>{1, 2}; }

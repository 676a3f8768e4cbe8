// expect: deleted
#include <tilt/tilt.hpp>

int main() { tilt::Prompt prompt = nullptr; }

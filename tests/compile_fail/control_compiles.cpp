// expect: anything
// Compiles: the harness must say that it compiled.
#include <tilt/version.hpp>

int main() { return TILT_VERSION_MAJOR; }

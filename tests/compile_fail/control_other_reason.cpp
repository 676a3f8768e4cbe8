// expect: this sentence stands in no message of a compiler
// Fails, but not for the reason above: the harness must say so.
#include <tilt/version.hpp>

int main() { return undeclared; }

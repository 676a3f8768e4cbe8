// expect: constraints not satisfied for class template .Session|requires  Sampler<S> class tilt::Session
#include <tilt/tilt.hpp>

int main() { tilt::Session session{tilt::BestOfNOptions{.n = 2}, "x"}; }

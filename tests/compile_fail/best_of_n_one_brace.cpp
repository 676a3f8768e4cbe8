// The options stand in braces of their own: BestOfN{{.n = 8}}. With one pair, C++20 considers no constructor
// (designators are for aggregates alone), so that no text of tilt's can be printed; what GCC and Clang say must name
// the cause or the type of the options.
// expect: designated initializers cannot be used with a non-aggregate type|to 'BestOfNOptions' for 1st argument
#include <tilt/sampler/best_of_n.hpp>

tilt::BestOfN sampler() { return tilt::BestOfN{.n = 8}; }

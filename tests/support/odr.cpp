// A second translation unit that includes the whole library and is linked into the tests: a function
// or variable in a header that is not inline fails to link.
#include <tilt/tilt.hpp>

#include "support/growth.hpp"

#include <cstddef>
#include <string>

#include "support/catch.hpp"

namespace {

std::string dots(std::size_t n) { return std::string(n, '.'); }

volatile std::size_t sink = 0;

}  // namespace

TEST_CASE("the growth of a linear pass stays below the limit", "[hostile]") {
  const double found = growth::exponent(dots, [](const std::string& text) {
    std::size_t sum = 0;
    for (const char c : text) sum = sum * 31 + static_cast<unsigned char>(c);
    sink = sum;
  });
  CHECK(found > 0.7);
  CHECK(found < growth::limit);
}

TEST_CASE("the growth of a search that starts anew at each character is found", "[hostile]") {
  const double found = growth::exponent(dots, [](const std::string& text) {
    std::size_t misses = 0;
    for (std::size_t i = 0; i < text.size(); i += 8)
      misses += text.find('x', i) == std::string::npos;
    sink = misses;
  });
  CHECK(found > growth::limit);
}

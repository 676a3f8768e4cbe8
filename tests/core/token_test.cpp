#include "tilt/core/token.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("the constants of the vocabulary") {
  STATIC_REQUIRE(npos == std::size_t(-1));
  STATIC_REQUIRE(infinity > 1e308);
  CHECK(std::isinf(infinity));
  CHECK(std::isnan(unset));
  STATIC_REQUIRE(sizeof(Token) == 4);
}

TEST_CASE("a token span views a vector") {
  const std::vector<Token> tokens = {3, 1, 2};
  const TokenSpan span = tokens;
  CHECK(span.size() == 3);
  CHECK(span.data() == tokens.data());
}

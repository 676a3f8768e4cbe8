#pragma once

// One include for Catch2 2.13 and 3. Tests use what both have: TEST_CASE, SECTION, CHECK, REQUIRE,
// CHECK_THROWS_AS, CHECK_THROWS_WITH, GENERATE, STATIC_REQUIRE, INFO, CAPTURE and
// Catch::Matchers::WithinAbs, WithinRel, StartsWith.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include "tilt/reward/constraint/letter_case.hpp"

#include "support/catch.hpp"
#include "support/verdict.hpp"

using namespace tilt;
using namespace tilt::constraint;
using test::satisfies;

namespace {

/// Exactly n capital words.
bool counts(std::string_view text, std::size_t n) {
  return satisfies(text, CapitalWords(Relation::at_least, n)) &&
         satisfies(text, CapitalWords(Relation::less_than, n + 1));
}

}  // namespace

TEST_CASE("Capital words are words without a small letter") {
  CHECK(counts("NASA and ESA met. I went.", 3));
  CHECK(counts("DON'T", 2));
  CHECK(counts("CANNOT", 2));
  CHECK(counts("STATE-OF-THE-ART A/B", 2));
  CHECK(counts("A\u2014B C--D", 4));
  CHECK(counts("AT&T", 2));
  CHECK(counts("The U.S.A. is B2B, 42 %", 2));
  CHECK(counts("\u00c9COLE \u041f\u0420\u0418\u0412\u0415\u0422", 2));
  CHECK(counts("STRA\u00dfE lower Mixed", 0));
  CHECK_FALSE(satisfies("", CapitalWords(Relation::less_than, 5)));
}

TEST_CASE("All capitals and all lower case judge the case, not the language") {
  CHECK(satisfies("ALL OF IT, 1!", AllCapitals{}));
  CHECK(satisfies("TOUT EST FRAN\u00c7AIS", AllCapitals{}));
  CHECK_FALSE(satisfies("ALL OF iT", AllCapitals{}));
  CHECK_FALSE(satisfies("123", AllCapitals{}));
  CHECK(satisfies("all of it, 1!", AllLowercase{}));
  CHECK_FALSE(satisfies("all of It", AllLowercase{}));
  CHECK_FALSE(satisfies("123", AllLowercase{}));
  CHECK(satisfies("cut \xe2\x82", AllLowercase{}));
}

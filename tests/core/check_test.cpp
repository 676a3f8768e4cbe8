#include "tilt/core/check.hpp"

#include <functional>
#include <string>

#include "support/catch.hpp"
#include "tilt/core/token.hpp"

using namespace tilt;

namespace {

std::string refusal(const std::function<void()>& check) {
  try {
    check();
  } catch (const InvalidOption& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("numbers are shown readably") {
  CHECK(to_text(0.5) == "0.5");
  CHECK(to_text(-1e300) == "-1e+300");
  CHECK(to_text(infinity) == "inf");
  CHECK(to_text(std::size_t{17}) == "17");
  CHECK(to_text(npos) == "18446744073709551615");
}

TEST_CASE("the checks name field, value and legal range, and let the legal through") {
  CHECK(refusal([] { require_positive("QAlignOptions.beta", 0.1); }).empty());
  CHECK(refusal([] { require_positive("QAlignOptions.beta", 0); }) ==
        "QAlignOptions.beta is 0; it must be a finite number > 0");
  CHECK_FALSE(refusal([] { require_positive("x", -1); }).empty());
  CHECK_FALSE(refusal([] { require_positive("x", unset); }).empty());
  CHECK_FALSE(refusal([] { require_positive("x", infinity); }).empty());

  CHECK(refusal([] { require_at_least_one("BestOfNOptions.n", 1); }).empty());
  CHECK(refusal([] { require_at_least_one("BestOfNOptions.n", 0); }) ==
        "BestOfNOptions.n is 0; it must be at least 1");

  CHECK(refusal([] { require_fraction("x", 0); }).empty());
  CHECK(refusal([] { require_fraction("x", 1); }).empty());
  CHECK(refusal([] { require_fraction("x", 1.5); }) == "x is 1.5; it must be a number from 0 to 1");
  CHECK_FALSE(refusal([] { require_fraction("x", -0.1); }).empty());
  CHECK_FALSE(refusal([] { require_fraction("x", unset); }).empty());

  CHECK(refusal([] { require_finite("x", -3); }).empty());
  CHECK(refusal([] { require_finite("x", infinity); }) == "x is inf; it must be a finite number");
  CHECK_FALSE(refusal([] { require_finite("x", unset); }).empty());

  CHECK(refusal([] { require_option(false, "x", std::size_t{3}, "even"); }) ==
        "x is 3; it must be even");
}

#include "tilt/testing/violations.hpp"

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using tilt::testing::Violations;

TEST_CASE("each broken rule is listed once, with the first place where it was broken") {
  Violations violations;
  violations.require(true, "a rule that holds", "anywhere");
  violations.require(false, "a rule", "here");
  violations.add("a rule", "there");
  violations.add("another rule");
  CHECK(std::move(violations).sentences() ==
        std::vector<std::string>{"a rule: here", "another rule"});
}

TEST_CASE("nothing found is nothing listed") { CHECK(Violations{}.sentences().empty()); }

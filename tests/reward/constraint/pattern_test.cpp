#include "tilt/reward/constraint/pattern.hpp"

#include "support/catch.hpp"

using namespace tilt;
using constraint::holds;
using constraint::Pattern;
using constraint::Relation;

TEST_CASE("Relations compare what was found with what was asked") {
  CHECK(holds(2, Relation::less_than, 3));
  CHECK_FALSE(holds(3, Relation::less_than, 3));
  CHECK(holds(3, Relation::at_least, 3));
  CHECK_FALSE(holds(2, Relation::at_least, 3));
  CHECK(holds(0, Relation::at_least, 0));
}

TEST_CASE("A pattern is found with or without regard to case") {
  const Pattern exact("p", U"Ab");
  CHECK(exact.find(U"xAb") == 1);
  CHECK(exact.find(U"xab") == std::u32string_view::npos);
  const Pattern any("p", U"Ab", Pattern::Case::ignored);
  CHECK(any.find(U"xaB") == 1);
  CHECK(any.find(U"xaB", 2) == std::u32string_view::npos);
  CHECK(any.find(U"a") == std::u32string_view::npos);
  CHECK(Pattern("p", U"\u00c9", Pattern::Case::ignored).find(U"\u00e9") == 0);
}

TEST_CASE("Matches are counted without overlap") {
  CHECK(Pattern("p", U"aa").count(U"aaaaa") == 2);
  CHECK(Pattern("p", U"a").count(U"") == 0);
}

TEST_CASE("A full stop in a pattern is any character but a line feed") {
  const Pattern pattern("p", U"a.c");
  CHECK(pattern.find(U"xabc") == 1);
  CHECK(pattern.find(U"a.c") == 0);
  CHECK(pattern.find(U"a\nc") == std::u32string_view::npos);
}

TEST_CASE("Patterns that are empty or regular expressions are refused") {
  for (const char32_t* text : {U"", U"a*", U"(a)", U"a|b", U"[a]", U"\\d", U"^a", U"a$", U"a{2}",
                               U"a?", U"a+", U"a+b", U"+a+"}) {
    CHECK_THROWS_AS(Pattern("p", text), InvalidOption);
  }
  CHECK_THROWS_WITH(Pattern("Keywords.words", U"caf\u00e9?"),
                    Catch::Matchers::StartsWith("Keywords.words is \"caf\u00e9?\""));
}

TEST_CASE("A plus that repeats nothing stands for itself") {
  const Pattern pattern("p", U"C++", Pattern::Case::ignored);
  CHECK(pattern.find(U"I like c++") == 7);
  CHECK(pattern.find(U"I like C") == std::u32string_view::npos);
  CHECK(Pattern("p", U"+1").find(U"a +1") == 2);
}

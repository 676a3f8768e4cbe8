#include "tilt/reward/constraint/keyword.hpp"

#include "support/catch.hpp"
#include "support/verdict.hpp"

using namespace tilt;
using namespace tilt::constraint;
using test::satisfies;

TEST_CASE("Keywords occur in any case and inside longer words") {
  const Keywords keywords({"cat", "Dog"});
  CHECK(satisfies("A CATalogue of dogs.", keywords));
  CHECK_FALSE(satisfies("A cat.", keywords));
  CHECK_FALSE(satisfies("", keywords));
  CHECK(satisfies("\u0130stanbul", Keywords({"istanbul"})));
  CHECK_THROWS_AS(Keywords({}), InvalidOption);
  CHECK_THROWS_AS(Keywords({"a", ""}), InvalidOption);
}

TEST_CASE("The frequency of a keyword counts matches that do not overlap") {
  CHECK(satisfies("Story, STORY, stories", KeywordFrequency("story", Relation::at_least, 2)));
  CHECK_FALSE(satisfies("Story, STORY, stories", KeywordFrequency("story", Relation::at_least, 3)));
  CHECK(satisfies("anananan", KeywordFrequency(" anan\n", Relation::less_than, 3)));
  CHECK_FALSE(satisfies("anananan", KeywordFrequency("anan", Relation::less_than, 2)));
  CHECK(satisfies("none", KeywordFrequency("word", Relation::at_least, 0)));
  CHECK_THROWS_AS(KeywordFrequency(" ", Relation::at_least, 1), InvalidOption);
}

TEST_CASE("Forbidden words count only as whole words") {
  const ForbiddenWords forbidden({"kill", "can"});
  CHECK(satisfies("Skills candid _can can_ can2 \u00e9can", forbidden));
  CHECK_FALSE(satisfies("No KILL-ing.", forbidden));
  CHECK_FALSE(satisfies("I can't", forbidden));
  CHECK_FALSE(satisfies("kill", forbidden));
  CHECK_FALSE(satisfies("cancan can", forbidden));
  CHECK_FALSE(satisfies("\u212aill \u212a", ForbiddenWords({"kill"})));
  CHECK(satisfies("candid", ForbiddenWords({"can"})));
  // A combining accent is no part of a word for a regular expression.
  CHECK_FALSE(satisfies("can\u0301", forbidden));
  CHECK_THROWS_AS(ForbiddenWords({}), InvalidOption);
}

TEST_CASE("Letters are counted in both cases") {
  CHECK(satisfies("Banana Apple", LetterFrequency("a", Relation::at_least, 4)));
  CHECK_FALSE(satisfies("Banana Apple", LetterFrequency("A", Relation::at_least, 5)));
  CHECK(satisfies("#one #two", LetterFrequency("#", Relation::at_least, 2)));
  CHECK(satisfies("none", LetterFrequency("!", Relation::less_than, 1)));
  CHECK_FALSE(satisfies("\u00c9t\u00e9", LetterFrequency("\u00e9", Relation::less_than, 2)));
  CHECK(satisfies("\u0130", LetterFrequency("\u0130", Relation::less_than, 1)));
  for (const char* letter : {"", " ", "ab", "\u00e9\u00e9"}) {
    CHECK_THROWS_AS(LetterFrequency(letter, Relation::at_least, 1), InvalidOption);
  }
}

TEST_CASE("Only the comma itself is a comma") {
  CHECK(satisfies("one; two\u3001three\uff0cfour", NoComma{}));
  CHECK_FALSE(satisfies("one, two", NoComma{}));
  CHECK_FALSE(satisfies(" \n", NoComma{}));
}

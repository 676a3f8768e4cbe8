#include "tilt/reward/constraint/length.hpp"

#include <string>

#include "support/catch.hpp"
#include "support/verdict.hpp"

using namespace tilt;
using namespace tilt::constraint;
using test::satisfies;

TEST_CASE("Words are counted against a bound") {
  CHECK(satisfies("one two three", WordCount(Relation::at_least, 3)));
  CHECK_FALSE(satisfies("one two three", WordCount(Relation::less_than, 3)));
  CHECK(satisfies("it's", WordCount(Relation::at_least, 2)));
  CHECK_FALSE(satisfies("", WordCount(Relation::less_than, 3)));
}

TEST_CASE("Sentences are counted against a bound") {
  CHECK(satisfies("Mr. Smith came. He left.", SentenceCount(Relation::less_than, 3)));
  CHECK_FALSE(satisfies("Mr. Smith came. He left.", SentenceCount(Relation::at_least, 3)));
  CHECK(satisfies("One. Two. Three.", SentenceCount(Relation::at_least, 3)));
}

TEST_CASE("Paragraphs stand between dividers") {
  CHECK(satisfies("one\n***\ntwo", ParagraphCount(2)));
  CHECK(satisfies("one***two***three", ParagraphCount(3)));
  CHECK_FALSE(satisfies("one\n***\ntwo", ParagraphCount(3)));
  CHECK_FALSE(satisfies("one\n\ntwo", ParagraphCount(2)));
  CHECK(satisfies("***\none\n***\ntwo\n***", ParagraphCount(2)));
  CHECK_FALSE(satisfies("one\n***\n \n***\ntwo", ParagraphCount(2)));
  CHECK(satisfies("one\n* * *\ntwo", ParagraphCount(1)));
  CHECK(satisfies("one****two", ParagraphCount(2)));
  CHECK_FALSE(satisfies("one******two", ParagraphCount(2)));
}

TEST_CASE("The nth paragraph starts with the word") {
  const ParagraphStart second(2, 2, "Hello");
  CHECK(satisfies("One.\n\nhello there", second));
  CHECK(satisfies("One.\n\n  '\"HELLO,\" he said", second));
  CHECK(satisfies("One.\n\nHello's", second));
  CHECK(satisfies("One.\n\n\nhello", second));
  CHECK_FALSE(satisfies("One.\n\n\n\nhello", second));
  CHECK_FALSE(satisfies("One.\n\nhello-there", second));
  CHECK_FALSE(satisfies("One.\n\nshello", second));
  CHECK_FALSE(satisfies("One.\n\nhello\n\nthree", second));
  CHECK_FALSE(satisfies("hello", second));
  CHECK_FALSE(satisfies("One.\r\n\r\nhello", second));
  CHECK_FALSE(satisfies("One.\n\n\"'hello", second));  // apostrophes go first, then quotation marks
  CHECK(satisfies("\u00c9t\u00e9 now", ParagraphStart(1, 1, "\u00c9T\u00c9")));
  // A blank paragraph is not counted, but the numbering goes past it.
  CHECK(satisfies("\n\none\n\ntwo\n\nhello", ParagraphStart(3, 3, "two")));
  CHECK_THROWS_AS(ParagraphStart(2, 0, "a"), InvalidOption);
  CHECK_THROWS_AS(ParagraphStart(2, 3, "a"), InvalidOption);
}

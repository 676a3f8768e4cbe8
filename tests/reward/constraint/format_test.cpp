#include "tilt/reward/constraint/format.hpp"

#include <string>

#include "support/catch.hpp"
#include "support/verdict.hpp"

using namespace tilt;
using namespace tilt::constraint;
using test::satisfies;

TEST_CASE("Placeholders stand in square brackets on one line") {
  CHECK(satisfies("[name] at [address]", Placeholders(2)));
  CHECK_FALSE(satisfies("[name] at [address]", Placeholders(3)));
  CHECK(satisfies("[] [[x]]", Placeholders(2)));
  CHECK_FALSE(satisfies("[[x]]", Placeholders(2)));
  CHECK_FALSE(satisfies("[na\nme]", Placeholders(1)));
  CHECK(satisfies("[a\n[b]", Placeholders(1)));
  CHECK_FALSE(satisfies("] [", Placeholders(1)));
}

TEST_CASE("A postscript's marker occurs somewhere, in any case") {
  CHECK(satisfies("Text.\n\nP.S. More", Postscript("P.S.")));
  CHECK(satisfies("text p. s. more", Postscript(" P.S. ")));
  CHECK_FALSE(satisfies("PS: more", Postscript("P.S.")));
  CHECK_FALSE(satisfies("P.S more", Postscript("P.S.")));
  CHECK_FALSE(satisfies("P.  S. more", Postscript("P.S.")));
  CHECK(satisfies("P.P.S more", Postscript("P.P.S")));
  CHECK(satisfies("p. p.\ns", Postscript("P.P.S")));
  CHECK(satisfies("the last step.\nP. S. is it", Postscript("P.P.S")));
  CHECK_FALSE(satisfies("P.S. more", Postscript("P.P.S")));
  CHECK(satisfies("n.b. this", Postscript("N.B.")));
  CHECK(satisfies("nxby this", Postscript("N.B.")));  // a full stop stands for any character
  CHECK_THROWS_AS(Postscript(" "), InvalidOption);
}

TEST_CASE("Bullets open lines") {
  CHECK(satisfies("* one\n* two\n- three", BulletList(3)));
  CHECK_FALSE(satisfies("* one\n* two\n- three", BulletList(2)));
  CHECK(satisfies("text\n   * one\n\n\t- two", BulletList(2)));
  CHECK(satisfies("**bold**\n---", BulletList(1)));
  CHECK(satisfies("a * b - c", BulletList(0)));
  CHECK(satisfies("* **one**", BulletList(1)));
  CHECK(satisfies("*", BulletList(0)));
  CHECK(satisfies("*\n* one", BulletList(1)));    // the line feed belongs to the first bullet
  CHECK(satisfies("*\n\n* one", BulletList(2)));  // and here the line after it is empty
  CHECK(satisfies("\u2022 one\n+ two", BulletList(0)));
  CHECK(satisfies("* one\r\n* two", BulletList(2)));
}

TEST_CASE("One of three answers") {
  CHECK(satisfies("Well. My answer is no. Sorry", ConstrainedAnswer{}));
  CHECK(satisfies("My answer is maybe.", ConstrainedAnswer{}));
  CHECK_FALSE(satisfies("My answer is no", ConstrainedAnswer{}));
  CHECK_FALSE(satisfies("my answer is yes.", ConstrainedAnswer{}));
}

TEST_CASE("Highlighted parts stand between asterisks") {
  CHECK(satisfies("*one* and **two**", Highlights(2)));
  CHECK_FALSE(satisfies("*one* and **two**", Highlights(3)));
  CHECK_FALSE(satisfies("**** * * *a\nb*", Highlights(1)));
  CHECK(satisfies("*a*b*c*", Highlights(2)));
  CHECK_FALSE(satisfies("*a*b*c*", Highlights(3)));
  CHECK(satisfies("***both***", Highlights(2)));  // it counts as either kind
  CHECK_FALSE(satisfies("***both***", Highlights(3)));
  CHECK(satisfies("* item\n*x*", Highlights(1)));
  CHECK_FALSE(satisfies("* item\n* *x*", Highlights(1)));  // the bullet pairs with the mark
  CHECK_FALSE(satisfies("*open", Highlights(1)));
  CHECK_FALSE(satisfies("**\u00a0**", Highlights(1)));
}

TEST_CASE("Sections open with a word and a number") {
  CHECK(satisfies("Section 1\na\nSection 2\nb", Sections("Section", 2)));
  CHECK_FALSE(satisfies("Section 1\na\nSection 2\nb", Sections("Section", 3)));
  CHECK(satisfies("Section1Section\n22", Sections(" Section ", 2)));
  CHECK_FALSE(satisfies("section 1", Sections("Section", 1)));
  CHECK_FALSE(satisfies("Section  1", Sections("Section", 1)));
  CHECK_FALSE(satisfies("Section one", Sections("Section", 1)));
  CHECK(satisfies("SubSection \u0663", Sections("Section", 1)));
  CHECK_THROWS_AS(Sections("", 1), InvalidOption);
}

TEST_CASE("JSON, bare or in a fence") {
  CHECK(satisfies("{\"a\": 1}", Json{}));
  CHECK(satisfies("\n```json\n{\"a\": [1, 2]}\n```\n", Json{}));
  CHECK(satisfies("```JSON[]```", Json{}));
  CHECK(satisfies("```\n\"text\"\n```", Json{}));
  CHECK(satisfies("```json```[1]", Json{}));
  CHECK(satisfies("42", Json{}));
  CHECK_FALSE(satisfies("```python\n{}\n```", Json{}));
  CHECK_FALSE(satisfies("Here: {\"a\": 1}", Json{}));
  CHECK_FALSE(satisfies("{\"a\": 1}\n```\nDone", Json{}));
  CHECK_FALSE(satisfies("{'a': 1}", Json{}));
  CHECK_FALSE(satisfies("{\"a\": \"cut", Json{}));
  CHECK_FALSE(satisfies("``````", Json{}));
  CHECK(satisfies("\"cut inside \xe2\x82\"", Json{}));
}

TEST_CASE("A title stands in double angle brackets") {
  CHECK(satisfies("<<Joy>>\nText", Title{}));
  CHECK(satisfies("a <<<b>>>", Title{}));
  CHECK(satisfies("<< >> <<a>>", Title{}));  // taken to the last brackets of the line
  CHECK_FALSE(satisfies("<<>>", Title{}));
  CHECK_FALSE(satisfies("<< >>", Title{}));
  CHECK_FALSE(satisfies("<<<>>>", Title{}));
  CHECK_FALSE(satisfies("<<a\nb>>", Title{}));
  CHECK(satisfies("<<a\n<<b>>", Title{}));
  CHECK_FALSE(satisfies("<a>", Title{}));
  CHECK_FALSE(satisfies("<<\n<< >>\n>>", Title{}));
}

TEST_CASE("Two different responses") {
  CHECK(satisfies("one\n******\ntwo", TwoResponses{}));
  CHECK(satisfies("******one******two******", TwoResponses{}));
  CHECK_FALSE(satisfies("one****** one ", TwoResponses{}));
  CHECK_FALSE(satisfies("one", TwoResponses{}));
  CHECK_FALSE(satisfies("one******two******three", TwoResponses{}));
  CHECK_FALSE(satisfies("one****** ******two", TwoResponses{}));
  CHECK_FALSE(satisfies("one***two", TwoResponses{}));
  CHECK(satisfies("one*******one", TwoResponses{}));  // the seventh asterisk belongs to the second
}

TEST_CASE("The request is repeated first") {
  const RepeatedPrompt repeated(" Write a poem about \u00c9t\u00e9. ");
  CHECK(satisfies("\n write A poem about \u00e9T\u00c9. Here it is", repeated));
  CHECK_FALSE(satisfies("Sure. Write a poem about \u00e9t\u00e9.", repeated));
  CHECK_FALSE(satisfies("Write a poem", repeated));
  CHECK_THROWS_AS(RepeatedPrompt("\n"), InvalidOption);
}

TEST_CASE("The phrase ends the response") {
  const EndPhrase phrase(" Any other questions? ");
  CHECK(satisfies("Done. ANY other questions?\n", phrase));
  CHECK(satisfies("\"Done. Any other questions?\"", phrase));
  CHECK_FALSE(satisfies("Done. Any other questions? \"", phrase));
  CHECK_FALSE(satisfies("Any other questions? Yes", phrase));
  CHECK_FALSE(satisfies("Any other questions", phrase));
  CHECK_THROWS_AS(EndPhrase(""), InvalidOption);
}

TEST_CASE("Quotation marks wrap the response") {
  CHECK(satisfies(" \"text\"\n", Quoted{}));
  CHECK(satisfies("\"\"", Quoted{}));
  CHECK_FALSE(satisfies("\"", Quoted{}));
  CHECK_FALSE(satisfies("\"text", Quoted{}));
  CHECK_FALSE(satisfies("\u201ctext\u201d", Quoted{}));
  CHECK_FALSE(satisfies("'text'", Quoted{}));
}

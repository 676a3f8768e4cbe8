#include "tilt/reward/text/unicode.hpp"

#include <string>
#include <string_view>

#include "support/catch.hpp"

using namespace tilt::unicode;
using namespace std::string_view_literals;

TEST_CASE("UTF-8 is decoded to code points and encoded back") {
  CHECK(decode("").empty());
  CHECK(decode("a\u00e9\u20ac\U0001f600") == U"a\u00e9\u20ac\U0001f600");
  CHECK(decode("a\0b"sv) == U"a\0b"sv);
  for (const std::u32string_view text :
       {U""sv, U"plain"sv, U"\u007f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"sv}) {
    CHECK(decode(encode(text)) == text);
  }
}

TEST_CASE("What is no UTF-8 becomes U+FFFD, one for each longest part of a character") {
  // The euro sign is E2 82 AC, the emoji F0 9F 98 80.
  CHECK(decode("a\xe2\x82") == U"a\ufffd");
  CHECK(decode("a\xf0\x9f\x98") == U"a\ufffd");
  CHECK(decode("\xe2\x82z") == U"\ufffdz");
  CHECK(decode("\x80\xbf") == U"\ufffd\ufffd");
  CHECK(decode("\xc0\xaf") == U"\ufffd\ufffd");                      // over-long
  CHECK(decode("\xe0\x80\xaf") == U"\ufffd\ufffd\ufffd");            // over-long
  CHECK(decode("\xed\xa0\x80") == U"\ufffd\ufffd\ufffd");            // a surrogate
  CHECK(decode("\xf4\x90\x80\x80") == U"\ufffd\ufffd\ufffd\ufffd");  // above U+10FFFF
  CHECK(decode("\xff\xfe") == U"\ufffd\ufffd");
}

TEST_CASE("White space is Python's, and Unicode's without the separators") {
  for (const char32_t c : U" \t\n\v\f\r\u0085\u00a0\u1680\u2003\u2028\u202f\u3000"sv) {
    CHECK(is_space(c));
    CHECK(is_white_space(c));
  }
  for (const char32_t c : U"\x1c\x1d\x1e\x1f"sv) {
    CHECK(is_space(c));
    CHECK_FALSE(is_white_space(c));
  }
  for (const char32_t c : U"a0_\0\u200b\u200d\ufeff"sv) CHECK_FALSE(is_space(c));
}

TEST_CASE("The two kinds of word characters differ in marks and numerals") {
  for (const char32_t c : U"azAZ09_\u00e9\u0391\u65e5\u0663"sv) {
    CHECK(is_word(c));
    CHECK(is_token_character(c));
  }
  for (const char32_t c : U"\u00b2\u00bd"sv) {  // superscript two, one half
    CHECK(is_word(c));
    CHECK_FALSE(is_token_character(c));
  }
  for (const char32_t c : U"\u0301\u094d\ufe0f\u200d"sv) {  // accents, virama, selector, joiner
    CHECK_FALSE(is_word(c));
    CHECK(is_token_character(c));
  }
  for (const char32_t c : U" -.'\u2019\U0001f600\ufffd"sv) {
    CHECK_FALSE(is_word(c));
    CHECK_FALSE(is_token_character(c));
  }
}

TEST_CASE("Digits and cases beyond ASCII") {
  CHECK(is_digit(U'7'));
  CHECK(is_digit(U'\u0663'));
  CHECK_FALSE(is_digit(U'\u00b2'));
  CHECK(is_upper(U'\u00c9'));
  CHECK(is_upper(U'\u2160'));  // Roman numeral one
  CHECK(is_lower(U'\u00df'));
  CHECK(is_lower(U'\u00aa'));  // feminine ordinal
  CHECK(is_title(U'\u01c5'));
  CHECK_FALSE(is_cased(U'\u65e5'));
}

TEST_CASE("Lower case is the full one") {
  CHECK(lower(U"\u00c9COLE 42") == U"\u00e9cole 42");
  CHECK(lower(U"\u0130") == U"i\u0307");
  CHECK(simple_lower(U'\u0130') == U'i');
  CHECK(lower(U"\u039f\u0394\u039f\u03a3") == U"\u03bf\u03b4\u03bf\u03c2");
  CHECK(lower(U"\u039f\u03a3.") == U"\u03bf\u03c2.");
  CHECK(lower(U"\u03a3\u039f\u03a3\u039f") == U"\u03c3\u03bf\u03c3\u03bf");
  CHECK(lower(U"\u03a3") == U"\u03c3");
}

TEST_CASE("Equality that ignores case") {
  CHECK(equal_ignoring_case(U'a', U'A'));
  CHECK(equal_ignoring_case(U'k', U'\u212a'));  // the Kelvin sign
  CHECK(equal_ignoring_case(U's', U'\u017f'));  // the long s
  CHECK(equal_ignoring_case(U'i', U'\u0130'));
  CHECK(equal_ignoring_case(U'\u00e9', U'\u00c9'));
  CHECK_FALSE(equal_ignoring_case(U'a', U'b'));
  CHECK_FALSE(equal_ignoring_case(U'e', U'\u00e9'));
}

TEST_CASE("A text in one case has a letter in it and none in the other") {
  CHECK(is_all_upper(U"ALL 1 CAPS!"));
  CHECK_FALSE(is_all_upper(U"NOt"));
  CHECK_FALSE(is_all_upper(U"123"));
  CHECK_FALSE(is_all_upper(U""));
  CHECK_FALSE(is_all_upper(U"STRA\u00dfE"));
  CHECK_FALSE(is_all_upper(U"\u01c5A"));
  CHECK(is_all_lower(U"all 1 low!"));
  CHECK_FALSE(is_all_lower(U"\u65e5\u672c"));
  CHECK(is_all_lower(U"\u65e5a"));
}

TEST_CASE("Stripping takes white space off both ends") {
  CHECK(strip(U" \u00a0\x1f"
              U"a b\n\u3000") == U"a b");
  CHECK(strip(U" \t ").empty());
  CHECK(strip(U"\"\"a\"", [](char32_t c) { return c == U'"'; }) == U"a");
  CHECK(is_blank(U""));
  CHECK(is_blank(U" \n\u2003"));
  CHECK_FALSE(is_blank(U" \u200b"));
}

TEST_CASE("A character set holds its characters and no others") {
  constexpr CharacterSet set(U".?\u201d");
  STATIC_REQUIRE(set.contains(U'.'));
  STATIC_REQUIRE(set.contains(U'\u201d'));
  STATIC_REQUIRE_FALSE(set.contains(U'!'));
  STATIC_REQUIRE_FALSE(set.contains(U'\u201c'));
}

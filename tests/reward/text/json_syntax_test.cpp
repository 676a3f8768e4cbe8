#include "tilt/reward/text/json_syntax.hpp"

#include <string>
#include <string_view>

#include "support/catch.hpp"

using namespace std::string_view_literals;
using tilt::constraint::JsonSyntax;

TEST_CASE("JSON values are accepted") {
  for (const std::u32string_view text :
       {U"{}"sv, U"[]"sv, U"null"sv, U"true"sv, U"false"sv, U"0"sv, U"-0"sv, U"12"sv, U"-1.5e+10"sv,
        U"1E5"sv, U"\"\""sv, U"\"a\\n\\u00e9\\\"\\/\""sv, U" [1, 2 ,3]\n"sv,
        U"{\"a\": {\"b\": [null, {}]}, \"a\": 1}"sv, U"\"\u00e9\ufffd\U0001f600\""sv}) {
    CHECK(JsonSyntax::accepts(text));
  }
}

TEST_CASE("What Python accepts beyond JSON is accepted") {
  for (const std::u32string_view text :
       {U"NaN"sv, U"Infinity"sv, U"-Infinity"sv, U"[NaN]"sv, U"\"\\ud800\""sv}) {
    CHECK(JsonSyntax::accepts(text));
  }
  CHECK(JsonSyntax::accepts(std::u32string(4300, U'9')));
  CHECK_FALSE(JsonSyntax::accepts(std::u32string(4301, U'9')));
  CHECK(JsonSyntax::accepts(std::u32string(4301, U'9') + U".5"));
}

TEST_CASE("Other texts are refused") {
  for (const std::u32string_view text :
       {U""sv,        U"{"sv,         U"}"sv,        U"[1,]"sv,     U"{\"a\":1,}"sv,  U"{a:1}"sv,
        U"{'a':1}"sv, U"{\"a\" 1}"sv, U"{\"a\":}"sv, U"{1:2}"sv,    U"[1 2]"sv,       U"[1]]"sv,
        U"[}"sv,      U"01"sv,        U"1."sv,       U".5"sv,       U"+1"sv,          U"1e"sv,
        U"-"sv,       U"-NaN"sv,      U"None"sv,     U"True"sv,     U"nulls"sv,       U"1 2"sv,
        U"\"a"sv,     U"\"\n\""sv,    U"\"\t\""sv,   U"\"\\x\""sv,  U"\"\\u12g4\""sv, U"\"\\u12"sv,
        U"\"\\"sv,    U"\"\a20"sv,    U"[\"\n1]"sv,  U"\ufeff[]"sv, U"\u00a0[]"sv,    U"\u0663"sv,
        U"// a\n1"sv}) {
    CAPTURE(text.size());
    CHECK_FALSE(JsonSyntax::accepts(text));
  }
}

TEST_CASE("Depth costs no stack") {
  const std::size_t depth = 1'000'000;
  const std::u32string open(depth, U'['), close(depth, U']');
  CHECK(JsonSyntax::accepts(open + close));
  CHECK_FALSE(JsonSyntax::accepts(open));
}

#include "tilt/core/prompt.hpp"

#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("a prompt is text, messages or ids") {
  SECTION("text, implicitly") {
    const auto text_of = [](const Prompt& prompt) { return std::string(prompt.text()); };
    CHECK(text_of("literal") == "literal");
    CHECK(text_of(std::string("string")) == "string");
    CHECK(text_of(std::string_view("view")) == "view");
    CHECK(text_of(Prompt()).empty());
    CHECK(text_of(std::string("a\0b", 3)) == std::string("a\0b", 3));
    const Prompt prompt = "x";
    CHECK_FALSE(prompt.is_tokens());
    CHECK_FALSE(prompt.is_messages());
    CHECK(prompt.tokens().empty());
    CHECK(prompt.messages().empty());
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Prompt, std::nullptr_t>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Prompt, std::vector<Token>>);
  }
  SECTION("messages") {
    const Prompt prompt = Prompt::from_messages({{"system", "Be brief."}, {"user", "hello"}});
    CHECK(prompt.is_messages());
    CHECK_FALSE(prompt.is_tokens());
    REQUIRE(prompt.messages().size() == 2);
    CHECK(prompt.messages()[1] == Message{"user", "hello"});
    CHECK(prompt.text().empty());
    CHECK(prompt.tokens().empty());
    CHECK(Prompt::from_messages({}).is_messages());
  }
  SECTION("ids") {
    const Prompt prompt = Prompt::from_tokens({1, 2, 3});
    CHECK(prompt.is_tokens());
    CHECK_FALSE(prompt.is_messages());
    REQUIRE(prompt.tokens().size() == 3);
    CHECK(prompt.tokens()[2] == 3);
    CHECK(prompt.text().empty());
    CHECK(Prompt::from_tokens({}).is_tokens());
  }
}

// Computed by an independent program in Python; the key is documented and must never change.
TEST_CASE("keys are stable") {
  CHECK(Prompt().key() == 0xaf63bd4c8601b7df);
  CHECK(Prompt("hello").key() == 0x3b6dba0d69908e25);
  CHECK(Prompt("Gr\xc3\xbc\xc3\x9f"
               "e, \xe4\xb8\x96\xe7\x95\x8c")
            .key() == 0x85e9b44701126368);
  CHECK(Prompt(std::string("a\0b", 3)).key() == 0x2f4c397efbe59964);
  CHECK(Prompt::from_messages({}).key() == 0xaf63bc4c8601b62c);
  CHECK(Prompt::from_messages({{"system", "Be brief."}, {"user", "hello"}}).key() ==
        0xa87725e3976c7fe1);
  CHECK(Prompt::from_tokens({}).key() == 0xaf63bf4c8601bb45);
  CHECK(Prompt::from_tokens({1, 2, 3}).key() == 0x45302afd608a31b5);
  CHECK(Prompt::from_tokens({3, 2, 1}).key() == 0xf3c16e2a96d4f3b5);
  CHECK(Prompt::from_tokens({-1, 2147483647}).key() == 0xaf9430dfc57bf4dd);
}

TEST_CASE("different prompts have different keys") {
  std::set<std::uint64_t> keys;
  std::size_t made = 0;
  for (const Prompt& prompt :
       {Prompt(), Prompt("a"), Prompt("b"), Prompt("ab"), Prompt::from_messages({}),
        Prompt::from_messages({{"a", "b"}}), Prompt::from_messages({{"ab", ""}}),
        Prompt::from_messages({{"", "ab"}}), Prompt::from_messages({{"a", ""}, {"b", ""}}),
        Prompt::from_tokens({}), Prompt::from_tokens({0}), Prompt::from_tokens({0, 0}),
        Prompt::from_tokens({256}), Prompt::from_tokens({1, 0})}) {
    keys.insert(prompt.key());
    ++made;
  }
  CHECK(keys.size() == made);
}

TEST_CASE("prompts are equal when their content and kind are") {
  CHECK(Prompt("a") == Prompt(std::string("a")));
  CHECK_FALSE(Prompt("a") == Prompt("b"));
  CHECK_FALSE(Prompt() == Prompt::from_tokens({}));
  CHECK_FALSE(Prompt() == Prompt::from_messages({}));
  CHECK(Prompt::from_tokens({1, 2}) == Prompt::from_tokens({1, 2}));
  CHECK(Prompt::from_messages({{"user", "x"}}) == Prompt::from_messages({{"user", "x"}}));
  CHECK_FALSE(Prompt::from_messages({{"user", "x"}}) == Prompt::from_messages({{"x", "user"}}));
}

TEST_CASE("a copy shares the payload") {
  const Prompt prompt = Prompt::from_tokens(std::vector<Token>(1000, 7));
  const Prompt copy = prompt;  // NOLINT: the copy is what is tested
  CHECK(copy == prompt);
  CHECK(copy.tokens().data() == prompt.tokens().data());
}

TEST_CASE("describe shows what an error message needs") {
  CHECK(describe("short") == "\"short\"");
  CHECK(describe(Prompt()) == "\"\"");
  CHECK(describe(Prompt::from_tokens({1, 2, 3})) == "of 3 token ids");
  CHECK(describe(Prompt::from_messages({{"user", "x"}})) == "of 1 messages");
  const std::string sixty(60, 'x');
  CHECK(describe(sixty) == '"' + sixty + '"');
  CHECK(describe(sixty + "y") == '"' + sixty + "\xe2\x80\xa6\"");
  // A character of two bytes across the cut is left out whole.
  CHECK(describe(std::string(59, 'x') + "\xc3\xbcrest") ==
        '"' + std::string(59, 'x') + "\xe2\x80\xa6\"");
  // Bytes that are no UTF-8 at all do not make it loop or read outside.
  CHECK(describe(std::string(100, '\x80')) == "\"\xe2\x80\xa6\"");
}

#include "tilt/core/template.hpp"

#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/refused.hpp"

using namespace tilt;

namespace {

constexpr std::string_view names[] = {"query", "answer"};

Template read(std::string_view text) { return Template(text, names, "Options.text"); }

// Slots replaced one after the other: what a value holds is replaced again.
std::string replaced_in_turn(std::string text, std::string_view query, std::string_view answer) {
  for (const auto& [slot, value] : {std::pair{"{query}", query}, {"{answer}", answer}}) {
    for (std::size_t at = text.find(slot); at != std::string::npos;
         at = text.find(slot, at + value.size())) {
      text.replace(at, std::string_view(slot).size(), value);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a template replaces its slots, each any number of times") {
  CHECK(read("").fill({}).empty());
  CHECK(read("no slot").fill({}) == "no slot");
  const Template text = read("{query}: {answer}{answer} of {query}.");
  CHECK(text.fill({{"query", "q"}, {"answer", "a"}}) == "q: aa of q.");
  CHECK(text.fill({{"answer", ""}, {"unused", "x"}, {"query", std::string_view("\0", 1)}}) ==
        std::string("\0:  of \0.", 9));
  CHECK(text.uses("query"));
  CHECK_FALSE(read("{query}").uses("answer"));
  CHECK_FALSE(text.uses("quer"));
  CHECK_THROWS_AS(text.fill({{"query", "q"}}), Error);
}

TEST_CASE("braces are doubled to stand for themselves") {
  CHECK(read("{{}}").fill({}) == "{}");
  CHECK(read("{{query}}").fill({}) == "{query}");
  CHECK(read("{{{query}}}").fill({{"query", "q"}}) == "{q}");
  CHECK(read(R"({{"key": "{answer}"}})").fill({{"answer", "a"}}) == R"({"key": "a"})");
}

TEST_CASE("slots in a value are data") {
  const std::string_view query = "{answer} {{ }} {", answer = "{query} and {nothing}";
  const std::string_view text = "Q {query} A {answer}";
  CHECK(read(text).fill({{"query", query}, {"answer", answer}}) ==
        "Q {answer} {{ }} { A {query} and {nothing}");
  // The same check sees the planted bug.
  CHECK(replaced_in_turn(std::string(text), query, answer) !=
        "Q {answer} {{ }} { A {query} and {nothing}");
}

TEST_CASE("a template refuses slots that it does not know and single braces") {
  const auto build = [](std::string_view text) { return [text] { (void)read(text); }; };
  expect_refused(build("{unknown}"), "Options.text", "a text with {unknown}");
  expect_refused(build("{}"), "Options.text", "a text with {}");
  expect_refused(build("{ query}"), "Options.text", "a text with { query}");
  expect_refused(build("a { b"), "Options.text", "a text with a single {");
  expect_refused(build("{query"), "Options.text", "a text with a single {");
  expect_refused(build("{que{ry}"), "Options.text", "a text with a single {");
  expect_refused(build("{query}}"), "Options.text", "a text with a single }");
  expect_refused(build("a } b"), "Options.text", "a text with a single }");
  expect_refused([] { Template("{query}", std::span<const std::string_view>(), "Options.none"); },
                 "Options.none", "a text with {query}");
  try {
    (void)read("{unknown}");
  } catch (const InvalidOption& error) {
    CHECK(error.legal() ==
          "a text whose slots are among {query} {answer}; {{ and }} stand for braces");
  }
}

TEST_CASE("a prompt as text that others quote") {
  CHECK(quotable("What is the sea?\n", "X") == "What is the sea?\n");
  CHECK(quotable(Prompt(), "X").empty());
  CHECK(quotable(Prompt::from_messages({}), "X").empty());
  CHECK(quotable(Prompt::from_messages({{"system", "Be brief."},
                                        {"user", "Hello"},
                                        {"assistant", "Good day.\nWhat now?"},
                                        {"user", "Tell me {more}."}}),
                 "X") ==
        "system: Be brief.\nuser: Hello\nassistant: Good day.\nWhat now?\nuser: Tell me {more}.");
  expect_refused(
      [] {
        (void)quotable(Prompt::from_tokens({1, 2}), "X");
      },
      "X.prompt", "of 2 token ids");
  expect_refused([] { (void)quotable(Prompt::from_tokens({}), "X"); }, "X.prompt",
                 "of 0 token ids");
}

TEST_CASE("a nonce is a dash and eight hexadecimal digits of its stream") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string text = nonce_text(Random(seed));
    CHECK(text.size() == 9);
    CHECK(text[0] == '-');
    CHECK(text.find_first_not_of("0123456789abcdef", 1) == std::string::npos);
    CHECK(text == nonce_text(Random(seed)));
    seen.insert(text);
  }
  CHECK(seen.size() == 200);
}

#include "tilt/policy/text_policy.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

template <class P>
std::vector<Response> generate(P& policy, std::vector<Generation> work) {
  std::vector<Response> out(work.size());
  policy.generate(work, out);
  return out;
}

}  // namespace

TEST_CASE("a text policy answers with text and no tokens") {
  TextPolicy policy{[](std::string_view text) { return "echo " + std::string(text); }};
  const std::vector<Response> out = generate(policy, {{.prompt = "one"}, {.prompt = ""}});
  CHECK(out[0].text == "echo one");
  CHECK(out[0].tokens.empty());
  CHECK(out[0].ends.empty());
  CHECK(out[0].log_probs.empty());
  CHECK(out[0].finish == Finish::stop);
  CHECK(out[1].text == "echo ");
  STATIC_REQUIRE_FALSE(decltype(policy)::capabilities.tokens);
}

TEST_CASE("an empty text is an answer") {
  TextPolicy policy{[](std::string_view) { return std::string(); }};
  CHECK(generate(policy, {{.prompt = "x"}})[0].empty());
}

TEST_CASE("prompts become plain text") {
  CHECK(plain_text("as it is\n") == "as it is\n");
  CHECK(plain_text(Prompt::from_messages({{"system", "Be brief."}, {"user", "hello"}})) ==
        "system: Be brief.\nuser: hello\n");
  CHECK(plain_text(Prompt::from_messages({})).empty());
  CHECK(plain_text(Prompt::from_tokens({1, 2})).empty());
  TextPolicy policy{[](std::string_view text) { return std::string(text); }};
  CHECK(generate(policy, {{.prompt = Prompt::from_messages({{"user", "x"}})}})[0].text ==
        "user: x\n");
}

TEST_CASE("a function of two arguments learns of the law, the cap and the seed") {
  TextPolicy policy{[](std::string_view text, const Generation& work) {
    return std::string(text) + ' ' + std::to_string(work.max_tokens) + ' ' +
           std::to_string(work.seed) + ' ' + std::to_string(work.law.top_k);
  }};
  CHECK(generate(policy, {{.prompt = "x", .max_tokens = 7, .law = {.top_k = 3}, .seed = 5}})[0]
            .text == "x 7 5 3");
}

TEST_CASE("what a function throws fails that item alone") {
  TextPolicy policy{[](std::string_view text) {
    if (text == "bad") throw std::runtime_error("no answer");
    return std::string(text);
  }};
  const std::vector<Generation> work = {{.prompt = "a"}, {.prompt = "bad"}, {.prompt = "c"}};
  std::vector<Response> out(3);
  try {
    policy.generate(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    REQUIRE(failure.causes().size() == 3);
    CHECK(failure.causes()[0] == nullptr);
    CHECK(message_of(failure.causes()[1]) == "no answer");
    CHECK(failure.causes()[2] == nullptr);
  }
  CHECK(out[0].text == "a");
  CHECK(out[1].empty());
  CHECK(out[2].text == "c");
}

TEST_CASE("a text policy refuses a prefix") {
  TextPolicy policy{[](std::string_view) { return std::string("x"); }};
  const std::vector<Generation> work = {{.prompt = "a", .prefix = {.text = "begun"}}};
  std::vector<Response> out(1);
  try {
    policy.generate(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    CHECK_THROWS_AS(std::rethrow_exception(failure.causes()[0]), PolicyError);
    CHECK(message_of(failure.causes()[0]) == "a TextPolicy cannot continue a prefix");
  }
}

TEST_CASE("functions may be move-only, stateful, or return a literal") {
  TextPolicy owner{
      [held = std::make_unique<std::string>("held")](std::string_view) { return *held; }};
  CHECK(generate(owner, {{}})[0].text == "held");
  TextPolicy counter{[calls = 0](std::string_view) mutable { return std::to_string(++calls); }};
  CHECK(generate(counter, {{}, {}})[1].text == "2");
  TextPolicy literal{[](std::string_view) { return "literal"; }};
  CHECK(generate(literal, {{}})[0].text == "literal");
}

// The time of everything that reads answers grows with the length of the text, and no faster.
#include <cstddef>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/growth.hpp"
#include "tilt/core/error.hpp"
#include "tilt/reward/judge/read.hpp"
#include "tilt/selector/extract.hpp"

namespace {

std::string repeated(std::string_view piece, std::size_t size) {
  std::string text;
  while (text.size() < size) text += piece;
  return text;
}

template <class Read>
double growth_of(const Read& read, std::string_view piece) {
  return growth::exponent([&](std::size_t size) { return repeated(piece, size); },
                          [&](const std::string& text) {
                            try {
                              (void)read(std::string_view(text));
                            } catch (const tilt::RewardError&) {
                              // A judge's text that is refused.
                            }
                          });
}

constexpr std::string_view pieces[] = {
    " ",
    "1",
    "1 ",
    "1,",
    "1,234",
    "1/",
    "1e",
    "7 3/4 ",
    "1 000 ",
    "-",
    "- ",
    "^",
    "^{1",
    "10^{",
    "2^2",
    "\\frac",
    "\\frac{1",
    "\\frac{1 \\frac{",
    "\\sqrt[",
    "\\sqrt{",
    "\\sqrt[{]}",
    "{",
    "}",
    "{}",
    "{ ",
    "(",
    "()",
    "\\left(",
    "\\text{",
    "\\text{ }",
    "\\boxed",
    "\\boxed ",
    "\\boxed{",
    "\\boxed{ ",
    "\\boxed{}",
    "\\boxed{1} and ",
    "\\boxed 1",
    "\\fbox{1}",
    "\\begin{",
    "\\begin{array}{",
    "\\{1,",
    "\\pm",
    "\\",
    "$",
    "'",
    "|",
    "x",
    "x=",
    "x<",
    ",",
    "A",
    "A ",
    "A.",
    "(A) ",
    " A is correct",
    "I ",
    "I choose ",
    "answer",
    "answer ",
    "The answer is ",
    "The answer is A. ",
    "answer: ",
    "Answer:\n",
    "####",
    "#### ",
    "#### 1 ",
    "#### 1\n",
    "\n",
    "Question:\n",
    "answer: 1\nQuestion:\n",
    "\xc2\xbd",
    "\xc2\xb2",
    "\xe2\x88\x92",
    "\xe7\xad\x94\xe6\xa1\x88",
    "\xff",
    "million ",
    "5 million",
    "Score:",
    "Score: 1\n",
    "score",
    "S*",
    "<think>",
    "<think></think>",
    "[[",
    "[]",
    "\"",
    "*",
    "Verdict: A",
};

template <class Read>
void check_all(std::string_view name, const Read& read) {
  for (const std::string_view piece : pieces) {
    const double exponent = growth_of(read, piece);
    INFO(name << " of \"" << piece << "\" grows as n^" << exponent);
    CHECK(exponent < growth::limit);
  }
}

// The planted fault: each opening brace looks for its end again.
volatile std::size_t found = 0;
void nested_groups(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') found = text.find('}', i);
  }
}

}  // namespace

TEST_CASE("Extractors take time in proportion to the text", "[text]") {
  check_all("last_number", tilt::last_number);
  check_all("last_boxed", tilt::last_boxed);
  check_all("last_choice", tilt::last_choice);
  check_all("stated_answer", tilt::stated_answer);
}

TEST_CASE("Readers take time in proportion to the text", "[text]") {
  check_all("normalized_math", [](std::string_view text) { return tilt::normalized_math(text); });
  check_all("folded", [](std::string_view text) { return tilt::folded(text); });
  check_all("whole_response", [](std::string_view text) {
    tilt::Response response;
    response.text = text;
    return tilt::whole_response(response);
  });
  check_all("read_score",
            [](std::string_view text) { return tilt::read_score(text, "Score:", 0, 10); });
  check_all("read_score of the whole",
            [](std::string_view text) { return tilt::read_score(text, "", 0, 10); });
  check_all("read_verdict",
            [](std::string_view text) { return tilt::read_verdict(text, "Verdict:"); });
}

TEST_CASE("The check of growth finds a quadratic reader", "[text]") {
  CHECK(growth_of(nested_groups, "{") > growth::limit);
}

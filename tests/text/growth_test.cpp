// The time of everything that reads answers grows with the length of the text, and no faster.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/catch.hpp"
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
double seconds(const Read& read, const std::string& text) {
  double least = tilt::infinity;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    try {
      read(std::string_view(text));
    } catch (const tilt::RewardError&) {
      // A judge's text that is refused.
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    least = std::min(least, taken.count());
  }
  return least;
}

// The exponent of the time from 20 to 200 KB; 1 where it is too short to be told from noise.
template <class Read>
double growth(const Read& read, std::string_view piece) {
  const std::string small = repeated(piece, 20'000), large = repeated(piece, 200'000);
  const double b = seconds(read, large);
  if (b < 0.002) return 1;
  return std::log10(b / std::max(seconds(read, small), 1e-5));
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
    const double exponent = growth(read, piece);
    INFO(name << " of \"" << piece << "\" grows as n^" << exponent);
    CHECK(exponent < 1.3);
  }
}

// The planted fault: each opening brace looks for its end again.
std::size_t nested_groups(std::string_view text) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') found += text.find('}', i) != std::string_view::npos ? 1u : 2u;
  }
  return found;
}

}  // namespace

TEST_CASE("Extractors take time in proportion to the text", "[text]") {
  check_all("last_number", tilt::last_number);
  check_all("last_boxed", tilt::last_boxed);
  check_all("last_choice", tilt::last_choice);
  check_all("stated_answer", tilt::stated_answer);
}

TEST_CASE("Readers take time in proportion to the text", "[text]") {
  check_all("normalized_math", tilt::normalized_math);
  check_all("folded", [](std::string_view text) { return tilt::folded(text); });
  check_all("whole_response", [](std::string_view text) {
    tilt::Response response;
    response.text = text;
    return tilt::whole_response(response);
  });
  check_all("read_score", [](std::string_view text) {
    return tilt::read_score(text, "Score:", 0, 10);
  });
  check_all("read_score of the whole", [](std::string_view text) {
    return tilt::read_score(text, "", 0, 10);
  });
  check_all("read_verdict", [](std::string_view text) {
    return tilt::read_verdict(text, "Verdict:");
  });
}

TEST_CASE("The check of growth finds a quadratic reader", "[text]") {
  CHECK(growth(nested_groups, "{") > 1.3);
}

#include "tilt/selector/extract.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using tilt::last_boxed;
using tilt::last_choice;
using tilt::last_number;
using tilt::Response;
using Cases = std::vector<std::pair<const char*, const char*>>;  // text, answer; null: none

namespace {

template <class Extract>
void check_all(const Extract& extract, const Cases& cases) {
  for (const auto& [text, answer] : cases) {
    INFO(text);
    const std::optional<std::string> found = extract(std::string_view(text));
    if (answer) {
      CHECK(found == answer);
    } else {
      CHECK(found == std::nullopt);
    }
  }
}

}  // namespace

TEST_CASE("last_number: canonical forms", "[selector]") {
  check_all(last_number, {{"1,000", "1000"},
                          {"1000", "1000"},
                          {"1000.0", "1000"},
                          {"$1,000", "1000"},
                          {"The total is \\$1,000.00.", "1000"},
                          {"It costs $1,234,567.50 in all", "1234567.5"},
                          {"007", "7"},
                          {".5", "0.5"},
                          {"-.50", "-0.5"},
                          {"-0", "0"},
                          {"50%", "50"},
                          {"1{,}000", "1000"},
                          {"10,\\!000", "10000"},
                          {"99999999999999999999999", "99999999999999999999999"}});
}

TEST_CASE("last_number: finds the last one", "[selector]") {
  check_all(last_number, {{"", nullptr},
                          {"no digits, only - and .", nullptr},
                          {"first 1, then 2.", "2"},
                          {"1, 2, 3", "3"},
                          {"1,2,3", "3"},
                          {"{1,200}", "1200"},
                          {"#### 42", "42"},
                          {"**42**", "42"},
                          {"\\boxed{42}.", "42"},
                          {"so 17 * 23 = 391.", "391"},
                          {"from 5 to 10.", "10"},
                          {"at 10:30", "30"},
                          {"version 1.2.3", "3"},
                          {"the end.5", "5"},
                          {"5...", "5"},
                          {"x2", "2"},
                          {"答案是42。", "42"},
                          {"42 apples\n\n", "42"}});
}

TEST_CASE("last_number: the sign", "[selector]") {
  check_all(last_number, {{"the answer is -5", "-5"},
                          {"x=-5", "-5"},
                          {"(-5)", "-5"},
                          {"-$5", "-5"},
                          {"-\\$5", "-5"},
                          {"$-5", "-5"},
                          {"\xe2\x88\x92"
                           "5",
                           "-5"},
                          {"10-5", "5"},
                          {"10 - 5", "5"},
                          {"x-5", "5"},
                          {"(a)-5", "5"},
                          {"5%-3", "3"},
                          {"--5", "5"},
                          {"10-$5", "5"},
                          {"pages 3\xe2\x80\x93"
                           "5",
                           "5"},
                          {"+5", "5"},
                          {"-1,000.50", "-1000.5"}});
}

TEST_CASE("last_number: fractions of whole numbers are one number", "[selector]") {
  check_all(last_number, {{"3/4", "0.75"},
                          {"6/8.", "0.75"},
                          {"1/3", "1/3"},
                          {"-2/6", "-1/3"},
                          {"8/4", "2"},
                          {"0/5", "0"},
                          {"5/0", "0"},
                          {"$\\frac{3}{4}$", "0.75"},
                          {"-\\dfrac{3}{4}", "-0.75"},
                          {"\\frac{1}{x}", "1"},
                          {"\\frac{1}{0}", "0"},
                          {"\\frac{7", "7"},
                          {"12/25/2024", "2024"},
                          {"3 / 4", "0.75"},
                          {"1.5/2", "0.75"},
                          {"1/2.5", "0.4"},
                          {"1/99999999999999999999", "1/99999999999999999999"},
                          {"1/131072", "0.00000762939453125"}});
}

TEST_CASE("last_boxed: the last complete box", "[selector]") {
  check_all(last_boxed, {{"", nullptr},
                         {"no box", nullptr},
                         {"\\boxed{5}", "5"},
                         {"\\boxed{ 5 }", "5"},
                         {"\\boxed {5}", "5"},
                         {"\\fbox{5}", "5"},
                         {"\\boxed{1} and \\boxed{2}.", "1,2"},
                         {"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"},
                         {"\\boxed{\\boxed{3}}", "3"},
                         {"\\boxed{\\{1,2\\}}", "\\{1,2\\}"},
                         {"\\boxed{\\left\\{x\\right.}", "\\{x"},
                         {"\\boxed{1} then \\boxed{2", "1"},
                         {"\\boxed{\\frac{1}{2}", nullptr},
                         {"\\boxed{1} then \\boxed{}", "1"},
                         {"{ \\boxed{4}", "4"},
                         {"\\boxed{\\,}", nullptr},
                         {"\\boxed{1 \\boxed{}}", nullptr},
                         {"} \\boxed{4} }", "4"},
                         {"\\boxed 7$", "7"},
                         {"\\boxed7", "7"},
                         {"\\boxed", nullptr},
                         {"\\boxed{", nullptr},
                         {"\\boxedx{5}", nullptr},
                         {"boxed{5}", nullptr},
                         {"\\boxed{\\$1,000}", "1000"},
                         {"\\boxed{-4}", "-4"},
                         {"\\boxed{\\text{(B)}}", "B"},
                         {"$\\boxed{x=5}$", "5"},
                         {"\\boxed{5}\\boxed{\n  6\n}", "6"}});
}

TEST_CASE("last_boxed: time is linear in the text", "[selector]") {
  std::string endless;
  for (int i = 0; i < 200000; ++i) endless += "\\boxed{";
  CHECK(last_boxed(endless) == std::nullopt);
  endless += std::string(200000, '}');
  CHECK(last_boxed(endless) == std::nullopt);
}

TEST_CASE("last_choice: stand-alone letters", "[selector]") {
  check_all(last_choice, {{"", nullptr},
                          {"B", "B"},
                          {"(B)", "B"},
                          {"B.", "B"},
                          {"B)", "B"},
                          {"[B]", "B"},
                          {"**B**", "B"},
                          {"The answer is B", "B"},
                          {"The answer is (B).", "B"},
                          {"Answer: B\n", "B"},
                          {"\"B\"", "B"},
                          {"'B'", "B"},
                          {"\xe2\x80\x9c"
                           "B"
                           "\xe2\x80\x9d",
                           "B"},
                          {"\\boxed{B}", "B"},
                          {"\\boxed{\\text{C}}", "C"},
                          {"答案是B。", "B"},
                          {"（B）", "B"},
                          {"A/B", "B"},
                          {"A, B and C are wrong, so D.", "D"},
                          {"J", "J"},
                          {"K", nullptr},
                          {"b", "B"},
                          {"Because", nullptr},
                          {"ABCD", nullptr},
                          {"B2", nullptr},
                          {"B_1", nullptr},
                          {"\\B", nullptr},
                          {"Washington, D.C.", nullptr},
                          {"the U.S. in 44 B.C. or A.D. 3", nullptr},
                          {"vitamin B-12", nullptr},
                          {"an A-level", nullptr},
                          {"in C++", nullptr},
                          {"in C#", nullptr},
                          {"at 20 °C", nullptr},
                          {"d'E", nullptr},
                          {"the B's", nullptr},
                          {"Éa ÉB Bé", nullptr}});
}

TEST_CASE("last_choice: the article and the pronoun are no choices", "[selector]") {
  check_all(last_choice, {{"The answer is (B). A train is faster.", "B"},
                          {"(C)\n\nA train is faster.", "C"},
                          {"B. \"A 5% rise\" is wrong.", "B"},
                          {"B\n- A Boeing flies", "B"},
                          {"B. (A train)", "B"},
                          {"The answer is (B). I think that is right.", "B"},
                          {"B, and I'm sure of it", "B"},
                          {"B, and I\xe2\x80\x99m sure of it", "B"},
                          {"a type I error", nullptr},
                          {"The answer is A because of this.", "A"},
                          {"Option A describes it best", "A"},
                          {"A is right", "A"},
                          {"A", "A"},
                          {"A.", "A"},
                          {"A\nas said", "A"},
                          {"(A) a train", "A"},
                          {"Answer: A", "A"},
                          {"A or B", "B"},
                          {"A B", "B"},
                          {"B: A C", "C"},
                          {"B A C", "C"},
                          {"(I)", "I"},
                          {"The answer is I.", "I"},
                          {"I is right", "I"},
                          {"option I because of this", "I"}});
}

namespace {

struct TakesBoth {
  std::optional<std::string> operator()(const Response&) const { return "response"; }
  std::optional<std::string> operator()(std::string_view) const { return "text"; }
};
struct NotConst {
  std::optional<std::string> operator()(std::string_view) { return "text"; }
};

}  // namespace

TEST_CASE("extract_answer: gives the response where the extractor takes it, else the text",
          "[selector]") {
  Response response;
  response.text = "42";
  CHECK(tilt::extract_answer(TakesBoth{}, response) == "response");
  CHECK(tilt::extract_answer(last_number, response) == "42");
  CHECK(tilt::extract_answer([](std::string_view text) { return std::string(text); }, response) ==
        "42");
  STATIC_REQUIRE(tilt::AnswerExtractor<tilt::LastNumber>);
  STATIC_REQUIRE(!tilt::AnswerExtractor<NotConst>);
  STATIC_REQUIRE(!tilt::AnswerExtractor<int>);
}

TEST_CASE("whole_response: tokens tell responses apart, text those without", "[selector]") {
  Response a, b;
  a.tokens = {1, 2};
  b.tokens = {1, 2};
  a.text = "x";
  CHECK(tilt::whole_response(a) == tilt::whole_response(b));
  b.tokens = {1, 258};
  CHECK(tilt::whole_response(a) != tilt::whole_response(b));
  b.tokens = {};
  b.text = "x";
  CHECK(tilt::whole_response(a) != tilt::whole_response(b));
  CHECK(tilt::whole_response(Response{}) != std::nullopt);
}

#include "tilt/text/math.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using tilt::normalized_math;
using tilt::normalized_number;
using tilt::Rational;
using tilt::read_answer;
using tilt::same_answer;

TEST_CASE("normalized_number: equal numbers are equal strings", "[text]") {
  for (const char* text :
       {"1000",           "1,000",      "1000.0", "1000.00",       "$1,000",   "\\$1,000", "+1000",
        " 1000 ",         "01000",      "1000.",  "1{,}000",       "1,\\!000", "1\\,000",  "1000%",
        "1000\\%",        "€1000",      "£1,000", "$+1000",        "1 000",    "1e3",      "10^3",
        "1 \\times 10^3", "1 thousand", "2000/2", "1000\\text{ m}"}) {
    INFO(text);
    CHECK(normalized_number(text) == "1000");
  }
  for (const char* text : {"-0.5", "-.5", "-00.50",
                           "\xe2\x88\x92"
                           "0.5",
                           "-$0.50", "$-.5", "-1/2", "-\\frac12", "\\frac{-1}{2}", "-½"}) {
    INFO(text);
    CHECK(normalized_number(text) == "-0.5");
  }
  for (const char* text : {"0", "-0", "0.0", "000", "-0.00", "0/7"}) {
    CHECK(normalized_number(text) == "0");
  }
  CHECK(normalized_number("2/6") == "1/3");
}

TEST_CASE("normalized_number: refuses what is not a number", "[text]") {
  for (const char* text : {"", " ", "-", "$", ".", "x", "1x", "1 2", "1,2", "1,00", "1,0000",
                           "1.2.3", "1-", "\\sqrt{2}", "5/0", "(1)(x)", "1 and 2"}) {
    INFO(text);
    CHECK(normalized_number(text) == std::nullopt);
  }
}

TEST_CASE("read_answer: a number has its exact value", "[text]") {
  CHECK(read_answer("12\\frac{3}{5}")->number == Rational::ratio(63, 5));
  CHECK(read_answer("-7 3/4")->number == Rational::ratio(-31, 4));
  CHECK(read_answer("0.1")->number == Rational::ratio(1, 10));
  CHECK(read_answer("\\frac{1}{3}+\\frac{1}{6}")->number == Rational::ratio(1, 2));
  CHECK(read_answer("\\sqrt{16}")->number == Rational(4));
  CHECK(read_answer("2\\pi")->number == std::nullopt);
  CHECK(read_answer("1,2")->number == std::nullopt);
  CHECK(read_answer(" ") == std::nullopt);
  CHECK(read_answer("$$") == std::nullopt);
  CHECK_FALSE(same_answer("", ""));
}

TEST_CASE("normalized_math: the usual ways to write one answer are one string", "[text]") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> groups = {
      {"\\frac{1}{2}",
       {"\\frac{1}{2}", "\\dfrac{1}{2}", "\\tfrac12", "\\frac12", "\\frac 1 2", "1/2", " 1 / 2 ",
        "$\\frac{1}{2}$", "x = \\frac{1}{2}", "\\frac{1}2", "\\frac{ 1 }{ 2 }.", "0.5", "½", ".50",
        "\\frac{2}{4}", "50\\cdot 10^{-2}", "2^{-1}"}},
      {"-\\frac{3}{4}", {"-\\frac{3}{4}", "\\frac{-3}{4}", "-3/4", "\\dfrac{-3}4", "-0.75"}},
      {"\\sqrt{2}", {"\\sqrt{2}", "\\sqrt2", "\\sqrt 2", "sqrt(2)", "√2", "2^{1/2}"}},
      {"2\\sqrt{3}",
       {"\\sqrt{12}", "2\\sqrt3", "2 \\cdot \\sqrt{3}", "2√3", "\\frac{6}{\\sqrt{3}}"}},
      {"\\sqrt[3]{2}", {"\\sqrt[3]{2}", "\\sqrt[3] 2", "∛2"}},
      {"10000", {"10000", "10,000", "10,\\!000", "10{,}000", "\\$10,000", "n=10000", "10000.0"}},
      {"5",
       {"5",
        "5\\text{ cm}",
        "5 \\mathrm{~cm}",
        "5\\text{ cm}^2",
        "5\\text{ cm}^{2}.",
        "5\\%",
        "5^\\circ",
        "5^{\\circ}",
        "5°",
        "5\\degree",
        "x=5",
        "2x=10",
        "5 m",
        "5\\,\\mathrm{m/s^2}",
        "5 square units",
        "5 dollars per hour",
        "5°C",
        "approximately 5",
        "\\boxed{5}",
        "**5**",
        "\"5\"",
        "5 = x",
        "x = 2 + 3 = 5",
        "\\text{Area} = 5"}},
      {"B",
       {"B", "(B)", "\\text{B}", "\\textbf{(B)}", "\\text{(B)}", "\\mathbf{B}", "B.", "B) 24",
        "(B) no change", "\\textbf{(B)}\\ \\frac12"}},
      {"Friday", {"Friday", "\\text{Friday}", "\\text{ Friday }", "\\textbf{Friday}.", "friday"}},
      {"No solution", {"no solution", "\\text{No solution}", "\\text{no }\\text{solution}"}},
      {"(3,\\frac{\\pi}{2})",
       {"\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})", "(3,\\dfrac\\pi2)",
        "(3, π/2)", "(x,y) = (3,0.5\\pi)"}},
      {"x^2+1", {"x^2+1", "x^{2} + 1", "x^2\\, +\\;1", "1+x^2", "1 + x²", "x**2+1", "y = x^2+1"}},
      {"1024", {"2^{10}", "2^{ 10 }", "2^10", "2¹⁰"}},
      {"\\sin(x)", {"\\sin x", "\\sin  x", "\\sin(x)", "sin x", "\\sin{x}"}},
      {"2\\pi r", {"2\\pi r", "2 \\pi r", "2πr", "r \\cdot 2\\pi"}},
      {"\\{1,2\\}", {"\\{1,2\\}", "\\left\\{1, 2\\right\\}", "\\{2,1\\}", "\\lbrace 2,1 \\rbrace"}},
      {"1, 200", {"1, 200", "200 and 1"}},  // a list; without the space it is a number
      {"1200", {"1,200"}},
      {"-2,2", {"\\pm 2", "±2", "x = \\pm 2", "x=2 or x=-2", "-2, 2", "2;-2"}},
      {"[5,\\infty)", {"x \\ge 5", "x>=5", "5 \\leqslant x", "2x \\ge 10", "x \\in [5,\\infty)"}},
      {"(-1,3]", {"-1 < x \\le 3", "(-1,3]", "3 \\ge x > -1", "x \\in (-1, 3]"}},
      {"\\frac{1}{3}", {"0.\\overline{3}", "0.(3)", ".\\overline{3}", "\\frac13"}},
      {"\\frac{37}{30}", {"1.2\\overline{3}", "1.2(3)", "1\\frac{7}{30}"}},
      {"i+2j", {"\\mathbf{i}+2\\mathbf{j}", "i + 2j"}},
      {"x\\ne 3", {"x \\not= 3", "x \\neq 3", "x != 3"}},
      {"7",
       {"\\text{seven}", "Seven", "7 (units)", "\\text{Answer: }7", "\\text{The answer is }7",
        "\\approx 7", "7\\text{ (seven)}"}},
      {"x\\leftarrow y", {"x\\leftarrow y"}},
      {"", {"", " ", "\\,"}},
  };
  for (const auto& [canonical, ways] : groups) {
    for (const std::string& way : ways) {
      INFO(way);
      CHECK(normalized_math(way) == canonical);
    }
    CHECK(normalized_math(canonical) == canonical);
  }
}

TEST_CASE("normalized_math: different answers stay different", "[text]") {
  const std::vector<std::pair<const char*, const char*>> pairs = {
      {"-5", "5"},
      {"\\frac{1}{23}", "\\frac{12}{3}"},
      {"x=1,y=2", "y=2"},
      {"x=1,y=2", "x=2,y=1"},
      {"5\\text{ or }6", "5"},
      {"4 5", "45"},
      {"4 5", "20"},
      {"2 \\quad 3", "23"},
      {"[1,2]", "[2,1]"},
      {"(1,2)", "(2,1)"},
      {"(1,2)", "[1,2]"},
      {"(1,2]", "[1,2)"},
      {"\\{1,2\\}", "\\{1,3\\}"},
      {"0.333", "\\frac13"},
      {"3.14", "\\pi"},
      {"1.41", "\\sqrt2"},
      {"x", "x^2"},
      {"x", "X"},
      {"7 3/4", "73/4"},
      {"7\\frac34", "\\frac{21}{4}"},
      {"\\sqrt{2}", "\\sqrt[3]{2}"},
      {"\\sqrt{2x}", "2\\sqrt{x}"},
      {"x-1", "1-x"},
      {"\\frac{1}{2x}", "\\frac{x}{2}"},
      {"\\pm 3", "3"},
      {"1,1,2", "1,2"},
      {"3\\text{ million}", "3\\text{ thousand}"},
      {"x > 3", "x \\ge 3"},
      {"x > 3", "x < 3"},
      {"x \\ne 3", "3"},
      {"x+y=5", "x+y=6"},
      {"y = 2x", "y = 3x"},
      {"\\sin x", "\\cos x"},
      {"\\sin^2 x", "\\sin x^2"},
      {"2^x", "x^2"},
      {"e^2", "2e"},
      {"101_2", "101_3"},
      {"5!", "5"},
      {"12:00", "12"},
      {"4:30 p.m.", "4:30\\text{ a.m.}"},
      {"4:30 p.m.", "4:30"},
      {"1:2", "2:1"},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}"},
      {"\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"},
      {"\\text{even}", "\\text{odd}"},
      {"no", "on"},
      {"A", "B"},
      {"1000000000000000000000000000000000000001", "1000000000000000000000000000000000000002"},
      {"2^{1000}", "2^{1001}"},
      {"1e999999999", "1e999999998"},
      {"\\binom{5}{2}", "\\frac{5}{2}"},
      {"\\overline{AB}", "AB"},
      {"(0,1)\\cup(2,3)", "(0,1)\\cap(2,3)"},
  };
  for (const auto& [a, b] : pairs) {
    INFO(a << " and " << b);
    CHECK_FALSE(same_answer(a, b));
    CHECK(same_answer(a, a));
    CHECK(same_answer(b, b));
  }
}

TEST_CASE("normalized_math: any bytes are legal, and a second pass changes nothing", "[text]") {
  for (const char* text : {"\\",
                           "\\frac",
                           "\\frac{",
                           "\\frac{1",
                           "\\frac{1}{",
                           "\\sqrt",
                           "\\sqrt[",
                           "\\text{",
                           "\\text",
                           "^",
                           "_",
                           "x^",
                           "}",
                           "{",
                           "{,}",
                           "\xff\xfe",
                           "\\\\",
                           "=",
                           "x=",
                           "(",
                           "\\left",
                           "\\right.",
                           "1/0",
                           "0^0",
                           "|",
                           "||x|",
                           "\\begin{pmatrix}",
                           "\\end{pmatrix}",
                           "\\begin{",
                           "1,,2",
                           ",",
                           "-",
                           "--1",
                           "5--",
                           "\\{",
                           "\\}",
                           ")(",
                           "[1,2",
                           "1 = ",
                           "< x",
                           "\\pm",
                           "\\mp 1",
                           "'",
                           "x'",
                           "\\log_",
                           "\\sin",
                           "\\sin^2",
                           "√",
                           "½½",
                           "²",
                           "\xc2",
                           "\\sqrt[{]}",
                           "a:b:c",
                           "3 \\pmod 7"}) {
    INFO(text);
    const std::string once = normalized_math(text);
    CHECK(normalized_math(once) == once);
  }
}

TEST_CASE("normalized_math: groups may be nested without end", "[text]") {
  for (const std::string piece : {"^{", "(", "\\frac{", "\\sqrt{", "\\{", "\\text{", "\\sqrt", "-",
                                  "\\overline{", "|", "x^", "\\frac", "[1,"}) {
    INFO(piece);
    for (const std::size_t size : {std::size_t{900}, std::size_t{1'000'000}}) {
      std::string nested;
      while (nested.size() < size) nested += piece;
      CHECK_FALSE(normalized_math(nested).empty());
      nested += "1" + std::string(size / 8, '}');
      CHECK_FALSE(normalized_math(nested).empty());
    }
  }
}

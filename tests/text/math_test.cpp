#include "tilt/text/math.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using tilt::normalized_math;
using tilt::normalized_number;

TEST_CASE("normalized_number: equal numbers are equal strings", "[selector]") {
  for (const char* text : {"1000", "1,000", "1000.0", "1000.00", "$1,000", "\\$1,000", "+1000",
                           " 1000 ", "01000", "1000.", "1{,}000", "1,\\!000", "1\\,000", "1000%",
                           "1000\\%", "€1000", "£1,000", "$+1000"}) {
    INFO(text);
    CHECK(normalized_number(text) == "1000");
  }
  for (const char* text : {"-0.5", "-.5", "-00.50",
                           "\xe2\x88\x92"
                           "0.5",
                           "-$0.50", "$-.5"}) {
    INFO(text);
    CHECK(normalized_number(text) == "-0.5");
  }
  for (const char* text : {"0", "-0", "0.0", "000", "-0.00"}) CHECK(normalized_number(text) == "0");
  // Digits are text: no number is too long.
  CHECK(normalized_number("123456789012345678901234567890.10") ==
        "123456789012345678901234567890.1");
}

TEST_CASE("normalized_number: refuses what is not a number", "[selector]") {
  for (const char* text : {"", " ", "-", "$", ".", "x", "1x", "1 2", "1,2", "1,00", "1,0000",
                           "12,34,567", "1.2.3", "1/2", "--1", "1-", "\\frac{1}{2}", "1e5"}) {
    INFO(text);
    CHECK(normalized_number(text) == std::nullopt);
  }
}

TEST_CASE("closing_brace: balances braces and passes over escaped ones", "[selector]") {
  CHECK(tilt::closing_brace("{}", 0) == 1);
  CHECK(tilt::closing_brace("{a{b}c}d}", 0) == 6);
  CHECK(tilt::closing_brace("{a{b}c}d}", 2) == 4);
  CHECK(tilt::closing_brace("{\\{}", 0) == 3);
  CHECK(tilt::closing_brace("{\\}", 0) == tilt::npos);
  CHECK(tilt::closing_brace("{\\", 0) == tilt::npos);
}

TEST_CASE("normalized_math: the usual ways to write one answer are one string", "[selector]") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> groups = {
      {"\\frac{1}{2}",
       {"\\frac{1}{2}", "\\dfrac{1}{2}", "\\tfrac12", "\\frac12", "\\frac 1 2", "1/2", " 1 / 2 ",
        "$\\frac{1}{2}$", "x = \\frac{1}{2}", "\\frac{1}2", "\\frac{ 1 }{ 2 }."}},
      {"-\\frac{3}{4}", {"-\\frac{3}{4}", "\\frac{-3}{4}", "-3/4", "\\dfrac{-3}4"}},
      {"\\sqrt{2}", {"\\sqrt{2}", "\\sqrt2", "\\sqrt 2"}},
      {"\\sqrt[3]{2}", {"\\sqrt[3]{2}", "\\sqrt[3] 2"}},
      {"10000", {"10000", "10,000", "10,\\!000", "10{,}000", "\\$10,000", "n=10000", "10000.0"}},
      {"5",
       {"5", "5\\text{ cm}", "5 \\mathrm{~cm}", "5\\text{ cm}^2", "5\\text{ cm}^{2}.", "5\\%",
        "5^\\circ", "5^{\\circ}", "5°", "5\\degree", "x=5"}},
      {"B", {"B", "(B)", "\\text{B}", "\\textbf{(B)}", "\\text{(B)}", "\\mathbf{B}", "B."}},
      {"Friday", {"Friday", "\\text{Friday}", "\\text{ Friday }", "\\textbf{Friday}."}},
      {"(3,\\frac{\\pi}{2})",
       {"\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})", "(3,\\dfrac\\pi2)"}},
      {"x^2+1", {"x^2+1", "x^{2} + 1", "x^2\\, +\\;1"}},
      {"2^{10}", {"2^{10}", "2^{ 10 }"}},
      {"\\sin x", {"\\sin x", "\\sin  x"}},
      {"2\\pi r", {"2\\pi r", "2 \\pi r"}},
      {"\\{1,2\\}", {"\\{1,2\\}", "\\left\\{1, 2\\right\\}"}},
      {"1,200", {"1, 200"}},  // a list; without the space it is a number
      {"1200", {"1,200"}},
      {"x\\leftarrow y", {"x\\leftarrow y"}},
      {"", {"", " ", "\\,"}},
  };
  for (const auto& [canonical, ways] : groups) {
    for (const std::string& way : ways) {
      INFO(way);
      CHECK(normalized_math(way) == canonical);
    }
  }
}

TEST_CASE("normalized_math: different answers stay different", "[selector]") {
  CHECK(normalized_math("0.5") != normalized_math("\\frac{1}{2}"));
  CHECK(normalized_math("-5") != normalized_math("5"));
  CHECK(normalized_math("\\frac{1}{23}") != normalized_math("\\frac{12}{3}"));
  CHECK(normalized_math("x^{10}") != normalized_math("x^10"));
  CHECK(normalized_math("x=1,y=2") != normalized_math("y=2"));
  CHECK(normalized_math("5\\text{ or }6") != normalized_math("5"));
}

TEST_CASE("normalized_math: any bytes are legal, and a second pass changes nothing", "[selector]") {
  for (const char* text :
       {"\\",     "\\frac", "\\frac{", "\\frac{1", "\\frac{1}{", "\\sqrt",  "\\sqrt[", "\\text{",
        "\\text", "^",      "_",       "x^",       "}",          "{",       "{,}",     "\xff\xfe",
        "\\\\",   "=",      "x=",      "(",        "\\left",     "\\right."}) {
    INFO(text);
    const std::string once = normalized_math(text);
    CHECK(normalized_math(once) == once);
  }
}

TEST_CASE("normalized_math: groups may be nested without end", "[selector]") {
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "^{";
  CHECK(normalized_math(nested).size() > 100000);
  nested += std::string(100000, '}');
  CHECK(normalized_math(nested).size() > 100000);
}

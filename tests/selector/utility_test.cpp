#include "tilt/selector/utility.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using Catch::Matchers::WithinAbs;
using tilt::Candidate;
using tilt::exact_match;
using tilt::Population;
using tilt::Response;
using tilt::Token;
using tilt::token_f1;
using Words = std::vector<std::string_view>;

namespace {

Response with_text(const char* text) {
  Response response;
  response.text = text;
  return response;
}

Response with_ids(std::vector<Token> tokens, const char* text = "") {
  Response response = with_text(text);
  response.tokens = std::move(tokens);
  return response;
}

// How often the whole response had to be read.
struct Counted {
  int* prepared;
  int* compared;
  double prepare(const Response& response) const {
    ++*prepared;
    return static_cast<double>(response.text.size());
  }
  double operator()(double a, double b) const {
    ++*compared;
    return a - b;
  }
  double operator()(const Response& a, const Response& b) const {
    return (*this)(prepare(a), prepare(b));
  }
};

}  // namespace

TEST_CASE("words_of: splits at white space", "[selector]") {
  CHECK(tilt::words_of(" a  b,\n\tc ") == Words{"a", "b,", "c"});
  CHECK(tilt::words_of("one") == Words{"one"});
  CHECK(tilt::words_of("").empty());
  CHECK(tilt::words_of(" \r\n").empty());
}

TEST_CASE("token_f1: overlap of multisets of words", "[selector]") {
  const auto f1 = [](const char* a, const char* b) {
    const double there = token_f1(with_text(a), with_text(b));
    CHECK(token_f1(with_text(b), with_text(a)) == there);
    return there;
  };
  CHECK(f1("the cat sat", "sat the cat") == 1);
  CHECK(f1("the cat", "a dog") == 0);
  CHECK(f1("the cat", "the dog sat") == 2.0 / 5);
  // Repeats count as often as both have them.
  CHECK(f1("a a a", "a a b") == 4.0 / 6);
  CHECK(f1("a a a", "a") == 2.0 / 4);
  CHECK(f1("Cat", "cat") == 0);
  CHECK(f1("", "") == 1);
  CHECK(f1("", " ") == 1);
  CHECK(f1("", "a") == 0);
}

TEST_CASE("token_f1: ids where both have them else words", "[selector]") {
  CHECK(token_f1(with_ids({1, 2, 2, 0}, "x"), with_ids({2, 0, 2, 3}, "y z")) == 6.0 / 8);
  CHECK(token_f1(with_ids({1, 2}, "same text"), with_ids({3, 4}, "same text")) == 0);
  CHECK(token_f1(with_ids({1, 2}, "same text"), with_text("same words")) == 2.0 / 4);
  // An empty response has no ids to lack.
  CHECK(token_f1(with_ids({1}, "a"), Response{}) == 0);
}

TEST_CASE("exact_match: the same text", "[selector]") {
  CHECK(exact_match("a", "a") == 1);
  CHECK(exact_match("a", "a ") == 0);
  CHECK(exact_match("", "") == 1);
}

TEST_CASE("Utility: what is one", "[selector]") {
  const auto of_texts = [](std::string_view, std::string_view) { return 0.5; };
  const auto of_responses = [](const Response&, const Response&) { return 1; };
  const auto of_one = [](std::string_view) { return 0.5; };
  const auto of_nothing = [](std::string_view, std::string_view) {};
  STATIC_REQUIRE(tilt::Utility<decltype(of_texts)>);
  STATIC_REQUIRE(tilt::Utility<decltype(of_responses)>);
  STATIC_REQUIRE(tilt::Utility<tilt::TokenF1>);
  STATIC_REQUIRE(tilt::Utility<tilt::ExactMatch>);
  STATIC_REQUIRE(!tilt::Utility<decltype(of_one)>);
  STATIC_REQUIRE(!tilt::Utility<decltype(of_nothing)>);
  STATIC_REQUIRE(!tilt::Utility<int>);
  STATIC_REQUIRE(tilt::PreparedUtility<tilt::TokenF1>);
  STATIC_REQUIRE(!tilt::PreparedUtility<tilt::ExactMatch>);
  CHECK(tilt::utility_of(of_texts, with_text("a"), with_text("b")) == 0.5);
  CHECK(tilt::utility_of(of_responses, with_text("a"), with_text("b")) == 1);
  // The hypothesis comes first; one that takes both is given the responses.
  struct Both {
    double operator()(const Response& a, const Response& b) const {
      return static_cast<double>(a.text.size()) - 10 * static_cast<double>(b.text.size());
    }
    double operator()(std::string_view, std::string_view) const { return 99; }
  };
  CHECK(tilt::utility_of(Both{}, with_text("aaa"), with_text("b")) == -7);
}

TEST_CASE("expected_utilities: the weighted mean with the self-term", "[selector]") {
  Population population;
  for (const char* text : {"a", "bbb", "cc"}) population.add({.response = with_text(text)}, 0);
  population.add_weight(1, 2);  // "bbb" weighs 3
  const auto gap = [](std::string_view y, std::string_view reference) {
    return static_cast<double>(y.size()) - 2 * static_cast<double>(reference.size());
  };
  const Eigen::VectorXd expected = tilt::expected_utilities(gap, tilt::eligible(population)).values;
  REQUIRE(expected.size() == 3);
  const double mean = (1 + 3 * 3 + 2) / 5.0;
  CHECK_THAT(expected[0], WithinAbs(1 - 2 * mean, 1e-14));
  CHECK_THAT(expected[1], WithinAbs(3 - 2 * mean, 1e-14));
  CHECK_THAT(expected[2], WithinAbs(2 - 2 * mean, 1e-14));
  CHECK(tilt::expected_utilities(gap, std::vector<tilt::Eligible>{}).values.size() == 0);
}

TEST_CASE("expected_utilities: each response is prepared once", "[selector]") {
  Population population;
  for (const char* text : {"a", "bbb", "cc"}) population.add({.response = with_text(text)}, 0);
  int prepared = 0, compared = 0;
  const Counted counted{&prepared, &compared};
  STATIC_REQUIRE(tilt::PreparedUtility<Counted>);
  const auto expected = tilt::expected_utilities(counted, tilt::eligible(population)).values;
  CHECK(prepared == 3);
  CHECK(compared == 9);
  CHECK(expected[1] == 1);
}

TEST_CASE("expected_utilities: rounding is told", "[selector]") {
  // Distances around a ring: each row holds the same numbers, turned.
  Population population;
  const std::vector<double> around = {-3, 0.1, 0.7, 0.3, 0.2, 0.6, 0.9};
  const std::size_t n = around.size();
  for (std::size_t i = 0; i < n; ++i) {
    population.add({.response = with_ids({static_cast<Token>(i)})}, 0);
  }
  const auto turned = [&](const Response& a, const Response& b) {
    return around[(static_cast<std::size_t>(b.tokens[0] - a.tokens[0]) + n) % n];
  };
  const auto [values, rounding] = tilt::expected_utilities(turned, tilt::eligible(population));
  CHECK(rounding == 1e-11 * 3);
  CHECK(values.maxCoeff() - values.minCoeff() < rounding);
}

TEST_CASE("expected_utilities: a utility that is not finite is refused by its pair", "[selector]") {
  Population population;
  population.add({.response = with_text("skipped"), .weight = 0}, 0);
  for (const char* text : {"a", "b"}) population.add({.response = with_text(text)}, 0);
  for (const double bad : {tilt::unset, tilt::infinity, -tilt::infinity}) {
    const auto broken = [bad](std::string_view y, std::string_view reference) {
      return y == "b" && reference == "a" ? bad : 0.5;
    };
    std::string what;
    try {
      const auto expected = tilt::expected_utilities(broken, tilt::eligible(population));
    } catch (const tilt::Error& error) {
      what = error.what();
    }
    CHECK(what == "the utility of candidate 2 with candidate 1 as the reference is " +
                      tilt::to_text(bad) +
                      "; make the utility give a finite number for every pair, such as its lowest "
                      "value where the two cannot be compared");
  }
}

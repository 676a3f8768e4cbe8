#include "tilt/core/response.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

// "ab", "", "cde": three tokens, the second without text.
Response abcde() {
  return {.tokens = {5, 6, 7},
          .text = "abcde",
          .ends = {2, 2, 5},
          .log_probs = {-1, -2, -3},
          .raw_log_probs = {-1.5, -2.5, -3.5},
          .finish = Finish::stop,
          .usage = {.prompt_tokens = 10, .cached_tokens = 4}};
}

}  // namespace

TEST_CASE("size counts tokens, empty means neither tokens nor text") {
  CHECK(Response{}.empty());
  CHECK(Response{}.size() == 0);
  CHECK(abcde().size() == 3);
  const Response text_only = {.text = "x"};
  CHECK(text_only.size() == 0);
  CHECK_FALSE(text_only.empty());
  CHECK_FALSE(Response{.tokens = {1}}.empty());
}

TEST_CASE("first keeps a prefix with its text and log-probs") {
  const Response part = abcde().first(2);
  CHECK(part.tokens == std::vector<Token>{5, 6});
  CHECK(part.text == "ab");
  CHECK(part.ends == std::vector<std::uint32_t>{2, 2});
  CHECK(part.log_probs == std::vector<double>{-1, -2});
  CHECK(part.raw_log_probs == std::vector<double>{-1.5, -2.5});
  CHECK(part.finish == Finish::segment);

  const Response none = abcde().first(0);
  CHECK(none.empty());
  CHECK(none.ends.empty());
  CHECK(none.log_probs.empty());
  CHECK(none.finish == Finish::segment);

  CHECK(abcde().first(3) == abcde());
  CHECK(abcde().first(npos) == abcde());
}

TEST_CASE("first leaves unknown what is unknown") {
  Response y = abcde();
  SECTION("no ends and no text") {
    y.ends.clear();
    y.text.clear();
    CHECK(y.first(2).text.empty());
    CHECK(y.first(2).tokens.size() == 2);
  }
  SECTION("no log-probs") {
    y.log_probs.clear();
    CHECK(y.first(2).log_probs.empty());
    CHECK(y.first(2).raw_log_probs.size() == 2);
  }
  SECTION("text only: any prefix is the whole") {
    const Response text_only = {.text = "words"};
    CHECK(text_only.first(0) == text_only);
    CHECK(text_only.first(5) == text_only);
  }
}

TEST_CASE("text is never parted from its tokens: without ends a part is refused") {
  Response y = abcde();
  CHECK(y.can_cut());
  for (const std::vector<std::uint32_t>& ends : {std::vector<std::uint32_t>{}, {2}, {1, 2, 3, 5}}) {
    y.ends = ends;
    CHECK_FALSE(y.can_cut());
    CHECK_THROWS_AS(y.first(1), PolicyError);
    CHECK_THROWS_AS(y.first(2), PolicyError);
    // Nothing and everything have a known text.
    CHECK(y.first(0).empty());
    CHECK(y.first(3) == y);
  }
  y.ends.clear();
  try {
    (void)y.first(2);
  } catch (const PolicyError& error) {
    CHECK(error.what() ==
          std::string("the text of the first 2 of 3 tokens is unknown: the response "
                      "has text without `ends`"));
  }
  CHECK(Response{.tokens = {1}, .text = "one"}.can_cut());
  CHECK(Response{.tokens = {1, 2}}.can_cut());
  CHECK(Response{.text = "words"}.can_cut());
}

TEST_CASE("append is the inverse of first") {
  const Response whole = abcde();
  for (std::size_t n = 0; n <= 3; ++n) {
    Response joined = whole.first(n);
    Response rest = {
        .tokens = {whole.tokens.begin() + static_cast<std::ptrdiff_t>(n), whole.tokens.end()},
        .finish = whole.finish,
        .usage = whole.usage};
    const std::uint32_t bytes = n == 0 ? 0 : whole.ends[n - 1];
    rest.text = whole.text.substr(bytes);
    for (std::size_t i = n; i < 3; ++i) {
      rest.ends.push_back(whole.ends[i] - bytes);
      rest.log_probs.push_back(whole.log_probs[i]);
      rest.raw_log_probs.push_back(whole.raw_log_probs[i]);
    }
    joined.append(rest);
    CHECK(joined == whole);
  }
}

TEST_CASE("append takes the finish and the usage of the continuation") {
  Response y = abcde();
  y.append({.tokens = {8},
            .text = "f",
            .ends = {1},
            .log_probs = {-4},
            .raw_log_probs = {-4},
            .finish = Finish::length,
            .usage = {.prompt_tokens = 13, .cached_tokens = 13}});
  CHECK(y.finish == Finish::length);
  CHECK(y.usage == Usage{13, 13});
  CHECK(y.ends.back() == 6);
  CHECK(y.text == "abcdef");
}

TEST_CASE("append never fills gaps by guesses") {
  SECTION("the continuation lacks ends and log-probs") {
    Response y = abcde();
    y.append({.tokens = {8}, .text = "f"});
    CHECK(y.tokens.size() == 4);
    CHECK(y.text == "abcdef");
    CHECK(y.ends.empty());
    CHECK(y.log_probs.empty());
    CHECK(y.raw_log_probs.empty());
  }
  SECTION("the prefix lacks them") {
    Response y = {.tokens = {1}, .text = "x"};
    y.append(abcde());
    CHECK(y.ends.empty());
    CHECK(y.log_probs.empty());
  }
  SECTION("only one kind is lacking") {
    Response y = abcde();
    Response more = abcde();
    more.raw_log_probs.clear();
    y.append(more);
    CHECK(y.log_probs.size() == 6);
    CHECK(y.raw_log_probs.empty());
    CHECK(y.ends == std::vector<std::uint32_t>{2, 2, 5, 7, 7, 10});
  }
  SECTION("nothing appended keeps everything") {
    Response y = abcde();
    y.append({});
    CHECK(y.ends == abcde().ends);
    CHECK(y.log_probs == abcde().log_probs);
  }
  SECTION("appended to nothing, everything is kept") {
    Response y;
    y.append(abcde());
    CHECK(y == abcde());
  }
}

TEST_CASE("texts without tokens are joined") {
  Response y = {.text = "one "};
  y.append({.text = "two", .finish = Finish::length});
  CHECK(y.text == "one two");
  CHECK(y.tokens.empty());
  CHECK(y.finish == Finish::length);
}

#include "tilt/policy/ends.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"

using namespace tilt;
using runs::contains;

namespace {

using Ends = std::vector<std::uint32_t>;

// Pieces that are simply joined; the fourth and the fifth are the two bytes of one character.
struct Joining {
  std::vector<std::string> pieces = {"a", " bc", "", "\xc3", "\xbc"};
  std::size_t calls = 0;
  std::string detokenize(TokenSpan tokens) {
    ++calls;
    std::string text;
    for (const Token token : tokens) text += pieces.at(static_cast<std::size_t>(token));
    return text;
  }
};
// Shows the bytes of an incomplete character as U+FFFD, as decoders of text do.
struct Decoding : Joining {
  std::string detokenize(TokenSpan tokens) {
    std::string text = Joining::detokenize(tokens);
    if (text.ends_with('\xc3')) text.replace(text.size() - 1, 1, "\xef\xbf\xbd");
    return text;
  }
};
// Drops the space before the first piece.
struct Trimming : Joining {
  std::string detokenize(TokenSpan tokens) {
    const std::string text = Joining::detokenize(tokens);
    return text.starts_with(' ') ? text.substr(1) : text;
  }
};

template <class P>
Ends ends_of(P policy, const std::vector<Token>& tokens, const std::string& text,
             const Response& prefix = {}) {
  Response y = {.tokens = tokens, .text = text};
  fill_ends(policy, prefix, y);
  CHECK(y.tokens == tokens);
  CHECK(y.text == text);
  return y.ends;
}

// A policy of tokens and text that tells nothing of where the text of a token ends.
template <class P>
struct Parted {
  static constexpr Capabilities capabilities = {.segments = true};
  P inner;
  void generate(std::span<const Generation> work, std::span<Response> out) {
    inner.generate(work, out);
    for (Response& y : out) y.ends.clear();
  }
};
struct Detokenizing : Parted<decltype(toy::policy())> {
  std::string detokenize(TokenSpan tokens) {
    std::string text;
    for (const Token token : tokens) inner.append_text(token, text);
    return text;
  }
};
struct Broken : Detokenizing {
  std::string detokenize(TokenSpan) { throw std::runtime_error("no vocabulary"); }
};
struct Lying : Detokenizing {
  std::string detokenize(TokenSpan) { return "?"; }
};

struct Says : Parted<decltype(toy::policy())> {
  static constexpr Capabilities capabilities = {.ends = false};
};
struct SaysLater : Parted<decltype(toy::policy())> {
  static Capabilities capabilities() { return {.ends = false}; }
};
struct SaysAndHelps : Detokenizing {
  static constexpr Capabilities capabilities = {.ends = false};
};

auto text_length() {
  return RewardFunction(
      [](const Prompt&, const Response& y) { return static_cast<double>(y.text.size()); });
}
const QAlignOptions chain = {.steps = 30, .max_tokens = 8};

template <class P>
std::string failure_of(P policy) {
  const Decoder decoder{policy, text_length(), QAlign{chain}};
  const Result result = decoder.batch({"x"})[0];
  CHECK(result.stop == Stop::failed);
  CHECK_FALSE(result.law_holds);
  CHECK(result.candidates.size() <= 1);  // nothing was cut
  return result.failures.empty() ? "" : result.failures.front().what;
}

}  // namespace

TEST_CASE("fill_ends: token by token where the pieces make up the text") {
  CHECK(ends_of(Joining{}, {0, 1, 2, 0}, "a bca") == Ends{1, 4, 4, 5});
  CHECK(ends_of(Joining{}, {1, 3, 4}, " bc\xc3\xbc") == Ends{3, 4, 5});
  CHECK(ends_of(Joining{}, {2, 2}, "") == Ends{0, 0});
  CHECK(ends_of(Joining{}, {}, "") == Ends{});
  Joining counting;
  Response y = {.tokens = std::vector<Token>(1000, 1)};
  for (int i = 0; i < 1000; ++i) y.text += " bc";
  fill_ends(counting, {}, y);
  CHECK(y.ends.size() == 1000);
  CHECK(counting.calls == 1001);
}

TEST_CASE("fill_ends: prefix by prefix where a piece depends on those before it") {
  CHECK(ends_of(Trimming{}, {1, 1, 0}, "bc bca") == Ends{2, 5, 6});
  const Response prefix = {.tokens = {1, 0}, .text = "bca", .ends = {2, 3}};
  CHECK(ends_of(Trimming{}, {1, 0}, " bca", prefix) == Ends{3, 4});
  // The bytes of a character count with the token that completes it.
  CHECK(ends_of(Decoding{}, {0, 3, 4, 0},
                "a\xc3\xbc"
                "a") == Ends{1, 1, 3, 4});
  const Response cut = {.tokens = {0, 3}, .text = "a", .ends = {1, 1}};
  CHECK(ends_of(Decoding{}, {4, 0},
                "\xc3\xbc"
                "a",
                cut) == Ends{2, 3});
  // One that is never completed is U+FFFD for good.
  CHECK(ends_of(Decoding{}, {0, 3}, "a\xef\xbf\xbd") == Ends{1, 4});
}

TEST_CASE("fill_ends: a text that the policy does not give stays without ends, never guessed") {
  CHECK(ends_of(Joining{}, {0, 1}, "a b").empty());
  CHECK(ends_of(Joining{}, {0, 1}, "a bcd").empty());
  CHECK(ends_of(Joining{}, {0}, "other").empty());
  CHECK(ends_of(Trimming{}, {1}, "bc", {.tokens = {0}, .text = "a"}).empty());
  struct Nothing {};
  CHECK(ends_of(Nothing{}, {0}, "a").empty());
}

TEST_CASE("fill_ends: ends that are there are the policy's word") {
  Joining policy;
  Response y = {.tokens = {0, 1}, .text = "a bc", .ends = {2, 4}};
  fill_ends(policy, {}, y);
  CHECK(y.ends == Ends{2, 4});
  CHECK(policy.calls == 0);
}

TEST_CASE("a sampler that cuts responses refuses text without ends at the first such response") {
  const std::string reason = "it returned text without `ends`";
  CHECK(contains(failure_of(Parted<decltype(toy::policy())>{toy::policy()}), reason));
  CHECK(contains(failure_of(Lying{{toy::policy()}}), reason));
  CHECK(contains(failure_of(Broken{{toy::policy()}}), "no vocabulary"));
  // A policy of tokens alone has no text to lose.
  struct Silent : Parted<decltype(toy::policy())> {
    void generate(std::span<const Generation> work, std::span<Response> out) {
      Parted::generate(work, out);
      for (Response& y : out) y.text.clear();
    }
  };
  const Decoder decoder{Silent{{toy::policy()}}, toy::reward(), QAlign{chain}};
  CHECK(decoder("x").law_holds);
}

TEST_CASE("with detokenize every state's text is that of its tokens, and the chain is the same") {
  const Decoder plain{toy::policy(), text_length(), QAlign{chain}};
  const Decoder filled{Detokenizing{{toy::policy()}}, text_length(), QAlign{chain}};
  Detokenizing policy{{toy::policy()}};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Result expected = plain("x", {.seed = seed}), seen = filled("x", {.seed = seed});
    REQUIRE(seen.candidates.size() == expected.candidates.size());
    CHECK(seen.law_holds);
    for (std::size_t i = 0; i < seen.candidates.size(); ++i) {
      const Response& y = seen.candidates[i].response;
      CHECK(y.text == policy.detokenize(y.tokens));
      CHECK(y.ends == expected.candidates[i].response.ends);
      CHECK(y.text == expected.candidates[i].response.text);
    }
  }
}

TEST_CASE("samplers that never cut take text without ends") {
  using Plain = Parted<decltype(cards_toy::policy())>;
  const CardsOptions options = {.beta = cards_toy::beta,
                                .reward_goal = cards_toy::reward_goal,
                                .alpha = cards_toy::alpha,
                                .max_tokens = cards_toy::max_tokens,
                                .segment = cards_toy::segment,
                                .law = cards_toy::law};
  const Decoder cards{Plain{cards_toy::policy()}, cards_toy::reward(), Cards{options}};
  const Decoder expected{cards_toy::policy(), cards_toy::reward(), Cards{options}};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    CHECK(cards("", {.seed = seed}).answer.response.text ==
          expected("", {.seed = seed}).answer.response.text);
  }
  const Decoder best{Parted<decltype(toy::policy())>{toy::policy()}, text_length(),
                     BestOfN{{.n = 4}}};
  CHECK(best("x").law_holds);
}

TEST_CASE("a policy that says it has no ends is refused when the decoder is built") {
  CHECK_THROWS_AS((Decoder{SaysLater{{toy::policy()}}, text_length(), QAlign{chain}}),
                  InvalidOption);
  CHECK_NOTHROW(Decoder{SaysAndHelps{{{toy::policy()}}}, text_length(), QAlign{chain}});
  CHECK_NOTHROW(Decoder{Says{{toy::policy()}}, text_length(), BestOfN{}});
}

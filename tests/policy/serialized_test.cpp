#include "tilt/policy/serialized.hpp"

#include <atomic>
#include <thread>

#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/reward/judge/yes_no.hpp"
#include "tilt/reward/self_certainty.hpp"
#include "tilt/sampler/qalign.hpp"

namespace {

// Notices when two threads are inside it at once.
struct OneAtATime {
  std::atomic<int> inside = 0;
  bool overlapped = false;

  void generate(std::span<const tilt::Generation>, std::span<tilt::Response> out) {
    if (inside.fetch_add(1) != 0) overlapped = true;
    std::this_thread::yield();
    for (tilt::Response& response : out) response.tokens = {1};
    inside.fetch_sub(1);
  }
};

template <class Shared>
void call_from_two_threads(Shared& shared) {
  const auto calls = [&shared] {
    std::vector<tilt::Generation> work(1);
    std::vector<tilt::Response> out(1);
    for (int i = 0; i < 2000; ++i) shared.generate(work, out);
  };
  std::thread one(calls), two(calls);
  one.join();
  two.join();
}

// Every ability, and one object inside at a time.
struct Able : OneAtATime {
  static constexpr tilt::Capabilities capabilities = {
      .log_probs = true, .score_forced = true, .logits = true};
  std::vector<float> kept = {0, 1, 2};

  template <class Value>
  Value inside_with(Value value) {
    if (inside.fetch_add(1) != 0) overlapped = true;
    std::this_thread::yield();
    inside.fetch_sub(1);
    return value;
  }
  bool is_end(tilt::Token token) { return inside_with(token == 2); }
  tilt::Token end_token() { return inside_with(2); }
  std::span<const float> logits(const tilt::Prompt&, const tilt::Response&) {
    return inside_with(std::span<const float>(kept));
  }
  std::vector<double> log_probs(const tilt::Prompt&, const tilt::Response& y,
                                const tilt::SamplingLaw& law = {}) {
    return inside_with(std::vector<double>(y.size(), -law.temperature));
  }
  std::vector<double> self_certainty(const tilt::Prompt&, const tilt::Response& y) {
    return inside_with(std::vector<double>(y.size(), 0.5));
  }
  std::string detokenize(tilt::TokenSpan tokens) {
    return inside_with(std::string(tokens.size(), 'x'));
  }
  std::vector<tilt::Token> tokenize(std::string_view text) {
    return inside_with(std::vector<tilt::Token>(text.size(), 1));
  }
  std::string piece(tilt::Token) { return inside_with(std::string("x")); }
  void append_text(tilt::Token, std::string& text) { text += inside_with('x'); }
  std::string fingerprint() { return inside_with(std::string("able")); }
};

// Claims what it has no members for.
struct Boasting {
  static constexpr tilt::Capabilities capabilities = {.score_forced = true, .logits = true};
  void generate(std::span<const tilt::Generation>, std::span<tilt::Response>) {}
};

template <class P>
constexpr bool has_nothing_more =
    !tilt::HasLogits<P> && !tilt::HasLogProbs<P> && !tilt::HasSelfCertainty<P> &&
    !tilt::HasIsEnd<P> && !tilt::HasEndToken<P> && !tilt::HasDetokenize<P> &&
    !tilt::HasTokenize<P> && !tilt::HasPiece<P> && !tilt::HasAppendText<P> &&
    !tilt::HasFingerprint<P>;

}  // namespace

TEST_CASE("serialized: forwards what it claims", "[serialized]") {
  Able policy;
  auto shared = tilt::serialized(policy);
  using Shared = decltype(shared);
  STATIC_REQUIRE(tilt::HasLogits<Shared>);
  STATIC_REQUIRE(tilt::HasLogProbs<Shared>);
  STATIC_REQUIRE(tilt::HasLogProbsOfLaw<Shared>);
  CHECK(shared.capabilities() ==
        tilt::Capabilities{
            .log_probs = true, .score_forced = true, .logits = true, .concurrent = true});
  tilt::Response y;
  y.tokens = {0, 1};
  CHECK(shared.logits({}, y) == std::vector<float>{0, 1, 2});
  CHECK(shared.log_probs({}, y) == std::vector<double>{-1, -1});
  CHECK(shared.log_probs({}, y, {.temperature = 0.5}) == std::vector<double>{-0.5, -0.5});
  CHECK(shared.self_certainty({}, y) == std::vector<double>{0.5, 0.5});
  CHECK(shared.is_end(2));
  CHECK(shared.end_token() == 2);
  CHECK(shared.detokenize(y.tokens) == "xx");
  CHECK(shared.tokenize("abc") == std::vector<tilt::Token>{1, 1, 1});
  CHECK(shared.piece(1) == "x");
  CHECK(shared.fingerprint() == "able");
  std::string text = "a";
  shared.append_text(1, text);
  CHECK(text == "ax");
}

TEST_CASE("serialized: claims no member that the policy has not", "[serialized]") {
  Boasting policy;
  auto shared = tilt::serialized(policy);
  CHECK(shared.capabilities() == tilt::Capabilities{.concurrent = true});
  STATIC_REQUIRE(has_nothing_more<decltype(shared)>);
}

TEST_CASE("serialized: its other members wait for each other too", "[serialized]") {
  Able policy;
  auto shared = tilt::serialized(policy);
  const auto calls = [&shared] {
    tilt::Response y;
    y.tokens = {1};
    std::string text;
    std::vector<tilt::Generation> work(1);
    std::vector<tilt::Response> out(1);
    for (int i = 0; i < 300; ++i) {
      shared.generate(work, out);
      (void)shared.logits({}, y);
      (void)shared.log_probs({}, y);
      (void)shared.log_probs({}, y, {});
      (void)shared.self_certainty({}, y);
      (void)shared.is_end(1);
      (void)shared.end_token();
      (void)shared.detokenize(y.tokens);
      (void)shared.tokenize("a");
      (void)shared.piece(1);
      (void)shared.fingerprint();
      shared.append_text(1, text);
    }
  };
  std::thread one(calls), two(calls);
  one.join();
  two.join();
  CHECK_FALSE(policy.overlapped);
}

TEST_CASE("serialized: what reads a policy's abilities reads them through it", "[serialized]") {
  auto policy = toy::policy();
  auto shared = tilt::serialized(policy);
  tilt::Response y;
  y.tokens = {toy::b, toy::end};
  const tilt::Prompt prompt;
  const tilt::Scoring scoring = {&prompt, &y};
  double plain = 0, through = 0;
  tilt::SelfCertainty(policy).score({&scoring, 1}, {&plain, 1});
  tilt::SelfCertainty(shared).score({&scoring, 1}, {&through, 1});
  CHECK(plain == through);
  const tilt::QAlign chain{{.steps = 5, .max_tokens = 4}};
  const tilt::Result expected = tilt::Decoder{policy, toy::reward(), chain}("x");
  const tilt::Result seen = tilt::Decoder{shared, toy::reward(), chain}("x");
  CHECK(seen.answer.response == expected.answer.response);
}

TEST_CASE("serialized: calls of several threads never overlap", "[serialized]") {
  OneAtATime policy;
  auto shared = tilt::serialized(policy);
  call_from_two_threads(shared);
  CHECK_FALSE(policy.overlapped);
}

TEST_CASE("serialized: keeps the policy's capabilities and adds concurrent", "[serialized]") {
  auto shared =
      tilt::serialized(tilt::TextPolicy{[](std::string_view) -> std::string { return "x"; }});
  CHECK_FALSE(shared.capabilities().tokens);
  CHECK(shared.capabilities().concurrent);
  STATIC_REQUIRE(tilt::Policy<decltype(shared)>);
}

#include "tilt/policy/logit_policy.hpp"

#include <Eigen/Core>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/toy.hpp"
#include "tilt/testing/law.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;
using testing::LawCheck;

namespace {

template <class P>
Response generate(P& policy, const Generation& work) {
  Response out;
  policy.generate({&work, 1}, {&out, 1});
  return out;
}

template <class P>
std::string failure_of(P& policy, const Generation& work) {
  Response out;
  try {
    policy.generate({&work, 1}, {&out, 1});
  } catch (const PartialFailure& failure) {
    return message_of(failure.causes()[0]);
  }
  return "";
}

// The law of what a policy draws against the enumerated one.
template <class P>
LawCheck check_law(P& policy, Generation work, const Generation& claimed, std::size_t draws) {
  LawCheck check(testing::enumerate(policy, claimed));
  for (std::size_t i = 0; i < draws; ++i) {
    work.seed = derive_seed(17, i);
    Response whole = work.prefix;
    whole.append(generate(policy, work));
    check.count(whole);
  }
  return check;
}

double wave(double x) { return std::sin(12.9898 * x) * 1.5; }

// Five tokens, the last one ends; logits differ with every prefix.
auto wavy() {
  return LogitPolicy(4, [](TokenSpan context) {
    double state = 1;
    for (const Token token : context) state = 0.61 * state + token + 0.37;
    Eigen::VectorXd logits(5);
    for (int v = 0; v < 5; ++v) logits[v] = wave(state + 0.7 * v);
    return logits;
  });
}

struct Words {
  std::string operator()(Token token) const {
    // A word, a character in two pieces, nothing, and a line.
    static const std::vector<std::string> pieces = {"a ", "\xc3", "\xbc", "", "\n"};
    return pieces.at(static_cast<std::size_t>(token));
  }
};

}  // namespace

TEST_CASE("draws have the enumerated law", "[law]") {
  auto policy = wavy();
  const Response prefix = {.tokens = {1, 0}, .text = "1 0", .ends = {1, 3}};
  const std::vector<std::pair<const char*, Generation>> works = {
      {"neutral", {.max_tokens = 3}},
      {"one token", {.max_tokens = 1}},
      {"prompt of ids", {.prompt = Prompt::from_tokens({2, 3}), .max_tokens = 3}},
      {"prompt of text", {.prompt = "contributes no ids", .max_tokens = 3}},
      {"prefix", {.prefix = prefix, .max_tokens = 2}},
      {"temperature .5", {.max_tokens = 3, .law = {.temperature = 0.5}}},
      {"temperature 0", {.max_tokens = 3, .law = {.temperature = 0}}},
      {"top_k 2", {.max_tokens = 3, .law = {.top_k = 2}}},
      {"top_p .7", {.max_tokens = 3, .law = {.top_p = 0.7}}},
      {"min_p .3", {.max_tokens = 3, .law = {.min_p = 0.3}}},
      {"all four",
       {.max_tokens = 4, .law = {.temperature = 0.8, .top_k = 3, .top_p = 0.95, .min_p = 0.05}}},
      {"stop token", {.max_tokens = 4, .law = {.top_k = 3, .stop_tokens = {2}}}},
      {"stop strings", {.max_tokens = 3, .law = {.stop = {"1 2", "3"}}}},
      {"stop string over a prefix",
       {.prefix = prefix, .max_tokens = 3, .law = {.top_k = 3, .stop = {"0 0"}}}},
      {"segments by entropy",
       {.max_tokens = 4, .law = {.top_k = 3}, .until = SegmentRule{1.3, 1, 3}}},
      {"segments of two",
       {.prefix = prefix,
        .max_tokens = 5,
        .law = {.temperature = 0.7, .top_k = 3},
        .until = SegmentRule{infinity, 2, 2}}},
  };
  for (const auto& [name, work] : works) {
    law_table::expect_law(std::string("LogitPolicy: ") + name,
                          check_law(policy, work, work, 20'000));
  }
}

TEST_CASE("the law check of a policy sees what it must see", "[law]") {
  auto policy = wavy();
  const auto caught = [&](const char* bug, const Generation& work, const Generation& claimed) {
    law_table::expect_caught(std::string("LogitPolicy: ") + bug,
                             check_law(policy, work, claimed, 20'000));
  };
  const Generation plain = {.max_tokens = 3};
  caught("temperature .8 for 1", {.max_tokens = 3, .law = {.temperature = 0.8}}, plain);
  caught("a token too few", {.max_tokens = 2}, plain);
  caught("another prompt", {.prompt = Prompt::from_tokens({2}), .max_tokens = 3}, plain);
  caught("a stop token ignored", plain, {.max_tokens = 3, .law = {.stop_tokens = {2}}});
  caught("a stop string ignored", plain, {.max_tokens = 3, .law = {.stop = {"1"}}});
  caught("top_k one too large", {.max_tokens = 3, .law = {.top_k = 3}},
         {.max_tokens = 3, .law = {.top_k = 2}});
  const Generation segments = {.max_tokens = 4, .until = SegmentRule{1.3, 1, 3}};
  caught("min_tokens one too small", segments, {.max_tokens = 4, .until = SegmentRule{1.3, 2, 3}});
  caught("another threshold", segments, {.max_tokens = 4, .until = SegmentRule{1.2, 1, 3}});
}

TEST_CASE("a response made in segments equals the one made whole") {
  auto policy = wavy();
  const SamplingLaw law = {.temperature = 0.9, .top_k = 4};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Response whole = generate(policy, {.max_tokens = 12, .law = law, .seed = seed});
    for (const SegmentRule rule :
         {SegmentRule{1.3, 1, 4}, SegmentRule{infinity, 3, 3}, SegmentRule{0, 2, 5}}) {
      Response joined;
      do {
        Generation work = {.prefix = joined,
                           .max_tokens = 12 - joined.size(),
                           .law = law,
                           .until = rule,
                           .seed = seed};
        joined.append(generate(policy, work));
      } while (joined.finish == Finish::segment);
      joined.usage = whole.usage;
      CHECK(joined == whole);
    }
  }
}

TEST_CASE("segments end where the rule says") {
  // Entropy ln 2 after an even number of tokens, 0 after an odd one.
  LogitPolicy policy{-1, [](TokenSpan context) {
                       return context.size() % 2 == 0 ? std::vector<double>{0, 0}
                                                      : std::vector<double>{0, -infinity};
                     }};
  const auto segment = [&](SegmentRule rule, std::size_t max_tokens) {
    const Response y = generate(policy, {.max_tokens = max_tokens, .until = rule});
    return std::pair(y.size(), y.finish);
  };
  using Seen = std::pair<std::size_t, Finish>;
  // Exactly at the threshold it stops.
  CHECK(segment({std::log(2) - 1e-12, 1, 9}, 9) == Seen{2, Finish::segment});
  CHECK(segment({std::log(2) + 1e-9, 1, 9}, 20) == Seen{9, Finish::segment});
  CHECK(segment({0.5, 2, 9}, 9) == Seen{2, Finish::segment});
  CHECK(segment({0.5, 3, 9}, 9) == Seen{4, Finish::segment});
  CHECK(segment({0, 1, 9}, 9) == Seen{1, Finish::segment});
  CHECK(segment({0, 3, 9}, 9) == Seen{3, Finish::segment});
  CHECK(segment({infinity, 1, 5}, 9) == Seen{5, Finish::segment});
  // Length comes before segment.
  CHECK(segment({infinity, 1, 5}, 5) == Seen{5, Finish::length});
  CHECK(segment({0.5, 2, 9}, 2) == Seen{2, Finish::length});
  CHECK(segment({0.5, 4, 9}, 3) == Seen{3, Finish::length});
}

TEST_CASE("the entropy of a segment rule is that of the untempered, untruncated law") {
  LogitPolicy policy{-1, [](TokenSpan) { return std::vector<double>(4, 0.0); }};
  const SegmentRule rule = {.entropy = std::log(4) - 1e-9, .min_tokens = 2, .max_tokens = 9};
  for (const SamplingLaw& law :
       {SamplingLaw{}, SamplingLaw{.temperature = 0.1}, SamplingLaw{.top_k = 1},
        SamplingLaw{.temperature = 0}, SamplingLaw{.top_p = 0.3}}) {
    const Response y = generate(policy, {.max_tokens = 9, .law = law, .until = rule});
    CHECK(y.size() == 2);
    CHECK(y.finish == Finish::segment);
  }
}

TEST_CASE("stop comes before length, and nothing follows it") {
  LogitPolicy policy{3, [](TokenSpan context) {
                       std::vector<double> logits(4, -infinity);
                       logits[std::min<std::size_t>(context.size(), 3)] = 0;  // 0 1 2 3
                       return logits;
                     }};
  SECTION("the end token") {
    const Response y = generate(policy, {.max_tokens = 9});
    CHECK(y.tokens == std::vector<Token>{0, 1, 2, 3});
    CHECK(y.text == "0 1 2");
    CHECK(y.ends == std::vector<std::uint32_t>{1, 3, 5, 5});
    CHECK(y.finish == Finish::stop);
    CHECK(generate(policy, {.max_tokens = 4}).finish == Finish::stop);
    CHECK(generate(policy, {.max_tokens = 3}).finish == Finish::length);
  }
  SECTION("a stop token stays, and no end token is appended") {
    const Response y = generate(policy, {.max_tokens = 9, .law = {.stop_tokens = {1}}});
    CHECK(y.tokens == std::vector<Token>{0, 1});
    CHECK(y.text == "0 1");
    CHECK(y.finish == Finish::stop);
    CHECK(generate(policy, {.max_tokens = 2, .law = {.stop_tokens = {1}}}).finish == Finish::stop);
  }
  SECTION("a stop string stays") {
    const Response y = generate(policy, {.max_tokens = 9, .law = {.stop = {"0 1"}}});
    CHECK(y.tokens == std::vector<Token>{0, 1});
    CHECK(y.text == "0 1");
    CHECK(y.finish == Finish::stop);
  }
  SECTION("a stop string that begins in the prefix") {
    const Generation work = {.prefix = generate(policy, {.max_tokens = 2}).first(2),
                             .max_tokens = 9,
                             .law = {.stop = {"1 2"}}};
    const Response y = generate(policy, work);
    CHECK(y.tokens == std::vector<Token>{2});
    CHECK(y.text == " 2");
    CHECK(y.finish == Finish::stop);
  }
  SECTION("a stop string that was complete in the prefix does not count again") {
    const Generation work = {.prefix = generate(policy, {.max_tokens = 2}).first(2),
                             .max_tokens = 9,
                             .law = {.stop = {"0 1"}}};
    CHECK(generate(policy, work).tokens == std::vector<Token>{2, 3});
  }
  SECTION("stop comes before segment") {
    const Generation work = {.max_tokens = 9, .until = SegmentRule{infinity, 1, 4}};
    CHECK(generate(policy, work).finish == Finish::stop);
  }
}

TEST_CASE("a policy without an end token runs to the cap") {
  LogitPolicy policy{-1, [](TokenSpan) { return std::vector<double>{0.0}; }};
  const Response y = generate(policy, {.max_tokens = 5});
  CHECK(y.size() == 5);
  CHECK(y.text == "0 0 0 0 0");
  CHECK(y.finish == Finish::length);
  CHECK_FALSE(policy.is_end(-1));
  CHECK(policy.end_token() == -1);
}

TEST_CASE("the continuation does not repeat the prefix") {
  auto policy = wavy();
  const Response prefix = {.tokens = {1, 0}, .text = "1 0", .ends = {1, 3}};
  const Response y = generate(policy, {.prefix = prefix, .max_tokens = 3, .seed = 1});
  CHECK(y.size() <= 3);
  CHECK(y.log_probs.size() == y.size());
  CHECK(y.raw_log_probs.size() == y.size());
  CHECK(y.ends.size() == y.size());
  CHECK(y.ends.back() == y.text.size());
  CHECK(y.usage.prompt_tokens == 2);
  CHECK(generate(policy,
                 {.prompt = Prompt::from_tokens({1, 2, 3}), .prefix = prefix, .max_tokens = 3})
            .usage.prompt_tokens == 5);
}

TEST_CASE("pieces of text: bytes of a function, cut anywhere") {
  LogitPolicy policy{3,
                     [](TokenSpan context) {
                       std::vector<double> logits(5, -infinity);
                       const Token order[] = {0, 1, 2, 4, 3};
                       logits[static_cast<std::size_t>(order[context.size()])] = 0;
                       return logits;
                     },
                     Words{}};
  const Response y = generate(policy, {.max_tokens = 9});
  CHECK(y.text == "a \xc3\xbc\n");
  CHECK(y.ends == std::vector<std::uint32_t>{2, 3, 4, 5, 5});
  CHECK(y.first(2).text == "a \xc3");
  SECTION("a stop string of one character in two pieces") {
    const Response stopped = generate(policy, {.max_tokens = 9, .law = {.stop = {"\xc3\xbc"}}});
    CHECK(stopped.size() == 3);
    CHECK(stopped.finish == Finish::stop);
  }
  SECTION("a stop string that lies across prefix, character and line") {
    const Generation work = {
        .prefix = y.first(2), .max_tokens = 9, .law = {.stop = {" \xc3\xbc\n"}}};
    CHECK(generate(policy, work).tokens == std::vector<Token>{2, 4});
  }
}

TEST_CASE("pieces may be strings, views or literals") {
  const auto logits = [](TokenSpan) { return std::vector<double>{0.0}; };
  LogitPolicy strings{-1, logits, [](Token) { return std::string("ab"); }};
  LogitPolicy views{-1, logits, [](Token) { return std::string_view("ab"); }};
  LogitPolicy literals{-1, logits, [](Token) { return "ab"; }};
  CHECK(generate(strings, {.max_tokens = 2}).text == "abab");
  CHECK(generate(views, {.max_tokens = 2}).text == "abab");
  CHECK(generate(literals, {.max_tokens = 2}).text == "abab");
}

TEST_CASE("log_probs of a given response are those of its draw") {
  auto policy = wavy();
  for (const SamplingLaw& law :
       {SamplingLaw{}, SamplingLaw{.temperature = 0.6}, SamplingLaw{.top_k = 3},
        SamplingLaw{.temperature = 1.3, .top_p = 0.9, .min_p = 0.02}}) {
    const Prompt prompt = Prompt::from_tokens({3, 1});
    const Response y = generate(policy, {.prompt = prompt, .max_tokens = 8, .law = law, .seed = 3});
    const std::vector<double> forced = policy.log_probs(prompt, y, law);
    const std::vector<double> raw = policy.log_probs(prompt, y);
    REQUIRE(forced.size() == y.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK_THAT(forced[i], WithinAbs(y.log_probs[i], 1e-12));
      CHECK_THAT(raw[i], WithinAbs(y.raw_log_probs[i], 1e-12));
    }
  }
  CHECK(policy.log_probs({}, {}).empty());
  const Response never = {.tokens = {0}};
  const double best = policy.log_probs({}, never, {.temperature = 0})[0];
  CHECK((best == 0 || best == -infinity));
  CHECK_THROWS_AS(policy.log_probs({}, {.tokens = {5}}), PolicyError);
  CHECK_THROWS_AS(policy.log_probs({}, {.tokens = {-1}}), PolicyError);
  CHECK_THROWS_WITH(policy.log_probs({}, {.tokens = {7}}), "token 7 is not in the vocabulary of 5");
}

TEST_CASE("logits are those of the token that follows") {
  auto policy = toy::policy();
  CHECK(policy.logits({}, {}) == toy::logits({}));
  CHECK(policy.logits(Prompt::from_tokens({toy::b}), {.tokens = {toy::a}}) ==
        toy::logits(std::vector<Token>{toy::b, toy::a}));
  CHECK(policy.logits("text", {.tokens = {toy::a}}) == toy::logits(std::vector<Token>{toy::a}));
}

TEST_CASE("the seed decides, not the batch or what came before") {
  auto policy = wavy();
  std::vector<Generation> work;
  for (std::uint64_t i = 0; i < 20; ++i) {
    work.push_back({.prompt = Prompt::from_tokens({static_cast<Token>(i % 3)}),
                    .max_tokens = 6,
                    .seed = i % 7});
  }
  std::vector<Response> together(work.size());
  policy.generate(work, together);
  for (std::size_t i = work.size(); i-- > 0;) CHECK(generate(policy, work[i]) == together[i]);
  CHECK_FALSE(generate(policy, {.max_tokens = 9, .seed = 1}) ==
              generate(policy, {.max_tokens = 9, .seed = 2}));
}

TEST_CASE("what is wrong with one item fails that item alone") {
  LogitPolicy policy{-1, [](TokenSpan context) -> std::vector<double> {
                       switch (context.empty() ? 0 : context[0]) {
                         case 1:
                           return {};
                         case 2:
                           return {0, std::nan("")};
                         case 3:
                           return {0, infinity};
                         case 4:
                           return {-infinity, -infinity};
                         case 5:
                           throw std::runtime_error("the engine is gone");
                         case 6:
                           throw 6;
                         default:
                           return {0, 0};
                       }
                     }};
  std::vector<Generation> work;
  for (Token t = 0; t < 8; ++t) {
    work.push_back({.prompt = Prompt::from_tokens({t}), .max_tokens = 2});
  }
  std::vector<Response> out(work.size());
  try {
    policy.generate(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    const auto& causes = failure.causes();
    REQUIRE(causes.size() == 8);
    CHECK(causes[0] == nullptr);
    CHECK(causes[7] == nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(causes[1]), PolicyError);
    CHECK(message_of(causes[1]) == "the policy returned no logits");
    CHECK(message_of(causes[2]) == "the policy returned a NaN logit");
    CHECK(message_of(causes[3]) == "the policy returned a logit of +infinity");
    CHECK(message_of(causes[4]) == "the policy made every token impossible");
    CHECK(message_of(causes[5]) == "the engine is gone");
    CHECK(causes[6] != nullptr);
  }
  CHECK(out[0].size() == 2);
  CHECK(out[7].size() == 2);
  CHECK(failure_of(policy, work[2]) == "the policy returned a NaN logit");
  CHECK(failure_of(policy, work[0]).empty());
}

TEST_CASE("an illegal law is refused before anything is drawn") {
  auto policy = wavy();
  const auto refused = [&](const SamplingLaw& law, const std::string& field) {
    CAPTURE(field);
    const std::string reason = failure_of(policy, {.max_tokens = 3, .law = law});
    CHECK(reason.find("Generation.law." + field + " is ") == 0);
    Response y;
    y.tokens = {1, 2};
    CHECK_THROWS_AS(policy.log_probs({}, y, law), InvalidOption);
  };
  for (const double bad : {-1.0, infinity, unset}) refused({.temperature = bad}, "temperature");
  for (const double bad : {0.0, -0.1, 1.5, unset}) refused({.top_p = bad}, "top_p");
  for (const double bad : {-0.1, 2.0, infinity, unset}) refused({.min_p = bad}, "min_p");
  refused({.stop = {"a", ""}}, "stop");
  refused({.stop_tokens = {1, -1}}, "stop_tokens");
}

TEST_CASE("a stop string that begins in a prefix of ids alone is found") {
  // The pieces: "a ", the two bytes of a character, nothing, a line.
  LogitPolicy policy(
      3,
      [](TokenSpan) {
        return std::vector<double>{-infinity, -infinity, 0, -infinity, -infinity};
      },
      Words{});
  const Generation work = {
      .prefix = {.tokens = {0, 1}}, .max_tokens = 5, .law = {.stop = {" \xc3\xbc"}}};
  const Response y = generate(policy, work);
  CHECK(y.finish == Finish::stop);
  CHECK(y.tokens == std::vector<Token>{2});
  CHECK(y.text == "\xbc");
  CHECK(y.ends == std::vector<std::uint32_t>{1});
  // The enumeration says the same.
  const testing::ResponseLaw law = testing::enumerate(policy, work);
  REQUIRE(law.size() == 1);
  CHECK(law.response(0).tokens.size() == 3);
}

TEST_CASE("end tokens are checked when the policy is built") {
  const auto logits = [](TokenSpan) { return std::vector<double>{0.0}; };
  CHECK_THROWS_AS(LogitPolicy(-2, logits), InvalidOption);
  CHECK_THROWS_WITH(LogitPolicy(-7, logits),
                    "LogitPolicy.end_token is -7; it must be a token id, or -1 for none");
  CHECK_NOTHROW(LogitPolicy(0, logits));
}

TEST_CASE("logits may be an Eigen vector, a reference, a span, and the function move-only") {
  LogitPolicy eigen{-1, [](TokenSpan) -> Eigen::VectorXd { return Eigen::VectorXd::Zero(3); }};
  CHECK(generate(eigen, {.max_tokens = 2}).size() == 2);

  LogitPolicy referring{-1,
                        [held = std::make_unique<std::vector<double>>(3, 0.0)](
                            TokenSpan) -> const std::vector<double>& { return *held; }};
  CHECK(generate(referring, {.max_tokens = 2}).size() == 2);

  static const double table[] = {0, 1, 2};
  LogitPolicy spans{-1, [](TokenSpan) { return std::span<const double>(table); }};
  CHECK(generate(spans, {.max_tokens = 2}).size() == 2);

  std::size_t calls = 0;
  LogitPolicy counting{-1, [&calls](TokenSpan) mutable {
                         ++calls;
                         return std::vector<double>{0.0};
                       }};
  (void)generate(counting, {.max_tokens = 4});
  CHECK(calls == 4);
  calls = 0;
  (void)generate(counting, {.max_tokens = 9, .until = SegmentRule{0, 4, 9}});
  CHECK(calls == 5);  // four tokens, and one look that ended the segment
}

TEST_CASE("what is no logit function is refused when compiling") {
  const auto floats = [](TokenSpan) { return std::vector<float>{0}; };
  const auto scalar = [](TokenSpan) { return 0.0; };
  const auto text = [](std::string_view) { return std::vector<double>{0}; };
  STATIC_REQUIRE_FALSE(LogitFunction<decltype(floats)>);
  STATIC_REQUIRE_FALSE(LogitFunction<decltype(scalar)>);
  STATIC_REQUIRE_FALSE(LogitFunction<decltype(text)>);
  STATIC_REQUIRE(LogitFunction<Eigen::VectorXd (*)(TokenSpan)>);
}

TEST_CASE("append_text is how responses get their text") {
  auto policy = toy::policy();
  std::string text;
  policy.append_text(toy::b, text);
  policy.append_text(toy::a, text);
  policy.append_text(toy::end, text);
  CHECK(text == "1 0");
}

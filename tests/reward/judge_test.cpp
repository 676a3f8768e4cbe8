#include "tilt/reward/judge.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/rewards.hpp"
#include "support/runs.hpp"
#include "tilt/decoder.hpp"
#include "tilt/policy/logit_policy.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/testing/check_reward.hpp"

using Catch::Matchers::WithinAbs;
using runs::contains;
using runs::thrown_by;
using tilt::Generation;
using tilt::infinity;
using tilt::PairwiseJudge;
using tilt::PairwiseJudgeOptions;
using tilt::Prompt;
using tilt::read_score;
using tilt::read_verdict;
using tilt::Response;
using tilt::RewardError;
using tilt::ScoreJudge;
using tilt::Scoring;
using tilt::TextPolicy;
using tilt::Token;
using tilt::unset;
using tilt::YesNoJudge;
using Texts = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

// What stands between two marks of a judge's prompt.
std::string between(std::string_view text, std::string_view open, std::string_view close) {
  const std::size_t from = text.find(open) + open.size();
  return std::string(text.substr(from, text.find(close, from) - from));
}

Response response(std::string text) {
  Response made;
  made.text = std::move(text);
  return made;
}

// A policy that writes down what it was asked, and answers by a function of the prompt's text.
struct Recorder {
  std::function<Response(const Generation&)> answer;
  std::vector<std::vector<Generation>> calls = {};

  void generate(std::span<const Generation> work, std::span<Response> out) {
    calls.emplace_back(work.begin(), work.end());
    tilt::for_each_isolated(work.size(), [&](std::size_t i) { out[i] = answer(work[i]); });
  }
};
Recorder answering(std::string text) {
  return {[text](const Generation&) { return response(text); }};
}

// A yes/no model over five tokens: yes, no, a second spelling of yes, another word, and one that it
// never says. Its prompt is one id, the number of exclamation marks in what it is shown.
constexpr Token yes = 0, no = 1, also_yes = 2;
Values yes_no_logits(tilt::TokenSpan context) {
  const double marks = context.empty() ? 0 : context[0];
  return {0.7 * marks, 0.4, -0.5 * marks, 0.3 + 0.1 * marks, -infinity};
}
auto yes_no_model() {
  return tilt::LogitPolicy(-1, [](tilt::TokenSpan context) { return yes_no_logits(context); });
}
Prompt count_marks(const std::string& text) {
  return Prompt::from_tokens({static_cast<Token>(std::count(text.begin(), text.end(), '!'))});
}
tilt::YesNoJudgeOptions pair_options() {
  return {.yes = {yes, also_yes}, .no = {no}, .as_prompt = count_marks};
}
struct Mass {
  double share, outside;
};
Mass exact_mass(Token marks) {
  const Token context[] = {marks};
  double total = 0;
  const Values logits = yes_no_logits(context);
  for (const double z : logits) total += std::exp(z);
  const double p_yes = (std::exp(logits[yes]) + std::exp(logits[also_yes])) / total;
  const double p_no = std::exp(logits[no]) / total;
  return {p_yes / (p_yes + p_no), 1 - p_yes - p_no};
}

// The same model, of which only the log-probs of given responses can be had.
struct LogProbsOnly {
  decltype(yes_no_model()) model = yes_no_model();
  void generate(std::span<const Generation> work, std::span<Response> out) {
    model.generate(work, out);
  }
  std::vector<double> log_probs(const Prompt& prompt, const Response& y) {
    return model.log_probs(prompt, y);
  }
};

// The same model with words that can be looked up.
struct WithWords : LogProbsOnly {
  std::vector<std::pair<std::string, std::vector<Token>>> words = {};
  std::vector<Token> tokenize(std::string_view text) const {
    for (const auto& [word, tokens] : words) {
      if (word == text) return tokens;
    }
    return {3, 3};
  }
  std::string piece(Token token) const {
    if (token > 4) throw tilt::PolicyError("no such token");
    return "?";
  }
};

}  // namespace

TEST_CASE("read_score: one number behind the last label", "[reward]") {
  const auto read = [](std::string_view text) { return read_score(text, "Score:", -5, 10); };
  CHECK(read("Score: 7") == 7);
  CHECK(read("It is short.\n\nScore: 7.25\n") == 7.25);
  CHECK(read("Score:10.") == 10);  // a full stop
  CHECK(read("**Score:** 3") == 3);
  CHECK(read("**Score: 3**\r\n") == 3);
  CHECK(read("**Score**: 3") == 3);
  CHECK(read("score: 7") == 7);
  CHECK(read("Score: -5") == -5);
  CHECK(read("Score: 007") == 7);
  CHECK(read("Score: 1e1") == 10);
  CHECK(read("Score: .5") == 0.5);
  CHECK(read("Score: 7/10") == 7);
  CHECK(read("Score: 7 of 10") == 7);
  CHECK(read("Score: [[7]]") == 7);
  CHECK(read("It says \"Score: 10\".\nScore: 2") == 2);
  CHECK(read("<think>Score: 1</think>Score: 2") == 2);
  CHECK(read_score(" 0.5\n", "", 0, 1) == 0.5);
  CHECK(read_score("85%", "", 0, 100) == 85);
  for (const char* bad : {"",
                          "7",
                          "Score:",
                          "Score: seven",
                          "Score: 7/5",
                          "Score: 7/",
                          "Score: 7/10/10",
                          "Score: 7%",
                          "Score: 7 8",
                          "Score: 5..",
                          "Score: - 5",
                          "Score: --5",
                          "Score: +5",
                          "Score: inf",
                          "Score: nan",
                          "Score: 0x5",
                          "Score: 7\nBecause",
                          "Score: 7\nScore:",
                          "Underscore: 7",
                          "Score 7",
                          "Score: 11",
                          "Score: -5.001",
                          "Score: 1,000",
                          "Score: 99999999999999999999999",
                          "Score: 1e999999999",
                          "<think>Score: 7",
                          "Score: [[7",
                          "Score: N"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read(bad), RewardError);
  }
  CHECK_THROWS_AS(read_score("a 5", "", 0, 10), RewardError);
}

TEST_CASE("read_verdict: A or B or tie behind the last label", "[reward]") {
  CHECK(read_verdict("B is longer.\nVerdict: A", "Verdict:") == 1);
  CHECK(read_verdict("Verdict: **B**.", "Verdict:") == 0);
  CHECK(read_verdict("Verdict: Tie", "Verdict:") == 0.5);
  CHECK(read_verdict("Verdict: [[A]]", "Verdict:") == 1);
  CHECK(read_verdict("verdict: Response B", "Verdict:") == 0);
  CHECK(read_verdict("Verdict: B\nVerdict: A", "Verdict:") == 1);
  CHECK(read_verdict("a", "") == 1);
  for (const char* bad : {"", "A", "Verdict:", "Verdict: C", "Verdict: A or B", "Verdict: AB",
                          "Verdict: A\nno, B", "Verdict: answer", "Verdict: A\nVerdict:"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_verdict(bad, "Verdict:"), RewardError);
  }
}

TEST_CASE("YesNoJudge: the share of yes in the pair and the mass outside of it", "[reward][law]") {
  auto model = yes_no_model();
  YesNoJudge reward{model, pair_options()};
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  STATIC_REQUIRE(!decltype(reward)::partial);
  CHECK(reward.outside_mass().count == 0);
  CHECK(std::isnan(reward.outside_mass().mean));

  const Values seen = score(reward, {"poor", "well!", "well done!!", "!!!!!!!!!"});
  double worst = 0, renormalized = 0, mean = 0, largest = 0;
  for (const auto& [i, marks] : {std::pair{0, 0}, {1, 1}, {2, 2}, {3, 9}}) {
    const Mass mass = exact_mass(marks);
    const double here = seen[static_cast<std::size_t>(i)];
    worst = std::max(worst, std::abs(here - mass.share));
    renormalized = std::max(renormalized, std::abs(mass.share * (1 - mass.outside) - mass.share));
    mean += mass.outside / 4;
    largest = std::max(largest, mass.outside);
  }
  law_table::expect_exact("YesNoJudge: P(yes) / (P(yes) + P(no))", 5, worst);
  law_table::expect_exact_caught("YesNoJudge: P(yes) over all tokens", 5, renormalized);
  CHECK(reward.outside_mass().count == 4);
  CHECK_THAT(reward.outside_mass().mean, WithinAbs(mean, 1e-14));
  CHECK_THAT(reward.outside_mass().largest, WithinAbs(largest, 1e-14));

  // Without logits the same by the log-probs of each id.
  STATIC_REQUIRE(!tilt::HasLogits<LogProbsOnly>);
  YesNoJudge forced{LogProbsOnly{}, pair_options()};
  const Values again = score(forced, {"poor", "well!", "well done!!", "!!!!!!!!!"});
  for (std::size_t i = 0; i < 4; ++i) CHECK_THAT(again[i], WithinAbs(seen[i], 1e-14));
  CHECK_THAT(forced.outside_mass().mean, WithinAbs(mean, 1e-13));
}

TEST_CASE("YesNoJudge: is a reward model like others", "[reward]") {
  auto model = yes_no_model();
  YesNoJudge reward{model, pair_options()};
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_reward(reward, {Prompt("p"), Prompt("q!")},
                                    {response("a"), response("b!!"), response("")}) == none);
  CHECK(score(2 * reward, {"!"})[0] == 2 * score(reward, {"!"})[0]);

  TextPolicy writer{
      [](std::string_view, const Generation& work) { return std::string(work.seed % 5, '!'); }};
  tilt::Decoder decoder{writer, reward, tilt::BestOfN{{.n = 12}}};
  const tilt::Result result = decoder("p");
  std::size_t most = 0;
  for (const tilt::Candidate& candidate : result.candidates) {
    most = std::max(most, candidate.response.text.size());
  }
  CHECK(result.answer.response.text.size() == most);
}

TEST_CASE("YesNoJudge: looks spellings up and needs one token of each side", "[reward]") {
  WithWords model;
  model.words = {
      {"Yes", {yes}}, {" Yes", {also_yes}}, {"yes", {yes}}, {"No", {no}}, {" no", {3, no}}};
  YesNoJudge reward{model, {.as_prompt = count_marks}};
  CHECK(std::vector<Token>(reward.yes_tokens().begin(), reward.yes_tokens().end()) ==
        std::vector<Token>{yes, also_yes});
  CHECK(std::vector<Token>(reward.no_tokens().begin(), reward.no_tokens().end()) ==
        std::vector<Token>{no});
  CHECK_THAT(score(reward, {"!!"})[0], WithinAbs(exact_mass(2).share, 1e-14));

  WithWords silent;
  silent.words = {{"No", {no}}};
  const std::string message = thrown_by<tilt::InvalidOption>([&] { YesNoJudge{silent, {}}; });
  CHECK(contains(message, "YesNoJudgeOptions.yes_spellings is \"Yes\", \" Yes\""));
  CHECK(contains(message, "one token of the policy's vocabulary"));
  expect_refused(
      [&] {
        YesNoJudge{model, {.no_spellings = {}}};
      },
      "YesNoJudgeOptions.no_spellings", "empty");
  expect_refused([&] { YesNoJudge{model, {.no = {7}}}; }, "YesNoJudgeOptions.no", "7");
}

TEST_CASE("YesNoJudge: refuses bad options", "[reward]") {
  auto model = yes_no_model();
  const auto build = [&](auto change) {
    return [&, change] {
      tilt::YesNoJudgeOptions options = pair_options();
      change(options);
      YesNoJudge{model, options};
    };
  };
  expect_refused(build([](auto& o) { o.yes = {}; }), "YesNoJudgeOptions.yes", "empty");
  expect_refused(build([](auto& o) { o.no = {-1}; }), "YesNoJudgeOptions.no", "-1");
  expect_refused(build([](auto& o) {
                   o.no = {no, also_yes};
                 }),
                 "YesNoJudgeOptions.no", "with the token 2");
  expect_refused(build([](auto& o) { o.max_outside = unset; }), "YesNoJudgeOptions.max_outside",
                 "nan");
  expect_refused(build([](auto& o) { o.question = "Is it right?"; }), "YesNoJudgeOptions.question",
                 "a text without {response}");
  expect_refused(build([](auto& o) { o.question = "{response} {answer}"; }),
                 "YesNoJudgeOptions.question", "a text with {answer}");
}

TEST_CASE("YesNoJudge: what it cannot judge is an error and never 0", "[reward]") {
  auto model = yes_no_model();
  tilt::YesNoJudgeOptions options = pair_options();
  options.no = {9};
  CHECK(contains(outcomes(YesNoJudge{model, options}, {"a"})[0], "token 9 is not"));
  options.yes = {4};
  options.no = {no};
  CHECK(score(YesNoJudge{model, options}, {"a"}) == Values{0});  // yes is impossible
  options.yes = {1};
  options.no = {4};
  CHECK(score(YesNoJudge{model, options}, {"a"}) == Values{1});
  tilt::LogitPolicy dumb(-1, [](tilt::TokenSpan) { return Values{0, -infinity, -infinity}; });
  options.yes = {1};
  options.no = {2};
  YesNoJudge mute{dumb, options};
  CHECK(outcomes(mute, {"a"})[0] == "the judge can answer neither yes nor no");
  CHECK(mute.outside_mass().largest == 1);

  options = pair_options();
  options.max_outside = exact_mass(0).outside - 1e-3;
  const Texts seen = outcomes(YesNoJudge{model, options}, {"a", "!!!!"});
  CHECK(contains(seen[0], "to other answers than yes and no"));
  CHECK(seen[1] == tilt::to_text(exact_mass(4).share));
  // A prompt of ids can be judged by a question that does not show it only.
  const Prompt ids = Prompt::from_tokens({1});
  const Response y = response("a");
  const Scoring work{&ids, &y};
  double out = unset;
  YesNoJudge shows{model, pair_options()};
  CHECK_THROWS_AS(shows.score({&work, 1}, {&out, 1}), tilt::PartialFailure);
  options = pair_options();
  options.question = "Polite? {response}";
  YesNoJudge hides{model, options};
  CHECK_NOTHROW(hides.score({&work, 1}, {&out, 1}));
}

TEST_CASE("ScoreJudge: shows prompt and response as they are and asks in one call", "[reward]") {
  Recorder policy = answering("Fine.\nScore: 7");
  ScoreJudge reward{policy};
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  STATIC_REQUIRE(!decltype(reward)::partial);
  CHECK(score(reward, {"first", "{query} {{x}} {low}", ""}) == Values{7, 7, 7});
  REQUIRE(policy.calls.size() == 1);
  REQUIRE(policy.calls[0].size() == 3);
  const std::string_view text = policy.calls[0][1].prompt.text();
  CHECK(between(text, "<task>\n", "\n</task>") == "prompt");
  CHECK(between(text, "<answer>\n", "\n</answer>") == "{query} {{x}} {low}");
  CHECK(contains(text, "from 0 (useless) to 10 "));
  CHECK(text.ends_with("\nScore: N"));
  CHECK(policy.calls[0][0].max_tokens == 512);
  CHECK(policy.calls[0][0].law.temperature == 0);
  CHECK(reward.usage().judgements == 3);
  CHECK(reward.usage().unusable == 0);

  CHECK(score(reward, {}).empty());
  CHECK(policy.calls.size() == 1);

  const Prompt chat = Prompt::from_messages({{"system", "Be brief."}, {"user", "Hello"}});
  const Response y = response("Hi");
  const Scoring work{&chat, &y};
  double out = unset;
  reward.score({&work, 1}, {&out, 1});
  CHECK(between(policy.calls[1][0].prompt.text(), "<task>\n", "\n</task>") ==
        "system: Be brief.\nuser: Hello");
}

TEST_CASE("ScoreJudge: seeds derive from prompt and response and not from the run", "[reward]") {
  const auto seeds_of = [](Texts texts, Prompt prompt, std::uint64_t seed) {
    Recorder policy = answering("Score: 1");
    ScoreJudge reward{policy, {.judgements = 3, .law = {}, .seed = seed}};
    Batch batch(std::move(texts), std::move(prompt));
    Values out(batch.work.size());
    reward.score(batch.work, out);
    std::vector<std::uint64_t> seeds;
    for (const Generation& work : policy.calls[0]) seeds.push_back(work.seed);
    return seeds;
  };
  const auto ab = seeds_of({"a", "b"}, "p", 0), ba = seeds_of({"b", "a"}, "p", 0);
  REQUIRE(ab.size() == 6);
  CHECK(std::vector(ab.begin(), ab.begin() + 3) == std::vector(ba.begin() + 3, ba.end()));
  std::set<std::uint64_t> all(ab.begin(), ab.end());
  for (const std::uint64_t seed : seeds_of({"a"}, "q", 0)) all.insert(seed);
  for (const std::uint64_t seed : seeds_of({"a"}, "p", 1)) all.insert(seed);
  CHECK(all.size() == 12);

  TextPolicy moody{[](std::string_view, const Generation& work) {
    return "Score: " + std::to_string(work.seed % 11);
  }};
  ScoreJudge reward{moody, {.judgements = 2, .law = {}}};
  const std::vector<std::string> none;
  CHECK(tilt::testing::check_reward(reward, {Prompt("p"), Prompt("q")},
                                    {response("a"), response("b"), response("")}) == none);
}

// A writer of "Score: 3", "Score: 8" or the end at once, with laws that enumeration gives.
namespace score_writer {
constexpr Token label = 0, three = 1, eight = 2, end = 3;
auto policy() {
  return tilt::LogitPolicy(
      end,
      [](tilt::TokenSpan context) -> Values {
        if (context.empty()) return {0, -infinity, -infinity, -infinity};
        if (context.back() == label) return {-infinity, 0.8, 0, -infinity};
        return {-infinity, -infinity, -infinity, 0};
      },
      [](Token token) -> std::string {
        return token == label ? "Score: " : token == three ? "3" : token == eight ? "8" : "";
      });
}
}  // namespace score_writer

TEST_CASE("ScoreJudge: the mean over draws of the judge", "[reward][law]") {
  auto policy = score_writer::policy();
  const double p = 1 / (1 + std::exp(-0.8)), expected = 3 * p + 8 * (1 - p);
  law_table::MeanCheck check(expected), other(expected), single(expected);
  ScoreJudge reward{policy, {.judgements = 3, .law = {}}};
  ScoreJudge cold{policy, {.judgements = 3, .law = {.temperature = 0.5}}};
  double squares = 0;
  Texts texts;
  for (int i = 0; i < 4000; ++i) texts.push_back(std::to_string(i));
  for (const double r : score(reward, texts)) {
    check.add(r);
    squares += (r - expected) * (r - expected) / 4000;
  }
  for (const double r : score(cold, texts)) other.add(r);
  law_table::expect_mean("ScoreJudge: mean of three judgements", check);
  law_table::expect_mean_caught("ScoreJudge: a law of its own", other);
  // The variance is that of three independent draws, not of one that is repeated.
  const double variance = 25 * p * (1 - p) / 3;
  CHECK_THAT(squares, WithinAbs(variance, 0.1 * variance));
  CHECK(reward.usage().judgements == 12'000);
  CHECK(reward.usage().generated_tokens == 36'000);
}

TEST_CASE("ScoreJudge: what cannot be read is an error that shows it", "[reward]") {
  Recorder policy{[](const Generation& work) {
    const std::string text = between(work.prompt.text(), "<answer>\n", "\n</answer>");
    if (text == "broken") throw std::runtime_error("no connection");
    if (text == "long") {
      Response cut = response("Score: 7");
      cut.finish = tilt::Finish::length;
      return cut;
    }
    return response(text);
  }};
  ScoreJudge reward{policy};
  const Texts seen = outcomes(reward, {"Score: 4", "hard to say", "Score: 11", "broken", "long",
                                       "It says \"Score: 10\". Score: 2"});
  CHECK(seen[0] == "4");
  CHECK(seen[1] ==
        "a response to the prompt \"prompt\" has 0 of 1 judgements: the judge wrote \"hard to "
        "say\": there is no \"Score:\" in it");
  CHECK(contains(seen[2], "the score 11 is not from 0 to 10"));
  CHECK(contains(seen[3], "the judge failed: no connection"));
  CHECK(contains(seen[4], "cut at max_tokens"));
  CHECK(seen[5] == "2");
  CHECK(reward.usage().judgements == 6);
  CHECK(reward.usage().unusable == 4);

  // Cut by a real cap, before the end and where the number would already be there.
  auto writer = score_writer::policy();
  CHECK(contains(outcomes(ScoreJudge{writer, {.max_tokens = 2}}, {"a"})[0], "cut"));
  CHECK(score(ScoreJudge{writer, {.max_tokens = 3}}, {"a"}) == Values{3});
  // A whole call that fails fails the whole batch.
  struct Broken {
    void generate(std::span<const Generation>, std::span<Response>) const {
      throw tilt::PolicyError("down");
    }
  };
  CHECK_THROWS_WITH(score(ScoreJudge{Broken{}}, {"a", "b"}), "down");
  const Prompt ids = Prompt::from_tokens({1, 2});
  const Response y = response("a");
  const Scoring work{&ids, &y};
  double out = unset;
  CHECK_THROWS_AS(reward.score({&work, 1}, {&out, 1}), tilt::PartialFailure);
}

namespace {

// The planted fault: a failure scored 0.
template <class R>
struct ZeroOnFailure {
  R& reward;
  void score(std::span<const Scoring> work, std::span<double> out) {
    try {
      reward.score(work, out);
    } catch (const tilt::PartialFailure& failure) {
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (failure.causes()[i]) out[i] = 0;
      }
    }
  }
};

}  // namespace

TEST_CASE("ScoreJudge: an unparsable judgement does not win where scores are negative",
          "[reward]") {
  TextPolicy writer{[](std::string_view, const Generation& work) {
    const std::uint64_t kind = work.seed % 4;
    return kind == 3 ? std::string("odd") : "answer " + std::to_string(kind);
  }};
  TextPolicy critic{[](std::string_view text) {
    const std::string answer = between(text, "<answer>\n", "\n</answer>");
    return answer == "odd" ? std::string("I cannot tell.") : "Score: -" + answer.substr(7) + "1";
  }};
  ScoreJudge reward{critic, {.low = -100, .high = 0}};
  const tilt::RunOptions survive{.on_failure = tilt::OnFailure::survive};
  tilt::Decoder decoder{writer, reward, tilt::BestOfN{{.n = 16}}};
  const tilt::Result result = decoder("p", survive);
  CHECK(result.answer.response.text == "answer 0");
  CHECK(result.answer.reward == -1);
  CHECK(!result.failures.empty());
  CHECK_THROWS_AS(decoder("p"), RewardError);

  ZeroOnFailure<decltype(reward)> faulty{reward};
  tilt::Decoder fooled{writer, faulty, tilt::BestOfN{{.n = 16}}};
  CHECK(fooled("p", survive).answer.response.text == "odd");
}

TEST_CASE("ScoreJudge: the mean over the usable judgements where fewer are required", "[reward]") {
  Recorder policy{[count = 0](const Generation&) mutable {
    return response(count++ % 3 == 0 ? "?" : "Score: " + std::to_string(count));
  }};
  ScoreJudge strict{policy, {.judgements = 3, .law = {}}};
  CHECK(contains(outcomes(strict, {"a"})[0], "has 2 of 3 judgements"));
  ScoreJudge lenient{policy, {.judgements = 3, .required = 2, .law = {}}};
  CHECK(score(lenient, {"a"}) == Values{(5.0 + 6) / 2});
  ScoreJudge two{policy, {.judgements = 2, .required = 2, .law = {}}};
  CHECK(contains(outcomes(two, {"a"})[0], "has 1 of 2 judgements"));
}

TEST_CASE("ScoreJudge: refuses bad options", "[reward]") {
  Recorder policy = answering("Score: 1");
  const auto build = [&](auto change) {
    return [&, change] {
      tilt::ScoreJudgeOptions options;
      change(options);
      ScoreJudge{policy, options};
    };
  };
  const std::string owner = "ScoreJudgeOptions.";
  expect_refused(build([](auto& o) { o.low = 10; }), owner + "low", "10");
  expect_refused(build([](auto& o) { o.low = unset; }), owner + "low", "nan");
  expect_refused(build([](auto& o) { o.high = infinity; }), owner + "high", "inf");
  expect_refused(build([](auto& o) { o.judgements = 0; }), owner + "judgements", "0");
  expect_refused(build([](auto& o) { o.required = 0; }), owner + "required", "0");
  expect_refused(build([](auto& o) { o.max_tokens = 0; }), owner + "max_tokens", "0");
  expect_refused(build([](auto& o) { o.judgements = 2; }), owner + "law.temperature", "0");
  expect_refused(build([](auto& o) { o.law.temperature = unset; }), owner + "law.temperature",
                 "nan");
  expect_refused(build([](auto& o) { o.question = "{query}"; }), owner + "question",
                 "a text without {response}");
  expect_refused(build([](auto& o) { o.question = "{response} {score}"; }), owner + "question",
                 "a text with {score}");
}

namespace {

PairwiseJudgeOptions against(std::string baseline) {
  return {.baseline = [baseline](const Prompt&) { return response(baseline); }};
}

// Prefers the longer answer.
std::string longer(std::string_view text) {
  const std::size_t a = between(text, "<answer_a>\n", "\n</answer_a>").size();
  const std::size_t b = between(text, "<answer_b>\n", "\n</answer_b>").size();
  return a > b ? "Verdict: A" : a < b ? "Verdict: B" : "Verdict: tie";
}

}  // namespace

TEST_CASE("PairwiseJudge: asks in both orders in one call", "[reward]") {
  Recorder policy{[](const Generation& work) { return response(longer(work.prompt.text())); }};
  PairwiseJudge reward{policy, against("four")};
  STATIC_REQUIRE(tilt::RewardModel<decltype(reward)>);
  STATIC_REQUIRE(!decltype(reward)::partial);
  CHECK(std::isnan(reward.first_share()));
  CHECK(score(reward, {"longer", "abc", "five", "four"}) == Values{1, 0, 0.5, 0.5});
  REQUIRE(policy.calls.size() == 1);
  REQUIRE(policy.calls[0].size() == 6);  // equal texts are not asked about
  const std::string_view a_first = policy.calls[0][0].prompt.text(),
                         b_first = policy.calls[0][1].prompt.text();
  CHECK(between(a_first, "<answer_a>\n", "\n</answer_a>") == "longer");
  CHECK(between(a_first, "<answer_b>\n", "\n</answer_b>") == "four");
  CHECK(between(b_first, "<answer_a>\n", "\n</answer_a>") == "four");
  CHECK(between(b_first, "<answer_b>\n", "\n</answer_b>") == "longer");
  CHECK(between(a_first, "<task>\n", "\n</task>") == "prompt");
  CHECK(policy.calls[0][0].seed != policy.calls[0][1].seed);
  CHECK(reward.first_share() == 0.5);
  CHECK(reward.preference("p", response("x"), response("yy")) == 0);
  CHECK(reward.preference("p", response("{response_b}!"), response("yy")) == 1);
}

TEST_CASE("PairwiseJudge: a preference for a place cancels", "[reward][law]") {
  // Of a judge that always takes the first answer nothing is learnt; asked in one order it says 1.
  TextPolicy biased{[](std::string_view) { return std::string("Verdict: A"); }};
  PairwiseJudge blind{biased, against("other")};
  CHECK(score(blind, {"x", "y"}) == Values{0.5, 0.5});
  CHECK(blind.first_share() == 1);

  // A judge whose log-odds are its opinion d = 0.6 plus a bonus b = 1.5 for the first place.
  const double d = 0.6, b = 1.5;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  TextPolicy judge{[&](std::string_view text, const Generation& work) {
    const bool good_first = between(text, "<answer_a>\n", "\n</answer_a>").starts_with("good");
    const double chance = sigmoid((good_first ? d : -d) + b);
    return std::string(tilt::Random(work.seed).uniform() < chance ? "Verdict: A" : "Verdict: B");
  }};
  const double expected = (sigmoid(d + b) + 1 - sigmoid(-d + b)) / 2;
  law_table::MeanCheck check(expected), one_order(expected);
  PairwiseJudgeOptions options = against("bad");
  options.judgements = 2;
  options.law = {};
  PairwiseJudge reward{judge, options};
  Texts texts;
  for (int i = 0; i < 4000; ++i) texts.push_back("good " + std::to_string(i));
  for (const double r : score(reward, texts)) check.add(r);
  // The planted fault: only the order in which the response comes first.
  tilt::Random random(20250604);
  for (int i = 0; i < 4000; ++i) one_order.add(random.uniform() < sigmoid(d + b) ? 1 : 0);
  law_table::expect_mean("PairwiseJudge: both orders of a judge with a bias", check);
  law_table::expect_mean_caught("PairwiseJudge: asked in one order only", one_order);
  CHECK(reward.first_share() > 0.7);

  // The two sides of a comparison add up to 1, draw by draw.
  for (int i = 0; i < 50; ++i) {
    const Response x = response("good " + std::to_string(i)), y = response("bad");
    CHECK(reward.preference("p", x, y) + reward.preference("p", y, x) == 1);
  }
}

TEST_CASE("PairwiseJudge: a baseline for each prompt that may fail", "[reward]") {
  Recorder policy{[](const Generation& work) { return response(longer(work.prompt.text())); }};
  std::vector<std::string> asked;
  PairwiseJudge reward{policy, {.baseline = [&](const Prompt& prompt) {
                         asked.emplace_back(prompt.text());
                         if (prompt.text() == "none") throw std::runtime_error("no baseline");
                         return response(std::string(prompt.text()));
                       }}};
  const Prompt p = "pp", q = "qqqq", none = "none";
  const Response y = response("yyy");
  const Scoring work[] = {{&p, &y}, {&q, &y}, {&p, &y}, {&none, &y}};
  Values out(4, unset);
  try {
    reward.score(work, out);
    FAIL("it did not throw");
  } catch (const tilt::PartialFailure& failure) {
    CHECK(tilt::message_of(failure.causes()[3]) == "no baseline");
    CHECK(failure.causes()[0] == nullptr);
  }
  CHECK(Values(out.begin(), out.begin() + 3) == Values{1, 0, 1});
  CHECK(asked == Texts{"pp", "qqqq", "none"});
  const std::vector<std::string> fine;
  CHECK(tilt::testing::check_reward(reward, {p, q}, {y, response("zzzzzz")}) == fine);
}

TEST_CASE("PairwiseJudge: one order that cannot be read is an error", "[reward]") {
  TextPolicy policy{[](std::string_view text) {
    return std::string(contains(text, "<answer_a>\nodd") ? "Hm." : "Verdict: B");
  }};
  PairwiseJudge reward{policy, against("base")};
  const Texts seen = outcomes(reward, {"odd", "fine"});
  CHECK(contains(seen[0], "has 0 of 1 judgements"));
  CHECK(contains(seen[0], "Hm."));
  CHECK(seen[1] == "0.5");
  CHECK_THROWS_AS(reward.preference("p", response("odd"), response("x")), RewardError);
  CHECK(reward.usage().unusable == 2);
}

TEST_CASE("PairwiseJudge: refuses bad options", "[reward]") {
  Recorder policy = answering("Verdict: A");
  const auto build = [&](auto change) {
    return [&, change] {
      PairwiseJudgeOptions options = against("x");
      change(options);
      PairwiseJudge{policy, options};
    };
  };
  const std::string owner = "PairwiseJudgeOptions.";
  expect_refused(build([](auto& o) { o.baseline = {}; }), owner + "baseline", "empty");
  expect_refused(build([](auto& o) { o.judgements = 0; }), owner + "judgements", "0");
  expect_refused(build([](auto& o) { o.judgements = 2; }), owner + "law.temperature", "0");
  expect_refused(build([](auto& o) { o.question = "{response_a}"; }), owner + "question",
                 "a text without {response_b}");
  expect_refused(build([](auto& o) { o.max_tokens = 0; }), owner + "max_tokens", "0");
}

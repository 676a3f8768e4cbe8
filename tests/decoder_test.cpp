#include "tilt/decoder.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/policy/logit_policy.hpp"
#include "tilt/policy/serialized.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/reward/reward_function.hpp"
#include "tilt/sampler/calibrated.hpp"
#include "tilt/sampler/prs.hpp"

using namespace tilt;
using runs::contains;
using runs::Judge;
using runs::response_of;
using runs::Scripted;
using runs::thrown_by;

namespace {

using Tokens = std::vector<Token>;

// A policy and a reward that tell how often they are copied.
struct CountedPolicy {
  std::shared_ptr<int> copies = std::make_shared<int>(0);
  CountedPolicy() = default;
  CountedPolicy(const CountedPolicy& other) : copies(other.copies) { ++*copies; }
  CountedPolicy(CountedPolicy&&) = default;
  int calls = 0;
  void generate(std::span<const Generation> work, std::span<Response> out) {
    ++calls;
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = response_of({1});
  }
};

// Refuses everything but the model's own law, as a reward that knows the base law does.
struct NeutralOnly {
  void check_law(const SamplingLaw& law) const {
    if (!law.neutral()) throw InvalidOption("NeutralOnly.law", "not neutral", "the neutral law");
  }
  void score(std::span<const Scoring>, std::span<double> out) const {
    for (double& reward : out) reward = 1;
  }
};

// Capabilities that are known only when the model is loaded.
struct LoadedPolicy {
  Capabilities loaded = {};
  [[nodiscard]] Capabilities capabilities() const { return loaded; }
  void generate(std::span<const Generation> work, std::span<Response> out) {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = response_of({1});
  }
};

struct LoadedReward {
  bool whole_only = true;
  [[nodiscard]] bool partial() const { return !whole_only; }
  void score(std::span<const Scoring>, std::span<double> out) const {
    for (double& reward : out) reward = 1;
  }
};

struct ScriptedSegments : Scripted {
  using Scripted::Scripted;
  static constexpr Capabilities capabilities = {.segments = true};
};

// Asks for whatever it is told to ask for.
struct Needy {
  struct State {
    Prompt prompt = {};
  };
  Needs wanted = {};
  [[nodiscard]] Needs option_needs() const { return wanted; }
  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
  void ask(State& state, Round& round) const {
    if (round.index() == 0) round.sample({.prompt = state.prompt, .max_tokens = 4});
  }
  void tell(State&, Round& round) const {
    if (round.draws()[0].status == DrawStatus::done) round.emit(round.take(0));
  }
};

Judge constant_reward(double value = 0) {
  return Judge([value](const Prompt&, const Response&) { return value; });
}

CardsOptions cards_options() {
  return {.reward_goal = 1,
          .max_tokens = 4,
          .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 2}};
}

std::vector<Tokens> tokens_of(const Population& population) {
  std::vector<Tokens> all;
  for (const Candidate& candidate : population) all.push_back(candidate.response.tokens);
  return all;
}

// A policy that answers well in its first round and then as the function says.
template <class F>
Scripted well_at_first(F later) {
  return Scripted([later, calls = 0](const Generation& work) mutable {
    return ++calls <= 2 ? response_of({1}) : later(work);
  });
}

}  // namespace

TEST_CASE("policy and reward: an lvalue is held by reference, an rvalue is owned") {
  CountedPolicy policy;
  auto reward = constant_reward();
  Decoder referring{policy, reward, BestOfN{{.n = 1}}};
  STATIC_REQUIRE(
      std::is_same_v<decltype(referring),
                     Decoder<CountedPolicy&, decltype(reward)&, BestOfN, HighestReward>>);
  (void)referring("p");
  CHECK(policy.calls == 1);
  CHECK(*policy.copies == 0);

  Decoder owning{CountedPolicy{}, constant_reward(), BestOfN{{.n = 1}}};
  STATIC_REQUIRE(std::is_same_v<decltype(owning),
                                Decoder<CountedPolicy, decltype(reward), BestOfN, HighestReward>>);
  CHECK(owning("p").candidates.size() == 1);

  Decoder mixed{policy, constant_reward(), QAlign{{.steps = 1}}, HighestReward{}};
  CHECK(mixed("p").stop == Stop::finished);
  CHECK(policy.calls == 3);
}

TEST_CASE("a policy that can be neither copied nor moved is held by reference") {
  auto shared = serialized(toy::policy());
  Decoder decoder{shared, toy::reward(), BestOfN{{.n = 2, .max_tokens = 4}}};
  CHECK(decoder("p").candidates.size() == 2);
}

TEST_CASE("a decoder runs when it is const, and so do const parts that allow it") {
  struct ConstPolicy {
    void generate(std::span<const Generation> work, std::span<Response> out) const {
      for (std::size_t i = 0; i < work.size(); ++i) out[i] = response_of({1});
    }
  };
  const ConstPolicy policy;
  const auto reward = constant_reward(2);
  const Decoder decoder{policy, reward, BestOfN{{.n = 2}}};
  CHECK(decoder("p").answer.reward == 2);
  const Decoder owning{CountedPolicy{}, constant_reward(3), BestOfN{{.n = 2}}};
  CHECK(owning("p").answer.reward == 3);
}

TEST_CASE("the poorest parts make a decoder") {
  const Decoder decoder{archetype::Policy(7), archetype::RewardModel(2), archetype::Sampler(4),
                        archetype::Selector(0)};
  const Result result = decoder("p");
  CHECK(result.answer.response.tokens == Tokens{7});
  CHECK(result.answer.reward == 2);
  CHECK(decoder.batch({"a", "b"}).size() == 2);
}

TEST_CASE("without a selector the sampler's own is taken, or HighestReward") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  const Decoder best{policy, reward, BestOfN{}};
  STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(best.selector())>, HighestReward>);
  const Decoder chain{policy, reward, QAlign{}};
  STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(chain.selector())>, LastState>);
  const Decoder own{policy, reward, archetype::Sampler(4)};
  STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(own.selector())>, HighestReward>);
  CHECK(best.sampler().options().n == 16);
}

TEST_CASE("no_reward serves methods that need none") {
  auto policy = toy::policy();
  const Decoder decoder{policy, no_reward, BestOfN{{.n = 3, .max_tokens = 4}}, LastState{}};
  const Result result = decoder("p");
  CHECK(result.candidates.size() == 3);
  CHECK(result.answer.reward == 0);
}

TEST_CASE("anything that makes a prompt can be asked") {
  std::vector<std::string> seen;
  Scripted policy([&](const Generation& work) {
    seen.emplace_back(work.prompt.text());
    return response_of({1});
  });
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 1}}};
  const std::string text = "string";
  (void)decoder("literal");
  (void)decoder(text);
  (void)decoder(std::string_view("view"));
  (void)decoder(Prompt("prompt"));
  (void)decoder.batch({"in", text});
  CHECK(seen == std::vector<std::string>{"literal", "string", "view", "prompt", "in", "string"});
}

TEST_CASE("frozen results: a best-of-8 and two forked chains") {
  // Computed by an independent program in Python.
  auto policy = toy::policy();
  auto reward = toy::reward();
  const Decoder best{policy, reward, BestOfN{{.n = 8, .max_tokens = 4}}};
  const Result eight = best("any prompt");
  CHECK(
      tokens_of(eight.candidates) ==
      std::vector<Tokens>{
          {0, 1, 2}, {0, 0, 1, 0}, {0, 0, 1, 1}, {0, 0, 1, 0}, {1, 1, 2}, {1, 1, 0, 0}, {2}, {2}});
  CHECK(eight.decision.index == 4);
  const Result other = best("any prompt", {.seed = 7, .stream = 3});
  CHECK(tokens_of(other.candidates) ==
        std::vector<Tokens>{
            {1, 1, 0, 2}, {2}, {2}, {0, 0, 2}, {0, 0, 0, 0}, {0, 0, 2}, {0, 0, 2}, {0, 0, 2}});
  CHECK(other.decision.index == 0);

  const Decoder chains{policy, reward,
                       QAlign{{.beta = 0.7, .steps = 10, .chains = 2, .fork = 2, .max_tokens = 4}}};
  const Population states = chains("any prompt").candidates;
  CHECK(tokens_of(states) == std::vector<Tokens>{{0, 1, 2},
                                                 {0, 1, 0, 2},
                                                 {0, 0, 1, 2},
                                                 {1, 2},
                                                 {2},
                                                 {2},
                                                 {0, 2},
                                                 {0, 0, 2},
                                                 {0, 0, 0, 2},
                                                 {0, 2},
                                                 {1, 1, 2},
                                                 {1, 0, 2},
                                                 {1, 0, 1, 1},
                                                 // the second chain
                                                 {0, 2},
                                                 {0, 1, 0, 1},
                                                 {1, 0, 0, 2},
                                                 {1, 2},
                                                 {1, 0, 1, 1},
                                                 {1, 2},
                                                 {0, 2},
                                                 {0, 1, 0, 2},
                                                 {0, 0, 1, 0},
                                                 {2},
                                                 {0, 0, 2},
                                                 {0, 0, 2},
                                                 {0, 1, 0, 2}});
  std::vector<double> weights;
  for (const Candidate& state : states) weights.push_back(state.weight);
  CHECK(weights == std::vector<double>{1, 1, 1, 1, 2, 2, 4, 1, 1, 1, 2, 2, 2,
                                       1, 1, 1, 4, 2, 2, 1, 1, 1, 2, 1, 2, 2});
}

TEST_CASE("frozen results: rejection and CARDS") {
  // Computed by the same program.
  auto policy = toy::policy();
  auto reward = toy::reward();
  const Decoder rejection{policy, reward, Rejection{{.beta = 0.7, .ceiling = 2, .max_tokens = 4}}};
  const Decoder cards{policy, reward,
                      Cards{{.beta = 0.7,
                             .reward_goal = 1.5,
                             .max_rejections = 5,
                             .max_tokens = 4,
                             .segment = {.entropy = 1.05, .min_tokens = 1, .max_tokens = 3}}}};
  std::vector<Tokens> rejected, built;
  std::vector<std::size_t> tried, searched;
  for (std::uint64_t stream = 0; stream < 6; ++stream) {
    const Result r = rejection("p", {.stream = stream});
    rejected.push_back(r.answer.response.tokens);
    tried.push_back(r.spent.policy_calls);
    const Result c = cards("p", {.stream = stream});
    built.push_back(c.answer.response.tokens);
    searched.push_back(c.spent.policy_calls);
  }
  CHECK(rejected ==
        std::vector<Tokens>{{1, 2}, {0, 2}, {1, 1, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 1, 2}});
  CHECK(tried == std::vector<std::size_t>{11, 20, 2, 2, 1, 21});
  CHECK(built ==
        std::vector<Tokens>{{1, 2}, {1, 0, 2}, {1, 1, 2}, {0, 1, 2}, {1, 2}, {0, 0, 1, 1}});
  CHECK(searched == std::vector<std::size_t>{2, 8, 2, 1, 4, 15});
}

TEST_CASE("a batch of one equals the single call, and run i uses stream + i") {
  runs::for_each_sampler([](const std::string& name, const auto& sampler) {
    INFO(name);
    auto policy = toy::policy();
    auto reward = toy::reward();
    const Decoder decoder{policy, reward, sampler, runs::Heaviest{}};
    const RunOptions options = {.seed = 5, .stream = 2, .budget = {.tokens = 60}};
    CHECK(runs::text_of(decoder.batch({"p"}, options)[0]) == runs::text_of(decoder("p", options)));
    const std::vector<Prompt> prompts = {"a", "b", "a", "c"};
    const std::vector<Result> merged = decoder.batch(prompts, options);
    REQUIRE(merged.size() == prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      RunOptions mine = options;
      mine.stream += i;
      CHECK(runs::text_of(merged[i]) == runs::text_of(decoder(prompts[i], mine)));
    }
    CHECK(runs::text_of(merged[0]) != runs::text_of(merged[2]));  // the same prompt twice
    CHECK(decoder.batch(std::vector<Prompt>{}).empty());
  });
}

TEST_CASE("each prompt of a batch may have run options of its own") {
  auto policy = toy::policy();
  const Decoder decoder{policy, toy::reward(), QAlign{{.steps = 10, .max_tokens = 4}}};
  const std::vector<Prompt> prompts{"p", "p", "p"};
  // Streams in any order: each run is the one of its own options.
  const std::vector<RunOptions> each{{.seed = 5, .stream = 9},
                                     {.seed = 5, .stream = 2},
                                     {.seed = 6, .budget = {.policy_calls = 0}}};
  const std::vector<Result> results = decoder.batch(prompts, each);
  REQUIRE(results.size() == 3);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(runs::text_of(results[i]) == runs::text_of(decoder(prompts[i], each[i])));
  }
  CHECK(runs::text_of(results[0]) != runs::text_of(results[1]));
  CHECK(results[2].stop == Stop::policy_calls);
  CHECK_THROWS_AS(decoder.batch(prompts, std::vector<RunOptions>(2)), InvalidOption);
  CHECK_THROWS_AS(decoder.batch(prompts, std::vector<RunOptions>(3, {.min_survivors = 0})),
                  InvalidOption);
}

TEST_CASE("the same decoder gives the same result again") {
  auto policy = toy::policy();
  const Decoder decoder{policy, toy::reward(), QAlign{{.steps = 10, .max_tokens = 4}}};
  const std::string first = runs::text_of(decoder("p", {.seed = 3}));
  (void)decoder("q", {.seed = 4});
  CHECK(runs::text_of(decoder("p", {.seed = 3})) == first);
}

TEST_CASE("what the loaded policy or reward cannot do is refused when the decoder is built") {
  const auto field = [](const Needs& needs, const Capabilities& has) -> std::string {
    try {
      const Decoder decoder{LoadedPolicy{has}, constant_reward(), Needy{needs}};
    } catch (const InvalidOption& error) {
      return error.field();
    }
    return "none";
  };
  const Capabilities nothing = {.tokens = false};
  const auto needs = [](const Capabilities& policy) { return Needs{.policy = policy}; };
  CHECK(field(needs(nothing), nothing) == "none");
  CHECK(field(needs({.tokens = true}), nothing) == "Policy.capabilities.tokens");
  CHECK(field(needs({.segments = true}), {}) == "Policy.capabilities.segments");
  CHECK(field(needs({.log_probs = true}), {}) == "Policy.capabilities.log_probs");
  CHECK(field(needs({.score_forced = true}), {}) == "Policy.capabilities.score_forced");
  CHECK(field(needs({.logits = true}), {}) == "Policy.capabilities.logits");
  CHECK(field(needs({.segments = true, .log_probs = true}),
              {.segments = true, .log_probs = true}) == "none");

  // CARDS needs segments by entropy, unless its segments have a fixed length.
  CardsOptions by_entropy = cards_options();
  by_entropy.segment.entropy = 3;
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, constant_reward(), Cards{by_entropy}), InvalidOption);
  CHECK_NOTHROW(Decoder(LoadedPolicy{{.segments = true}}, constant_reward(), Cards{by_entropy}));
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, constant_reward(), Cards{cards_options()}));
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, LoadedReward{}, Cards{cards_options()}), InvalidOption);
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, LoadedReward{false}, Cards{cards_options()}));
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, LoadedReward{}, BestOfN{}));
}

TEST_CASE("a reward may refuse the sampler's law") {
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, NeutralOnly{}, BestOfN{}));
  const SamplingLaw cool = {.temperature = 0.7};
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, NeutralOnly{}, BestOfN{{.law = cool}}), InvalidOption);
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, NeutralOnly{}, QAlign{{.law = cool}}), InvalidOption);
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, NeutralOnly{}, Rejection{{.ceiling = 1, .law = cool}}),
                  InvalidOption);
  CardsOptions options = cards_options();
  options.law = cool;
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, NeutralOnly{}, Cards{options}), InvalidOption);
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, NeutralOnly{}, archetype::Sampler(4)));  // it has no law
}

TEST_CASE("selectors of chain states refuse recycled weights") {
  const QAlign recycled{{.recycle = true}};
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, constant_reward(), recycled), InvalidOption);
  CHECK_THROWS_AS(Decoder(LoadedPolicy{}, constant_reward(), recycled, HighestReward{}),
                  InvalidOption);
  CHECK_NOTHROW(Decoder(LoadedPolicy{}, constant_reward(), recycled, runs::Heaviest{}));
}

TEST_CASE("options that were never given are refused when the decoder is built") {
  CHECK(contains(thrown_by<InvalidOption>([] {
                   const Decoder decoder{LoadedPolicy{}, constant_reward(), Rejection{}};
                 }),
                 "RejectionOptions.ceiling"));
  CardsOptions options = cards_options();
  options.reward_goal = unset;
  CHECK(contains(thrown_by<InvalidOption>([&] {
                   const Decoder decoder{LoadedPolicy{}, constant_reward(), Cards{options}};
                 }),
                 "CardsOptions.reward_goal"));
}

// The table of bad input.

TEST_CASE("option out of range, NaN, or contradictory: InvalidOption at construction") {
  const auto refused = [](auto make) {
    try {
      make();
    } catch (const InvalidOption& error) {
      CHECK_FALSE(error.value().empty());
      CHECK_FALSE(error.legal().empty());
      CHECK(contains(error.what(), error.field()));
      CHECK(contains(error.what(), error.value()));
      CHECK(contains(error.what(), error.legal()));
      return error.field();
    }
    return std::string("accepted");
  };
  CHECK(refused([] { BestOfN{{.n = 0}}; }) == "BestOfNOptions.n");
  CHECK(refused([] { BestOfN{{.max_tokens = 0}}; }) == "BestOfNOptions.max_tokens");
  CHECK(refused([] { BestOfN{{.stop_at = unset}}; }) == "BestOfNOptions.stop_at");
  CHECK(refused([] { BestOfN{{.law = {.temperature = -1}}}; }) == "BestOfNOptions.law.temperature");
  CHECK(refused([] { BestOfN{{.law = {.top_p = 0}}}; }) == "BestOfNOptions.law.top_p");
  CHECK(refused([] { BestOfN{{.law = {.min_p = 1.5}}}; }) == "BestOfNOptions.law.min_p");
  CHECK(refused([] { BestOfN{{.law = {.stop = {""}}}}; }) == "BestOfNOptions.law.stop");
  CHECK(refused([] { QAlign{{.beta = 0}}; }) == "QAlignOptions.beta");
  CHECK(refused([] { QAlign{{.beta = unset}}; }) == "QAlignOptions.beta");
  CHECK(refused([] { QAlign{{.beta = infinity}}; }) == "QAlignOptions.beta");
  CHECK(refused([] { QAlign{{.chains = 0}}; }) == "QAlignOptions.chains");
  CHECK(refused([] { QAlign{{.steps = 3, .burn_in = 4}}; }) == "QAlignOptions.burn_in");
  CHECK(refused([] { QAlign{{.restart = 1.01}}; }) == "QAlignOptions.restart");
  CHECK(refused([] { Rejection{{.beta = -1}}; }) == "RejectionOptions.beta");
  CHECK(refused([] { Rejection{{.ceiling = infinity}}; }) == "RejectionOptions.ceiling");
  CHECK(refused([] { Cards{{.alpha = 2}}; }) == "CardsOptions.alpha");
  CHECK(refused([] { Cards{{.segment = {.min_tokens = 5, .max_tokens = 4}}}; }) ==
        "CardsOptions.segment.max_tokens");
  CHECK(refused([] { Cards{{.reward_goal = 1, .pilot_draws = 4}}; }) == "CardsOptions.pilot_draws");
  const Decoder decoder{LoadedPolicy{}, constant_reward(), BestOfN{}};
  CHECK(refused([&] { (void)decoder("p", {.budget = {.seconds = -1}}); }) ==
        "RunOptions.budget.seconds");
  CHECK(refused([&] { (void)decoder.batch({"p"}, {.min_survivors = 0}); }) ==
        "RunOptions.min_survivors");
}

TEST_CASE(
    "a policy that fails: PolicyError naming prompt and cause, nothing already drawn is lost") {
  struct Case {
    std::string cause;
    Scripted::Function later;
  };
  const std::vector<Case> cases = {
      {"the server is gone",
       [](const Generation&) -> Response { throw std::runtime_error("the server is gone"); }},
      {"an empty response", [](const Generation&) { return Response{}; }},
      {"5 tokens where at most 4",
       [](const Generation&) {
         return response_of({1, 2, 3, 4, 5});
       }},
      {"1 log-probs for 2 tokens",
       [](const Generation&) {
         Response response = response_of({1, 2});
         response.log_probs = {-1};
         return response;
       }},
      {"finish = error", [](const Generation&) { return response_of({1}, Finish::error); }},
  };
  for (const Case& c : cases) {
    INFO(c.cause);
    Scripted policy = well_at_first(c.later);
    const Decoder decoder{policy, constant_reward(2),
                          BestOfN{{.n = 6, .max_tokens = 4, .width = 2}}};
    bool thrown = false;
    try {
      (void)decoder("What is 17 * 23?");
    } catch (const PolicyError& error) {
      thrown = true;
      CHECK(contains(error.what(), "What is 17 * 23?"));
      CHECK(contains(error.what(), "round 1"));
      CHECK(contains(error.what(), c.cause));
      REQUIRE(error.partial() != nullptr);
      CHECK(error.partial()->candidates.size() == 2);
      CHECK(error.partial()->answer.reward == 2);
      CHECK(error.partial()->stop == Stop::failed);
      CHECK(error.partial()->spent.policy_calls == 4);
      CHECK_FALSE(error.partial()->failures.empty());
    }
    CHECK(thrown);
  }
}

TEST_CASE("tokens after the end token: PolicyError naming prompt and cause") {
  auto policy = toy::policy();
  struct Overrun {
    decltype(policy)& of;
    [[nodiscard]] bool is_end(Token token) const { return of.is_end(token); }
    void generate(std::span<const Generation> work, std::span<Response> out) {
      of.generate(work, out);
      for (Response& response : out) {
        if (response.finish != Finish::stop) continue;
        response.tokens.push_back(0);
        response.log_probs.push_back(-1);
        response.raw_log_probs.push_back(-1);
        response.ends.push_back(response.ends.back());
      }
    }
  } overrun{policy};
  const Decoder decoder{overrun, toy::reward(), BestOfN{{.n = 8, .max_tokens = 8}}};
  const std::string message = thrown_by<PolicyError>([&] { (void)decoder("a prompt"); });
  CHECK(contains(message, "1 tokens after the end token"));
  CHECK(contains(message, "\"a prompt\""));
}

TEST_CASE("a reward that throws or returns NaN: RewardError, or a rejection if asked, never 0") {
  Scripted policy([next = Token{0}](const Generation&) mutable { return response_of({next++}); });
  const auto reward_of = [](double of_second) {
    return Judge([of_second](const Prompt&, const Response& y) -> double {
      if (y.tokens[0] % 3 != 1) return -5;
      if (of_second == 0) throw std::runtime_error("the judge is away");
      return of_second;
    });
  };
  const BestOfN three{{.n = 3}};
  const std::string threw =
      thrown_by<RewardError>([&] { (void)Decoder(policy, reward_of(0), three)("a prompt"); });
  CHECK(contains(threw, "the reward model failed on the prompt \"a prompt\""));
  CHECK(contains(threw, "the judge is away"));
  const std::string nan =
      thrown_by<RewardError>([&] { (void)Decoder(policy, reward_of(unset), three)("a prompt"); });
  CHECK(contains(nan, "the reward is nan"));
  const std::string infinite =
      thrown_by<RewardError>([&] { (void)Decoder(policy, reward_of(infinity), three)("p"); });
  CHECK(contains(infinite, "the reward is inf"));

  // Had NaN counted as 0, it would be the best.
  const Result rejected = Decoder(policy, reward_of(unset), three)("p", {.on_nan = OnNan::reject});
  CHECK(rejected.answer.reward == -5);
  CHECK(rejected.candidates.size() == 3);
  const Result survived =
      Decoder(policy, reward_of(unset), three)("p", {.on_failure = OnFailure::survive});
  CHECK(survived.answer.reward == -5);
  CHECK(survived.candidates.size() == 2);
  CHECK(Decoder(policy, reward_of(-infinity), three)("p").answer.reward == -5);
  // If all are -infinity, the earliest.
  const Result impossible = Decoder(policy, constant_reward(-infinity), three)("p");
  CHECK(impossible.decision.index == 0);
  CHECK(impossible.law_holds);
}

TEST_CASE("no survivor: an error that lists each cause") {
  Scripted policy([calls = 0](const Generation&) mutable -> Response {
    throw std::runtime_error("cause " + std::to_string(++calls));
  });
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 3}}};
  bool thrown = false;
  try {
    (void)decoder("p", {.on_failure = OnFailure::survive});
  } catch (const PolicyError& error) {
    thrown = true;
    for (const char* cause : {"cause 1", "cause 2", "cause 3"}) {
      CHECK(contains(error.what(), cause));
    }
    REQUIRE(error.partial() != nullptr);
    CHECK(error.partial()->failures.size() == 3);
    CHECK(error.partial()->candidates.empty());
  }
  CHECK(thrown);
}

TEST_CASE("no survivor of any sampler: a failure, not an empty success") {
  runs::for_each_sampler([](const std::string& name, const auto& sampler) {
    INFO(name);
    ScriptedSegments policy(
        [](const Generation&) -> Response { throw std::runtime_error("lost"); });
    const Decoder decoder{policy, toy::reward(), sampler, runs::Heaviest{}};
    const Result result = decoder.batch({"p"}, {.on_failure = OnFailure::survive})[0];
    CHECK(result.stop == Stop::failed);
    CHECK_FALSE(result.failures.empty());
    CHECK_THROWS_AS(decoder("p"), PolicyError);
  });
}

TEST_CASE("budget spent, stop requested: a normal result with the best so far and the reason") {
  Scripted policy(runs::numbered());
  std::stop_source source;
  Judge reward{[&](const Prompt&, const Response& y) {
    if (y.tokens[0] % 8 == 5) source.request_stop();
    return static_cast<double>(y.tokens[0] % 8);
  }};
  const Decoder decoder{policy, reward, BestOfN{{.n = 8, .width = 1}}};
  const Result spent = decoder("p", {.budget = {.reward_calls = 5}});
  CHECK(spent.stop == Stop::reward_calls);
  CHECK(spent.answer.reward == 4);
  CHECK_FALSE(spent.law_holds);
  const Result stopped = decoder("p", {.stop = source.get_token()});
  CHECK(stopped.stop == Stop::cancelled);
  CHECK(stopped.candidates.size() == 1);  // 5, at which it asks to stop
  CHECK(stopped.answer.reward == 5);
  CHECK_FALSE(stopped.law_holds);
}

TEST_CASE("empty prompt: an ordinary prompt") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  const Decoder decoder{policy, reward, BestOfN{{.n = 3, .max_tokens = 4}}};
  for (const Prompt& empty :
       {Prompt{}, Prompt(""), Prompt::from_messages({}), Prompt::from_tokens({})}) {
    const Result result = decoder(empty);
    CHECK(result.stop == Stop::finished);
    CHECK(result.candidates.size() == 3);
  }
  TextPolicy echo{[](std::string_view text) { return "<" + std::string(text) + ">"; }};
  const Decoder texts{echo, constant_reward(), BestOfN{{.n = 1}}};
  CHECK(texts("").answer.response.text == "<>");
}

TEST_CASE("empty response: an error of a token policy, legal from a text policy") {
  Scripted silent([](const Generation&) { return Response{}; });
  const Decoder tokens{silent, constant_reward(), BestOfN{{.n = 1}}};
  CHECK_THROWS_AS(tokens("p"), PolicyError);

  TextPolicy mute{[](std::string_view) { return std::string(); }};
  std::vector<std::size_t> scored;
  Judge reward{[&](const Prompt&, const Response& y) {
    scored.push_back(y.text.size());
    return 3.0;
  }};
  const Decoder texts{mute, reward, BestOfN{{.n = 2}}};
  const Result result = texts("p");
  CHECK(result.stop == Stop::finished);
  CHECK(result.answer.response.empty());
  CHECK(result.answer.reward == 3);
  CHECK(scored == std::vector<std::size_t>{0, 0});
}

TEST_CASE("invalid UTF-8 cut inside a character: bytes are kept as they are") {
  // Two tokens that make one character, and a third that begins another: a cut may fall anywhere.
  LogitPolicy policy{-1,
                     [](TokenSpan) {
                       return std::vector<double>{0, 0, 0};
                     },
                     [](Token token) { return std::string(token == 0 ? "\xc3" : "\xa9"); }};
  const auto bytes_of = [](const Response& y) {
    std::string bytes;
    for (const Token token : y.tokens) bytes += token == 0 ? '\xc3' : '\xa9';
    return bytes;
  };
  Judge reward{[&](const Prompt&, const Response& y) {
    REQUIRE(y.text == bytes_of(y));
    REQUIRE(y.ends.size() == y.tokens.size());
    return static_cast<double>(y.text.size());
  }};
  const Decoder chain{policy, reward, QAlign{{.steps = 30, .max_tokens = 3}}};
  const Result result = chain("\xff\xfe prompt of bytes \xc3");
  CHECK(result.stop == Stop::finished);
  for (const Candidate& candidate : result.candidates) {
    CHECK(candidate.response.text == bytes_of(candidate.response));
  }

  // A message about a long prompt is not cut inside a character.
  std::string prompt;
  for (int i = 0; i < 40; ++i) prompt += "\xc3\xa9";
  Scripted broken([](const Generation&) -> Response { throw std::runtime_error("no"); });
  const Decoder decoder{broken, constant_reward(), BestOfN{{.n = 1}}};
  const std::string message = thrown_by<PolicyError>([&] { (void)decoder('x' + prompt); });
  CHECK(contains(message, "\xc3\xa9…"));
  CHECK_FALSE(contains(message, "\xc3…"));
}

// Failures, further.

TEST_CASE("batch never throws for one prompt") {
  Scripted policy([](const Generation& work) {
    if (work.prompt.text() == "bad") throw std::runtime_error("this one only");
    return response_of({1});
  });
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 2}}};
  const std::vector<Result> results = decoder.batch({"good", "bad", "fine"});
  REQUIRE(results.size() == 3);
  CHECK(results[0].stop == Stop::finished);
  CHECK(results[2].stop == Stop::finished);
  CHECK(results[2].candidates.size() == 2);
  CHECK(results[1].stop == Stop::failed);
  REQUIRE(results[1].failures.size() == 1);  // the first one ends the run
  CHECK(contains(results[1].failures[0].what, "\"bad\""));
  CHECK(contains(results[1].failures[0].what, "this one only"));
  CHECK_THROWS_AS(std::rethrow_exception(results[1].failures[0].cause), std::runtime_error);
}

TEST_CASE("a prompt that the sampler cannot start with fails its run and no other") {
  Scripted policy([](const Generation&) { return response_of({1}); });
  const Decoder decoder{policy, constant_reward(), Prs{{.n = 2, .layers = 2}}};
  const Prompt ids = Prompt::from_tokens({1, 2});
  struct Watch {
    std::vector<std::size_t> ended = {};
    void on(const RunFinished& event) { ended.push_back(event.run); }
  } watch;
  const std::vector<Result> results = decoder.batch({"a", ids, "b"}, {.seed = 3}, watch);
  REQUIRE(results.size() == 3);
  CHECK(results[1].stop == Stop::failed);
  CHECK_FALSE(results[1].law_holds);
  REQUIRE(results[1].failures.size() == 1);
  CHECK(results[1].failures[0].part == FailedPart::sampler);
  CHECK(runs::contains(results[1].failures[0].what, "2 token ids"));
  CHECK(watch.ended == std::vector<std::size_t>{1, 0, 2});
  // The others are what they are alone: run i uses stream + i.
  CHECK(runs::text_of(results[0]) == runs::text_of(decoder("a", {.seed = 3})));
  CHECK(runs::text_of(results[2]) == runs::text_of(decoder("b", {.seed = 3, .stream = 2})));
  CHECK_THROWS_AS((void)decoder(ids), InvalidOption);
}

TEST_CASE("a selector that throws fails its run, keeps what was found, and no other run") {
  Scripted policy([](const Generation& work) {
    return response_of({static_cast<Token>(work.prompt.text().size())});
  });
  const auto selector = [](const Population& population, Random&) -> Decision {
    if (population[0].response.tokens[0] == 3) throw std::runtime_error("no answer in it");
    return {.index = 1};
  };
  const Decoder decoder{policy, runs::token_sum(), BestOfN{{.n = 2}}, selector};
  struct Finished {
    std::size_t failed = 0;
    void on(const RunFinished& event) { failed += event.result.stop == Stop::failed; }
  } observer;
  for (const bool observed : {false, true}) {
    const std::vector<Prompt> prompts = {"ab", "abc", "abcd"};
    const std::vector<Result> results =
        observed ? decoder.batch(prompts, {}, observer) : decoder.batch(prompts);
    CHECK(results[0].decision.index == 1);
    CHECK(results[2].decision.index == 1);
    CHECK(results[1].stop == Stop::failed);
    CHECK_FALSE(results[1].law_holds);
    CHECK(results[1].candidates.size() == 2);
    CHECK(results[1].spent.policy_calls == 2);
    REQUIRE(results[1].failures.size() == 1);
    CHECK(results[1].failures[0].part == FailedPart::selector);
    CHECK(results[1].failures[0].what ==
          "the selector failed on the prompt \"abc\": no answer in it");
  }
  CHECK(observer.failed == 1);
  bool thrown = false;
  try {
    (void)decoder("abc");
  } catch (const Error& error) {
    thrown = true;
    CHECK(contains(error.what(), "no answer in it"));
    REQUIRE(error.partial() != nullptr);
    CHECK(error.partial()->candidates.size() == 2);
  }
  CHECK(thrown);
}

TEST_CASE("a sampler or a transform that throws fails its run and no other") {
  // Fails on one prompt, after its first round.
  struct Fragile {
    struct State {
      Prompt prompt = {};
      std::size_t round = 0;
    };
    bool with_option = false;
    using DefaultSelector = HighestReward;
    [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
    void ask(State& state, Round& round) const {
      if (state.round == 2) return;
      round.sample({.prompt = state.prompt, .max_tokens = 4});
    }
    void tell(State& state, Round& round) const {
      if (++state.round == 2 && state.prompt.text() == "bad") {
        if (with_option) throw InvalidOption("Fragile.option", "1", "2");
        throw std::domain_error("log of a negative number");
      }
      if (round.draws()[0].status == DrawStatus::done) round.emit(round.take(0));
    }
  };
  Scripted policy([](const Generation&) { return response_of({1}); });
  const Decoder decoder{policy, constant_reward(), Fragile{}};
  const std::vector<Result> results = decoder.batch({"good", "bad", "fine"});
  for (const std::size_t good : {0u, 2u}) {
    CHECK(results[good].stop == Stop::finished);
    CHECK(results[good].candidates.size() == 2);
  }
  CHECK(results[1].stop == Stop::failed);
  CHECK_FALSE(results[1].law_holds);
  CHECK(results[1].candidates.size() == 2);  // the second without a reward
  CHECK(results[1].candidates.total_weight() == 1);
  CHECK(results[1].spent.policy_calls == 2);
  CHECK(results[1].spent.reward_calls == 2);
  REQUIRE(results[1].failures.size() == 1);
  CHECK(results[1].failures[0].part == FailedPart::sampler);
  CHECK(results[1].failures[0].what ==
        "the sampler failed on the prompt \"bad\" (lane 0, round 1): log of a negative number");

  const auto partial_of = [](const auto& failing) {
    std::size_t candidates = 0;
    std::string type;
    try {
      (void)failing("bad");
    } catch (const InvalidOption& error) {
      type = "InvalidOption";
      REQUIRE(error.partial() != nullptr);
      candidates = error.partial()->candidates.size();
    } catch (const Error& error) {
      type = contains(error.what(), "log of a negative number") ? "Error" : error.what();
      REQUIRE(error.partial() != nullptr);
      candidates = error.partial()->candidates.size();
      CHECK_THROWS_AS(std::rethrow_exception(error.partial()->failures.at(0).cause),
                      std::domain_error);
    }
    CHECK(candidates == 2);
    return type;
  };
  CHECK(partial_of(decoder) == "Error");
  const Decoder refusing{policy, constant_reward(), Fragile{.with_option = true}};
  CHECK(partial_of(refusing) == "InvalidOption");

  bool broken = false;
  const Decoder calibrated{
      policy, constant_reward(),
      Calibrated{BestOfN{{.n = 2, .max_tokens = 4}},
                 {.references = 3, .transform = [&broken](double u) {
                    if (broken) throw std::domain_error("a transform that has its moods");
                    return u;
                  }}}};
  broken = true;
  const std::vector<Result> moody = calibrated.batch({"a", "b"});
  for (const Result& result : moody) {
    CHECK(result.stop == Stop::failed);
    CHECK(result.spent.policy_calls == 5);
    CHECK(result.spent.reward_calls == 5);
    REQUIRE(result.candidates.size() == 2);  // the references are nobody's candidates
    CHECK(result.candidates.total_weight() == 0);
    CHECK(contains(result.failures.at(0).what, "a transform that has its moods"));
  }
}

TEST_CASE("with survivors a selector that throws is what the error is about") {
  Scripted policy([calls = 0](const Generation&) mutable -> Response {
    if (++calls == 2) throw std::runtime_error("one draw was lost");
    return response_of({1});
  });
  const auto selector = [](const Population&, Random&) -> Decision {
    throw std::runtime_error("no answer in it");
  };
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 3}}, selector};
  bool thrown = false;
  try {
    (void)decoder("p", {.on_failure = OnFailure::survive});
  } catch (const PolicyError&) {
    FAIL("the policy is not what ended the run");
  } catch (const Error& error) {
    thrown = true;
    CHECK(std::string(error.what()).rfind("the selector failed", 0) == 0);
    CHECK(contains(error.what(), "one draw was lost"));
    REQUIRE(error.partial() != nullptr);
    CHECK(error.partial()->candidates.size() == 2);
  }
  CHECK(thrown);
}

TEST_CASE("the message of many failures stays short, and their number is told") {
  Scripted policy([](const Generation&) -> Response { throw std::runtime_error("lost"); });
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 2000}}};
  const std::string message =
      thrown_by<PolicyError>([&] { (void)decoder("p", {.on_failure = OnFailure::survive}); });
  CHECK(std::count(message.begin(), message.end(), '\n') == 16);
  CHECK(contains(message, "draw 15"));
  CHECK_FALSE(contains(message, "draw 16"));
  CHECK(contains(message, "and 1984 more failures"));
}

TEST_CASE("a batch holds the runs that are under way, and lets go of those that have ended") {
  // How many sessions there are is how many hold a copy of the sampler.
  struct Counted : BestOfN {
    std::shared_ptr<int> alive = std::make_shared<int>(0);
    explicit Counted(BestOfNOptions options) : BestOfN(std::move(options)) {}
  };
  const Counted sampler{{.n = 16, .max_tokens = 1}};
  long most = 0;
  Scripted policy([&](const Generation&) {
    most = std::max(most, sampler.alive.use_count());
    return response_of({1});
  });
  const Decoder decoder{policy, constant_reward(), sampler};
  const std::vector<Prompt> prompts(3000, "p");
  const std::vector<Result> results = decoder.batch(prompts);
  // 16 x 1024 pieces of work are under way at most: 1024 runs, and the copies here and in the decoder.
  CHECK(most == 1024 + 2);
  CHECK(sampler.alive.use_count() == 2);
  CHECK(*std::max_element(policy.rows.begin(), policy.rows.end()) == 1024 * 16);
  CHECK(policy.rows.size() == 3);
  REQUIRE(results.size() == 3000);
  for (const Result& result : results) CHECK(result.candidates.size() == 16);
}

TEST_CASE("a deadline keeps what was drawn and not scored") {
  Scripted policy([next = 0](const Generation&) mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return response_of({next++});
  });
  const Decoder decoder{policy, constant_reward(), BestOfN{{.n = 8}}};
  struct Watch {
    std::size_t emitted = 0;
    void on(const CandidateEmitted&) { ++emitted; }
  } watch;
  const Result result = decoder("p", {.budget = {.seconds = 0.001}}, watch);
  CHECK(result.stop == Stop::seconds);
  CHECK(result.spent.policy_calls == 8);
  CHECK(result.spent.reward_calls == 0);
  REQUIRE(result.candidates.size() == 8);
  CHECK(watch.emitted == 8);
  CHECK(result.answer.response.text == "0");
  CHECK(std::isnan(result.answer.reward));
  CHECK_FALSE(result.law_holds);
}

TEST_CASE("the error is of the part that failed first") {
  Scripted policy([calls = 0](const Generation&) mutable -> Response {
    if (++calls == 2) throw std::runtime_error("drawing");
    return response_of({1});
  });
  Judge reward{
      [](const Prompt&, const Response&) -> double { throw std::runtime_error("scoring"); }};
  const Decoder decoder{policy, reward, BestOfN{{.n = 3}}};
  // Both fail; draw 0 was drawn and not scored, draw 1 was not drawn.
  const std::string message =
      thrown_by<RewardError>([&] { (void)decoder("p", {.on_failure = OnFailure::survive}); });
  CHECK(contains(message, "scoring"));
  CHECK(contains(message, "drawing"));
}

TEST_CASE("a sampler that fails in one lane keeps what the others have") {
  Scripted policy([calls = 0](const Generation&) mutable -> Response {
    if (++calls == 8) throw std::runtime_error("lost");
    return response_of({calls});
  });
  const Decoder decoder{policy, constant_reward(1), QAlign{{.steps = 9, .chains = 3}}};
  const Result result = decoder.batch({"p"})[0];
  CHECK(result.stop == Stop::failed);
  CHECK(result.spent.policy_calls == 9);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].lane == 1);
  CHECK(result.failures[0].round == 2);
  double states = 0;
  for (const Candidate& candidate : result.candidates) states += candidate.weight;
  CHECK(states == 8);
}

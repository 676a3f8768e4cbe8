// Tables of engines, rewards and options that no one should use, each row in a process of its own: every
// row ends in a result or in an error of tilt, in time and within its memory.

#include <array>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <utility>

#include "hostile/worlds.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "tilt/selector/borda_vote.hpp"
#include "tilt/selector/extract.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/selector/rank_draw.hpp"
#include "tilt/selector/regularized_best.hpp"
#include "tilt/selector/soft_best.hpp"
#include "tilt/selector/weighted_majority_vote.hpp"

using namespace tilt;
using hostile::Expected;

namespace {

/// What is wrong with a result, or nothing.
std::string fault_of(const Result& result) {
  for (const Candidate& candidate : result.candidates) {
    if (!(candidate.weight >= 0 && std::isfinite(candidate.weight))) return "a weight is no number";
    if (candidate.reward == infinity) return "a reward is +infinity";
    for (const Token token : candidate.response.tokens) {
      if (token < 0) return "a token is negative";
    }
  }
  if (result.decision.index != npos && result.decision.index >= result.candidates.size()) {
    return "the decision is none of the candidates";
  }
  if (result.law_holds && !result.failures.empty()) return "the law holds with failures";
  return {};
}

/// One prompt, then a batch of two, with and without regard to failures.
template <class S>
std::string meet(const S& sampler, hostile::Engine engine, hostile::Reward reward,
                 Expected expected) {
  const Prompt prompts[] = {"Q", "R"};
  for (const OnFailure on_failure : {OnFailure::fail, OnFailure::survive}) {
    for (const OnNan on_nan : {OnNan::fail, OnNan::reject}) {
      const RunOptions options = {.budget = {.policy_calls = 200, .reward_calls = 200},
                                  .on_failure = on_failure,
                                  .on_nan = on_nan};
      const bool strict = on_failure == OnFailure::fail && on_nan == OnNan::fail;
      Decoder decoder{engine, reward, sampler};
      try {
        const Result result = decoder(prompts[0], options);
        const std::string fault = fault_of(result);
        if (!fault.empty()) return fault;
        if (strict && expected == Expected::failure) return "it was accepted";
      } catch (const Error& error) {
        if (std::string_view(error.what()).size() > 10'000) return "the message is very long";
      }
      const std::vector<Result> results = decoder.batch(prompts, options);
      if (results.size() != 2) return "a result is missing";
      for (const Result& result : results) {
        const std::string fault = fault_of(result);
        if (!fault.empty()) return fault;
        if (strict && expected == Expected::failure && result.stop != Stop::failed) {
          return "a batch accepted it";
        }
      }
    }
  }
  return "ended";
}

template <class S>
void check_all_worlds(const char* name, const S& sampler) {
  for (const hostile::EngineRow& row : hostile::engines()) {
    CAPTURE(name, row.name);
    CHECK(child::run([&] {
            return meet(sampler, row.engine, hostile::sound_scorer(), row.expected);
          }) == "ended");
  }
  for (const hostile::RewardRow& row : hostile::rewards()) {
    CAPTURE(name, row.name);
    CHECK(child::run([&] {
            return meet(sampler, hostile::sound_engine(), row.reward, row.expected);
          }) == "ended");
  }
}

const SegmentRule segment = {.entropy = 1, .min_tokens = 1, .max_tokens = 2};

const BestOfNOptions best_of_n = {.n = 4, .max_tokens = 4, .width = 2};
const RejectionOptions rejection = {
    .beta = 1, .ceiling = 3, .max_rejections = 5, .max_tokens = 4, .parallel = 2};
const QAlignOptions qalign = {.steps = 4,
                              .chains = 2,
                              .fork = 2,
                              .burn_in = 1,
                              .max_tokens = 4,
                              .initial_draws = 2,
                              .restart = 0.5};
const CardsOptions cards = {
    .reward_goal = 3, .max_rejections = 3, .parallel = 2, .max_tokens = 4, .segment = segment};
const TpoOptions tpo = {.n = 2, .rounds = 1, .max_tokens = 4, .critique_max_tokens = 4};
const PrsOptions prs = {.n = 4, .max_tokens = 4, .feedback_max_tokens = 4};
const EpsilonBestOfOptions epsilon = {.epsilon = 0.5, .k = 3, .max_tokens = 4};
const BestOfPoissonOptions poisson = {.mu = 2, .max_tokens = 4};

}  // namespace

TEST_CASE("engines and rewards that do what they must not end every sampler in order",
          "[hostile]") {
  SECTION("best of n") { check_all_worlds("BestOfN", BestOfN{best_of_n}); }
  SECTION("rejection") { check_all_worlds("Rejection", Rejection{rejection}); }
  SECTION("QAlign") { check_all_worlds("QAlign", QAlign{qalign}); }
  SECTION("CARDS") { check_all_worlds("Cards", Cards{cards}); }
  SECTION("TPO") { check_all_worlds("Tpo", Tpo{tpo}); }
  SECTION("PRS") { check_all_worlds("Prs", Prs{prs}); }
  SECTION("epsilon best of") { check_all_worlds("EpsilonBestOf", EpsilonBestOf{epsilon}); }
  SECTION("best of Poisson") { check_all_worlds("BestOfPoisson", BestOfPoisson{poisson}); }
  SECTION("calibrated best of n") {
    check_all_worlds("Calibrated BestOfN", Calibrated{BestOfN{best_of_n}, {.references = 3}});
  }
  SECTION("calibrated QAlign") {
    check_all_worlds("Calibrated QAlign", Calibrated{QAlign{qalign}, {.references = 3}});
  }
}

TEST_CASE("a table finds what crashes, hangs, floods memory or lets an exception out",
          "[hostile]") {
  const auto crash = [] {
    raise(SIGSEGV);
    return std::string("ended");
  };
  CHECK(child::run(crash) != "ended");
  CHECK(child::run([]() -> std::string { throw std::runtime_error("it broke"); }) ==
        "threw it broke");
  CHECK(child::run([]() -> std::string { throw 7; }) == "threw what is no std::exception");
  CHECK(child::run(
            [] {
              for (volatile bool forever = true; forever;) {
              }
              return std::string("ended");
            },
            {.seconds = 1}) != "ended");
  if (child::limits_memory) {
    const auto flood = [] {
      const std::vector<char> bytes(std::size_t{1} << 30, 'a');
      return std::string("ended") + bytes[12345];
    };
    CHECK(child::run(flood) == "threw std::bad_alloc");
  }
}

namespace {

/// Makes a sampler and runs it with a budget of five calls.
template <class S, class Options>
std::string try_options(const Options& options,
                        const RunOptions& run = {
                            .budget = {.policy_calls = 5, .reward_calls = 5}}) {
  hostile::Engine engine = hostile::sound_engine();
  hostile::Reward reward = hostile::sound_scorer();
  try {
    Decoder decoder{engine, reward, S{options}};
    try {
      const std::string fault = fault_of(decoder("Q", run));
      return fault.empty() ? "ended" : fault;
    } catch (const Error& error) {
      const bool flooded =
          std::string_view(error.what()).find("bad_alloc") != std::string_view::npos;
      return flooded ? "it took more memory than its budget needs" : "ended";
    }
  } catch (const InvalidOption&) {
    return "ended";
  }
}

constexpr auto counts = std::to_array<std::size_t>({0, 1, std::size_t{1} << 32, npos});
const auto numbers =
    std::to_array<double>({0.0, -0.0, 1.0, -1.0, std::numeric_limits<double>::denorm_min(),
                           std::numeric_limits<double>::max(),
                           std::numeric_limits<double>::lowest(), infinity, -infinity, unset});

/// Every option of a sampler at every value, one at a time.
template <class S, class Options>
struct Sweep {
  const char* sampler;
  Options base;

  template <class Set>
  void all(const char* option, const auto& values, Set set) const {
    for (const auto value : values) {
      CAPTURE(sampler, option, value);
      CHECK(child::run([&] {
              Options options = base;
              set(options, value);
              return try_options<S>(options);
            }) == "ended");
    }
  }
  void count(const char* option, std::size_t Options::*member) const {
    all(option, counts, [member](Options& o, std::size_t value) { o.*member = value; });
  }
  void number(const char* option, double Options::*member) const {
    all(option, numbers, [member](Options& o, double value) { o.*member = value; });
  }
};

}  // namespace

TEST_CASE("any number in any option of a sampler is refused, or runs within its budget",
          "[hostile]") {
  SECTION("best of n") {
    const Sweep<BestOfN, BestOfNOptions> sweep{"BestOfN", best_of_n};
    sweep.count("n", &BestOfNOptions::n);
    sweep.count("max_tokens", &BestOfNOptions::max_tokens);
    sweep.count("width", &BestOfNOptions::width);
    sweep.number("stop_at", &BestOfNOptions::stop_at);
    sweep.all("law.temperature", numbers, [](auto& o, double v) { o.law.temperature = v; });
    sweep.all("law.top_p", numbers, [](auto& o, double v) { o.law.top_p = v; });
    sweep.all("law.min_p", numbers, [](auto& o, double v) { o.law.min_p = v; });
    sweep.all("law.top_k", counts, [](auto& o, std::size_t v) { o.law.top_k = v; });
    sweep.all("n and width", counts, [](auto& o, std::size_t v) { o.n = o.width = v; });
    sweep.all("n at once", counts, [](auto& o, std::size_t v) { o.n = v, o.width = 0; });
  }
  SECTION("rejection") {
    const Sweep<Rejection, RejectionOptions> sweep{"Rejection", rejection};
    sweep.number("beta", &RejectionOptions::beta);
    sweep.number("ceiling", &RejectionOptions::ceiling);
    sweep.count("max_rejections", &RejectionOptions::max_rejections);
    sweep.count("max_tokens", &RejectionOptions::max_tokens);
    sweep.count("parallel", &RejectionOptions::parallel);
  }
  SECTION("QAlign") {
    const Sweep<QAlign, QAlignOptions> sweep{"QAlign", qalign};
    sweep.number("beta", &QAlignOptions::beta);
    sweep.number("restart", &QAlignOptions::restart);
    sweep.count("steps", &QAlignOptions::steps);
    sweep.count("chains", &QAlignOptions::chains);
    sweep.count("fork", &QAlignOptions::fork);
    sweep.count("burn_in", &QAlignOptions::burn_in);
    sweep.count("max_tokens", &QAlignOptions::max_tokens);
    sweep.count("initial_draws", &QAlignOptions::initial_draws);
  }
  SECTION("CARDS") {
    const Sweep<Cards, CardsOptions> sweep{"Cards", cards};
    sweep.number("beta", &CardsOptions::beta);
    sweep.number("reward_goal", &CardsOptions::reward_goal);
    sweep.number("alpha", &CardsOptions::alpha);
    sweep.number("pilot_quantile", &CardsOptions::pilot_quantile);
    sweep.count("max_rejections", &CardsOptions::max_rejections);
    sweep.count("parallel", &CardsOptions::parallel);
    sweep.count("max_tokens", &CardsOptions::max_tokens);
    sweep.all("pilot_draws", counts,
              [](auto& o, std::size_t v) { o.pilot_draws = v, o.reward_goal = unset; });
    sweep.all("segment.entropy", numbers, [](auto& o, double v) { o.segment.entropy = v; });
    sweep.all("segment.min_tokens", counts,
              [](auto& o, std::size_t v) { o.segment.min_tokens = v; });
    sweep.all("segment.max_tokens", counts,
              [](auto& o, std::size_t v) { o.segment.max_tokens = v; });
  }
  SECTION("TPO") {
    const Sweep<Tpo, TpoOptions> sweep{"Tpo", tpo};
    sweep.count("n", &TpoOptions::n);
    sweep.count("rounds", &TpoOptions::rounds);
    sweep.count("max_tokens", &TpoOptions::max_tokens);
    sweep.count("critique_max_tokens", &TpoOptions::critique_max_tokens);
    sweep.number("margin", &TpoOptions::margin);
    sweep.number("min_gap", &TpoOptions::min_gap);
    sweep.number("stop_at", &TpoOptions::stop_at);
    sweep.number("max_growth", &TpoOptions::max_growth);
  }
  SECTION("PRS") {
    const Sweep<Prs, PrsOptions> sweep{"Prs", prs};
    sweep.count("n", &PrsOptions::n);
    sweep.count("layers", &PrsOptions::layers);
    sweep.count("parents", &PrsOptions::parents);
    sweep.count("max_tokens", &PrsOptions::max_tokens);
    sweep.count("feedback_max_tokens", &PrsOptions::feedback_max_tokens);
    sweep.all("n and layers", counts, [](auto& o, std::size_t v) { o.n = o.layers = v; });
  }
  SECTION("epsilon best of") {
    const Sweep<EpsilonBestOf, EpsilonBestOfOptions> sweep{"EpsilonBestOf", epsilon};
    sweep.number("epsilon", &EpsilonBestOfOptions::epsilon);
    sweep.count("max_tokens", &EpsilonBestOfOptions::max_tokens);
    sweep.all("k, always", counts, [](auto& o, std::size_t v) { o.k = v, o.epsilon = 1; });
  }
  SECTION("best of Poisson") {
    const Sweep<BestOfPoisson, BestOfPoissonOptions> sweep{"BestOfPoisson", poisson};
    sweep.number("mu", &BestOfPoissonOptions::mu);
    sweep.all("a large mu", std::array{1e6, 3e17, 1e19}, [](auto& o, double v) { o.mu = v; });
    sweep.count("max_tokens", &BestOfPoissonOptions::max_tokens);
  }
  SECTION("calibrated") {
    for (const std::size_t references : counts) {
      CAPTURE(references);
      CHECK(child::run([&] {
              hostile::Engine engine = hostile::sound_engine();
              hostile::Reward reward = hostile::sound_scorer();
              try {
                Decoder decoder{engine, reward,
                                Calibrated{QAlign{qalign}, {.references = references}}};
                try {
                  return fault_of(decoder("Q", {.budget = {.policy_calls = 5}}));
                } catch (const Error&) {
                }
              } catch (const InvalidOption&) {
              }
              return std::string{};
            }) == "");
    }
  }
  SECTION("of a run") {
    for (const std::size_t value : counts) {
      CAPTURE(value);
      const auto run = [&](const RunOptions& options) {
        return child::run([&] { return try_options<QAlign>(qalign, options); });
      };
      CHECK(run({.budget = {.tokens = value}}) == "ended");
      CHECK(run({.budget = {.policy_calls = value}}) == "ended");
      CHECK(run({.budget = {.reward_calls = value}}) == "ended");
      CHECK(run({.on_failure = OnFailure::survive, .min_survivors = value}) == "ended");
      CHECK(run({.seed = value, .stream = value}) == "ended");
    }
    for (const double seconds : numbers) {
      CAPTURE(seconds);
      CHECK(child::run([&] {
              return try_options<QAlign>(qalign,
                                         {.budget = {.policy_calls = 5, .seconds = seconds}});
            }) == "ended");
    }
  }
}

namespace {

/// Every weight and reward that a population may come to a selector with, by a sampler of the user's.
template <class Selector>
std::string select(const Selector& selector) {
  for (const double weight : numbers) {
    for (const double reward : numbers) {
      for (const std::size_t n : {0u, 1u, 3u}) {
        Population population;
        for (std::size_t i = 0; i < n; ++i) {
          Candidate candidate{.reward = i == 1 ? 0.0 : reward, .weight = weight};
          candidate.response.text = std::string("The answer is ") + "ABC"[i];
          candidate.response.tokens = {static_cast<Token>(i)};
          population.add(candidate, 0);
        }
        Random random(1);
        try {
          const Decision decision = selector(population, random);
          if (decision.index != npos && decision.index >= n) return "an index out of range";
        } catch (const Error&) {
        }
      }
    }
  }
  return "ended";
}

}  // namespace

TEST_CASE("any weight and reward, and any number in any option of a selector", "[hostile]") {
  const auto check = [](auto make) {
    return child::run([&]() -> std::string {
      try {
        return select(make());
      } catch (const Error&) {
        return "ended";  // also of a transform that no fixed point is found for
      }
    });
  };
  CHECK(check([] { return HighestReward{}; }) == "ended");
  CHECK(check([] { return MajorityVote{last_choice}; }) == "ended");
  CHECK(check([] { return RegularizedBest{token_f1, {.mbr = 1}}; }) == "ended");
  for (const double value : numbers) {
    CAPTURE(value);
    CHECK(check([&] { return SoftBest{{.lambda = value}}; }) == "ended");
    CHECK(check([&] { return WeightedMajorityVote{last_choice, {.beta = value}}; }) == "ended");
    CHECK(check([&] { return BordaVote{last_choice, {.power = value}}; }) == "ended");
    CHECK(check([&] { return RegularizedBest{{.length = value}}; }) == "ended");
    CHECK(check([&] { return RankDraw{QuantileTilt::from(transform::exponential(value), 1)}; }) ==
          "ended");
    CHECK(check([&] { return RankDraw{QuantileTilt::from(transform::identity, value)}; }) ==
          "ended");
    CHECK(check([&] { return RankDraw{QuantileTilt::best_of(4, value)}; }) == "ended");
    CHECK(check([&] { return RankDraw{QuantileTilt::worst_of(4, value)}; }) == "ended");
  }
  for (const std::size_t n : counts) {
    CAPTURE(n);
    CHECK(check([&] { return RankDraw{QuantileTilt::best_of(n, 0.5)}; }) == "ended");
    CHECK(check([&] { return RankDraw{QuantileTilt::worst_of(n, 0.5)}; }) == "ended");
  }
}

TEST_CASE("a selector that names none of the candidates fails its run alone", "[hostile]") {
  const auto far = [](const Population&, Random&) { return Decision{.index = 1'000'000}; };
  CHECK(child::run([&] {
          hostile::Engine engine = hostile::sound_engine();
          hostile::Reward reward = hostile::sound_scorer();
          Decoder decoder{engine, reward, BestOfN{best_of_n}, far};
          const Result result = decoder.batch({"Q"})[0];
          return std::string(result.stop == Stop::failed ? "failed" : "accepted");
        }) == "failed");
}

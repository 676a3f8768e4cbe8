#include "tilt/sampler/calibrated.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/chain_kernel.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/runs.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/prs.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"
#include "tilt/sampler/tpo.hpp"
#include "tilt/testing/check_sampler.hpp"

using namespace tilt;
using namespace tilt::testing;
using Catch::Matchers::WithinAbs;
using law_table::expect_caught;
using law_table::expect_law;
using law_table::expect_mean;
using law_table::expect_mean_caught;
using law_table::MeanCheck;
using runs::contains;
using runs::response_of;

namespace {

constexpr std::size_t runs_of_law = 20'000;
constexpr std::size_t most = toy::max_tokens;
using Phi = std::function<double(double)>;

// The rewards of the references of the empty prompt, drawn by the test from the work that is asked for.
std::vector<double> references_of(std::size_t K, std::uint64_t seed = 1) {
  RoundBench bench(Calibrated{BestOfN{{.n = 3, .max_tokens = most}}, {.references = K}}, seed);
  const auto draws = bench.ask();
  REQUIRE(draws.size() == 3 + K);
  auto policy = toy::policy();
  std::vector<double> rewards;
  for (const Draw& draw : draws.first(K)) {
    CHECK((draw.to_generate && draw.to_score && draw.work.prefix.empty()));
    Response response;
    policy.generate({&draw.work, 1}, {&response, 1});
    rewards.push_back(tied_toy::reward_of(response.tokens));
  }
  return rewards;
}

// How a response's quantile is computed, rightly and wrongly.
struct Rule {
  double of_equals = 0.5, with_itself = 0;
  double operator()(const std::vector<double>& references, double reward) const {
    double below = 0, equal = with_itself;
    for (const double r : references) {
      if (r < reward) ++below;
      if (r == reward) ++equal;
    }
    return (below + of_equals * equal) / (static_cast<double>(references.size()) + with_itself);
  }
};

// The transformed rewards of all responses, given the references.
std::vector<double> transformed(const ResponseLaw& base, const std::vector<double>& references,
                                const Phi& phi) {
  return base.evaluate(
      [&](const Response& y) { return phi(Rule{}(references, tied_toy::reward_of(y.tokens))); });
}

template <class D>
LawCheck answers(const D& decoder, const ResponseLaw& states, std::vector<double> law,
                 RunOptions options = {}) {
  LawCheck check(std::move(law));
  for_each_run(
      decoder, runs_of_law,
      [&](const Result& result) { check.count(states.index_of(result.answer.response)); }, options);
  return check;
}

template <class S>
auto decoder_of(S sampler, CalibratedOptions options) {
  return Decoder{toy::policy(), tied_toy::reward(), Calibrated{sampler, options}};
}

std::string text_of(const Population& population) {
  std::string text;
  for (const Candidate& candidate : population) text += runs::text_of(candidate);
  return text;
}

// Answers all pending work with the toy model.
template <class S>
void run(Session<S>& session) {
  auto policy = toy::policy();
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      if (work.generation != nullptr) {
        Response out;
        policy.generate({work.generation, 1}, {&out, 1});
        session.supply(work.id, out);
      } else {
        session.supply(work.id, tied_toy::reward_of(work.scoring->response->tokens));
      }
    }
  }
}

}  // namespace

TEST_CASE("Calibrated refuses options out of range and names them") {
  const BestOfN inner{{.n = 2}};
  expect_refused(
      [&] {
        Calibrated{inner, {.references = 0}};
      },
      "CalibratedOptions.references", "0");
  const auto refused = [&](Phi phi, const std::string& value) {
    expect_refused(
        [&] {
          Calibrated{inner, {.references = 2, .transform = phi}};
        },
        "CalibratedOptions.transform", value);
  };
  refused({}, "empty");
  refused([](double u) { return 1 - u; }, "0.75 at the quantile 0.25 after 1");
  refused([](double u) { return u < 0.5 ? 0 : unset; }, "nan at the quantile 0.5");
  refused([](double u) { return u < 1 ? 0 : infinity; }, "inf at the quantile 1");
  // Only the quantiles that K references can give are looked at: here 1/2 K is not.
  CHECK_NOTHROW(Calibrated{
      inner, {.references = 1, .transform = [](double u) { return u == 0.25 ? unset : u; }}});
  for (const std::size_t K : {npos, npos / 2, (std::size_t{1} << 20) + 1}) {
    expect_refused(
        [&] {
          Calibrated{inner, {.references = K}};
        },
        "CalibratedOptions.references", to_text(K));
  }
  CHECK_NOTHROW(Calibrated{inner});
  CHECK(Calibrated{inner}.options().references == 64);
}

TEST_CASE("Calibrated: a transform that is made for a beta wants a sampler of this beta") {
  const CalibratedOptions options{.transform = transform::best_of(4, 0.2)};
  expect_refused([&] { Calibrated(QAlign{{.beta = 0.1}}, options); }, "CalibratedOptions.transform",
                 "made for beta = 0.2");
  expect_refused(
      [&] { Calibrated(Rejection{{.beta = 1}}, {.transform = transform::worst_of(2, 2)}); },
      "CalibratedOptions.transform", "made for beta = 2");
  CHECK_NOTHROW(Calibrated{QAlign{{.beta = 0.2}}, options});
  CHECK_NOTHROW(Calibrated{Rejection{{.beta = 0.2}}, options});
  CHECK_NOTHROW(Calibrated{BestOfN{}, options});  // which has none
}

TEST_CASE("Calibrated: a ceiling that was not given is the transform's largest value") {
  CHECK(Calibrated{Rejection{}}.sampler().options().ceiling == 1);
  CHECK(Calibrated{Rejection{}, {.transform = transform::exponential(2)}}
            .sampler()
            .options()
            .ceiling == std::exp(2.0));
  CHECK(Calibrated{Rejection{{.ceiling = 0.8}}}.sampler().options().ceiling == 0.8);
  CHECK_NOTHROW(Session(Calibrated{Rejection{}}, "p"));
}

TEST_CASE("Calibrated forwards what the inner sampler says of itself") {
  using OverQAlign = Calibrated<QAlign>;
  STATIC_REQUIRE(std::is_same_v<OverQAlign::DefaultSelector, LastState>);
  STATIC_REQUIRE(std::is_same_v<Calibrated<BestOfN>::DefaultSelector, HighestReward>);
  STATIC_REQUIRE(OverQAlign::needs.policy.tokens);
  STATIC_REQUIRE(!Calibrated<BestOfN>::needs.policy.tokens);
  STATIC_REQUIRE(SharesFirstRound<OverQAlign>);
  STATIC_REQUIRE(!SharesFirstRound<QAlign>);
  const SamplingLaw law{.temperature = 0.5};
  const OverQAlign chains{QAlign{{.chains = 3, .law = law, .recycle = true}}};
  CHECK(chains.lanes() == 3);
  CHECK_FALSE(chains.emits_states());
  CHECK(Calibrated{BestOfN{}}.emits_states());
  CHECK(chains.law() == law);
  CHECK(needs_of(chains).policy.tokens);
  CHECK(chains.key_of("p") ==
        ReferenceKey{.prompt = "p", .law = law, .references = 64, .max_tokens = 256});
}

TEST_CASE("Calibrated keeps the semantics of samplers") {
  const std::vector<std::string> none;
  CHECK(check_sampler(Calibrated{BestOfN{{.n = 4, .max_tokens = 6}}, {.references = 5}}) == none);
  CHECK(check_sampler(Calibrated{Rejection{{.beta = 0.2, .max_tokens = 6}}, {.references = 5}}) ==
        none);
  CHECK(check_sampler(Calibrated{QAlign{{.beta = 0.2, .steps = 5, .chains = 3, .max_tokens = 6}},
                                 {.references = 5}}) == none);
  ReferenceStore store;
  CHECK(check_sampler(Calibrated{QAlign{{.beta = 0.2, .steps = 5, .chains = 3, .max_tokens = 6}},
                                 {.references = 5, .store = store}}) == none);
}

TEST_CASE(
    "Calibrated: references stand in front of the first work, with seeds that no run changes") {
  const std::vector<double> wanted = references_of(8, 1);
  CHECK(references_of(8, 2) == wanted);
  CHECK(references_of(9) != wanted);

  const Calibrated sampler{BestOfN{{.n = 3, .max_tokens = most}}, {.references = 8}};
  RoundBench plain(BestOfN{{.n = 3, .max_tokens = most}});
  RoundBench bench(sampler);
  const auto inner = plain.ask(), all = bench.ask();
  for (std::size_t i = 0; i < 8; ++i) CHECK(all[i].work.seed == sampler.key_of({}).seed(i));
  for (std::size_t i = 0; i < 3; ++i) CHECK(all[8 + i].work.seed == inner[i].work.seed);
  CHECK(bench.sampler.prepares(bench.state));
}

TEST_CASE("Calibrated: rewards become transformed quantiles, and the raw ones are kept") {
  RoundBench bench(Calibrated{BestOfN{{.n = 4, .max_tokens = 4}},
                              {.references = 4, .transform = transform::exponential(2)}});
  REQUIRE(bench.ask().size() == 8);
  const std::vector<double> rewards = {1, 2, 2, -infinity, 5, 2, -infinity, 0};
  for (std::size_t i = 0; i < 8; ++i) {
    bench.answer(i, tokens_of({static_cast<Token>(i)}), rewards[i]);
  }
  bench.tell();
  REQUIRE(bench.population.size() == 4);  // the references are no candidates
  const double expected[] = {std::exp(2.0), std::exp(2 * 0.75), -infinity, std::exp(2 * 0.25)};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(bench.population[i].raw_reward == rewards[4 + i]);
    CHECK(bench.population[i].reward == expected[i]);
    CHECK(bench.population[i].response.tokens == std::vector<Token>{static_cast<Token>(4 + i)});
  }
  CHECK(bench.ask().empty());
}

TEST_CASE("Calibrated: the law given the references", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities();
  const std::size_t K = 16;
  const std::vector<double> references = references_of(K);
  const double beta = 0.3;
  ReferenceStore store;

  const auto tilted_by = [&](const Phi& phi) {
    return exact::capped_rejection(
               p, transformed(base, references, phi),
               exact::acceptances(transformed(base, references, phi), phi(1), beta), npos)
        .law;
  };
  expect_law("Calibrated BestOfN: n = 4",
             answers(decoder_of(BestOfN{{.n = 4, .max_tokens = most}}, {.references = K}), base,
                     exact::best_of_n(p, transformed(base, references, transform::identity), 4)));

  const std::vector<std::pair<std::string, Phi>> transforms = {
      {"identity", transform::identity},
      {"log", transform::log},
      {"exponential(1)", transform::exponential(1)},
      {"best_of(4)", transform::best_of(4, beta)},
      {"worst_of(4)", transform::worst_of(4, beta)}};
  for (const auto& [name, phi] : transforms) {
    expect_law(
        "Calibrated Rejection: " + name,
        answers(decoder_of(
                    Rejection{
                        {.beta = beta, .max_rejections = npos, .max_tokens = most, .parallel = 4}},
                    {.references = K, .transform = phi, .store = store}),
                base, tilted_by(phi)));
  }
  CHECK(store.size() == 1);
  CHECK(total_variation(tilted_by(transform::identity), p) > 0.15);
}

TEST_CASE("Calibrated QAlign: the law of the chain given the references", "[law]") {
  // A chain of few steps, whose exact law is the start times the kernel of the transformed reward.
  const ResponseLaw base = toy::base_law();
  const std::size_t K = 16, steps = 6;
  const double beta = 0.3;
  const std::vector<double> references = references_of(K);
  ReferenceStore store;
  for (const std::size_t chains : {1u, 3u}) {
    const Phi phi = chains == 1 ? Phi(transform::identity) : Phi(transform::worst_of(2, beta));
    const auto reward = [&](TokenSpan tokens) {
      return phi(Rule{}(references, tied_toy::reward_of(tokens)));
    };
    auto policy = toy::policy();
    const ChainKernel<QAlign> kernel(
        QAlign{{.beta = beta, .steps = 1, .max_tokens = most, .recycle = true}}, policy, reward,
        base, uniform_cuts(0));
    const std::vector<double> p = base.probabilities();
    const Eigen::VectorXd start =
        Eigen::Map<const Eigen::VectorXd>(p.data(), static_cast<Eigen::Index>(p.size()));
    const Eigen::MatrixXd round = kernel.round(1);
    // The chain's limit is the tilted law of the transformed reward.
    const std::vector<double> rewards = transformed(base, references, phi);
    const std::vector<double> limit =
        exact::capped_rejection(p, rewards, exact::acceptances(rewards, phi(1), beta), npos).law;
    law_table::expect_exact("Calibrated QAlign: the chain's limit, lanes: " + to_text(chains),
                            p.size(), total_variation(to_vector(after(round, start, 2000)), limit));

    const QAlign sampler{{.beta = beta, .steps = steps, .chains = chains, .max_tokens = most}};
    const std::vector<double> law = to_vector(after(round, start, steps));
    expect_law("Calibrated QAlign: 6 steps, lanes: " + to_text(chains),
               answers(decoder_of(sampler, {.references = K, .transform = phi, .store = store}),
                       base, law));
    expect_caught("uncalibrated QAlign, lanes: " + to_text(chains),
                  answers(Decoder{toy::policy(), tied_toy::reward(), sampler}, base, law));
  }
}

TEST_CASE("Calibrated: without a store every run draws the same references", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> references = references_of(4);
  const std::vector<double> rewards = transformed(base, references, transform::identity);
  const exact::Capped capped = exact::capped_rejection(base.probabilities(), rewards,
                                                       exact::acceptances(rewards, 1, 0.3), npos);
  MeanCheck calls(capped.candidates + 4);
  LawCheck check(capped.law);
  for_each_run(decoder_of(Rejection{{.beta = 0.3, .max_rejections = npos, .max_tokens = most}},
                          {.references = 4}),
               runs_of_law, [&](const Result& result) {
                 check.count(base.index_of(result.answer.response));
                 calls.add(static_cast<double>(result.spent.policy_calls));
               });
  expect_law("Calibrated Rejection: references drawn in each run", check);
  expect_mean("Calibrated Rejection: draws with the references", calls);
}

TEST_CASE("the check of Calibrated sees the bugs of calibration", "[law]") {
  // Given the references, calibration is a function of the reward: a bug is another function.
  const ResponseLaw base = toy::base_law();
  const double beta = 0.15;
  const auto law_of = [&](std::size_t K, const Phi& phi, const Phi& wrong_reward) {
    const std::vector<double> rewards = transformed(base, references_of(K), phi);
    RewardFunction reward{[&](const Prompt&, const Response& y) {
      return wrong_reward(tied_toy::reward_of(y.tokens));
    }};
    Decoder decoder{toy::policy(), reward,
                    Rejection{{.beta = beta,
                               .ceiling = phi(1),
                               .max_rejections = npos,
                               .max_tokens = most,
                               .parallel = 4}}};
    return answers(decoder, base,
                   exact::capped_rejection(base.probabilities(), rewards,
                                           exact::acceptances(rewards, phi(1), beta), npos)
                       .law);
  };
  const std::vector<double> four = references_of(4), many = references_of(16);
  expect_law("calibration written a second time",
             law_of(4, transform::identity, [&](double r) { return Rule{}(four, r); }));
  const Rule among{.with_itself = 1}, whole{.of_equals = 1};
  expect_caught("a candidate among its own 4 references",
                law_of(4, transform::identity, [&](double r) { return among(four, r); }));
  expect_caught("equal references counted whole",
                law_of(16, transform::identity, [&](double r) { return whole(many, r); }));
  expect_caught("transform exponential(1) applied twice",
                law_of(16, transform::exponential(1), [&](double r) {
                  return std::exp(std::exp(Rule{}(many, r))) - std::exp(std::exp(1.0)) +
                         std::exp(1.0);
                }));

  // References of the run's own: the law given the fixed ones is missed, though not its mean.
  const std::vector<double> rewards = transformed(base, four, transform::identity);
  LawCheck redrawn(exact::capped_rejection(base.probabilities(), rewards,
                                           exact::acceptances(rewards, 1, beta), npos)
                       .law);
  for (std::uint64_t run = 0; run < runs_of_law; ++run) {
    Random random(run, 77);
    const std::vector<double> log_p = base.log_probs();
    std::vector<double> own;
    for (int i = 0; i < 4; ++i) {
      own.push_back(tied_toy::reward_of(base.response(random.categorical(log_p)).tokens));
    }
    for (;;) {
      const std::size_t y = random.categorical(log_p);
      const double u = Rule{}(own, tied_toy::reward_of(base.response(y).tokens));
      if (random.log_uniform() >= (u - 1) / beta) continue;
      redrawn.count(y);
      break;
    }
  }
  expect_caught("4 references redrawn in every run", redrawn);
}

TEST_CASE("Calibrated: missing scores are left out, not counted as 0", "[law]") {
  // Responses of two tokens have no score; the run rejects them.
  const auto scored = [](TokenSpan tokens) {
    return tokens.size() == 2 ? unset : tied_toy::reward_of(tokens) - 3;
  };
  const ResponseLaw base = toy::base_law();
  const std::size_t K = 16;
  const double beta = 0.3;
  std::vector<double> left, zeroed;
  {
    RoundBench bench(Calibrated{BestOfN{{.n = 1, .max_tokens = most}}, {.references = K}});
    auto policy = toy::policy();
    for (const Draw& draw : bench.ask().first(K)) {
      Response response;
      policy.generate({&draw.work, 1}, {&response, 1});
      const double r = scored(response.tokens);
      if (!std::isnan(r)) left.push_back(r);
      zeroed.push_back(std::isnan(r) ? 0 : r);
    }
  }
  REQUIRE(left.size() < K);
  const auto law_with = [&](const std::vector<double>& references) {
    const std::vector<double> rewards = base.evaluate([&](const Response& y) {
      const double r = scored(y.tokens);
      return std::isnan(r) ? -infinity : Rule{}(references, r);
    });
    return exact::capped_rejection(base.probabilities(), rewards,
                                   exact::acceptances(rewards, 1, beta), npos)
        .law;
  };
  RewardFunction reward{[&](const Prompt&, const Response& y) { return scored(y.tokens); }};
  Decoder decoder{
      toy::policy(), reward,
      Calibrated{
          Rejection{{.beta = beta, .max_rejections = npos, .max_tokens = most, .parallel = 4}},
          {.references = K}}};
  const RunOptions rejecting{.on_nan = OnNan::reject};
  expect_law("Calibrated Rejection: references without a score",
             answers(decoder, base, law_with(left), rejecting));
  expect_caught("references without a score counted as 0",
                answers(decoder, base, law_with(zeroed), rejecting));
  const Result result = decoder("", rejecting);
  CHECK(stat_of(result.stats, "references") == static_cast<double>(left.size()));
  CHECK(stat_of(result.stats, "reference_failures") == static_cast<double>(K - left.size()));
}

TEST_CASE("drop_below draws again until the quantile is high enough", "[law]") {
  const ResponseLaw base = toy::base_law();
  const std::vector<double> p = base.probabilities();
  const std::size_t K = 64;
  const std::vector<double> references = references_of(K);
  const double tau = 0.3935;
  const std::vector<double> quantiles = transformed(base, references, transform::identity);
  std::vector<double> law(p.size());
  double kept = 0;
  for (std::size_t i = 0; i < p.size(); ++i) kept += quantiles[i] >= tau ? p[i] : 0;
  for (std::size_t i = 0; i < p.size(); ++i) law[i] = quantiles[i] >= tau ? p[i] / kept : 0;
  CHECK_THAT(kept, WithinAbs(1 - tau, 0.15));  // ties and 64 references blur the threshold

  ReferenceStore store;
  LawCheck check(law), plain(law);
  MeanCheck draws(1 / kept);
  // Whatever beta is.
  for_each_run(
      decoder_of(Rejection{{.beta = 17, .max_rejections = npos, .max_tokens = most}},
                 {.references = K, .transform = transform::drop_below(tau), .store = store}),
      runs_of_law, [&](const Result& result) {
        check.count(base.index_of(result.answer.response));
        draws.add(stat_of(result.stats, "draws"));
      });
  expect_law("Calibrated Rejection: drop_below(0.3935)", check);
  expect_mean("Calibrated Rejection: draws of drop_below(0.3935)", draws);
  // One that ranks what is dropped lowest, but draws it.
  for_each_run(decoder_of(Rejection{{.beta = 1, .max_rejections = npos, .max_tokens = most}},
                          {.references = K,
                           .transform = [tau](double u) { return u >= tau ? 0.0 : -1.0; },
                           .store = store}),
               runs_of_law,
               [&](const Result& result) { plain.count(base.index_of(result.answer.response)); });
  expect_caught("the bottom made unlikely, not dropped", plain);
}

TEST_CASE("Calibrated: results are the same whether the store has the references or not") {
  const auto with = [](std::size_t chains, const CalibratedOptions& options, std::uint64_t seed) {
    Session session(
        Calibrated{QAlign{{.beta = 0.2, .steps = 6, .chains = chains, .max_tokens = 4}}, options},
        "", {.seed = seed});
    run(session);
    return session.result(LastState{});
  };
  for (const std::size_t chains : {1u, 3u}) {
    ReferenceStore store;
    const CalibratedOptions stored{.references = 12, .store = store}, plain{.references = 12};
    const Result first = with(chains, stored, 1), second = with(chains, stored, 1),
                 other = with(chains, stored, 2), without = with(chains, plain, 1);
    CHECK(text_of(first.candidates) == text_of(without.candidates));
    CHECK(text_of(first.candidates) == text_of(second.candidates));
    CHECK(text_of(first.candidates) != text_of(other.candidates));
    CHECK(first.spent.policy_calls == 12 + chains * 7);
    CHECK(without.spent.policy_calls == 12 + chains * 7);  // once for all chains
    CHECK(second.spent.policy_calls == chains * 7);
    CHECK(second.spent.reward_calls == chains * 7);
    CHECK(first.spent.rounds == 7);
    for (const Result& result : {first, second, without}) {
      CHECK(stat_of(result.stats, "references") == 12);
      CHECK(stat_of(result.stats, "reference_failures") == 0);
      CHECK(stat_of(result.stats, "acceptance") > 0);  // the inner sampler's
      CHECK_THAT(stat_of(result.stats, "plug_in_bias"), WithinAbs(1, 1e-12));
      CHECK(stat_of(result.stats, "dkw_band") == dkw_band(12));
      CHECK(result.law_holds);
    }
    CHECK(store.size() == 1);
  }
}

TEST_CASE("Calibrated: the runs of a batch that share a store draw their references once") {
  const std::vector<Prompt> prompts(8, Prompt("p"));
  // One that fails whenever it gets more than one item has its items run again one by one.
  for (const bool one_by_one : {false, true}) {
    std::size_t drawn = 0, scored = 0;
    auto model = toy::policy();
    runs::Scripted policy([&](const Generation& work) {
      ++drawn;
      Response response;
      model.generate({&work, 1}, {&response, 1});
      return response;
    });
    struct Fragile {
      runs::Scripted* inner;
      bool fragile;
      void generate(std::span<const Generation> work, std::span<Response> out) {
        if (fragile && work.size() > 1) throw std::runtime_error("too many");
        inner->generate(work, out);
      }
    } fragile{&policy, one_by_one};
    const RewardFunction reward{[&](const Prompt&, const Response& y) {
      ++scored;
      return tied_toy::reward_of(y.tokens);
    }};
    const auto batch = [&](CalibratedOptions options) {
      drawn = scored = 0;
      options.references = 64;
      const Decoder decoder{fragile, reward,
                            Calibrated{BestOfN{{.n = 4, .max_tokens = most}}, options}};
      return decoder.batch(prompts);
    };
    const std::vector<Result> without = batch({});
    CHECK(drawn == 8 * 68);
    const ReferenceStore store;
    const std::vector<Result> with = batch({.store = store});
    CHECK(drawn == 64 + 8 * 4);
    CHECK(scored == 64 + 8 * 4);
    std::size_t paid = 0;
    for (std::size_t i = 0; i < with.size(); ++i) {
      CHECK(text_of(with[i].candidates) == text_of(without[i].candidates));
      CHECK(stat_of(with[i].stats, "references") == 64);
      CHECK(with[i].law_holds);
      paid += with[i].spent.policy_calls;
      CHECK(with[i].spent.policy_calls == with[i].spent.reward_calls);
    }
    CHECK(paid == drawn);
    CHECK(store.size() == 1);
  }
}

TEST_CASE("Calibrated: references that fail are left out and counted") {
  // Draws 0 .. 3 are the references; of these 0 and 2 fail, and the others have larger rewards.
  RoundBench bench(Calibrated{BestOfN{{.n = 3, .max_tokens = 4}}, {.references = 4}});
  REQUIRE(bench.ask().size() == 7);
  for (const std::size_t i : {1u, 3u, 4u, 5u, 6u}) {
    bench.answer(i, tokens_of({static_cast<Token>(i)}), -static_cast<double>(i));
  }
  bench.fail(0);
  bench.fail(2);
  bench.tell();
  REQUIRE(bench.population.size() == 3);
  CHECK(bench.population[2].reward == 0);
  CHECK(bench.state.references->size() == 2);
  CHECK(bench.state.failures == 2);
  const Stats stats = bench.sampler.stats(std::span(&bench.state, 1), bench.population);
  CHECK(stat_of(stats, "references") == 2);
  CHECK(stat_of(stats, "reference_failures") == 2);
  CHECK(stat_of(stats, "dkw_band") == dkw_band(2));
}

TEST_CASE("Calibrated: without any reference nothing is scored, and the run ends") {
  ReferenceStore store;
  RoundBench bench(
      Calibrated{QAlign{{.beta = 0.2, .max_tokens = 4}}, {.references = 2, .store = store}});
  REQUIRE(bench.ask().size() == 3);
  bench.fail(0);
  bench.fail(1);
  bench.answer(2, tokens_of({1}), 2.5);
  bench.tell();
  REQUIRE(bench.population.size() == 1);
  CHECK(std::isnan(bench.population[0].reward));
  CHECK(bench.population[0].raw_reward == 2.5);
  CHECK(bench.population[0].weight == 0);
  CHECK(bench.ask().empty());
  CHECK(store.size() == 0);
  CHECK(stat_of(bench.sampler.stats(std::span(&bench.state, 1), bench.population), "references") ==
        0);
  Random random(1);
  CHECK(LastState{}(bench.population, random).index == 0);  // an answer when nothing better exists

  // The same through a session of several lanes, with a policy that never draws a reference.
  const Calibrated sampler{QAlign{{.beta = 0.2, .steps = 3, .chains = 3, .max_tokens = 4}},
                           {.references = 2}};
  Session session(sampler, "", {.on_failure = OnFailure::survive});
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      if (work.scoring != nullptr) {
        session.supply(work.id, 1.0);
      } else if (work.generation->seed == sampler.key_of({}).seed(0) ||
                 work.generation->seed == sampler.key_of({}).seed(1)) {
        session.fail(work.id, std::make_exception_ptr(std::runtime_error("no reference")));
      } else {
        session.supply(work.id, response_of({1}));
      }
    }
  }
  const Result result = session.result(LastState{});
  CHECK(result.candidates.size() == 1);
  CHECK(std::isnan(result.answer.reward));
  CHECK(result.failures.size() == 2);
  CHECK_FALSE(result.law_holds);
  CHECK_FALSE(sampler.law_holds({&bench.state, 1}));
  CHECK(stat_of(result.stats, "reference_failures") == 2);
}

TEST_CASE("Calibrated: a budget that ends before all references are in leaves none") {
  for (const std::size_t calls : {0u, 2u, 8u, 9u, 11u}) {
    const ReferenceStore store;
    const Calibrated sampler{BestOfN{{.n = 3, .max_tokens = 4}}, {.references = 8, .store = store}};
    Session session(sampler, "", {.budget = {.policy_calls = calls}});
    run(session);
    const Result result = session.result(HighestReward{});
    const std::size_t references = std::min<std::size_t>(calls, 8);
    CHECK(result.spent.policy_calls == calls);
    CHECK(result.candidates.size() == calls - references);
    CHECK(stat_of(result.stats, "references") == (calls >= 8 ? 8 : 0));
    CHECK(stat_of(result.stats, "reference_failures") == 0);
    CHECK(result.law_holds == (calls == 11));
    for (const Candidate& candidate : result.candidates) {
      CHECK_FALSE(std::isnan(candidate.reward));
      CHECK_FALSE(std::isnan(candidate.raw_reward));
    }
    CHECK(store.size() == (calls >= 8 ? 1 : 0));  // never an incomplete set
  }
}

TEST_CASE("Calibrated: a first round that ends early leaves every draw where it is") {
  // A run that has failed still lists the draws that are to be scored, and late results come in.
  const Calibrated sampler{BestOfN{{.n = 3, .max_tokens = 4}}, {.references = 8}};
  const auto ended_early = [&](auto&& end, RunOptions options) {
    Session session(sampler, "", std::move(options));
    const std::vector<Work> first = session.pending();
    REQUIRE(first.size() == 11);
    end(session, first);
    for (const Work& work : first) {
      try {
        session.lend(work.id).max_tokens = 4;
      } catch (const Error&) {
      }
      session.supply(work.id, response_of({1}));
    }
    for (const Work& work : session.pending()) session.supply(work.id, 1.0);
    CHECK(session.finished());
    return session.result(HighestReward{});
  };
  const Result malformed = ended_early(
      [](auto& session, const std::vector<Work>& first) {
        session.supply(first.back().id, response_of({1, 2, 3, 4, 5}));
      },
      {});
  CHECK(malformed.stop == Stop::failed);
  for (const Candidate& candidate : malformed.candidates) {  // late texts, never calibrated
    CHECK(candidate.weight == 0);
    CHECK(std::isnan(candidate.reward));
  }
  std::stop_source source;
  const Result stopped =
      ended_early([&](auto&, const std::vector<Work>&) { source.request_stop(); },
                  {.stop = source.get_token()});
  CHECK(stopped.stop == Stop::cancelled);
}

TEST_CASE("Calibrated: a run that ends before all references are in calibrates on none of them") {
  // Six of eight references and all of the run's own draws have their rewards when the run is ended.
  const ReferenceStore store;
  const Calibrated sampler{BestOfN{{.n = 3, .max_tokens = 4}}, {.references = 8, .store = store}};
  std::stop_source source;
  Session session(sampler, "", {.stop = source.get_token()});
  std::vector<Work> work = session.pending();
  for (std::size_t i = 2; i < work.size(); ++i) session.supply(work[i].id, response_of({1}));
  for (const Work& scoring : session.pending()) {
    if (scoring.scoring != nullptr) session.supply(scoring.id, 2.5);
  }
  source.request_stop();
  (void)session.cancelled();
  REQUIRE(session.finished());
  const Result result = session.result(HighestReward{});
  REQUIRE(result.candidates.size() == 3);
  for (const Candidate& candidate : result.candidates) {
    CHECK(std::isnan(candidate.reward));
    CHECK(candidate.raw_reward == 2.5);
    CHECK(candidate.weight == 0);
  }
  CHECK(stat_of(result.stats, "references") == 0);
  CHECK(store.size() == 0);
}

TEST_CASE("Calibrated: references are nobody's survivors") {
  Session session(Calibrated{BestOfN{{.n = 2, .max_tokens = 4}}, {.references = 4}}, "",
                  {.on_failure = OnFailure::survive, .min_survivors = 2});
  const std::vector<Work> work = session.pending();
  session.fail(work[4].id, std::make_exception_ptr(std::runtime_error("lost")));
  for (const std::size_t i : {0u, 1u, 2u, 3u, 5u}) session.supply(work[i].id, response_of({1}));
  for (const Work& scoring : session.pending()) session.supply(scoring.id, 1.0);
  const Result result = session.result(HighestReward{});
  CHECK(result.candidates.size() == 1);
  CHECK(result.stop == Stop::failed);
}

TEST_CASE("Calibrated: references answer the question that the sampler scores against", "[law]") {
  // The reward of an answer to another question than the preferred one is lower, whatever it is.
  const std::string wish = "in one word";
  const RewardFunction reward{[&](const Prompt& prompt, const Response& y) {
    return tied_toy::reward_of(y.tokens) + (prompt.text().ends_with(wish) ? 100.0 : 0.0);
  }};
  const auto mean_quantile = [&](const auto& of) {
    const Prs inner{{.n = 1, .layers = 1, .max_tokens = most, .preference = wish}};
    const Decoder decoder{toy::policy(), of, Calibrated{inner, {.references = 8}}};
    MeanCheck mean(0.5);
    for (std::size_t run = 0; run < 4000; ++run) {  // each with references of its own
      mean.add(decoder("q" + to_text(run), {.seed = run}).candidates[0].reward);
    }
    return mean;
  };
  expect_mean("Calibrated Prs with a preference: mean quantile", mean_quantile(reward));
  // Scores as they would be if the references answered the bare prompt.
  std::size_t scored = 0;
  const RewardFunction of_two_questions{[&](const Prompt&, const Response& y) {
    return tied_toy::reward_of(y.tokens) + (scored++ % 9 == 8 ? 100.0 : 0.0);
  }};
  expect_mean_caught("references of another question", mean_quantile(of_two_questions));
  const Prs inner{{.preference = wish}};
  CHECK(Calibrated{inner}.key_of("q").prompt == Prompt("q\n\n" + wish));

  // A sampler that asks another question without saying so.
  struct Quiet : BestOfN {
    using BestOfN::BestOfN;
    [[nodiscard]] State start(const Prompt& prompt) const {
      return BestOfN::start(with_preference(prompt, "in one word"));
    }
  };
  CHECK_FALSE(Session(Quiet{{.n = 1}}, "q").finished());
  const Session session(Calibrated<Quiet>(Quiet{{.n = 1}}), "q");
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].what.find("Calibrated.sampler") != std::string::npos);
}

TEST_CASE("Calibrated: other rewards of the same order give the same run") {
  const auto run_with = [](auto change) {
    RewardFunction reward{[change](const Prompt&, const Response& y) {
      return change(tied_toy::reward_of(y.tokens));
    }};
    Decoder decoder{toy::policy(), reward,
                    Calibrated{QAlign{{.beta = 0.2, .steps = 20, .max_tokens = 4}}}};
    Result result = decoder("", {.seed = 5});
    std::string text;
    for (const Candidate& c : result.candidates) text += runs::text_of(c.response);
    return text;
  };
  const std::string wanted = run_with([](double r) { return r; });
  CHECK(run_with([](double r) { return 1e6 * r - 3; }) == wanted);
  CHECK(run_with([](double r) { return std::exp(r); }) == wanted);
  CHECK(run_with([](double r) { return -r; }) != wanted);
}

TEST_CASE("Calibrated Tpo stops where the best answer's quantile leaves little to gain") {
  // Rewritings are longer than any first answer.
  std::size_t drawn = 0;
  runs::Scripted policy([&](const Generation& work) {
    Response response;
    response.text = work.prompt == Prompt("p") ? std::string(1 + (drawn++ + 2) % 6, 'x')
                                               : "<answer>" + std::string(9, 'y') + "</answer>";
    return response;
  });
  const RewardFunction length{[](const Prompt&, const Response& y) -> double {
    return static_cast<double>(y.text.size());
  }};
  const auto run = [&](double stop_at) {
    drawn = 0;
    const Decoder decoder{
        policy, length,
        Calibrated{Tpo{{.n = 2, .rounds = 3, .stop_at = stop_at}}, {.references = 4}}};
    return decoder("p");
  };
  const auto rounds_of = [](const Result& result) {
    for (const auto& [name, value] : result.stats) {
      if (name == "rounds") return value;
    }
    return unset;
  };
  const Result stopped = run(0.9), whole = run(infinity);
  CHECK(rounds_of(stopped) == 1);
  CHECK(rounds_of(whole) == 3);
  // The references have 3 to 6 letters, the first draws 1 and 2.
  CHECK(stopped.candidates[0].reward == 0);
  CHECK(stopped.answer.reward == 1);
  CHECK(stopped.answer.raw_reward == 9);
}

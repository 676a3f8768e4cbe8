// Programs that are written against the public names alone: everything below compiles as it stands
// for as long as the names hold. Members may be added behind those that are used here by position.

#include <tilt/tilt.hpp>

#include <Eigen/Core>
#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#include <tilt/io/ifeval.hpp>
#endif

namespace {

// Three tokens and an end token, all of the same probability.
constexpr tilt::Token end_token = 3;
auto uniform_policy() {
  return tilt::LogitPolicy{end_token, [](tilt::TokenSpan context) -> Eigen::VectorXd {
                             Eigen::VectorXd logits = Eigen::VectorXd::Zero(4);
                             if (context.size() > 40) logits[end_token] = 50;
                             return logits;
                           }};
}
auto length_reward() {
  return tilt::RewardFunction{[](const tilt::Prompt&, const tilt::Response& y) -> double {
    return -static_cast<double>(y.tokens.size());
  }};
}

// A user's own method: keeps drawing in pairs, keeps the better of each pair, for some rounds.
struct Pairs {
  struct State {
    tilt::Prompt prompt;
    std::size_t round = 0;
  };
  std::size_t rounds = 4;

  State start(const tilt::Prompt& prompt) const { return {prompt}; }
  void ask(State& state, tilt::Round& round) const {
    if (state.round == rounds) return;
    for (int i = 0; i < 2; ++i) round.sample({.prompt = state.prompt, .max_tokens = 8});
  }
  void tell(State& state, tilt::Round& round) const {
    ++state.round;
    const tilt::Draw* best = nullptr;
    for (const tilt::Draw& draw : round.draws()) {
      if (draw.status != tilt::DrawStatus::done) continue;
      if (best == nullptr || draw.reward > best->reward) best = &draw;
    }
    if (best == nullptr) return;
    const std::uint64_t id = round.emit({.response = best->response,
                                         .reward = best->reward,
                                         .raw_reward = best->raw_reward,
                                         .weight = 0.5});
    round.add_weight(id, 0.5);
    if (round.random(1).uniform() < 0.5 && !round.closing()) round.add_weight(id, 0.25);
    if (round.random(2, 7).below(10) >= 10) throw std::logic_error("out of range");
    if (round.lane() == 0) round.settle({});
  }
};

// Draws without scoring, then scores what it has made of the draw.
struct Shouting {
  struct State {
    tilt::Prompt prompt;
    std::optional<tilt::Response> drawn;
    bool scored = false;
  };
  State start(const tilt::Prompt& prompt) const { return {.prompt = prompt, .drawn = {}}; }
  void ask(State& state, tilt::Round& round) const {
    if (state.scored) return;
    if (!state.drawn) {
      round.generate({.prompt = state.prompt, .prefix = {}, .max_tokens = 8, .law = {}});
    } else {
      round.score(state.prompt, *state.drawn);
    }
  }
  void tell(State& state, tilt::Round& round) const {
    const tilt::Draw& draw = round.draws()[0];
    if (draw.status == tilt::DrawStatus::failed || draw.status == tilt::DrawStatus::skipped) return;
    if (!state.drawn) {
      state.drawn = tilt::Response{.text = draw.response.text + "!"};
    } else {
      state.scored = true;
      round.emit({.response = draw.response, .reward = draw.reward});
    }
  }
};

}  // namespace

TEST_CASE("contract: data") {
  using namespace tilt;

  const Message message{.role = "user", .content = "What is 17 * 23?"};
  const Prompt text = "What is 17 * 23?";
  const std::string owned = "What is 17 * 23?";
  const Prompt same = owned;
  const Prompt view = std::string_view(owned);
  const Prompt messages = Prompt::from_messages({message});
  const Prompt ids = Prompt::from_tokens({1, 2, 3});
  const Prompt none;
  CHECK(text.text() == owned);
  CHECK(text.key() == same.key());
  CHECK(view.key() == same.key());
  CHECK(messages.messages()[0].content == owned);
  CHECK(ids.tokens().size() == 3);
  CHECK(none.text().empty());
  CHECK(Prompt::from_messages({}).messages().empty());
  CHECK(Prompt::from_tokens({}).tokens().empty());
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Prompt, std::nullptr_t>);
  STATIC_REQUIRE(std::is_convertible_v<const char*, Prompt>);
  STATIC_REQUIRE(std::is_convertible_v<std::string, Prompt>);
  STATIC_REQUIRE(std::is_convertible_v<std::string_view, Prompt>);
  STATIC_REQUIRE(std::is_same_v<Token, std::int32_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(ids.tokens()), TokenSpan>);

  const Response response{.tokens = {4, 5}, .text = "ab", .ends = {1, 2}, .log_probs = {-1, -2},
                          .raw_log_probs = {-1, -2}, .finish = Finish::length};
  Response part = response.first(1);
  CHECK(part.text == "a");
  part.append({.tokens = {6}, .text = "c", .ends = {1}, .log_probs = {-3}, .raw_log_probs = {-3}});
  CHECK(part.text == "ac");
  CHECK(part.finish == Finish::stop);
  CHECK((Finish::segment != Finish::error));

  const SegmentRule segment{.entropy = 3.0, .min_tokens = 4, .max_tokens = 64};
  CHECK(SegmentRule{}.entropy == segment.entropy);
  CHECK(SegmentRule{}.min_tokens == 4);
  CHECK(SegmentRule{}.max_tokens == 64);
  const SamplingLaw law{.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .stop = {}};
  CHECK(law.temperature == SamplingLaw{}.temperature);
  CHECK(law.stop_tokens.empty());
  CHECK(law.extra.empty());
  const Generation generation{.prompt = text, .prefix = {}, .max_tokens = 3, .law = law,
                              .until = segment, .seed = 1, .affinity = 2};
  const Scoring scoring{.prompt = &generation.prompt, .response = &response};
  CHECK(scoring.prompt->text() == owned);
  const Draw draw{.work = generation, .response = response, .reward = 1, .raw_reward = 2,
                  .status = DrawStatus::done};
  CHECK(draw.raw_reward == 2);

  const Candidate candidate{.response = {}, .reward = 1, .raw_reward = 2, .weight = 3, .id = 4,
                            .parent = 5, .lane = 6};
  CHECK(candidate.weight == 3);
  CHECK(std::isnan(Candidate{}.reward));
  CHECK(std::isnan(Candidate{}.raw_reward));
  CHECK(Candidate{}.weight == 1);
  CHECK(Candidate{}.parent == npos);
  const Decision decision{.index = 1, .answer = "391", .share = 0.5};
  CHECK(decision.share == 0.5);
  CHECK(Decision{}.index == npos);
  const Cost cost{.policy_calls = 1, .reward_calls = 2, .prompt_tokens = 3, .cached_tokens = 4,
                  .generated_tokens = 5, .lookahead_tokens = 6, .rounds = 7, .seconds = 8};
  CHECK(cost.rounds == 7);
  Random random(1);
  CHECK(random.uniform() < 1);
  CHECK(random.below(3) < 3);
  CHECK(infinity == std::numeric_limits<double>::infinity());
}

TEST_CASE("contract: options have the stated members, in order, with the stated defaults") {
  using namespace tilt;
  const std::stop_source source;
  const RunOptions options{.seed = 42, .stream = 0,
                           .budget = {.tokens = npos, .policy_calls = npos, .reward_calls = npos,
                                      .seconds = infinity},
                           .stop = source.get_token(), .on_failure = OnFailure::fail,
                           .min_survivors = 1, .on_nan = OnNan::fail};
  CHECK(RunOptions{}.seed == options.seed);
  CHECK(RunOptions{}.stream == options.stream);
  CHECK(RunOptions{}.budget.seconds == infinity);
  CHECK(RunOptions{}.min_survivors == 1);
  CHECK((OnFailure::survive != OnFailure::fail && OnNan::reject != OnNan::fail));

  const QAlignOptions q{.beta = 1, .steps = 128, .chains = 1, .fork = 1, .burn_in = 0,
                        .max_tokens = 256, .law = {}};
  CHECK(QAlignOptions{}.beta == q.beta);
  CHECK(QAlignOptions{}.steps == q.steps);
  CHECK(QAlignOptions{}.chains == q.chains);
  CHECK(QAlignOptions{}.fork == q.fork);
  CHECK(QAlignOptions{}.burn_in == q.burn_in);
  CHECK(QAlignOptions{}.max_tokens == q.max_tokens);
  CHECK(QAlignOptions{.initial_draws = 2, .restart = 0.5, .recycle = true}.recycle);

  const BestOfNOptions b{.n = 16, .max_tokens = 256, .stop_at = infinity, .width = 0, .law = {}};
  CHECK(BestOfNOptions{}.n == b.n);
  CHECK(BestOfNOptions{}.max_tokens == b.max_tokens);
  CHECK(BestOfNOptions{}.stop_at == b.stop_at);
  CHECK(BestOfNOptions{}.width == b.width);

  const RejectionOptions r{.beta = 1, .ceiling = 2, .max_rejections = 20, .max_tokens = 256,
                           .law = {}};
  CHECK(RejectionOptions{}.beta == r.beta);
  CHECK(std::isnan(RejectionOptions{}.ceiling));
  CHECK(RejectionOptions{}.max_rejections == r.max_rejections);
  CHECK(RejectionOptions{}.max_tokens == r.max_tokens);

  const CardsOptions c{.beta = 0.7, .reward_goal = 1, .alpha = 0.5, .max_rejections = 20,
                       .parallel = 1, .max_tokens = 128, .segment = {}, .law = {},
                       .official = false};
  CHECK(CardsOptions{}.beta == c.beta);
  CHECK(std::isnan(CardsOptions{}.reward_goal));
  CHECK(CardsOptions{}.alpha == c.alpha);
  CHECK(CardsOptions{}.max_rejections == c.max_rejections);
  CHECK(CardsOptions{}.parallel == c.parallel);
  CHECK(CardsOptions{}.max_tokens == c.max_tokens);
  CHECK(CardsOptions{}.official == c.official);
}

TEST_CASE("contract: a decoder of lvalues, of rvalues, with and without a selector") {
  using namespace tilt;
  auto policy = uniform_policy();
  auto reward = length_reward();
  Decoder by_reference{policy, reward, BestOfN{{.n = 8, .max_tokens = 6}}};
  const Result best = by_reference("any prompt", {.seed = 1});
  CHECK(best.candidates.size() == 8);
  for (const Candidate& candidate : best.candidates) CHECK(candidate.reward <= best.answer.reward);
  CHECK(best.decision.answer == best.answer.response.text);

  Decoder owning{uniform_policy(), length_reward(), QAlign{{.beta = 0.5, .steps = 16}}};
  CHECK(owning("any prompt", {.seed = 1}).candidates.total_weight() == 17);

  Decoder voting{policy, length_reward(), BestOfN{{.n = 8, .max_tokens = 6}},
                 MajorityVote{last_number}};
  CHECK(voting("any prompt").decision.share > 0);
  Decoder weighted_vote{policy, reward, BestOfN{{.n = 8, .max_tokens = 6}},
                        WeightedMajorityVote{last_number, {.beta = 1}}};
  CHECK(weighted_vote("any prompt").decision.share > 0);
  Decoder soft{policy, reward, BestOfN{{.n = 8, .max_tokens = 6}}, SoftBest{{.lambda = 1}}};
  CHECK(soft("any prompt").decision.index < 8);
  Decoder last{policy, reward, QAlign{{.steps = 4, .max_tokens = 6}}, LastState{}};
  CHECK(last("any prompt").stop == Stop::finished);
  Decoder unscored{policy, no_reward, BestOfN{{.n = 3, .max_tokens = 6}}, MajorityVote{}};
  CHECK(unscored("any prompt").answer.reward == 0);
  Decoder rejecting{policy, reward,
                    Rejection{{.beta = 1, .ceiling = -1, .max_rejections = 50, .max_tokens = 6}}};
  CHECK(rejecting("any prompt").candidates.total_weight() == 1);
  Decoder cards{policy, reward,
                Cards{{.beta = 0.7, .reward_goal = -2, .max_tokens = 6,
                       .segment = {.entropy = 1, .min_tokens = 1, .max_tokens = 3}}}};
  CHECK(cards("any prompt").candidates.total_weight() == 1);

  TextPolicy texts{[](std::string_view text) -> std::string {
    return "The answer is " + std::to_string(text.size()) + ".";
  }};
  Decoder of_texts{texts, RewardFunction{[](const Prompt&, const Response& y) -> double {
                     return static_cast<double>(y.text.size());
                   }},
                   BestOfN{{.n = 4}}, MajorityVote{last_number}};
  CHECK(of_texts("12345").decision.answer == "5");
}

TEST_CASE("contract: extractors") {
  using namespace tilt;
  CHECK(last_number("so 17 * 23 = 391.") == std::optional<std::string>("391"));
  CHECK(last_boxed("hence \\boxed{42}") == std::optional<std::string>("42"));
  CHECK(last_choice("The answer is (B).") == std::optional<std::string>("B"));
  CHECK_FALSE(last_number("none").has_value());
  CHECK(stated_answer("The answer is 42.") == std::optional<std::string>("42"));
  CHECK(first_of(stated_answer, last_boxed, last_number)(std::string_view("so 7")) == std::optional<std::string>("7"));
  // A user's own, of a text or of a response.
  const auto first_letter = [](std::string_view text) -> std::optional<std::string> {
    if (text.empty()) return std::nullopt;
    return std::string(text.substr(0, 1));
  };
  const auto length = [](const Response& y) -> std::optional<std::string> {
    return std::to_string(y.text.size());
  };
  TextPolicy policy{[](std::string_view) -> std::string { return "word"; }};
  CHECK(Decoder(policy, no_reward, BestOfN{{.n = 2}}, MajorityVote{first_letter})("p")
            .decision.answer == "w");
  CHECK(Decoder(policy, no_reward, BestOfN{{.n = 2}}, MajorityVote{length})("p").decision.answer ==
        "4");
}

TEST_CASE("contract: rewards compose") {
  using namespace tilt;
  auto policy = uniform_policy();
  RewardFunction helpful{[](const Prompt&, const Response&) -> double { return 1; }};
  RewardFunction harmless{[](const Prompt&, const Response&) -> double { return -2; }};
  RewardFunction honest{[](const Prompt&, const Response&) -> double { return 3; }};
  const BestOfN two{{.n = 2, .max_tokens = 4}};
  const auto near = [](double a, double b) { return std::fabs(a - b) < 1e-12; };
  CHECK(near(Decoder(policy, weighted(0.7, helpful, 0.3, harmless), two)("p").answer.reward, 0.1));
  CHECK(near(Decoder(policy, 0.7 * helpful + 0.3 * harmless, two)("p").answer.reward, 0.1));
  CHECK(Decoder(policy, minimum(helpful, harmless), two)("p").answer.reward == -2);
  CHECK(Decoder(policy, mean_minus_variance(0.5, helpful, harmless, honest), two)("p")
            .answer.reward < 1);
  CHECK(Decoder(policy, clamped(harmless, -1, 1), two)("p").answer.reward == -1);
  CHECK(Decoder(policy, cached(helpful), two)("p").answer.reward == 1);
}

TEST_CASE("contract: a batch of a span, a vector, an array or a list") {
  using namespace tilt;
  auto policy = uniform_policy();
  auto reward = length_reward();
  Decoder decoder{policy, reward, BestOfN{{.n = 2, .max_tokens = 6}}};
  const std::vector<Prompt> prompts = {"a", "b", "c"};
  const std::vector<Result> of_vector = decoder.batch(prompts, {.seed = 1});
  const std::vector<Result> of_span = decoder.batch(std::span<const Prompt>(prompts), {.seed = 1});
  const std::vector<Result> of_list = decoder.batch({"a", "b", "c"}, {.seed = 1});
  const std::array<Prompt, 3> array = {"a", "b", "c"};
  const std::vector<Result> of_array = decoder.batch(array);
  REQUIRE(of_vector.size() == 3);
  REQUIRE(of_array.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(of_vector[i].answer.response.tokens == of_span[i].answer.response.tokens);
    CHECK(of_vector[i].answer.response.tokens == of_list[i].answer.response.tokens);
    CHECK(of_vector[i].answer.response.tokens ==
          decoder(prompts[i], {.seed = 1, .stream = i}).answer.response.tokens);
  }
  const Prompt p = "p";
  const RunOptions o = {.seed = 3};
  CHECK(decoder.batch({p}, o)[0].answer.response.tokens == decoder(p, o).answer.response.tokens);
}

TEST_CASE("contract: a result") {
  using namespace tilt;
  Decoder decoder{uniform_policy(), length_reward(), BestOfN{{.n = 5, .max_tokens = 6}}};
  const Result result = decoder("p", {.seed = 1, .budget = {.policy_calls = 3, .seconds = 30}});
  const Candidate& answer = result.answer;
  const Decision& decision = result.decision;
  const Population& candidates = result.candidates;
  const Cost& spent = result.spent;
  const Stop stop = result.stop;
  const std::vector<Failure>& failures = result.failures;
  const std::vector<std::pair<std::string, double>>& stats = result.stats;
  CHECK(answer.id == candidates[decision.index].id);
  CHECK(candidates.size() == 3);
  CHECK_FALSE(candidates.empty());
  CHECK(std::distance(candidates.begin(), candidates.end()) == 3);
  CHECK(candidates.total_weight() == 3);
  CHECK(candidates.first(2).size() == 2);
  CHECK(spent.policy_calls == 3);
  CHECK(stop == Stop::policy_calls);
  CHECK(failures.empty());
  CHECK_FALSE(stats.empty());
  for (const Stop reason : {Stop::finished, Stop::tokens, Stop::policy_calls, Stop::reward_calls,
                            Stop::seconds, Stop::cancelled, Stop::failed}) {
    CHECK((reason == stop) == (reason == Stop::policy_calls));
  }
}

TEST_CASE("contract: a session in somebody else's loop") {
  using namespace tilt;
  auto policy = uniform_policy();
  auto reward = length_reward();
  const QAlign sampler{{.beta = 0.5, .steps = 6, .chains = 2, .max_tokens = 6}};
  Session<QAlign> session(sampler, "p", {.seed = 2});
  std::map<std::uint64_t, Work> out;
  while (!session.finished()) {
    for (const Work& work : session.pending()) out[work.id] = work;
    CHECK(session.cancelled().empty());
    // The newest first, one at a time.
    const Work work = out.rbegin()->second;
    out.erase(work.id);
    if (work.generation != nullptr) {
      CHECK(work.scoring == nullptr);
      std::array<Response, 1> response;
      policy.generate({work.generation, 1}, response);
      session.supply(work.id, std::move(response[0]));
    } else {
      std::array<double, 1> score{};
      reward.score({work.scoring, 1}, score);
      session.supply(work.id, score[0]);
    }
  }
  const Result result = session.result(LastState{});
  Decoder decoder{policy, reward, sampler};
  CHECK(result.answer.response.tokens == decoder("p", {.seed = 2}).answer.response.tokens);
  CHECK(session.candidates().size() == result.candidates.size());

  Session failing(BestOfN{{.n = 1}}, Prompt("p"));
  failing.fail(failing.pending()[0].id, std::make_exception_ptr(std::runtime_error("no")));
  CHECK(failing.finished());
  CHECK(failing.result(HighestReward{}).stop == Stop::failed);
}

TEST_CASE("contract: a user's own method, observer, policy and reward") {
  using namespace tilt;
  STATIC_REQUIRE(Sampler<Pairs>);
  STATIC_REQUIRE(Sampler<Shouting>);
  Decoder pairs{uniform_policy(), length_reward(), Pairs{.rounds = 3}};
  const Result result = pairs("p", {.seed = 4});
  CHECK(result.candidates.size() == 3);
  CHECK(result.spent.rounds == 3);
  CHECK(result.candidates.total_weight() >= 3);
  Decoder shouting{uniform_policy(), length_reward(), Shouting{}};
  CHECK(shouting("p").answer.response.text.back() == '!');

  struct MyPolicy {
    void generate(std::span<const Generation> work, std::span<Response> out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        out[i].text = std::string(work[i].prompt.text()) + std::to_string(i);
      }
    }
  };
  struct MyReward {
    void score(std::span<const Scoring> work, std::span<double> out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        out[i] = static_cast<double>(work[i].response->text.back());
      }
    }
  };
  struct MySelector {
    Decision operator()(const Population& population, Random& random) const {
      return {.index = random.below(population.size())};
    }
  };
  struct MyObserver {
    std::size_t finished = 0;
    void on(const RunFinished&) { ++finished; }
  } observer;
  STATIC_REQUIRE(Policy<MyPolicy>);
  STATIC_REQUIRE(RewardModel<MyReward>);
  STATIC_REQUIRE(Selector<MySelector>);
  Decoder own{MyPolicy{}, MyReward{}, BestOfN{{.n = 3}}, MySelector{}};
  CHECK(own("p", {}, observer).answer.response.text[0] == 'p');
  CHECK(observer.finished == 1);
}

TEST_CASE("contract: refinement by text") {
  using namespace tilt;
  const TpoOptions tpo{5, 2, 2048, "<answer>", "</answer>", {.temperature = 0.7, .top_p = 0.95}};
  CHECK(tpo.n == TpoOptions{}.n);
  CHECK(tpo.rounds == TpoOptions{}.rounds);
  CHECK(tpo.max_tokens == TpoOptions{}.max_tokens);
  CHECK(tpo.open_tag == TpoOptions{}.open_tag);
  CHECK(tpo.close_tag == TpoOptions{}.close_tag);
  CHECK(tpo.law == TpoOptions{}.law);
  const PrsOptions prs{16, 2, 1024, {}, true, {}};
  CHECK(prs.n == PrsOptions{}.n);
  CHECK(prs.layers == PrsOptions{}.layers);
  CHECK(prs.max_tokens == PrsOptions{}.max_tokens);
  CHECK(prs.preference == PrsOptions{}.preference);
  CHECK(prs.feedback == PrsOptions{}.feedback);
  CHECK(prs.law == PrsOptions{}.law);

  std::size_t calls = 0;
  TextPolicy policy{[&](std::string_view) -> std::string {
    return "<answer>" + std::string(++calls, 'x') + "</answer>";
  }};
  RewardFunction longer{
      [](const Prompt&, const Response& y) -> double { return static_cast<double>(y.text.size()); }};
  const Result refined = Decoder{policy, longer, Tpo{{.n = 3, .rounds = 2}}}("p");
  CHECK(refined.spent.policy_calls == 3 + 2 * (3 + 2));
  CHECK(refined.spent.reward_calls == 3 * (2 + 1));
  const Result layered = Decoder{policy, longer, Prs{{.n = 7, .layers = 3, .preference = "Be kind."}}}("p");
  CHECK(layered.spent.policy_calls == 2 * 3 + 2);
  CHECK(layered.spent.reward_calls == 2 * 3);
  CHECK(layered.answer.reward == layered.candidates[layered.decision.index].reward);
}

TEST_CASE("contract: calibrated rewards and densities over quantiles") {
  using namespace tilt;
  const CalibratedOptions defaults{64, transform::identity};
  CHECK(defaults.references == CalibratedOptions{}.references);
  CHECK(CalibratedOptions{}.transform(0.25) == 0.25);
  CHECK(transform::log(1.0) == 0);
  CHECK(transform::exponential(2)(0.5) == std::exp(1.0));
  for (const std::function<double(double)>& phi :
       {std::function<double(double)>(transform::best_of(4, 0.5)),
        std::function<double(double)>(transform::worst_of(4, 0.5))}) {
    CHECK(phi(0.2) < phi(0.8));
  }
  const QuantileTilt tilts[] = {QuantileTilt::from(transform::identity, 0.25),
                                QuantileTilt::best_of(4, 0.5), QuantileTilt::worst_of(4, 0.5)};
  for (const QuantileTilt& tilt : tilts) {
    CHECK(tilt.density(0.9) > tilt.density(0.1));
    CHECK(tilt.max_density() > 1);
    CHECK(tilt.win_rate() > 0.5);
    CHECK(tilt.kl() > 0);
    CHECK(tilt.win_rate_best_of(4) > 0.5);
    CHECK(tilt.win_rate_worst_of(std::size_t{4}) > 0.5);
  }
  const auto reward = length_reward();
  Decoder calibrated{uniform_policy(), reward,
                     Calibrated{Rejection{{.beta = 0.5}}, {.references = 8, .transform = transform::best_of(4, 0.5)}}};
  const Result result = calibrated("p", {.seed = 1});
  CHECK(result.answer.raw_reward == -static_cast<double>(result.answer.response.size()));
  CHECK(result.answer.reward <= 0);  // Phi(1) = 0
  CHECK(result.spent.policy_calls >= 9);
  Decoder chain{uniform_policy(), reward, Calibrated{QAlign{{.steps = 4, .max_tokens = 8}}}, LastState{}};
  CHECK(chain("p").spent.policy_calls == 64 + 5);
  Decoder drawn{uniform_policy(), reward, BestOfN{{.n = 8}}, RankDraw{QuantileTilt::best_of(4, 0.5)}};
  CHECK(drawn("p").decision.share > 0);
}

TEST_CASE("contract: further selectors") {
  using namespace tilt;
  RewardFunction reward{[](const Prompt&, const Response& y) -> double { return y.text.ends_with("3") ? 1 : 0; }};
  TextPolicy policy{[](std::string_view, const Generation& work) -> std::string {
    return "It is " + std::to_string(work.seed % 5);
  }};
  const auto same = [](std::string_view a, std::string_view b) -> double { return a == b ? 1 : 0; };
  CHECK(Decoder{policy, reward, BestOfN{{.n = 9}}, MinimumBayesRisk{same}}("p").decision.index != npos);
  const Result voted = Decoder{policy, reward, BestOfN{{.n = 9}}, BordaVote{last_number, {.power = 0.5}}}("p");
  CHECK(voted.decision.answer.size() == 1);
}

TEST_CASE("contract: errors") {
  using namespace tilt;
  CHECK_THROWS_AS(BestOfN{{.n = 0}}, InvalidOption);
  TextPolicy broken{[](std::string_view) -> std::string { throw std::runtime_error("down"); }};
  Decoder decoder{broken, no_reward, BestOfN{{.n = 2}}, MajorityVote{}};
  CHECK_THROWS_AS(decoder("p"), PolicyError);
  CHECK_THROWS_AS(decoder("p", {.on_failure = OnFailure::survive}), Error);
  CHECK(decoder.batch({"p"})[0].stop == Stop::failed);
  RewardFunction not_a_number{[](const Prompt&, const Response&) -> double { return std::nan(""); }};
  Decoder unscored{uniform_policy(), not_a_number, BestOfN{{.n = 2}}};
  CHECK_THROWS_AS(unscored("p"), RewardError);
  CHECK(unscored("p", {.on_nan = OnNan::reject}).candidates.size() == 2);
}

TEST_CASE("contract: the names live beside those of std") {
  using namespace std;
  using namespace tilt;
  const vector<Prompt> prompts = {"a"};
  auto policy = uniform_policy();
  Decoder decoder{policy, no_reward, BestOfN{{.n = 2, .max_tokens = 3}}, MajorityVote{whole_response}};
  const vector<Result> results = decoder.batch(prompts);
  CHECK(results[0].stop == Stop::finished);
  CHECK(log(1.0) == 0);
  CHECK(isnan(nan("")));
  CHECK(max(1, 2) == 2);
}

#if __has_include(<nlohmann/json.hpp>)
TEST_CASE("contract: an IFEval task") {
  const nlohmann::json row = {{"key", 1},
                              {"prompt", "Write without commas."},
                              {"instruction_id_list", {"punctuation:no_comma"}},
                              {"kwargs", {nlohmann::json::object()}}};
  const tilt::IfevalTask task = tilt::ifeval_task(row);
  CHECK(task.prompt.text() == "Write without commas.");
  const std::vector<bool> verdicts = task.satisfied("None, here.");
  CHECK(verdicts == std::vector<bool>{false});
}
#endif

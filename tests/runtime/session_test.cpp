#include "tilt/runtime/session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/last_state.hpp"

using namespace tilt;
using runs::contains;
using runs::response_of;
using runs::thrown_by;

namespace {

// What a policy and a reward answer to one piece of work.
using Answer = std::variant<Response, double>;

template <class P, class R>
Answer answer_to(const Work& work, P& policy, R& reward) {
  if (work.generation != nullptr) {
    Response out;
    policy.generate(std::span(work.generation, 1), std::span(&out, 1));
    return out;
  }
  double out = unset;
  reward.score(std::span(work.scoring, 1), std::span(&out, 1));
  return out;
}

template <class S>
void supply(Session<S>& session, std::uint64_t id, const Answer& answer) {
  std::visit([&](const auto& value) { session.supply(id, value); }, answer);
}

// Runs a session to its end in the order in which work is listed.
template <class S, class P, class R>
void run_in_order(Session<S>& session, P& policy, R& reward) {
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      supply(session, work.id, answer_to(work, policy, reward));
    }
  }
}

// Runs a session to its end in an order drawn at random: a part of what is pending at a time, some of
// it twice, and now and then an answer that was given long before.
template <class S, class P, class R>
void run_shuffled(Session<S>& session, P& policy, R& reward, std::uint64_t order) {
  Random random(order);
  std::vector<std::pair<std::uint64_t, Answer>> given;
  while (!session.finished()) {
    std::vector<Work> pending = session.pending();
    REQUIRE_FALSE(pending.empty());
    for (std::size_t i = pending.size() - 1; i > 0; --i) {
      std::swap(pending[i], pending[random.below(i + 1)]);
    }
    pending.resize(1 + random.below(pending.size()));
    for (const Work& work : pending) {
      const Answer answer = answer_to(work, policy, reward);
      supply(session, work.id, answer);
      if (random.below(3) == 0) supply(session, work.id, answer);
      given.emplace_back(work.id, answer);
      const auto& earlier = given[random.below(given.size())];
      supply(session, earlier.first, earlier.second);
    }
  }
  for (const auto& [id, answer] : given) supply(session, id, answer);
}

// Asks for `width` draws in each of `rounds` rounds and writes down what it is told.
struct Recorder {
  struct Told {
    std::vector<DrawStatus> statuses = {};
    bool closing = false;
    std::size_t lane = 0, index = 0;
  };
  using Log = std::vector<Told>;
  struct State {
    Prompt prompt = {};
    std::size_t asked = 0;
  };

  std::size_t rounds = 1, width = 1, chains = 1;
  std::size_t max_tokens = 4;
  std::shared_ptr<Log> log = std::make_shared<Log>();

  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
  void ask(State& state, Round& round) const {
    if (state.asked == rounds) return;
    ++state.asked;
    for (std::size_t i = 0; i < width; ++i) {
      round.sample({.prompt = state.prompt, .max_tokens = max_tokens});
    }
  }
  void tell(State&, Round& round) const {
    Told told{.closing = round.closing(), .lane = round.lane(), .index = round.index()};
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      told.statuses.push_back(round.draws()[i].status);
      if (round.draws()[i].status == DrawStatus::done) round.emit(round.take(i));
    }
    log->push_back(told);
  }
};

constexpr DrawStatus done = DrawStatus::done, skipped = DrawStatus::skipped,
                     failed = DrawStatus::failed;
using Statuses = std::vector<DrawStatus>;

std::vector<std::uint64_t> ids_of(const std::vector<Work>& pending) {
  std::vector<std::uint64_t> ids;
  for (const Work& work : pending) ids.push_back(work.id);
  return ids;
}

}  // namespace

TEST_CASE("a session says what it needs until it is finished") {
  Session session(Recorder{.rounds = 2, .width = 2}, "a prompt", {.seed = 5});
  CHECK_FALSE(session.finished());
  CHECK(session.prompt() == Prompt("a prompt"));

  std::vector<Work> pending = session.pending();
  REQUIRE(pending.size() == 2);
  for (const Work& work : pending) {
    REQUIRE(work.generation != nullptr);
    CHECK(work.scoring == nullptr);
    CHECK(work.generation->prompt == Prompt("a prompt"));
    CHECK(work.generation->max_tokens == 4);
  }
  CHECK(pending[0].generation->seed != pending[1].generation->seed);
  CHECK(pending[0].generation->affinity == pending[1].generation->affinity);

  session.supply(pending[0].id, response_of({1}));
  pending = session.pending();
  REQUIRE(pending.size() == 2);
  CHECK(pending[0].generation != nullptr);  // generations stand first
  REQUIRE(pending[1].scoring != nullptr);
  CHECK(*pending[1].scoring->prompt == Prompt("a prompt"));
  CHECK(pending[1].scoring->response->tokens == std::vector<Token>{1});

  session.supply(pending[1].id, 0.5);
  session.supply(pending[0].id, response_of({2}));
  CHECK(session.candidates().empty());
  pending = session.pending();
  REQUIRE(pending.size() == 1);
  session.supply(pending[0].id, 0.75);
  REQUIRE(session.candidates().size() == 2);
  CHECK(session.candidates()[0].reward == 0.5);
  CHECK(session.candidates()[1].reward == 0.75);

  for (const Work& work : session.pending()) session.supply(work.id, response_of({3}));
  for (const Work& work : session.pending()) session.supply(work.id, 1.0);
  CHECK(session.finished());
  CHECK(session.pending().empty());
  CHECK(session.cancelled().empty());
  const Result result = session.result(HighestReward{});
  CHECK(result.answer.response.tokens == std::vector<Token>{3});
  CHECK(result.stop == Stop::finished);
  CHECK(result.law_holds);
  CHECK(result.spent.policy_calls == 4);
  CHECK(result.spent.reward_calls == 4);
  CHECK(result.spent.generated_tokens == 4);
  CHECK(result.spent.rounds == 2);
}

TEST_CASE("what is pending is listed again, under the same ids and at the same places") {
  Session session(Recorder{.rounds = 1, .width = 3}, "p");
  const std::vector<Work> first = session.pending();
  session.supply(first[1].id, response_of({1}));
  const std::vector<Work> second = session.pending();
  REQUIRE(second.size() == 3);
  CHECK(second[0].id == first[0].id);
  CHECK(second[0].generation == first[0].generation);
  CHECK(second[1].id == first[2].id);
  CHECK(second[1].generation == first[2].generation);

  std::vector<Work> appended = first;
  session.pending(appended);
  CHECK(appended.size() == 6);
}

TEST_CASE("no id is used twice in a session") {
  Session session(Recorder{.rounds = 3, .width = 4, .chains = 3}, "p");
  std::set<std::uint64_t> seen;
  std::size_t listed = 0;
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      seen.insert(work.id);
      ++listed;
      supply(session, work.id, work.generation ? Answer(response_of({1})) : Answer(1.0));
    }
  }
  CHECK(listed == 2 * 3 * 4 * 3);
  CHECK(seen.size() == listed);
}

TEST_CASE("results do not depend on the order of completion, on duplicates or late answers") {
  const Budget unlimited;
  const Budget tight = {.tokens = 31, .policy_calls = 14, .reward_calls = 13};
  runs::for_each_sampler([&](const std::string& name, const auto& sampler) {
    INFO(name);
    auto policy = toy::policy();
    auto reward = toy::reward();
    for (const Budget& budget : {unlimited, tight}) {
      const RunOptions options = {.seed = 3, .stream = 8, .budget = budget};
      Session in_order(sampler, "p", options);
      run_in_order(in_order, policy, reward);
      const std::string wanted = runs::text_of(in_order.result(runs::Heaviest{}));
      for (std::uint64_t order = 0; order < 20; ++order) {
        Session shuffled(sampler, "p", options);
        run_shuffled(shuffled, policy, reward, order);
        REQUIRE(runs::text_of(shuffled.result(runs::Heaviest{})) == wanted);
      }
    }
  });
}

TEST_CASE("seed and stream change the result") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  std::set<std::string> results;
  for (const std::uint64_t seed : {1u, 2u}) {
    for (const std::uint64_t stream : {1u, 2u}) {
      Session session(BestOfN{{.n = 12, .max_tokens = 4}}, "p", {.seed = seed, .stream = stream});
      run_in_order(session, policy, reward);
      results.insert(runs::text_of(session.result(runs::Heaviest{})));
    }
  }
  CHECK(results.size() == 4);
}

TEST_CASE("lanes wait for nothing of each other") {
  Session session(Recorder{.rounds = 3, .width = 1, .chains = 2}, "p");
  const std::vector<Work> first = session.pending();
  REQUIRE(first.size() == 2);
  CHECK(first[0].generation->affinity != first[1].generation->affinity);
  CHECK(first[0].generation->seed != first[1].generation->seed);
  // Lane 0 runs to its end while the first draw of lane 1 is still out.
  for (int step = 0; step < 6; ++step) {
    for (const Work& work : session.pending()) {
      if (work.id == first[1].id) continue;
      supply(session, work.id, work.generation ? Answer(response_of({step})) : Answer(1.0));
    }
  }
  CHECK(ids_of(session.pending()) == std::vector<std::uint64_t>{first[1].id});
  CHECK(session.candidates().lane(0).size() == 3);
  CHECK(session.candidates().lane(1).empty());
  CHECK(session.spent().rounds == 3);
  CHECK_FALSE(session.finished());
}

TEST_CASE("candidates stand by lane and emission, with ids that say so") {
  Session session(Recorder{.rounds = 2, .width = 2, .chains = 3}, "p");
  // The last lane first.
  while (!session.finished()) {
    const std::vector<Work> pending = session.pending();
    for (auto work = pending.rbegin(); work != pending.rend(); ++work) {
      supply(session, work->id, work->generation ? Answer(response_of({1})) : Answer(1.0));
    }
  }
  const Population& candidates = session.candidates();
  REQUIRE(candidates.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(candidates[i].lane == i / 4);
    CHECK(candidates[i].id == ((std::uint64_t{i / 4} << 32) | i % 4));
    CHECK(candidates[i].parent == npos);
  }
}

TEST_CASE("the parent of a chain's state is the state it was proposed from") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Session session(QAlign{{.beta = 0.7, .steps = 30, .chains = 2, .max_tokens = 4}}, "p");
  run_in_order(session, policy, reward);
  for (std::size_t lane = 0; lane < 2; ++lane) {
    const auto states = session.candidates().lane(lane);
    REQUIRE(states.size() > 2);
    CHECK(states[0].parent == npos);
    for (std::size_t i = 1; i < states.size(); ++i) CHECK(states[i].parent == states[i - 1].id);
  }
}

TEST_CASE("settled prefixes only grow, and the answer begins with them") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  const Cards sampler{{.beta = 0.7,
                       .reward_goal = 1.5,
                       .max_tokens = 4,
                       .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 1}}};
  bool grew = false;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Session session(sampler, "p", {.seed = seed});
    std::vector<std::vector<Token>> prefixes;
    CHECK(session.settled().empty());
    while (!session.finished()) {
      for (const Work& work : session.pending()) {
        supply(session, work.id, answer_to(work, policy, reward));
      }
      prefixes.emplace_back(session.settled().begin(), session.settled().end());
    }
    const std::vector<Token> answer = session.result(LastState{}).answer.response.tokens;
    CHECK(prefixes.back() == answer);
    for (const std::vector<Token>& prefix : prefixes) {
      REQUIRE(prefix.size() <= answer.size());
      CHECK(std::equal(prefix.begin(), prefix.end(), answer.begin()));
      grew = grew || (!prefix.empty() && prefix.size() < answer.size());
    }
  }
  CHECK(grew);
}

TEST_CASE("a second answer to the same id is ignored and costs nothing") {
  Session session(Recorder{.rounds = 1, .width = 2}, "p");
  const std::vector<Work> pending = session.pending();
  session.supply(pending[0].id, response_of({1, 2}));
  session.supply(pending[0].id, response_of({7, 7, 7}));
  session.fail(pending[0].id, std::make_exception_ptr(std::runtime_error("too late")));
  CHECK(session.spent().policy_calls == 1);
  CHECK(session.spent().generated_tokens == 2);
  const std::vector<Work> scorings = session.pending();
  REQUIRE(scorings.size() == 2);
  CHECK(scorings[1].scoring->response->tokens == std::vector<Token>{1, 2});
  session.supply(scorings[1].id, 1.0);
  session.supply(scorings[1].id, 9.0);
  CHECK(session.spent().reward_calls == 1);
  session.supply(pending[1].id, response_of({3}));
  session.supply(session.pending()[0].id, 2.0);
  REQUIRE(session.finished());
  session.supply(scorings[1].id, 9.0);
  session.supply(pending[1].id, response_of({4}));
  CHECK(session.candidates()[0].reward == 1.0);
  CHECK(session.spent().policy_calls == 2);
  CHECK(session.result(runs::Heaviest{}).failures.empty());
}

TEST_CASE("an id that was never given out, or an answer of the other kind, is an error") {
  Session session(Recorder{.rounds = 1, .width = 1}, "p");
  const std::uint64_t id = session.pending()[0].id;
  CHECK_THROWS_AS(session.supply(id + 2, response_of({1})), Error);
  CHECK_THROWS_AS(session.supply(std::uint64_t{1} << 50, response_of({1})), Error);
  CHECK_THROWS_AS(session.fail(std::uint64_t{1} << 30, nullptr), Error);
  CHECK_THROWS_AS(session.lend(id + 2), Error);
  CHECK(contains(thrown_by<Error>([&] { session.supply(id, 1.0); }), "supply a response"));
  session.supply(id, response_of({1}));
  const std::uint64_t scoring = session.pending()[0].id;
  CHECK(contains(thrown_by<Error>([&] { session.supply(scoring, response_of({1})); }),
                 "supply a reward"));
  session.supply(scoring, 1.0);
  CHECK(session.finished());
}

TEST_CASE("a generation can be lent out and brought back") {
  Session session(Recorder{.rounds = 1, .width = 1}, "a prompt");
  const Work work = session.pending()[0];
  Generation mine = std::move(session.lend(work.id));
  CHECK(mine.prompt == Prompt("a prompt"));
  session.lend(work.id) = std::move(mine);
  CHECK(work.generation->prompt == Prompt("a prompt"));
  session.supply(work.id, response_of({1}));
  CHECK_THROWS_AS(session.lend(work.id), Error);
}

TEST_CASE("a session can be moved and copied while work is out") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  const QAlign sampler{{.beta = 0.7, .steps = 8, .chains = 2, .max_tokens = 4}};
  Session reference(sampler, "p", {.seed = 4});
  run_in_order(reference, policy, reward);
  const std::string wanted = runs::text_of(reference.result(LastState{}));

  std::vector<Session<QAlign>> sessions;
  sessions.emplace_back(sampler, "p", RunOptions{.seed = 4});
  const std::vector<Work> out = sessions[0].pending();
  for (int i = 0; i < 3; ++i) {  // the vector grows and moves the first session
    sessions.emplace_back(sampler, "q", RunOptions{.seed = 5});
  }
  for (const Work& work : out) supply(sessions[0], work.id, answer_to(work, policy, reward));

  std::optional<Session<QAlign>> copy(sessions[0]);
  run_in_order(sessions[0], policy, reward);
  CHECK(runs::text_of(sessions[0].result(LastState{})) == wanted);
  sessions.clear();
  run_in_order(*copy, policy, reward);
  CHECK(runs::text_of(copy->result(LastState{})) == wanted);
  CHECK(runs::text_of(std::move(*copy).result(LastState{})) == wanted);
}

TEST_CASE("an unfinished session has a result: what there is so far") {
  Session session(Recorder{.rounds = 2, .width = 1}, "p");
  const Result nothing = session.result(HighestReward{});
  CHECK(nothing.candidates.empty());
  CHECK(nothing.decision.index == npos);
  CHECK(nothing.answer.response.empty());
  CHECK(nothing.stop == Stop::cancelled);
  CHECK_FALSE(nothing.law_holds);

  session.supply(session.pending()[0].id, response_of({1}));
  session.supply(session.pending()[0].id, 1.0);
  const Result one = session.result(HighestReward{});
  CHECK(one.candidates.size() == 1);
  CHECK(one.answer.response.tokens == std::vector<Token>{1});
  CHECK(one.stop == Stop::cancelled);
  CHECK_FALSE(one.law_holds);
  CHECK_FALSE(session.finished());
  CHECK(session.pending().size() == 1);  // it can still go on
}

TEST_CASE("a stop request drops what is out, and each dropped id is told once") {
  std::stop_source source;
  const Recorder sampler{.rounds = 3, .width = 3};
  Session session(sampler, "p", {.stop = source.get_token()});
  const std::vector<Work> first = session.pending();
  session.supply(first[0].id, response_of({1}));
  const std::uint64_t scoring = session.pending().back().id;
  session.supply(scoring, 1.0);
  session.supply(first[1].id, response_of({2}));  // its scoring was not handed out
  source.request_stop();
  CHECK_FALSE(session.finished());  // nobody has looked yet
  CHECK(session.cancelled() == std::vector<std::uint64_t>{first[2].id});
  CHECK(session.finished());
  CHECK(session.cancelled().empty());
  CHECK(session.pending().empty());

  REQUIRE(sampler.log->size() == 1);
  CHECK(sampler.log->front().closing);
  CHECK(sampler.log->front().statuses == Statuses{done, skipped, skipped});

  // A late answer has been paid for once, and is kept without a reward, as is what was not scored.
  session.supply(first[2].id, response_of({3, 4, 5}));
  session.supply(first[2].id, response_of({3, 4, 5}));
  CHECK(session.spent().policy_calls == 3);
  CHECK(session.spent().generated_tokens == 5);
  CHECK(session.candidates().size() == 1);
  const Result result = session.result(HighestReward{});
  REQUIRE(result.candidates.size() == 3);
  CHECK(result.candidates[1].response.tokens == std::vector<Token>{2});
  CHECK(result.candidates[2].response.tokens == std::vector<Token>{3, 4, 5});
  for (const std::size_t unscored : {1u, 2u}) {
    CHECK(result.candidates[unscored].weight == 0);
    CHECK(std::isnan(result.candidates[unscored].reward));
    CHECK(std::isnan(result.candidates[unscored].raw_reward));
  }
  CHECK(result.decision.index == 0);
  CHECK(result.stop == Stop::cancelled);
  CHECK_FALSE(result.law_holds);
}

TEST_CASE("a stop requested before the run lets no work in") {
  std::stop_source source;
  source.request_stop();
  const Recorder sampler{.rounds = 3, .width = 3, .chains = 2};
  Session session(sampler, "p", {.stop = source.get_token()});
  CHECK(session.finished());
  CHECK(session.pending().empty());
  CHECK(session.cancelled().empty());
  CHECK(session.result(HighestReward{}).stop == Stop::cancelled);
  REQUIRE(sampler.log->size() == 2);
  CHECK(sampler.log->front().statuses == Statuses{skipped, skipped, skipped});
}

TEST_CASE("what has arrived when the time is up still counts") {
  std::stop_source source;
  const Recorder sampler{.rounds = 1, .width = 2};
  Session session(sampler, "p", {.stop = source.get_token()});
  for (const Work& work : session.pending()) session.supply(work.id, response_of({1}));
  const std::vector<Work> scorings = session.pending();
  source.request_stop();  // while the rewards are computed
  session.supply(scorings[0].id, 1.0);
  session.supply(scorings[1].id, 2.0);
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.candidates.size() == 2);
  CHECK(result.stop == Stop::finished);  // nothing was left to be stopped
  CHECK(result.law_holds);
}

TEST_CASE("the last tell of a run that is ended comes once, and nothing is asked after it") {
  const Recorder sampler{.rounds = 5, .width = 2, .chains = 2};
  Session session(sampler, "p", {.budget = {.policy_calls = 6}});
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      supply(session, work.id, work.generation ? Answer(response_of({1})) : Answer(1.0));
    }
  }
  std::map<std::size_t, std::vector<Recorder::Told>> by_lane;
  for (const Recorder::Told& told : *sampler.log) by_lane[told.lane].push_back(told);
  for (const std::size_t lane : {0u, 1u}) {
    REQUIRE(by_lane[lane].size() == 2);  // three calls each: a whole round and half of one
    CHECK_FALSE(by_lane[lane][0].closing);
    CHECK(by_lane[lane][0].statuses == Statuses{done, done});
    CHECK(by_lane[lane][1].closing);
    CHECK(by_lane[lane][1].statuses == Statuses{done, skipped});
    CHECK(by_lane[lane][1].index == 1);
  }
}

TEST_CASE("a failed draw under OnFailure::fail: what was drawn is scored, the rest is dropped") {
  const Recorder sampler{.rounds = 3, .width = 4};
  Session session(sampler, "p");
  const std::vector<Work> first = session.pending();
  session.supply(first[0].id, response_of({1}));
  session.supply(first[1].id, response_of({2}));
  session.fail(first[2].id, std::make_exception_ptr(std::runtime_error("out of memory")));
  CHECK(session.cancelled() == std::vector<std::uint64_t>{first[3].id});
  CHECK_FALSE(session.finished());
  const std::vector<Work> scorings = session.pending();
  REQUIRE(scorings.size() == 2);
  for (const Work& work : scorings) session.supply(work.id, 1.0);
  CHECK(session.finished());
  REQUIRE(sampler.log->size() == 1);
  CHECK(sampler.log->front().closing);
  CHECK(sampler.log->front().statuses == Statuses{done, done, failed, skipped});
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  CHECK_FALSE(result.law_holds);
  CHECK(result.candidates.size() == 2);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].what ==
        "the policy failed on the prompt \"p\" (lane 0, round 0, draw 2): out of memory");
  CHECK(result.failures[0].index == 2);
  CHECK(result.failures[0].part == FailedPart::policy);
  CHECK_THROWS_AS(std::rethrow_exception(result.failures[0].cause), std::runtime_error);
}

TEST_CASE("a failing lane ends the others after what they have drawn") {
  const Recorder sampler{.rounds = 3, .width = 1, .chains = 3};
  Session session(sampler, "p");
  const std::vector<Work> first = session.pending();
  session.supply(first[1].id, response_of({1}));
  session.fail(first[0].id, nullptr);
  CHECK(session.cancelled() == std::vector<std::uint64_t>{first[2].id});
  const std::vector<Work> left = session.pending();
  REQUIRE(left.size() == 1);
  session.supply(left[0].id, 4.0);
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  CHECK(result.candidates.size() == 1);
  CHECK(result.answer.lane == 1);
}

TEST_CASE("OnFailure::survive goes on without the failed draws and lists them in order") {
  const Recorder sampler{.rounds = 2, .width = 3};
  Session session(sampler, "p", {.on_failure = OnFailure::survive});
  std::vector<Work> pending = session.pending();
  session.fail(pending[2].id, std::make_exception_ptr(std::runtime_error("second")));
  session.fail(pending[0].id, std::make_exception_ptr(std::runtime_error("first")));
  session.supply(pending[1].id, response_of({1}));
  session.supply(session.pending()[0].id, 1.0);
  for (const Work& work : session.pending()) session.supply(work.id, response_of({2}));
  for (const Work& work : session.pending()) session.supply(work.id, 2.0);
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::finished);
  CHECK_FALSE(result.law_holds);  // draws are missing
  CHECK(result.candidates.size() == 4);
  REQUIRE(result.failures.size() == 2);
  CHECK(result.failures[0].index == 0);
  CHECK(result.failures[1].index == 2);
  CHECK(sampler.log->front().statuses == Statuses{failed, done, failed});
  CHECK(result.spent.policy_calls == 6);  // failed calls were paid for
}

TEST_CASE("OnFailure::survive fails in the end with fewer than min_survivors") {
  const auto run = [](std::size_t failures, std::size_t min_survivors) {
    Session session(Recorder{.rounds = 1, .width = 4}, "p",
                    {.on_failure = OnFailure::survive, .min_survivors = min_survivors});
    const std::vector<Work> pending = session.pending();
    for (std::size_t i = 0; i < 4; ++i) {
      if (i < failures) {
        session.fail(pending[i].id, std::make_exception_ptr(std::runtime_error("cause")));
      } else {
        session.supply(pending[i].id, response_of({1}));
      }
    }
    for (const Work& work : session.pending()) session.supply(work.id, 1.0);
    return session.result(runs::Heaviest{});
  };
  CHECK(run(0, 4).stop == Stop::finished);
  CHECK(run(0, 5).stop == Stop::finished);  // the method was done, and nothing failed
  CHECK(run(2, 2).stop == Stop::finished);
  CHECK(run(3, 2).stop == Stop::failed);
  CHECK(run(4, 1).stop == Stop::failed);
  CHECK(run(4, 1).failures.size() == 4);
}

TEST_CASE("a scoring without a draw is no survivor") {
  Session session(Cards{{.reward_goal = 1,
                         .max_rejections = 2,
                         .max_tokens = 4,
                         .segment = {.entropy = infinity, .min_tokens = 1, .max_tokens = 2}}},
                  "p", {.on_failure = OnFailure::survive});
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      if (work.scoring != nullptr) {
        session.supply(work.id, 0.0);
      } else {
        session.fail(work.id, std::make_exception_ptr(std::runtime_error("no segment")));
      }
    }
  }
  const Result result = session.result(LastState{});
  CHECK(result.stop == Stop::failed);
  CHECK(result.failures.size() == 3);
}

TEST_CASE("a run in which nothing survives to become a candidate has failed") {
  // Draws first and scores in the next round, as a method would that edits responses in between.
  struct TwoStep {
    struct State {
      Prompt prompt = {};
      Response drawn = {};
      std::size_t round = 0;
    };
    State start(const Prompt& prompt) const { return {.prompt = prompt}; }
    void ask(State& state, Round& round) const {
      if (state.round == 0) round.generate({.prompt = state.prompt, .max_tokens = 4});
      if (state.round == 1) round.score(state.prompt, state.drawn);
    }
    void tell(State& state, Round& round) const {
      if (round.draws()[0].status == DrawStatus::done) {
        Candidate candidate = round.take(0);
        if (state.round == 0) {
          state.drawn = candidate.response;
        } else {
          round.emit(std::move(candidate));
        }
      }
      ++state.round;
    }
  };
  Session session(TwoStep{}, "p", {.on_failure = OnFailure::survive});
  session.supply(session.pending()[0].id, response_of({1}));
  session.fail(session.pending()[0].id, std::make_exception_ptr(std::runtime_error("no score")));
  CHECK(session.finished());
  CHECK(session.result(HighestReward{}).stop == Stop::failed);
}

TEST_CASE("a malformed continuation fails its draw and names what is wrong") {
  struct Case {
    Response response;
    std::string wrong;
  };
  const Response good = response_of({1, 2});
  Response cut_text = good;
  cut_text.ends = {1, 9};
  Response descending = good;
  descending.ends = {3, 1};
  Response few_ends = good;
  few_ends.ends = {3};
  Response few_log_probs = good;
  few_log_probs.log_probs = {-1};
  Response many_raw = good;
  many_raw.raw_log_probs = {-1, -1, -1};
  Response error = good;
  error.finish = Finish::error;
  const std::vector<Case> cases = {
      {response_of({1, 2, 3, 4, 5}), "5 tokens where at most 4"},
      {cut_text, "ends do not divide the text"},
      {descending, "ends do not divide the text"},
      {few_ends, "ends do not divide the text"},
      {few_log_probs, "1 log-probs for 2 tokens"},
      {many_raw, "3 log-probs for 2 tokens"},
      {error, "finish = error"},
  };
  for (const Case& c : cases) {
    Session session(Recorder{.rounds = 1, .width = 1}, "p");
    session.supply(session.pending()[0].id, c.response);
    CHECK(session.finished());
    const Result result = session.result(HighestReward{});
    CHECK(result.stop == Stop::failed);
    REQUIRE(result.failures.size() == 1);
    CHECK(contains(result.failures[0].what, c.wrong));
    CHECK_THROWS_AS(std::rethrow_exception(result.failures[0].cause), PolicyError);
    CHECK(result.spent.policy_calls == 1);  // it was paid for
    CHECK(result.candidates.empty());
  }
  Session session(Recorder{.rounds = 1, .width = 1}, "p");
  session.supply(session.pending()[0].id, good);
  CHECK(session.pending().size() == 1);
}

TEST_CASE("a segment is held to the segment's length, not only to the cap") {
  struct OneSegment {
    struct State {
      Prompt prompt = {};
      bool asked = false;
    };
    State start(const Prompt& prompt) const { return {.prompt = prompt}; }
    void ask(State& state, Round& round) const {
      if (state.asked) return;
      state.asked = true;
      round.generate({.prompt = state.prompt,
                      .max_tokens = 9,
                      .until = SegmentRule{.entropy = 1, .min_tokens = 1, .max_tokens = 2}});
    }
    void tell(State&, Round& round) const {
      if (round.draws()[0].status == DrawStatus::done) round.emit(round.take(0));
    }
  };
  Session too_long(OneSegment{}, "p");
  too_long.supply(too_long.pending()[0].id, response_of({1, 2, 3}, Finish::segment));
  CHECK(too_long.result(runs::Heaviest{}).stop == Stop::failed);

  // A segment that ended by entropy took one look at a token that was not emitted.
  Session by_entropy(OneSegment{}, "p");
  by_entropy.supply(by_entropy.pending()[0].id, response_of({1}, Finish::segment));
  CHECK(by_entropy.spent().lookahead_tokens == 1);
  Session by_length(OneSegment{}, "p");
  by_length.supply(by_length.pending()[0].id, response_of({1, 2}, Finish::segment));
  CHECK(by_length.spent().lookahead_tokens == 0);
  Session by_itself(OneSegment{}, "p");
  by_itself.supply(by_itself.pending()[0].id, response_of({1}));
  CHECK(by_itself.spent().lookahead_tokens == 0);
}

TEST_CASE("a prefix put in front equals the prefix extended") {
  Response prefix = response_of({1, 2, 3}, Finish::segment);
  Response continuation = response_of({4, 5}, Finish::length);
  continuation.usage = {.prompt_tokens = 7, .cached_tokens = 3};
  const std::vector<double> none;
  for (const bool prefix_has : {false, true}) {
    for (const bool continuation_has : {false, true}) {
      Response before = prefix, after = continuation;
      before.log_probs = prefix_has ? std::vector<double>{-1, -2, -3} : none;
      before.raw_log_probs = continuation_has ? std::vector<double>{-4, -5, -6} : none;
      after.log_probs = continuation_has ? std::vector<double>{-7, -8} : none;
      after.raw_log_probs = std::vector<double>{-9, -10};
      if (!prefix_has) before.ends.clear();
      if (!continuation_has) after.ends.clear();
      for (const Response& first : {before, Response{}, Response{.text = "words"}}) {
        Response extended = first;
        extended.append(after);
        Response in_front = after;
        in_front.prepend(first);
        CHECK(runs::text_of(in_front) == runs::text_of(extended));
        CHECK(in_front == extended);
      }
    }
  }
}

TEST_CASE("prefix and continuation are joined, and only the continuation is paid for") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Session session(QAlign{{.beta = 0.7, .steps = 20, .max_tokens = 4}}, "p", {.seed = 2});
  std::size_t tokens = 0;
  bool kept = false;
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      const Answer answer = answer_to(work, policy, reward);
      if (work.generation == nullptr) {
        supply(session, work.id, answer);
        continue;
      }
      const Response prefix = work.generation->prefix;
      const Response& continuation = std::get<Response>(answer);
      tokens += continuation.size();
      kept = kept || !prefix.empty();
      session.supply(work.id, continuation);
      const Response whole = *session.pending()[0].scoring->response;
      CHECK(whole.size() == prefix.size() + continuation.size());
      CHECK(whole.first(prefix.size()).tokens == prefix.tokens);
      CHECK(whole.text == prefix.text + continuation.text);
      CHECK(whole.log_probs.size() == whole.size());
    }
  }
  CHECK(kept);
  CHECK(session.spent().generated_tokens == tokens);
}

TEST_CASE("what the engine tells of its work is summed") {
  Session session(Recorder{.rounds = 2, .width = 1}, "p");
  while (!session.finished()) {
    for (const Work& work : session.pending()) {
      Response response = response_of({1});
      response.usage = {.prompt_tokens = 30, .cached_tokens = 20};
      supply(session, work.id, work.generation ? Answer(response) : Answer(1.0));
    }
  }
  CHECK(session.spent().prompt_tokens == 60);
  CHECK(session.spent().cached_tokens == 40);
  CHECK(session.spent().seconds > 0);
  CHECK(session.spent().seconds == session.spent().seconds);  // stands still when it is over
}

TEST_CASE("a reward of NaN or +infinity fails, or is rejected if asked, and -infinity is legal") {
  const auto run = [](double reward, OnNan on_nan) {
    Session session(Recorder{.rounds = 1, .width = 2}, "p",
                    {.on_failure = OnFailure::survive, .on_nan = on_nan});
    for (const Work& work : session.pending()) session.supply(work.id, response_of({1}));
    const std::vector<Work> scorings = session.pending();
    session.supply(scorings[0].id, reward);
    session.supply(scorings[1].id, -1e300);
    return session.result(HighestReward{});
  };
  for (const double bad : {unset, infinity}) {
    const Result failing = run(bad, OnNan::fail);
    REQUIRE(failing.failures.size() == 1);
    CHECK(failing.failures[0].part == FailedPart::reward);
    CHECK_THROWS_AS(std::rethrow_exception(failing.failures[0].cause), RewardError);
    CHECK(failing.candidates.size() == 1);

    const Result rejecting = run(bad, OnNan::reject);
    CHECK(rejecting.failures.empty());
    CHECK(rejecting.law_holds);
    REQUIRE(rejecting.candidates.size() == 2);
    CHECK(rejecting.candidates[0].reward == -infinity);
    CHECK_FALSE(std::isfinite(rejecting.candidates[0].raw_reward));
    CHECK(rejecting.decision.index == 1);
  }
  const Result impossible = run(-infinity, OnNan::fail);
  CHECK(impossible.failures.empty());
  REQUIRE(impossible.candidates.size() == 2);
  CHECK(impossible.candidates[0].reward == -infinity);
  CHECK(impossible.decision.index == 1);
}

TEST_CASE("run options and numbers of lanes out of range are refused") {
  const Recorder sampler;
  CHECK_THROWS_AS(Session(sampler, "p", {.budget = {.seconds = -1}}), InvalidOption);
  CHECK_THROWS_AS(Session(sampler, "p", {.budget = {.seconds = unset}}), InvalidOption);
  CHECK_THROWS_AS(Session(sampler, "p", {.min_survivors = 0}), InvalidOption);
  CHECK_THROWS_AS(Session(Recorder{.chains = 0}, "p"), InvalidOption);
  CHECK_THROWS_AS(Session(Recorder{.chains = 131073}, "p"), InvalidOption);
  CHECK(contains(thrown_by<InvalidOption>([] { Session(Rejection{}, "p"); }),
                 "RejectionOptions.ceiling"));
}

TEST_CASE("a sampler that asks for nothing is finished at once") {
  Session session(Recorder{.rounds = 0}, "p");
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::finished);
  CHECK(result.candidates.empty());
  CHECK(result.spent.rounds == 0);
}

TEST_CASE(
    "a selector that throws, or points nowhere, fails the result and leaves the session as it "
    "was") {
  Session session(Recorder{.rounds = 1, .width = 2}, "p", {.on_failure = OnFailure::survive});
  const std::vector<Work> first = session.pending();
  session.supply(first[0].id, response_of({1}));
  session.fail(first[1].id, std::make_exception_ptr(std::runtime_error("one draw")));
  session.supply(session.pending()[0].id, 1.0);
  const auto throwing = [](const Population&, Random&) -> Decision {
    throw std::runtime_error("no answer in it");
  };
  const auto outside = [](const Population& population, Random&) -> Decision {
    return {.index = population.size(), .answer = "made up"};
  };
  struct ThrowingStats : HighestReward {
    Stats stats(const Population&) const { throw std::runtime_error("no stats"); }
  };
  const auto check = [&](const Result& result, const std::string& cause) {
    CHECK(result.stop == Stop::failed);
    CHECK_FALSE(result.law_holds);
    CHECK(result.candidates.size() == 1);
    CHECK(result.spent.policy_calls == 2);
    CHECK(result.answer.response.tokens == std::vector<Token>{1});  // the earliest there is
    REQUIRE(result.failures.size() == 2);
    CHECK(result.failures[0].part == FailedPart::policy);
    CHECK(result.failures[1].part == FailedPart::selector);
    CHECK(result.failures[1].what == "the selector failed on the prompt \"p\": " + cause);
  };
  check(session.result(throwing), "no answer in it");
  CHECK(session.result(throwing).decision.share == 0);
  check(session.result(outside), "it chose position 1 of 1 candidates");
  CHECK(session.result(outside).decision.index == npos);
  CHECK(session.result(outside).decision.answer.empty());
  check(session.result(ThrowingStats{}), "no stats");
  CHECK(session.result(ThrowingStats{}).decision.index == 0);
  CHECK(session.result(HighestReward{}).stop == Stop::finished);
  check(std::move(session).result(throwing), "no answer in it");

  // Nothing to choose from: a position is as wrong.
  Session empty(Recorder{.rounds = 0}, "p");
  const Result result =
      empty.result([](const Population&, Random&) { return Decision{.index = 0}; });
  CHECK(result.stop == Stop::failed);
  CHECK(result.answer.response.empty());
}

namespace {

// Draws two responses a round and throws where it is told to.
struct Thrower {
  struct State {
    Prompt prompt = {};
    std::size_t asked = 0;
  };
  enum class Where { nowhere, start, prepares, share, ask, tell, stats, half_told };
  Where where = Where::nowhere;
  std::size_t lane = 0, round = 0;  // of `ask` and `tell`
  std::size_t chains = 1;
  bool waits = false;  // the other lanes wait for lane 0's first round

  void throw_at(Where here, std::size_t l = 0, std::size_t r = 0) const {
    if (here == where && l == lane && r == round) throw std::domain_error("a fault of the method");
  }
  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const Prompt& prompt) const {
    if (where == Where::start) throw std::domain_error("a fault of the method");
    return {.prompt = prompt};
  }
  [[nodiscard]] bool prepares(const State&) const {
    throw_at(Where::prepares);
    return waits;
  }
  void share(const State&, State&) const {
    if (where == Where::share) throw std::domain_error("a fault of the method");
  }
  void ask(State& state, Round& r) const {
    throw_at(Where::ask, r.lane(), r.index());
    if (state.asked++ == 3) return;
    for (int i = 0; i < 2; ++i) r.sample({.prompt = state.prompt, .max_tokens = 4});
  }
  void tell(State&, Round& r) const {
    throw_at(Where::tell, r.lane(), r.index());
    for (std::size_t i = 0; i < r.draws().size(); ++i) {
      if (r.draws()[i].status == DrawStatus::done) r.emit(r.take(i));
      throw_at(Where::half_told, r.lane(), r.index());
    }
  }
  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    throw_at(Where::stats);
    return {{"lanes", static_cast<double>(states.size())}};
  }
};
using Where = Thrower::Where;

Answer constant_answer(const Work& work) {
  return work.generation ? Answer(response_of({1})) : Answer(1.0);
}
Answer numbered_answer(const Work& work, Token& next) {
  return work.generation ? Answer(response_of({next++})) : Answer(1.0);
}

// Runs to the end by `take_new`, in at most `most` steps: a session that spins fails the test.
template <class S>
void run_taking(Session<S>& session, std::size_t most = 1000) {
  Token next = 0;
  for (std::size_t step = 0; !session.finished(); ++step) {
    REQUIRE(step < most);
    for (const Work& work : session.take_new())
      supply(session, work.id, numbered_answer(work, next));
  }
  CHECK(session.take_new().empty());
  CHECK(session.pending().empty());
}

}  // namespace

TEST_CASE("a sampler that throws fails the run as a state, with what was paid for") {
  struct Case {
    Where where;
    std::size_t round;
    std::size_t told, kept;  // candidates by the sampler, and without a reward
    const char* message;
  };
  for (const Case& c :
       {Case{Where::start, 0, 0, 0, "the sampler cannot start with the prompt \"p\": "},
        Case{Where::prepares, 0, 0, 0,
             "the sampler failed on the prompt \"p\" (lane 0, round 0): "},
        Case{Where::ask, 0, 0, 0, "(lane 0, round 0): "},
        Case{Where::ask, 2, 4, 0, "(lane 0, round 2): "},
        Case{Where::tell, 0, 0, 2, "(lane 0, round 0): "},
        Case{Where::tell, 2, 4, 2, "(lane 0, round 2): "},
        Case{Where::half_told, 1, 3, 1, "(lane 0, round 1): "}}) {
    Session session(Thrower{.where = c.where, .round = c.round}, "p");
    run_taking(session);
    REQUIRE(session.failures().size() == 1);
    CHECK(session.candidates().size() == c.told);
    const Result result = session.result(HighestReward{});
    CHECK(result.stop == Stop::failed);
    CHECK_FALSE(result.law_holds);
    REQUIRE(result.failures.size() == 1);
    CHECK(result.failures[0].part == FailedPart::sampler);
    CHECK(contains(result.failures[0].what, c.message));
    CHECK(contains(result.failures[0].what, "a fault of the method"));
    CHECK_THROWS_AS(std::rethrow_exception(result.failures[0].cause), std::domain_error);
    REQUIRE(result.candidates.size() == c.told + c.kept);
    CHECK(result.candidates.total_weight() == static_cast<double>(c.told));
    CHECK(result.spent.policy_calls == c.told + c.kept);
    CHECK(result.spent.reward_calls == c.told + c.kept);
    for (std::size_t i = c.told; i < result.candidates.size(); ++i) {
      CHECK(result.candidates[i].weight == 0);
      CHECK(std::isnan(result.candidates[i].reward));
      CHECK(result.candidates[i].raw_reward == 1.0);  // it was scored, and not worked with
      CHECK_FALSE(result.candidates[i].response.empty());
    }
    CHECK(result.stats.size() == (c.where == Where::start ? 0 : 1));
  }
}

TEST_CASE("stats that throw fail the result, which keeps its answer") {
  Session session(Thrower{.where = Where::stats}, "p");
  run_taking(session);
  CHECK(session.failures().empty());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].part == FailedPart::sampler);
  CHECK(contains(result.failures[0].what, "stats failed on the prompt \"p\": a fault"));
  CHECK(result.decision.index == 0);
  CHECK(result.candidates.size() == 6);
}

TEST_CASE("a lane whose sampler throws ends the others after what they have drawn") {
  for (const bool waits : {false, true}) {
    for (const std::size_t lane : {0u, 1u, 2u}) {
      for (const Where where : {Where::ask, Where::tell, Where::share}) {
        for (const std::size_t round : {0u, 1u}) {
          INFO("waits " << waits << " lane " << lane << " where " << int(where) << " round "
                        << round);
          Session session(
              Thrower{.where = where, .lane = lane, .round = round, .chains = 3, .waits = waits},
              "p");
          run_taking(session);
          const Result result = session.result(HighestReward{});
          CHECK(result.stop == Stop::failed);
          CHECK(result.failures.size() == (where == Where::share ? 2 : 1));
          // Everything that was drawn and scored is there.
          CHECK(result.spent.policy_calls == result.candidates.size());
          CHECK(session.cancelled().size() == 0);
        }
      }
    }
  }
  // Work of other lanes that is out is called back; what was drawn is still scored.
  Session session(Thrower{.where = Where::tell, .lane = 1, .chains = 3}, "p");
  const std::vector<Work> first = session.take_new();
  REQUIRE(first.size() == 6);
  session.supply(first[0].id, response_of({0}));
  session.supply(first[2].id, response_of({2}));
  session.supply(first[3].id, response_of({3}));
  const std::vector<Work> scorings = session.take_new();
  REQUIRE(scorings.size() == 3);
  session.supply(scorings[1].id, 1.0);
  session.supply(scorings[2].id, 1.0);  // lane 1 is told, and throws
  CHECK(session.cancelled() == std::vector<std::uint64_t>{first[1].id, first[4].id, first[5].id});
  CHECK_FALSE(session.finished());
  CHECK(session.pending().size() == 1);
  session.supply(scorings[0].id, 5.0);
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.candidates.size() == 3);
  CHECK(result.answer.reward == 5.0);
}

TEST_CASE("a closing tell that throws ends the run all the same") {
  std::stop_source source;
  Session session(Thrower{.where = Where::tell, .lane = 1, .chains = 3}, "p",
                  {.stop = source.get_token()});
  const std::vector<Work> first = session.take_new();
  session.supply(first[2].id, response_of({2}));
  source.request_stop();
  CHECK(session.cancelled().size() == 5);
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  CHECK(result.failures.size() == 1);
  CHECK(result.candidates.size() == 1);
}

TEST_CASE("a round of too many draws fails the run as a state") {
  struct Wide {
    std::size_t rounds = 1;
    struct State {
      std::size_t round = 0;
    };
    [[nodiscard]] State start(const Prompt&) const { return {}; }
    void ask(State& state, Round& round) const {
      if (state.round++ < rounds) return round.sample({.max_tokens = 1});
      for (std::size_t i = 0; i <= Round::most_draws; ++i) round.score("", Response{});
    }
    void tell(State&, Round& round) const {
      if (round.draws()[0].status == DrawStatus::done) round.emit(round.take(0));
    }
  };
  Session session(Wide{}, "p", {.budget = {.reward_calls = 5}});
  run_taking(session);
  const Result result = session.result(HighestReward{});
  CHECK(result.stop == Stop::failed);
  CHECK(result.candidates.size() == 1);
  REQUIRE(result.failures.size() == 1);
  CHECK(contains(result.failures[0].what, "(lane 0, round 1): a round asks for more than 2097152"));
}

TEST_CASE("new work is handed out once, generations first") {
  Session session(Recorder{.rounds = 2, .width = 3}, "p");
  const std::vector<Work> first = session.take_new();
  REQUIRE(first.size() == 3);
  CHECK(session.take_new().empty());
  CHECK(session.pending().size() == 3);  // lists all, also what was handed out
  session.supply(first[2].id, response_of({2}));
  session.supply(first[0].id, response_of({0}));
  const std::vector<Work> scorings = session.take_new();
  REQUIRE(scorings.size() == 2);
  CHECK(scorings[0].scoring->response->tokens == std::vector<Token>{0});  // by index
  CHECK(scorings[1].scoring->response->tokens == std::vector<Token>{2});
  session.supply(first[1].id, response_of({1}));
  CHECK(session.pending().size() == 3);
  CHECK(session.take_new().empty());  // `pending` has handed it out
  std::vector<Work> none;
  session.take_generations(none);
  CHECK(none.empty());
  for (const Work& work : session.pending()) session.supply(work.id, 1.0);
  session.take_scorings(none);
  CHECK(none.empty());
  session.take_generations(none);
  CHECK(none.size() == 3);

  CHECK(session.waits_for(none[0].id));
  CHECK_FALSE(session.waits_for(first[0].id));
  session.supply(none[0].id, response_of({1}));
  CHECK_FALSE(session.waits_for(none[0].id));
  CHECK_THROWS_AS((void)session.waits_for(std::uint64_t{1} << 50), Error);
}

TEST_CASE("a run driven by take_new is the run driven by pending") {
  runs::for_each_sampler([&](const std::string& name, const auto& sampler) {
    INFO(name);
    auto policy = toy::policy();
    auto reward = toy::reward();
    const RunOptions options = {.seed = 3, .stream = 8};
    Session listed(sampler, "p", options);
    run_in_order(listed, policy, reward);
    Session taken(sampler, "p", options);
    std::size_t pieces = 0;
    while (!taken.finished()) {
      const std::vector<Work> work = taken.take_new();
      REQUIRE_FALSE(work.empty());
      // The last first: what has come in since is new again.
      for (std::size_t i = work.size(); i-- > 0; ++pieces) {
        supply(taken, work[i].id, answer_to(work[i], policy, reward));
      }
    }
    CHECK(pieces == taken.spent().policy_calls + taken.spent().reward_calls);
    CHECK(runs::text_of(taken.result(runs::Heaviest{})) ==
          runs::text_of(listed.result(runs::Heaviest{})));
  });
}

TEST_CASE("a session says until when it may be waited for") {
  using Clock = Session<Recorder>::Clock;
  CHECK_FALSE(Session(Recorder{}, "p").next_deadline());
  CHECK_FALSE(Session(Recorder{}, "p", {.budget = {.seconds = 1e300}}).next_deadline());
  const auto before = Clock::now();
  Session session(Recorder{}, "p", {.budget = {.seconds = 0.02}});
  const auto after = Clock::now();
  const std::optional<Clock::time_point> deadline = session.next_deadline();
  REQUIRE(deadline);
  CHECK(*deadline >= before + std::chrono::milliseconds(20));
  CHECK(*deadline <= after + std::chrono::milliseconds(21));
  // A loop that waits for nothing but this, and then looks, ends in one turn.
  const std::vector<Work> work = session.take_new();
  REQUIRE(work.size() == 1);
  std::this_thread::sleep_until(*deadline);
  CHECK_FALSE(session.finished());
  CHECK(session.take_new().empty());
  CHECK(session.finished());
  CHECK_FALSE(session.next_deadline());
  CHECK(session.cancelled() == std::vector<std::uint64_t>{work[0].id});
  CHECK(session.result(HighestReward{}).stop == Stop::seconds);
}

TEST_CASE("texts that were drawn and not scored are answers when nothing better is there") {
  std::stop_source source;
  Session session(Recorder{.rounds = 1, .width = 8}, "p", {.stop = source.get_token()});
  Token next = 0;
  for (const Work& work : session.take_new()) session.supply(work.id, response_of({next++}));
  const std::vector<Work> scorings = session.take_new();
  CHECK(session.result(HighestReward{}).candidates.size() == 8);  // as if it were cancelled now
  CHECK(session.candidates().empty());
  source.request_stop();
  CHECK(session.take_new().empty());
  CHECK(session.finished());
  const Result result = session.result(HighestReward{});
  CHECK(result.spent.policy_calls == 8);
  REQUIRE(result.candidates.size() == 8);
  CHECK(result.candidates.total_weight() == 0);
  CHECK(result.answer.response.tokens == std::vector<Token>{0});
  CHECK(result.decision.answer == "0");
  CHECK_FALSE(result.law_holds);
  CHECK(result.stats.empty());
  // A reward that comes too late is paid for and changes nothing.
  session.supply(scorings[5].id, 1.0);
  CHECK(session.spent().reward_calls == 1);
  CHECK(std::isnan(session.result(HighestReward{}).candidates[5].reward));
  CHECK(std::move(session).result(LastState{}).answer.response.tokens == std::vector<Token>{7});
}

TEST_CASE("a scored candidate of weight 0 is better than a text without a reward") {
  std::stop_source source;
  // The state of round 0 is within the burn-in; the proposals of round 1 are never scored.
  Session session(QAlign{{.steps = 4, .chains = 2, .burn_in = 3, .max_tokens = 4}}, "p",
                  {.stop = source.get_token()});
  for (const Work& work : session.take_new()) session.supply(work.id, response_of({1, 2}));
  for (const Work& work : session.take_new()) session.supply(work.id, -3.0);
  for (const Work& work : session.take_new()) {
    session.supply(work.id, response_of(std::vector<Token>(work.generation->max_tokens, 9)));
  }
  source.request_stop();
  CHECK(session.take_new().empty());
  for (const Result& result : {session.result(LastState{}), session.result(HighestReward{})}) {
    REQUIRE(result.candidates.size() == 4);
    CHECK(result.candidates.total_weight() == 0);
    CHECK(result.answer.reward == -3.0);
    CHECK(result.answer.response.tokens == std::vector<Token>{1, 2});
    // What the chain proposed stands behind what it has, whole.
    CHECK(result.candidates.lane(1)[1].response.tokens.back() == 9);
    CHECK(result.candidates.lane(1)[1].response.size() == 4);
  }
}

TEST_CASE("unfinished text of a cancelled generation can be handed in") {
  std::stop_source source;
  Session session(Recorder{.rounds = 2, .width = 3, .chains = 2}, "p",
                  {.stop = source.get_token()});
  const std::vector<Work> work = session.take_new();
  CHECK_THROWS_AS(session.supply_partial(work[0].id, response_of({1})), Error);
  source.request_stop();
  REQUIRE(session.cancelled().size() == 6);
  const Population none = session.result(HighestReward{}).candidates;
  CHECK(none.empty());
  // In any order: they stand by lane and index.
  session.supply_partial(work[4].id, response_of({4}));
  session.supply_partial(work[1].id, response_of({1}));
  session.supply_partial(work[3].id, response_of({1, 2, 3, 4, 5}));  // longer than was asked for
  session.supply_partial(work[0].id, response_of({7}));
  session.supply_partial(work[0].id, response_of({8}));  // twice
  session.supply_partial(work[2].id, Response{});        // nothing yet
  const Result result = session.result(HighestReward{});
  std::vector<Token> tokens;
  for (const Candidate& candidate : result.candidates) {
    CHECK(candidate.weight == 0);
    CHECK(candidate.response.finish == Finish::segment);
    tokens.push_back(candidate.response.tokens[0]);
  }
  CHECK(tokens == std::vector<Token>{7, 1, 4});
  CHECK(result.candidates[2].lane == 1);
  CHECK(result.answer.response.tokens == std::vector<Token>{7});
  CHECK(result.stop == Stop::cancelled);
  CHECK(result.failures.empty());
  CHECK(result.spent.policy_calls == 5);
  CHECK(result.spent.generated_tokens == 1 + 1 + 5 + 1);  // what came was paid for
}

TEST_CASE("what is not an answer is not kept as one") {
  // Draws a critique and scores a text of its own: neither answers the prompt.
  struct Critic {
    struct State {
      Prompt prompt = {};
    };
    State start(const Prompt& prompt) const { return {.prompt = prompt}; }
    void ask(State& state, Round& round) const {
      if (round.index() > 0) return;
      round.generate({.prompt = state.prompt, .max_tokens = 4});
      round.score(state.prompt, response_of({5}));
      round.sample({.prompt = state.prompt, .max_tokens = 4});
      round.sample_ahead(
          1, [](std::size_t) { return Generation{.prompt = "another question", .max_tokens = 4}; });
    }
    void tell(State&, Round&) const {}
  };
  std::stop_source source;
  Session session(Critic{}, "p", {.stop = source.get_token()});
  const std::vector<Work> work = session.take_new();
  REQUIRE(work.size() == 4);
  CHECK(work[0].generation->prompt == Prompt("another question"));
  for (const Work& w : work) {
    if (w.generation)
      session.supply(w.id, response_of({Token(w.generation->prompt.text().size())}));
  }
  source.request_stop();
  CHECK(session.take_new().empty());
  const Result result = session.result(HighestReward{});
  REQUIRE(result.candidates.size() == 1);
  CHECK(result.candidates[0].response.tokens == std::vector<Token>{1});  // the sample's
}

TEST_CASE(
    "many lanes: every piece is handed out once, and a failure does not start the count anew") {
  const std::size_t lanes = 20'000;
  Session session(Recorder{.rounds = 2, .chains = lanes}, "p", {.on_failure = OnFailure::survive});
  std::size_t pieces = 0;
  while (!session.finished()) {
    for (const Work& work : session.take_new()) {
      ++pieces;
      if (pieces % 3 == 0) {
        session.fail(work.id, nullptr);
      } else {
        supply(session, work.id, constant_answer(work));
      }
    }
  }
  CHECK(pieces == session.spent().policy_calls + session.spent().reward_calls);
  CHECK(session.spent().policy_calls == 2 * lanes);
  CHECK(session.failures().size() == pieces / 3);
}

namespace {

// Lane 0's first round draws something more, which all lanes need: how many there were is what the
// others begin with. Each lane then draws `rounds` responses, one after the other.
struct Preparer {
  struct State {
    Prompt prompt = {};
    std::size_t round = 0;
    std::optional<std::size_t> found = {};
    bool preparing = false;
  };
  std::size_t rounds = 2, chains = 3, more = 2;
  bool known = false;  // nothing has to be found
  std::shared_ptr<std::vector<std::string>> log = std::make_shared<std::vector<std::string>>();

  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
  [[nodiscard]] bool prepares(const State& first) const { return first.preparing; }
  void share(const State& first, State& other) const {
    other.found = first.found;
    log->push_back("share " + (first.found ? std::to_string(*first.found) : "nothing"));
  }
  void ask(State& state, Round& round) const {
    log->push_back("ask " + std::to_string(round.lane()));
    if (state.round == rounds) return;
    round.sample({.prompt = state.prompt, .max_tokens = 4});
    if (known) state.found = more;
    if (state.found) return;
    for (std::size_t i = 0; i < more; ++i) {
      round.generate({.prompt = state.prompt, .max_tokens = 4});
    }
    state.preparing = true;
  }
  void tell(State& state, Round& round) const {
    log->push_back(std::string(round.closing() ? "close " : "tell ") +
                   std::to_string(round.lane()));
    if (state.preparing) {
      std::size_t found = 0;
      for (const Draw& draw : round.draws().last(more)) found += draw.status == DrawStatus::done;
      if (found > 0) state.found = found;
      state.preparing = false;
    }
    ++state.round;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done || !round.draws()[i].to_score) continue;
      Candidate candidate = round.take(i);
      candidate.weight = static_cast<double>(state.found.value_or(0));
      round.emit(std::move(candidate));
    }
  }
};
using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("lanes wait for a first round of lane 0 that finds what all of them need") {
  const Preparer sampler;
  Session session(sampler, "p");
  CHECK(*sampler.log == Strings{"ask 0"});
  const std::vector<Work> first = session.pending();
  REQUIRE(first.size() == 3);  // lane 0 alone
  CHECK_THROWS_AS(session.supply(first[0].id + (std::uint64_t{1} << 48), response_of({1})), Error);
  CHECK(session.settled(2).empty());
  session.supply(first[2].id, response_of({3}));
  session.supply(first[0].id, response_of({1}));
  session.supply(session.pending().back().id, 1.0);
  CHECK(*sampler.log == Strings{"ask 0"});
  CHECK(session.result(runs::Heaviest{}).stop == Stop::cancelled);  // at any moment
  session.supply(first[1].id, response_of({2}));
  CHECK(*sampler.log ==
        Strings{"ask 0", "tell 0", "share 2", "ask 1", "share 2", "ask 2", "ask 0"});
  CHECK(session.pending().size() == 3);  // one of each lane
  while (!session.finished()) {
    for (const Work& work : session.pending()) supply(session, work.id, constant_answer(work));
  }
  const Result result = session.result(runs::Heaviest{});
  CHECK(result.stop == Stop::finished);
  CHECK(result.law_holds);
  CHECK(result.candidates.size() == 6);
  CHECK(result.spent.policy_calls == 3 * 2 + 2);
  CHECK(result.spent.rounds == 2);
  for (const Candidate& candidate : result.candidates) CHECK(candidate.weight == 2);
}

TEST_CASE("lanes begin together where there is nothing to wait for") {
  const Preparer sampler{.known = true};
  Session session(sampler, "p");
  CHECK(*sampler.log == Strings{"ask 0", "share 2", "ask 1", "share 2", "ask 2"});
  CHECK(session.pending().size() == 3);

  const Preparer single{.chains = 1};
  Session alone(single, "p");
  CHECK(*single.log == Strings{"ask 0"});
  while (!alone.finished()) {
    for (const Work& work : alone.pending()) supply(alone, work.id, constant_answer(work));
  }
  CHECK(alone.candidates().size() == 2);

  const Preparer nothing{.rounds = 0};
  Session empty(nothing, "p");
  CHECK(empty.finished());
  CHECK(*nothing.log == Strings{"ask 0", "share nothing", "ask 1", "share nothing", "ask 2"});
}

TEST_CASE("lanes that wait: the result does not depend on the order of completion") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  for (const Budget& budget : {Budget{}, Budget{.tokens = 20, .policy_calls = 9}}) {
    const RunOptions options = {.seed = 3, .budget = budget};
    Session in_order(Preparer{.rounds = 4}, "p", options);
    run_in_order(in_order, policy, reward);
    const std::string wanted = runs::text_of(in_order.result(runs::Heaviest{}));
    for (std::uint64_t order = 0; order < 20; ++order) {
      Session shuffled(Preparer{.rounds = 4}, "p", options);
      run_shuffled(shuffled, policy, reward, order);
      REQUIRE(runs::text_of(shuffled.result(runs::Heaviest{})) == wanted);
    }
  }
}

TEST_CASE("lanes that wait end with the run, each with one last tell") {
  std::stop_source source;
  SECTION("a stop request before anything is done") {
    const Preparer sampler;
    Session session(sampler, "p", {.stop = source.get_token()});
    const std::vector<Work> first = session.pending();
    source.request_stop();
    CHECK(session.cancelled().size() == 3);
    CHECK(session.finished());
    CHECK(*sampler.log == Strings{"ask 0", "close 0", "share nothing", "ask 1", "share nothing",
                                  "ask 2", "close 1", "close 2"});
    const Result result = session.result(runs::Heaviest{});
    CHECK(result.stop == Stop::cancelled);
    CHECK(result.spent.rounds == 1);
    session.supply(first[0].id, response_of({1, 2}));  // late, and paid for
    CHECK(session.spent().generated_tokens == 2);
  }
  SECTION("a stop request before the run") {
    source.request_stop();
    const Preparer sampler;
    Session session(sampler, "p", {.stop = source.get_token()});
    CHECK(session.finished());
    CHECK(sampler.log->back() == "close 2");
  }
  SECTION("no time") {
    const Preparer sampler;
    Session session(sampler, "p", {.budget = {.seconds = 0}});
    CHECK(session.finished());
    CHECK(session.result(runs::Heaviest{}).stop == Stop::seconds);
    CHECK(sampler.log->back() == "close 2");
  }
  SECTION("a failed draw under OnFailure::fail") {
    const Preparer sampler;
    Session session(sampler, "p");
    const std::vector<Work> first = session.pending();
    session.supply(first[0].id, response_of({1}));
    session.fail(first[1].id, std::make_exception_ptr(std::runtime_error("cause")));
    CHECK(session.cancelled() == std::vector<std::uint64_t>{first[2].id});
    CHECK_FALSE(session.finished());
    session.supply(session.pending()[0].id, 1.0);  // what was drawn is still scored
    CHECK(session.finished());
    const Result result = session.result(runs::Heaviest{});
    CHECK(result.stop == Stop::failed);
    CHECK(result.candidates.size() == 1);
    CHECK(*sampler.log == Strings{"ask 0", "close 0", "share nothing", "ask 1", "share nothing",
                                  "ask 2", "close 1", "close 2"});
  }
}

TEST_CASE("lanes that wait go on when lane 0 has failed draws or has spent its share") {
  SECTION("failed draws under OnFailure::survive") {
    const Preparer sampler;
    Session session(sampler, "p", {.on_failure = OnFailure::survive});
    const std::vector<Work> first = session.pending();
    session.fail(first[0].id, nullptr);
    session.fail(first[1].id, nullptr);
    session.supply(first[2].id, response_of({1}));
    CHECK(session.pending().size() == 3);
    while (!session.finished()) {
      for (const Work& work : session.pending()) supply(session, work.id, constant_answer(work));
    }
    const Result result = session.result(runs::Heaviest{});
    CHECK(result.candidates.size() == 5);
    for (const Candidate& candidate : result.candidates) CHECK(candidate.weight == 1);
  }
  SECTION("two calls for each lane") {
    const Preparer sampler;
    Session session(sampler, "p", {.budget = {.policy_calls = 6}});
    while (!session.finished()) {
      for (const Work& work : session.pending()) supply(session, work.id, constant_answer(work));
    }
    const Result result = session.result(runs::Heaviest{});
    CHECK(result.stop == Stop::policy_calls);
    CHECK(result.spent.policy_calls == 6);
    CHECK(result.candidates.lane(0).size() == 1);
    CHECK(result.candidates.lane(1).size() == 2);
    CHECK(result.candidates.lane(2).size() == 2);
    for (const Candidate& candidate : result.candidates) CHECK(candidate.weight == 1);
  }
  SECTION("no call for any lane") {
    const Preparer sampler;
    Session session(sampler, "p", {.budget = {.policy_calls = 0}});
    CHECK(session.finished());
    CHECK(session.result(runs::Heaviest{}).stop == Stop::policy_calls);
    CHECK(sampler.log->back() == "close 2");
  }
}

TEST_CASE("a session whose lanes wait can be copied and moved") {
  auto policy = toy::policy();
  auto reward = toy::reward();
  Session reference(Preparer{}, "p", {.seed = 4});
  run_in_order(reference, policy, reward);
  const std::string wanted = runs::text_of(reference.result(LastState{}));
  Session session(Preparer{}, "p", {.seed = 4});
  const std::vector<Work> out = session.pending();
  supply(session, out[0].id, answer_to(out[0], policy, reward));
  Session copy = session;
  Session moved = std::move(session);
  run_in_order(copy, policy, reward);
  run_in_order(moved, policy, reward);
  CHECK(runs::text_of(copy.result(LastState{})) == wanted);
  CHECK(runs::text_of(moved.result(LastState{})) == wanted);
}

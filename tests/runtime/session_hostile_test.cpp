// Samplers that do everything the concept forbids, driven by loops that do everything a server may:
// a session must end in a bounded number of steps, throw nothing, and account for what was paid for.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/runtime/session.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/last_state.hpp"

using namespace tilt;
using runs::response_of;

namespace {

// Asks, emits and throws at random, as a function of its seed.
struct Hostile {
  struct State {
    Prompt prompt = {};
    std::size_t rounds = 0;
  };
  std::uint64_t seed = 0;
  std::size_t chains = 1;
  bool waits = false;
  double throws = 0.05;

  void may_throw(Random& random) const {
    if (random.uniform() >= throws) return;
    switch (random.below(3)) {
      case 0:
        throw std::runtime_error("a fault");
      case 1:
        throw InvalidOption("Hostile.option", "1", "2");
      default:
        throw 42;
    }
  }
  [[nodiscard]] Random random_of(std::uint64_t lane, std::uint64_t round,
                                 std::uint64_t where) const {
    return Random(seed, lane, round, where);
  }
  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const Prompt& prompt) const {
    Random random = random_of(0, 0, 1);
    if (random.below(8) == 0) may_throw(random);
    return {.prompt = prompt};
  }
  [[nodiscard]] bool prepares(const State&) const {
    Random random = random_of(0, 0, 2);
    may_throw(random);
    return waits;
  }
  void share(const State&, State&) const {
    Random random = random_of(0, 0, 3);
    may_throw(random);
  }
  void ask(State& state, Round& round) const {
    Random random = random_of(round.lane(), round.index(), 4);
    may_throw(random);
    if (++state.rounds > 5 || random.below(6) == 0) return;
    for (std::uint64_t i = random.below(5); i-- > 0;) {
      Generation work{.prompt = state.prompt, .max_tokens = 1 + random.below(4)};
      if (random.below(2) == 0) work.prefix = response_of({1, 2}, Finish::segment);
      if (random.below(4) == 0) work.max_tokens = npos;
      switch (random.below(3)) {
        case 0:
          round.sample(std::move(work));
          break;
        case 1:
          round.generate(std::move(work));
          break;
        default:
          round.score(state.prompt, response_of({7}));
      }
      may_throw(random);
    }
    if (random.below(4) == 0)
      round.sample_ahead(2, [](std::size_t) { return Generation{.prompt = "r"}; });
    may_throw(random);
  }
  void tell(State&, Round& round) const {
    Random random = random_of(round.lane(), round.index(), 5);
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      may_throw(random);
      if (random.below(3) == 0) continue;  // forgotten
      Candidate candidate = round.take(i);
      if (random.below(5) == 0) candidate = round.take(i);  // twice: what is left of it
      constexpr double weights[] = {1, 0, -1, infinity, unset};
      candidate.weight = weights[random.below(5)];
      const std::uint64_t id = round.emit(std::move(candidate));
      if (random.below(4) == 0) round.add_weight(id, 2);
      if (random.below(20) == 0) round.add_weight(id + 1, 1);  // there is no such candidate
      if (random.below(8) == 0) round.settle(round.candidate(id).response.tokens);
    }
    if (random.below(8) == 0) round.sample({.prompt = "asked when told"});
  }
  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    Random random = random_of(0, 0, 6);
    may_throw(random);
    return {{"rounds", static_cast<double>(states.front().rounds)}};
  }
};

// A selector that is no better.
struct HostileSelector {
  std::uint64_t seed = 0;
  Decision operator()(const Population& population, Random& random) const {
    switch (Random(seed, 9).below(4)) {
      case 0:
        throw std::runtime_error("a fault");
      case 1:
        return {.index = population.size() + random.below(3)};
      case 2:
        return {};
      default:
        return {.index = population.empty() ? npos : population.size() - 1};
    }
  }
};

Response answer_of(Random& random, const Generation& work) {
  std::vector<Token> tokens(1 + random.below(std::min<std::size_t>(work.max_tokens, 6)), 3);
  Response response = response_of(std::move(tokens));
  switch (random.below(12)) {
    case 0:
      response.tokens.push_back(4);
      break;  // no `ends` for it, and maybe too many
    case 1:
      response.finish = Finish::error;
      break;
    case 2:
      response = {};
      break;
    case 3:
      response.log_probs = {-1};
      break;
    default:
      break;
  }
  return response;
}

void drive(std::uint64_t seed, std::size_t& failed, std::size_t& finished) {
  Random random(seed, 77);
  const Hostile sampler{.seed = seed,
                        .chains = 1 + random.below(4),
                        .waits = random.below(2) == 0,
                        .throws = random.below(3) == 0 ? 0.05 : 0};
  std::stop_source source;
  RunOptions options{.seed = seed, .stop = source.get_token()};
  if (random.below(3) == 0) options.budget.tokens = random.below(30);
  if (random.below(3) == 0) options.budget.policy_calls = random.below(12);
  if (random.below(3) == 0) options.budget.reward_calls = random.below(12);
  if (random.below(2) == 0) options.on_failure = OnFailure::survive;
  if (random.below(2) == 0) options.on_nan = OnNan::reject;
  const std::uint64_t stop_after = random.below(60);

  std::optional<Session<Hostile>> session(std::in_place, sampler, "p", options);
  std::map<std::uint64_t, bool> out;  // id, and whether it is a generation
  std::set<std::uint64_t> listed, paid_for;
  std::vector<std::uint64_t> ids;
  std::size_t steps = 0;
  for (; !session->finished(); ++steps) {
    REQUIRE(steps < 2000);
    if (steps == stop_after) source.request_stop();
    for (const Work& work : random.below(3) == 0 ? session->pending() : session->take_new()) {
      REQUIRE((work.generation != nullptr) != (work.scoring != nullptr));
      if (listed.insert(work.id).second) ids.push_back(work.id);
      out[work.id] = work.generation != nullptr;
      if (work.scoring) REQUIRE(work.scoring->response != nullptr);
    }
    if (session->finished()) break;
    REQUIRE(session->in_flight() > 0);
    REQUIRE_FALSE(ids.empty());
    if (random.below(10) == 0) session.emplace(Session<Hostile>(*session));
    if (random.below(10) == 0) {
      Session<Hostile> moved = std::move(*session);
      session.emplace(std::move(moved));
    }
    // Old ids and new ones, twice, late, whole and cut.
    const std::uint64_t id = ids[random.below(ids.size())];
    const bool waits = session->waits_for(id);
    if (out[id]) {
      const Generation none{.max_tokens = 3};
      const Generation& work = waits ? session->lend(id) : none;
      const Response response = answer_of(random, work);
      if (!waits && random.below(2) == 0) {
        session->supply_partial(id, response);
      } else if (random.below(8) == 0) {
        session->fail(id, nullptr);
      } else {
        session->supply(id, response);
      }
    } else if (random.below(8) == 0) {
      session->fail(id, std::make_exception_ptr(42));
    } else {
      constexpr double rewards[] = {1, 0.5, -infinity, infinity, unset};
      session->supply(id, rewards[random.below(random.below(2) == 0 ? 2 : 5)]);
    }
    if (waits) paid_for.insert(id);
    if (random.below(9) == 0) (void)session->cancelled();
    if (random.below(9) == 0) (void)session->result(HostileSelector{seed});
  }
  for (const std::uint64_t id : ids) {  // what comes after the end
    if (out[id]) {
      session->supply_partial(id, response_of({5}));
    } else {
      session->supply(id, 2.0);
    }
  }
  CHECK(session->take_new().empty());
  CHECK(session->pending().empty());
  CHECK(session->in_flight() == 0);
  const Cost spent = session->spent();
  CHECK(spent.policy_calls + spent.reward_calls >= paid_for.size());
  CHECK(spent.policy_calls + spent.reward_calls <= listed.size());
  CHECK(spent.policy_calls <= options.budget.policy_calls);
  CHECK(spent.reward_calls <= options.budget.reward_calls);
  for (const Result& result : {session->result(LastState{}), session->result(HighestReward{}),
                               session->result(HostileSelector{seed}),
                               std::move(*session).result(HostileSelector{seed})}) {
    CHECK((result.decision.index == npos || result.decision.index < result.candidates.size()));
    if (result.stop == Stop::failed) CHECK_FALSE(result.failures.empty());
    if (result.law_holds) CHECK((result.stop == Stop::finished && result.failures.empty()));
    ++(result.stop == Stop::failed ? failed : finished);
  }
}

}  // namespace

TEST_CASE("hostile samplers, selectors, results and loops: a session ends, and never throws") {
  std::size_t failed = 0, finished = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    INFO("seed " << seed);
    REQUIRE_NOTHROW(drive(seed, failed, finished));
  }
  // Both happen often, so that neither path is left out.
  CHECK(failed > 2000);
  CHECK(finished > 2000);
}

#include "tilt/testing/check_sampler.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"

using namespace tilt;
using namespace tilt::testing;

namespace {

template <class S>
std::string found(const S& sampler) {
  std::string text;
  for (const std::string& sentence : check_sampler(sampler)) text += sentence + '\n';
  return text;
}

template <class S>
void check_caught(const S& sampler, const std::string& rule) {
  const std::string text = found(sampler);
  INFO("wanted: " << rule << "\nfound:\n" << text);
  CHECK(text.find(rule) != std::string::npos);
}

// A sampler of a few rounds, with a fault planted in what it asks or in what it keeps.
struct Climber {
  struct State {
    Prompt prompt = {};
    std::size_t round = 0;
    Response best = {};
    double reward = -infinity;
    std::shared_ptr<double> shared = std::make_shared<double>(0);
  };
  std::size_t chains = 2, steps = 4, width = 3;
  std::function<void(State&, Round&)> before_tell = [](State&, Round&) {};
  std::function<void(Generation&)> change = [](Generation&) {};
  std::function<bool(const Draw&)> is_done = [](const Draw& draw) {
    return draw.status == DrawStatus::done;
  };
  std::function<double(State&, double)> weight = [](State&, double) { return 1.0; };

  [[nodiscard]] std::size_t lanes() const { return chains; }
  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
  void ask(State& state, Round& round) const {
    if (state.round == steps) return;
    for (std::size_t i = 0; i < width; ++i) {
      Generation work = {.prompt = state.prompt, .prefix = state.best.first(state.best.size() / 2)};
      work.max_tokens = 6 - work.prefix.size();
      change(work);
      round.sample(std::move(work));
    }
  }
  void tell(State& state, Round& round) const {
    ++state.round;
    before_tell(state, round);
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (!is_done(round.draws()[i])) continue;
      Candidate candidate = round.take(i);
      if (candidate.reward > state.reward) {
        state.reward = candidate.reward;
        state.best = candidate.response;
      }
      candidate.weight = weight(state, candidate.reward);
      round.emit(std::move(candidate));
    }
  }
};

}  // namespace

TEST_CASE("good samplers pass") {
  CHECK(found(archetype::Sampler(5)) == "");
  CHECK(found(Climber{}) == "");
  CHECK(found(Climber{.weight = [](Climber::State& state, double) {
          return state.round > 1 ? 1.0 : 0.0;
        }}) == "");
}

TEST_CASE("the library's samplers pass") {
  CHECK(found(BestOfN{{.n = 9, .max_tokens = 5}}) == "");
  CHECK(found(BestOfN{{.n = 9, .max_tokens = 5, .stop_at = 0.5, .width = 2}}) == "");
  CHECK(found(Rejection{{.ceiling = 1.5, .max_rejections = 6, .max_tokens = 5}}) == "");
  CHECK(found(Rejection{{.beta = 0.3, .ceiling = 1, .max_rejections = npos, .max_tokens = 5}}) ==
        "");
  CHECK(found(QAlign{{.beta = 0.5, .steps = 12, .max_tokens = 6}}) == "");
  CHECK(found(QAlign{
            {.beta = 0.5, .steps = 6, .chains = 3, .fork = 3, .burn_in = 4, .max_tokens = 6}}) ==
        "");
  CHECK(found(Cards{{.beta = 0.5,
                     .reward_goal = 1,
                     .max_rejections = 4,
                     .max_tokens = 6,
                     .segment = {.entropy = 1.1, .min_tokens = 1, .max_tokens = 3}}}) == "");
  CHECK(found(Cards{{.beta = 0.5,
                     .reward_goal = 1,
                     .max_rejections = 4,
                     .parallel = 3,
                     .max_tokens = 6,
                     .segment = {.entropy = 1.1, .min_tokens = 1, .max_tokens = 3}}}) == "");
}

TEST_CASE("samplers pass with a policy and a reward of the user's own") {
  CHECK(check_sampler(BestOfN{{.n = 4}}, toy::policy(), toy::reward()).empty());
  auto policy = toy::policy();
  archetype::RewardModel reward(1);
  CHECK(
      check_sampler(Climber{}, policy, reward, {.prompt = Prompt::from_tokens({toy::b})}).empty());
  TextPolicy text{[](std::string_view prompt, const Generation& work) {
    return std::string(prompt) + std::to_string(work.seed % 7);
  }};
  CHECK(check_sampler(BestOfN{{.n = 4}}, text, no_reward).empty());
}

TEST_CASE("a draw that is not done and becomes a candidate is found") {
  check_caught(Climber{.is_done = [](const Draw&) { return true; }},
               "a draw that is not done never becomes a candidate");
  check_caught(Climber{.is_done = [](const Draw& d) { return d.status != DrawStatus::failed; }},
               "a draw that is not done never becomes a candidate");
  check_caught(Climber{.is_done = [](const Draw& d) { return d.status != DrawStatus::skipped; }},
               "a draw that is not done never becomes a candidate");
  check_caught(Climber{.is_done = [](const Draw&) { return true; }},
               "where every draw fails there is no candidate");
}

TEST_CASE("a draw that is not done and is used again is found") {
  check_caught(Climber{.before_tell =
                           [](Climber::State& state, Round& round) {
                             state.best = round.draws()[0].response;
                             state.reward = infinity;
                           }},
               "a draw that is not done is never used again");
  check_caught(Climber{.before_tell =
                           [](Climber::State& state, Round& round) {
                             state.prompt = state.prompt.text().substr(0, 1);
                             state.prompt = Prompt(std::string(state.prompt.text()) +
                                                   round.draws()[0].response.text);
                           }},
               "a draw that is not done is never used again");
}

TEST_CASE("candidates out of nothing are found") {
  check_caught(
      Climber{.before_tell = [](Climber::State&, Round& round) { round.emit({.reward = 0}); }},
      "where no draw is done there is no candidate");
}

TEST_CASE("a sampler that remembers outside its state is found") {
  const auto calls = std::make_shared<double>(0);
  check_caught(Climber{.weight = [calls](Climber::State&, double) { return ++*calls; }},
               "the same seed gives the same candidates");
  check_caught(Climber{.weight = [](Climber::State& state, double) { return ++*state.shared; }},
               "a State is a value");
  // Counts modulo what one run counts, so that only runs side by side differ.
  const auto turns = std::make_shared<std::size_t>(0);
  check_caught(Climber{.weight = [turns](Climber::State&,
                                         double) { return static_cast<double>(++*turns % 24); }},
               "a sampler keeps nothing outside its State");
}

TEST_CASE("a sampler that depends on the order of arrival is found") {
  // Lanes that look at each other: the one that comes first is favoured.
  struct Racer : Climber {
    std::shared_ptr<std::uint64_t> owner = std::make_shared<std::uint64_t>(npos);
    State start(const Prompt& prompt) const {
      *owner = npos;
      return Climber::start(prompt);
    }
    void tell(State& state, Round& round) const {
      if (*owner == npos) *owner = round.lane();
      Climber fair = *this;
      fair.weight = [&](State&, double) { return *owner == round.lane() ? 1.0 : 0.5; };
      fair.tell(state, round);
    }
  };
  check_caught(Racer{}, "candidates do not depend on the order in which results arrive");
}

TEST_CASE("illegal work is found") {
  check_caught(Climber{.change = [](Generation& w) { w.law.top_p = 0; }},
               "what is asked for is legal: Generation.law.top_p is 0");
  check_caught(Climber{.change =
                           [](Generation& w) {
                             w.until = SegmentRule{1, 3, 2};
                           }},
               "what is asked for is legal: Generation.until.max_tokens is 2");
  check_caught(Climber{.change = [](Generation& w) { w.max_tokens = 0; }},
               "max_tokens of what is asked for is at least 1");
  check_caught(Climber{.before_tell =
                           [](Climber::State& state, Round& round) {
                             // Twice as long, so that half of it is all of it.
                             if (round.draws()[0].status != DrawStatus::done) return;
                             state.best = round.draws()[0].response;
                             state.best.append(state.best.first(state.best.size()));
                             state.reward = infinity;
                           }},
               "a response that has ended is not continued");
}

TEST_CASE("weights that are none are found") {
  for (const double weight : {-1.0, infinity, unset}) {
    check_caught(Climber{.weight = [weight](Climber::State&, double) { return weight; }},
                 "weights are finite and not negative");
  }
}

TEST_CASE("what throws is found") {
  check_caught(Climber{.before_tell =
                           [](Climber::State&, Round& round) {
                             if (round.closing()) throw std::logic_error("not now");
                           }},
               "start, ask, tell and stats do not throw: not now");
  struct WithStats : Climber {
    Stats stats(std::span<const State>, const Population&) const {
      throw std::logic_error("nothing to count");
    }
  };
  check_caught(WithStats{}, "start, ask, tell and stats do not throw: the sampler's stats failed");
  // In a session alone, which takes it for a failure of the run.
  check_caught(Climber{.before_tell =
                           [](Climber::State& state, Round&) {
                             if (state.prompt.text() == "another prompt") throw 42;
                           }},
               "start, ask, tell and stats do not throw: the sampler failed on the prompt "
               "\"another prompt\"");
}

TEST_CASE("a sampler that never ends is ended") {
  Climber endless;
  endless.steps = npos;
  CHECK(check_sampler(endless, {.most_draws = 50}).empty());
}

TEST_CASE("check_sampler: options out of range are refused") {
  CHECK_THROWS_AS(check_sampler(Climber{}, {.runs = 0}), InvalidOption);
  CHECK_THROWS_AS(check_sampler(Climber{}, {.most_draws = 0}), InvalidOption);
  CHECK_THROWS_AS(check_sampler(Rejection{{}}), InvalidOption);
}

namespace {

// Lane 0's first round finds a response whose first token all lanes begin with; a lane that was not
// told throws.
struct Shares {
  struct State {
    Prompt prompt = {};
    std::optional<Response> opening = {};
    bool asked = false, preparing = false, told = false;
  };
  bool only_done = true;
  [[nodiscard]] std::size_t lanes() const { return 3; }
  [[nodiscard]] State start(const Prompt& prompt) const { return {.prompt = prompt}; }
  [[nodiscard]] bool prepares(const State& first) const { return first.preparing; }
  void share(const State& first, State& other) const {
    other.opening = first.opening;
    other.told = true;
  }
  void ask(State& state, Round& round) const {
    if (round.lane() > 0 && !state.told) throw std::runtime_error("a lane began too early");
    if (state.asked) return;
    state.asked = state.preparing = round.lane() == 0 && !state.opening;
    if (state.preparing) {
      state.asked = false;
      round.generate({.prompt = state.prompt, .max_tokens = 6});
      return;
    }
    state.asked = true;
    if (!state.opening) return;
    round.sample({.prompt = state.prompt, .prefix = *state.opening, .max_tokens = 5});
  }
  void tell(State& state, Round& round) const {
    if (state.preparing) {
      state.preparing = false;
      const Draw& draw = round.draws()[0];
      state.asked = true;
      const bool is_whole = draw.response.size() < 2;
      if ((draw.status == DrawStatus::done || !only_done) && !is_whole) {
        state.opening = draw.response.first(1);
        state.asked = false;
      }
      return;
    }
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status == DrawStatus::done) round.emit(round.take(i));
    }
  }
};

}  // namespace

TEST_CASE("check_sampler gives the lanes what the first round found") {
  CHECK(found(Shares{}).empty());
  check_caught(Shares{.only_done = false}, "a draw that is not done is never used again");
}

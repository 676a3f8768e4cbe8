#include "tilt/sampler/concept.hpp"

#include <memory>

#include "support/archetypes.hpp"
#include "support/catch.hpp"

using namespace tilt;

namespace {

// Near misses: each lacks one requirement.
struct NoState {
  int start(const Prompt&) const { return 0; }
  void ask(int&, Round&) const {}
  void tell(int&, Round&) const {}
};
struct MoveOnlyState {
  using State = std::unique_ptr<int>;
  State start(const Prompt&) const { return {}; }
  void ask(State&, Round&) const {}
  void tell(State&, Round&) const {}
};
struct NoStart {
  using State = int;
  void ask(State&, Round&) const {}
  void tell(State&, Round&) const {}
};
struct NoAsk {
  using State = int;
  State start(const Prompt&) const { return 0; }
  void tell(State&, Round&) const {}
};
struct NoTell {
  using State = int;
  State start(const Prompt&) const { return 0; }
  void ask(State&, Round&) const {}
};
struct StartNotConst {
  using State = int;
  State start(const Prompt&) { return 0; }
  void ask(State&, Round&) const {}
  void tell(State&, Round&) const {}
};
struct AskNotConst {
  using State = int;
  State start(const Prompt&) const { return 0; }
  void ask(State&, Round&) {}
  void tell(State&, Round&) const {}
};
struct TellNotConst {
  using State = int;
  State start(const Prompt&) const { return 0; }
  void ask(State&, Round&) const {}
  void tell(State&, Round&) {}
};
struct StartOfAnotherType {
  using State = int;
  long start(const Prompt&) const { return 0; }
  void ask(State&, Round&) const {}
  void tell(State&, Round&) const {}
};
struct AskReturns {
  using State = int;
  State start(const Prompt&) const { return 0; }
  bool ask(State&, Round&) const { return false; }
  void tell(State&, Round&) const {}
};
struct TellReturns {
  using State = int;
  State start(const Prompt&) const { return 0; }
  void ask(State&, Round&) const {}
  bool tell(State&, Round&) const { return false; }
};
class PrivateState {
  using State = int;

 public:
  int start(const Prompt&) const { return 0; }
  void ask(int&, Round&) const {}
  void tell(int&, Round&) const {}
};

static_assert(Sampler<archetype::Sampler>);
static_assert(!std::is_default_constructible_v<archetype::Sampler>);
static_assert(!std::is_default_constructible_v<archetype::Sampler::State>);

static_assert(!Sampler<NoState>);
static_assert(!Sampler<MoveOnlyState>);
static_assert(!Sampler<NoStart>);
static_assert(!Sampler<NoAsk>);
static_assert(!Sampler<NoTell>);
static_assert(!Sampler<StartNotConst>);
static_assert(!Sampler<AskNotConst>);
static_assert(!Sampler<TellNotConst>);
static_assert(!Sampler<StartOfAnotherType>);
static_assert(!Sampler<AskReturns>);
static_assert(!Sampler<TellReturns>);
static_assert(!Sampler<PrivateState>);
static_assert(!Sampler<int>);

struct Sharing : archetype::Sampler {
  using Sampler::Sampler;
  bool prepares(const State&) const { return true; }
  void share(const State&, State&) const {}
};
struct OnlyPrepares : archetype::Sampler {
  bool prepares(const State&) const { return true; }
};
struct OnlyShares : archetype::Sampler {
  void share(const State&, State&) const {}
};
struct ShareReturns : Sharing {
  int share(const State&, State&) const { return 0; }
};
static_assert(SharesFirstRound<Sharing>);
static_assert(!SharesFirstRound<archetype::Sampler>);
static_assert(!SharesFirstRound<OnlyPrepares>);
static_assert(!SharesFirstRound<OnlyShares>);
static_assert(!SharesFirstRound<ShareReturns>);

struct Rich : archetype::Sampler {
  using Sampler::Sampler;
  static constexpr Needs needs = {.policy = {.tokens = true, .segments = true},
                                  .partial_reward = true};
  std::size_t chains = 3;
  [[nodiscard]] std::size_t lanes() const { return chains; }
  void check() const {
    if (chains == 0) throw InvalidOption("Rich.chains", "0", "at least 1");
  }
};
struct ByOption : Rich {
  using Rich::Rich;
  bool segments = false;
  [[nodiscard]] Needs option_needs() const { return {.policy = {.segments = segments}}; }
};

}  // namespace

TEST_CASE("the optional members of a sampler are found, and have defaults") {
  const archetype::Sampler poor(4);
  CHECK(lanes_of(poor) == 1);
  CHECK_FALSE(static_needs<archetype::Sampler>().policy.tokens);
  CHECK_FALSE(static_needs<archetype::Sampler>().partial_reward);
  CHECK_FALSE(needs_of(poor).policy.tokens);
  check_options(poor);

  Rich rich(4);
  CHECK(lanes_of(rich) == 3);
  STATIC_REQUIRE(static_needs<Rich>().policy.segments);
  CHECK(needs_of(rich).policy.tokens);
  CHECK(needs_of(rich).partial_reward);
  check_options(rich);
  rich.chains = 0;
  CHECK_THROWS_AS(check_options(rich), InvalidOption);

  ByOption choosy(4);
  CHECK_FALSE(needs_of(choosy).policy.segments);
  choosy.segments = true;
  CHECK(needs_of(choosy).policy.segments);
}

TEST_CASE("the sampler archetype works") {
  const archetype::Sampler sampler(4);
  archetype::Sampler::State state = sampler.start("x");
  Population population;
  Round round;
  round.begin(population, 1, 0, 0, 0);
  sampler.ask(state, round);
  REQUIRE(round.draws().size() == 1);
  CHECK(round.draws()[0].work.prompt == Prompt("x"));
  round.results()[0].response = {.tokens = {1}};
  round.results()[0].status = DrawStatus::done;
  sampler.tell(state, round);
  CHECK(population.size() == 1);
  round.begin(population, 1, 0, 1, 0);
  sampler.ask(state, round);
  CHECK(round.draws().empty());
}

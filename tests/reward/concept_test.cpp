#include "tilt/reward/concept.hpp"

#include <string>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/toy.hpp"

using namespace tilt;

namespace {

using Works = std::span<const Scoring>;
using Outs = std::span<double>;

// Near misses: each lacks one requirement.
struct NoScore {};
struct ReturnsRewards {
  std::vector<double> score(Works) { return {}; }
};
struct ReturnsSuccess {
  bool score(Works, Outs) { return true; }
};
struct OneAtATime {
  double score(const Prompt&, const Response&) { return 0; }
};
struct Floats {
  void score(Works, std::span<float>) {}
};
struct MutableInput {
  void score(std::span<Scoring>, Outs) {}
};
class PrivateScore {
  void score(Works, Outs) {}
};
struct Callable {
  double operator()(const Prompt&, const Response&) { return 0; }
};

static_assert(RewardModel<archetype::RewardModel>);
static_assert(RewardModel<archetype::RewardModel&>);
static_assert(RewardModel<NoReward> && RewardModel<const NoReward>);
static_assert(RewardModel<decltype(toy::reward())>);
static_assert(!std::is_copy_constructible_v<archetype::RewardModel>);
static_assert(!std::is_default_constructible_v<archetype::RewardModel>);

static_assert(!RewardModel<NoScore>);
static_assert(!RewardModel<ReturnsRewards>);
static_assert(!RewardModel<ReturnsSuccess>);
static_assert(!RewardModel<OneAtATime>);
static_assert(!RewardModel<Floats>);
static_assert(!RewardModel<MutableInput>);
static_assert(!RewardModel<PrivateScore>);
static_assert(!RewardModel<Callable>, "a function is wrapped in RewardFunction");
static_assert(!RewardModel<const archetype::RewardModel>, "score is not const");
static_assert(!RewardModel<int> && !RewardModel<void>);

struct WholeOnly : archetype::RewardModel {
  using RewardModel::RewardModel;
  static constexpr bool partial = false;
};
struct SaysYes : archetype::RewardModel {
  using RewardModel::RewardModel;
  static constexpr bool partial = true;
};
struct Asked : archetype::RewardModel {
  using RewardModel::RewardModel;
  bool answer = false;
  [[nodiscard]] bool partial() const { return answer; }
};

static_assert(HasStaticPartial<WholeOnly> && HasStaticPartial<SaysYes&>);
static_assert(!HasStaticPartial<Asked> && !HasStaticPartial<archetype::RewardModel>);

}  // namespace

TEST_CASE("scores_prefixes takes a reward's own word, true is assumed") {
  CHECK(scores_prefixes(archetype::RewardModel(0)));
  CHECK(scores_prefixes(no_reward));
  CHECK(scores_prefixes(SaysYes(0)));
  CHECK_FALSE(scores_prefixes(WholeOnly(0)));
  Asked reward(0);
  CHECK_FALSE(scores_prefixes(reward));
  reward.answer = true;
  CHECK(scores_prefixes(reward));
}

TEST_CASE("no_reward scores 0") {
  std::vector<double> out = {1, 2, unset};
  const Prompt prompt;
  const Response y;
  const std::vector<Scoring> work(3, Scoring{&prompt, &y});
  no_reward.score(work, out);
  CHECK(out == std::vector<double>{0, 0, 0});
}

TEST_CASE("the reward archetype works") {
  std::vector<double> out = {unset};
  const Prompt prompt;
  const Response y;
  const Scoring work = {&prompt, &y};
  archetype::RewardModel(3).score({&work, 1}, out);
  CHECK(out[0] == 3);
}

#include "tilt/policy/concept.hpp"

#include <list>
#include <string>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/policy/text_policy.hpp"

using namespace tilt;

namespace {

using Works = std::span<const Generation>;
using Outs = std::span<Response>;
using Deadline = std::chrono::steady_clock::time_point;

// Near misses: each lacks one requirement.
struct NoGenerate {};
struct MisspeltGenerate {
  void generat(Works, Outs) {}
};
struct ReturnsResponses {
  std::vector<Response> generate(Works, Outs) { return {}; }
};
struct OneAtATime {
  void generate(const Generation&, Response&) {}
};
struct NoOutput {
  void generate(Works) {}
};
struct MutableInput {
  void generate(std::span<Generation>, Outs) {}
};
struct TakesVectors {
  void generate(const std::vector<Generation>&, std::vector<Response>&) {}
};
class PrivateGenerate {
  void generate(Works, Outs) {}
};
struct DeletedGenerate {
  void generate(Works, Outs) = delete;
};
struct TemporariesOnly {
  void generate(Works, Outs) && {}
};

struct NoSubmit : archetype::Policy {
  using Policy::Policy;
  std::span<const Progress> step(Deadline) { return {}; }
  void cancel(std::uint64_t) {}
};
struct NoStep : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, const Generation&) {}
  void cancel(std::uint64_t) {}
};
struct NoCancel : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, const Generation&) {}
  std::span<const Progress> step(Deadline) { return {}; }
};
struct StepOfAList : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, const Generation&) {}
  std::list<Progress> step(Deadline) { return {}; }
  void cancel(std::uint64_t) {}
};
struct StepWithoutDeadline : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, const Generation&) {}
  std::span<const Progress> step() { return {}; }
  void cancel(std::uint64_t) {}
};
struct SubmitTakesMutable : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, Generation&) {}
  std::span<const Progress> step(Deadline) { return {}; }
  void cancel(std::uint64_t) {}
};
struct CancelReturns : archetype::Policy {
  using Policy::Policy;
  void submit(std::uint64_t, const Generation&) {}
  std::span<const Progress> step(Deadline) { return {}; }
  bool cancel(std::uint64_t) { return true; }
};
struct AsyncOnly {
  void submit(std::uint64_t, const Generation&) {}
  std::span<const Progress> step(Deadline) { return {}; }
  void cancel(std::uint64_t) {}
};

using Speaks = TextPolicy<std::string (*)(std::string_view)>;
using Toy = decltype(toy::policy());

static_assert(Policy<archetype::Policy>);
static_assert(Policy<archetype::AsyncPolicy>);
static_assert(Policy<Speaks> && Policy<Toy>);
static_assert(Policy<archetype::Policy&>, "a decoder names a referenced policy so");
static_assert(!std::is_copy_constructible_v<archetype::Policy>);
static_assert(!std::is_default_constructible_v<archetype::Policy>);

static_assert(!Policy<NoGenerate>);
static_assert(!Policy<MisspeltGenerate>);
static_assert(!Policy<ReturnsResponses>);
static_assert(!Policy<OneAtATime>);
static_assert(!Policy<NoOutput>);
static_assert(!Policy<MutableInput>);
static_assert(!Policy<TakesVectors>);
static_assert(!Policy<PrivateGenerate>);
static_assert(!Policy<DeletedGenerate>);
static_assert(!Policy<TemporariesOnly>);
static_assert(!Policy<const archetype::Policy>, "generate is not const");
static_assert(!Policy<int> && !Policy<void> && !Policy<std::string>);

static_assert(AsyncPolicy<archetype::AsyncPolicy>);
static_assert(!AsyncPolicy<archetype::Policy>);
static_assert(!AsyncPolicy<Toy> && !AsyncPolicy<Speaks>);
static_assert(Policy<NoSubmit> && !AsyncPolicy<NoSubmit>);
static_assert(Policy<NoStep> && !AsyncPolicy<NoStep>);
static_assert(Policy<NoCancel> && !AsyncPolicy<NoCancel>);
static_assert(Policy<StepOfAList> && !AsyncPolicy<StepOfAList>);
static_assert(Policy<StepWithoutDeadline> && !AsyncPolicy<StepWithoutDeadline>);
static_assert(Policy<SubmitTakesMutable> && !AsyncPolicy<SubmitTakesMutable>);
static_assert(Policy<CancelReturns> && !AsyncPolicy<CancelReturns>);
static_assert(!AsyncPolicy<AsyncOnly>);

struct StaticallyAble : archetype::Policy {
  using Policy::Policy;
  static constexpr Capabilities capabilities = {.segments = true, .logits = true};
};
struct AbleByModel : archetype::Policy {
  using Policy::Policy;
  bool loaded = false;
  [[nodiscard]] Capabilities capabilities() const { return {.log_probs = loaded}; }
};

static_assert(HasStaticCapabilities<StaticallyAble>);
static_assert(HasStaticCapabilities<StaticallyAble&>);
static_assert(!HasStaticCapabilities<AbleByModel>);
static_assert(!HasStaticCapabilities<archetype::Policy>);

}  // namespace

TEST_CASE("capabilities_of takes a policy's own word, or the defaults") {
  CHECK(capabilities_of(archetype::Policy(1)) == Capabilities{});
  CHECK(capabilities_of(StaticallyAble(1)) == Capabilities{.segments = true, .logits = true});
  AbleByModel policy(1);
  CHECK(capabilities_of(policy) == Capabilities{});
  policy.loaded = true;
  CHECK(capabilities_of(policy) == Capabilities{.log_probs = true});
  CHECK_FALSE(capabilities_of(Speaks(nullptr)).tokens);
  STATIC_REQUIRE(Toy::capabilities.segments);
}

TEST_CASE("a policy is assumed to have tokens with the ends of their text, and nothing else") {
  const Capabilities assumed;
  CHECK(assumed.tokens);
  CHECK(assumed.ends);
  CHECK_FALSE((assumed.segments || assumed.log_probs || assumed.score_forced || assumed.logits ||
               assumed.concurrent));
}

TEST_CASE("the policy archetypes work") {
  const Generation work = {.prompt = "x"};
  Response out;
  archetype::Policy(5).generate({&work, 1}, {&out, 1});
  CHECK(out.tokens == std::vector<Token>{5});

  archetype::AsyncPolicy policy(6);
  policy.submit(1, work);
  policy.submit(2, work);
  policy.cancel(1);
  policy.cancel(1);
  const auto news = policy.step(Deadline::max());
  REQUIRE(news.size() == 1);
  CHECK(news[0].ticket == 2);
  REQUIRE(news[0].finished);
  CHECK(news[0].finished->tokens == std::vector<Token>{6});
  CHECK(policy.step(Deadline::max()).empty());
}

#include "tilt/selector/concept.hpp"

#include <optional>
#include <string>

#include "support/archetypes.hpp"
#include "support/catch.hpp"

using namespace tilt;

namespace {

// Near misses: each lacks one requirement.
struct NotCallable {};
struct NotConst {
  Decision operator()(const Population&, Random&) { return {}; }
};
struct NoRandom {
  Decision operator()(const Population&) const { return {}; }
};
struct ChangesPopulation {
  Decision operator()(Population&, Random&) const { return {}; }
};
struct ReturnsIndex {
  std::size_t operator()(const Population&, Random&) const { return 0; }
};
struct MayReturnNothing {
  std::optional<Decision> operator()(const Population&, Random&) const { return {}; }
};
struct RandomRvalue {
  Decision operator()(const Population&, Random&&) const { return {}; }
};
class PrivateCall {
  Decision operator()(const Population&, Random&) const { return {}; }
};

static_assert(Selector<archetype::Selector>);
static_assert(!std::is_copy_constructible_v<archetype::Selector>);
static_assert(!std::is_default_constructible_v<archetype::Selector>);
static_assert(Selector<decltype([](const Population&, Random&) { return Decision{}; })>,
              "a lambda is a selector");
static_assert(Selector<Decision (*)(const Population&, Random&)>, "and so is a function");

static_assert(!Selector<NotCallable>);
static_assert(!Selector<NotConst>);
static_assert(!Selector<NoRandom>);
static_assert(!Selector<ChangesPopulation>);
static_assert(!Selector<ReturnsIndex>);
static_assert(!Selector<MayReturnNothing>);
static_assert(!Selector<RandomRvalue>);
static_assert(!Selector<PrivateCall>);
static_assert(!Selector<int>);

}  // namespace

TEST_CASE("a decision begins as nothing chosen") {
  const Decision decision;
  CHECK(decision.index == npos);
  CHECK(decision.answer.empty());
  CHECK(decision.share == 1);
}

TEST_CASE("the selector archetype works") {
  const archetype::Selector select(0);
  Random random(1);
  CHECK(select(Population{}, random).index == npos);
  Population population;
  population.add({.response = {.text = "kept for the record"}, .weight = 0}, 0);
  CHECK(select(population, random).index == 0);
  population.add({.response = {.text = "counts"}}, 0);
  CHECK(select(population, random).answer == "counts");
}

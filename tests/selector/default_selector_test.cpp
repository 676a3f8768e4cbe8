#include "tilt/selector/default_selector.hpp"

#include <type_traits>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/calibrated.hpp"
#include "tilt/sampler/qalign.hpp"

using namespace tilt;

TEST_CASE("the default selector is the sampler's own or HighestReward") {
  STATIC_REQUIRE(std::is_same_v<DefaultSelectorOf<BestOfN>::type, HighestReward>);
  STATIC_REQUIRE(std::is_same_v<DefaultSelectorOf<QAlign>::type, LastState>);
  STATIC_REQUIRE(std::is_same_v<DefaultSelectorOf<Calibrated<QAlign>>::type, LastState>);
  STATIC_REQUIRE(std::is_same_v<DefaultSelectorOf<archetype::Sampler>::type, HighestReward>);
}

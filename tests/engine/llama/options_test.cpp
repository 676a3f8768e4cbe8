#include "tilt/engine/llama/options.hpp"

#include "support/catch.hpp"
#include "tilt/core/error.hpp"

using tilt::InvalidOption;
using tilt::llama::available_processors;
using tilt::llama::checked;
using tilt::llama::PolicyOptions;

TEST_CASE("llama options out of their range are refused by name", "[engine]") {
  CHECK_THROWS_AS(checked({.sequences = 0}), InvalidOption);
  CHECK_THROWS_AS(checked({.sequences = 65}), InvalidOption);
  CHECK_THROWS_AS(checked({.context = 0}), InvalidOption);
  CHECK_THROWS_AS(checked({.threads = available_processors() + 1}), InvalidOption);
  CHECK_THROWS_AS(checked({.gpu_layers = -2}), InvalidOption);
  CHECK_THROWS_WITH(checked({.sequences = 65}),
                    "PolicyOptions.sequences is 65; it must be from 1 to 64");
}

TEST_CASE("llama uses the processors that it may use unless told otherwise", "[engine]") {
  CHECK(checked({}).threads == available_processors());
  CHECK(checked({.threads = 1}).threads == 1);
}

#include "tilt/runtime/choose.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

Population two() { return Population({{.response = {.text = "a"}}, {.response = {.text = "b"}}}); }

// A selector and a sampler of one kind: they do what they are told.
struct Told {
  std::size_t index = 0;
  bool throws = false, stats_throw = false;
  Decision operator()(const Population&, Random&) const {
    if (throws) throw 42;
    return {.index = index, .answer = "chosen", .share = 0.5};
  }
  [[nodiscard]] Stats stats(const Population& population) const {
    if (stats_throw) throw std::runtime_error("no stats");
    return {{"of the selector", static_cast<double>(population.size())}};
  }
  [[nodiscard]] Stats stats(const std::vector<int>& states, const Population&) const {
    if (stats_throw) throw std::runtime_error("no stats");
    return {{"of the sampler", static_cast<double>(states.size())}};
  }
};

Result chosen_by(const Told& told, Population candidates = two()) {
  Result result;
  Random random(1);
  detail::add_stats(result, told, std::vector<int>{1, 2, 3}, candidates, "p");
  detail::choose(result, told, std::move(candidates), random, "p");
  return result;
}

}  // namespace

TEST_CASE("the choice, its candidates and both diagnostics stand in the result") {
  const Result result = chosen_by({.index = 1});
  CHECK(result.answer.response.text == "b");
  CHECK(result.decision.answer == "chosen");
  CHECK(result.candidates.size() == 2);
  CHECK(result.stats == Stats{{"of the sampler", 3}, {"of the selector", 2}});
  CHECK(result.failures.empty());
  CHECK(result.stop == Stop::finished);
  CHECK(chosen_by({.index = npos}).answer.response.text == "a");
  CHECK(chosen_by({.index = npos}, Population{}).answer.response.empty());
}

TEST_CASE("what selector and sampler throw, and a position that is not there, fail the result") {
  for (const std::size_t outside : {std::size_t{2}, std::size_t{1000}, npos - 1}) {
    const Result result = chosen_by({.index = outside});
    CHECK(result.stop == Stop::failed);
    CHECK(result.answer.response.text == "a");
    CHECK(result.decision.index == npos);
    CHECK(result.decision.share == 0);
    REQUIRE(result.failures.size() == 1);
    CHECK(result.failures[0].part == FailedPart::selector);
    CHECK(result.failures[0].what == "the selector failed on the prompt \"p\": it chose position " +
                                         std::to_string(outside) + " of 2 candidates");
  }
  CHECK(chosen_by({.index = 0}, Population{}).stop == Stop::failed);

  const Result thrown = chosen_by({.throws = true});
  REQUIRE(thrown.failures.size() == 1);
  CHECK(thrown.failures[0].what ==
        "the selector failed on the prompt \"p\": an exception that is not a std::exception");
  CHECK(thrown.stats.size() == 1);  // the sampler's
  CHECK(thrown.candidates.size() == 2);

  const Result without_stats = chosen_by({.index = 1, .stats_throw = true});
  CHECK(without_stats.stop == Stop::failed);
  CHECK(without_stats.answer.response.text == "b");
  REQUIRE(without_stats.failures.size() == 2);
  CHECK(without_stats.failures[0].part == FailedPart::sampler);
  CHECK(without_stats.failures[1].part == FailedPart::selector);
}

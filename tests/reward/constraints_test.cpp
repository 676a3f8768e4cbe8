#include "tilt/reward/constraints.hpp"

#include <array>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;
using constraint::NoComma;
using constraint::Quoted;
using constraint::Relation;
using constraint::WordCount;

namespace {

double score(const ConstraintReward& reward, std::string text) {
  const Prompt prompt("p");
  const Response response{.text = std::move(text)};
  const Scoring work{&prompt, &response};
  double out = -1;
  reward.score({&work, 1}, {&out, 1});
  return out;
}

}  // namespace

TEST_CASE("Verdicts come in the order of the constraints") {
  const std::vector<Constraint> constraints = {
      NoComma{}, Quoted{}, WordCount(Relation::at_least, 2),
      [](std::u32string_view text) { return text.size() == 5; }};
  CHECK(satisfied(constraints, "a, \u00e9") == std::vector<bool>{false, false, true, false});
  CHECK(satisfied(constraints, "\u00e9 b c") == std::vector<bool>{true, false, true, true});
  CHECK(satisfied(constraints, "\"b c\"") == std::vector<bool>{true, true, true, true});
  CHECK(satisfied({}, "text").empty());
}

TEST_CASE("A blank text satisfies nothing") {
  const std::vector<Constraint> constraints = {NoComma{}, WordCount(Relation::less_than, 9)};
  for (const char* text : {"", " \n\t", "\xc2\xa0", "\xe3\x80\x80\x1f"}) {
    CHECK(satisfied(constraints, text) == std::vector<bool>{false, false});
  }
}

TEST_CASE("A text cut inside a character is judged") {
  const std::vector<Constraint> constraints = {NoComma{}, WordCount(Relation::less_than, 3)};
  const std::string text = "na\u00efve \u20ac";
  for (std::size_t n = 1; n <= text.size(); ++n) {
    CHECK(satisfied(constraints, std::string_view(text).substr(0, n)) ==
          std::vector<bool>{true, true});
  }
}

TEST_CASE("A reward is the share satisfied, or one for all") {
  const std::vector<Constraint> constraints = {NoComma{}, Quoted{}};
  const ConstraintReward share{constraints}, all{constraints, ConstraintScore::all};
  CHECK(score(share, "\"a\"") == 1);
  CHECK(score(share, "a") == 0.5);
  CHECK(score(share, "a, b") == 0);
  CHECK(score(share, "") == 0);
  CHECK(score(all, "\"a\"") == 1);
  CHECK(score(all, "a") == 0);
  CHECK(score_of({}, ConstraintScore::share) == 1);
  STATIC_REQUIRE(RewardModel<ConstraintReward>);
  CHECK_FALSE(scores_prefixes(share));
}

TEST_CASE("A constraint that throws fails its response alone") {
  const ConstraintReward reward{{Constraint([](std::u32string_view text) {
    if (text == U"bad") throw RewardError("cannot judge");
    return true;
  })}};
  const Prompt prompt("p");
  const std::array<Response, 2> responses = {Response{.text = "bad"}, Response{.text = "good"}};
  const std::array<Scoring, 2> work = {Scoring{&prompt, &responses[0]},
                                       Scoring{&prompt, &responses[1]}};
  std::array<double, 2> out = {-1, -1};
  CHECK_THROWS_AS(reward.score(work, out), PartialFailure);
  CHECK(out[1] == 1);
}

TEST_CASE("A reward without constraints is refused") {
  CHECK_THROWS_AS(ConstraintReward(std::vector<Constraint>{}), InvalidOption);
  CHECK_THROWS_AS(ConstraintReward(std::vector<Constraint>{Constraint{}}), InvalidOption);
}

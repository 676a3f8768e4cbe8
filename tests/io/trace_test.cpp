#include "tilt/io/trace.hpp"

#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/io/jsonl.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/cards.hpp"

using nlohmann::json;

namespace {

std::vector<json> events(const std::string& text) {
  std::istringstream in(text);
  tilt::JsonlFile file = tilt::read_jsonl(in);
  REQUIRE(file.faults.empty());
  std::vector<json> all;
  for (tilt::JsonlRow& row : file.rows) all.push_back(std::move(row.value));
  return all;
}

}  // namespace

TEST_CASE("trace: writes what happened, in order, so that the result can be read from it") {
  STATIC_REQUIRE(tilt::Observer<tilt::JsonlTrace>);
  const tilt::Decoder decoder{toy::policy(), toy::reward(),
                              tilt::BestOfN{{.n = 5, .max_tokens = toy::max_tokens, .width = 2}}};
  std::ostringstream out;
  tilt::JsonlTrace trace{out};
  const std::vector<tilt::Prompt> prompts = {"first", "second"};
  const auto results = decoder.batch(prompts, {.seed = 3}, trace);
  const auto all = events(out.str());

  std::size_t started = 0;
  std::vector<std::size_t> finished(2, 0);
  std::vector<tilt::Population> seen(2);
  double last_time = 0;
  for (const json& event : all) {
    const auto run = event.at("run").get<std::size_t>();
    REQUIRE(run < 2);
    CHECK(event.at("seconds").get<double>() >= last_time);
    last_time = event.at("seconds").get<double>();
    const auto& name = event.at("event");
    if (name == "run_started") {
      ++started;
      CHECK(event.at("runs") == 2);
      CHECK(event.at("prompt").get<tilt::Prompt>() == prompts[run]);
    } else if (name == "candidate") {
      CHECK(finished[run] == 0);
      const auto candidate = event.at("candidate").get<tilt::Candidate>();
      seen[run].add(candidate, candidate.lane);
    } else if (name == "progress") {
      CHECK(event.at("spent").get<tilt::Cost>().generated_tokens > 0);
      CHECK(event.at("candidates") == seen[run].size());
    } else if (name == "run_finished") {
      ++finished[run];
      CHECK(event.at("stop") == "finished");
      CHECK(event.at("law_holds") == true);
      CHECK(event.at("decision").at("index") == results[run].decision.index);
      CHECK(event.at("spent").at("generated_tokens") == results[run].spent.generated_tokens);
      CHECK(event.at("stats").contains("kl_upper_bound"));
      CHECK(event.at("answer").get<tilt::Candidate>().response == results[run].answer.response);
    } else {
      FAIL("unknown event " << name);
    }
  }
  CHECK(started == 2);
  CHECK(finished == std::vector<std::size_t>{1, 1});
  for (std::size_t run = 0; run < 2; ++run) {
    REQUIRE(seen[run].size() == results[run].candidates.size());
    for (std::size_t i = 0; i < seen[run].size(); ++i) {
      CHECK(seen[run][i].response == results[run].candidates[i].response);
      CHECK(seen[run][i].reward == results[run].candidates[i].reward);
    }
  }
}

TEST_CASE("trace: the best reward so far stands in the progress events") {
  std::ostringstream out;
  tilt::JsonlTrace trace{out};
  tilt::Population population;
  const tilt::Cost spent;
  const auto best_after = [&](double reward) {
    const auto id = population.add({.reward = reward}, 0);
    trace.on(tilt::CandidateEmitted{0, population.at_id(id)});
    out.str("");
    trace.on(tilt::RunProgressed{0, population, spent});
    return tilt::number_from_json(events(out.str()).at(0).at("best"));
  };
  CHECK(std::isnan(best_after(tilt::unset)));
  CHECK(best_after(-tilt::infinity) == -tilt::infinity);
  CHECK(best_after(1) == 1);
  CHECK(best_after(0.5) == 1);
  CHECK(best_after(2) == 2);
}

TEST_CASE("trace: settled prefixes are written piece by piece and add up to the answer") {
  const tilt::Decoder decoder{
      cards_toy::policy(), cards_toy::reward(),
      tilt::Cards{{.beta = cards_toy::beta, .reward_goal = cards_toy::reward_goal,
                   .max_tokens = cards_toy::max_tokens, .segment = cards_toy::segment}}};
  std::ostringstream out;
  tilt::JsonlTrace trace{out};
  const auto results = decoder.batch({tilt::Prompt{}, tilt::Prompt{}}, {.seed = 5}, trace);
  std::vector<std::vector<tilt::Token>> settled(2);
  std::size_t pieces = 0;
  for (const json& event : events(out.str())) {
    if (event.at("event") != "settled") continue;
    ++pieces;
    CHECK(event.at("lane") == 0);
    auto& tokens = settled[event.at("run").get<std::size_t>()];
    for (const auto& token : event.at("tokens")) tokens.push_back(token.get<tilt::Token>());
  }
  CHECK(pieces > 2);
  for (std::size_t run = 0; run < 2; ++run) {
    CHECK(settled[run] == results[run].answer.response.tokens);
  }
}

// Answers, judgements and votes as people and models write them, with the values that are right:
// tests/text/data/cases.jsonl and more_cases.jsonl.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "tilt/io/ifeval.hpp"
#include "tilt/reward/judge/read.hpp"
#include "tilt/selector/extract.hpp"
#include "tilt/selector/majority_vote.hpp"
#include "tilt/selector/weighted_majority_vote.hpp"
#include "tilt/stats/best_of_n_curve.hpp"
#include "tilt/stats/kl.hpp"
#include "tilt/stats/pass_at_k.hpp"
#include "tilt/stats/win_rate.hpp"

using nlohmann::json;

namespace {

json optional(const std::optional<std::string>& answer) { return answer ? json(*answer) : json(); }

json extracted(const std::string& kind, const std::string& text) {
  if (kind == "last_number") return optional(tilt::last_number(text));
  if (kind == "last_choice") return optional(tilt::last_choice(text));
  if (kind == "stated_answer") return optional(tilt::stated_answer(text));
  return optional(tilt::last_boxed(text));
}

// Whether all texts fall into one class: as strings, and in a vote.
json is_same(const json& texts) {
  std::vector<tilt::Candidate> candidates;
  bool equal = true;
  for (const json& text : texts) {
    tilt::Candidate candidate;
    candidate.response.text = text;
    candidates.push_back(candidate);
    equal = equal && tilt::last_boxed(candidate.response.text) ==
                         tilt::last_boxed(candidates.front().response.text);
  }
  tilt::Random random(1);
  const auto decision =
      tilt::MajorityVote{tilt::last_boxed}(tilt::Population(std::move(candidates)), random);
  CHECK(equal == (decision.share == 1));
  return equal;
}

tilt::Decision voted(const json& input) {
  std::vector<tilt::Candidate> candidates;
  for (std::size_t i = 0; i < input["texts"].size(); ++i) {
    tilt::Candidate candidate;
    candidate.response.text = input["texts"][i];
    const auto number = [&](const char* name, double absent) {
      if (!input.contains(name)) return absent;
      const json& value = input[name][i];
      return value.is_null() ? tilt::unset : value.get<double>();
    };
    candidate.reward = number("rewards", candidate.reward);
    candidate.weight = number("weights", candidate.weight);
    candidates.push_back(candidate);
  }
  const tilt::Population population(std::move(candidates));
  tilt::Random random(1);
  const auto run = [&](const auto& extract) {
    return input.value("rule", "") == "weighted"
               ? tilt::WeightedMajorityVote{extract}(population, random)
               : tilt::MajorityVote{extract}(population, random);
  };
  const std::string name = input["extract"];
  if (name == "boxed") return run(tilt::last_boxed);
  if (name == "choice") return run(tilt::last_choice);
  if (name == "number") return run(tilt::last_number);
  if (name == "stated") return run(tilt::stated_answer);
  REQUIRE(name == "whole");
  return run(tilt::whole_response);
}

json judged(const std::string& kind, const json& input) {
  const std::string text = input["text"];
  try {
    if (kind == "verdict") return tilt::read_verdict(text, "Verdict:");
    return tilt::read_score(text, input.value("label", "Score:"), 0, input.value("high", 10.0));
  } catch (const tilt::RewardError&) {
    return "throws";
  }
}

json estimated(const std::string& kind, const json& input) {
  try {
    if (kind == "pass_at_k") return tilt::pass_at_k(input["n"], input["correct"], input["k"]);
    if (kind == "kl_bound") return tilt::kl_best_of_n_bound(input["n"]);
    if (kind == "kl_exact") {
      return tilt::kl_best_of_n_exact(input["p"].get<std::vector<double>>(),
                                      input["r"].get<std::vector<double>>(), input["n"]);
    }
  } catch (const tilt::InvalidOption&) {
    return "throws";
  }
  FAIL("no such kind: " << kind);
  return {};
}

bool close(const json& a, const json& b) {
  if (!a.is_number() || !b.is_number()) return a == b;
  return std::abs(a.get<double>() - b.get<double>()) <= 1e-12;
}

bool is_right(const json& row) {
  const std::string kind = row["kind"];
  const json &input = row["input"], &right = row["right"];
  json seen;
  bool good = false;
  if (kind == "same_boxed") {
    seen = is_same(input);
    good = seen == right;
  } else if (kind == "vote") {
    const tilt::Decision decision = voted(input);
    const json index = decision.index == tilt::npos ? json() : json(decision.index);
    seen = {decision.share, index, decision.answer};
    const json& legal = right["winner_index_in"];
    good = close(decision.share, right["share"]) &&
           std::find(legal.begin(), legal.end(), index) != legal.end();
  } else if (kind == "score" || kind == "verdict") {
    seen = judged(kind, input);
    good = seen == right;
  } else if (kind == "ifeval") {
    const tilt::IfevalTask task =
        tilt::ifeval_task({{"prompt", "p"},
                           {"instruction_id_list", {input["instruction"]}},
                           {"kwargs", {input["kwargs"]}}});
    const std::string text = input["text"];
    seen = bool(task.satisfied(text).at(0));
    good = seen == right;
  } else if (kind == "curve") {
    seen = tilt::best_of_n_curve(input["proxy"].get<std::vector<double>>(),
                                 input["gold"].get<std::vector<double>>());
    good = seen.size() == right.size();
    for (std::size_t i = 0; good && i < seen.size(); ++i) good = close(seen[i], right[i]);
  } else if (kind == "win_rate") {
    const auto rate = tilt::win_rate(input["a"].get<std::vector<double>>(),
                                     input["b"].get<std::vector<double>>());
    seen = {{"wins", rate.wins}, {"ties", rate.ties}, {"losses", rate.losses}, {"rate", rate.rate}};
    good = seen == right;
  } else if (kind.starts_with("last_") || kind == "stated_answer") {
    seen = extracted(kind, input);
    good = seen == right;
  } else {
    seen = estimated(kind, input);
    good = close(seen, right);
  }
  INFO(kind << ' ' << input.dump() << " gave " << seen.dump() << ", right is " << right.dump());
  CHECK(good);
  return good;
}

}  // namespace

TEST_CASE("Answers, judgements and votes are read with their values", "[text]") {
  const std::string folder = TILT_SOURCE_DIR "/tests/text/data/";
  const auto file = GENERATE(std::string("cases.jsonl"), std::string("more_cases.jsonl"));
  std::ifstream in(folder + file);
  REQUIRE(in);
  std::map<std::string, std::pair<int, int>> counts;  // right, all
  int left = 0;
  std::string line;
  while (std::getline(in, line)) {
    const json row = json::parse(line);
    auto& [right, all] = counts[row["kind"].get<std::string>()];
    ++all;
    // The one kind of row that is left: it needs a language identifier.
    if (row["input"].is_object() &&
        row["input"].value("instruction", "") == "language:response_language") {
      CHECK_THROWS_AS(is_right(row), tilt::InvalidOption);
      ++left;
      continue;
    }
    try {
      right += is_right(row) ? 1 : 0;
    } catch (const tilt::Error& error) {
      FAIL_CHECK(row.dump() << " threw " << error.what());
    }
  }
  CHECK(left == (file == "cases.jsonl" ? 1 : 0));
  int rows = 0;
  for (const auto& [kind, count] : counts) {
    UNSCOPED_INFO(kind << ": " << count.first << " of " << count.second);
    rows += count.second;
  }
  CHECK(rows >= 200);
}

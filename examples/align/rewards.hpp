#pragma once

// The rewards that align knows.

#include <iterator>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <tilt/io/ifeval.hpp>
#include <tilt/reward/judge.hpp>
#include <tilt/reward/self_certainty.hpp>

#include "align/tasks.hpp"
#include "support/chosen.hpp"

/// The reward of a name, for the prompts of a batch.
/// @tparam Engine  `Engine::contrast(policy, a, b)` makes the reward of that name
template <class Engine>
ChosenReward reward_of(const std::string& name, const Settings& s, typename Engine::Policy& policy,
                       std::span<const Task> batch) {
  if (name == "contrast") return Engine::contrast(policy, s.system_a, s.system_b);
  if (name == "judge") return chosen(tilt::YesNoJudge{policy});
  if (name == "self_certainty") return chosen(tilt::SelfCertainty{policy});
  if (name == "answer") {
    std::map<std::uint64_t, std::string> golds;
    for (const Task& task : batch) golds[task.scored.key()] = task.gold.value();
    return {.function = [golds](std::span<const tilt::Scoring> work, std::span<double> out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        out[i] = gives(work[i].response->text, golds.at(work[i].prompt->key())) ? 1 : 0;
      }
    }};
  }
  if (name == "words") {
    return {.function = [wanted = static_cast<double>(s.words)](std::span<const tilt::Scoring> work,
                                                                std::span<double> out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        std::istringstream text(work[i].response->text);
        const auto words = std::distance(std::istream_iterator<std::string>(text), {});
        out[i] = 0 - std::abs(static_cast<double>(words) - wanted) / wanted;
      }
    }};
  }
  std::vector<tilt::IfevalTask> rows;
  for (const Task& task : batch) {
    rows.push_back(tilt::ifeval_task(task.row));
    rows.back().prompt = task.scored;
  }
  return chosen(tilt::IfevalReward(
      std::move(rows), name == "ifeval_all" ? tilt::IfevalScore::all : tilt::IfevalScore::share));
}

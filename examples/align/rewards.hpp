#pragma once

// The rewards that align knows.

#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <tilt/io/ifeval.hpp>
#include <tilt/reward/judge.hpp>
#include <tilt/reward/self_certainty.hpp>

#include "align/tasks.hpp"
#include "support/chosen.hpp"

/// The reward that was asked for.
inline ChosenReward reward_of(const Settings& s, tilt::llama::Policy& policy,
                              const std::vector<Task>& tasks) {
  if (s.reward == "contrast") {
    return chosen(tilt::llama::ContrastReward(policy, s.system_a, s.system_b));
  }
  if (s.reward == "judge") return chosen(tilt::YesNoJudge{policy});
  if (s.reward == "self_certainty") return chosen(tilt::SelfCertainty{policy});
  if (s.reward == "answer") {
    std::map<std::uint64_t, std::string> answers;
    for (const Task& task : tasks) {
      answers[task.scored.key()] = *tilt::last_number(task.row.at("answer").get<std::string>());
    }
    return {.function = [answers](std::span<const tilt::Scoring> work, std::span<double> out) {
      for (std::size_t i = 0; i < work.size(); ++i) {
        const auto found = tilt::last_number(work[i].response->text);
        out[i] = found && *found == answers.at(work[i].prompt->key()) ? 1 : 0;
      }
    }};
  }
  if (s.reward == "words") {
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
  for (const Task& task : tasks) {
    rows.push_back(tilt::ifeval_task(task.row));
    rows.back().prompt = task.scored;
  }
  return chosen(tilt::IfevalReward(std::move(rows), s.reward == "ifeval_all"
                                                        ? tilt::IfevalScore::all
                                                        : tilt::IfevalScore::share));
}

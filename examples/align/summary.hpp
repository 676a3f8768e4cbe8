#pragma once

// What the results of a job come to.

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/stats/summary.hpp>

#include "align/settings.hpp"

/// Of a line of results what the summary is made of.
struct Outcome {
  double reward = tilt::unset;
  std::optional<bool> correct = {};
  std::optional<double> metric = {};
  tilt::Cost spent = {};
};

/// @throws nlohmann::json::exception when a member is missing or of another type
inline Outcome outcome_of(const nlohmann::json& line) {
  Outcome outcome{.reward = tilt::number_from_json(line.at("reward")),
                  .spent = line.at("spent").get<tilt::Cost>()};
  if (line.contains("correct")) outcome.correct = line.at("correct").get<bool>();
  if (line.contains("metric")) outcome.metric = tilt::number_from_json(line.at("metric"));
  return outcome;
}

/// "mean reward 0.512 +- 0.034", the standard error behind the mean: over the values that are finite, and how many are not.
inline std::string mean_text(const std::string& what, const std::vector<double>& values) {
  std::vector<double> finite;
  for (const double value : values) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  const tilt::Summary summary = tilt::summarize(finite);
  char text[80] = "";
  if (finite.size() > 1) {
    std::snprintf(text, sizeof text, " %.4g +- %.2g", summary.mean, summary.standard_error);
  } else if (finite.size() == 1) {
    std::snprintf(text, sizeof text, " %.4g", summary.mean);
  }
  std::string result = what + (finite.empty() ? " none" : text);
  if (finite.size() < values.size()) {
    result += " (" + std::to_string(values.size() - finite.size()) + " not finite, left out)";
  }
  return result;
}

/// One line for people: means with their standard errors over the prompts, and what was spent on them.
/// @param seconds  of the clock, of this run of the program
inline std::string summary_of(const Settings& s, const std::vector<Outcome>& outcomes,
                              double seconds) {
  std::vector<double> rewards, metrics, correct;
  tilt::Cost spent;
  for (const Outcome& outcome : outcomes) {
    rewards.push_back(outcome.reward);
    if (outcome.metric) metrics.push_back(*outcome.metric);
    if (outcome.correct) correct.push_back(*outcome.correct ? 1 : 0);
    spent.generated_tokens += outcome.spent.generated_tokens;
    spent.policy_calls += outcome.spent.policy_calls;
    spent.reward_calls += outcome.spent.reward_calls;
  }
  std::string text = std::to_string(outcomes.size()) +
                     " prompts: " + mean_text("mean reward (" + s.reward + ")", rewards);
  if (!metrics.empty()) text += ", " + mean_text("mean metric (" + s.metric + ")", metrics);
  if (!correct.empty()) {
    text += ", " + mean_text("accuracy", correct) + " of " + std::to_string(correct.size());
  }
  char time[40];
  std::snprintf(time, sizeof time, "; %.1f s in this run", seconds);
  return text + "; " + std::to_string(spent.generated_tokens) + " tokens generated, " +
         std::to_string(spent.policy_calls) + " policy calls, " +
         std::to_string(spent.reward_calls) + " reward calls" + time;
}

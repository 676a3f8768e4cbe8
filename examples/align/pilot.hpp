#pragma once

// A few draws of each prompt, and what their rewards suggest.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "align/methods.hpp"
#include "align/rewards.hpp"

/// Draws a few responses of each prompt and prints what their rewards suggest.
template <class Engine>
int pilot(const Settings& s, typename Engine::Policy& policy, const std::vector<Task>& tasks) {
  tilt::BestOfNOptions options{.n = s.pilot, .max_tokens = s.max_tokens, .law = law_of(s)};
  const ChosenSampler sampler(tilt::BestOfN{options});
  std::vector<tilt::Result> results;
  tilt::ProgressBar bar{std::cerr, "pilot"};
  for (const std::span<const Task> batch : batches_of(s, tasks)) {
    if (s.run.stop.stop_requested()) break;
    tilt::Decoder decoder{policy, reward_of<Engine>(s.reward, s, policy, batch), sampler,
                          chosen(tilt::HighestReward{})};
    std::vector<tilt::Prompt> prompts;
    for (const Task& task : batch) prompts.push_back(task.scored);
    std::ranges::move(isatty(STDERR_FILENO) != 0 ? decoder.batch(prompts, runs_of(s, batch), bar)
                                                 : decoder.batch(prompts, runs_of(s, batch)),
                      std::back_inserter(results));
  }
  std::vector<double> all;
  double variance = 0;
  std::size_t spread = 0;
  std::printf("%-16s %8s %8s %8s %8s %8s\n", "prompt", "mean", "sd", "min", "median", "max");
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].stop == tilt::Stop::failed) {
      std::cerr << "align: " << printable(tasks[i].name, 80) << ": "
                << printable(results[i].failures.front().what, 1000) << '\n';
      continue;
    }
    std::vector<double> rewards;
    for (const tilt::Candidate& c : results[i].candidates) {
      if (std::isfinite(c.reward)) rewards.push_back(c.reward);
    }
    if (rewards.empty()) continue;
    double mean = 0, square = 0;
    for (const double r : rewards) mean += r / static_cast<double>(rewards.size());
    for (const double r : rewards) square += (r - mean) * (r - mean);
    const double sd =
        rewards.size() > 1 ? std::sqrt(square / static_cast<double>(rewards.size() - 1)) : 0;
    variance += sd * sd;
    ++spread;
    std::printf("%-16s %8.3f %8.3f %8.3f %8.3f %8.3f\n", printable(tasks[i].name, 16).c_str(), mean,
                sd, std::ranges::min(rewards), tilt::quantile(rewards, 0.5),
                std::ranges::max(rewards));
    all.insert(all.end(), rewards.begin(), rewards.end());
  }
  if (all.empty()) {
    std::cerr << "align: no response could be scored\n";
    return 1;
  }
  const double sd = std::sqrt(variance / static_cast<double>(spread));
  const double most = std::ranges::max(all);
  std::printf("\nWithin a prompt the reward's standard deviation is %.3g (%zu responses).\n", sd,
              all.size());
  if (sd > 0) {
    std::printf("--beta %.3g    a mild tilt: about 0.5 nats from the model, like best of 3\n", sd);
    std::printf("--beta %.3g    a strong one: about 2 nats, like best of 19\n", sd / 2);
  } else {
    std::printf("All responses of a prompt have one reward: no method can tell them apart.\n");
  }
  std::printf("--reward-goal %.4g    the 0.9 quantile, for cards\n", tilt::quantile(all, 0.9));
  std::printf("--ceiling %.4g    the largest seen, for rejection; --stop-at for best_of_n\n", most);
  if (sd > 0) {
    double accepted = 0;
    for (const double r : all) {
      accepted += std::exp((r - most) / sd) / static_cast<double>(all.size());
    }
    std::printf("Rejection with that ceiling and --beta %.3g would accept one draw in %.0f.\n", sd,
                1 / accepted);
  }
  return results.size() == tasks.size() ? 0 : 1;
}

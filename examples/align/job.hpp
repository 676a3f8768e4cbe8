#pragma once

// A job of align from its command line to its exit status, over any engine.

#include <signal.h>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "align/compared.hpp"
#include "align/pilot.hpp"
#include "align/results.hpp"
#include "align/rewards.hpp"
#include "align/summary.hpp"
#include "support/interrupt.hpp"

/// Answers all prompts that are not finished yet, a batch at a time, and sums up.
///
/// A run's stream comes from its row's id, and a batch is of the same rows whatever is finished already: one
/// that is not finished is worked on again whole, because the engine's rounding depends on what it computes
/// side by side, and what it holds of earlier batches is forgotten. So going on later changes no result.
template <class Engine>
int answer(const Settings& s, typename Engine::Policy& policy, Results& results,
           const std::vector<Task>& tasks) {
  const auto start = std::chrono::steady_clock::now();
  const json settings = compared(s, policy.fingerprint());
  const ChosenSampler sampler = sampler_of(s);
  const ChosenSelector selector = selector_of(s);
  const auto decoder_of = [&](std::span<const Task> batch) {
    return tilt::Decoder{policy, reward_of<Engine>(s.reward, s, policy, batch), sampler, selector};
  };
  const auto metric_of = [&](std::span<const Task> batch) {
    return s.metric.empty() ? ChosenReward{} : reward_of<Engine>(s.metric, s, policy, batch);
  };
  const std::vector<std::span<const Task>> batches = batches_of(s, tasks);
  (void)decoder_of(batches.front());  // what does not go together is refused before a file is made
  (void)metric_of(batches.front());
  results.go_on(settings, tasks);
  const std::size_t left = tasks.size() - results.of_tasks();
  if (results.of_tasks() > 0) {
    std::cerr << "align: " << results.of_tasks() << " of " << tasks.size()
              << " prompts are finished already\n";
  }
  if (results.of_others() > 0) {
    std::cerr << "align: " << printable(s.out.string()) << " has " << results.of_others()
              << " results of other prompts\n";
  }
  Writer writer(s, results, settings, left);
  tilt::ProgressBar bar{std::cerr, s.method};
  for (const std::span<const Task> batch : batches) {
    if (s.run.stop.stop_requested()) break;
    if (std::ranges::all_of(batch, [&](const Task& task) { return results.of(task); })) continue;
    policy.clear_cache();
    const tilt::Decoder decoder = decoder_of(batch);
    writer.begin(batch, metric_of(batch));
    std::vector<tilt::Prompt> prompts;
    for (const Task& task : batch) prompts.push_back(task.prompt);
    if (writer.terminal()) {
      std::cerr << "prompts " << batch.data() - tasks.data() + 1 << " to "
                << batch.data() - tasks.data() + std::ssize(batch) << " of " << tasks.size()
                << '\n';
      (void)decoder.batch(prompts, runs_of(s, batch), writer, bar);
    } else {
      (void)decoder.batch(prompts, runs_of(s, batch), writer);
    }
  }
  results.file().require_in_place();
  std::vector<Outcome> outcomes = writer.outcomes();
  for (const Task& task : tasks) {
    if (const Finished* finished = results.of(task)) outcomes.push_back(finished->outcome);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!outcomes.empty()) {
    std::cerr << "align: " << summary_of(s, outcomes, seconds.count()) << '\n';
  }
  if (writer.written() == left) return 0;
  std::cerr << "align: " << writer.written() << " of " << left << " prompts are answered";
  if (writer.failed() > 0) std::cerr << ", " << writer.failed() << " failed";
  std::cerr << "; the same command goes on with the rest\n";
  return 1;
}

/// @throws BadInput for options that contradict each other, or that no prompt could be answered under
inline void check_settings(const Settings& s, const std::vector<OwnedOption>& owned) {
  if (s.out.empty() && s.pilot == 0) {
    throw BadInput("give --out FILE for the results, or --pilot N");
  }
  if (s.pilot == 0) check_owners(owned);
  if (measures(s, "contrast") && s.system_a == s.system_b) {
    throw BadInput("the contrast reward needs two different system prompts: give --system-a");
  }
  if (s.method == "cards" && s.reward == "self_certainty" && s.cards.alpha != 1) {
    throw BadInput(
        "--method cards scores the empty response unless --alpha is 1, and --reward self_certainty "
        "is a mean over tokens, of which it has none: give --alpha 1");
  }
  if (s.max_tokens >= s.context) {
    throw BadInput("--max-tokens " + std::to_string(s.max_tokens) +
                   " leaves no room for a prompt in --context " + std::to_string(s.context));
  }
  if (s.pilot == 0) {
    (void)selector_of(s);
    sampler_of(s).check();
  }
}

/// What can be refused is refused before the model is loaded.
/// @tparam Engine  its Policy, `load(settings)` of it, and `contrast(policy, a, b)`
template <class Engine>
int run_job(Settings s, const std::vector<OwnedOption>& owned) {
  signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of writing
  check_settings(s, owned);
  if (s.on_failure == "survive") s.run.on_failure = tilt::OnFailure::survive;
  bool faulty = false;
  const std::vector<Task> tasks = read_tasks(s, faulty);
  std::optional<Results> results;
  if (s.pilot == 0) results.emplace(s.out);
  s.run.stop = stop_on_interrupt("align");
  typename Engine::Policy policy = Engine::load(s);
  if (s.max_tokens >= policy.context_length()) {
    throw BadInput("--max-tokens " + std::to_string(s.max_tokens) +
                   " leaves no room for a prompt: the context holds " +
                   std::to_string(policy.context_length()) + " tokens");
  }
  const int status =
      results ? answer<Engine>(s, policy, *results, tasks) : pilot<Engine>(s, policy, tasks);
  return status == 0 && faulty ? 1 : status;
}

/// The program.
template <class Engine>
int run_align(int argc, char** argv) {
  Settings settings;
  CLI::App app{
      "Answers a file of prompts with a frozen model, aligned to a reward.\n\n"
      "  align --model m.gguf --prompts p.jsonl --pilot 8\n"
      "  align --model m.gguf --prompts p.jsonl --out r.jsonl --method best_of_n --n 16\n"
      "  align --model m.gguf --prompts p.jsonl --out r.jsonl --reward contrast \\\n"
      "        --system-a \"Answer cheerfully.\" --method qalign --beta 1 --steps 32\n"
      "  align --model m.gguf --prompts p.jsonl --out r.jsonl --method rejection \\\n"
      "        --transform best_of:4 --beta 0.2\n\n"
      "Exit status: 0 all prompts are answered, 1 some are not, 2 the input cannot be used.",
      "align"};
  const std::vector<OwnedOption> owned = add_options(app, settings);
  return run_program(app, argc, argv, [&] {
    settings.default_reward = app.get_option("--reward")->count() == 0;
    return run_job<Engine>(settings, owned);
  });
}

// Aligns the answers to a file of prompts: one method, one reward, one line of JSON per prompt.

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "align/methods.hpp"
#include "align/pilot.hpp"
#include "align/results.hpp"
#include "align/rewards.hpp"

namespace {

/// A stop token that the user's Ctrl-C triggers; a second one ends the program. To be called before
/// other threads are started, which would take the signal.
std::stop_token stop_on_interrupt() {
  static std::stop_source source;
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  std::thread([interrupt] {
    int received = 0;
    sigwait(&interrupt, &received);
    std::cerr << "\nalign: stopping after the work in flight; Ctrl-C again stops at once\n";
    source.request_stop();
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
    while (true) pause();  // so that there is a thread for the second one to end
  }).detach();
  return source.get_token();
}

/// Answers all prompts that are not finished yet, a batch at a time.
int answer(const Settings& s, tilt::llama::Policy& policy, const ChosenReward& reward,
           const std::vector<Task>& tasks) {
  tilt::Decoder decoder{policy, reward, sampler_of(s), selector_of(s)};
  const std::string settings = fingerprint(s, policy.fingerprint());
  const std::set<std::string> done = finished_ids(s, settings);
  std::vector<Task> left;
  for (const Task& task : tasks) {
    if (!done.contains(task.id)) left.push_back(task);
  }
  if (!done.empty()) {
    std::cerr << "align: " << tasks.size() - left.size() << " of " << tasks.size()
              << " prompts are finished already\n";
  }
  Writer writer(s, settings, left.size());
  tilt::ProgressBar bar{std::cerr, s.method};
  tilt::RunOptions run = s.run;
  for (std::size_t from = 0; from < left.size() && !run.stop.stop_requested();) {
    // A prompt's stream is its line in the file, and batches are of the same lines whatever is
    // finished already: going on later changes nothing, not even the engine's rounding, which is
    // why what it holds of earlier batches is forgotten.
    const std::size_t first = left[from].line;
    std::size_t n = 1;
    while (from + n < left.size() && left[from + n].line == first + n &&
           (first + n) % s.batch != 0) {
      ++n;
    }
    policy.clear_cache();
    std::vector<tilt::Prompt> prompts;
    for (std::size_t i = 0; i < n; ++i) prompts.push_back(left[from + i].prompt);
    run.stream = first;
    writer.begin(std::span(left).subspan(from, n));
    if (writer.terminal()) {
      std::cerr << "prompts " << from + 1 << " to " << from + n << " of " << left.size() << '\n';
      (void)decoder.batch(prompts, run, writer, bar);
    } else {
      (void)decoder.batch(prompts, run, writer);
    }
    from += n;
  }
  if (writer.written() == left.size()) return 0;
  std::cerr << "align: " << writer.written() << " of " << left.size() << " prompts are answered";
  if (writer.failed() > 0) std::cerr << ", " << writer.failed() << " failed";
  std::cerr << "; the same command goes on with the rest\n";
  return 1;
}

int align(Settings s, const std::vector<OwnedOption>& owned) {
  if (s.out.empty() && s.pilot == 0)
    throw BadInput("give --out FILE for the results, or --pilot N");
  if (s.pilot == 0) check_owners(owned);
  if (s.reward == "contrast" && s.system_a == s.system_b) {
    throw BadInput("the contrast reward needs two different system prompts: give --system-a");
  }
  if (s.on_failure == "survive") s.run.on_failure = tilt::OnFailure::survive;
  bool faulty = false;
  const std::vector<Task> tasks = read_tasks(s, faulty);
  if (s.pilot == 0) {  // what can be refused is refused before the model is loaded
    (void)selector_of(s);
    sampler_of(s).check();
  }
  s.run.stop = stop_on_interrupt();
  tilt::llama::Policy policy = load_model(s.model, {.sequences = s.sequences,
                                                    .context = s.context,
                                                    .threads = s.threads,
                                                    .gpu_layers = s.gpu_layers});
  const ChosenReward reward = reward_of(s, policy, tasks);
  const int status =
      s.pilot > 0 ? pilot(s, policy, reward, tasks) : answer(s, policy, reward, tasks);
  return status == 0 && faulty ? 1 : status;
}

}  // namespace

int main(int argc, char** argv) {
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
  return run_program(app, argc, argv, [&] { return align(settings, owned); });
}

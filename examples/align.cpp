// Aligns the answers to a file of prompts: one method, one reward, one line of JSON per prompt.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <tilt/io/ifeval.hpp>
#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "support/program.hpp"

namespace {

using nlohmann::json;

/// Everything that can be given on the command line.
struct Settings {
  std::filesystem::path model, prompts, out;
  std::string method = "best_of_n", reward = "ifeval", selector = "default", extract = "number";
  std::string system_a = {}, system_b = {};
  std::size_t words = 50;
  std::string candidates = "rewards", on_failure = "fail";
  std::size_t batch = 8, limit = tilt::npos, pilot = 0;
  std::size_t sequences = 16, context = 8192, threads = 0;
  int gpu_layers = 0;
  std::size_t max_tokens = 256;
  tilt::SamplingLaw law = {};
  tilt::BestOfNOptions best_of_n = {};
  tilt::RejectionOptions rejection = {};
  tilt::QAlignOptions qalign = {};
  tilt::CardsOptions cards = {};
  std::optional<double> beta = {};  // shared by the methods; each has its own default
  std::size_t max_rejections = 20, parallel = 1;
  double vote_beta = 1, lambda = 1;
  tilt::RunOptions run = {};
};

/// A row of the file of prompts.
struct Task {
  std::string id = {};
  std::size_t line = 0;  ///< in the file; it names the random stream, and the batch
  tilt::Prompt prompt = {};
  json row = {};
};

/// A reward that is chosen at run time.
struct ChosenReward {
  std::function<void(std::span<const tilt::Scoring>, std::span<double>)> function = {};
  std::function<void(const tilt::SamplingLaw&)> law_check = [](const tilt::SamplingLaw&) {};
  bool scores_prefixes = false;

  [[nodiscard]] bool partial() const { return scores_prefixes; }
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    function(work, out);
  }
  void check_law(const tilt::SamplingLaw& law) const { law_check(law); }
};

/// A selector that is chosen at run time.
struct ChosenSelector {
  std::function<tilt::Decision(const tilt::Population&, tilt::Random&)> choose = {};
  std::function<tilt::Stats(const tilt::Population&)> diagnose = {};

  tilt::Decision operator()(const tilt::Population& population, tilt::Random& random) const {
    return choose(population, random);
  }
  [[nodiscard]] tilt::Stats stats(const tilt::Population& population) const {
    return diagnose(population);
  }
};

template <class Selector>
ChosenSelector chosen(Selector selector) {
  return {.choose = selector, .diagnose = [selector](const tilt::Population& population) {
            if constexpr (requires { selector.stats(population); }) {
              return selector.stats(population);
            } else {
              (void)selector;
              return tilt::Stats{};
            }
          }};
}

/// Calls `use` with the extractor of a name.
template <class Use>
auto with_extractor(const std::string& name, Use&& use) {
  if (name == "boxed") return use(tilt::last_boxed);
  if (name == "choice") return use(tilt::last_choice);
  return use(tilt::last_number);
}

ChosenSelector selector_of(const Settings& s) {
  std::string name = s.selector;
  if (name == "default") name = s.method == "best_of_n" ? "highest_reward" : "last_state";
  if (s.method == "qalign" && s.qalign.recycle &&
      (name == "highest_reward" || name == "last_state")) {
    throw BadInput("--recycle weighs proposals, not states: give --selector a vote or soft_best");
  }
  if (name == "highest_reward") return chosen(tilt::HighestReward{});
  if (name == "last_state") return chosen(tilt::LastState{});
  if (name == "soft_best") return chosen(tilt::SoftBest{{.lambda = s.lambda}});
  if (name == "majority_vote") {
    if (s.extract == "whole") return chosen(tilt::MajorityVote{});
    return with_extractor(s.extract, [](auto extract) { return chosen(tilt::MajorityVote{extract}); });
  }
  return with_extractor(s.extract, [&](auto extract) {
    return chosen(tilt::WeightedMajorityVote{extract, {.beta = s.vote_beta}});
  });
}

/// The rows that can be used; the others are named on standard error and passed over.
std::vector<Task> read_tasks(const Settings& s, bool& faulty) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(s.prompts);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  std::vector<tilt::JsonlFault> faults = file.faults;
  std::vector<Task> tasks;
  std::set<std::string> ids;
  std::map<std::uint64_t, std::size_t> lines;  // of prompts
  for (std::size_t i = 0; i < file.rows.size() && tasks.size() < s.limit; ++i) {
    const auto& [line, row] = file.rows[i];
    const auto complain = [&, number = line](const std::string& what) {
      faults.push_back({number, what});
    };
    if (!row.is_object()) {
      complain("it is not an object");
      continue;
    }
    Task task{.line = line, .row = row};
    for (const char* name : {"id", "key"}) {
      if (task.id.empty() && row.contains(name)) {
        task.id = row[name].is_string() ? row[name].get<std::string>() : row[name].dump();
      }
    }
    if (task.id.empty()) task.id = "line " + std::to_string(line);
    if (!ids.insert(task.id).second) {
      complain("the id " + task.id + " stands twice");
      continue;
    }
    try {
      if (s.reward.starts_with("ifeval")) (void)tilt::ifeval_task(row);
      if (row.contains("messages")) {
        task.prompt = tilt::Prompt::from_messages(row["messages"].get<std::vector<tilt::Message>>());
      } else {
        task.prompt = row.at(row.contains("prompt") ? "prompt" : "question").get<std::string>();
      }
      if (s.reward == "answer" && !tilt::last_number(row.at("answer").get<std::string>())) {
        throw tilt::Error("its answer has no number");
      }
    } catch (const json::exception&) {
      complain("it needs a text \"prompt\" or \"question\", or a list \"messages\"" +
               std::string(s.reward == "answer" ? ", and a text \"answer\"" : ""));
      continue;
    } catch (const tilt::Error& error) {
      complain(error.what());
      continue;
    }
    const auto [first, is_new] = lines.emplace(task.prompt.key(), line);
    if (!is_new) {
      complain("its prompt is that of line " + std::to_string(first->second));
      continue;
    }
    if (s.reward == "contrast") {  // the prompt must carry the system message B
      std::vector<tilt::Message> messages;
      if (!s.system_b.empty()) messages.push_back({"system", s.system_b});
      for (const tilt::Message& message : task.prompt.messages()) {
        if (message.role != "system") messages.push_back(message);
      }
      if (!task.prompt.is_messages()) messages.push_back({"user", std::string(task.prompt.text())});
      task.prompt = tilt::Prompt::from_messages(std::move(messages));
    }
    tasks.push_back(std::move(task));
  }
  std::ranges::sort(faults, {}, &tilt::JsonlFault::line);
  for (const tilt::JsonlFault& fault : faults) {
    std::cerr << s.prompts.string() << ", line " << fault.line << ": " << fault.what << '\n';
  }
  faulty = !faults.empty();
  if (tasks.empty()) throw BadInput(s.prompts.string() + " has no row that can be used");
  return tasks;
}

ChosenReward reward_of(const Settings& s, tilt::llama::Policy& policy,
                       const std::vector<Task>& tasks) {
  if (s.reward == "contrast") {
    auto reward = std::make_shared<tilt::llama::ContrastReward>(policy, s.system_a, s.system_b);
    return {.function = [reward](auto work, auto out) { reward->score(work, out); },
            .law_check = [reward](const tilt::SamplingLaw& law) { reward->check_law(law); },
            .scores_prefixes = true};
  }
  if (s.reward == "answer") {
    std::map<std::uint64_t, std::string> answers;
    for (const Task& task : tasks) {
      answers[task.prompt.key()] = *tilt::last_number(task.row.at("answer").get<std::string>());
    }
    return {.function = [answers](std::span<const tilt::Scoring> work, std::span<double> out) {
              for (std::size_t i = 0; i < work.size(); ++i) {
                const auto found = tilt::last_number(work[i].response->text);
                out[i] = found && *found == answers.at(work[i].prompt->key()) ? 1 : 0;
              }
            }};
  }
  if (s.reward == "words") {
    return {.function = [wanted = static_cast<double>(s.words)](
                            std::span<const tilt::Scoring> work, std::span<double> out) {
              for (std::size_t i = 0; i < work.size(); ++i) {
                std::istringstream text(work[i].response->text);
                const auto words = std::distance(std::istream_iterator<std::string>(text), {});
                out[i] = 0 - std::abs(static_cast<double>(words) - wanted) / wanted;
              }
            }};
  }
  std::vector<tilt::IfevalTask> rows;
  for (const Task& task : tasks) rows.push_back(tilt::ifeval_task(task.row));
  auto reward = std::make_shared<tilt::IfevalReward>(
      std::move(rows),
      s.reward == "ifeval_all" ? tilt::IfevalScore::all : tilt::IfevalScore::share);
  return {.function = [reward](auto work, auto out) { reward->score(work, out); }};
}

/// Calls `use` with the sampler of the method that was asked for.
template <class Use>
int with_sampler(const Settings& s, Use&& use) {
  if (s.method == "best_of_n") {
    tilt::BestOfNOptions o = s.best_of_n;
    o.max_tokens = s.max_tokens;
    o.law = s.law;
    return use(tilt::BestOfN{o});
  }
  if (s.method == "rejection") {
    tilt::RejectionOptions o = s.rejection;
    o.beta = s.beta.value_or(o.beta);
    o.max_rejections = s.max_rejections;
    o.parallel = s.parallel;
    o.max_tokens = s.max_tokens;
    o.law = s.law;
    return use(tilt::Rejection{o});
  }
  if (s.method == "qalign") {
    tilt::QAlignOptions o = s.qalign;
    o.beta = s.beta.value_or(o.beta);
    o.max_tokens = s.max_tokens;
    o.law = s.law;
    return use(tilt::QAlign{o});
  }
  tilt::CardsOptions o = s.cards;
  o.beta = s.beta.value_or(o.beta);
  o.max_rejections = s.max_rejections;
  o.parallel = s.parallel;
  o.max_tokens = s.max_tokens;
  o.law = s.law;
  return use(tilt::Cards{o});
}

/// What changes the answers, as one text: a file of results is only gone on with under the same.
std::string fingerprint(const Settings& s, const std::string& model) {
  json all = {{"model", model},
              {"method", s.method},
              {"reward", s.reward},
              {"system_a", s.system_a},
              {"system_b", s.system_b},
              {"words", s.words},
              {"selector", s.selector},
              {"extract", s.extract},
              {"max_tokens", s.max_tokens},
              {"law", s.law},
              {"seed", s.run.seed},
              {"budget",
               {s.run.budget.tokens, s.run.budget.policy_calls, s.run.budget.reward_calls,
                tilt::number_to_json(s.run.budget.seconds)}}};
  const auto number = [](double value) { return tilt::number_to_json(value); };
  if (s.method == "best_of_n") {
    all["options"] = {s.best_of_n.n, s.best_of_n.width, number(s.best_of_n.stop_at)};
  } else if (s.method == "qalign") {
    const tilt::QAlignOptions& o = s.qalign;
    all["options"] = {number(s.beta.value_or(o.beta)), o.steps,          o.chains, o.fork, o.burn_in,
                      o.initial_draws,                 number(o.restart), o.recycle};
  } else if (s.method == "rejection") {
    all["options"] = {number(s.beta.value_or(s.rejection.beta)), number(s.rejection.ceiling),
                      s.max_rejections, s.parallel};
  } else {
    const tilt::CardsOptions& o = s.cards;
    all["options"] = {number(s.beta.value_or(o.beta)), number(o.reward_goal),
                      number(o.alpha),                 s.max_rejections,
                      s.parallel,                      number(o.segment.entropy),
                      o.segment.min_tokens,            o.segment.max_tokens,
                      o.pilot_draws,                   number(o.pilot_quantile),
                      o.official};
  }
  return all.dump();
}

/// The ids of the prompts that a file of results has finished. A last line without an end is of a
/// run that was interrupted, and is dropped.
std::set<std::string> finished_ids(const Settings& s, const std::string& settings) {
  std::set<std::string> done;
  if (!std::filesystem::exists(s.out)) return done;
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(s.out);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  if (file.torn) {
    const std::size_t row = file.rows.empty() ? 0 : file.rows.back().line;
    const std::size_t fault = file.faults.empty() ? 0 : file.faults.back().line;
    if (row > fault) file.rows.pop_back();
    if (fault > row) file.faults.pop_back();
  }
  const auto refuse = [&](std::size_t line, const std::string& what) {
    throw BadInput(s.out.string() + ", line " + std::to_string(line) + ": " + what +
                   "; give another --out");
  };
  if (!file.faults.empty()) refuse(file.faults.front().line, file.faults.front().what);
  for (const auto& [line, row] : file.rows) {
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string() ||
        !row.contains("settings")) {
      refuse(line, "it is no result of this command");
    }
    if (row["settings"] != settings) refuse(line, "it is the result of other settings");
    done.insert(row["id"].get<std::string>());
  }
  return done;
}

json line_of(const Settings& s, const Task& task, const tilt::Result& result,
             const std::string& settings) {
  json line = {{"id", task.id},
               {"prompt", task.prompt},
               {"answer", tilt::shown_text(result.answer.response.text)},
               {"reward", tilt::number_to_json(result.answer.reward)},
               {"decision", result.decision},
               {"stop", result.stop},
               {"law_holds", result.law_holds},
               {"spent", result.spent},
               {"stats", tilt::stats_to_json(result.stats)},
               {"failures", result.failures},
               {"settings", settings}};
  if (s.candidates == "full") line["candidates"] = result.candidates;
  if (s.candidates == "rewards") {
    json& list = line["candidates"] = json::array();
    for (const tilt::Candidate& candidate : result.candidates) {
      list.push_back({{"reward", tilt::number_to_json(candidate.reward)},
                      {"weight", candidate.weight},
                      {"lane", candidate.lane},
                      {"tokens", candidate.response.size()}});
    }
  }
  return line;
}

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

/// Draws a few responses of each prompt and prints what their rewards suggest.
int pilot(const Settings& s, tilt::llama::Policy& policy, const ChosenReward& reward,
          const std::vector<Task>& tasks) {
  tilt::BestOfNOptions options{.n = s.pilot, .max_tokens = s.max_tokens, .law = s.law};
  tilt::Decoder decoder{policy, reward, tilt::BestOfN{options}};
  std::vector<tilt::Prompt> prompts;
  for (const Task& task : tasks) prompts.push_back(task.prompt);
  std::vector<tilt::Result> results;
  tilt::ProgressBar bar{std::cerr, "pilot"};
  for (std::size_t from = 0; from < prompts.size() && !s.run.stop.stop_requested();
       from += s.batch) {
    const auto batch = std::span(prompts).subspan(from, std::min(s.batch, prompts.size() - from));
    std::ranges::move(isatty(STDERR_FILENO) != 0 ? decoder.batch(batch, s.run, bar)
                                                 : decoder.batch(batch, s.run),
                      std::back_inserter(results));
  }
  std::vector<double> all;
  double variance = 0;
  std::size_t spread = 0;
  std::printf("%-16s %8s %8s %8s %8s %8s\n", "prompt", "mean", "sd", "min", "median", "max");
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].stop == tilt::Stop::failed) {
      std::cerr << "align: " << tasks[i].id << ": " << results[i].failures.front().what << '\n';
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
    std::printf("%-16.16s %8.3f %8.3f %8.3f %8.3f %8.3f\n", tasks[i].id.c_str(), mean, sd,
                std::ranges::min(rewards), tilt::quantile(rewards, 0.5), std::ranges::max(rewards));
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

/// Writes each prompt's line as soon as its run has ended, and tells how far the job is.
class Writer {
 public:
  Writer(const Settings& s, std::string settings, std::size_t prompts)
      : s_(s), settings_(std::move(settings)), prompts_(prompts), out_(open(s.out)) {}

  void begin(std::span<const Task> batch) { batch_ = batch; }

  void on(const tilt::RunFinished& event) {
    const Task& task = batch_[event.run];
    if (event.result.stop == tilt::Stop::cancelled) return;
    if (event.result.stop == tilt::Stop::failed) {
      ++failed_;
      std::cerr << "align: " << task.id << ": " << event.result.failures.front().what << '\n';
      return;
    }
    out_.write(line_of(s_, task, event.result, settings_));
    ++written_;
    if (!terminal_) std::cerr << "align: " << written_ << " of " << prompts_ << " prompts\n";
  }

  [[nodiscard]] std::size_t written() const { return written_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }
  [[nodiscard]] bool terminal() const { return terminal_; }

 private:
  static tilt::JsonlWriter open(const std::filesystem::path& path) {
    try {
      if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
      return tilt::JsonlWriter(path);
    } catch (const std::exception& error) {
      throw BadInput(error.what());
    }
  }

  const Settings& s_;
  std::string settings_;
  std::size_t prompts_;
  tilt::JsonlWriter out_;
  std::span<const Task> batch_ = {};
  std::size_t written_ = 0, failed_ = 0;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
};

/// Answers all prompts that are not finished yet, a batch at a time.
template <class Sampler>
int answer(const Settings& s, tilt::llama::Policy& policy, const ChosenReward& reward,
           const std::vector<Task>& tasks, Sampler sampler) {
  tilt::Decoder decoder{policy, reward, std::move(sampler), selector_of(s)};
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

/// An option that only some methods, rewards or selectors have.
struct OwnedOption {
  CLI::Option* option = nullptr;
  std::string owners = {};  ///< "rejection, cards"
  const std::string* chosen = nullptr;  ///< what was asked for
};

/// Refuses options that would do nothing.
void check_owners(const std::vector<OwnedOption>& options) {
  for (const auto& [option, owners, chosen] : options) {
    if (option->count() > 0 && (", " + owners + ",").find(", " + *chosen + ",") == std::string::npos) {
      throw BadInput(option->get_name() + " is an option of " + owners + ", not of " + *chosen);
    }
  }
}

std::vector<OwnedOption> add_options(CLI::App& app, Settings& s) {
  app.add_option("--model", s.model, "the model, a GGUF file")->required()->type_name("FILE");
  app.add_option("--prompts", s.prompts,
                 "JSONL, one object a line: \"prompt\" or \"question\" (text) or \"messages\",\n"
                 "and \"id\" or \"key\"; rows of IFEval and of GSM8K as they are")
      ->required()->type_name("FILE");
  app.add_option("--out", s.out,
                 "results, one line per prompt, added as they are done;\n"
                 "prompts that it has already are passed over")
      ->type_name("FILE");
  app.add_option("--pilot", s.pilot,
                 "instead: draw N responses per prompt, print the spread of their rewards\n"
                 "and what it suggests")
      ->type_name("N");
  app.add_option("--method", s.method, "how to align")
      ->check(CLI::IsMember({"best_of_n", "rejection", "qalign", "cards"}))
      ->capture_default_str()->type_name("NAME");
  app.add_option("--reward", s.reward,
                 "ifeval: share of the prompt's instructions that are followed\n"
                 "ifeval_all: 1 if all are followed, else 0\n"
                 "contrast: log-odds of the answer under --system-a against --system-b\n"
                 "answer: 1 if the last number is that of the row's \"answer\", else 0\n"
                 "words: how near the length is to --words")
      ->check(CLI::IsMember({"ifeval", "ifeval_all", "contrast", "answer", "words"}))
      ->capture_default_str()->type_name("NAME");
  app.add_option("--selector", s.selector,
                 "which candidate becomes the answer (default: the method's own)")
      ->check(CLI::IsMember({"default", "highest_reward", "last_state", "soft_best", "majority_vote",
                             "weighted_majority_vote"}))
      ->type_name("NAME");
  app.add_option("--max-tokens", s.max_tokens, "longest response")->capture_default_str()
      ->type_name("N");
  app.add_option("--seed", s.run.seed, "same seed, same model, same answers")->capture_default_str()
      ->type_name("N");
  app.add_option("--limit", s.limit, "only the first N prompts")->type_name("N");
  app.add_option("--batch", s.batch, "prompts that are worked on together")
      ->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
  app.add_option("--candidates", s.candidates, "how much of the candidates to write")
      ->check(CLI::IsMember({"none", "rewards", "full"}))
      ->capture_default_str()->type_name("NAME");

  std::vector<OwnedOption> owned;
  const auto owner = [&](const char* kind, const char* owners, const std::string& chosen) {
    return [&owned, kind, owners, chosen = &chosen](CLI::Option* option, const char* type) {
      option->group(std::string("Options of the ") + kind + ' ' + owners);
      if (option->get_expected_max() > 0) option->capture_default_str()->type_name(type);
      owned.push_back({option, owners, chosen});
    };
  };
  const auto best = owner("method", "best_of_n", s.method);
  best(app.add_option("--n", s.best_of_n.n, "draws"), "N");
  best(app.add_option("--stop-at", s.best_of_n.stop_at, "a reward that is good enough to stop"), "R");
  best(app.add_option("--width", s.best_of_n.width, "draws at a time; 0: all"), "N");
  const auto tilted = owner("methods", "rejection, qalign, cards", s.method);
  tilted(app.add_option("--beta", s.beta, "the reward is divided by it (default 1, 1, 0.7)"), "X");
  const auto rejecting = owner("methods", "rejection, cards", s.method);
  rejecting(app.add_option("--max-rejections", s.max_rejections, "then the best so far is taken"), "N");
  rejecting(app.add_option("--parallel", s.parallel, "draws at a time"), "N");
  const auto rejection = owner("method", "rejection", s.method);
  rejection(app.add_option("--ceiling", s.rejection.ceiling, "the reward that is surely accepted"), "R");
  const auto qalign = owner("method", "qalign", s.method);
  qalign(app.add_option("--steps", s.qalign.steps, "rounds of a chain"), "N");
  qalign(app.add_option("--chains", s.qalign.chains, "independent chains"), "N");
  qalign(app.add_option("--fork", s.qalign.fork, "suffixes per round"), "N");
  qalign(app.add_option("--burn-in", s.qalign.burn_in, "leading states that do not count"), "N");
  qalign(app.add_option("--initial-draws", s.qalign.initial_draws, "start from one of so many draws"),
         "N");
  qalign(app.add_option("--restart", s.qalign.restart, "share of whole redraws, 0 to 1"), "X");
  qalign(app.add_flag("--recycle", s.qalign.recycle, "weigh every proposal, for votes"), "");
  const auto cards = owner("method", "cards", s.method);
  cards(app.add_option("--reward-goal", s.cards.reward_goal, "the reward aimed at"), "R");
  cards(app.add_option("--pilot-draws", s.cards.pilot_draws, "draws that set the goal instead"), "N");
  cards(app.add_option("--pilot-quantile", s.cards.pilot_quantile, "which quantile of theirs"), "X");
  cards(app.add_option("--alpha", s.cards.alpha, "where the threshold starts, 0 to 1"), "X");
  cards(app.add_option("--entropy", s.cards.segment.entropy, "nats that end a segment; inf: fixed length"),
        "X");
  cards(app.add_option("--min-segment", s.cards.segment.min_tokens, "shortest segment, tokens"), "N");
  cards(app.add_option("--max-segment", s.cards.segment.max_tokens, "longest segment, tokens"), "N");
  cards(app.add_flag("--official", s.cards.official, "as the authors' code"), "");
  const auto contrast = owner("reward", "contrast", s.reward);
  contrast(app.add_option("--system-a", s.system_a, "the system prompt to answer as if under"), "TEXT");
  contrast(app.add_option("--system-b", s.system_b, "the one that is really given (default: none)"),
           "TEXT");
  const auto words = owner("reward", "words", s.reward);
  words(app.add_option("--words", s.words, "how many")->check(CLI::PositiveNumber), "N");
  const auto soft = owner("selector", "soft_best", s.selector);
  soft(app.add_option("--lambda", s.lambda, "temperature"), "X");
  const auto votes = owner("selectors", "majority_vote, weighted_majority_vote", s.selector);
  votes(app.add_option("--extract", s.extract, "what counts as the answer in a response")
            ->check(CLI::IsMember({"number", "boxed", "choice", "whole"})),
        "NAME");
  const auto weighted = owner("selector", "weighted_majority_vote", s.selector);
  weighted(app.add_option("--vote-beta", s.vote_beta, "temperature"), "X");

  const char* law = "How the model samples (neutral by default)";
  const auto sampling = [&](CLI::Option* option, const char* type) {
    option->group(law)->capture_default_str()->type_name(type);
  };
  sampling(app.add_option("--temperature", s.law.temperature, "divides the logits"), "X");
  sampling(app.add_option("--top-k", s.law.top_k, "keep the N likeliest tokens; 0: all"), "N");
  sampling(app.add_option("--top-p", s.law.top_p, "keep the likeliest of this mass"), "X");
  sampling(app.add_option("--min-p", s.law.min_p, "keep tokens of this share of the likeliest"), "X");
  app.add_option("--stop", s.law.stop, "text that ends a response; may be given more than once")
      ->group(law)->type_name("TEXT");

  const char* budget = "Budgets, per prompt (none by default)";
  app.add_option("--tokens", s.run.budget.tokens, "generated tokens")->group(budget)->type_name("N");
  app.add_option("--policy-calls", s.run.budget.policy_calls, "responses drawn")->group(budget)
      ->type_name("N");
  app.add_option("--reward-calls", s.run.budget.reward_calls, "responses scored")->group(budget)
      ->type_name("N");
  app.add_option("--seconds", s.run.budget.seconds, "of the clock")->group(budget)->type_name("X");
  app.add_option("--on-failure", s.on_failure, "of one draw: fail the prompt, or survive without it")
      ->check(CLI::IsMember({"fail", "survive"}))
      ->group(budget)->capture_default_str()->type_name("NAME");

  const char* engine = "Engine";
  const auto running = [&](CLI::Option* option) {
    option->group(engine)->capture_default_str()->type_name("N");
  };
  running(app.add_option("--sequences", s.sequences, "responses generated side by side"));
  running(app.add_option("--context", s.context, "tokens in the cache, all sequences together"));
  running(app.add_option("--threads", s.threads, "processor threads; 0: all cores"));
  running(app.add_option("--gpu-layers", s.gpu_layers, "layers on a graphics processor; -1: all"));
  return owned;
}

int align(Settings s, const std::vector<OwnedOption>& owned) {
  if (s.out.empty() && s.pilot == 0) throw BadInput("give --out FILE for the results, or --pilot N");
  if (s.pilot == 0) check_owners(owned);
  if (s.reward == "contrast" && s.system_a == s.system_b) {
    throw BadInput("the contrast reward needs two different system prompts: give --system-a");
  }
  if (s.on_failure == "survive") s.run.on_failure = tilt::OnFailure::survive;
  bool faulty = false;
  const std::vector<Task> tasks = read_tasks(s, faulty);
  if (s.pilot == 0) {  // what can be refused is refused before the model is loaded
    (void)selector_of(s);
    (void)with_sampler(s, [](const auto& sampler) {
      tilt::check_options(sampler);
      return 0;
    });
  }
  s.run.stop = stop_on_interrupt();
  tilt::llama::Policy policy = load_model(s.model, {.sequences = s.sequences,
                                                    .context = s.context,
                                                    .threads = s.threads,
                                                    .gpu_layers = s.gpu_layers});
  const ChosenReward reward = reward_of(s, policy, tasks);
  const int status = s.pilot > 0 ? pilot(s, policy, reward, tasks)
                                 : with_sampler(s, [&](const auto& sampler) {
                                     return answer(s, policy, reward, tasks, sampler);
                                   });
  return status == 0 && faulty ? 1 : status;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Answers a file of prompts with a frozen model, aligned to a reward.\n\n"
               "  align --model m.gguf --prompts p.jsonl --pilot 8\n"
               "  align --model m.gguf --prompts p.jsonl --out r.jsonl --method best_of_n --n 16\n"
               "  align --model m.gguf --prompts p.jsonl --out r.jsonl --reward contrast \\\n"
               "        --system-a \"Answer cheerfully.\" --method qalign --beta 1 --steps 32\n\n"
               "Exit status: 0 all prompts are answered, 1 some are not, 2 the input cannot be used.",
               "align"};
  const std::vector<OwnedOption> owned = add_options(app, settings);
  return run_program(app, argc, argv, [&] { return align(settings, owned); });
}

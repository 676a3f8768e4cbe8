#pragma once

// The prompts that align answers, out of a JSONL file.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <tilt/io/ifeval.hpp>
#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "align/gold.hpp"
#include "align/settings.hpp"

using nlohmann::json;

/// A row of the file of prompts.
struct Task {
  json id = {};              ///< the row's own, of any type; else a text made of its content
  std::string name = {};     ///< the id as JSON: 1 and "1" are two names
  std::string content = {};  ///< changes with the prompt and with what rewards read of the row
  tilt::Prompt prompt = {};
  tilt::Prompt scored = {};              ///< what rewards see: with the preference of prs
  std::optional<std::string> gold = {};  ///< the right answer
  json row = {};

  /// The random stream of its run: the same wherever the row stands in the file.
  [[nodiscard]] std::uint64_t stream() const { return tilt::Prompt(name).key(); }
};

/// Whether the reward or the metric has a name.
inline bool measures(const Settings& s, std::string_view name) {
  return s.reward == name || s.metric == name;
}
inline bool measures_ifeval(const Settings& s) {
  return measures(s, "ifeval") || measures(s, "ifeval_all");
}

/// A number as 16 hexadecimal digits.
inline std::string hexadecimal(std::uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

/// What a row's results depend on, as a hash.
inline std::string content_of(const Settings& s, const json& row) {
  json read = json::object();
  const auto take = [&](const char* name) {
    if (row.contains(name)) read[name] = row[name];
  };
  take(row.contains("messages") ? "messages" : row.contains("prompt") ? "prompt" : "question");
  take("answer");
  if (measures_ifeval(s)) {
    take("instruction_id_list");
    take("kwargs");
  }
  return hexadecimal(tilt::Prompt(read.dump()).key());
}

/// The prompt of a row.
/// @throws json::exception when it has none
inline tilt::Prompt prompt_of(const json& row) {
  if (row.contains("messages")) {
    return tilt::Prompt::from_messages(row["messages"].get<std::vector<tilt::Message>>());
  }
  return row.at(row.contains("prompt") ? "prompt" : "question").get<std::string>();
}

/// The prompt with a system message of its own.
/// @param system  empty: with none
inline tilt::Prompt with_system_message(const tilt::Prompt& prompt, const std::string& system) {
  std::vector<tilt::Message> messages;
  if (!system.empty()) messages.push_back({"system", system});
  for (const tilt::Message& message : prompt.messages()) {
    if (message.role != "system") messages.push_back(message);
  }
  if (!prompt.is_messages()) messages.push_back({"user", std::string(prompt.text())});
  return tilt::Prompt::from_messages(std::move(messages));
}

/// Refuses a reward that reads what no row has, in one sentence that names one that fits.
inline void check_reward_fits(const Settings& s, const tilt::JsonlFile& file) {
  const auto rows_with = [&](const char* name) {
    return std::ranges::count_if(file.rows, [&](const tilt::JsonlRow& row) {
      return row.value.is_object() && row.value.contains(name);
    });
  };
  const auto refuse = [&](const std::string& option, const char* name) {
    if (file.rows.empty() || rows_with(name) > 0) return;
    const bool graded = rows_with("answer") > 0, instructed = rows_with("instruction_id_list") > 0;
    throw BadInput(option + " reads \"" + name + "\", and no row of " + s.prompts.string() +
                   " has it; " +
                   (graded       ? "the rows have \"answer\": give --reward answer"
                    : instructed ? "the rows have \"instruction_id_list\": give --reward ifeval"
                                 : "give --reward words, judge, self_certainty or contrast, which "
                                   "read no more than the prompt"));
  };
  const std::string reward = "--reward " + s.reward + (s.default_reward ? " (the default)" : "");
  if (s.reward.starts_with("ifeval")) refuse(reward, "instruction_id_list");
  if (s.metric.starts_with("ifeval")) refuse("--metric " + s.metric, "instruction_id_list");
  if (s.reward == "answer") refuse(reward, "answer");
  if (s.metric == "answer") refuse("--metric answer", "answer");
}

/// Names the lines that cannot be used, the first of them where there are many.
/// @param more  how many there are besides
inline void complain_of(const Settings& s, std::vector<tilt::JsonlFault> faults, std::size_t more) {
  constexpr std::size_t most = 20;
  std::ranges::stable_sort(faults, {}, &tilt::JsonlFault::line);
  const std::string file = printable(s.prompts.string());
  for (std::size_t i = 0; i < std::min(most, faults.size()); ++i) {
    std::cerr << file << ", line " << faults[i].line << ": " << printable(faults[i].what) << '\n';
  }
  if (faults.size() > most) {
    std::cerr << file << ": " << faults.size() - most + more << " further lines cannot be used\n";
  }
}

/// The rows that can be used; the others are named on standard error and passed over.
/// @throws BadInput when there is none
inline std::vector<Task> read_tasks(const Settings& s, bool& faulty) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(s.prompts);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  check_reward_fits(s, file);
  std::vector<tilt::JsonlFault> faults = file.faults;
  std::vector<Task> tasks;
  std::set<std::string> names;
  std::map<std::string, std::size_t> copies;  // of rows without an id, by their content
  for (std::size_t i = 0; i < file.rows.size() && tasks.size() < s.limit; ++i) {
    auto& [line, row] = file.rows[i];
    const auto complain = [&, number = line](const std::string& what) {
      faults.push_back({number, what});
    };
    if (!row.is_object()) {
      complain("it is not an object");
      continue;
    }
    Task task;
    try {
      if (measures_ifeval(s)) (void)tilt::ifeval_task(row);
      task.prompt = prompt_of(row);
      task.gold = gold_of(row);
      if (measures(s, "answer") && !task.gold) {
        throw tilt::Error(row.contains("answer")
                              ? "its \"answer\" has no value that can be read: " +
                                    printable(row["answer"].dump(), 80)
                              : "it needs an \"answer\"");
      }
    } catch (const json::exception&) {
      complain("it needs a text \"prompt\" or \"question\", or a list \"messages\"");
      continue;
    } catch (const tilt::Error& error) {
      complain(error.what());
      continue;
    }
    task.content = content_of(s, row);
    for (const char* name : {"id", "key"}) {
      if (task.id.is_null() && row.contains(name)) task.id = row[name];
    }
    if (task.id.is_null()) {
      const std::size_t copy = ++copies[task.content];
      task.id = "row-" + task.content + (copy > 1 ? "-" + std::to_string(copy) : "");
    }
    task.name = task.id.dump();
    if (!names.insert(task.name).second) {
      complain("the id " + task.name + " stands twice");
      continue;
    }
    if (s.reward == "contrast") task.prompt = with_system_message(task.prompt, s.system_b);
    task.scored =
        s.method == "prs" ? tilt::with_preference(task.prompt, s.prs.preference) : task.prompt;
    task.row = std::move(row);
    tasks.push_back(std::move(task));
  }
  faulty = !faults.empty();
  complain_of(s, std::move(faults), file.bad_lines - file.faults.size());
  if (tasks.empty()) throw BadInput(s.prompts.string() + " has no row that can be used");
  return tasks;
}

/// The tasks in the groups that are worked on together: at most `--batch` that follow each other, no
/// prompt twice, since rewards know a row by its prompt.
inline std::vector<std::span<const Task>> batches_of(const Settings& s,
                                                     const std::vector<Task>& tasks) {
  std::vector<std::span<const Task>> batches;
  const std::span<const Task> all = tasks;
  for (std::size_t from = 0; from < all.size();) {
    std::set<std::uint64_t> prompts;
    std::size_t n = 0;
    while (from + n < all.size() && n < s.batch &&
           prompts.insert(all[from + n].scored.key()).second) {
      ++n;
    }
    batches.push_back(all.subspan(from, n));
    from += n;
  }
  return batches;
}

/// The options of each run of a batch: its own random stream.
inline std::vector<tilt::RunOptions> runs_of(const Settings& s, std::span<const Task> batch) {
  std::vector<tilt::RunOptions> runs(batch.size(), s.run);
  for (std::size_t i = 0; i < batch.size(); ++i) runs[i].stream = batch[i].stream();
  return runs;
}

#pragma once

// The prompts that align answers, out of a JSONL file.

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <tilt/io/ifeval.hpp>
#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "align/settings.hpp"

using nlohmann::json;

/// A row of the file of prompts.
struct Task {
  std::string id = {};
  std::size_t line = 0;  ///< in the file; it names the random stream, and the batch
  tilt::Prompt prompt = {};
  tilt::Prompt scored = {};  ///< what rewards see: with the preference of prs
  json row = {};
};

/// The rows that can be used; the others are named on standard error and passed over.
inline std::vector<Task> read_tasks(const Settings& s, bool& faulty) {
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
        task.prompt =
            tilt::Prompt::from_messages(row["messages"].get<std::vector<tilt::Message>>());
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
    task.scored =
        s.method == "prs" ? tilt::with_preference(task.prompt, s.prs.preference) : task.prompt;
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

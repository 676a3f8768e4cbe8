#pragma once

// The file of results: a line per prompt, by which an interrupted job goes on.

#include <unistd.h>

#include <iostream>
#include <set>
#include <span>
#include <string>

#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "align/tasks.hpp"

/// The ids of the prompts that a file of results has finished. A last line without an end is of a
/// run that was interrupted, and is dropped.
inline std::set<std::string> finished_ids(const Settings& s, const std::string& settings) {
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

inline json line_of(const Settings& s, const Task& task, const tilt::Result& result,
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

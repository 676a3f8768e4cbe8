#pragma once

// The file of results: a line per prompt, by which an interrupted job goes on.

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "align/compared.hpp"
#include "align/summary.hpp"
#include "align/tasks.hpp"
#include "support/chosen.hpp"
#include "support/output.hpp"

/// How each line begins. Only a file of such lines is gone on with.
inline const std::string line_start = R"({"align":")" TILT_VERSION R"(",)";
/// So much of it tells a line that breaks off from those of others: {"align":
inline constexpr std::size_t shortest_start = 9;

/// A line of a file of results, as far as going on needs it.
struct Finished {
  std::size_t line = 0;
  std::string content = {};  ///< of its row
  Outcome outcome = {};
};

/// The results that a job has already, and the file that they and further ones stand in.
class Results {
 public:
  /// Opens the file if there is one, and reads it.
  /// @throws BadInput when it is no file of results of this command, or another process writes to it
  explicit Results(std::filesystem::path path)
      : path_(std::move(path)), file_(OutputFile::existing(path_)) {
    if (file_ && file_->regular()) read();
  }

  /// Refuses to go on with results of other settings or of rows that have changed since; makes the file if
  /// there is none.
  /// @throws BadInput
  void go_on(const json& settings, std::span<const Task> tasks) {
    for (const auto& [there, line] : settings_) {
      const std::string what = difference(there, settings);
      if (!what.empty()) refuse(line, what);
    }
    for (const Task& task : tasks) {
      const auto found = finished_.find(task.name);
      if (found == finished_.end()) continue;
      if (found->second.content != task.content) {
        refuse(found->second.line,
               "its row, that of the id " + task.name +
                   ", has changed since (the prompt, or what the reward reads)");
      }
      ++of_tasks_;
    }
    if (!file_) file_.emplace(OutputFile::created(path_));
    if (torn_) file_->drop_torn_line();
    if (unended_) file_->write_line("");
    torn_ = unended_ = false;
  }

  /// The result of a task, or null.
  [[nodiscard]] const Finished* of(const Task& task) const {
    const auto found = finished_.find(task.name);
    return found == finished_.end() ? nullptr : &found->second;
  }
  /// How many of the tasks are finished; how many results are of none of them.
  [[nodiscard]] std::size_t of_tasks() const noexcept { return of_tasks_; }
  [[nodiscard]] std::size_t of_others() const noexcept { return finished_.size() - of_tasks_; }

  [[nodiscard]] OutputFile& file() { return *file_; }

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& what) const {
    throw BadInput(path_.string() + ", line " + std::to_string(line) + ": " + what +
                   "; give another --out");
  }

  void read() {
    const std::string torn = file_->torn_line();
    std::ifstream in(path_, std::ios::binary);
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number) {
      const bool last = in.eof();
      if (!last && text.empty()) continue;
      json row;
      try {
        row = tilt::parse_json(text);
      } catch (const tilt::Error& error) {
        if (!last) refuse(number, error.what());
        // The line that an interrupted writer has left. What may be somebody else's stays.
        const std::string_view begun = std::string_view(torn).substr(0, line_start.size());
        const bool ours = finished_.empty()
                              ? begun.size() >= shortest_start && line_start.starts_with(begun)
                              : torn.starts_with('{');
        if (!ours) refuse(number, "it is no result of this command");
        torn_ = true;
        return;
      }
      take(number, row);
      unended_ = last;
    }
    if (in.bad()) throw BadInput("cannot read " + path_.string() + " to its end");
  }

  void take(std::size_t number, const json& row) {
    const auto is_text = [&](const char* name) {
      return row.contains(name) && row[name].is_string();
    };
    if (!row.is_object() || !is_text("align") || !is_text("row") || !row.contains("id") ||
        !row.contains("settings")) {
      refuse(number, "it is no result of this command");
    }
    if (row["align"] != TILT_VERSION) {
      refuse(number, "it is of version " + row["align"].get<std::string>() + " of align, this is " +
                         TILT_VERSION);
    }
    settings_.emplace(row["settings"], number);
    Finished finished{.line = number, .content = row["row"].get<std::string>()};
    try {
      finished.outcome = outcome_of(row);
    } catch (const std::exception&) {
      refuse(number, "it is no whole result");
    }
    const std::string name = row["id"].dump();
    if (!finished_.emplace(name, std::move(finished)).second) {
      refuse(number, "the id " + name + " stands twice");
    }
  }

  std::filesystem::path path_;
  std::optional<OutputFile> file_;
  std::map<std::string, Finished> finished_ = {};  // by the id as JSON
  std::map<json, std::size_t> settings_ = {};      // and the first line that has them
  bool torn_ = false;                              // the last line is to be dropped
  bool unended_ = false;                           // the last line is whole, and lacks its end
  std::size_t of_tasks_ = 0;
};

/// The line of a result. Its members are in the order of their names, so that "align" is the first.
/// @param metric  NaN: none
inline json line_of(const Settings& s, const Task& task, const tilt::Result& result, double metric,
                    const json& settings) {
  constexpr std::size_t most_failures = 16;
  const std::string& text = result.answer.response.text;
  json line = {{"align", TILT_VERSION},
               {"id", task.id},
               {"row", task.content},
               {"prompt", task.prompt},
               {"answer", tilt::shown_text(text)},
               {"reward", tilt::number_to_json(result.answer.reward)},
               {"decision", result.decision},
               {"stop", result.stop},
               {"law_holds", result.law_holds},
               {"spent", result.spent},
               {"stats", tilt::stats_to_json(result.stats)},
               {"failed_draws", result.failures.size()},
               {"failures", json::array()},
               {"settings", settings}};
  line["decision"]["answer"] = tilt::shown_text(result.decision.answer);
  for (std::size_t i = 0; i < std::min(most_failures, result.failures.size()); ++i) {
    json failure = result.failures[i];
    failure["what"] = printable(result.failures[i].what, 1000);
    line["failures"].push_back(std::move(failure));
  }
  if (task.gold) {
    line["gold"] = *task.gold;
    line["correct"] = gives(text, *task.gold);
  }
  if (!s.metric.empty()) line["metric"] = tilt::number_to_json(metric);
  if (s.candidates == "full") line["candidates"] = result.candidates;
  if (s.candidates == "rewards") {
    json& list = line["candidates"] = json::array();
    for (const tilt::Candidate& candidate : result.candidates) {
      list.push_back({{"reward", tilt::number_to_json(candidate.reward)},
                      {"weight", tilt::number_to_json(candidate.weight)},
                      {"lane", candidate.lane},
                      {"tokens", candidate.response.size()}});
    }
  }
  return line;
}

/// Writes each prompt's line as soon as its run has ended, and tells how far the job is.
class Writer {
 public:
  /// @param settings  as in each line
  /// @param prompts   how many are to be written
  Writer(const Settings& s, Results& results, json settings, std::size_t prompts)
      : s_(s), results_(results), settings_(std::move(settings)), prompts_(prompts) {}

  /// To be called before a batch is worked on.
  /// @param metric  without a function: none is measured
  void begin(std::span<const Task> batch, ChosenReward metric) {
    results_.file().require_in_place();
    batch_ = batch;
    metric_ = std::move(metric);
  }

  void on(const tilt::RunFinished& event) {
    const Task& task = batch_[event.run];
    const tilt::Result& result = event.result;
    if (result.stop == tilt::Stop::cancelled) return;
    // Measured for all of a batch, so that the engine does the same whatever is finished already.
    double metric = tilt::unset;
    std::string failure = failure_of(result);
    if (failure.empty() && metric_.function) {
      try {
        metric = measure(task, result.answer.response);
      } catch (const std::exception& error) {
        failure = "the metric failed: " + std::string(error.what());
      }
    }
    if (results_.of(task)) return;
    if (!failure.empty()) {
      complain(task, failure);
      return;
    }
    const json line = line_of(s_, task, result, metric, settings_);
    results_.file().write_line(line.dump(-1, ' ', false, json::error_handler_t::replace));
    outcomes_.push_back(outcome_of(line));
    ++written_;
    if (!terminal_) std::cerr << "align: " << written_ << " of " << prompts_ << " prompts\n";
  }

  [[nodiscard]] std::size_t written() const { return written_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }
  [[nodiscard]] const std::vector<Outcome>& outcomes() const { return outcomes_; }
  [[nodiscard]] bool terminal() const { return terminal_; }

 private:
  // Why a result is none; empty when it is one.
  static std::string failure_of(const tilt::Result& result) {
    if (result.stop == tilt::Stop::failed) {
      return result.failures.empty() ? "it failed" : result.failures.front().what;
    }
    if (!result.candidates.empty()) return {};
    return std::string("its run ended without a response (") + tilt::name_of(result.stop) + ")";
  }

  double measure(const Task& task, const tilt::Response& response) const {
    const tilt::Scoring work{&task.scored, &response};
    double value = tilt::unset;
    try {
      metric_.score({&work, 1}, {&value, 1});
    } catch (const tilt::PartialFailure& partial) {
      if (!partial.causes().empty() && partial.causes().front()) {
        std::rethrow_exception(partial.causes().front());
      }
      throw;
    }
    return value;
  }

  void complain(const Task& task, const std::string& what) {
    constexpr std::size_t most = 100;
    if (++failed_ <= most) {
      std::cerr << "align: " << printable(task.name, 80) << ": " << printable(what, 1000) << '\n';
    } else if (failed_ == most + 1) {
      std::cerr << "align: further failures are counted only\n";
    }
  }

  const Settings& s_;
  Results& results_;
  json settings_;
  std::size_t prompts_;
  std::span<const Task> batch_ = {};
  ChosenReward metric_ = {};
  std::vector<Outcome> outcomes_ = {};
  std::size_t written_ = 0, failed_ = 0;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
};

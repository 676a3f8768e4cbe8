#pragma once

#include <chrono>
#include <ostream>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tilt/io/json.hpp"
#include "tilt/runtime/observer.hpp"

namespace tilt {

/// Writes everything that happens in a run, one JSON object a line: `event` (the name below), `run`,
/// `seconds` since the trace was made, and
///
/// - `run_started`: `runs`, `prompt`;
/// - `candidate`: `candidate`;
/// - `settled`: `lane`, and `tokens`, those that are new;
/// - `progress`: `spent`, `candidates` (how many), `best` (the highest reward so far; null: none);
/// - `run_finished`: `decision`, `answer` (a candidate), `spent`, `stop`, `failures`, `stats`,
///   `law_holds`.
///
///     std::ofstream file("trace.jsonl");
///     JsonlTrace trace{file};
///     decoder.batch(prompts, {}, trace);
///
/// Like every observer it cannot change a run: whether all could be written, the stream tells.
class JsonlTrace {
 public:
  /// @param out  outlives the trace
  explicit JsonlTrace(std::ostream& out) : out_(out), start_(Clock::now()) {}

  void on(const RunStarted& event) {
    write("run_started", event.run, {{"runs", event.runs}, {"prompt", event.prompt}});
  }
  void on(const CandidateEmitted& event) {
    if (event.run >= best_.size()) best_.resize(event.run + 1, unset);
    double& best = best_[event.run];
    if (!(event.candidate.reward <= best)) best = event.candidate.reward;
    write("candidate", event.run, {{"candidate", event.candidate}});
  }
  void on(const PrefixSettled& event) {
    const auto key = std::pair(event.run, event.lane);
    std::size_t shown = 0;
    for (auto& [place, tokens] : settled_) {
      if (place == key) shown = std::exchange(tokens, event.tokens.size());
    }
    if (shown == 0) settled_.emplace_back(key, event.tokens.size());
    const TokenSpan fresh = event.tokens.subspan(std::min(shown, event.tokens.size()));
    write("settled", event.run,
          {{"lane", event.lane}, {"tokens", std::vector<Token>(fresh.begin(), fresh.end())}});
  }
  void on(const RunProgressed& event) {
    const double best = event.run < best_.size() ? best_[event.run] : unset;
    write("progress", event.run,
          {{"spent", event.spent},
           {"candidates", event.candidates.size()},
           {"best", number_to_json(best)}});
  }
  void on(const RunFinished& event) {
    const Result& result = event.result;
    write("run_finished", event.run,
          {{"decision", result.decision},
           {"answer", result.answer},
           {"spent", result.spent},
           {"stop", result.stop},
           {"failures", result.failures},
           {"stats", stats_to_json(result.stats)},
           {"law_holds", result.law_holds}});
  }

 private:
  using Clock = std::chrono::steady_clock;

  void write(const char* event, std::size_t run, nlohmann::json members) {
    members["event"] = event;
    members["run"] = run;
    members["seconds"] = std::chrono::duration<double>(Clock::now() - start_).count();
    out_ << members.dump() << '\n' << std::flush;
  }

  std::ostream& out_;
  Clock::time_point start_;
  std::vector<double> best_ = {};  // by run
  // How many tokens of each (run, lane) were written; few at a time.
  std::vector<std::pair<std::pair<std::size_t, std::size_t>, std::size_t>> settled_ = {};
};

}  // namespace tilt

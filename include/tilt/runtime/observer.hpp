#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "tilt/runtime/result.hpp"

namespace tilt {

/// A run begins. `run` is its position in the batch, 0 for a single prompt.
struct RunStarted {
  std::size_t run = 0, runs = 1;
  const Prompt& prompt;
};
/// A candidate was emitted; at the end also texts that were drawn and not scored (weight 0).
struct CandidateEmitted {
  std::size_t run = 0;
  const Candidate& candidate;
};
/// A lane's response is sure to begin with these tokens; they can be streamed. Each event has the
/// whole settled prefix.
struct PrefixSettled {
  std::size_t run = 0, lane = 0;
  TokenSpan tokens = {};
};
/// A run has come further: sent after each call of the policy or the reward that concerned it.
struct RunProgressed {
  std::size_t run = 0;
  const Population& candidates;
  const Cost& spent;
};
/// A run has ended, whatever the reason.
struct RunFinished {
  std::size_t run = 0, runs = 1;
  const Prompt& prompt;
  const Result& result;
};

template <class O, class Event>
concept Handles = requires(O& observer, const Event& event) { observer.on(event); };

/// Something that is told of events by `observer.on(event)`. Each event is optional, but one at least
/// must be handled, so that a misspelt hook is an error and not silence. What an event refers to
/// lives as long as the call. Observers cannot change a run; what one throws ends the whole call.
template <class O>
concept Observer = Handles<O, RunStarted> || Handles<O, CandidateEmitted> ||
                   Handles<O, PrefixSettled> || Handles<O, RunProgressed> ||
                   Handles<O, RunFinished>;

/// Tells an event to those of the observers that handle it.
template <class Event, class... Os>
void notify(const Event& event, Os&... observers) {
  [[maybe_unused]] const auto tell = [&event](auto& observer) {
    if constexpr (Handles<decltype(observer), Event>) observer.on(event);
  };
  (tell(observers), ...);
}

/// Shows how far a batch is, on one line of a terminal that is drawn anew at most ten times a second:
/// prompts done, tokens generated, tokens per second, and the highest reward so far of the run that
/// was heard of last. It may be used for one batch after another.
class ProgressBar {
 public:
  /// @param out  a terminal, mostly std::cerr; it must outlive the bar
  /// @param label  shown in front, such as the method's name
  explicit ProgressBar(std::ostream& out, std::string label = {})
      : out_(out), label_(std::move(label)), start_(Clock::now()) {}

  void on(const RunStarted& event) {
    if (event.run > 0) return;
    tokens_.assign(event.runs, 0);
    done_ = 0;
    start_ = Clock::now();
  }
  void on(const RunProgressed& event) {
    tokens_[event.run] = event.spent.generated_tokens;
    const auto now = Clock::now();
    if (now - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = now;
    draw(event.candidates);
  }
  void on(const RunFinished& event) {
    tokens_[event.run] = event.result.spent.generated_tokens;
    ++done_;
    draw(event.result.candidates);
    if (done_ == tokens_.size()) out_ << '\n' << std::flush;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const Population& candidates) {
    constexpr std::size_t width = 24;
    std::size_t tokens = 0;
    for (const std::size_t t : tokens_) tokens += t;
    double best = unset;
    for (const Candidate& candidate : candidates) best = std::fmax(best, candidate.reward);
    const std::size_t filled = width * done_ / tokens_.size();
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    char rest[160];
    std::snprintf(rest, sizeof rest, "] %zu/%zu prompts  %zu tokens  %.0f tok/s  %.0f s", done_,
                  tokens_.size(), tokens, seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0,
                  seconds);
    std::string line = label_ + (label_.empty() ? "[" : " [") + std::string(filled, '#') +
                       std::string(width - filled, '.') + rest;
    if (!std::isnan(best)) line += "  best " + to_text(best);
    // A line that is shorter than the one before must cover it.
    const std::size_t length = line.size();
    if (length < length_) line.append(length_ - length, ' ');
    length_ = length;
    out_ << '\r' << line << std::flush;
  }

  std::ostream& out_;
  std::string label_;
  std::vector<std::size_t> tokens_ = {};  // by run
  std::size_t done_ = 0, length_ = 0;
  Clock::time_point start_, drawn_ = {};
};

}  // namespace tilt

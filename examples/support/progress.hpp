#pragma once

// A progress line for a long job in several steps.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <tilt/tilt.hpp>

/// Shows on standard error how far a job of several steps is, and how long the rest will take at the
/// speed of this run: one line that is drawn anew on a terminal, a line per step elsewhere. Steps are
/// weighed by the tokens that they are expected to generate.
class Progress {
 public:
  Progress() = default;
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// A step of the job, with the tokens that `begin` will be given.
  void expect(std::size_t tokens) { expected_ += tokens; }

  void begin(std::string label, std::size_t expected_tokens) {
    finish_step();
    if (start_ == Clock::time_point{}) start_ = Clock::now();
    label_ = std::move(label);
    step_ = expected_tokens;
    in_step_ = 0;
    draw();
  }
  void add(std::size_t tokens) {
    in_step_ += tokens;
    tokens_ += tokens;
    draw();
  }
  /// The step that was begun last has come to its end.
  void finish_step() {
    if (label_.empty()) return;
    done_ += step_;
    in_step_ = step_ = 0;
    draw();
    if (!terminal_) std::fprintf(stderr, "%s\n", line_.c_str());
    label_.clear();
  }
  /// The job has ended, whether its last step has or not.
  void finish() {
    if (drawn_ && terminal_) std::fprintf(stderr, "\n");
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void draw() {
    constexpr std::size_t width = 12;  // the whole line has at most 80 characters
    const double share =
        std::min(1.0, static_cast<double>(done_ + std::min(in_step_, step_)) /
                          static_cast<double>(std::max<std::size_t>(1, expected_)));
    const auto filled = static_cast<std::size_t>(share * width);
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    char text[160];
    std::snprintf(text, sizeof text, "[%s%s] %3.0f %%  %-32.32s %4.0f tok/s  %s",
                  std::string(filled, '#').c_str(), std::string(width - filled, '.').c_str(),
                  100 * share, label_.c_str(),
                  seconds > 0 ? static_cast<double>(tokens_) / seconds : 0.0,
                  rest(seconds, share).c_str());
    line_ = text;
    if (terminal_) std::fprintf(stderr, "\r%s", text);
    drawn_ = true;
  }

  /// How long the rest will take; padded, so that it covers what stood there.
  static std::string rest(double seconds, double share) {
    char text[32] = "";
    const double left = share > 0 ? seconds / share * (1 - share) : 0;
    if (share >= 1) {
      std::snprintf(text, sizeof text, "in %.0f s", seconds);
    } else if (seconds < 5 && share < 0.02) {
      // too little to go by
    } else if (left < 100) {
      std::snprintf(text, sizeof text, "%.0f s left", left);
    } else {
      std::snprintf(text, sizeof text, "%.0f min left", left / 60);
    }
    char padded[32];
    std::snprintf(padded, sizeof padded, "%-12s", text);
    return padded;
  }

  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
  std::string label_ = {}, line_ = {};
  std::size_t expected_ = 0, step_ = 0, in_step_ = 0, done_ = 0, tokens_ = 0;
  Clock::time_point start_ = {};  // of the first step
};

/// A policy that tells a progress line of the tokens that it has generated. Large batches are handed
/// on in slices, so that there is something to tell. It only generates: what else the policy can do is
/// asked of the policy.
template <class P>
class Watched {
 public:
  static constexpr tilt::Capabilities capabilities = [] {
    tilt::Capabilities all = P::capabilities;
    all.score_forced = all.logits = false;
    return all;
  }();

  /// @param stop  once it is asked for, no further slice is begun and the call fails
  Watched(P& policy, Progress& progress, std::size_t slice, std::stop_token stop = {})
      : policy_(policy), progress_(progress), slice_(slice), stop_(std::move(stop)) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    std::vector<std::exception_ptr> causes(work.size());
    bool failed = false;
    for (std::size_t from = 0; from < work.size(); from += slice_) {
      if (stop_.stop_requested()) throw tilt::PolicyError("stopped on request");
      const std::size_t n = std::min(slice_, work.size() - from);
      try {
        policy_.generate(work.subspan(from, n), out.subspan(from, n));
      } catch (const tilt::PartialFailure& failure) {
        std::ranges::copy(failure.causes(), causes.begin() + static_cast<std::ptrdiff_t>(from));
        failed = true;
      } catch (...) {
        std::fill_n(causes.begin() + static_cast<std::ptrdiff_t>(from), n,
                    std::current_exception());
        failed = true;
      }
      std::size_t tokens = 0;
      for (const tilt::Response& response : out.subspan(from, n)) tokens += response.size();
      progress_.add(tokens);
    }
    if (failed) throw tilt::PartialFailure(std::move(causes));
  }

  [[nodiscard]] bool is_end(tilt::Token token) const { return policy_.is_end(token); }

 private:
  P& policy_;
  Progress& progress_;
  std::size_t slice_;
  std::stop_token stop_;
};

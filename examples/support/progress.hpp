#pragma once

// A progress line for a long job in several steps.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tilt/tilt.hpp>

/// Shows on standard error how far a job of several steps is: one line that is drawn anew on a
/// terminal, a line per step elsewhere. Steps are weighed by the tokens that they are expected to
/// generate.
class Progress {
 public:
  explicit Progress(std::size_t expected_tokens)
      : expected_(std::max<std::size_t>(1, expected_tokens)) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void begin(std::string label, std::size_t expected_tokens) {
    end_step();
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
  void finish() {
    end_step();
    if (drawn_ && terminal_) std::fprintf(stderr, "\n");
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void end_step() {
    if (label_.empty()) return;
    done_ += step_;
    in_step_ = step_ = 0;
    draw();
    if (!terminal_) std::fprintf(stderr, "%s\n", line_.c_str());
    label_.clear();
  }

  void draw() {
    constexpr std::size_t width = 24;
    const double share = std::min(1.0, static_cast<double>(done_ + std::min(in_step_, step_)) /
                                           static_cast<double>(expected_));
    const auto filled = static_cast<std::size_t>(share * width);
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    char text[200];
    std::snprintf(text, sizeof text, "[%s%s] %3.0f %%  %-34.34s %6zu tokens  %3.0f tok/s  %4.0f s",
                  std::string(filled, '#').c_str(), std::string(width - filled, '.').c_str(),
                  100 * share, label_.c_str(), tokens_,
                  seconds > 0 ? static_cast<double>(tokens_) / seconds : 0.0, seconds);
    line_ = text;
    if (terminal_) std::fprintf(stderr, "\r%s", text);
    drawn_ = true;
  }

  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
  std::string label_ = {}, line_ = {};
  std::size_t expected_, step_ = 0, in_step_ = 0, done_ = 0, tokens_ = 0;
  Clock::time_point start_ = Clock::now();
};

/// A policy that tells a progress line of the tokens that it has generated. Large batches are handed
/// on in slices, so that there is something to tell.
template <class P>
class Watched {
 public:
  static constexpr tilt::Capabilities capabilities = P::capabilities;

  Watched(P& policy, Progress& progress, std::size_t slice)
      : policy_(policy), progress_(progress), slice_(slice) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    std::vector<std::exception_ptr> causes(work.size());
    bool failed = false;
    for (std::size_t from = 0; from < work.size(); from += slice_) {
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
};

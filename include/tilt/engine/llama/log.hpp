#pragma once

#include <llama.h>

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace tilt::llama {

/// What llama.cpp logs: errors are kept for the exceptions that they lead to; everything goes to standard
/// error while somebody listens, the rest of the time nowhere. llama.cpp has one logger for the whole
/// process, so a listener hears all models.
class Log {
 public:
  /// Has llama.cpp's messages written to standard error as long as it lives, if it is verbose.
  class Listener {
   public:
    explicit Listener(bool verbose) : verbose_(verbose) {
      llama_log_set(&Log::receive, nullptr);
      change(+1);
    }
    ~Listener() { change(-1); }
    Listener(const Listener&) = delete;

   private:
    void change(int by) const {
      Log& log = instance();
      const std::lock_guard lock(log.mutex_);
      if (verbose_) log.listeners_ += by;
    }

    bool verbose_;
  };

  /// The errors logged since the last call, as one line; empty if there were none.
  [[nodiscard]] static std::string take() {
    Log& log = instance();
    const std::lock_guard lock(log.mutex_);
    std::string text = std::exchange(log.errors_, {});
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text) {
      if (c == '\n') c = ' ';
    }
    return text;
  }

  /// ": " and the errors logged since the last call; empty if there were none.
  [[nodiscard]] static std::string reason() {
    std::string text = take();
    return text.empty() ? text : ": " + text;
  }

 private:
  static Log& instance() {
    static Log log;
    return log;
  }

  static void receive(ggml_log_level level, const char* text, void*) {
    Log& log = instance();
    const std::lock_guard lock(log.mutex_);
    if (level != GGML_LOG_LEVEL_CONT) log.error_ = level == GGML_LOG_LEVEL_ERROR;
    if (log.error_ && log.errors_.size() < longest) log.errors_ += text;
    if (log.listeners_ > 0) std::fputs(text, stderr);
  }

  static constexpr std::size_t longest = 2000;  // bytes; a failing loop must not fill the memory
  std::mutex mutex_ = {};
  std::string errors_ = {};
  bool error_ = false;
  int listeners_ = 0;
};

}  // namespace tilt::llama

#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "tilt/core/prompt.hpp"
#include "tilt/core/token.hpp"

namespace tilt::llama {

/// The ids of the prompts used last, so that a prompt is tokenised once for all draws that it gets.
/// May be used by several threads at once.
class PromptCache {
 public:
  using Tokens = std::shared_ptr<const std::vector<Token>>;

  /// @param bytes  of prompts and ids that are kept at most
  explicit PromptCache(std::size_t bytes) : limit_(bytes) {}

  /// The ids of a prompt; `tokenize(prompt)` makes them if they are not here.
  template <class Tokenize>
  [[nodiscard]] Tokens get(const Prompt& prompt, Tokenize&& tokenize) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
        return e.prompt.key() == prompt.key() && e.prompt == prompt;
      });
      if (found != entries_.end()) {
        entries_.splice(entries_.begin(), entries_, found);
        return found->tokens;
      }
    }
    Entry made = {prompt, std::make_shared<const std::vector<Token>>(tokenize(prompt)), 0};
    made.bytes = size_of(prompt) + made.tokens->size() * sizeof(Token);
    const std::lock_guard lock(mutex_);
    ++made_;
    held_ += made.bytes;
    entries_.push_front(made);
    while (held_ > limit_ || entries_.size() > most) {
      held_ -= entries_.back().bytes;
      entries_.pop_back();
    }
    return made.tokens;
  }

  /// Prompts tokenised so far.
  [[nodiscard]] std::size_t made() const {
    const std::lock_guard lock(mutex_);
    return made_;
  }

  /// Bytes of a prompt's text, or of its messages with their roles.
  [[nodiscard]] static std::size_t size_of(const Prompt& prompt) {
    std::size_t size = prompt.text().size();
    for (const Message& message : prompt.messages()) {
      size += message.role.size() + message.content.size();
    }
    return size;
  }

 private:
  static constexpr std::size_t most = 1024;  // entries: they are looked through one by one
  struct Entry {
    Prompt prompt;
    Tokens tokens;
    std::size_t bytes;
  };

  mutable std::mutex mutex_ = {};
  std::size_t limit_, held_ = 0, made_ = 0;
  std::list<Entry> entries_ = {};  // the one used last in front
};

}  // namespace tilt::llama

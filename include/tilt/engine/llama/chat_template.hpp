#pragma once

#include <llama.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/engine/llama/vocabulary.hpp"

namespace tilt::llama {

/// How a chat becomes a text: one of the templates that llama.cpp knows.
class ChatTemplate {
 public:
  ChatTemplate() = default;
  /// @param text  the name of a template that llama.cpp knows, or a template's text, by which llama.cpp
  ///              recognises one that it knows; empty: none
  explicit ChatTemplate(std::string text) : text_(std::move(text)) {}

  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  /// Whether llama.cpp can apply it.
  [[nodiscard]] bool known() const {
    const llama_chat_message message = {"user", "text"};
    return llama_chat_apply_template(text_.c_str(), &message, 1, true, nullptr, 0) >= 0;
  }

  /// The names of all templates, as a list in one line.
  [[nodiscard]] static std::string names() {
    std::vector<const char*> all(
        static_cast<std::size_t>(llama_chat_builtin_templates(nullptr, 0)));
    llama_chat_builtin_templates(all.data(), all.size());
    std::string text;
    for (const char* name : all) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
  }

  /// The text of a chat, followed by the opening of an answer: what the template writes is `special`,
  /// the messages' contents are not.
  /// @throws PolicyError when the template leaves out a message, a role could be taken for something else
  ///         than a role, or there is no template
  [[nodiscard]] std::vector<TextPart> render(std::span<const Message> messages) const {
    if (empty()) {
      throw PolicyError(
          "the model has no chat template; give PolicyOptions.chat_template, or "
          "prompts of text or ids");
    }
    for (const Message& message : messages) check_role(message.role);
    // Each content is replaced by a mark between two vertical tabs, which tell whether the template trims
    // what it is given. Templates may treat an empty content otherwise, so that one stays.
    std::vector<Message> marked(messages.begin(), messages.end());
    for (std::size_t i = 0; i < marked.size(); ++i) {
      if (!is_blank(marked[i].content)) marked[i].content = '\v' + mark(i) + '\v';
    }
    const std::string text = apply(marked);
    std::vector<bool> found(marked.size());
    std::vector<TextPart> parts;
    std::size_t from = 0;
    for (std::size_t at; (at = text.find(mark_begin, from)) != std::string::npos;) {
      std::size_t end = at + mark_begin.size(), index = 0;
      for (; text[end] != ']'; ++end)
        index = 10 * index + static_cast<std::size_t>(text[end] - '0');
      ++end;
      const bool left = at > 0 && text[at - 1] == '\v';
      const bool right = end < text.size() && text[end] == '\v';
      parts.push_back({text.substr(from, at - (left ? 1 : 0) - from), true});
      parts.push_back({trimmed(messages[index].content, !left, !right), false});
      found[index] = true;
      from = end + (right ? 1 : 0);
    }
    parts.push_back({text.substr(from), true});
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (!found[i] && !is_blank(messages[i].content)) {
        throw PolicyError("the chat template leaves out message " + std::to_string(i + 1) + " of " +
                          std::to_string(messages.size()) + ", of role \"" + messages[i].role +
                          "\": " + describe(Prompt(messages[i].content)));
      }
    }
    return parts;
  }

 private:
  static constexpr std::string_view mark_begin = "[tilt message ";
  static std::string mark(std::size_t i) {
    return std::string(mark_begin) + std::to_string(i) + ']';
  }

  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  static bool is_blank(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_space);
  }

  static std::string trimmed(std::string_view text, bool left, bool right) {
    while (left && !text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (right && !text.empty() && is_space(text.back())) text.remove_suffix(1);
    return std::string(text);
  }

  // A role stands in the middle of what the template writes, where it could become part of the name of a
  // special token.
  static void check_role(std::string_view role) {
    const bool legal = !role.empty() && std::all_of(role.begin(), role.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    });
    if (!legal) {
      throw PolicyError("the role of a message is not made of letters, digits, '_', '-' and '.': " +
                        describe(Prompt(role)));
    }
  }

  // The text that llama.cpp makes of a chat.
  [[nodiscard]] std::string apply(std::span<const Message> messages) const {
    std::vector<llama_chat_message> chat;
    std::size_t size = 256;
    for (const Message& message : messages) {
      chat.push_back({message.role.c_str(), message.content.c_str()});
      size += 2 * (message.role.size() + message.content.size()) + 64;
    }
    std::string text(size, '\0');
    const auto call = [&] {
      return llama_chat_apply_template(text_.c_str(), chat.data(), chat.size(), true, text.data(),
                                       static_cast<std::int32_t>(text.size()));
    };
    std::int32_t written = call();
    if (written > static_cast<std::int32_t>(text.size())) {
      text.resize(static_cast<std::size_t>(written));
      written = call();
    }
    if (written < 0) throw PolicyError("llama.cpp does not know the chat template");
    text.resize(static_cast<std::size_t>(written));
    return text;
  }

  std::string text_ = {};
};

}  // namespace tilt::llama

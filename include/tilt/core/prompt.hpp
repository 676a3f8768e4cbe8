#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tilt/core/token.hpp"

namespace tilt {

/// One turn of a chat: the role ("system", "user", "assistant") and what was said.
struct Message {
  std::string role = {}, content = {};
  friend bool operator==(const Message&, const Message&) = default;
};

/// What a policy is asked to answer: text, chat messages, or token ids. A cheap-to-copy value: the
/// payload is shared and immutable.
///
/// What a prompt means is for the policy to say: `LogitPolicy` takes token ids (text contributes
/// none); `TextPolicy` takes the text, or the messages rendered plainly; an engine treats text as
/// one user message through the model's chat template, renders messages with it, and takes ids as
/// they are.
class Prompt {
 public:
  /// The empty text. Allocates nothing: all such prompts share one payload.
  Prompt() : shared_(empty_text()) {}
  /// Text. Any bytes are legal, also the empty string.
  Prompt(std::string_view text) : Prompt(Payload{std::string(text)}) {}  // NOLINT: implicit
  Prompt(const char* text) : Prompt(std::string_view(text)) {}           // NOLINT: implicit
  Prompt(const std::string& text) : Prompt(std::string_view(text)) {}    // NOLINT: implicit
  Prompt(std::nullptr_t) = delete;

  /// A chat. The list may be empty.
  [[nodiscard]] static Prompt from_messages(std::vector<Message> messages) {
    return Prompt(Payload{std::move(messages)});
  }
  /// Token ids, taken as they are: no template, no special tokens added. The list may be empty.
  [[nodiscard]] static Prompt from_tokens(std::vector<Token> tokens) {
    return Prompt(Payload{std::move(tokens)});
  }

  /// The ids of a prompt made of ids; empty for the two other kinds.
  [[nodiscard]] TokenSpan tokens() const noexcept {
    const auto* held = std::get_if<std::vector<Token>>(&shared_->payload);
    return held ? TokenSpan(*held) : TokenSpan{};
  }
  /// The text of a prompt made of text; empty for the two other kinds.
  [[nodiscard]] std::string_view text() const noexcept {
    const auto* held = std::get_if<std::string>(&shared_->payload);
    return held ? std::string_view(*held) : std::string_view{};
  }
  /// The messages of a prompt made of messages; empty for the two other kinds.
  [[nodiscard]] std::span<const Message> messages() const noexcept {
    const auto* held = std::get_if<std::vector<Message>>(&shared_->payload);
    return held ? std::span<const Message>(*held) : std::span<const Message>{};
  }
  [[nodiscard]] bool is_tokens() const noexcept { return shared_->payload.index() == 2; }
  [[nodiscard]] bool is_messages() const noexcept { return shared_->payload.index() == 1; }

  /// A stable 64-bit hash of the content, the same on every machine and in every version of tilt:
  /// FNV-1a over one byte for the kind (0 text, 1 messages, 2 ids) and then the bytes of the text;
  /// or, for each message, role and content, each ended by a 0xff byte; or each id as four bytes,
  /// lowest first.
  [[nodiscard]] std::uint64_t key() const noexcept { return shared_->key; }

  friend bool operator==(const Prompt& a, const Prompt& b) {
    return a.shared_ == b.shared_ || a.shared_->payload == b.shared_->payload;
  }

 private:
  using Payload = std::variant<std::string, std::vector<Message>, std::vector<Token>>;
  struct Shared {
    Payload payload;
    std::uint64_t key;
  };

  explicit Prompt(Payload payload) {
    const std::uint64_t key = hash(payload);
    shared_ = std::make_shared<const Shared>(Shared{std::move(payload), key});
  }

  static const std::shared_ptr<const Shared>& empty_text() {
    static const std::shared_ptr<const Shared> shared = Prompt(std::string_view{}).shared_;
    return shared;
  }

  static std::uint64_t hash(const Payload& payload) noexcept {
    std::uint64_t h = 0xcbf29ce484222325u;
    const auto byte = [&h](unsigned char b) { h = (h ^ b) * 0x100000001b3u; };
    const auto bytes = [&byte](std::string_view s) {
      for (const char c : s) byte(static_cast<unsigned char>(c));
    };
    byte(static_cast<unsigned char>(payload.index()));
    if (const auto* text = std::get_if<std::string>(&payload)) bytes(*text);
    if (const auto* messages = std::get_if<std::vector<Message>>(&payload)) {
      for (const Message& m : *messages) {
        bytes(m.role);
        byte(0xff);
        bytes(m.content);
        byte(0xff);
      }
    }
    if (const auto* tokens = std::get_if<std::vector<Token>>(&payload)) {
      for (const Token token : *tokens) {
        const auto id = static_cast<std::uint32_t>(token);
        for (unsigned shift = 0; shift < 32; shift += 8) {
          byte(static_cast<unsigned char>((id >> shift) & 0xffu));
        }
      }
    }
    return h;
  }

  std::shared_ptr<const Shared> shared_;
};

/// A prompt as an error message shows it: its first bytes, or how many messages or ids it has.
[[nodiscard]] inline std::string describe(const Prompt& prompt) {
  if (prompt.is_tokens()) return "of " + std::to_string(prompt.tokens().size()) + " token ids";
  if (prompt.is_messages()) return "of " + std::to_string(prompt.messages().size()) + " messages";
  constexpr std::size_t shown = 60;
  const std::string_view text = prompt.text();
  if (text.size() <= shown) return '"' + std::string(text) + '"';
  std::size_t cut = shown;  // never inside a UTF-8 character
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0u) == 0x80u) --cut;
  return '"' + std::string(text.substr(0, cut)) + "…\"";
}

}  // namespace tilt

#pragma once

#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"
#include "tilt/engine/llama/log.hpp"
#include "tilt/engine/llama/stack.hpp"

namespace tilt::llama {

/// The names of a vocabulary's special tokens, looked up at a place of a text.
class TokenNames {
 public:
  struct Name {
    std::string text;
    Token token;
  };

  TokenNames() = default;
  explicit TokenNames(std::vector<Name> names) : names_(std::move(names)) {
    std::erase_if(names_, [](const Name& name) { return name.text.empty(); });
    std::sort(names_.begin(), names_.end(), [](const Name& a, const Name& b) {
      return a.text != b.text ? a.text < b.text : a.token < b.token;
    });
  }

  /// The longest name that stands at a place of a text, or null.
  [[nodiscard]] const Name* at(std::string_view text, std::size_t place) const {
    const Name* longest = nullptr;
    auto first = names_.begin(), last = names_.end();
    for (std::size_t i = 0; first != last && place + i < text.size(); ++i) {
      // Of the names that begin like the text, those that go on like it.
      const auto next = static_cast<unsigned char>(text[place + i]);
      const auto byte = [i](const Name& name) {
        return i < name.text.size() ? static_cast<int>(static_cast<unsigned char>(name.text[i]))
                                    : -1;
      };
      first = std::partition_point(first, last, [&](const Name& n) { return byte(n) < next; });
      last = std::partition_point(first, last, [&](const Name& n) { return byte(n) <= next; });
      if (first != last && first->text.size() == i + 1) longest = &*first;
    }
    return longest;
  }

  /// The token of this name.
  [[nodiscard]] std::optional<Token> find(std::string_view text) const {
    const Name* name = at(text, 0);
    if (name == nullptr || name->text != text) return std::nullopt;
    return name->token;
  }

 private:
  std::vector<Name> names_ = {};
};

/// A piece of a prompt's text: `special` where the names of special tokens in it stand for these tokens,
/// else it is what somebody said, and such names are plain text.
struct TextPart {
  std::string text = {};
  bool special = false;
};

/// The tokens of a model: what they are, their bytes, and how a text becomes them. Nothing here adds a
/// token that begins or ends a text.
class Vocabulary {
 public:
  /// Bytes of a text at most.
  static constexpr std::size_t longest_text = std::size_t{8} << 20;

  explicit Vocabulary(const llama_vocab* vocabulary) : vocabulary_(vocabulary) {
    std::vector<TokenNames::Name> special, controls, markup;
    std::string piece;
    for (Token token = 0; has(token); ++token) {
      piece.clear();
      append_piece(token, piece);
      longest_piece_ = std::max(longest_piece_, piece.size());
      const llama_token_attr attributes = llama_vocab_get_attr(vocabulary_, token);
      if ((attributes & special_kinds) == 0) continue;
      const TokenNames::Name name = {llama_vocab_get_text(vocabulary_, token), token};
      const bool control = (attributes & LLAMA_TOKEN_ATTR_CONTROL) != 0;
      const bool added = (attributes & LLAMA_TOKEN_ATTR_USER_DEFINED) != 0;
      if (added && !looks_like_a_name(name.text)) continue;  // text like any other
      special.push_back(name);
      if (control) controls.push_back(name);
      if (added) markup.push_back(name);
    }
    special_ = TokenNames(std::move(special));
    controls_ = TokenNames(std::move(controls));
    markup_ = TokenNames(std::move(markup));
  }

  /// Number of token ids.
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(llama_vocab_n_tokens(vocabulary_));
  }
  /// True for an id of the vocabulary.
  [[nodiscard]] bool has(Token token) const {
    return token >= 0 && static_cast<std::size_t>(token) < size();
  }
  /// True for a token that ends a response; a model may have several.
  [[nodiscard]] bool is_end(Token token) const {
    return has(token) && llama_vocab_is_eog(vocabulary_, token);
  }
  /// True for a token that no plain text contains.
  [[nodiscard]] bool is_special(Token token) const {
    return has(token) && (llama_vocab_get_attr(vocabulary_, token) & special_kinds) != 0;
  }
  /// The token that ends a turn, or else a text; -1 if the model has neither.
  [[nodiscard]] Token end_token() const {
    const Token turn = llama_vocab_eot(vocabulary_);
    return turn >= 0 ? turn : llama_vocab_eos(vocabulary_);
  }
  /// The token with which the model's texts begin, if they do.
  [[nodiscard]] std::optional<Token> begin_token() const {
    const Token begin = llama_vocab_bos(vocabulary_);
    if (!llama_vocab_get_add_bos(vocabulary_) || begin < 0) return std::nullopt;
    return begin;
  }
  /// The control token of this name: one that has no text in a response.
  [[nodiscard]] std::optional<Token> control_token(std::string_view name) const {
    return controls_.find(name);
  }
  /// Bytes that one token stands for at most.
  [[nodiscard]] std::size_t longest_piece() const noexcept { return longest_piece_; }

  /// Appends a token's bytes to a text. A token may hold part of a UTF-8 character; control tokens,
  /// the end token among them, have none.
  void append_piece(Token token, std::string& text) const {
    std::array<char, 128> buffer;
    const auto room = static_cast<std::int32_t>(buffer.size());
    std::int32_t size = llama_token_to_piece(vocabulary_, token, buffer.data(), room, 0, false);
    if (size >= 0) {
      text.append(buffer.data(), static_cast<std::size_t>(size));
      return;
    }
    const std::size_t before = text.size();
    text.resize(before + static_cast<std::size_t>(-size));
    size = llama_token_to_piece(vocabulary_, token, text.data() + before, -size, 0, false);
    text.resize(before + static_cast<std::size_t>(std::max(size, 0)));
  }

  /// The ids of a text as llama.cpp reads it.
  /// @param special  read the names of control tokens in the text as these tokens
  /// @throws PolicyError for a text of more than `longest_text` bytes, and when llama.cpp cannot
  ///         tokenise it
  [[nodiscard]] std::vector<Token> read(std::string_view text, bool special) const {
    if (text.size() > longest_text) {
      throw PolicyError("a text of " + std::to_string(text.size()) + " bytes is longer than the " +
                        std::to_string(longest_text) + " that can be tokenised");
    }
    std::vector<Token> tokens(text.size() + 2);
    std::int32_t size = 0;
    const auto call = [&] {
      const auto once = [&] {
        return llama_tokenize(vocabulary_, text.data(), static_cast<std::int32_t>(text.size()),
                              tokens.data(), static_cast<std::int32_t>(tokens.size()), false,
                              special);
      };
      size = once();
      if (size >= 0 || size == INT32_MIN) return;
      tokens.resize(static_cast<std::size_t>(-size));
      size = once();
    };
    // For many vocabularies llama.cpp splits texts by std::regex, which calls itself for every character
    // of a match: about 340 bytes of stack each.
    constexpr std::size_t in_place = 64, per_byte = 512, base = std::size_t{1} << 20;
    if (text.size() <= in_place) {
      call();
    } else {
      detail::on_stack_of(base + per_byte * text.size(), call);
    }
    if (size < 0) throw PolicyError("llama.cpp cannot tokenise a text" + Log::reason());
    tokens.resize(static_cast<std::size_t>(size));
    return tokens;
  }

  /// The ids of a text that is put together from parts, read as one: as llama.cpp reads the whole, but
  /// that only what is `special` may name special tokens.
  [[nodiscard]] std::vector<Token> tokenize(std::span<const TextPart> parts) const {
    std::string text;
    for (const TextPart& part : parts) text += part.text;
    std::vector<Token> tokens;
    std::size_t begin = 0;  // of the text that is not yet read
    std::size_t place = 0;
    for (const TextPart& part : parts) {
      const std::size_t end = place + part.text.size();
      while (part.special && place < end) {
        place = std::max(place, begin);  // white space that a token takes with it
        const TokenNames::Name* name = special_.at(std::string_view(text).substr(0, end), place);
        if (name == nullptr) {
          ++place;
          continue;
        }
        const llama_token_attr attributes = llama_vocab_get_attr(vocabulary_, name->token);
        std::size_t before = place;
        if ((attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0) {
          while (before > begin && is_space(text[before - 1])) --before;
        }
        append_plain(std::string_view(text).substr(begin, before - begin), tokens);
        tokens.push_back(name->token);
        begin = place += name->text.size();
        if ((attributes & LLAMA_TOKEN_ATTR_RSTRIP) != 0) {
          while (begin < text.size() && is_space(text[begin])) ++begin;
        }
      }
      place = end;
    }
    append_plain(std::string_view(text).substr(begin), tokens);
    return tokens;
  }

  /// The ids of what somebody said: names of special tokens in it are plain text.
  [[nodiscard]] std::vector<Token> plain(std::string_view text) const {
    std::vector<Token> tokens;
    append_plain(text, tokens);
    return tokens;
  }

  /// The same for a text that goes on from another one, where some vocabularies would begin it with a
  /// space.
  [[nodiscard]] std::vector<Token> plain_continued(std::string_view text) const {
    std::vector<Token> tokens;
    append_plain(text, tokens, true);
    return tokens;
  }

 private:
  static constexpr int special_kinds =
      LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_USER_DEFINED | LLAMA_TOKEN_ATTR_UNKNOWN;

  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  // Tokens that a model's makers added are runs of white space, single characters and words of markup;
  // only the last kind can pass for a special token: "<|user|>", "[INST]", "<think>".
  static bool looks_like_a_name(std::string_view text) {
    if (text.size() < 3) return false;
    const char first = text.front(), last = text.back();
    return (first == '<' && last == '>') || (first == '[' && last == ']') ||
           text.find('|') != std::string_view::npos || text.find("｜") != std::string_view::npos;
  }

  // llama.cpp reads the names of some added tokens in any text, and of control tokens where its merges
  // happen to make them. A name that is read in two parts is none.
  void append_plain(std::string_view text, std::vector<Token>& tokens,
                    bool continues = false) const {
    if (text.empty()) return;
    const std::size_t before = tokens.size();
    append_cut(text, markup_, continues, tokens);
    const bool named =
        std::any_of(tokens.begin() + static_cast<std::ptrdiff_t>(before), tokens.end(),
                    [&](Token t) { return llama_vocab_is_control(vocabulary_, t); });
    if (!named) return;
    tokens.resize(before);
    append_cut(text, special_, continues, tokens);
  }

  // Reads a text in parts, cut inside every one of the names.
  void append_cut(std::string_view text, const TokenNames& names, bool continues,
                  std::vector<Token>& tokens) const {
    std::size_t begin = 0;
    const auto add = [&](std::size_t end) {
      if (end == begin) return;
      const std::vector<Token> more = begin > 0 || continues
                                          ? read_continued(text.substr(begin, end - begin))
                                          : read(text.substr(begin, end - begin), false);
      tokens.insert(tokens.end(), more.begin(), more.end());
      begin = end;
    };
    for (std::size_t place = 0; place < text.size(); ++place) {
      if (names.at(text, place) == nullptr) continue;
      std::size_t cut = place + 1;  // behind the name's first character
      while (cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0u) == 0x80u) ++cut;
      add(cut);
    }
    add(text.size());
  }

  // Some vocabularies begin each text with a space. Behind a line's end, which nothing merges with, there
  // is none.
  [[nodiscard]] std::vector<Token> read_continued(std::string_view text) const {
    if (llama_vocab_type(vocabulary_) != LLAMA_VOCAB_TYPE_SPM) return read(text, false);
    const std::vector<Token> line_end = read("\n", false);
    std::vector<Token> tokens = read("\n" + std::string(text), false);
    const auto n = static_cast<std::ptrdiff_t>(line_end.size());
    if (std::ssize(tokens) < n || !std::equal(line_end.begin(), line_end.end(), tokens.begin())) {
      return read(text, false);
    }
    tokens.erase(tokens.begin(), tokens.begin() + n);
    return tokens;
  }

  const llama_vocab* vocabulary_;
  TokenNames special_ = {};   // all that only a template may name
  TokenNames controls_ = {};  // of them, those without text
  TokenNames markup_ = {};    // and those that llama.cpp reads in plain text too
  std::size_t longest_piece_ = 1;
};

}  // namespace tilt::llama

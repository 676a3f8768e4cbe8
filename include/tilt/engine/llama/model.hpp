#pragma once

#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/response.hpp"
#include "tilt/engine/llama/chat_template.hpp"
#include "tilt/engine/llama/library.hpp"
#include "tilt/engine/llama/vocabulary.hpp"

namespace tilt::llama {

/// A loaded GGUF model: weights, vocabulary and chat template. Immutable; may be used by several
/// threads at once.
class Model {
 public:
  /// @param path           a GGUF file
  /// @param gpu_layers     layers kept on a graphics processor; 0: none, -1: all
  /// @param chat_template  the name of a template that llama.cpp knows ("chatml"), or a template's
  ///                       text; empty: the model's own; "none": texts are continued as they are
  /// @param verbose        let llama.cpp write its messages to standard error
  /// @throws InvalidOption when llama.cpp does not know the template that is given
  /// @throws PolicyError when the file is missing or broken; the model is of a kind whose memory cannot be
  ///         branched (recurrent, hybrid, diffusion, encoder-decoder) or that does not predict the next
  ///         token (its attention looks ahead); llama.cpp does not know the model's own template; or the
  ///         library is of another build than its headers
  Model(const std::filesystem::path& path, int gpu_layers, const std::string& chat_template, bool verbose)
      : listener_(verbose) {
    check_library();
    check_file(path);
    load_backends();
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = gpu_layers;
    model_.reset(llama_model_load_from_file(path.c_str(), params));
    if (!model_) {
      throw PolicyError("llama.cpp cannot load the model " + path.string() + Log::reason());
    }
    if (llama_model_is_recurrent(get()) || llama_model_is_hybrid(get()) ||
        llama_model_is_diffusion(get()) || llama_model_has_encoder(get()) ||
        !llama_model_has_decoder(get()) || looks_ahead()) {
      throw PolicyError("the model " + path.string() +
                        " is not a decoder whose key-value cache can be branched");
    }
    vocabulary_.emplace(llama_model_get_vocab(get()));
    template_ = chosen_template(path, chat_template);
    fingerprint_ = fingerprint_of(path);
  }

  [[nodiscard]] llama_model* get() const noexcept { return model_.get(); }

  [[nodiscard]] const Vocabulary& vocabulary() const noexcept { return *vocabulary_; }

  /// See `Vocabulary`.
  [[nodiscard]] std::size_t vocabulary_size() const { return vocabulary_->size(); }
  [[nodiscard]] bool has(Token token) const { return vocabulary_->has(token); }
  [[nodiscard]] bool is_end(Token token) const { return vocabulary_->is_end(token); }
  [[nodiscard]] Token end_token() const { return vocabulary_->end_token(); }
  void append_piece(Token token, std::string& text) const { vocabulary_->append_piece(token, text); }

  /// Positions that the model has: where they are learned one by one there are none beyond those of its
  /// training; npos where a position is a rotation.
  [[nodiscard]] std::size_t positions() const {
    return llama_model_rope_type(get()) == LLAMA_ROPE_TYPE_NONE
               ? static_cast<std::size_t>(llama_model_n_ctx_train(get()))
               : npos;
  }

  /// The ids of a text.
  /// @param special  read the names of special tokens in the text as these tokens
  /// @param begin    put the token before it with which the model's texts begin
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool special,
                                            bool begin) const {
    std::vector<Token> tokens = special ? vocabulary_->read(text, true) : vocabulary_->plain(text);
    return begin ? begun(std::move(tokens)) : tokens;
  }

  /// The ids of a prompt: text as one user message, messages rendered with the chat template, both
  /// followed by the opening of the model's answer; ids as they are. When the last message is the
  /// assistant's, it is the beginning of the answer, and its ids follow the opening. No message is added to
  /// those given, also where the template's own text would add a system message. Names of special tokens
  /// inside a message are plain text to the model. A model without a template continues text, and
  /// refuses messages. The token with which the model's texts begin, if there is one, stands in front once;
  /// the one that ends them is never added.
  /// @throws PolicyError when there is no template, the template leaves out a message, a role could be taken
  ///         for something else, an id is not in the vocabulary, or a text has more than
  ///         `Vocabulary::longest_text` bytes
  [[nodiscard]] std::vector<Token> prompt_tokens(const Prompt& prompt) const {
    if (prompt.is_tokens()) {
      for (const Token token : prompt.tokens()) check_token(token);
      return {prompt.tokens().begin(), prompt.tokens().end()};
    }
    if (prompt.is_messages()) return chat_tokens(prompt.messages());
    if (template_.empty()) return tokenize(prompt.text(), false, true);
    const std::array<Message, 1> turn = {Message{"user", std::string(prompt.text())}};
    return chat_tokens(turn);
  }

  /// Appends the ids of a response to a context.
  /// @throws PolicyError when it has text but no ids, or an id is not in the vocabulary
  void append_response(const Response& response, std::vector<Token>& tokens) const {
    if (response.tokens.empty() && !response.text.empty()) {
      throw PolicyError("a response of text without token ids can be neither continued nor scored");
    }
    for (const Token token : response.tokens) check_token(token);
    tokens.insert(tokens.end(), response.tokens.begin(), response.tokens.end());
  }

  /// @throws PolicyError unless the id is in the vocabulary
  void check_token(Token token) const {
    if (!has(token)) {
      throw PolicyError("token " + std::to_string(token) + " is not in the vocabulary of " +
                        std::to_string(vocabulary_size()));
    }
  }

  /// A text that changes with the model: what it is, the file's size, and a hash of samples of its
  /// bytes.
  [[nodiscard]] const std::string& fingerprint() const noexcept { return fingerprint_; }

 private:
  struct Free {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };

  // Whether the file says that a token attends to those behind it.
  [[nodiscard]] bool looks_ahead() const {
    std::array<char, 64> value = {};
    const auto read = [&](const std::string& key) {
      const std::int32_t size =
          llama_model_meta_val_str(get(), key.c_str(), value.data(), value.size());
      return std::string(value.data(), size > 0 ? std::min<std::size_t>(static_cast<std::size_t>(size), 63) : 0);
    };
    return read(read("general.architecture") + ".attention.causal") == "false";
  }

  static void check_file(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      throw PolicyError("the model file " + path.string() + " does not exist");
    }
    std::ifstream file(path, std::ios::binary);
    std::array<char, 4> magic = {};
    if (!file.read(magic.data(), magic.size()) || std::string_view(magic.data(), 4) != "GGUF") {
      throw PolicyError("the model file " + path.string() + " is not a GGUF file");
    }
  }

  std::string fingerprint_of(const std::filesystem::path& path) const {
    constexpr std::size_t samples = 64, sample = 4096;
    const std::uintmax_t size = std::filesystem::file_size(path);
    std::ifstream file(path, std::ios::binary);
    std::uint64_t hash = 0xcbf29ce484222325u;
    std::array<char, sample> bytes;
    for (std::size_t i = 0; i < samples; ++i) {
      const std::uintmax_t room = size > sample ? size - sample : 0;
      file.clear();
      file.seekg(static_cast<std::streamoff>(room / (samples - 1) * i));
      file.read(bytes.data(), sample);
      for (std::streamsize b = 0; b < file.gcount(); ++b) {
        hash = (hash ^ static_cast<unsigned char>(bytes[static_cast<std::size_t>(b)])) *
               0x100000001b3u;
      }
    }
    std::array<char, 256> description = {};
    llama_model_desc(get(), description.data(), description.size());
    std::array<char, 17> digits = {};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
    return "llama.cpp, " + std::string(description.data()) + ", " + std::to_string(size) +
           " bytes, " + digits.data();
  }

  // The template to use, which must be one that llama.cpp can apply.
  ChatTemplate chosen_template(const std::filesystem::path& path, const std::string& given) const {
    constexpr std::string_view legal =
        "empty for the model's own, \"none\", the text of a template that llama.cpp recognises, or one of ";
    if (given == "none") return {};
    if (!given.empty()) {
      ChatTemplate chosen(given);
      if (!chosen.known()) {
        throw InvalidOption("PolicyOptions.chat_template", describe(Prompt(given)),
                            std::string(legal) + ChatTemplate::names());
      }
      return chosen;
    }
    const char* own = llama_model_chat_template(get(), nullptr);
    ChatTemplate chosen(own != nullptr ? own : "");
    if (!chosen.empty() && !chosen.known()) {
      throw PolicyError("llama.cpp does not know the chat template of the model " + path.string() +
                        "; give PolicyOptions.chat_template: \"none\", or one of " +
                        ChatTemplate::names());
    }
    return chosen;
  }

  // With the token with which the model's texts begin, unless a template has written it.
  [[nodiscard]] std::vector<Token> begun(std::vector<Token> tokens) const {
    const std::optional<Token> begin = vocabulary_->begin_token();
    if (begin && (tokens.empty() || tokens.front() != *begin)) tokens.insert(tokens.begin(), *begin);
    return tokens;
  }

  [[nodiscard]] std::vector<Token> chat_tokens(std::span<const Message> messages) const {
    const bool continues = !messages.empty() && messages.back().role == "assistant";
    const std::span<const Message> before = messages.first(messages.size() - (continues ? 1 : 0));
    std::vector<Token> tokens = begun(vocabulary_->tokenize(template_.render(before)));
    if (continues) {
      const std::string& answer = messages.back().content;
      const bool fresh = tokens.empty() || vocabulary_->is_special(tokens.back());
      const std::vector<Token> more =
          fresh ? vocabulary_->plain(answer) : vocabulary_->plain_continued(answer);
      tokens.insert(tokens.end(), more.begin(), more.end());
    }
    return tokens;
  }

  Log::Listener listener_;
  std::unique_ptr<llama_model, Free> model_ = {};
  std::optional<Vocabulary> vocabulary_ = {};
  ChatTemplate template_ = {};
  std::string fingerprint_ = {};
};

}  // namespace tilt::llama

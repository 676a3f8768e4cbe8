#pragma once

#include <dlfcn.h>
#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/response.hpp"

namespace tilt::llama {

/// What llama.cpp logs: errors are kept for the exceptions that they lead to, the rest is dropped.
/// llama.cpp has one logger for the whole process.
class Log {
 public:
  /// Takes llama.cpp's messages away from standard error.
  static void capture() { llama_log_set(&Log::receive, nullptr); }

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
  }

  static constexpr std::size_t longest = 2000;  // bytes; a failing loop must not fill the memory
  std::mutex mutex_ = {};
  std::string errors_ = {};
  bool error_ = false;
};

/// Makes llama.cpp's processor back ends known. They may be plug-ins beside its shared libraries,
/// which are looked for where the libraries were loaded from.
/// @throws PolicyError when there is none for this processor
inline void load_backends() {
  static const bool found = [] {
    llama_backend_init();
    const auto usable = [] {
      return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr;
    };
    if (usable()) return true;  // built in, or loaded by the program
    // A literal of libggml-base: the address of a function may be that of a stub in the program.
    Dl_info library = {};
    if (dladdr(ggml_type_name(GGML_TYPE_F32), &library) != 0 && library.dli_fname != nullptr) {
      const auto folder = std::filesystem::path(library.dli_fname).parent_path();
      ggml_backend_load_all_from_path(folder.c_str());
    }
    if (!usable()) ggml_backend_load_all();
    return usable();
  }();
  if (!found) {
    throw PolicyError("llama.cpp has no back end for this processor: its plug-ins (libggml-cpu-*.so) "
                      "must lie beside its libraries" + Log::reason());
  }
}

/// A loaded GGUF model: weights, vocabulary and chat template. Immutable; may be used by several
/// threads at once.
class Model {
 public:
  /// @param path           a GGUF file
  /// @param gpu_layers     layers kept on a graphics processor; 0: none, -1: all
  /// @param chat_template  the name of a template that llama.cpp knows ("chatml"), or a template's
  ///                       text; empty: the model's own
  /// @param verbose        let llama.cpp write its messages to standard error
  /// @throws PolicyError when the file is missing or broken, or the model is of a kind whose memory
  ///         cannot be branched (recurrent, hybrid, diffusion, encoder-decoder)
  Model(const std::filesystem::path& path, int gpu_layers, std::string chat_template, bool verbose)
      : template_(std::move(chat_template)) {
    check_file(path);
    if (!verbose) Log::capture();
    load_backends();
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = gpu_layers;
    model_.reset(llama_model_load_from_file(path.c_str(), params));
    if (!model_) {
      throw PolicyError("llama.cpp cannot load the model " + path.string() + Log::reason());
    }
    if (llama_model_is_recurrent(get()) || llama_model_is_hybrid(get()) ||
        llama_model_is_diffusion(get()) || llama_model_has_encoder(get()) ||
        !llama_model_has_decoder(get())) {
      throw PolicyError("the model " + path.string() +
                        " is not a decoder whose key-value cache can be branched");
    }
    vocabulary_ = llama_model_get_vocab(get());
    if (template_.empty()) {
      const char* own = llama_model_chat_template(get(), nullptr);
      if (own != nullptr) template_ = own;
    }
    fingerprint_ = fingerprint_of(path);
  }

  [[nodiscard]] llama_model* get() const noexcept { return model_.get(); }

  /// Number of token ids.
  [[nodiscard]] std::size_t vocabulary_size() const {
    return static_cast<std::size_t>(llama_vocab_n_tokens(vocabulary_));
  }
  /// True for an id of the vocabulary.
  [[nodiscard]] bool has(Token token) const {
    return token >= 0 && static_cast<std::size_t>(token) < vocabulary_size();
  }
  /// True for a token that ends a response; a model may have several.
  [[nodiscard]] bool is_end(Token token) const {
    return has(token) && llama_vocab_is_eog(vocabulary_, token);
  }
  /// The token that ends a turn, or else a text; -1 if the model has neither.
  [[nodiscard]] Token end_token() const {
    const Token turn = llama_vocab_eot(vocabulary_);
    return turn >= 0 ? turn : llama_vocab_eos(vocabulary_);
  }

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

  /// The ids of a text.
  /// @param special  read the names of special tokens in the text as these tokens
  /// @param begin    put the tokens before it with which the model's texts begin
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool special,
                                            bool begin) const {
    std::vector<Token> tokens(text.size() + 2);
    const auto call = [&] {
      return llama_tokenize(vocabulary_, text.data(), static_cast<std::int32_t>(text.size()),
                            tokens.data(), static_cast<std::int32_t>(tokens.size()), begin,
                            special);
    };
    std::int32_t size = call();
    if (size < 0 && size != INT32_MIN) {
      tokens.resize(static_cast<std::size_t>(-size));
      size = call();
    }
    if (size < 0) throw PolicyError("llama.cpp cannot tokenise a text" + Log::reason());
    tokens.resize(static_cast<std::size_t>(size));
    return tokens;
  }

  /// The ids of a prompt: text as one user message, messages rendered with the chat template, both
  /// followed by the opening of the model's answer; ids as they are. No message is added to those
  /// given, also where the template's own text would add a system message. Names of special tokens
  /// inside a message are plain text to the model. A model without a template continues text, and
  /// refuses messages.
  /// @throws PolicyError when there is no template that llama.cpp can apply, an id is not in the
  ///         vocabulary, or a role holds the name of a special token
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

  // The text that llama.cpp makes of a chat.
  [[nodiscard]] std::string render(std::span<const Message> messages) const {
    if (template_.empty()) {
      throw PolicyError("the model has no chat template; give PolicyOptions.chat_template, or "
                        "prompts of text or ids");
    }
    std::vector<llama_chat_message> chat;
    std::size_t size = 256;
    for (const Message& message : messages) {
      chat.push_back({message.role.c_str(), message.content.c_str()});
      size += 2 * (message.role.size() + message.content.size()) + 64;
    }
    std::string text(size, '\0');
    const auto call = [&] {
      return llama_chat_apply_template(template_.c_str(), chat.data(), chat.size(), true,
                                       text.data(), static_cast<std::int32_t>(text.size()));
    };
    std::int32_t written = call();
    if (written > static_cast<std::int32_t>(text.size())) {
      text.resize(static_cast<std::size_t>(written));
      written = call();
    }
    if (written < 0) {
      throw PolicyError("llama.cpp does not know the model's chat template; give the name of one "
                        "that it knows in PolicyOptions.chat_template");
    }
    text.resize(static_cast<std::size_t>(written));
    return text;
  }

  // Whether a text holds what only a special token may say, or a byte that C strings cannot carry.
  [[nodiscard]] bool is_unsafe(std::string_view text) const {
    return text.find('\0') != std::string_view::npos ||
           tokenize(text, true, false) != tokenize(text, false, false);
  }

  [[nodiscard]] std::vector<Token> chat_tokens(std::span<const Message> messages) const {
    bool safe = true;
    for (const Message& message : messages) {
      if (is_unsafe(message.role)) {
        throw PolicyError("the role of a message holds the name of a special token");
      }
      safe = safe && !is_unsafe(message.content);
    }
    if (safe) return tokenize(render(messages), true, true);
    // Render with a mark for each content; then only what the template wrote may name special
    // tokens.
    std::vector<Message> marked(messages.begin(), messages.end());
    for (std::size_t i = 0; i < marked.size(); ++i) {
      marked[i].content = "[tilt message " + std::to_string(i) + " content]";
    }
    const std::string text = render(marked);
    std::vector<Token> tokens;
    const auto add = [&](std::string_view part, bool special) {
      if (part.empty()) return;
      const std::vector<Token> more = tokenize(part, special, tokens.empty());
      tokens.insert(tokens.end(), more.begin(), more.end());
    };
    std::size_t from = 0;
    for (std::size_t i = 0; i < marked.size(); ++i) {
      const std::size_t at = text.find(marked[i].content, from);
      if (at == std::string::npos) continue;  // the template leaves this message out
      add(std::string_view(text).substr(from, at - from), true);
      add(messages[i].content, false);
      from = at + marked[i].content.size();
    }
    add(std::string_view(text).substr(from), true);
    return tokens;
  }

  std::unique_ptr<llama_model, Free> model_ = {};
  const llama_vocab* vocabulary_ = nullptr;
  std::string template_ = {}, fingerprint_ = {};
};

}  // namespace tilt::llama

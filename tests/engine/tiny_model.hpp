#pragma once

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

namespace tilt::test {

/// A model of a few kilobytes with random weights, written to a file that goes with the object: for what
/// the tests' real model has no example of.
class TinyModel {
 public:
  struct Special {
    std::string name;
    std::int32_t type = 3;  // 3: control, 4: user-defined
  };
  struct Options {
    std::string architecture = "llama";  // or "gpt2", "bert"
    std::string tokenizer = "gpt2";      // bytes that merge never; "llama": words that merge
    std::string pre = "gpt-2";           // how texts are split before they merge
    std::vector<Special> special =
        {};  // after the ids of bytes; the first begins, the second ends texts
    bool add_begin = false, add_end = false;
    std::string chat_template = {};
    std::uint32_t positions = 256;
    std::vector<std::string> words = {};  // further tokens of a "llama" tokenizer
    bool causal = true;
    std::int32_t poison = -1;  // a token whose successor has no law: its logits are NaN
  };

  explicit TinyModel(const Options& options) : o_(options) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("tilt_tiny_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".gguf");
    write();
  }
  ~TinyModel() {
    std::error_code error;
    std::filesystem::remove(path_, error);
  }
  TinyModel(const TinyModel&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// The id of the special token of this place in `Options::special`.
  [[nodiscard]] std::int32_t special(std::size_t i) const {
    return static_cast<std::int32_t>(first_special_ + i);
  }

 private:
  static constexpr int width = 32, heads = 2, inner = 32;

  // The character that stands for a byte in a vocabulary of bytes.
  static std::string symbol_of(unsigned byte) {
    static const std::vector<unsigned> points = [] {
      std::vector<unsigned> all(256, 0);
      unsigned next = 256;
      for (unsigned b = 0; b < 256; ++b) {
        const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        all[b] = plain ? b : next++;
      }
      return all;
    }();
    const unsigned point = points[byte];
    if (point < 128) return std::string(1, static_cast<char>(point));
    return {static_cast<char>(0xc0 | (point >> 6)), static_cast<char>(0x80 | (point & 63))};
  }

  void add_tokens(gguf_context* out) {
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    std::vector<float> scores;
    const auto add = [&](const std::string& text, std::int32_t type, float score = 0) {
      tokens.push_back(text);
      types.push_back(type);
      scores.push_back(score);
    };
    const bool words = o_.tokenizer == "llama";
    if (words) {
      add("<unk>", 2);
      for (int b = 0; b < 256; ++b) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
        add(name, 6);
      }
      for (int b = 33; b < 127; ++b) add(std::string(1, static_cast<char>(b)), 1, -100);
      add("▁", 1, -50);
      for (const std::string& word : o_.words) add(word, 1, static_cast<float>(tokens.size()));
    } else if (o_.architecture == "bert") {
      for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) add(name, 3);
      for (char c = 'a'; c <= 'z'; ++c) {
        add("▁" + std::string(1, c), 1);
        add(std::string(1, c), 1);
      }
    } else {
      for (unsigned b = 0; b < 256; ++b) add(symbol_of(b), 1);
      add("zq", 1);  // of the one merge that the format demands
    }
    first_special_ = tokens.size();
    for (const Special& s : o_.special) add(s.name, s.type);
    size_ = static_cast<int>(tokens.size());

    std::vector<const char*> names;
    for (const std::string& token : tokens) names.push_back(token.c_str());
    gguf_set_val_str(out, "tokenizer.ggml.model",
                     o_.architecture == "bert" ? "bert" : o_.tokenizer.c_str());
    gguf_set_arr_str(out, "tokenizer.ggml.tokens", names.data(), names.size());
    gguf_set_arr_data(out, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(),
                      types.size());
    if (words) {
      gguf_set_arr_data(out, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(),
                        scores.size());
      gguf_set_val_bool(out, "tokenizer.ggml.add_space_prefix", true);
      gguf_set_val_u32(out, "tokenizer.ggml.unknown_token_id", 0);
    } else if (o_.architecture != "bert") {
      gguf_set_val_str(out, "tokenizer.ggml.pre", o_.pre.c_str());
      const char* merge = "z q";
      gguf_set_arr_str(out, "tokenizer.ggml.merges", &merge, 1);
    }
    if (o_.special.size() >= 2) {
      gguf_set_val_u32(out, "tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(special(0)));
      gguf_set_val_u32(out, "tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(special(1)));
    }
    gguf_set_val_bool(out, "tokenizer.ggml.add_bos_token", o_.add_begin);
    gguf_set_val_bool(out, "tokenizer.ggml.add_eos_token", o_.add_end);
    if (!o_.chat_template.empty()) {
      gguf_set_val_str(out, "tokenizer.chat_template", o_.chat_template.c_str());
    }
  }

  void write() {
    gguf_context* out = gguf_init_empty();
    const std::string& a = o_.architecture;
    gguf_set_val_str(out, "general.architecture", a.c_str());
    const auto number = [&](const char* key, std::uint32_t value) {
      gguf_set_val_u32(out, (a + key).c_str(), value);
    };
    number(".block_count", 1);
    number(".context_length", o_.positions);
    number(".embedding_length", width);
    number(".feed_forward_length", inner);
    number(".attention.head_count", heads);
    gguf_set_val_f32(out, (a + ".attention.layer_norm_rms_epsilon").c_str(), 1e-5f);
    gguf_set_val_f32(out, (a + ".attention.layer_norm_epsilon").c_str(), 1e-5f);
    if (a == "bert") gguf_set_val_u32(out, "tokenizer.ggml.token_type_count", 2);
    if (!o_.causal || a == "bert") gguf_set_val_bool(out, (a + ".attention.causal").c_str(), false);
    add_tokens(out);

    ggml_context* memory = ggml_init({std::size_t{4} << 20, nullptr, false});
    std::mt19937 random(1);
    const auto tensor = [&](const std::string& name, int columns, int rows, float scale) -> float* {
      ggml_tensor* t = rows == 0 ? ggml_new_tensor_1d(memory, GGML_TYPE_F32, columns)
                                 : ggml_new_tensor_2d(memory, GGML_TYPE_F32, columns, rows);
      ggml_set_name(t, name.c_str());
      auto* values = static_cast<float*>(t->data);
      for (std::int64_t i = 0; i < ggml_nelements(t); ++i) {
        // A sum of a few uniform numbers; the same everywhere, unlike <random>'s normal law.
        float sum = 0;
        for (int k = 0; k < 4; ++k) sum += static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
        values[i] = rows == 0 ? 1.0f + 0.01f * sum : scale * sum;
      }
      gguf_add_tensor(out, t);
      return values;
    };
    const float scale = 1.0f / std::sqrt(static_cast<float>(width));
    float* embedding = tensor("token_embd.weight", width, size_, 0.25f);
    const std::string b = "blk.0.";
    if (a == "llama") {
      tensor(b + "attn_norm.weight", width, 0, 1);
      for (const char* name : {"attn_q", "attn_k", "attn_v"}) {
        tensor(b + name + ".weight", width, width, scale);
      }
      float* attended = tensor(b + "attn_output.weight", width, width, scale);
      tensor(b + "ffn_norm.weight", width, 0, 1);
      float* gate = tensor(b + "ffn_gate.weight", width, inner, scale);
      float* up = tensor(b + "ffn_up.weight", width, inner, scale);
      float* down = tensor(b + "ffn_down.weight", inner, width, scale);
      tensor("output_norm.weight", width, 0, 1);
      if (o_.poison >= 0) {
        // The first number of every embedding is 0 but of this token's, and makes the layer overflow.
        for (int t = 0; t < size_; ++t) embedding[t * width] = t == o_.poison ? 1000.0f : 0.0f;
        std::fill(attended, attended + width, 0.0f);
        std::fill(down, down + inner, 0.0f);
        gate[0] = up[0] = 1e30f;
      }
    } else {
      tensor(a == "bert" ? "token_types.weight" : "output_norm.weight", width, a == "bert" ? 2 : 0,
             1);
      tensor(a == "bert" ? "token_embd_norm.weight" : "output_norm.bias", width, 0, 1);
      if (a == "bert") tensor("token_embd_norm.bias", width, 0, 1);
      tensor("position_embd.weight", width, static_cast<int>(o_.positions), 1);
      if (a == "bert") {
        for (const char* name : {"attn_q", "attn_k", "attn_v"}) {
          tensor(b + name + ".weight", width, width, scale);
          tensor(b + name + ".bias", width, 0, 1);
        }
      } else {
        tensor(b + "attn_qkv.weight", width, 3 * width, scale);
        tensor(b + "attn_qkv.bias", 3 * width, 0, 1);
      }
      tensor(b + "attn_output.weight", width, width, scale);
      tensor(b + "attn_output.bias", width, 0, 1);
      for (const char* name : {a == "bert" ? "attn_output_norm" : "attn_norm",
                               a == "bert" ? "layer_output_norm" : "ffn_norm"}) {
        tensor(b + name + ".weight", width, 0, 1);
        tensor(b + name + ".bias", width, 0, 1);
      }
      tensor(b + "ffn_up.weight", width, inner, scale);
      tensor(b + "ffn_up.bias", inner, 0, 1);
      tensor(b + "ffn_down.weight", inner, width, scale);
      tensor(b + "ffn_down.bias", width, 0, 1);
    }
    const bool written = gguf_write_to_file(out, path_.c_str(), false);
    ggml_free(memory);
    gguf_free(out);
    if (!written) throw std::runtime_error("cannot write " + path_.string());
  }

  const Options o_;
  std::filesystem::path path_ = {};
  std::size_t first_special_ = 0;
  int size_ = 0;
};

}  // namespace tilt::test

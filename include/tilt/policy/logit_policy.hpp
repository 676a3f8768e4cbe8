#pragma once

#include <concepts>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tilt/core/token_law.hpp"
#include "tilt/policy/abilities.hpp"
#include "tilt/policy/stop.hpp"

namespace tilt {

/// A function from a context of token ids to the logits of the next token: anything with `data()` to
/// `const double*` and `size()`, a std::vector or an Eigen::VectorXd.
template <class F>
concept LogitFunction = requires(F& logits, TokenSpan context) {
  { logits(context).data() } -> std::convertible_to<const double*>;
  { logits(context).size() } -> std::convertible_to<std::size_t>;
};

/// The pieces of text of a policy that has no words: ids in decimal, joined by spaces.
struct TokenIds {};

/// A policy given by its next-token logits. Serves every capability, exactly.
///
/// The context is the prompt's token ids, then the response's; a prompt of text or messages
/// contributes none. Law: each token is drawn from the logits under `Generation::law`. The draw at
/// position t of the response uses the stream (seed, t), so that a response made in segments equals
/// the one made whole.
///
///     LogitPolicy policy{end_token, [](TokenSpan context) -> Eigen::VectorXd { ... }};
///
/// A third argument maps a token to its bytes (`std::string(Token)`); without it the text is the ids
/// joined by spaces, the end token being the empty text. A prefix of ids without text is given its text
/// before it is continued, so that a stop string may begin in it.
/// Cost: one call of the function per token, and one per segment that ends by entropy.
/// @throws InvalidOption from `generate` and `log_probs` for a law out of its range
/// @throws PolicyError from `generate` when the logits are empty, NaN, +infinity or all -infinity
template <class F, class Pieces = TokenIds>
class LogitPolicy {
  static_assert(LogitFunction<F>,
                "tilt::LogitPolicy needs a function of tilt::TokenSpan that returns the logits of "
                "the next token: anything with data() to const double* and size(), such as "
                "std::vector<double> or Eigen::VectorXd");
  static_assert(
      std::same_as<Pieces, TokenIds> || std::is_invocable_r_v<std::string_view, Pieces&, Token>,
      "tilt::LogitPolicy needs a function std::string(tilt::Token) for the pieces of text");

 public:
  static constexpr Capabilities capabilities = {.tokens = true,
                                                .segments = true,
                                                .log_probs = true,
                                                .score_forced = true,
                                                .logits = true,
                                                .concurrent = false};

  /// @param end_token  the id that ends a response; -1: none
  LogitPolicy(Token end_token, F logits, Pieces pieces = {})
      : end_token_(end_token), logits_(std::move(logits)), pieces_(std::move(pieces)) {
    if (end_token < -1) {
      throw InvalidOption("LogitPolicy.end_token", std::to_string(end_token),
                          "a token id, or -1 for none");
    }
  }

  [[nodiscard]] Token end_token() const noexcept { return end_token_; }
  [[nodiscard]] bool is_end(Token token) const noexcept {
    return end_token_ >= 0 && token == end_token_;
  }

  void generate(std::span<const Generation> work, std::span<Response> out) {
    for_each_isolated(work.size(), [&](std::size_t i) { continue_one(work[i], out[i]); });
  }

  /// log p of each token of a given response under the law, nats.
  [[nodiscard]] std::vector<double> log_probs(const Prompt& prompt, const Response& response,
                                              const SamplingLaw& law = {}) {
    check_law(law, "law");
    context_.assign(prompt.tokens().begin(), prompt.tokens().end());
    std::vector<double> result;
    result.reserve(response.tokens.size());
    for (const Token token : response.tokens) {
      read_logits();
      check_token(token);
      result.push_back(token_law_.log_prob(law, token));
      context_.push_back(token);
    }
    return result;
  }

  /// The logits of the token that follows a response.
  [[nodiscard]] std::vector<double> logits(const Prompt& prompt, const Response& response) {
    context_.assign(prompt.tokens().begin(), prompt.tokens().end());
    context_.insert(context_.end(), response.tokens.begin(), response.tokens.end());
    read_logits();
    return values_;
  }

  /// Appends the bytes of a token to the text of a response.
  void append_text(Token token, std::string& text) {
    if constexpr (std::same_as<Pieces, TokenIds>) {
      if (is_end(token)) return;
      if (!text.empty()) text += ' ';
      text += std::to_string(token);
    } else {
      text += pieces_(token);
    }
  }

 private:
  void continue_one(const Generation& work, Response& out) {
    check_law(work.law, "Generation.law");
    const TokenSpan prompt = work.prompt.tokens();
    context_.assign(prompt.begin(), prompt.end());
    context_.insert(context_.end(), work.prefix.tokens.begin(), work.prefix.tokens.end());
    text_ = work.prefix.text;
    if (text_.empty() && work.prefix.ends.empty()) {
      for (const Token token : work.prefix.tokens) append_text(token, text_);
    }
    const std::size_t kept_bytes = text_.size();
    const std::size_t segment = work.until ? work.until->max_tokens : npos;
    out.usage.prompt_tokens = context_.size();
    out.finish = Finish::length;
    while (out.tokens.size() < work.max_tokens) {
      if (out.tokens.size() == segment) {
        out.finish = Finish::segment;
        break;
      }
      read_logits();
      if (work.until && work.until->needs_entropy() &&
          out.tokens.size() >= work.until->min_tokens &&
          token_law_.entropy() >= work.until->entropy) {
        out.finish = Finish::segment;
        break;
      }
      const std::size_t position = work.prefix.tokens.size() + out.tokens.size();
      const TokenDraw draw = token_law_.draw(work.law, Random(work.seed, position).uniform());
      context_.push_back(draw.token);
      out.tokens.push_back(draw.token);
      out.log_probs.push_back(draw.log_prob);
      out.raw_log_probs.push_back(draw.raw_log_prob);
      const std::size_t before = text_.size();
      append_text(draw.token, text_);
      out.ends.push_back(static_cast<std::uint32_t>(text_.size() - kept_bytes));
      if (is_end(draw.token) || is_stop_token(work.law, draw.token) ||
          completes_stop(work.law, text_, text_.size() - before)) {
        out.finish = Finish::stop;
        break;
      }
    }
    out.text.assign(text_, kept_bytes);
  }

  void read_logits() {
    auto&& logits = logits_(TokenSpan(context_));
    const double* data = logits.data();
    values_.assign(data, data + static_cast<std::size_t>(logits.size()));
    token_law_.read(values_);
  }

  void check_token(Token token) const {
    if (token < 0 || static_cast<std::size_t>(token) >= values_.size()) {
      throw PolicyError("token " + std::to_string(token) + " is not in the vocabulary of " +
                        std::to_string(values_.size()));
    }
  }

  Token end_token_;
  F logits_;
  Pieces pieces_;
  TokenLaw<double> token_law_ = {};
  std::vector<Token> context_ = {};
  std::vector<double> values_ = {};
  std::string text_ = {};
};

}  // namespace tilt

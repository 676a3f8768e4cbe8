#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/token.hpp"

namespace tilt {

/// Why a generation ended. Where several apply: stop before length before segment.
enum class Finish {
  stop,     ///< by itself: an end token, a stop token or a stop string
  length,   ///< at `max_tokens`
  segment,  ///< at the end of a segment (`SegmentRule`), or cut on purpose by `Response::first`
  error     ///< it failed; never a candidate
};

/// What a piece of generation cost the engine, as the engine tells it. Policies that do not know
/// leave zeros.
struct Usage {
  std::size_t prompt_tokens = 0;  ///< tokens of prompt and prefix that were needed as context
  std::size_t cached_tokens = 0;  ///< of those, tokens that were not computed again
  friend bool operator==(const Usage&, const Usage&) = default;
};

/// Part or all of a policy's answer to a prompt.
///
/// A response of a generator that only speaks text has `text` and no `tokens`; it is legal.
struct Response {
  std::vector<Token> tokens = {};  ///< ids; the end token included when the model stopped by itself
  std::string text = {};           ///< the pieces of the tokens, concatenated: bytes, any UTF-8 cut
  std::vector<std::uint32_t> ends =
      {};                              ///< offset in `text` where each token's bytes end; or empty
  std::vector<double> log_probs = {};  ///< nats per token under the law sampled from; or empty
  std::vector<double> raw_log_probs =
      {};  ///< nats per token at temperature 1, untruncated; or empty
  Finish finish = Finish::stop;
  Usage usage = {};

  /// Tokens.
  [[nodiscard]] std::size_t size() const noexcept { return tokens.size(); }

  /// No tokens and no text.
  [[nodiscard]] bool empty() const noexcept { return tokens.empty() && text.empty(); }

  /// Whether the text of each prefix of the tokens is known: `ends` tell it, or there is no text, or
  /// there are no two tokens to be parted.
  [[nodiscard]] bool can_cut() const noexcept {
    return ends.size() == tokens.size() || text.empty() || tokens.size() < 2;
  }

  /// The first n tokens with their text and log-probs; `finish` is then `segment`. The whole response
  /// if n is at least `size()`.
  /// @throws PolicyError where 0 < n < size() and the text of the part is unknown: see `can_cut`
  [[nodiscard]] Response first(std::size_t n) const {
    if (n >= tokens.size()) return *this;
    if (n > 0 && !can_cut()) {
      throw PolicyError("the text of the first " + std::to_string(n) + " of " +
                        std::to_string(tokens.size()) +
                        " tokens is unknown: the response has text without `ends`");
    }
    Response part;
    const auto head = [n](const auto& all) {
      using Values = std::remove_cvref_t<decltype(all)>;
      return all.size() >= n ? Values(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n))
                             : Values{};
    };
    part.tokens = head(tokens);
    if (ends.size() == tokens.size()) part.ends = head(ends);
    part.log_probs = head(log_probs);
    part.raw_log_probs = head(raw_log_probs);
    if (!part.ends.empty()) part.text = text.substr(0, part.ends.back());
    part.finish = Finish::segment;
    return part;
  }

  /// Extends this by a continuation: its tokens, bytes and `finish`. `ends` and log-probs that one of
  /// the two lacks are absent from the whole; they are never filled by guesses.
  void append(const Response& continuation) {
    const auto offset = static_cast<std::uint32_t>(text.size());
    const bool had_ends = ends.size() == tokens.size();
    const bool has_ends = continuation.ends.size() == continuation.tokens.size();
    if (had_ends && has_ends) {
      ends.reserve(ends.size() + continuation.ends.size());
      for (const std::uint32_t end : continuation.ends) ends.push_back(offset + end);
    } else {
      ends.clear();
    }
    join(log_probs, continuation.log_probs, continuation);
    join(raw_log_probs, continuation.raw_log_probs, continuation);
    tokens.insert(tokens.end(), continuation.tokens.begin(), continuation.tokens.end());
    text += continuation.text;
    finish = continuation.finish;
    usage = continuation.usage;
  }

  /// Puts a prefix in front: the same as the prefix extended by this, in memory that is already here
  /// where there is room. `finish` and `usage` stay.
  void prepend(const Response& prefix) {
    const auto offset = static_cast<std::uint32_t>(prefix.text.size());
    for (std::uint32_t& end : ends) end += offset;
    const auto join = [&](auto& mine, const auto& before) {
      if (mine.size() == tokens.size() && before.size() == prefix.tokens.size()) {
        mine.insert(mine.begin(), before.begin(), before.end());
      } else {
        mine.clear();
      }
    };
    join(ends, prefix.ends);
    join(log_probs, prefix.log_probs);
    join(raw_log_probs, prefix.raw_log_probs);
    tokens.insert(tokens.begin(), prefix.tokens.begin(), prefix.tokens.end());
    text.insert(0, prefix.text);
  }

  friend bool operator==(const Response&, const Response&) = default;

 private:
  void join(std::vector<double>& mine, const std::vector<double>& more,
            const Response& continuation) const {
    if (mine.size() == tokens.size() && more.size() == continuation.tokens.size()) {
      mine.insert(mine.end(), more.begin(), more.end());
    } else {
      mine.clear();
    }
  }
};

}  // namespace tilt

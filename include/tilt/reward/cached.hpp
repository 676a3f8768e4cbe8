#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/random.hpp"
#include "tilt/core/response.hpp"
#include "tilt/reward/combine.hpp"

namespace tilt {

struct CachedOptions {
  std::size_t capacity = 65536;  ///< rewards kept, at least 1; npos for no limit
};

/// A reward that remembers what it said. Made by `cached`.
///
/// The key is the prompt and the response's tokens, text and `finish`, compared in full, not only by
/// their hash. The inner reward must be a function of these: one that is random, or reads log-probs,
/// is frozen at its first value. In a batch only what is not known goes to the inner reward, in one
/// call, each response once. Failures, NaN and +infinity are not kept: they are asked for again.
///
/// When it is full the reward that was used longest ago goes.
///
/// Cost: a lookup hashes the response; an entry holds a copy of its tokens and text. For one thread at
/// a time. It can be moved, not copied.
template <class R>
class CachedReward : public RewardPartsOf<R> {
 public:
  explicit CachedReward(R&& reward, CachedOptions options = {})
      : RewardPartsOf<R>(std::forward<R>(reward)), capacity_(options.capacity) {
    require_at_least_one("CachedOptions.capacity", options.capacity);
  }
  CachedReward(CachedReward&&) = default;
  CachedReward& operator=(CachedReward&&) = delete;

  void score(std::span<const Scoring> work, std::span<double> out) {
    std::vector<Scoring> missing;                         // each once
    std::vector<std::size_t> slot_of(work.size(), npos);  // in `missing`
    std::unordered_map<Key, std::size_t, Hash> slots;
    for (std::size_t i = 0; i < work.size(); ++i) {
      const Key key(work[i]);
      if (const auto known = index_.find(key); known != index_.end()) {
        entries_.splice(entries_.begin(), entries_, known->second);
        out[i] = known->second->reward;
        ++hits_;
        continue;
      }
      const auto [place, is_new] = slots.try_emplace(key, missing.size());
      if (is_new) missing.push_back(work[i]);
      slot_of[i] = place->second;
      ++(is_new ? misses_ : hits_);
    }
    if (missing.empty()) return;

    std::vector<double> rewards(missing.size(), unset);
    std::vector<std::exception_ptr> causes(missing.size());
    this->for_each_part([&](std::size_t, auto& inner) { ask(inner, missing, rewards, causes); });
    bool failed = false;
    std::vector<std::exception_ptr> failures(work.size());
    for (std::size_t i = 0; i < work.size(); ++i) {
      if (slot_of[i] == npos) continue;
      out[i] = rewards[slot_of[i]];
      failures[i] = causes[slot_of[i]];
      failed = failed || failures[i];
    }
    for (std::size_t slot = 0; slot < missing.size(); ++slot) {
      if (!causes[slot] && rewards[slot] < infinity) keep(missing[slot], rewards[slot]);
    }
    if (failed) throw PartialFailure(std::move(failures));
  }

  /// Responses that were not scored because their reward was known, or wanted twice in one batch.
  [[nodiscard]] std::size_t hits() const noexcept { return hits_; }
  /// Responses that went to the inner reward.
  [[nodiscard]] std::size_t misses() const noexcept { return misses_; }
  /// Rewards kept now.
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Forgets all rewards; the counts stay.
  void clear() noexcept {
    index_.clear();
    entries_.clear();
  }

 private:
  struct Entry {
    Prompt prompt;
    std::vector<Token> tokens;
    std::string text;
    Finish finish;
    double reward;
  };

  // A view of what is looked for, or of an entry, which stays where it is while it is in the list.
  struct Key {
    const Prompt* prompt;
    TokenSpan tokens;
    std::string_view text;
    Finish finish;
    std::uint64_t hash;

    explicit Key(const Scoring& scoring)
        : Key(*scoring.prompt, scoring.response->tokens, scoring.response->text,
              scoring.response->finish) {}
    explicit Key(const Entry& entry) : Key(entry.prompt, entry.tokens, entry.text, entry.finish) {}
    Key(const Prompt& p, TokenSpan ids, std::string_view bytes, Finish end)
        : prompt(&p), tokens(ids), text(bytes), finish(end) {
      hash = derive_seed(p.key(), end, ids.size(), std::hash<std::string_view>{}(bytes));
      for (const Token token : ids) hash = mix(hash ^ static_cast<std::uint32_t>(token));
    }

    friend bool operator==(const Key& a, const Key& b) {
      return a.hash == b.hash && a.finish == b.finish && a.text == b.text &&
             std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end()) &&
             *a.prompt == *b.prompt;
    }
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return static_cast<std::size_t>(key.hash);
    }
  };

  // A failure of the whole call is one of each missing item: what is known stays known.
  static void ask(auto& inner, std::span<const Scoring> missing, std::span<double> rewards,
                  std::vector<std::exception_ptr>& causes) {
    try {
      inner.score(missing, rewards);
    } catch (const PartialFailure& failure) {
      if (failure.causes().size() != missing.size()) throw;
      causes = failure.causes();
    } catch (...) {
      causes.assign(missing.size(), std::current_exception());
    }
  }

  void keep(const Scoring& scoring, double reward) {
    const Response& response = *scoring.response;
    entries_.push_front({*scoring.prompt, response.tokens, response.text, response.finish, reward});
    index_.emplace(Key(entries_.front()), entries_.begin());
    if (entries_.size() <= capacity_) return;
    index_.erase(Key(entries_.back()));
    entries_.pop_back();
  }

  std::list<Entry> entries_ = {};  // the most recently used first
  std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> index_ = {};
  std::size_t capacity_, hits_ = 0, misses_ = 0;
};

/// Remembers the rewards of responses that come again, as they do in chains that stay where they are
/// and in runs that share prompts: `cached(reward)`, `cached(reward, {.capacity = 1000})`.
///
/// A reward given as an lvalue is held by reference, as an rvalue it is owned.
template <class R>
[[nodiscard]] CachedReward<R> cached(R&& reward, CachedOptions options = {}) {
  return CachedReward<R>(std::forward<R>(reward), options);
}

}  // namespace tilt

#pragma once

// A world for methods that let a model read and rewrite its own texts: a policy that answers by the
// kind of call, a reward that is a number of the text, and a record of every call in order. Replies
// hold what such loops stumble over: tags, slots, delimiters, cut, unclosed and blank texts and
// failures.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/population.hpp"
#include "tilt/core/random.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/runtime/result.hpp"

namespace refinement {

struct World {
  std::uint64_t seed = 1;
  double failing = 0;                 ///< share of calls that fail, of the policy and of the reward
  double broken = 0.5;                ///< share of updates that are no answer
  std::vector<std::string> log = {};  ///< every call, in order
  std::size_t generations = 0, scorings = 0;

  /// The answer to a prompt by the first word of its last line; nothing: the call fails.
  std::optional<tilt::Response> generate(std::string_view prompt, std::size_t max_tokens) {
    tilt::Random random(seed, 1, generations++);
    log.push_back("generate " + std::to_string(max_tokens) + ": " + std::string(prompt));
    if (random.uniform() < failing) return std::nullopt;
    std::string_view last = prompt;
    if (last.ends_with('\n')) last.remove_suffix(1);
    last.remove_prefix(last.rfind('\n') + 1);
    if (last.starts_with("user: ")) last.remove_prefix(6);
    tilt::Response reply;
    if (last.starts_with("UPDATE")) {
      reply.text = "Here: <answer> " + words(random) + " </answer> and </answer>";
      if (random.uniform() < broken) spoil(reply, random);
    } else {
      reply.text = words(random);
      if (last.starts_with("REFINE") || last.starts_with("LOSS") || last.starts_with("ADVISE")) {
        if (random.uniform() < 0.2) reply.text = " \n";
        if (random.uniform() < 0.2) reply.finish = tilt::Finish::length;
      }
    }
    return reply;
  }

  /// A number of prompt and text, from -3 to 3, many of them equal; nothing: the call fails.
  std::optional<double> score(std::string_view prompt, std::string_view text) {
    tilt::Random random(seed, 2, scorings++);
    log.push_back("score " + std::string(prompt) + ": " + std::string(text));
    if (random.uniform() < failing) return std::nullopt;
    std::uint64_t hash = seed;
    for (const char c : text) hash = tilt::mix(hash ^ static_cast<unsigned char>(c));
    return static_cast<double>(hash % 7) - 3;
  }

 private:
  static std::string words(tilt::Random& random) {
    constexpr std::string_view all[] = {"sea",    "blue",       "deep",       "<answer>", "salt",
                                        "|||",    "{rejected}", "{feedback}", "wave",     "fish",
                                        "UPDATE", "{{",         "cold",       "wide"};
    std::string text;
    for (std::uint64_t left = 1 + random.below(3); left > 0; --left) {
      if (!text.empty()) text += ' ';
      text += all[random.below(std::size(all))];
    }
    return text;
  }
  static void spoil(tilt::Response& reply, tilt::Random& random) {
    switch (random.below(4)) {
      case 0:
        reply.text = words(random) + " </answer>";
        break;
      case 1:
        reply.text = "<answer> " + words(random);
        break;
      case 2:
        reply.text = "<answer>\n </answer> " + words(random);
        break;
      default:
        reply.finish = tilt::Finish::length;
    }
  }
};

/// The world as a policy and as a reward of the library.
struct WorldPolicy {
  static constexpr tilt::Capabilities capabilities = {.tokens = false};
  World& world;

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    tilt::for_each_isolated(work.size(), [&](std::size_t i) {
      auto reply = world.generate(tilt::plain_text(work[i].prompt), work[i].max_tokens);
      if (!reply) throw std::runtime_error("the policy is down");
      out[i] = std::move(*reply);
    });
  }
};
struct WorldReward {
  World& world;

  void score(std::span<const tilt::Scoring> work, std::span<double> out) {
    tilt::for_each_isolated(work.size(), [&](std::size_t i) {
      const auto reward = world.score(tilt::plain_text(*work[i].prompt), work[i].response->text);
      if (!reward) throw std::runtime_error("the reward is down");
      out[i] = *reward;
    });
  }
};

/// A scored response of a loop by hand; `parent` is its place in the loop's list, or none.
struct Kept {
  std::string text = {};
  double reward = 0;
  std::size_t parent = tilt::npos;
};

inline std::string line_of(std::string_view text, double reward, std::size_t parent) {
  return "kept " + tilt::to_text(reward) + " of " +
         (parent == tilt::npos ? std::string("none") : std::to_string(parent)) + ": " +
         std::string(text);
}
/// What a run did and kept, line by line: of equal runs equal.
inline std::vector<std::string> record_of(const World& world, const std::vector<Kept>& kept) {
  std::vector<std::string> lines = world.log;
  for (const Kept& k : kept) lines.push_back(line_of(k.text, k.reward, k.parent));
  return lines;
}
inline std::vector<std::string> record_of(const World& world, const tilt::Population& kept) {
  std::vector<std::string> lines = world.log;
  for (const tilt::Candidate& c : kept) {
    lines.push_back(
        line_of(c.response.text, c.reward,
                c.parent == tilt::npos ? tilt::npos : static_cast<std::size_t>(c.parent)));
  }
  return lines;
}

/// The earliest of the highest reward from position `from` on; none of an empty list.
inline std::size_t best_of(const std::vector<Kept>& kept, std::size_t from = 0) {
  std::size_t best = tilt::npos;
  for (std::size_t i = from; i < kept.size(); ++i) {
    if (best == tilt::npos || kept[i].reward > kept[best].reward) best = i;
  }
  return best;
}
/// The earliest of the lowest reward.
inline std::size_t worst_of(const std::vector<Kept>& kept, std::size_t from = 0) {
  std::size_t worst = tilt::npos;
  for (std::size_t i = from; i < kept.size(); ++i) {
    if (worst == tilt::npos || kept[i].reward < kept[worst].reward) worst = i;
  }
  return worst;
}

}  // namespace refinement

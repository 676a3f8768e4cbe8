#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tilt/core/candidate.hpp"
#include "tilt/core/cost.hpp"
#include "tilt/core/error.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/population.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/response.hpp"
#include "tilt/io/json_value.hpp"
#include "tilt/runtime/result.hpp"
#include "tilt/selector/concept.hpp"

/// tilt's values as JSON and back, for `nlohmann::json`:
///
///     nlohmann::json j = result;                  // any of the types below
///     auto spent = j.at("spent").get<tilt::Cost>();
///
/// Nothing is lost on the way: numbers keep every bit (`number_to_json`), texts every byte
/// (`bytes_to_json`). Members that are missing have their default when read, members of other names
/// are passed over. A value of another kind or out of its range is an `InvalidOption` that names it:
/// "Cost.rounds is -1; it must be a whole number from 0 to ...".
namespace tilt {

/// The name of a way to finish, as in JSON.
[[nodiscard]] constexpr const char* name_of(Finish finish) noexcept {
  switch (finish) {
    case Finish::stop:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::segment:
      return "segment";
    case Finish::error:
      return "error";
  }
  return "unknown";
}

inline void to_json(nlohmann::json& j, Finish finish) { j = name_of(finish); }
inline void from_json(const nlohmann::json& j, Finish& finish) {
  finish = enumerator_from(
      j, std::array{Finish::stop, Finish::length, Finish::segment, Finish::error}, "Finish");
}

inline void to_json(nlohmann::json& j, Stop stop) { j = name_of(stop); }
inline void from_json(const nlohmann::json& j, Stop& stop) {
  stop =
      enumerator_from(j,
                      std::array{Stop::finished, Stop::tokens, Stop::policy_calls,
                                 Stop::reward_calls, Stop::seconds, Stop::cancelled, Stop::failed},
                      "Stop");
}

/// The name of a part of a run, as in JSON.
[[nodiscard]] constexpr const char* name_of(FailedPart part) noexcept {
  switch (part) {
    case FailedPart::policy:
      return "policy";
    case FailedPart::reward:
      return "reward";
    case FailedPart::selector:
      return "selector";
    case FailedPart::sampler:
      return "sampler";
  }
  return "unknown";
}

inline void to_json(nlohmann::json& j, FailedPart part) { j = name_of(part); }
inline void from_json(const nlohmann::json& j, FailedPart& part) {
  part = enumerator_from(
      j,
      std::array{FailedPart::policy, FailedPart::reward, FailedPart::selector, FailedPart::sampler},
      "FailedPart");
}

inline void to_json(nlohmann::json& j, const Message& message) {
  j = {{"role", bytes_to_json(message.role)}, {"content", bytes_to_json(message.content)}};
}
inline void from_json(const nlohmann::json& j, Message& message) {
  const JsonMembers members(j, "Message");
  message.role = members.required_bytes("role");
  message.content = members.required_bytes("content");
}

/// A prompt: a string (text), an array of {"role", "content"} (messages), or {"tokens": [...]} (ids).
inline void to_json(nlohmann::json& j, const Prompt& prompt) {
  if (prompt.is_tokens()) {
    j = {{"tokens", std::vector<Token>(prompt.tokens().begin(), prompt.tokens().end())}};
  } else if (prompt.is_messages()) {
    j = nlohmann::json::array();
    for (const Message& message : prompt.messages()) j.push_back(message);
  } else {
    j = bytes_to_json(prompt.text());
  }
}
inline void from_json(const nlohmann::json& j, Prompt& prompt) {
  if (j.is_array()) {
    prompt = Prompt::from_messages(j.get<std::vector<Message>>());
  } else if (j.is_object() && j.contains("tokens")) {
    prompt = Prompt::from_tokens(JsonMembers(j, "Prompt").tokens("tokens"));
  } else {
    prompt = Prompt(bytes_from_json(j, "Prompt"));
  }
}

inline void to_json(nlohmann::json& j, const Usage& usage) {
  j = {{"prompt_tokens", usage.prompt_tokens}, {"cached_tokens", usage.cached_tokens}};
}
inline void from_json(const nlohmann::json& j, Usage& usage) {
  const JsonMembers members(j, "Usage");
  usage.prompt_tokens = members.count("prompt_tokens", 0);
  usage.cached_tokens = members.count("cached_tokens", 0);
}

/// A response; lists that are empty are left out.
inline void to_json(nlohmann::json& j, const Response& response) {
  j = {{"text", bytes_to_json(response.text)}, {"finish", response.finish}};
  if (!response.tokens.empty()) j["tokens"] = response.tokens;
  if (!response.ends.empty()) j["ends"] = response.ends;
  if (!response.log_probs.empty()) j["log_probs"] = numbers_to_json(response.log_probs);
  if (!response.raw_log_probs.empty()) {
    j["raw_log_probs"] = numbers_to_json(response.raw_log_probs);
  }
  if (response.usage != Usage{}) j["usage"] = response.usage;
}
inline void from_json(const nlohmann::json& j, Response& response) {
  const JsonMembers members(j, "Response");
  response = {};
  response.text = members.bytes("text");
  response.finish = members.value("finish", Finish::stop);
  response.tokens = members.tokens("tokens");
  response.ends = members.list("ends", [](const nlohmann::json& end, const std::string& item) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(count_from_json(end, item, most));
  });
  response.log_probs = members.numbers("log_probs");
  response.raw_log_probs = members.numbers("raw_log_probs");
  response.usage = members.value("usage", Usage{});
}

/// A candidate; a parent that there is none of is left out, and so is `spare` where it is false.
inline void to_json(nlohmann::json& j, const Candidate& candidate) {
  j = {{"response", candidate.response},
       {"reward", number_to_json(candidate.reward)},
       {"raw_reward", number_to_json(candidate.raw_reward)},
       {"weight", number_to_json(candidate.weight)},
       {"id", candidate.id},
       {"lane", candidate.lane}};
  if (candidate.parent != npos) j["parent"] = candidate.parent;
  if (candidate.spare) j["spare"] = true;
}
inline void from_json(const nlohmann::json& j, Candidate& candidate) {
  const JsonMembers members(j, "Candidate");
  constexpr std::uint64_t most_lanes = 1u << 16;  // of a session
  candidate = {.response = members.value("response", Response{}),
               .reward = members.number("reward", unset),
               .raw_reward = members.number("raw_reward", unset),
               .weight = members.number("weight", 1),
               .id = members.count("id", 0),
               .parent = members.count("parent", npos),
               .lane = static_cast<std::uint32_t>(members.count("lane", 0, most_lanes - 1)),
               .spare = members.value("spare", false)};
  require_json(candidate.weight >= 0, "Candidate.weight", j.value("weight", nlohmann::json()),
               "a number of at least 0");
}

/// A population: an array of its candidates in their order, from which ids follow.
inline void to_json(nlohmann::json& j, const Population& population) {
  j = nlohmann::json::array();
  for (const Candidate& candidate : population) j.push_back(candidate);
}
inline void from_json(const nlohmann::json& j, Population& population) {
  require_json(j.is_array(), "Population", j, "a list of candidates");
  population = {};
  for (const nlohmann::json& item : j) {
    auto candidate = item.get<Candidate>();
    const std::uint32_t lane = candidate.lane;
    population.add(std::move(candidate), lane);
  }
}

inline void to_json(nlohmann::json& j, const Cost& cost) {
  j = {{"policy_calls", cost.policy_calls},
       {"reward_calls", cost.reward_calls},
       {"prompt_tokens", cost.prompt_tokens},
       {"cached_tokens", cost.cached_tokens},
       {"generated_tokens", cost.generated_tokens},
       {"lookahead_tokens", cost.lookahead_tokens},
       {"rounds", cost.rounds},
       {"seconds", number_to_json(cost.seconds)},
       {"retries", cost.retries}};
}
inline void from_json(const nlohmann::json& j, Cost& cost) {
  const JsonMembers members(j, "Cost");
  cost = {.policy_calls = members.count("policy_calls", 0),
          .reward_calls = members.count("reward_calls", 0),
          .prompt_tokens = members.count("prompt_tokens", 0),
          .cached_tokens = members.count("cached_tokens", 0),
          .generated_tokens = members.count("generated_tokens", 0),
          .lookahead_tokens = members.count("lookahead_tokens", 0),
          .rounds = members.count("rounds", 0),
          .seconds = members.number("seconds", 0),
          .retries = members.count("retries", 0)};
}

/// A decision; an index that there is none of is left out.
inline void to_json(nlohmann::json& j, const Decision& decision) {
  j = {{"answer", bytes_to_json(decision.answer)}, {"share", number_to_json(decision.share)}};
  if (decision.index != npos) j["index"] = decision.index;
}
inline void from_json(const nlohmann::json& j, Decision& decision) {
  const JsonMembers members(j, "Decision");
  decision = {.index = members.count("index", npos),
              .answer = members.bytes("answer"),
              .share = members.number("share", 1)};
}

/// A failure. The exception itself cannot be written down: read back, `cause` is null.
inline void to_json(nlohmann::json& j, const Failure& failure) {
  j = {{"what", bytes_to_json(failure.what)},
       {"part", failure.part},
       {"lane", failure.lane},
       {"round", failure.round},
       {"index", failure.index}};
}
inline void from_json(const nlohmann::json& j, Failure& failure) {
  const JsonMembers members(j, "Failure");
  constexpr std::uint64_t most_lane = std::numeric_limits<std::uint32_t>::max();
  failure = {.what = members.bytes("what"),
             .part = members.value("part", FailedPart::policy),
             .lane = static_cast<std::uint32_t>(members.count("lane", 0, most_lane)),
             .round = members.count("round", 0),
             .index = members.count("index", 0)};
}

/// Diagnostics as an object from names to numbers. Read back they are ordered by name.
[[nodiscard]] inline nlohmann::json stats_to_json(const Stats& stats) {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [name, value] : stats) j[name] = number_to_json(value);
  return j;
}
/// The inverse of `stats_to_json`, up to the order.
[[nodiscard]] inline Stats stats_from_json(const nlohmann::json& j) {
  require_json(j.is_object(), "Stats", j, "an object");
  Stats stats;
  for (const auto& [name, value] : j.items()) {
    stats.emplace_back(name, number_from_json(value, "Stats." + shortened(name, 60)));
  }
  return stats;
}

inline void to_json(nlohmann::json& j, const Result& result) {
  j = {{"answer", result.answer},
       {"decision", result.decision},
       {"candidates", result.candidates},
       {"spent", result.spent},
       {"stop", result.stop},
       {"failures", result.failures},
       {"stats", stats_to_json(result.stats)},
       {"law_holds", result.law_holds}};
}
inline void from_json(const nlohmann::json& j, Result& result) {
  const JsonMembers members(j, "Result");
  result = {};
  result.answer = members.value("answer", Candidate{});
  result.decision = members.value("decision", Decision{});
  result.candidates = members.value("candidates", Population{});
  result.spent = members.value("spent", Cost{});
  result.stop = members.value("stop", Stop::finished);
  result.failures = members.list("failures", [](const nlohmann::json& failure, const std::string&) {
    return failure.get<Failure>();
  });
  if (const nlohmann::json* stats = members.find("stats")) result.stats = stats_from_json(*stats);
  result.law_holds = members.flag("law_holds", true);
}

/// A sampling law; members of their neutral value are left out.
inline void to_json(nlohmann::json& j, const SamplingLaw& law) {
  const SamplingLaw neutral;
  j = nlohmann::json::object();
  if (law.temperature != neutral.temperature) j["temperature"] = number_to_json(law.temperature);
  if (law.top_k != neutral.top_k) j["top_k"] = law.top_k;
  if (law.top_p != neutral.top_p) j["top_p"] = number_to_json(law.top_p);
  if (law.min_p != neutral.min_p) j["min_p"] = number_to_json(law.min_p);
  if (!law.stop.empty()) {
    for (const std::string& stop : law.stop) j["stop"].push_back(bytes_to_json(stop));
  }
  if (!law.stop_tokens.empty()) j["stop_tokens"] = law.stop_tokens;
  if (!law.extra.empty()) j["extra"] = bytes_to_json(law.extra);
}
inline void from_json(const nlohmann::json& j, SamplingLaw& law) {
  const JsonMembers members(j, "SamplingLaw");
  law = {.temperature = members.number("temperature", 1),
         .top_k = members.count("top_k", 0),
         .top_p = members.number("top_p", 1),
         .min_p = members.number("min_p", 0),
         .stop = members.list("stop", bytes_from_json),
         .stop_tokens = members.tokens("stop_tokens"),
         .extra = members.bytes("extra")};
}

}  // namespace tilt

#pragma once

#include <array>
#include <cmath>
#include <cstdint>
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
#include "tilt/runtime/result.hpp"
#include "tilt/selector/concept.hpp"

/// tilt's values as JSON and back, for `nlohmann::json`:
///
///     nlohmann::json j = result;                  // any of the types below
///     auto spent = j.at("spent").get<tilt::Cost>();
///
/// Nothing is lost on the way: numbers keep every bit (`number_to_json`), texts every byte
/// (`bytes_to_json`). Members that are missing have their default when read; those of another type
/// throw `nlohmann::json::exception`, names that are none of an enumeration `tilt::Error`.
namespace tilt {

/// A number as JSON, which has no NaN and no infinities: null, "inf" and "-inf" stand for them.
[[nodiscard]] inline nlohmann::json number_to_json(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// The inverse of `number_to_json`.
/// @throws nlohmann::json::exception when it is neither a number nor one of the three stand-ins
[[nodiscard]] inline double number_from_json(const nlohmann::json& j) {
  if (j.is_null()) return unset;
  if (j == "inf") return infinity;
  if (j == "-inf") return -infinity;
  return j.get<double>();
}

/// Whether bytes are valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
[[nodiscard]] inline bool is_utf8(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned char first = byte(i);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    if (length > 2) {
      const unsigned char second = byte(i + 1);
      if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
          (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

/// A text as JSON, without losing a byte: a string where it is valid UTF-8; else, such as for a
/// response cut inside a character, {"hex": "..."} with two digits per byte.
[[nodiscard]] inline nlohmann::json bytes_to_json(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 0xf];
  }
  return {{"hex", std::move(hex)}};
}

/// The inverse of `bytes_to_json`.
/// @throws nlohmann::json::exception when it is neither a string nor an object with "hex"
/// @throws Error when the digits are not hexadecimal, or one is missing
[[nodiscard]] inline std::string bytes_from_json(const nlohmann::json& j) {
  if (!j.is_object()) return j.get<std::string>();
  const auto& hex = j.at("hex").get_ref<const std::string&>();
  const auto value = [&hex](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
    throw Error("\"" + hex + "\" is not hexadecimal");
  };
  if (hex.size() % 2 != 0) throw Error("\"" + hex + "\" has an odd number of hexadecimal digits");
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(value(hex[i]) << 4 | value(hex[i + 1]));
  }
  return bytes;
}

/// Bytes as text that can be shown: each byte that is no part of valid UTF-8 becomes U+FFFD.
[[nodiscard]] inline std::string shown_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t length = 1;
    while (length <= 4 && i + length <= bytes.size() && !is_utf8(bytes.substr(i, length))) ++length;
    if (length <= 4 && i + length <= bytes.size()) {
      text += bytes.substr(i, length);
      i += length;
    } else {
      text += "\xef\xbf\xbd";
      ++i;
    }
  }
  return text;
}

/// The member of an object, or its default value when it is absent.
template <class T>
[[nodiscard]] T member_or(const nlohmann::json& j, const char* name, T otherwise) {
  const auto found = j.find(name);
  return found == j.end() ? std::move(otherwise) : found->template get<T>();
}

/// The same for numbers that may be NaN or infinite.
[[nodiscard]] inline double number_or(const nlohmann::json& j, const char* name, double otherwise) {
  const auto found = j.find(name);
  return found == j.end() ? otherwise : number_from_json(*found);
}

/// The enumerator of a name.
/// @throws Error when none of the given enumerators has it
template <class Enum, std::size_t n>
[[nodiscard]] Enum enumerator_from(const nlohmann::json& j, const std::array<Enum, n>& all,
                                   const char* what) {
  const auto& name = j.get_ref<const std::string&>();
  for (const Enum e : all) {
    if (name == name_of(e)) return e;
  }
  throw Error("\"" + name + "\" is no " + what);
}

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
      j, std::array{Finish::stop, Finish::length, Finish::segment, Finish::error}, "way to finish");
}

inline void to_json(nlohmann::json& j, Stop stop) { j = name_of(stop); }
inline void from_json(const nlohmann::json& j, Stop& stop) {
  stop =
      enumerator_from(j,
                      std::array{Stop::finished, Stop::tokens, Stop::policy_calls,
                                 Stop::reward_calls, Stop::seconds, Stop::cancelled, Stop::failed},
                      "reason to stop");
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
      "part of a run");
}

inline void to_json(nlohmann::json& j, const Message& message) {
  j = {{"role", bytes_to_json(message.role)}, {"content", bytes_to_json(message.content)}};
}
inline void from_json(const nlohmann::json& j, Message& message) {
  message.role = bytes_from_json(j.at("role"));
  message.content = bytes_from_json(j.at("content"));
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
    prompt = Prompt::from_tokens(j.at("tokens").get<std::vector<Token>>());
  } else {
    prompt = Prompt(bytes_from_json(j));
  }
}

inline void to_json(nlohmann::json& j, const Usage& usage) {
  j = {{"prompt_tokens", usage.prompt_tokens}, {"cached_tokens", usage.cached_tokens}};
}
inline void from_json(const nlohmann::json& j, Usage& usage) {
  usage.prompt_tokens = member_or<std::size_t>(j, "prompt_tokens", 0);
  usage.cached_tokens = member_or<std::size_t>(j, "cached_tokens", 0);
}

/// A list of numbers that may be NaN or infinite.
[[nodiscard]] inline nlohmann::json numbers_to_json(const std::vector<double>& values) {
  nlohmann::json j = nlohmann::json::array();
  for (const double value : values) j.push_back(number_to_json(value));
  return j;
}
/// The inverse of `numbers_to_json`.
[[nodiscard]] inline std::vector<double> numbers_from_json(const nlohmann::json& j) {
  std::vector<double> values;
  values.reserve(j.size());
  for (const nlohmann::json& value : j) values.push_back(number_from_json(value));
  return values;
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
  response = {};
  if (j.contains("text")) response.text = bytes_from_json(j.at("text"));
  response.finish = member_or(j, "finish", Finish::stop);
  response.tokens = member_or<std::vector<Token>>(j, "tokens", {});
  response.ends = member_or<std::vector<std::uint32_t>>(j, "ends", {});
  if (j.contains("log_probs")) response.log_probs = numbers_from_json(j.at("log_probs"));
  if (j.contains("raw_log_probs")) {
    response.raw_log_probs = numbers_from_json(j.at("raw_log_probs"));
  }
  response.usage = member_or(j, "usage", Usage{});
}

/// A candidate; a parent that there is none of is left out.
inline void to_json(nlohmann::json& j, const Candidate& candidate) {
  j = {{"response", candidate.response},
       {"reward", number_to_json(candidate.reward)},
       {"raw_reward", number_to_json(candidate.raw_reward)},
       {"weight", number_to_json(candidate.weight)},
       {"id", candidate.id},
       {"lane", candidate.lane}};
  if (candidate.parent != npos) j["parent"] = candidate.parent;
}
inline void from_json(const nlohmann::json& j, Candidate& candidate) {
  candidate = {.response = member_or(j, "response", Response{}),
               .reward = number_or(j, "reward", unset),
               .raw_reward = number_or(j, "raw_reward", unset),
               .weight = number_or(j, "weight", 1),
               .id = member_or<std::uint64_t>(j, "id", 0),
               .parent = member_or<std::uint64_t>(j, "parent", npos),
               .lane = member_or<std::uint32_t>(j, "lane", 0)};
}

/// A population: an array of its candidates in their order, from which ids follow.
inline void to_json(nlohmann::json& j, const Population& population) {
  j = nlohmann::json::array();
  for (const Candidate& candidate : population) j.push_back(candidate);
}
inline void from_json(const nlohmann::json& j, Population& population) {
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
       {"seconds", number_to_json(cost.seconds)}};
}
inline void from_json(const nlohmann::json& j, Cost& cost) {
  cost = {.policy_calls = member_or<std::size_t>(j, "policy_calls", 0),
          .reward_calls = member_or<std::size_t>(j, "reward_calls", 0),
          .prompt_tokens = member_or<std::size_t>(j, "prompt_tokens", 0),
          .cached_tokens = member_or<std::size_t>(j, "cached_tokens", 0),
          .generated_tokens = member_or<std::size_t>(j, "generated_tokens", 0),
          .lookahead_tokens = member_or<std::size_t>(j, "lookahead_tokens", 0),
          .rounds = member_or<std::size_t>(j, "rounds", 0),
          .seconds = number_or(j, "seconds", 0)};
}

/// A decision; an index that there is none of is left out.
inline void to_json(nlohmann::json& j, const Decision& decision) {
  j = {{"answer", bytes_to_json(decision.answer)}, {"share", number_to_json(decision.share)}};
  if (decision.index != npos) j["index"] = decision.index;
}
inline void from_json(const nlohmann::json& j, Decision& decision) {
  decision = {.index = member_or<std::size_t>(j, "index", npos), .share = number_or(j, "share", 1)};
  if (j.contains("answer")) decision.answer = bytes_from_json(j.at("answer"));
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
  failure = {.part = member_or(j, "part", FailedPart::policy),
             .lane = member_or<std::uint32_t>(j, "lane", 0),
             .round = member_or<std::size_t>(j, "round", 0),
             .index = member_or<std::size_t>(j, "index", 0)};
  if (j.contains("what")) failure.what = bytes_from_json(j.at("what"));
}

/// Diagnostics as an object from names to numbers. Read back they are ordered by name.
[[nodiscard]] inline nlohmann::json stats_to_json(const Stats& stats) {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [name, value] : stats) j[name] = number_to_json(value);
  return j;
}
/// The inverse of `stats_to_json`, up to the order.
[[nodiscard]] inline Stats stats_from_json(const nlohmann::json& j) {
  Stats stats;
  for (const auto& [name, value] : j.items()) stats.emplace_back(name, number_from_json(value));
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
  result = {};
  result.answer = member_or(j, "answer", Candidate{});
  result.decision = member_or(j, "decision", Decision{});
  result.candidates = member_or(j, "candidates", Population{});
  result.spent = member_or(j, "spent", Cost{});
  result.stop = member_or(j, "stop", Stop::finished);
  result.failures = member_or(j, "failures", std::vector<Failure>{});
  if (j.contains("stats")) result.stats = stats_from_json(j.at("stats"));
  result.law_holds = member_or(j, "law_holds", true);
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
  law = {.temperature = number_or(j, "temperature", 1),
         .top_k = member_or<std::size_t>(j, "top_k", 0),
         .top_p = number_or(j, "top_p", 1),
         .min_p = number_or(j, "min_p", 0),
         .stop_tokens = member_or<std::vector<Token>>(j, "stop_tokens", {})};
  if (j.contains("stop")) {
    for (const nlohmann::json& stop : j.at("stop")) law.stop.push_back(bytes_from_json(stop));
  }
  if (j.contains("extra")) law.extra = bytes_from_json(j.at("extra"));
}

}  // namespace tilt

#pragma once

// Engines and rewards that do what they must not, and every sampler to meet them.

#include <cmath>
#include <functional>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/best_of_poisson.hpp"
#include "tilt/sampler/calibrated.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/epsilon_best_of.hpp"
#include "tilt/sampler/prs.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"
#include "tilt/sampler/tpo.hpp"

namespace hostile {

using tilt::Generation;
using tilt::Prompt;
using tilt::Response;
using tilt::Scoring;

/// A policy and a reward of one type each, whatever they do: a decoder is compiled once per sampler.
struct Engine {
  static constexpr tilt::Capabilities capabilities = {.segments = true, .log_probs = true};
  std::function<void(std::span<const Generation>, std::span<Response>)> act;
  void generate(std::span<const Generation> work, std::span<Response> out) { act(work, out); }
};
struct Reward {
  std::function<void(std::span<const Scoring>, std::span<double>)> act;
  void score(std::span<const Scoring> work, std::span<double> out) { act(work, out); }
};

/// Two tokens of one letter, or one where no more are allowed.
inline Response sound(const Generation& work) {
  Response made;
  const std::size_t most =
      std::min(work.max_tokens, work.until ? work.until->max_tokens : tilt::npos);
  for (std::size_t i = 0; i < std::min<std::size_t>(2, most); ++i) {
    made.tokens.push_back(static_cast<tilt::Token>((work.seed >> i) % 7));
    made.text += static_cast<char>('a' + made.tokens.back());
    made.ends.push_back(static_cast<std::uint32_t>(made.text.size()));
  }
  made.log_probs = made.raw_log_probs = std::vector<double>(made.tokens.size(), -1.0);
  return made;
}

inline double sound_reward(const Response& y) {
  double sum = 0;
  for (const tilt::Token token : y.tokens) sum += token;
  return sum;
}

/// An engine that gives what `spoil` makes of sound responses.
inline Engine spoiling(std::function<void(const Generation&, Response&)> spoil) {
  return {[spoil](std::span<const Generation> work, std::span<Response> out) {
    for (std::size_t i = 0; i < work.size(); ++i) {
      out[i] = sound(work[i]);
      spoil(work[i], out[i]);
    }
  }};
}
inline Engine sound_engine() {
  return spoiling([](const Generation&, Response&) {});
}

/// A reward that gives what `value` says of the nth scoring.
inline Reward giving(std::function<double(std::size_t)> value) {
  return {[value, n = std::size_t{0}](std::span<const Scoring>, std::span<double> out) mutable {
    for (double& reward : out) reward = value(n++);
  }};
}
inline Reward sound_scorer() {
  return {[](std::span<const Scoring> work, std::span<double> out) {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = sound_reward(*work[i].response);
  }};
}

/// What may come of a row.
enum class Expected {
  anything,  ///< a result, or an error of tilt
  failure    ///< with `OnFailure::fail` an error of tilt
};

struct EngineRow {
  const char* name;
  Engine engine;
  Expected expected = Expected::anything;
};
struct RewardRow {
  const char* name;
  Reward reward;
  Expected expected = Expected::anything;
};

template <class E>
auto throwing(E error) {
  return [error](auto, auto) { throw error; };
}
/// A partial failure that names `n` items, all of them failed or none.
inline auto partly(std::size_t n, bool failed) {
  return [=](auto, auto) {
    throw tilt::PartialFailure(std::vector<std::exception_ptr>(
        n, failed ? std::make_exception_ptr(std::runtime_error("it broke")) : nullptr));
  };
}

inline std::vector<EngineRow> engines() {
  using enum Expected;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto all = [](double value) {
    return spoiling([value](const Generation&, Response& y) {
      y.log_probs = y.raw_log_probs = std::vector<double>(y.tokens.size(), value);
    });
  };
  return {
      {"nothing at all", {[](auto, auto) {}}, failure},
      {"300 tokens too many", spoiling([](const Generation& work, Response& y) {
         const std::size_t most = std::min<std::size_t>(work.max_tokens, 10'000);
         y = {.tokens = std::vector<tilt::Token>(most + 300, 1)};
       }),
       failure},
      {"log-probs that are NaN", all(nan), failure},
      {"log-probs that are positive", all(0.5), failure},
      {"log-probs that are infinite", all(tilt::infinity), failure},
      {"log-probs of -infinity", all(-tilt::infinity)},
      {"one log-prob too many",
       spoiling([](const Generation&, Response& y) { y.log_probs.push_back(-1); }), failure},
      {"ends that go down", spoiling([](const Generation&, Response& y) {
         y.ends.assign(y.tokens.size(), 7);
         y.ends.back() = 0;
       }),
       failure},
      {"ends beyond the text",
       spoiling([](const Generation&, Response& y) { y.ends.back() = 4'000'000'000; }), failure},
      {"one end too few",
       spoiling([](const Generation&, Response& y) { y.ends.push_back(y.ends.back()); }), failure},
      {"no ends", spoiling([](const Generation&, Response& y) { y.ends.clear(); })},
      {"negative ids", spoiling([](const Generation&, Response& y) { y.tokens[0] = -3; }), failure},
      {"tokens without text", spoiling([](const Generation&, Response& y) {
         y.text.clear();
         y.ends.assign(y.tokens.size(), 0);
       })},
      {"text without tokens",
       spoiling([](const Generation&, Response& y) { y = {.text = "a b"}; })},
      {"bytes that are no text", spoiling([](const Generation&, Response& y) {
         y.text.assign("\0\xff\xc3\x1b]52;", 7);
         y.ends.assign(y.tokens.size(), 7);
       })},
      {"a megabyte of text", spoiling([](const Generation&, Response& y) {
         y.text = std::string(1'000'000, '<');
         y.ends.assign(y.tokens.size(), 1'000'000);
       })},
      {"tags that never close", spoiling([](const Generation&, Response& y) {
         y.text = "<answer><answer></answer";
         y.ends.assign(y.tokens.size(), static_cast<std::uint32_t>(y.text.size()));
       })},
      {"finish = error",
       spoiling([](const Generation&, Response& y) { y.finish = tilt::Finish::error; }), failure},
      {"finish = segment, asked for or not",
       spoiling([](const Generation&, Response& y) { y.finish = tilt::Finish::segment; })},
      {"finish = length at once",
       spoiling([](const Generation&, Response& y) { y.finish = tilt::Finish::length; })},
      {"usage beyond all bounds", spoiling([](const Generation&, Response& y) {
         y.usage = {tilt::npos, tilt::npos};
       })},
      {"std::runtime_error", {throwing(std::runtime_error("it broke"))}, failure},
      {"tilt::Error", {throwing(tilt::Error("it broke"))}, failure},
      {"tilt::InvalidOption", {throwing(tilt::InvalidOption("a", "b", "c"))}, failure},
      {"tilt::RewardError", {throwing(tilt::RewardError("it broke"))}, failure},
      {"std::bad_alloc", {throwing(std::bad_alloc())}, failure},
      {"a number thrown", {throwing(7)}, failure},
      {"a text thrown", {throwing("it broke")}, failure},
      {"a partial failure of no items", {partly(0, true)}, failure},
      {"a partial failure of 1000 items", {partly(1000, true)}, failure},
      {"a partial failure without causes", {partly(1, false)}, failure},
      {"every other item failed", {[](std::span<const Generation> work, std::span<Response> out) {
         std::vector<std::exception_ptr> causes(work.size());
         for (std::size_t i = 0; i < work.size(); ++i) {
           out[i] = sound(work[i]);
           if (i % 2 == 0) causes[i] = std::make_exception_ptr(7);
         }
         throw tilt::PartialFailure(std::move(causes));
       }}},
  };
}

inline std::vector<RewardRow> rewards() {
  using enum Expected;
  const auto constant = [](double value) { return giving([value](std::size_t) { return value; }); };
  return {{"NaN", constant(tilt::unset), failure},
          {"+infinity", constant(tilt::infinity), failure},
          {"-infinity", constant(-tilt::infinity)},
          {"the largest double", constant(std::numeric_limits<double>::max())},
          {"the lowest double", constant(std::numeric_limits<double>::lowest())},
          {"the least double above 0", constant(std::numeric_limits<double>::denorm_min())},
          {"both ends in turn", giving([](std::size_t n) {
             return n % 2 == 0 ? std::numeric_limits<double>::max()
                               : std::numeric_limits<double>::lowest();
           })},
          {"-infinity and numbers in turn", giving([](std::size_t n) {
             return n % 3 == 0 ? static_cast<double>(n) : -tilt::infinity;
           })},
          {"always more", giving([](std::size_t n) { return std::ldexp(1, static_cast<int>(n)); })},
          {"NaN now and then",
           giving([](std::size_t n) { return n % 3 == 2 ? tilt::unset : static_cast<double>(n); })},
          {"nothing at all", {[](auto, auto) {}}, failure},
          {"the order reversed", {[](std::span<const Scoring> work, std::span<double> out) {
             for (std::size_t i = 0; i < work.size(); ++i) {
               out[work.size() - 1 - i] = sound_reward(*work[i].response);
             }
           }}},
          {"std::runtime_error", {throwing(std::runtime_error("it broke"))}, failure},
          {"tilt::PolicyError", {throwing(tilt::PolicyError("it broke"))}, failure},
          {"std::bad_alloc", {throwing(std::bad_alloc())}, failure},
          {"a number thrown", {throwing(7)}, failure},
          {"a partial failure of no items", {partly(0, true)}, failure},
          {"a partial failure of 1000 items", {partly(1000, true)}, failure}};
}

}  // namespace hostile

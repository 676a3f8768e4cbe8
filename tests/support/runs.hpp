#pragma once

// Comparing whole results, policies and rewards that follow a script, and every sampler at once.

#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"

namespace runs {

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// What the E that f throws says; empty when it throws none.
template <class E, class F>
std::string thrown_by(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

/// A number to the last bit.
inline std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

inline std::string text_of(const tilt::Response& response) {
  std::string text = "[";
  for (const tilt::Token token : response.tokens) text += std::to_string(token) + ' ';
  text += "] '" + response.text + "' ends";
  for (const std::uint32_t end : response.ends) text += ' ' + std::to_string(end);
  text += " log-probs";
  for (const double log_prob : response.log_probs) text += ' ' + exact(log_prob);
  text += " raw";
  for (const double log_prob : response.raw_log_probs) text += ' ' + exact(log_prob);
  return text + " finish " + std::to_string(static_cast<int>(response.finish));
}

inline std::string text_of(const tilt::Candidate& candidate) {
  return std::to_string(candidate.id) + " of " + std::to_string(candidate.parent) + " in lane " +
         std::to_string(candidate.lane) + ": " + text_of(candidate.response) + " reward " +
         exact(candidate.reward) + " raw " + exact(candidate.raw_reward) + " weight " +
         exact(candidate.weight) + '\n';
}

/// Everything of a result but the time it took: equal results have equal texts.
inline std::string text_of(const tilt::Result& result) {
  std::string text = "answer " + text_of(result.answer);
  text += "index " + std::to_string(result.decision.index) + " '" + result.decision.answer +
          "' share " + exact(result.decision.share) + '\n';
  for (const tilt::Candidate& candidate : result.candidates) text += text_of(candidate);
  const tilt::Cost& spent = result.spent;
  for (const std::size_t count :
       {spent.policy_calls, spent.reward_calls, spent.prompt_tokens, spent.cached_tokens,
        spent.generated_tokens, spent.lookahead_tokens, spent.rounds}) {
    text += std::to_string(count) + ' ';
  }
  text += std::string("stop ") + name_of(result.stop) + (result.law_holds ? " lawful\n" : "\n");
  for (const tilt::Failure& failure : result.failures) text += failure.what + '\n';
  for (const auto& [name, value] : result.stats) text += name + ' ' + exact(value) + '\n';
  return text;
}

/// A selector for every population: the candidate of the largest weight, the earliest of several.
struct Heaviest {
  tilt::Decision operator()(const tilt::Population& population, tilt::Random&) const {
    if (population.empty()) return {.share = 0};
    std::size_t best = 0;
    for (std::size_t i = 0; i < population.size(); ++i) {
      if (population[i].weight > population[best].weight) best = i;
    }
    return {.index = best, .answer = population[best].response.text};
  }
};

/// A policy made of a function of one piece of work, without an end token of its own. Counts calls.
class Scripted {
 public:
  using Function = std::function<tilt::Response(const tilt::Generation&)>;

  explicit Scripted(Function function) : function_(std::move(function)) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    ++calls;
    rows.push_back(work.size());
    tilt::for_each_isolated(work.size(), [&](std::size_t i) { out[i] = function_(work[i]); });
  }

  std::size_t calls = 0;
  std::vector<std::size_t> rows = {};  // of each call

 private:
  Function function_;
};

/// A response of the given tokens, with their text as `LogitPolicy` would write it.
inline tilt::Response response_of(std::vector<tilt::Token> tokens,
                                  tilt::Finish finish = tilt::Finish::stop) {
  tilt::Response response;
  for (const tilt::Token token : tokens) {
    if (!response.text.empty()) response.text += ' ';
    response.text += std::to_string(token);
    response.ends.push_back(static_cast<std::uint32_t>(response.text.size()));
  }
  response.tokens = std::move(tokens);
  response.finish = finish;
  return response;
}

/// A response that names its draw: its number in order of calls.
inline Scripted::Function numbered() {
  return [next = tilt::Token{0}](const tilt::Generation&) mutable {
    return response_of({next++});
  };
}

/// A reward made of a function. One type for all, which the compiler is spared.
using Judge = tilt::RewardFunction<std::function<double(const tilt::Prompt&, const tilt::Response&)>>;

/// The sum of the tokens.
inline Judge token_sum() {
  return Judge([](const tilt::Prompt&, const tilt::Response& y) {
    double sum = 0;
    for (const tilt::Token token : y.tokens) sum += token;
    return sum;
  });
}

/// Calls f(name, sampler) with every sampler in several settings, made for the toy model.
template <class F>
void for_each_sampler(F&& f) {
  using namespace tilt;
  const std::size_t max_tokens = toy::max_tokens;
  f("best of 5", BestOfN{{.n = 5, .max_tokens = max_tokens}});
  f("best of 9 in waves", BestOfN{{.n = 9, .max_tokens = max_tokens, .stop_at = 1.5, .width = 2}});
  f("rejection", Rejection{{.beta = 0.7, .ceiling = 2, .max_tokens = max_tokens}});
  f("rejection, capped, parallel",
    Rejection{{.beta = 0.3, .ceiling = 3, .max_rejections = 7, .max_tokens = max_tokens,
               .parallel = 3}});
  f("qalign", QAlign{{.beta = 0.7, .steps = 12, .max_tokens = max_tokens}});
  f("qalign, three forked chains",
    QAlign{{.beta = 0.7, .steps = 6, .chains = 3, .fork = 2, .burn_in = 2,
            .max_tokens = max_tokens, .initial_draws = 3, .restart = 0.2}});
  f("qalign, recycled",
    QAlign{{.beta = 0.7, .steps = 6, .chains = 2, .fork = 2, .max_tokens = max_tokens,
            .recycle = true}});
  f("cards", Cards{{.beta = 0.7,
                    .reward_goal = 1.5,
                    .max_rejections = 5,
                    .max_tokens = max_tokens,
                    .segment = {.entropy = 1.05, .min_tokens = 1, .max_tokens = 3}}});
  f("cards, parallel, pilot draws",
    Cards{{.beta = 0.5,
           .max_rejections = 6,
           .parallel = 3,
           .max_tokens = max_tokens,
           .segment = {.entropy = 0.9, .min_tokens = 1, .max_tokens = 2},
           .pilot_draws = 4}});
}

}  // namespace runs

#pragma once

// A reward with the methods that were run for it, and what they did.

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/tilt.hpp>

#include "compare/settings.hpp"
#include "support/chosen.hpp"
#include "support/curve.hpp"
#include "support/html.hpp"
#include "support/progress.hpp"

using nlohmann::json;

/// What a method did.
struct Method {
  std::string name = {};
  std::string how = {};                   ///< its settings, in words
  Curve curve = {};                       ///< its last point is what the method is judged by
  std::vector<std::string> answers = {};  ///< one per prompt, to show
  std::vector<double> answer_rewards = {};
  tilt::Cost spent = {};  ///< of all prompts; those that share a run have the same
  int color = 1;
  bool has_law = false;  ///< claims to sample the tilted law
  double p =
      tilt::unset;  ///< of its difference to best of n, corrected for the comparisons of its part

  [[nodiscard]] const Point& last() const { return curve.back(); }
};

struct Part;

/// A piece of the job: what it finds is kept together, or not at all.
struct Step {
  std::string name = {};           ///< no other step of its part has it
  std::size_t tokens = 0;          ///< about how many it generates
  std::function<void(Part&)> run;  ///< adds to the part
};

/// A reward with the methods that were run for it.
struct Part {
  std::string key = {}, title = {}, lead = {}, reward_name = {};
  std::vector<std::string> ids = {}, questions = {};
  std::vector<Step> steps = {};
  std::vector<Method> methods = {};
  std::vector<double> draws =
      {};  ///< rewards of all draws of best of n, where later steps need them
  std::optional<Point> target = {};  ///< plain sampling of the law that is aimed at
  std::string target_name = {};
  std::string in_short = {};
  std::vector<std::string> verdicts = {};
  std::vector<std::vector<std::string>> table = {}, budget_table = {}, depth_table = {};
  std::vector<json> rows = {};  ///< answers, for results.jsonl
  std::size_t finished = 0;     ///< steps

  /// Whether there is something to show.
  [[nodiscard]] bool has_reference() const {
    return std::ranges::find(methods, "best of n", &Method::name) != methods.end();
  }
  /// What the others are compared with.
  [[nodiscard]] const Method& best_of_n() const {
    return *std::ranges::find(methods, "best of n", &Method::name);
  }
};

inline std::string with_error(const Estimate& e, int digits) {
  return number(e.mean, digits) + (std::isnan(e.error) ? "" : " ±" + number(e.error, digits));
}

/// What steps work with.
template <class P>
struct Job {
  const Settings& settings;
  P& model;
  Watched<P>& policy;  ///< the model, with a progress line
  std::stop_token stop;
};

/// The job was asked to end.
class Interrupted : public tilt::Error {
 public:
  Interrupted() : tilt::Error("interrupted") {}
};

/// Runs a method on all prompts.
/// @throws Interrupted when a stop was asked for; tilt::Error with the cause when a prompt failed
template <class P, class Sampler, class Select>
std::vector<tilt::Result> run(const Job<P>& job, const ChosenReward& reward, Sampler sampler,
                              Select selector, const std::vector<tilt::Prompt>& prompts,
                              std::vector<CurveRecorder*> recorders = {},
                              std::uint64_t seed_offset = 0) {
  const tilt::Decoder decoder{job.policy, reward, ChosenSampler(std::move(sampler)),
                              chosen(std::move(selector))};
  Recorders all{std::move(recorders)};
  std::vector<tilt::Result> results =
      decoder.batch(prompts, {.seed = job.settings.seed + seed_offset, .stop = job.stop}, all);
  if (job.stop.stop_requested()) throw Interrupted();
  for (const tilt::Result& result : results) {
    if (result.stop == tilt::Stop::failed) throw tilt::Error(result.failures.front().what);
  }
  return results;
}

inline tilt::Cost total(const std::vector<tilt::Result>& results) {
  tilt::Cost cost;
  for (const tilt::Result& result : results) cost += result.spent;
  return cost;
}

/// What a run of rejections would answer if it ended here: what it has accepted, else its best.
inline double accepted_or_best(const tilt::Population& population) {
  return population.total_weight() > 0 ? reward_of(tilt::LastState{})(population)
                                       : reward_of(tilt::HighestReward{})(population);
}

/// The line of results.jsonl of an answer to a prompt, by its number.
inline json answer_line(const Part& part, const Method& method, std::size_t prompt,
                        std::size_t repeat, const tilt::Candidate& answer,
                        const tilt::Result& result, const tilt::Cost& spent) {
  return {{"kind", "answer"},
          {"part", part.key},
          {"method", method.name},
          {"id", part.ids[prompt]},
          {"repeat", repeat},
          {"prompt", part.questions[prompt]},
          {"answer", tilt::shown_text(answer.response.text)},
          {"reward", tilt::number_to_json(worth_of(answer))},
          {"tokens", answer.response.size()},
          {"spent", spent},
          {"stop", result.stop},
          {"stats", tilt::stats_to_json(result.stats)}};
}

/// Fills in what a method answered, and its lines for results.jsonl. Run r is of prompt r mod prompts.
template <class Select>
void keep_answers(Part& part, Method& method, const std::vector<tilt::Result>& results,
                  const Select& selector) {
  const std::size_t prompts = part.ids.size();
  for (std::size_t r = 0; r < results.size(); ++r) {
    const tilt::Result& result = results[r];
    tilt::Random random(0);
    const tilt::Candidate& answer = result.candidates[selector(result.candidates, random).index];
    if (r < prompts) {
      method.answers.push_back(tilt::shown_text(answer.response.text));
      method.answer_rewards.push_back(worth_of(answer));
    }
    part.rows.push_back(
        answer_line(part, method, r % prompts, r / prompts, answer, result, result.spent));
  }
  method.spent = total(results);
}

/// The rewards and lengths of each prompt's draws.
struct Draws {
  std::vector<std::vector<double>> rewards = {}, tokens = {};

  explicit Draws(const std::vector<tilt::Result>& results) {
    for (const tilt::Result& result : results) {
      auto& r = rewards.emplace_back();
      auto& t = tokens.emplace_back();
      for (const tilt::Candidate& candidate : result.candidates) {
        r.push_back(candidate.reward);
        t.push_back(static_cast<double>(candidate.response.size()));
      }
    }
  }

  [[nodiscard]] std::vector<double> all_rewards() const {
    std::vector<double> all;
    for (const auto& r : rewards) all.insert(all.end(), r.begin(), r.end());
    return all;
  }
};

/// One draw from the model, and best-of-n, both out of the same draws.
inline void add_best_of_n(Part& part, const std::vector<tilt::Result>& results,
                          const std::string& plain) {
  const Draws draws(results);
  const std::size_t n = results.front().candidates.size();
  const Curve curve = best_of_n_curve(draws.rewards, draws.tokens, n);
  Method one{.name = plain,
             .how = "one draw; the mean over the " + std::to_string(n) + " draws of best of n",
             .curve = {curve.front()},
             .color = 1};
  const auto share = [n](tilt::Cost cost) {
    cost.policy_calls /= n;
    cost.reward_calls /= n;
    cost.prompt_tokens /= n;
    cost.cached_tokens /= n;
    cost.generated_tokens /= n;
    cost.seconds /= static_cast<double>(n);
    return cost;
  };
  for (std::size_t i = 0; i < results.size(); ++i) {
    const tilt::Candidate& first = results[i].candidates[0];
    one.answers.push_back(tilt::shown_text(first.response.text));
    one.answer_rewards.push_back(first.reward);
    part.rows.push_back(answer_line(part, one, i, 0, first, results[i], share(results[i].spent)));
  }
  one.spent = share(total(results));
  part.methods.push_back(std::move(one));
  Method best{.name = "best of n",
              .how = "the highest reward of n draws, n = 1 to " + std::to_string(n) +
                     "; smaller n from all subsets of the same draws",
              .curve = curve,
              .color = 2};
  keep_answers(part, best, results, tilt::HighestReward{});
  part.methods.push_back(std::move(best));
}

/// QAlign, by its law and by its highest reward.
inline void add_qalign(Part& part, const std::vector<tilt::Result>& results,
                       const CurveRecorder& last, const CurveRecorder& highest,
                       const std::string& how) {
  Method by_law{.name = "QAlign, last state",
                .how = how + "; answers with the chain's last state, as its law asks",
                .curve = last.curve(part.ids.size()),
                .color = 3,
                .has_law = true};
  keep_answers(part, by_law, results, tilt::LastState{});
  part.methods.push_back(std::move(by_law));
  Method by_reward{.name = "QAlign, highest reward",
                   .how = "the same chains; answers with the best of all their states",
                   .curve = highest.curve(part.ids.size()),
                   .color = 4};
  keep_answers(part, by_reward, results, tilt::HighestReward{});
  part.methods.push_back(std::move(by_reward));
}

/// A rule that chooses among the draws of best of n at random: what its choice is worth on average, over
/// the first 1, 2, 4, ... of the draws.
template <class Select>
void add_rule(Part& part, const std::vector<tilt::Result>& results, Method method,
              const Select& selector) {
  const std::size_t n = results.front().candidates.size();
  for (std::size_t k = 1; k <= n; k = k < n ? std::min(2 * k, n) : n + 1) {
    Point point{.setting = "n = " + std::to_string(k)};
    for (const tilt::Result& result : results) {
      const tilt::Population first = result.candidates.first(static_cast<double>(k));
      constexpr std::size_t times = 256;
      double sum = 0, tokens = 0;
      for (std::size_t i = 0; i < times; ++i) {
        tilt::Random random(1, i);
        sum += worth_of(first[selector(first, random).index]);
      }
      for (const tilt::Candidate& c : first) tokens += static_cast<double>(c.response.size());
      point.reward.push_back(sum / times);
      point.tokens.push_back(tokens);
      point.depth.push_back(1);
    }
    method.curve.push_back(std::move(point));
  }
  keep_answers(part, method, results, selector);
  part.methods.push_back(std::move(method));
}

/// RankDraw over the draws of best of n, shaped for a caller who takes the best of four answers.
inline void add_rank_draw(Part& part, const std::vector<tilt::Result>& results) {
  const auto shape = tilt::QuantileTilt::best_of(4, 0.2);
  add_rule(
      part, results,
      {.name = "InfAlign, rank draw",
       .how = "one of the same n draws by its rank, with the density that is best for somebody "
              "who takes the best of 4 such answers (β = 0.2, " +
              number(shape.kl(), 2) + " nats from the model in the limit)",
       .color = 12},
      tilt::RankDraw{shape});
}

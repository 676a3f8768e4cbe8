// Compares methods of test-time alignment on a real model at matched compute: a table in the
// terminal, results.jsonl, and a report.html that needs no network.
//
//   compare --model MODEL.gguf --prompts ifeval.jsonl --out FOLDER

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tilt/engine/llama.hpp>
#include <tilt/io/ifeval.hpp>
#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>
#include <tilt/tilt.hpp>

#include "support/chart.hpp"
#include "support/curve.hpp"
#include "support/html.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using nlohmann::json;
using Policy = Watched<tilt::llama::Policy>;

/// What is run. The defaults take about two minutes on two cores.
struct Settings {
  std::filesystem::path model = {}, prompts = {}, out = {};
  std::uint64_t seed = 1;
  bool full = false;
  std::size_t threads = 0, sequences = 16;

  // IFEval
  std::size_t tasks = 8, draws = 8, max_tokens = 96;
  std::size_t chain_start = 4, chain_steps = 8, stop_draws = 12;
  double temperature = 0.8, chain_beta = 0.1, restart = 0.2;

  // Contrast
  std::string system_a = "Answer cheerfully.", system_b = {};
  std::size_t questions = 8, repeats = 2, contrast_tokens = 12, contrast_draws = 24,
              target_draws = 12, contrast_steps = 28;
  std::vector<std::size_t> cards_caps = {2, 10};
  double ceiling_quantile = 0.95, sharp_beta = 0.3;

  void make_full() {
    full = true;
    tasks = 40;
    draws = 16;
    max_tokens = 160;
    chain_start = 4;
    chain_steps = 24;
    stop_draws = 24;
    questions = 24;
    contrast_draws = 48;
    target_draws = 24;
    contrast_steps = 64;
    cards_caps = {2, 5, 10};
  }
};

const std::vector<std::string> everyday_questions = {
    "Describe the sea.",
    "What is a good breakfast?",
    "Why is the sky blue?",
    "Tell me about cats.",
    "How do I learn to cook?",
    "What should I do this weekend?",
    "Describe a rainy day.",
    "What is a computer?",
    "How does a plane fly?",
    "Tell me about the moon.",
    "What makes a good friend?",
    "How do I sleep better?",
    "Describe a big city.",
    "What is music for?",
    "Why do leaves fall in autumn?",
    "How do I write a letter?",
    "Tell me about bread.",
    "What is a good first job?",
    "How do trains work?",
    "Describe a market.",
    "Why do people travel?",
    "What is snow?",
    "How do I grow tomatoes?",
    "Tell me about bees.",
};

/// What a method did.
struct Method {
  std::string name = {};
  std::string how = {};      ///< its settings, in words
  Curve curve = {};          ///< its last point is what the method is judged by
  std::vector<std::string> answers = {};  ///< one per prompt, to show
  std::vector<double> answer_rewards = {};
  tilt::Cost spent = {};     ///< of all prompts; those that share a run have the same
  int color = 1;
  bool has_law = false;      ///< claims to sample the tilted law

  [[nodiscard]] const Point& last() const { return curve.back(); }
};

/// A reward with the methods that were run for it.
struct Part {
  std::string key = {}, title = {}, lead = {}, reward_name = {};
  std::vector<std::string> ids = {}, questions = {};
  std::vector<Method> methods = {};
  std::optional<Point> target = {};  ///< plain sampling of the law that is aimed at
  std::string target_name = {};
  std::string in_short = {};
  std::vector<std::string> verdicts = {};
  std::vector<std::vector<std::string>> table = {}, budget_table = {};
  std::vector<json> rows = {};             ///< for results.jsonl

  /// What the others are compared with.
  [[nodiscard]] const Method& best_of_n() const {
    return *std::ranges::find(methods, "best of n", &Method::name);
  }
};

std::string with_error(const Estimate& e, int digits) {
  return number(e.mean, digits) + (std::isnan(e.error) ? "" : " ±" + number(e.error, digits));
}

/// Runs a method on all prompts.
/// @throws tilt::Error with the causes when a prompt failed
template <class Reward, class Sampler, class Select, class... Observers>
std::vector<tilt::Result> run(Policy& policy, Reward& reward, Sampler sampler, Select selector,
                              const std::vector<tilt::Prompt>& prompts, std::uint64_t seed,
                              Observers&... observers) {
  const tilt::Decoder decoder{policy, reward, std::move(sampler), std::move(selector)};
  std::vector<tilt::Result> results = decoder.batch(prompts, {.seed = seed}, observers...);
  for (const tilt::Result& result : results) {
    if (result.stop == tilt::Stop::failed) throw tilt::Error(result.failures.front().what);
  }
  return results;
}

tilt::Cost total(const std::vector<tilt::Result>& results) {
  tilt::Cost cost;
  for (const tilt::Result& result : results) cost += result.spent;
  return cost;
}

/// Fills in what a method answered, and its lines for results.jsonl. Run r is of prompt r mod prompts.
template <class Select>
void keep_answers(Part& part, Method& method, const std::vector<tilt::Result>& results,
                  const Select& selector) {
  const std::size_t prompts = part.ids.size();
  for (std::size_t r = 0; r < results.size(); ++r) {
    const tilt::Result& result = results[r];
    tilt::Random random(0);
    const tilt::Candidate& answer =
        result.candidates[selector(result.candidates, random).index];
    const std::string text = tilt::shown_text(answer.response.text);
    if (r < prompts) {
      method.answers.push_back(text);
      method.answer_rewards.push_back(answer.reward);
    }
    part.rows.push_back({{"part", part.key},
                         {"method", method.name},
                         {"id", part.ids[r % prompts]},
                         {"repeat", r / prompts},
                         {"prompt", part.questions[r % prompts]},
                         {"answer", text},
                         {"reward", tilt::number_to_json(answer.reward)},
                         {"tokens", answer.response.size()},
                         {"spent", result.spent},
                         {"stop", result.stop},
                         {"stats", tilt::stats_to_json(result.stats)}});
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
void add_best_of_n(Part& part, const std::vector<tilt::Result>& results, const std::string& plain) {
  const Draws draws(results);
  const std::size_t n = results.front().candidates.size();
  const Curve curve = best_of_n_curve(draws.rewards, draws.tokens, n);
  Method one{.name = plain,
             .how = "one draw; the mean over the " + std::to_string(n) + " draws of best of n",
             .curve = {curve.front()},
             .color = 1};
  for (const tilt::Result& result : results) {
    one.answers.push_back(tilt::shown_text(result.candidates[0].response.text));
    one.answer_rewards.push_back(result.candidates[0].reward);
  }
  one.spent = total(results);
  one.spent.generated_tokens /= n;
  one.spent.reward_calls /= n;
  one.spent.prompt_tokens /= n;
  one.spent.cached_tokens /= n;
  one.spent.seconds /= static_cast<double>(n);
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
void add_qalign(Part& part, const std::vector<tilt::Result>& results, const CurveRecorder& last,
                const CurveRecorder& highest, const std::string& how) {
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

/// IFEval: the share of a prompt's verifiable instructions that an answer follows.
Part run_ifeval(Policy& policy, Progress& progress, const Settings& s,
                const std::vector<tilt::IfevalTask>& tasks) {
  Part part{.key = "ifeval", .title = "IFEval: verifiable instructions",
            .reward_name = "share of instructions followed"};
  std::vector<tilt::Prompt> prompts;
  for (const tilt::IfevalTask& task : tasks) {
    prompts.push_back(task.prompt);
    part.ids.push_back(task.key);
    part.questions.emplace_back(task.prompt.text());
  }
  tilt::IfevalReward reward{tasks};
  part.lead = std::to_string(prompts.size()) +
              " prompts of IFEval whose instructions a program can verify, answers of at most " +
              std::to_string(s.max_tokens) + " tokens at temperature " +
              number(s.temperature, 1) +
              ". The reward is the share of a prompt's instructions that the answer follows, "
              "judged as IFEval's strict checkers do: a sparse reward, of few values, that only a "
              "whole answer has.";
  const std::size_t answer = prompts.size() * s.max_tokens;
  const tilt::SamplingLaw law{.temperature = s.temperature};

  progress.begin("IFEval: best of n", s.draws * answer);
  add_best_of_n(part,
                run(policy, reward, tilt::BestOfN{{.n = s.draws, .max_tokens = s.max_tokens, .law = law}},
                    tilt::HighestReward{}, prompts, s.seed),
                "one draw");

  progress.begin("IFEval: QAlign", (s.chain_start + s.chain_steps / 2) * answer);
  CurveRecorder last{reward_of(tilt::LastState{})}, highest{reward_of(tilt::HighestReward{})};
  const auto chains = run(policy, reward,
                          tilt::QAlign{{.beta = s.chain_beta,
                                        .steps = s.chain_steps,
                                        .max_tokens = s.max_tokens,
                                        .law = law,
                                        .initial_draws = s.chain_start,
                                        .restart = s.restart}},
                          tilt::LastState{}, prompts, s.seed, last, highest);
  add_qalign(part, chains, last, highest,
             "β = " + number(s.chain_beta, 2) + ", started from one of " +
                 std::to_string(s.chain_start) + " draws by exp(r/β), " +
                 std::to_string(s.chain_steps) + " steps, " + number(100 * s.restart, 0) +
                 " % restarts");

  progress.begin("IFEval: best of n that stops at 1", s.stop_draws / 2 * answer);
  CurveRecorder stopping{reward_of(tilt::HighestReward{})};
  const auto stopped = run(policy, reward,
                           tilt::BestOfN{{.n = s.stop_draws,
                                          .max_tokens = s.max_tokens,
                                          .stop_at = 1,
                                          .width = 2,
                                          .law = law}},
                           tilt::HighestReward{}, prompts, s.seed, stopping);
  Method stop{.name = "best of n, stops at 1",
              .how = "two draws at a time, until one follows all instructions, at most " +
                     std::to_string(s.stop_draws),
              .curve = stopping.curve(prompts.size()),
              .color = 5};
  keep_answers(part, stop, stopped, tilt::HighestReward{});
  part.methods.push_back(std::move(stop));
  return part;
}

/// The contrast of two system prompts: a dense reward whose aligned law is known.
Part run_contrast(Policy& policy, tilt::llama::Policy& model, Progress& progress,
                  const Settings& s) {
  Part part{.key = "contrast", .title = "Contrast: a law that is known",
            .reward_name = "log p(y | A) − log p(y | B), nats"};
  std::vector<tilt::Prompt> prompts, repeated;
  for (std::size_t i = 0; i < std::min(s.questions, everyday_questions.size()); ++i) {
    part.ids.push_back("q" + std::to_string(i + 1));
    part.questions.push_back(everyday_questions[i]);
  }
  const auto under = [&](const std::string& system) {
    std::vector<tilt::Prompt> chats;
    for (const std::string& question : part.questions) {
      std::vector<tilt::Message> messages;
      if (!system.empty()) messages.push_back({"system", system});
      messages.push_back({"user", question});
      chats.push_back(tilt::Prompt::from_messages(std::move(messages)));
    }
    return chats;
  };
  prompts = under(s.system_b);
  for (std::size_t i = 0; i < s.repeats; ++i) {
    repeated.insert(repeated.end(), prompts.begin(), prompts.end());
  }
  tilt::llama::ContrastReward reward{model, s.system_a, s.system_b};
  const std::string b = s.system_b.empty() ? "no system prompt" : "“" + s.system_b + "”";
  part.lead = std::to_string(prompts.size()) + " everyday questions, answers of at most " +
              std::to_string(s.contrast_tokens) + " tokens at temperature 1. A is the system prompt “" + s.system_a +
              "”, B is " + b +
              ". The model answers under B; the reward says how much more probable A makes the "
              "answer. At β = 1 the law that QAlign, rejection and CARDS aim at is the model under "
              "A itself, so that plain sampling under A shows where they should arrive. Best of n "
              "has no such aim and may go beyond.";
  const std::size_t answer = prompts.size() * s.contrast_tokens;

  progress.begin("Contrast: plain sampling under A", s.target_draws * answer);
  const auto target = run(policy, reward,
                          tilt::BestOfN{{.n = s.target_draws, .max_tokens = s.contrast_tokens}},
                          tilt::HighestReward{}, under(s.system_a), s.seed + 1);
  {
    const Draws draws(target);
    part.target = best_of_n_curve(draws.rewards, draws.tokens, 1).front();
    part.target_name = "plain sampling under A";
  }

  progress.begin("Contrast: best of n", s.contrast_draws * answer);
  const auto base = run(policy, reward,
                        tilt::BestOfN{{.n = s.contrast_draws, .max_tokens = s.contrast_tokens}},
                        tilt::HighestReward{}, prompts, s.seed);
  add_best_of_n(part, base, "plain sampling under B");
  const double goal = tilt::quantile(Draws(base).all_rewards(), s.ceiling_quantile);
  const std::string of_draws = number(goal, 2) + " (the " + number(100 * s.ceiling_quantile, 0) +
                               " % quantile of the draws under B)";

  progress.begin("Contrast: rejection", 10 * s.repeats * answer);
  const auto accepted_or_best = [](const tilt::Population& population) {
    return population.total_weight() > 0 ? reward_of(tilt::LastState{})(population)
                                         : reward_of(tilt::HighestReward{})(population);
  };
  CurveRecorder capped{accepted_or_best};
  const auto rejected = run(policy, reward,
                            tilt::Rejection{{.beta = 1,
                                             .ceiling = goal,
                                             .max_rejections = 20,
                                             .max_tokens = s.contrast_tokens}},
                            tilt::LastState{}, repeated, s.seed, capped);
  Method rejection{.name = "rejection",
                   .how = "β = 1, ceiling " + of_draws +
                          ", at most 20 rejections; the curve is over smaller caps",
                   .curve = capped.curve(prompts.size()),
                   .color = 5,
                   .has_law = true};
  keep_answers(part, rejection, rejected, tilt::LastState{});
  part.methods.push_back(std::move(rejection));

  const auto add_cards = [&](const std::string& name, double beta, double reward_goal, int color) {
    Method cards{.name = name, .color = color, .has_law = beta == 1};
    for (const std::size_t cap : s.cards_caps) {
      progress.begin("Contrast: " + name + ", cap " + std::to_string(cap), 4 * s.repeats * answer);
      const auto built =
          run(policy, reward,
              tilt::Cards{{.beta = beta,
                           .reward_goal = reward_goal,
                           .max_rejections = cap,
                           .max_tokens = s.contrast_tokens,
                           .segment = {.entropy = 3, .min_tokens = 2, .max_tokens = 8}}},
              tilt::LastState{}, repeated, s.seed);
      Point point{.setting = "cap " + std::to_string(cap),
                  .reward = std::vector<double>(prompts.size(), 0.0),
                  .tokens = std::vector<double>(prompts.size(), 0.0)};
      for (std::size_t r = 0; r < built.size(); ++r) {
        const double share = 1 / static_cast<double>(s.repeats);
        point.reward[r % prompts.size()] += share * built[r].answer.reward;
        point.tokens[r % prompts.size()] +=
            share * static_cast<double>(built[r].spent.generated_tokens);
      }
      cards.curve.push_back(std::move(point));
      if (cap == s.cards_caps.back()) keep_answers(part, cards, built, tilt::LastState{});
    }
    cards.how = "β = " + number(beta, 1) + ", reward goal " + number(reward_goal, 2) +
                ", segments that end before a token of 3 nats of entropy; at most " +
                std::to_string(s.cards_caps.front()) + " to " +
                std::to_string(s.cards_caps.back()) + " rejections a segment";
    std::ranges::sort(cards.curve, {}, &Point::mean_tokens);
    part.methods.push_back(std::move(cards));
  };
  add_cards("CARDS", 1, goal, 6);
  add_cards("CARDS, sharp", s.sharp_beta, tilt::quantile(Draws(base).all_rewards(), 1), 7);

  progress.begin("Contrast: QAlign", (4 + s.contrast_steps / 2) * s.repeats * answer);
  CurveRecorder last{reward_of(tilt::LastState{})}, highest{reward_of(tilt::HighestReward{})};
  const auto chains = run(policy, reward,
                          tilt::QAlign{{.beta = 1,
                                        .steps = s.contrast_steps,
                                        .max_tokens = s.contrast_tokens,
                                        .initial_draws = 4,
                                        .restart = s.restart}},
                          tilt::LastState{}, repeated, s.seed, last, highest);
  add_qalign(part, chains, last, highest,
             "β = 1, started from one of 4 draws by exp(r/β), " +
                 std::to_string(s.contrast_steps) + " steps, " + number(100 * s.restart, 0) +
                 " % restarts");
  return part;
}

/// The draws whose best is the reward to reach: 16, or as many as there are.
std::size_t draws_to_reach(const Part& part) {
  return std::min<std::size_t>(16, part.best_of_n().curve.size());
}

/// A method against best-of-n at the highest cost that both have seen.
struct Match {
  double tokens = tilt::unset;
  Estimate mine = {}, theirs = {}, gain = {};
};

std::optional<Match> match(const Method& method, const Method& best_of_n) {
  const double tokens =
      std::min(method.last().mean_tokens(), best_of_n.last().mean_tokens());
  const auto mine = rewards_at(method.curve, tokens);
  const auto theirs = rewards_at(best_of_n.curve, tokens);
  if (!mine || !theirs) return std::nullopt;
  return Match{tokens, estimate(*mine), estimate(*theirs), difference(*mine, *theirs)};
}

std::string in_errors(const Estimate& e) {
  if (std::isnan(e.error)) return "one prompt gives no standard error";
  if (e.error == 0) return e.mean == 0 ? "no difference" : "the same on every prompt";
  return number(std::abs(e.standard_errors()), 1) + " standard errors";
}

bool is_clear(const Estimate& e) { return e.error > 0 && std::abs(e.standard_errors()) >= 2; }

/// Which method won, in words.
void judge(Part& part) {
  const Method& reference = part.best_of_n();
  const Method* winner = nullptr;
  std::optional<Match> won;
  bool beaten = false;
  std::vector<std::string> sentences;
  for (const Method& method : part.methods) {
    if (&method == &reference || method.curve.size() < 2) continue;
    const std::optional<Match> m = match(method, reference);
    if (!m) continue;
    const bool clear = is_clear(m->gain);
    sentences.push_back(
        method.name + " against best of n at " + number(m->tokens, 0) + " tokens a prompt: " +
        number(m->mine.mean, 3) + " against " + number(m->theirs.mean, 3) + ", difference " +
        signed_number(m->gain.mean, 3) + " (" + in_errors(m->gain) + "): " +
        (!clear ? "no clear difference." : m->gain.mean > 0 ? "it wins." : "best of n wins."));
    if (clear && m->gain.mean < 0) beaten = true;
    if (clear && m->gain.mean > 0 && (!won || m->gain.mean > won->gain.mean)) {
      winner = &method;
      won = m;
    }
  }
  if (winner != nullptr) {
    part.in_short = "At equal generated tokens " + winner->name +
                    " wins: ahead of best of n by " + number(won->gain.mean, 3) + " (" +
                    in_errors(won->gain) + ").";
  } else {
    part.in_short = std::string("At equal generated tokens no method is ahead of best of n by two "
                                "standard errors") +
                    (beaten ? ", and best of n is ahead of some by more."
                            : "; the differences are small or the prompts too few.");
  }
  part.verdicts = std::move(sentences);

  if (part.target) {
    std::string agree, differ;
    for (const Method& method : part.methods) {
      if (!method.has_law) continue;
      const Estimate gap = difference(method.last().reward, part.target->reward);
      part.verdicts.push_back(method.name + " against its aim, " + part.target_name + ": " +
                              number(estimate(method.last().reward).mean, 3) + " against " +
                              number(estimate(part.target->reward).mean, 3) + " (" +
                              in_errors(gap) + " apart).");
      std::string& names = is_clear(gap) ? differ : agree;
      names += (names.empty() ? "" : "; ") + method.name;
    }
    if (!agree.empty()) part.in_short += " Where they should arrive, within two standard errors: " + agree + '.';
    if (!differ.empty()) part.in_short += " Not there: " + differ + '.';
    const std::size_t n = draws_to_reach(part);
    const Point& goal = reference.curve[n - 1];
    const double reward = estimate(goal.reward).mean;
    std::string reached, missed;
    for (const Method& method : part.methods) {
      if (&method == &reference || method.curve.size() < 2) continue;
      const auto tokens = tokens_to_reach(method.curve, reward);
      std::string& names = tokens ? reached : missed;
      names += (names.empty() ? "" : "; ") + method.name +
               (tokens ? " at " + number(*tokens, 0) + " tokens"
                       : " (" + number(method.last().mean_tokens(), 0) + " tokens)");
    }
    part.verdicts.push_back("The reward of best of " + std::to_string(n) + ", " +
                            number(reward, 2) + " at " + number(goal.mean_tokens(), 0) +
                            " tokens, is reached by " + (reached.empty() ? "none" : reached) +
                            (missed.empty() ? "." : "; not by " + missed + "."));
  }
}

void tabulate(Part& part) {
  const Method& reference = part.best_of_n();
  part.table = {{"method", "reward ± s.e.", "tokens", "gain at equal tokens", "in s.e.",
                 "reward calls", "cached", "seconds"}};
  if (part.key == "ifeval") part.table[0].insert(part.table[0].begin() + 2, "all followed");
  const double goal = estimate(reference.curve[draws_to_reach(part) - 1].reward).mean;
  if (part.target) {
    part.table[0].insert(part.table[0].begin() + 3,
                         "to best of " + std::to_string(draws_to_reach(part)));
    part.table.push_back({part.target_name, with_error(estimate(part.target->reward), 3),
                          number(part.target->mean_tokens(), 0), "", "", "", "", "", ""});
  }
  for (const Method& method : part.methods) {
    const double prompts = static_cast<double>(part.ids.size());
    std::vector<std::string> row = {method.name, with_error(estimate(method.last().reward), 3)};
    if (part.key == "ifeval") {
      const auto all = std::ranges::count_if(method.answer_rewards, [](double r) { return r >= 1; });
      row.push_back(std::to_string(all) + " of " + std::to_string(part.ids.size()));
    }
    row.push_back(number(method.last().mean_tokens(), 0));
    if (part.target) {
      const auto tokens = tokens_to_reach(method.curve, goal);
      row.push_back(tokens ? number(*tokens, 0) : "–");
    }
    const auto m = &method == &reference || method.curve.size() < 2 ? std::nullopt
                                                                    : match(method, reference);
    row.push_back(m ? signed_number(m->gain.mean, 3) : "");
    row.push_back(m && m->gain.error > 0 ? signed_number(m->gain.standard_errors(), 1) : "");
    row.push_back(number(static_cast<double>(method.spent.reward_calls) / prompts, 1));
    row.push_back(method.spent.prompt_tokens == 0
                      ? "–"
                      : number(100 * static_cast<double>(method.spent.cached_tokens) /
                                   static_cast<double>(method.spent.prompt_tokens), 0) + " %");
    row.push_back(number(method.spent.seconds, 1));
    part.table.push_back(std::move(row));
  }

  part.budget_table = {{"tokens a prompt (as many draws)"}};
  std::vector<double> budgets;
  for (std::size_t n = 1; n <= reference.curve.size(); n *= 2) {
    budgets.push_back(reference.curve[n - 1].mean_tokens());
    part.budget_table[0].push_back(number(budgets.back(), 0) + " (" + std::to_string(n) + ")");
  }
  for (const Method& method : part.methods) {
    if (method.curve.size() < 2) continue;
    std::vector<std::string> row = {method.name};
    for (const double budget : budgets) {
      // A method that has ended spends no more: what it reached stays.
      const auto rewards = budget >= method.last().mean_tokens()
                               ? std::optional(method.last().reward)
                               : rewards_at(method.curve, budget);
      row.push_back(rewards ? number(estimate(*rewards).mean, 3) : "–");
    }
    part.budget_table.push_back(std::move(row));
  }
}

Chart chart_of(const Part& part) {
  Chart chart{.title = part.title + ": mean reward against generated tokens",
              .x_name = "generated tokens a prompt, rejected work included",
              .y_name = part.reward_name};
  if (part.key == "ifeval") {
    chart.lowest = 0;
    chart.highest = 1;
  }
  const double width = interval_width(part.ids.size());
  for (const Method& method : part.methods) {
    if (&method == &part.methods.front()) continue;  // one draw: where best of n begins
    ChartLine line{.name = method.name, .color = method.color,
                   .band = &method == &part.best_of_n()};
    for (const Point& point : method.curve) {
      const Estimate e = estimate(point.reward);
      line.points.push_back({point.mean_tokens(), e.mean, width * e.error, point.setting});
    }
    chart.lines.push_back(std::move(line));
  }
  if (part.target) {
    const Estimate e = estimate(part.target->reward);
    chart.levels.push_back({part.target_name, e.mean, width * e.error});
  }
  return chart;
}

std::string list(const std::vector<std::string>& sentences) {
  std::string html = "<ul>\n";
  for (const std::string& sentence : sentences) html += "<li>" + escape(sentence) + "</li>\n";
  return html + "</ul>\n";
}

std::string html_of(const Part& part) {
  std::string html = "<h2>" + escape(part.title) + "</h2>\n<p>" + escape(part.lead) + "</p>\n";
  html += "<div class=\"pair\">\n" + html_chart(chart_of(part)) + list(part.verdicts) + "</div>\n";
  html += "<h3>Where each method ended</h3>\n" + html_table(part.table);
  html += "<p class=\"soft\">Tokens are generated ones, per prompt" +
          (part.target ? "; “to best of " + std::to_string(draws_to_reach(part)) +
                             "” is what it took to reach that reward"
                       : std::string()) +
          ". Gain: against best of n at equal tokens, paired by prompt, and the same in standard errors. "
          "Reward calls are per prompt. Cached: share of the prompt and prefix tokens that were not "
          "computed again. Seconds: for all prompts together; methods that share a run share its costs, "
          "and one draw is charged its share of the draws.</p>\n";
  html += "<h3>Mean reward at equal tokens</h3>\n" + html_table(part.budget_table);
  html += "<h3>What was run</h3>\n<ul>\n";
  for (const Method& method : part.methods) {
    html += "<li><strong>" + escape(method.name) + "</strong>: " + escape(method.how) + ".</li>\n";
  }
  html += "</ul>\n<h3>Answers side by side</h3>\n";
  constexpr std::size_t shown = 6;
  for (std::size_t p = 0; p < std::min(shown, part.ids.size()); ++p) {
    html += std::string("<details") + (p == 0 ? " open" : "") + "><summary>" +
            escape(part.questions[p]) + "</summary>\n<div class=\"answers\">\n";
    for (const Method& method : part.methods) {
      html += "<div class=\"answer c" + std::to_string(method.color) + "\"><strong>" +
              escape(method.name) + "</strong> <span class=\"soft\">reward " +
              number(method.answer_rewards[p], 2) + "</span><pre>" + escape(method.answers[p]) +
              "</pre></div>\n";
    }
    html += "</div></details>\n";
  }
  return html;
}

std::string page(const Settings& s, const std::vector<Part>& parts, const std::string& model,
                 std::size_t threads) {
  std::string html = page_head("tilt: methods at matched compute");
  html += "<h1>Test-time alignment at matched compute</h1>\n<p>One frozen model, several ways to spend "
          "the same number of generated tokens on better answers.</p>\n<p class=\"soft\">" +
          escape(s.model.filename().string()) + " on " + std::to_string(threads) +
          (threads == 1 ? " thread" : " threads") + ", seed " + std::to_string(s.seed) + ", tilt " + TILT_VERSION +
          (s.full ? ", long run" : ", short run: few prompts, wide intervals") + ".</p>\n";
  html += "<div class=\"verdict\">\n";
  for (const Part& part : parts) {
    html += "<p><strong>" + escape(part.title) + ".</strong> " + escape(part.in_short) +
            "</p>\n";
  }
  html += "</div>\n";
  for (const Part& part : parts) html += html_of(part);
  html += "<h2>How to read this</h2>\n<ul>\n"
          "<li>Compute is counted in generated tokens per prompt: every token that the model drew, "
          "rejected proposals and end tokens included. Scoring and prompts are not in it; the tables "
          "have reward calls, cached tokens and seconds beside it.</li>\n"
          "<li>± is one standard error of the mean over prompts; the band and the bars at the ends of "
          "the lines are 95 % intervals (Student’s t). Differences are paired by prompt, which is why "
          "they can be clear where intervals overlap. With more than one comparison on a page, two standard errors are a hint "
          "and no proof.</li>\n"
          "<li>“Last state” has the law that QAlign claims; “highest reward” has not, and is shown "
          "because it is what best of n does with its draws.</li>\n"
          "<li>The draws that set ceiling and goal of rejection and CARDS (a high quantile of the rewards "
          "under B; for “CARDS, sharp” the highest) are not charged to them.</li>\n</ul>\n<p class=\"soft\">Model: " +
          escape(model) + ". The numbers are in results.jsonl beside this page.</p>\n";
  return html + page_foot();
}

/// results.jsonl: the settings, every answer, and every point of every curve.
std::string lines(const Settings& s, const std::vector<Part>& parts, const std::string& model) {
  std::string text;
  const auto add = [&](const json& j) {
    text += j.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  };
  add({{"kind", "settings"},
       {"model", s.model.filename().string()},
       {"fingerprint", model},
       {"seed", s.seed},
       {"full", s.full},
       {"version", TILT_VERSION}});
  for (const Part& part : parts) {
    const auto add_curve = [&](const std::string& name, const Curve& curve) {
      for (const Point& point : curve) {
        const Estimate e = estimate(point.reward);
        add({{"kind", "point"},
             {"part", part.key},
             {"method", name},
             {"setting", point.setting},
             {"tokens", tilt::number_to_json(point.mean_tokens())},
             {"reward", tilt::number_to_json(e.mean)},
             {"standard_error", tilt::number_to_json(e.error)},
             {"rewards", tilt::numbers_to_json(point.reward)}});
      }
    };
    for (json row : part.rows) {
      row["kind"] = "answer";
      add(row);
    }
    for (const Method& method : part.methods) add_curve(method.name, method.curve);
    if (part.target) add_curve(part.target_name, {*part.target});
    add({{"kind", "verdict"}, {"part", part.key}, {"text", part.in_short}});
    for (const std::string& verdict : part.verdicts) {
      add({{"kind", "verdict"}, {"part", part.key}, {"text", verdict}});
    }
  }
  return text;
}

/// The first tasks of a file; lines that cannot be used are named and passed over.
std::vector<tilt::IfevalTask> read_tasks(const std::filesystem::path& path, std::size_t most) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(path);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  std::vector<tilt::IfevalTask> tasks;
  for (const tilt::JsonlRow& row : file.rows) {
    if (tasks.size() == most) break;
    try {
      tasks.push_back(tilt::ifeval_task(row.value));
    } catch (const tilt::InvalidOption& error) {
      file.faults.push_back({row.line, error.what()});
    }
  }
  for (const tilt::JsonlFault& fault : file.faults) {
    std::cerr << path.string() << ", line " << fault.line << ": " << fault.what << '\n';
  }
  if (tasks.empty()) throw BadInput(path.string() + " has no row of IFEval that can be used");
  return tasks;
}

int compare(const Settings& s) {
  const std::vector<tilt::IfevalTask> tasks = read_tasks(s.prompts, s.tasks);
  tilt::llama::Policy model =
      load_model(s.model, {.sequences = s.sequences, .threads = s.threads});
  std::error_code error;
  std::filesystem::create_directories(s.out, error);
  if (!std::filesystem::is_directory(s.out)) {
    throw BadInput("cannot make the folder " + s.out.string() + ": " + error.message());
  }

  const std::size_t ifeval_tokens =
      tasks.size() * s.max_tokens *
      (s.draws + s.chain_start + s.chain_steps / 2 + s.stop_draws / 2);
  const std::size_t contrast_tokens =
      std::min(s.questions, everyday_questions.size()) * s.contrast_tokens *
      (s.target_draws + s.contrast_draws +
       s.repeats * (10 + 8 * s.cards_caps.size() + 4 + s.contrast_steps / 2));
  std::vector<Part> parts;
  {
    Progress progress(ifeval_tokens + contrast_tokens);
    Policy policy(model, progress, s.sequences);
    parts.push_back(run_ifeval(policy, progress, s, tasks));
    parts.push_back(run_contrast(policy, model, progress, s));
  }
  for (Part& part : parts) {
    judge(part);
    tabulate(part);
    std::cout << '\n' << part.title << ", " << part.ids.size() << " prompts\n\n"
              << text_table(part.table) << '\n' << text_table(part.budget_table) << '\n'
              << part.in_short << '\n';
    for (const std::string& verdict : part.verdicts) std::cout << "- " << verdict << '\n';
  }
  const std::size_t threads =
      s.threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : s.threads;
  tilt::write_whole_file(s.out / "results.jsonl", lines(s, parts, model.fingerprint()));
  tilt::write_whole_file(s.out / "report.html", page(s, parts, model.fingerprint(), threads));
  std::cout << "\nReport: " << (s.out / "report.html").string() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  if (std::any_of(argv, argv + argc, [](const char* a) { return std::string_view(a) == "--full"; })) {
    s.make_full();  // before the options, which may change parts of it
  }
  CLI::App app{"Compares methods of test-time alignment on one model at matched generated tokens.\n"
               "Writes report.html (open it in a browser) and results.jsonl.",
               "compare"};
  app.add_option("--model", s.model, "the model, a GGUF file")->required();
  app.add_option("--prompts", s.prompts, "prompts with verifiable instructions, JSONL of IFEval's form")
      ->required();
  app.add_option("--out", s.out, "folder for report.html and results.jsonl")->required();
  app.add_option("--seed", s.seed, "same seed, same model, same answers")->capture_default_str();
  bool full = false;  // looked for above
  app.add_flag("--full", full, "the long run: more prompts, more draws, longer answers (about half an hour)");
  app.add_option("--threads", s.threads, "processor threads; 0: all cores")->capture_default_str();
  app.add_option("--tasks", s.tasks, "prompts of the IFEval part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--draws", s.draws, "draws of best of n in the IFEval part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--max-tokens", s.max_tokens, "longest answer of the IFEval part, tokens")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--temperature", s.temperature, "temperature of the model in the IFEval part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--chain-steps", s.chain_steps, "steps of QAlign in the IFEval part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--questions", s.questions, "prompts of the contrast part, 1 to 24")
      ->capture_default_str()->check(CLI::Range(1, 24));
  app.add_option("--contrast-draws", s.contrast_draws, "draws of best of n in the contrast part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--contrast-steps", s.contrast_steps, "steps of QAlign in the contrast part")
      ->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--system-a", s.system_a, "the system prompt that the contrast aims at")
      ->capture_default_str();
  app.add_option("--system-b", s.system_b, "the system prompt that it starts from; empty: none");
  return run_program(app, argc, argv, [&] { return compare(s); });
}

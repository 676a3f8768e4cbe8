#pragma once

// Which method won, as sentences and as tables.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compare/part.hpp"

/// The draws whose best is the reward to reach: 16, or as many as there are.
inline std::size_t draws_to_reach(const Part& part) {
  return std::min<std::size_t>(16, part.best_of_n().curve.size());
}

/// A method against best-of-n at the highest cost that both have seen.
struct Match {
  double tokens = tilt::unset;
  Estimate mine = {}, theirs = {}, gain = {};
};

inline std::optional<Match> match(const Method& method, const Method& best_of_n) {
  const double tokens = std::min(method.last().mean_tokens(), best_of_n.last().mean_tokens());
  const auto mine = rewards_at(method.curve, tokens);
  const auto theirs = rewards_at(best_of_n.curve, tokens);
  if (!mine || !theirs) return std::nullopt;
  return Match{tokens, estimate(*mine), estimate(*theirs), difference(*mine, *theirs)};
}

inline std::string in_errors(const Estimate& e) {
  if (std::isnan(e.error)) return "one prompt gives no standard error";
  if (e.error == 0) return e.mean == 0 ? "no difference" : "the same on every prompt";
  return number(std::abs(e.standard_errors()), 1) + " standard errors";
}

inline bool is_clear(const Estimate& e) {
  return e.error > 0 && std::abs(e.standard_errors()) >= 2;
}

/// Which method won, in words.
inline void judge(Part& part) {
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
    sentences.push_back(method.name + " against best of n at " + number(m->tokens, 0) +
                        " tokens a prompt: " + number(m->mine.mean, 3) + " against " +
                        number(m->theirs.mean, 3) + ", difference " +
                        signed_number(m->gain.mean, 3) + " (" + in_errors(m->gain) + "): " +
                        (!clear             ? "no clear difference."
                         : m->gain.mean > 0 ? "it wins."
                                            : "best of n wins."));
    if (clear && m->gain.mean < 0) beaten = true;
    if (clear && m->gain.mean > 0 && (!won || m->gain.mean > won->gain.mean)) {
      winner = &method;
      won = m;
    }
  }
  if (winner != nullptr) {
    part.in_short = "At equal generated tokens " + winner->name + " wins: ahead of best of n by " +
                    number(won->gain.mean, 3) + " (" + in_errors(won->gain) + ").";
  } else {
    part.in_short = std::string(
                        "At equal generated tokens no method is ahead of best of n by two "
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
    if (!agree.empty())
      part.in_short += " Where they should arrive, within two standard errors: " + agree + '.';
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

/// What each method has reached after so many generations one after the other, with the generated tokens
/// that it had spent by then.
inline std::vector<std::vector<std::string>> depth_table(const Part& part) {
  double most = 1;
  for (const Method& method : part.methods) most = std::max(most, method.last().mean_depth());
  std::vector<std::vector<std::string>> table = {{"generations in a row"}};
  std::vector<double> depths;
  for (double depth = 1; depth < 2 * most; depth *= 2) {
    depths.push_back(depth);
    table[0].push_back("up to " + number(depth, 0));
  }
  for (const Method& method : part.methods) {
    std::vector<std::string> row = {method.name};
    for (const double depth : depths) {
      const Point* reached = nullptr;
      for (const Point& point : method.curve) {
        if (point.mean_depth() <= depth) reached = &point;
      }
      row.push_back(reached == nullptr ? "–"
                                       : number(estimate(reached->reward).mean, 3) + " (" +
                                             number(reached->mean_tokens(), 0) + ")");
    }
    table.push_back(std::move(row));
  }
  return table;
}

inline void tabulate(Part& part) {
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
      const auto all =
          std::ranges::count_if(method.answer_rewards, [](double r) { return r >= 1; });
      row.push_back(std::to_string(all) + " of " + std::to_string(part.ids.size()));
    }
    row.push_back(number(method.last().mean_tokens(), 0));
    if (part.target) {
      const auto tokens = tokens_to_reach(method.curve, goal);
      row.push_back(tokens ? number(*tokens, 0) : "–");
    }
    const auto m =
        &method == &reference || method.curve.size() < 2 ? std::nullopt : match(method, reference);
    row.push_back(m ? signed_number(m->gain.mean, 3) : "");
    row.push_back(m && m->gain.error > 0 ? signed_number(m->gain.standard_errors(), 1) : "");
    row.push_back(number(static_cast<double>(method.spent.reward_calls) / prompts, 1));
    row.push_back(method.spent.prompt_tokens == 0
                      ? "–"
                      : number(100 * static_cast<double>(method.spent.cached_tokens) /
                                   static_cast<double>(method.spent.prompt_tokens),
                               0) +
                            " %");
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
  part.depth_table = depth_table(part);
}

/// All methods of all parts in one table: where each ended, and what it took.
inline std::vector<std::vector<std::string>> overview(const std::vector<Part>& parts) {
  std::vector<std::vector<std::string>> table = {{"method"}};
  std::vector<std::string> names;
  for (const Part& part : parts) {
    for (const char* column : {"reward ± s.e.", "tokens", "in a row"}) {
      table[0].push_back(part.key + ": " + column);
    }
    for (const Method& method : part.methods) {
      if (&method == &part.methods.front()) continue;  // one draw has another name in each part
      if (std::ranges::find(names, method.name) == names.end()) names.push_back(method.name);
    }
  }
  names.insert(names.begin(), "one draw");
  for (const std::string& name : names) {
    std::vector<std::string> row = {name};
    for (const Part& part : parts) {
      const auto found = name == "one draw" ? part.methods.begin()
                                            : std::ranges::find(part.methods, name, &Method::name);
      if (found == part.methods.end()) {
        row.insert(row.end(), 3, "–");
        continue;
      }
      row.push_back(with_error(estimate(found->last().reward), 3));
      row.push_back(number(found->last().mean_tokens(), 0));
      row.push_back(number(found->last().mean_depth(), 1));
    }
    table.push_back(std::move(row));
  }
  return table;
}

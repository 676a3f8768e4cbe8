#pragma once

// Which methods differ clearly, as sentences and as tables.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compare/part.hpp"
#include "support/significance.hpp"

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

/// A probability in words.
inline std::string p_text(double p) { return p < 0.001 ? "p < 0.001" : "p = " + number(p, 3); }

/// A difference in standard errors with its corrected p; why it has none, where it has none.
inline std::string with_p(const Estimate& e, double p, const char* apart = "") {
  return in_errors(e) + (e.error > 0 ? apart + (", " + p_text(p)) : "");
}

/// How probable a paired difference is at least where there is none; 1 where nothing can be said.
inline double p_of(const Estimate& difference, std::size_t prompts) {
  return difference.error > 0 ? student_p(difference.standard_errors(), prompts - 1) : 1;
}

/// The level of all comparisons of one kind together: the probability of any false call.
inline constexpr double family_level = 0.05;

inline bool is_clear(double corrected_p) { return corrected_p <= family_level; }

/// Names, or "none".
inline std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "; ") + name;
  return text.empty() ? "none" : text;
}

/// Each method against best of n at equal tokens, as sentences and in short.
inline void judge_gains(Part& part) {
  const Method& reference = part.best_of_n();
  std::vector<Method*> compared;
  std::vector<Match> matches;
  std::vector<double> p;
  for (Method& method : part.methods) {
    if (&method == &reference || method.curve.size() < 2) continue;
    const std::optional<Match> m = match(method, reference);
    if (!m) continue;
    compared.push_back(&method);
    matches.push_back(*m);
    p.push_back(p_of(m->gain, part.ids.size()));
  }
  p = holm(std::move(p));
  std::vector<std::string> ahead, behind;
  for (std::size_t i = 0; i < compared.size(); ++i) {
    Method& method = *compared[i];
    const Match& m = matches[i];
    method.p = m.gain.error > 0 ? p[i] : tilt::unset;
    const bool clear = is_clear(p[i]);
    part.verdicts.push_back(method.name + " against best of n at " + number(m.tokens, 0) +
                            " tokens a prompt: " + number(m.mine.mean, 3) + " against " +
                            number(m.theirs.mean, 3) + ", difference " +
                            signed_number(m.gain.mean, 3) + " (" + with_p(m.gain, p[i]) + "): " +
                            (!clear            ? "no clear difference."
                             : m.gain.mean > 0 ? "it is ahead."
                                               : "best of n is ahead."));
    if (clear) {
      (m.gain.mean > 0 ? ahead : behind)
          .push_back(method.name + " by " + number(std::abs(m.gain.mean), 3) + " (" + p_text(p[i]) +
                     ")");
    }
  }
  const std::string family =
      compared.size() == 1 ? ""
                           : ", corrected for " + std::to_string(compared.size()) + " comparisons";
  if (ahead.empty() && behind.empty()) {
    part.in_short =
        "At equal generated tokens no method differs clearly from best of n (5 % level" + family +
        ").";
  } else {
    part.in_short = "At equal generated tokens clearly ahead of best of n: " + joined(ahead) +
                    "; clearly behind: " + joined(behind) + " (5 % level" + family + ").";
  }
}

/// Each method that claims the law against plain sampling of it.
inline void judge_aims(Part& part) {
  std::vector<const Method*> claiming;
  std::vector<Estimate> gaps;
  std::vector<double> p;
  for (const Method& method : part.methods) {
    if (!method.has_law) continue;
    claiming.push_back(&method);
    gaps.push_back(difference(method.last().reward, part.target->reward));
    p.push_back(p_of(gaps.back(), part.ids.size()));
  }
  p = holm(std::move(p));
  std::vector<std::string> near, apart;
  for (std::size_t i = 0; i < claiming.size(); ++i) {
    const Method& method = *claiming[i];
    part.verdicts.push_back(method.name + " against its aim, " + part.target_name + ": " +
                            number(estimate(method.last().reward).mean, 3) + " against " +
                            number(estimate(part.target->reward).mean, 3) + " (" +
                            with_p(gaps[i], p[i], " apart") + ").");
    (is_clear(p[i]) ? apart : near).push_back(method.name);
  }
  if (!near.empty()) {
    part.in_short +=
        " Without a clear difference from where they should arrive: " + joined(near) + '.';
  }
  if (!apart.empty()) part.in_short += " Clearly elsewhere: " + joined(apart) + '.';
}

/// What it takes to reach the reward of best of n.
inline void judge_reach(Part& part) {
  const Method& reference = part.best_of_n();
  const std::size_t n = draws_to_reach(part);
  const Point& goal = reference.curve[n - 1];
  const double reward = estimate(goal.reward).mean;
  std::vector<std::string> reached, missed;
  for (const Method& method : part.methods) {
    if (&method == &reference || method.curve.size() < 2) continue;
    const auto tokens = tokens_to_reach(method.curve, reward);
    if (tokens) {
      reached.push_back(method.name + " at " + number(*tokens, 0) + " tokens");
    } else {
      missed.push_back(method.name + " (" + number(method.last().mean_tokens(), 0) + " tokens)");
    }
  }
  part.verdicts.push_back("The reward of best of " + std::to_string(n) + ", " + number(reward, 2) +
                          " at " + number(goal.mean_tokens(), 0) + " tokens, is reached by " +
                          joined(reached) +
                          (missed.empty() ? "." : "; not by " + joined(missed) + "."));
}

/// Which methods differ clearly, in words.
inline void judge(Part& part) {
  part.verdicts.clear();
  judge_gains(part);
  if (!part.target) return;
  judge_aims(part);
  judge_reach(part);
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
  part.table = {{"method", "reward ± s.e.", "tokens", "gain at equal tokens", "p", "reward calls",
                 "cached", "seconds"}};
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
    row.push_back(!m ? "" : method.p < 0.001 ? "<0.001" : number(method.p, 3));
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

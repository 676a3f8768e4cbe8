// What selection rules make of solutions that were drawn, judged and scored beforehand: a table of
// accuracies, each with its standard error over the problems.
//
//   votes SOLUTIONS.jsonl [--beta 1] [--power 0.5] [--lambda 1]
//
// A line is a problem: {"code": [texts], "pred": [answers], "score": [is it right], "pred_score":
// [rewards]}, the four lists of one length; a reward may stand in a list of one. Or it is a result of
// align with "--candidates full" on prompts that have an "answer". Exit status: 0, 1 where lines were
// left out, 2 where the input cannot be used.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>
#include <tilt/selector/borda_vote.hpp>
#include <tilt/selector/highest_reward.hpp>
#include <tilt/selector/majority_vote.hpp>
#include <tilt/selector/minimum_bayes_risk.hpp>
#include <tilt/selector/soft_best.hpp>
#include <tilt/selector/weighted_majority_vote.hpp>
#include <tilt/stats/best_of_n_curve.hpp>
#include <tilt/stats/pass_at_k.hpp>
#include <tilt/stats/summary.hpp>

#include "align/gold.hpp"
#include "support/program.hpp"

namespace {

struct Settings {
  std::filesystem::path file = {};
  double beta = 1, power = 0.5, lambda = 1;
};

using Extract = std::function<std::optional<std::string>(std::string_view)>;

/// A problem's solutions, in the order in which they were drawn.
struct Problem {
  std::vector<std::string> texts = {}, answers = {};  // an empty answer: none was found
  std::vector<double> right = {}, rewards = {};       // right: 1 or 0
  std::vector<double> weights = {};                   // empty: all the same
  Extract extract = tilt::last_boxed;                 // tilt's way to an answer
  bool answers_of_file = true;                        // else they are tilt's too

  [[nodiscard]] std::size_t size() const { return texts.size(); }

  /// The solutions as candidates whose texts are the given ones: the solutions' own, or their answers.
  [[nodiscard]] tilt::Population population(const std::vector<std::string>& shown) const {
    tilt::Population made;
    for (std::size_t i = 0; i < size(); ++i) {
      tilt::Candidate candidate{.reward = rewards[i],
                                .raw_reward = rewards[i],
                                .weight = weights.empty() ? 1 : weights[i]};
      candidate.response.text = shown[i];
      made.add(std::move(candidate), 0);
    }
    return made;
  }
};

/// The answer of a response as `gives` looks for it: what it states, what stands in its last box, or its last number.
std::optional<std::string> found_answer(std::string_view text) {
  return tilt::first_of(tilt::stated_answer, tilt::last_boxed, tilt::last_number)(text);
}

/// The same where a letter is asked for: the last choice before others.
std::optional<std::string> found_choice(std::string_view text) {
  const auto choice = tilt::last_choice(text);
  return choice ? choice : found_answer(text);
}

/// A result of align. What was never scored, or has no weight, is left out.
/// @throws tilt::Error, nlohmann::json::exception when it is not of that form
Problem read_result(const json& row) {
  if (!row.contains("gold")) {
    throw tilt::Error("it is a result of align without \"gold\": its prompt has no \"answer\"");
  }
  if (!row.contains("candidates")) {
    throw tilt::Error("it is a result of align without candidates: give align --candidates full");
  }
  const auto gold = row.at("gold").get<std::string>();
  const bool is_letter = gold.size() == 1 && tilt::last_choice(gold);
  Problem problem{.extract = is_letter ? found_choice : found_answer, .answers_of_file = false};
  for (const json& candidate : row.at("candidates")) {
    if (!candidate.is_object() || !candidate.contains("response")) {
      throw tilt::Error("its candidates have no texts: give align --candidates full");
    }
    const double reward = tilt::number_from_json(candidate.at("reward"), "reward");
    const double weight =
        candidate.contains("weight") ? tilt::number_from_json(candidate["weight"], "weight") : 1;
    if (std::isnan(reward) || weight == 0) continue;
    if (!std::isfinite(reward) || !std::isfinite(weight) || weight < 0) {
      throw tilt::Error("a reward or a weight is not finite");
    }
    const std::string text = tilt::bytes_from_json(candidate.at("response").at("text"), "text");
    problem.answers.push_back(problem.extract(text).value_or(""));
    problem.right.push_back(gives(text, gold) ? 1 : 0);
    problem.rewards.push_back(reward);
    problem.weights.push_back(weight);
    problem.texts.push_back(text);
  }
  if (problem.texts.empty()) throw tilt::Error("it has no candidate with a reward and a weight");
  return problem;
}

/// @throws tilt::Error, nlohmann::json::exception when it is not of that form
Problem read_problem(const json& row) {
  if (!row.is_object()) throw tilt::Error("it is no JSON object");
  if (row.contains("align") || row.contains("candidates")) return read_result(row);
  Problem problem;
  row.at("code").get_to(problem.texts);
  for (const json& answer : row.at("pred")) {
    problem.answers.push_back(answer.is_null() ? "" : answer.get<std::string>());
  }
  for (const json& is_right : row.at("score")) {
    problem.right.push_back(is_right.get<bool>() ? 1 : 0);
  }
  for (const json& score : row.at("pred_score")) {
    const json& number = score.is_array() && score.size() == 1 ? score.front() : score;
    problem.rewards.push_back(number.get<double>());
    if (!std::isfinite(problem.rewards.back())) throw tilt::Error("a reward is not finite");
  }
  if (problem.texts.empty()) throw tilt::Error("it has no solutions");
  if (problem.answers.size() != problem.size() || problem.right.size() != problem.size() ||
      problem.rewards.size() != problem.size()) {
    throw tilt::Error("the lists code, pred, score and pred_score are not of one length");
  }
  return problem;
}

/// The answer that the file gives stands as the text.
std::optional<std::string> given(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

/// Accuracies of one rule, one per problem.
struct Row {
  std::string name = {};
  std::vector<double> by_file = {};  // with the answers of the file
  std::vector<double> by_tilt = {};  // with those that tilt extracts; empty: the same
};

/// Whether what a rule chose is right; nothing chosen is wrong.
double is_right(const Problem& problem, const tilt::Decision& decision) {
  return decision.index == tilt::npos ? 0 : problem.right[decision.index];
}

template <class Select>
double judge(const Select& select, const Problem& problem, const tilt::Population& population) {
  tilt::Random random(0);
  return is_right(problem, select(population, random));
}

/// Judges a rule that looks at answers, by the file's and by those that tilt extracts.
/// @param make  from an extractor of answers to the rule
template <class Make>
void judge_both(Row& row, const Problem& problem, Make&& make) {
  row.by_file.push_back(judge(make(given), problem, problem.population(problem.answers)));
  row.by_tilt.push_back(judge(make(problem.extract), problem, problem.population(problem.texts)));
}

/// The probability that soft best-of-n chooses a right solution.
double soft_best(const Problem& problem, const tilt::Population& population, double lambda) {
  const std::vector<double> log_weights =
      tilt::tilted_log_weights(tilt::eligible(population), lambda);
  const double total = tilt::log_sum_exp(log_weights);
  double right = 0;
  for (std::size_t i = 0; i < problem.size(); ++i) {
    right += problem.right[i] * std::exp(log_weights[i] - total);
  }
  return right;
}

std::vector<Row> evaluate(const std::vector<Problem>& problems, const Settings& s) {
  // The fewest solutions of a problem: what every problem has an estimate for.
  std::size_t most = tilt::npos;
  for (const Problem& problem : problems) most = std::min(most, problem.size());
  std::vector<std::size_t> sizes;
  for (std::size_t k = 1; k <= most; k *= 2) sizes.push_back(k);

  const auto majority_vote = [](auto extract) { return tilt::MajorityVote{extract}; };
  const auto weighted_vote = [&](auto extract) {
    return tilt::WeightedMajorityVote{extract, {.beta = s.beta}};
  };
  const auto borda_vote = [&](auto extract) {
    return tilt::BordaVote{extract, {.power = s.power}};
  };
  const auto agreement = [](auto extract) {  // what has no answer agrees with nothing
    return tilt::MinimumBayesRisk{[extract](std::string_view a, std::string_view b) {
      const auto answer = extract(a), other = extract(b);
      return answer && other ? tilt::exact_match(*answer, *other) : 0.0;
    }};
  };
  const tilt::MinimumBayesRisk overlap{tilt::token_f1};
  const double lambda = tilt::SoftBest{{.lambda = s.lambda}}.options().lambda;  // checked
  const auto parameter = [](const char* name, double value) {
    return std::string(", ") + name + " " + tilt::to_text(value);
  };
  Row mean{"one solution (pass@1)"}, majority{"majority vote"},
      weighted{"weighted vote" + parameter("beta", s.beta)}, best{"best of all by reward"},
      borda{"Borda over the reward" + parameter("power", s.power)},
      risk_words{"MBR, overlap of words"}, risk_answers{"MBR, equal answers"},
      soft{"soft best, expected" + parameter("lambda", s.lambda)}, possible{"best possible"};
  std::vector<Row> pass, curve;
  for (const std::size_t k : sizes) {
    pass.push_back({"pass@" + std::to_string(k)});
    curve.push_back({"best of " + std::to_string(k) + " by reward, unbiased"});
  }
  for (const Problem& problem : problems) {
    const tilt::Population texts = problem.population(problem.texts);
    const auto right = static_cast<std::size_t>(std::ranges::count(problem.right, 1.0));
    mean.by_file.push_back(static_cast<double>(right) / static_cast<double>(problem.size()));
    judge_both(majority, problem, majority_vote);
    judge_both(weighted, problem, weighted_vote);
    best.by_file.push_back(judge(tilt::HighestReward{}, problem, texts));
    judge_both(borda, problem, borda_vote);
    risk_words.by_file.push_back(judge(overlap, problem, texts));
    judge_both(risk_answers, problem, agreement);
    soft.by_file.push_back(soft_best(problem, texts, lambda));
    possible.by_file.push_back(right > 0 ? 1 : 0);
    const std::vector<double> best_of = tilt::best_of_n_curve(problem.rewards, problem.right);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      pass[i].by_file.push_back(tilt::pass_at_k(problem.size(), right, sizes[i]));
      curve[i].by_file.push_back(best_of[sizes[i] - 1]);
    }
  }
  std::vector<Row> rows = {mean,       majority,     weighted, best,    borda,
                           risk_words, risk_answers, soft,     possible};
  rows.insert(rows.end(), pass.begin(), pass.end());
  rows.insert(rows.end(), curve.begin(), curve.end());
  return rows;
}

std::string estimate(const std::vector<double>& values) {
  const tilt::Summary summary = tilt::summarize(values);
  char text[64];
  if (values.size() < 2) {
    std::snprintf(text, sizeof text, "%.3f", summary.mean);
  } else {
    std::snprintf(text, sizeof text, "%.3f +- %.3f", summary.mean, summary.standard_error);
  }
  return text;
}

/// @param two_columns  whether the file has answers of its own
void print(const std::vector<Row>& rows, bool two_columns) {
  if (!two_columns) {
    std::printf("%-38s\n", "accuracy");
    for (const Row& row : rows) {
      std::printf("%-38s  %-15s\n", row.name.c_str(), estimate(row.by_file).c_str());
    }
    return;
  }
  std::printf("%-38s  %-15s  %-15s\n", "accuracy", "file's answers", "tilt's answers");
  for (const Row& row : rows) {
    std::printf("%-38s  %-15s  %-15s\n", row.name.c_str(), estimate(row.by_file).c_str(),
                row.by_tilt.empty() ? "same" : estimate(row.by_tilt).c_str());
  }
}

int run(const Settings& s) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(s.file);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  constexpr std::size_t most_named = 20;
  std::vector<tilt::JsonlFault> faults = file.faults;
  std::size_t left_out = file.bad_lines;
  std::vector<Problem> problems;
  for (tilt::JsonlRow& row : file.rows) {
    try {
      problems.push_back(read_problem(row.value));
    } catch (const std::exception& error) {
      // Behind the code of the JSON library, where there is one.
      const std::string what = error.what();
      const std::size_t code = what.starts_with("[json") ? what.find("] ") + 2 : 0;
      ++left_out;
      if (faults.size() < tilt::JsonlFile::most_faults + most_named) {
        faults.push_back({row.line, what.substr(code)});
      }
    }
    row.value = nullptr;  // what was read of it is all that is needed
  }
  std::ranges::sort(faults, {}, &tilt::JsonlFault::line);
  faults.resize(std::min(faults.size(), most_named));
  for (const tilt::JsonlFault& fault : faults) {
    std::cerr << "votes: line " << fault.line << " is left out: " << printable(fault.what, 300)
              << '\n';
  }
  if (left_out > faults.size()) {
    std::cerr << "votes: and " << left_out - faults.size() << " further lines are left out\n";
  }
  if (problems.empty()) {
    throw BadInput("no line of " + s.file.string() + " is a problem with scored solutions");
  }
  const std::vector<Row> rows = evaluate(problems, s);
  std::size_t solutions = 0, unanswered = 0, extracted = 0;
  for (const Problem& problem : problems) {
    solutions += problem.size();
    for (std::size_t i = 0; i < problem.size(); ++i) {
      unanswered += problem.answers[i].empty();
      extracted += problem.extract(problem.texts[i]).has_value();
    }
  }
  const bool two_columns = std::ranges::any_of(problems, &Problem::answers_of_file);
  std::printf("%zu problems, %zu solutions; with an answer: ", problems.size(), solutions);
  if (two_columns) std::printf("%zu by the file, ", solutions - unanswered);
  std::printf("%zu by tilt's extraction\n\n", extracted);
  print(rows, two_columns);
  std::printf(two_columns ? "\nStandard errors are over problems. Right is what the file says of "
                            "the chosen solution; "
                            "rules that\nlook at no answer have one column. The file has no "
                            "self-certainty: Borda ranks "
                            "by its rewards.\n"
                          : "\nStandard errors are over problems. Right is a response whose answer "
                            "has the value of the "
                            "right one.\nBorda ranks by the rewards. pass@k and best of k take the "
                            "candidates for equal "
                            "draws, as those of best\nof n are.\n");
  return left_out == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  CLI::App app{"Selection rules on solutions that were drawn and scored beforehand", "votes"};
  app.add_option("solutions", s.file,
                 "JSONL with code, pred, score, pred_score;\n"
                 "or results of align --candidates full")
      ->required();
  app.add_option("--beta", s.beta, "weighted vote: exp(reward / beta)")->capture_default_str();
  app.add_option("--power", s.power, "Borda vote: (N - rank + 1)^power")->capture_default_str();
  app.add_option("--lambda", s.lambda, "soft best: exp(reward / lambda)")->capture_default_str();
  return run_program(app, argc, argv, [&] { return run(s); });
}

#pragma once

// The page and the lines that compare leaves.

#include <string>
#include <vector>

#include "compare/judge.hpp"
#include "compare/settings.hpp"
#include "support/chart.hpp"

inline Chart chart_of(const Part& part) {
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
    ChartLine line{
        .name = method.name, .color = method.color, .band = &method == &part.best_of_n()};
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

/// The same rewards against depth in place of tokens.
inline Chart depth_chart_of(const Part& part) {
  Chart chart = chart_of(part);
  chart.title = part.title + ": mean reward against sequential depth";
  chart.x_name = "generations in a row";
  chart.lines.clear();
  const double width = interval_width(part.ids.size());
  for (const Method& method : part.methods) {
    if (&method == &part.methods.front()) continue;
    ChartLine line{.name = method.name, .color = method.color};
    for (const Point& point : method.curve) {
      const Estimate e = estimate(point.reward);
      ChartPoint at{point.mean_depth(), e.mean, width * e.error, point.setting};
      // Of several points of one depth the last, which has the most draws.
      if (!line.points.empty() && line.points.back().x == at.x) line.points.pop_back();
      line.points.push_back(std::move(at));
    }
    chart.lines.push_back(std::move(line));
  }
  return chart;
}

inline std::string list(const std::vector<std::string>& sentences) {
  std::string html = "<ul>\n";
  for (const std::string& sentence : sentences) html += "<li>" + escape(sentence) + "</li>\n";
  return html + "</ul>\n";
}

/// The prompt on which a method's answer gained most over one draw; of several the first.
inline std::size_t most_gained(const Part& part) {
  const std::vector<double>& before = part.methods.front().answer_rewards;
  std::size_t best = 0;
  double most = -tilt::infinity;
  for (std::size_t p = 0; p < part.ids.size(); ++p) {
    for (const Method& method : part.methods) {
      const double gain = method.answer_rewards[p] - before[p];
      if (gain > most) {
        most = gain;
        best = p;
      }
    }
  }
  return best;
}

/// The first prompts, in their order, and with them a chosen one.
inline std::vector<std::size_t> shown_prompts(const Part& part, std::size_t chosen) {
  constexpr std::size_t most = 6;
  std::vector<std::size_t> shown;
  for (std::size_t p = 0; p < std::min(most, part.ids.size()); ++p) shown.push_back(p);
  if (chosen >= most) shown.back() = chosen;
  return shown;
}

inline std::string html_of(const Part& part) {
  std::string html = "<h2>" + escape(part.title) + "</h2>\n<p>" + escape(part.lead) + "</p>\n";
  html += "<div class=\"pair\">\n" + html_chart(chart_of(part)) + list(part.verdicts) + "</div>\n";
  html += "<h3>Where each method ended</h3>\n" + html_table(part.table);
  html +=
      "<p class=\"soft\">Tokens are generated ones, per prompt" +
      (part.target ? "; “to best of " + std::to_string(draws_to_reach(part)) +
                         "” is what it took to reach that reward"
                   : std::string()) +
      ". Gain: against best of n at equal tokens, paired by prompt; p: how probable a difference "
      "of that size "
      "is where there is none, corrected for the number of comparisons. "
      "Reward calls are per prompt. Cached: share of the prompt and prefix tokens that were not "
      "computed again. Seconds: for all prompts together; methods that share a run share its "
      "costs, "
      "and one draw is charged its share of the draws.</p>\n";
  html += "<h3>Mean reward at equal tokens</h3>\n" + html_table(part.budget_table);
  html += "<h3>Mean reward at equal depth</h3>\n" + html_chart(depth_chart_of(part)) +
          html_table(part.depth_table);
  html +=
      "<p class=\"soft\">Depth is the number of generations that wait for each other, which sets "
      "the "
      "time an answer takes where draws run side by side; in brackets the generated tokens spent "
      "by "
      "then. Best of n has depth 1 whatever n is.</p>\n";
  html += "<h3>What was run</h3>\n<ul>\n";
  for (const Method& method : part.methods) {
    html += "<li><strong>" + escape(method.name) + "</strong>: " + escape(method.how) + ".</li>\n";
  }
  html +=
      "</ul>\n<h3>Answers side by side</h3>\n<p class=\"soft\">Open: the prompt on which a method "
      "gained "
      "most over one draw.</p>\n";
  const std::size_t gained_most = most_gained(part);
  for (const std::size_t p : shown_prompts(part, gained_most)) {
    html += std::string("<details") + (p == gained_most ? " open" : "") + "><summary>" +
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

/// @param unfinished  how much of the job the page shows; empty: all of it
inline std::string page(const Settings& s, const std::vector<Part>& parts, const std::string& model,
                        std::size_t threads, const std::string& unfinished = {}) {
  std::string html = page_head("tilt: methods at matched compute");
  html +=
      "<h1>Test-time alignment at matched compute</h1>\n<p>One frozen model, several ways to spend "
      "the same number of generated tokens on better answers.</p>\n<p class=\"soft\">" +
      escape(s.model.filename().string()) + " on " + std::to_string(threads) +
      (threads == 1 ? " thread" : " threads") + ", seed " + std::to_string(s.seed) + ", tilt " +
      TILT_VERSION + (s.full ? ", long run" : ", short run: few prompts, wide intervals") +
      ".</p>\n";
  if (!unfinished.empty()) {
    html += "<p><strong>Unfinished: " + escape(unfinished) +
            ".</strong> The same command goes on with the rest.</p>\n";
  }
  html += "<div class=\"verdict\">\n";
  for (const Part& part : parts) {
    html += "<p><strong>" + escape(part.title) + ".</strong> " + escape(part.in_short) + "</p>\n";
  }
  html += "</div>\n<h2>All methods</h2>\n" + html_table(overview(parts)) +
          "<p class=\"soft\">Where each method ended: generated tokens and generations in a row, "
          "per prompt. "
          "The parts have other rewards and other lengths of answers; a dash: the method was not "
          "run there "
          "(CARDS needs a reward of prefixes, TPO answers that have room for its tags).</p>\n";
  for (const Part& part : parts) html += html_of(part);
  html +=
      "<h2>How to read this</h2>\n<ul>\n"
      "<li>Compute is counted in generated tokens per prompt: every token that the model drew, "
      "rejected proposals and end tokens included. Scoring and prompts are not in it; the tables "
      "have reward calls, cached tokens and seconds beside it.</li>\n"
      "<li>± is one standard error of the mean over prompts; the band and the bars at the ends of "
      "the lines are 95 % intervals (Student’s t). Differences are paired by prompt, which is why "
      "they can be clear where intervals overlap.</li>\n"
      "<li>A difference is called clear, and a method ahead or behind, where all differences to "
      "best of n "
      "of a part are judged together (t-test, Holm’s correction) at 5 %: where no method differed, "
      "any "
      "such word at all would stand here in at most one page of twenty. Likewise for the distances "
      "from the "
      "aim. “No clear difference” does not say that two are equal.</li>\n"
      "<li>“Last state” has the law that QAlign claims; “highest reward” has not, and is shown "
      "because it is what best of n does with its draws.</li>\n"
      "<li>Rejection and CARDS are cut off at their ceiling and goal, and end after so many "
      "rejections: they aim at a little less than the law of β = 1. Soft best of n comes near that "
      "law "
      "as n grows. Without these limits the methods are held to the law itself by tilt’s "
      "tests.</li>\n"
      "<li>The draws that set ceiling and goal of rejection and CARDS (a high quantile of the "
      "rewards "
      "under B; for “CARDS, sharp” the highest) are not charged to them.</li>\n</ul>\n<p "
      "class=\"soft\">Model: " +
      escape(model) + ". The numbers are in results.jsonl beside this page.</p>\n";
  return html + page_foot();
}

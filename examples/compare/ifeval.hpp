#pragma once

// The part of compare with IFEval's instructions as reward.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tilt/io/ifeval.hpp>

#include "compare/part.hpp"
#include "compare/settings.hpp"

/// Tokens that the rewritings of TPO may be longer than other answers: for their tags.
inline constexpr std::size_t tag_tokens = 16;

/// How many of the rewritings of TPO could be used, in words.
inline std::string usable_share(const std::vector<tilt::Result>& results) {
  double discarded = 0, scored = 0;
  for (const tilt::Result& result : results) {
    for (const auto& [name, value] : result.stats) {
      if (name.starts_with("discarded")) discarded += value;
    }
    for (const tilt::Candidate& c : result.candidates) scored += c.parent != tilt::npos ? 1 : 0;
  }
  return number(scored, 0) + " of " + number(scored + discarded, 0) +
         " rewritings kept to the form that was asked for";
}

/// IFEval: the share of a prompt's verifiable instructions that an answer follows.
/// @param job  what it refers to lives as long as the steps
template <class P>
Part ifeval_part(const Job<P>& job, const std::vector<tilt::IfevalTask>& tasks) {
  const Settings& s = job.settings;
  Part whole{.key = "ifeval",
             .title = "IFEval: verifiable instructions",
             .reward_name = "share of instructions followed"};
  std::vector<tilt::Prompt> prompts;
  for (const tilt::IfevalTask& task : tasks) {
    prompts.push_back(task.prompt);
    whole.ids.push_back(task.key);
    whole.questions.emplace_back(task.prompt.text());
  }
  const ChosenReward reward = chosen(tilt::IfevalReward(tasks));
  whole.lead = std::to_string(prompts.size()) +
               " prompts of IFEval whose instructions a program can verify, answers of at most " +
               std::to_string(s.max_tokens) + " tokens at temperature " + number(s.temperature, 1) +
               ". The reward is the share of a prompt's instructions that the answer follows, "
               "judged as IFEval's strict checkers do: a sparse reward, of few values, that only a "
               "whole answer has.";
  const std::size_t answer = prompts.size() * s.max_tokens;
  const tilt::SamplingLaw law{.temperature = s.temperature};
  const auto add = [&whole](std::string name, std::size_t tokens, std::function<void(Part&)> run) {
    whole.steps.push_back({std::move(name), tokens, std::move(run)});
  };

  add("best of n", s.draws * answer, [=](Part& part) {
    const auto draws =
        run(job, reward, tilt::BestOfN{{.n = s.draws, .max_tokens = s.max_tokens, .law = law}},
            tilt::HighestReward{}, prompts);
    add_best_of_n(part, draws, "one draw");
    add_rank_draw(part, draws);
  });

  add("QAlign", (s.chain_start + s.chain_steps / 2) * answer, [=](Part& part) {
    CurveRecorder last{reward_of(tilt::LastState{})}, highest{reward_of(tilt::HighestReward{})};
    const auto chains = run(job, reward,
                            tilt::QAlign{{.beta = s.chain_beta,
                                          .steps = s.chain_steps,
                                          .max_tokens = s.max_tokens,
                                          .law = law,
                                          .initial_draws = s.chain_start,
                                          .restart = s.restart}},
                            tilt::LastState{}, prompts, {&last, &highest});
    add_qalign(part, chains, last, highest,
               "β = " + number(s.chain_beta, 2) + ", started from one of " +
                   std::to_string(s.chain_start) + " draws by exp(r/β), " +
                   std::to_string(s.chain_steps) + " steps, " + number(100 * s.restart, 0) +
                   " % restarts");
  });

  add("best of n that stops at 1", s.stop_draws / 2 * answer, [=](Part& part) {
    CurveRecorder stopping{reward_of(tilt::HighestReward{})};
    const auto stopped = run(
        job, reward,
        tilt::BestOfN{
            {.n = s.stop_draws, .max_tokens = s.max_tokens, .stop_at = 1, .width = 2, .law = law}},
        tilt::HighestReward{}, prompts, {&stopping});
    Method stop{.name = "best of n, stops at 1",
                .how = "two draws at a time, until one follows all instructions, at most " +
                       std::to_string(s.stop_draws),
                .curve = stopping.curve(prompts.size()),
                .color = 5};
    keep_answers(part, stop, stopped, tilt::HighestReward{});
    part.methods.push_back(std::move(stop));
  });

  add("calibrated rejection", (s.references + s.stop_draws / 2) * answer, [=](Part& part) {
    const tilt::Calibrated calibrated{
        tilt::Rejection{{.beta = s.quantile_beta,
                         .max_rejections = s.stop_draws,
                         .max_tokens = s.max_tokens,
                         .law = law}},
        {.references = s.references, .transform = tilt::transform::identity}};
    CurveRecorder by_quantile{accepted_or_best};
    const auto accepted = run(job, reward, calibrated, tilt::LastState{}, prompts, {&by_quantile});
    Method infalign{
        .name = "InfAlign, rejection",
        .how = "the reward is replaced by its quantile among " + std::to_string(s.references) +
               " draws, which are charged to it; β = " + number(s.quantile_beta, 2) + ", at most " +
               std::to_string(s.stop_draws) +
               " rejections. The law is that of quantiles: not the highest reward is aimed "
               "at, but a high one near the model",
        .curve = by_quantile.curve(prompts.size()),
        .color = 8};
    keep_answers(part, infalign, accepted, tilt::LastState{});
    part.methods.push_back(std::move(infalign));
  });

  add("TPO", (s.tpo_draws * (s.tpo_rounds + 1) + s.tpo_rounds) * answer, [=](Part& part) {
    CurveRecorder rewriting{reward_of(tilt::HighestReward{})};
    const auto rewritten = run(job, reward,
                               tilt::Tpo{{.n = s.tpo_draws,
                                          .rounds = s.tpo_rounds,
                                          .max_tokens = s.max_tokens + tag_tokens,
                                          .law = law,
                                          .critique_law = law,
                                          .critique_max_tokens = s.critique_tokens,
                                          .stop_at_close = true}},
                               tilt::HighestReward{}, prompts, {&rewriting});
    Method tpo{.name = "TPO",
               .how = std::to_string(s.tpo_draws) + " draws, then " + std::to_string(s.tpo_rounds) +
                      (s.tpo_rounds == 1 ? " round" : " rounds") + " of critique, changes and " +
                      std::to_string(s.tpo_draws) + " rewritings, which may be " +
                      std::to_string(tag_tokens) + " tokens longer for their tags. " +
                      usable_share(rewritten),
               .curve = rewriting.curve(prompts.size()),
               .color = 9};
    keep_answers(part, tpo, rewritten, tilt::HighestReward{});
    part.methods.push_back(std::move(tpo));
  });

  add("PRS", s.draws * answer, [=](Part& part) {
    CurveRecorder refining{reward_of(tilt::HighestReward{})};
    const auto refined = run(job, reward,
                             tilt::Prs{{.n = s.draws,
                                        .layers = std::min<std::size_t>(2, s.draws),
                                        .max_tokens = s.max_tokens,
                                        .law = law,
                                        .feedback_law = law,
                                        .feedback_max_tokens = s.critique_tokens}},
                             tilt::HighestReward{}, prompts, {&refining});
    Method prs{.name = "PRS",
               .how = "two layers of " + std::to_string(s.draws / 2) +
                      " answers: the second refines the best of the first by one feedback text",
               .curve = refining.curve(prompts.size()),
               .color = 10};
    keep_answers(part, prs, refined, tilt::HighestReward{});
    part.methods.push_back(std::move(prs));
  });

  return whole;
}

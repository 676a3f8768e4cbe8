#pragma once

// The part of compare with a contrast of two system prompts as reward, whose aligned law is known.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "compare/part.hpp"
#include "compare/settings.hpp"

/// The contrast of two system prompts: a dense reward whose aligned law is known.
inline Part run_contrast(Policy& policy, tilt::llama::Policy& model, Progress& progress,
                         const Settings& s) {
  Part part{.key = "contrast",
            .title = "Contrast: a law that is known",
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
  const ChosenReward reward = chosen(tilt::llama::ContrastReward(model, s.system_a, s.system_b));
  const std::string b = s.system_b.empty() ? "no system prompt" : "“" + s.system_b + "”";
  part.lead = std::to_string(prompts.size()) + " everyday questions, answers of at most " +
              std::to_string(s.contrast_tokens) +
              " tokens at temperature 1. A is the system prompt “" + s.system_a + "”, B is " + b +
              ". The model answers under B; the reward says how much more probable A makes the "
              "answer. At β = 1 the law that QAlign, rejection and CARDS aim at is the model under "
              "A itself, so that plain sampling under A shows where they should arrive. Best of n "
              "has no such aim and may go beyond.";
  const std::size_t answer = prompts.size() * s.contrast_tokens;

  progress.begin("Contrast: plain sampling under A", s.target_draws * answer);
  const auto target =
      run(policy, reward, tilt::BestOfN{{.n = s.target_draws, .max_tokens = s.contrast_tokens}},
          tilt::HighestReward{}, under(s.system_a), s.seed + 1);
  {
    const Draws draws(target);
    part.target = best_of_n_curve(draws.rewards, draws.tokens, 1).front();
    part.target_name = "plain sampling under A";
  }

  progress.begin("Contrast: best of n", s.contrast_draws * answer);
  const auto base =
      run(policy, reward, tilt::BestOfN{{.n = s.contrast_draws, .max_tokens = s.contrast_tokens}},
          tilt::HighestReward{}, prompts, s.seed);
  add_best_of_n(part, base, "plain sampling under B");
  add_rule(
      part, base,
      {.name = "soft best of n",
       .how = "one of the same n draws, with a probability in proportion to exp(r): its law tends "
              "to that of β = 1 as n grows",
       .color = 11,
       .has_law = true},
      tilt::SoftBest{{.lambda = 1}});
  add_rank_draw(part, base);
  const double goal = tilt::quantile(Draws(base).all_rewards(), s.ceiling_quantile);
  const std::string of_draws = number(goal, 2) + " (the " + number(100 * s.ceiling_quantile, 0) +
                               " % quantile of the draws under B)";

  progress.begin("Contrast: rejection", 10 * s.repeats * answer);
  CurveRecorder capped{accepted_or_best};
  const auto rejected =
      run(policy, reward,
          tilt::Rejection{
              {.beta = 1, .ceiling = goal, .max_rejections = 20, .max_tokens = s.contrast_tokens}},
          tilt::LastState{}, repeated, s.seed, {&capped});
  Method rejection{.name = "rejection",
                   .how = "β = 1, ceiling " + of_draws +
                          ", at most 20 rejections; the curve is over smaller caps",
                   .curve = capped.curve(prompts.size()),
                   .color = 5,
                   .has_law = true};
  keep_answers(part, rejection, rejected, tilt::LastState{});
  part.methods.push_back(std::move(rejection));

  progress.begin("Contrast: calibrated rejection", (s.references + 6) * answer);
  const tilt::Calibrated calibrated{
      tilt::Rejection{
          {.beta = s.quantile_beta, .max_rejections = 20, .max_tokens = s.contrast_tokens}},
      {.references = s.references, .transform = tilt::transform::identity}};
  CurveRecorder by_quantile{accepted_or_best};
  const auto accepted =
      run(policy, reward, calibrated, tilt::LastState{}, prompts, s.seed, {&by_quantile});
  Method infalign{.name = "InfAlign, rejection",
                  .how = "the reward is replaced by its quantile among " +
                         std::to_string(s.references) + " draws, which are charged to it; β = " +
                         number(s.quantile_beta, 2) + ", at most 20 rejections",
                  .curve = by_quantile.curve(prompts.size()),
                  .color = 8};
  keep_answers(part, infalign, accepted, tilt::LastState{});
  part.methods.push_back(std::move(infalign));

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
                  .tokens = std::vector<double>(prompts.size(), 0.0),
                  .depth = std::vector<double>(prompts.size(), 0.0)};
      for (std::size_t r = 0; r < built.size(); ++r) {
        const double share = 1 / static_cast<double>(s.repeats);
        point.reward[r % prompts.size()] += share * built[r].answer.reward;
        point.tokens[r % prompts.size()] +=
            share * static_cast<double>(built[r].spent.generated_tokens);
        // The first round scores the bare prompt and generates nothing.
        point.depth[r % prompts.size()] += share * static_cast<double>(built[r].spent.rounds - 1);
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
                          tilt::LastState{}, repeated, s.seed, {&last, &highest});
  add_qalign(part, chains, last, highest,
             "β = 1, started from one of 4 draws by exp(r/β), " + std::to_string(s.contrast_steps) +
                 " steps, " + number(100 * s.restart, 0) + " % restarts");

  progress.begin("Contrast: PRS", s.prs_draws * answer);
  CurveRecorder refining{reward_of(tilt::HighestReward{})};
  const auto refined = run(policy, reward,
                           tilt::Prs{{.n = s.prs_draws,
                                      .layers = 2,
                                      .max_tokens = s.contrast_tokens,
                                      .feedback_max_tokens = s.critique_tokens / 2}},
                           tilt::HighestReward{}, prompts, s.seed, {&refining});
  Method prs{.name = "PRS",
             .how = "two layers of " + std::to_string(s.prs_draws / 2) +
                    " answers: the second refines the best of the first by one feedback text",
             .curve = refining.curve(prompts.size()),
             .color = 10};
  keep_answers(part, prs, refined, tilt::HighestReward{});
  part.methods.push_back(std::move(prs));
  return part;
}

#pragma once

// The part of compare with a contrast of two system prompts as reward, whose aligned law is known.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "compare/part.hpp"
#include "compare/settings.hpp"

/// The contrast of two system prompts: a dense reward whose aligned law is known.
/// @param job     what it refers to lives as long as the steps
/// @param reward  the contrast, of the settings' system prompts
template <class P>
Part contrast_part(const Job<P>& job, const ChosenReward& reward) {
  const Settings& s = job.settings;
  Part whole{.key = "contrast",
             .title = "Contrast: a law that is known",
             .reward_name = "log p(y | A) − log p(y | B), nats"};
  for (std::size_t i = 0; i < std::min(s.questions, everyday_questions.size()); ++i) {
    whole.ids.push_back("q" + std::to_string(i + 1));
    whole.questions.push_back(everyday_questions[i]);
  }
  const auto under = [&](const std::string& system) {
    std::vector<tilt::Prompt> chats;
    for (const std::string& question : whole.questions) {
      std::vector<tilt::Message> messages;
      if (!system.empty()) messages.push_back({"system", system});
      messages.push_back({"user", question});
      chats.push_back(tilt::Prompt::from_messages(std::move(messages)));
    }
    return chats;
  };
  const std::vector<tilt::Prompt> prompts = under(s.system_b), aim = under(s.system_a);
  std::vector<tilt::Prompt> repeated;
  for (std::size_t i = 0; i < s.repeats; ++i) {
    repeated.insert(repeated.end(), prompts.begin(), prompts.end());
  }
  const std::string b = s.system_b.empty() ? "no system prompt" : "“" + s.system_b + "”";
  whole.lead =
      std::to_string(prompts.size()) + " everyday questions, answers of at most " +
      std::to_string(s.contrast_tokens) + " tokens at temperature 1. A is the system prompt “" +
      s.system_a + "”, B is " + b +
      ". The model answers under B; the reward says how much more probable A makes the "
      "answer. At β = 1 the law that QAlign, rejection and CARDS aim at is the model under "
      "A itself, so that plain sampling under A shows where they should arrive. Best of n "
      "has no such aim and may go beyond.";
  const std::size_t answer = prompts.size() * s.contrast_tokens;
  const auto add = [&whole](std::string name, std::size_t tokens, std::function<void(Part&)> run) {
    whole.steps.push_back({std::move(name), tokens, std::move(run)});
  };

  add("plain sampling under A", s.target_draws * answer, [=](Part& part) {
    const auto target =
        run(job, reward, tilt::BestOfN{{.n = s.target_draws, .max_tokens = s.contrast_tokens}},
            tilt::HighestReward{}, aim, {}, 1);
    {
      const Draws draws(target);
      part.target = best_of_n_curve(draws.rewards, draws.tokens, 1).front();
      part.target_name = "plain sampling under A";
    }
  });

  add("best of n", s.contrast_draws * answer, [=](Part& part) {
    const auto base =
        run(job, reward, tilt::BestOfN{{.n = s.contrast_draws, .max_tokens = s.contrast_tokens}},
            tilt::HighestReward{}, prompts);
    add_best_of_n(part, base, "plain sampling under B");
    add_rule(
        part, base,
        {.name = "soft best of n",
         .how =
             "one of the same n draws, with a probability in proportion to exp(r): its law tends "
             "to that of β = 1 as n grows",
         .color = 11,
         .has_law = true},
        tilt::SoftBest{{.lambda = 1}});
    add_rank_draw(part, base);
    part.draws = Draws(base).all_rewards();
  });

  add("rejection", 10 * s.repeats * answer, [=](Part& part) {
    const double goal = tilt::quantile(part.draws, s.ceiling_quantile);
    const std::string of_draws = number(goal, 2) + " (the " + number(100 * s.ceiling_quantile, 0) +
                                 " % quantile of the draws under B)";
    CurveRecorder capped{accepted_or_best};
    const auto rejected = run(
        job, reward,
        tilt::Rejection{
            {.beta = 1, .ceiling = goal, .max_rejections = 20, .max_tokens = s.contrast_tokens}},
        tilt::LastState{}, repeated, {&capped});
    Method rejection{.name = "rejection",
                     .how = "β = 1, ceiling " + of_draws +
                            ", at most 20 rejections; the curve is over smaller caps",
                     .curve = capped.curve(prompts.size()),
                     .color = 5,
                     .has_law = true};
    keep_answers(part, rejection, rejected, tilt::LastState{});
    part.methods.push_back(std::move(rejection));
  });

  add("calibrated rejection", (s.references + 6) * answer, [=](Part& part) {
    const tilt::Calibrated calibrated{
        tilt::Rejection{
            {.beta = s.quantile_beta, .max_rejections = 20, .max_tokens = s.contrast_tokens}},
        {.references = s.references, .transform = tilt::transform::identity}};
    CurveRecorder by_quantile{accepted_or_best};
    const auto accepted = run(job, reward, calibrated, tilt::LastState{}, prompts, {&by_quantile});
    Method infalign{.name = "InfAlign, rejection",
                    .how = "the reward is replaced by its quantile among " +
                           std::to_string(s.references) + " draws, which are charged to it; β = " +
                           number(s.quantile_beta, 2) + ", at most 20 rejections",
                    .curve = by_quantile.curve(prompts.size()),
                    .color = 8};
    keep_answers(part, infalign, accepted, tilt::LastState{});
    part.methods.push_back(std::move(infalign));
  });

  const auto run_cards = [=](Part& part, const std::string& name, double beta, double reward_goal,
                             int color) {
    Method cards{.name = name, .color = color, .has_law = beta == 1};
    for (const std::size_t cap : s.cards_caps) {
      const auto built =
          run(job, reward,
              tilt::Cards{{.beta = beta,
                           .reward_goal = reward_goal,
                           .max_rejections = cap,
                           .max_tokens = s.contrast_tokens,
                           .segment = {.entropy = 3, .min_tokens = 2, .max_tokens = 8}}},
              tilt::LastState{}, repeated);
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
  const std::size_t cards_tokens = s.cards_caps.size() * 4 * s.repeats * answer;
  add("CARDS", cards_tokens, [=](Part& part) {
    run_cards(part, "CARDS", 1, tilt::quantile(part.draws, s.ceiling_quantile), 6);
  });
  add("CARDS, sharp", cards_tokens, [=](Part& part) {
    run_cards(part, "CARDS, sharp", s.sharp_beta, tilt::quantile(part.draws, 1), 7);
  });

  add("QAlign", (4 + s.contrast_steps / 2) * s.repeats * answer, [=](Part& part) {
    CurveRecorder last{reward_of(tilt::LastState{})}, highest{reward_of(tilt::HighestReward{})};
    const auto chains = run(job, reward,
                            tilt::QAlign{{.beta = 1,
                                          .steps = s.contrast_steps,
                                          .max_tokens = s.contrast_tokens,
                                          .initial_draws = 4,
                                          .restart = s.restart}},
                            tilt::LastState{}, repeated, {&last, &highest});
    add_qalign(part, chains, last, highest,
               "β = 1, started from one of 4 draws by exp(r/β), " +
                   std::to_string(s.contrast_steps) + " steps, " + number(100 * s.restart, 0) +
                   " % restarts");
  });

  add("PRS", s.prs_draws * answer, [=](Part& part) {
    CurveRecorder refining{reward_of(tilt::HighestReward{})};
    const auto refined = run(job, reward,
                             tilt::Prs{{.n = s.prs_draws,
                                        .layers = 2,
                                        .max_tokens = s.contrast_tokens,
                                        .feedback_max_tokens = s.critique_tokens / 2}},
                             tilt::HighestReward{}, prompts, {&refining});
    Method prs{.name = "PRS",
               .how = "two layers of " + std::to_string(s.prs_draws / 2) +
                      " answers: the second refines the best of the first by one feedback text",
               .curve = refining.curve(prompts.size()),
               .color = 10};
    keep_answers(part, prs, refined, tilt::HighestReward{});
    part.methods.push_back(std::move(prs));
  });

  return whole;
}

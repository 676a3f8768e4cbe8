#pragma once

// The command line of align.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/numbers.hpp"
#include "support/program.hpp"

/// Everything that can be given on the command line. Numbers that are not given, and whose default
/// depends on the method, are absent.
struct Settings {
  std::filesystem::path model, prompts, out;
  std::string method = "best_of_n", reward = "ifeval", selector = "default", extract = "number";
  std::string metric = {};     ///< another reward, of the answers alone
  bool default_reward = true;  ///< it was not given
  std::string system_a = {}, system_b = {};
  std::size_t words = 50;
  std::string candidates = "rewards", on_failure = "fail";
  std::size_t batch = 8, limit = tilt::npos, pilot = 0;
  std::size_t sequences = 16, context = 8192, threads = 0;
  int gpu_layers = 0;
  std::string chat_template = {};
  std::size_t max_tokens = 256;
  tilt::SamplingLaw law = {};
  std::optional<double> temperature = {}, top_p = {};
  tilt::BestOfNOptions best_of_n = {};
  tilt::RejectionOptions rejection = {};
  tilt::QAlignOptions qalign = {};
  tilt::CardsOptions cards = {};
  tilt::TpoOptions tpo = {};
  tilt::PrsOptions prs = {};
  tilt::EpsilonBestOfOptions epsilon = {};
  tilt::BestOfPoissonOptions poisson = {};
  std::string tpo_mode = "contrast";
  bool no_feedback = false, no_select = false, nonce = false;
  std::optional<double> near_miss = {};
  std::optional<std::size_t> critique_tokens = {};
  std::optional<std::size_t> n = {};
  double stop_at = tilt::infinity;
  std::optional<double> beta = {};
  std::size_t max_rejections = 20, parallel = 1;
  std::string transform = {}, shape = "best_of:4", utility = "token_f1";
  double shape_beta = 0.2;
  std::size_t references = 64;
  double vote_beta = 1, lambda = 1, power = 0.5;
  tilt::RegularizedBestOptions regularized = {};
  tilt::RunOptions run = {};
};

/// An option that only some methods, rewards or selectors have.
struct OwnedOption {
  CLI::Option* option = nullptr;
  std::string owners = {};              ///< "rejection, cards"
  const std::string* chosen = nullptr;  ///< what was asked for
  const std::string* also = nullptr;    ///< another choice that may own it
};

/// Refuses options that would do nothing.
inline void check_owners(const std::vector<OwnedOption>& options) {
  for (const auto& [option, owners, chosen, also] : options) {
    const auto owned_by = [&owned = owners](const std::string& name) {
      return (", " + owned + ",").find(", " + name + ",") != std::string::npos;
    };
    if (option->count() > 0 && !owned_by(*chosen) && !(also && owned_by(*also))) {
      throw BadInput(option->get_name() + " is an option of " + owners + ", not of " + *chosen);
    }
  }
}

/// Checks the numbers of all options as they are read. Those of type N are counts: of draws, which are held
/// in memory, at most a million; of what only limits a job, more. A budget of nothing could answer no prompt.
inline void check_numbers(CLI::App& app) {
  constexpr std::uint64_t million = 1'000'000;
  constexpr std::string_view limits[] = {"--tokens", "--policy-calls", "--reward-calls", "--limit",
                                         "--context"};
  constexpr std::string_view at_least_one[] = {"--batch", "--words", "--pilot", "--max-tokens",
                                               "--sequences"};
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->get_type_name() != "N" || name == "--gpu-layers") continue;
    if (name == "--seed") {
      option->check(whole_number(0, UINT64_MAX));
    } else if (std::ranges::count(limits, name) > 0) {
      option->check(whole_number(1, million * million));
    } else {
      option->check(whole_number(std::ranges::count(at_least_one, name) > 0 ? 1 : 0, million));
    }
  }
}

/// Adds all options; they write into the settings, which must stay where they are.
inline std::vector<OwnedOption> add_options(CLI::App& app, Settings& s) {
  const std::vector<std::string> rewards{"ifeval", "ifeval_all", "contrast",      "answer",
                                         "words",  "judge",      "self_certainty"};
  app.add_option("--model", s.model, "the model, a GGUF file")->required()->type_name("FILE");
  app.add_option("--prompts", s.prompts,
                 "JSONL, one object a line: \"prompt\" or \"question\" (text) or \"messages\",\n"
                 "and \"id\" or \"key\" (else one is made of the content);\n"
                 "rows of IFEval and of GSM8K as they are")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", s.out,
                 "results, one line per prompt, added as they are done;\n"
                 "prompts that it has already are passed over; or a pipe")
      ->type_name("FILE");
  app.add_option("--pilot", s.pilot,
                 "instead: draw N responses per prompt, print the spread of their rewards\n"
                 "and what it suggests")
      ->type_name("N");
  app.add_option("--method", s.method,
                 "how to align:\n"
                 "best_of_n        the best of n draws\n"
                 "rejection        draw until one is accepted\n"
                 "qalign           a Markov chain that redraws the ends of responses\n"
                 "cards            segment by segment, by the reward of the prefix\n"
                 "tpo              the model criticises its best and worst response and rewrites\n"
                 "prs              layers of answers that refine the best so far\n"
                 "epsilon_best_of  with probability --epsilon the best of --k, else one draw\n"
                 "best_of_poisson  the best of 1 + Poisson(--mu)")
      ->check(CLI::IsMember({"best_of_n", "rejection", "qalign", "cards", "tpo", "prs",
                             "epsilon_best_of", "best_of_poisson"}))
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option(
         "--reward", s.reward,
         "ifeval: share of the prompt's instructions that are followed\n"
         "ifeval_all: 1 if all are followed, else 0\n"
         "contrast: log-odds of the answer under --system-a against --system-b\n"
         "answer: 1 if the response's answer has the value of the row's \"answer\", else 0\n"
         "words: how near the length is to --words\n"
         "judge: the model's own probability that the answer is correct and helpful\n"
         "self_certainty: how sure the model is of its answer, nats")
      ->check(CLI::IsMember(rewards))
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--metric", s.metric,
                 "another of the rewards, measured on the answers alone and reported")
      ->check(CLI::IsMember(rewards))
      ->type_name("NAME");
  app.add_option("--selector", s.selector,
                 "which candidate becomes the answer (default: the method's own)")
      ->check(CLI::IsMember({"default", "highest_reward", "last_state", "soft_best",
                             "majority_vote", "weighted_majority_vote", "borda_vote",
                             "minimum_bayes_risk", "regularized_best", "rank_draw"}))
      ->type_name("NAME");
  app.add_option("--max-tokens", s.max_tokens, "longest response")
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--seed", s.run.seed, "same seed, same model, same answers")
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--limit", s.limit, "only the first N prompts")->type_name("N");
  app.add_option("--batch", s.batch, "prompts that are worked on together")
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--candidates", s.candidates, "how much of the candidates to write")
      ->check(CLI::IsMember({"none", "rewards", "full"}))
      ->capture_default_str()
      ->type_name("NAME");

  std::vector<OwnedOption> owned;
  const auto owner = [&](const char* kind, const char* owners, const std::string& chosen,
                         const std::string* also = nullptr) {
    return [&owned, kind, owners, chosen = &chosen, also](CLI::Option* option, const char* type) {
      option->group(std::string("Options of the ") + kind + ' ' + owners);
      if (option->get_expected_max() > 0) option->capture_default_str()->type_name(type);
      owned.push_back({option, owners, chosen, also});
    };
  };
  const auto drawing = owner("methods", "best_of_n, tpo, prs", s.method);
  drawing(app.add_option("--n", s.n,
                         "draws; of tpo also children a round; of prs in all layers\n"
                         "(default 16, 5, 16)"),
          "N");
  const auto stopping = owner("methods", "best_of_n, tpo", s.method);
  stopping(app.add_option("--stop-at", s.stop_at, "a reward that is good enough to stop"), "R");
  const auto best = owner("method", "best_of_n", s.method);
  best(app.add_option("--width", s.best_of_n.width, "draws at a time; 0: all"), "N");
  const auto tilted = owner("methods", "rejection, qalign, cards", s.method);
  tilted(app.add_option("--beta", s.beta, "the reward is divided by it (default 1, 1, 0.7)"), "X");
  const auto rejecting = owner("methods", "rejection, cards", s.method);
  rejecting(app.add_option("--max-rejections", s.max_rejections, "then the best so far is taken"),
            "N");
  rejecting(app.add_option("--parallel", s.parallel, "draws at a time"), "N");
  const auto rejection = owner("method", "rejection", s.method);
  rejection(app.add_option("--ceiling", s.rejection.ceiling,
                           "the reward that is surely accepted (with --transform: its value at 1)"),
            "R");
  const auto calibrated = owner("methods", "best_of_n, rejection, qalign", s.method);
  calibrated(app.add_option("--transform", s.transform,
                            "replace the reward by a function of its quantile among --references\n"
                            "draws: identity, log, exponential:T, best_of:N, worst_of:N,\n"
                            "drop_below:TAU"),
             "NAME");
  calibrated(app.add_option("--references", s.references, "draws that set the quantiles"), "N");
  const auto qalign = owner("method", "qalign", s.method);
  qalign(app.add_option("--steps", s.qalign.steps, "rounds of a chain"), "N");
  qalign(app.add_option("--chains", s.qalign.chains, "independent chains"), "N");
  qalign(app.add_option("--fork", s.qalign.fork, "suffixes per round"), "N");
  qalign(app.add_option("--burn-in", s.qalign.burn_in, "leading states that do not count"), "N");
  qalign(
      app.add_option("--initial-draws", s.qalign.initial_draws, "start from one of so many draws"),
      "N");
  qalign(app.add_option("--restart", s.qalign.restart, "share of whole redraws, 0 to 1"), "X");
  qalign(app.add_flag("--recycle", s.qalign.recycle, "weigh every proposal, for votes"), "");
  const auto cards = owner("method", "cards", s.method);
  cards(app.add_option("--reward-goal", s.cards.reward_goal, "the reward aimed at"), "R");
  cards(app.add_option("--pilot-draws", s.cards.pilot_draws, "draws that set the goal instead"),
        "N");
  cards(app.add_option("--pilot-quantile", s.cards.pilot_quantile, "which quantile of theirs"),
        "X");
  cards(app.add_option("--alpha", s.cards.alpha, "where the threshold starts, 0 to 1"), "X");
  cards(app.add_option("--entropy", s.cards.segment.entropy,
                       "nats that end a segment; inf: fixed length"),
        "X");
  cards(app.add_option("--min-segment", s.cards.segment.min_tokens, "shortest segment, tokens"),
        "N");
  cards(app.add_option("--max-segment", s.cards.segment.max_tokens, "longest segment, tokens"),
        "N");
  cards(app.add_flag("--official", s.cards.official, "as the authors' code"), "");
  const auto writing = owner("methods", "tpo, prs", s.method);
  writing(app.add_option("--critique-tokens", s.critique_tokens,
                         "longest critique or feedback (default: --max-tokens)"),
          "N");
  writing(app.add_flag("--nonce", s.nonce, "a random number in the marks around quoted texts"), "");
  const auto tpo = owner("method", "tpo", s.method);
  tpo(app.add_option("--rounds", s.tpo.rounds, "rounds of critique and rewriting; 0: best of n"),
      "N");
  tpo(app.add_option("--mode", s.tpo_mode,
                     "contrast: best against worst; revision: the best alone;\n"
                     "fused: contrast with one critique call instead of two")
          ->check(CLI::IsMember({"contrast", "revision", "fused"})),
      "NAME");
  tpo(app.add_option("--near-miss", s.near_miss,
                     "hold against the best the likest response at least so much worse,\n"
                     "not the worst"),
      "R");
  tpo(app.add_flag("--critique-per-child", s.tpo.critique_per_child, "one critique for each child"),
      "");
  tpo(app.add_option("--min-gap", s.tpo.min_gap, "stop where best and worst are nearer"), "R");
  tpo(app.add_option("--max-growth", s.tpo.max_growth,
                     "discard children of so many times the length"),
      "X");
  tpo(app.add_flag("--stop-at-close", s.tpo.stop_at_close, "end a rewriting at its close tag"), "");
  const auto prs = owner("method", "prs", s.method);
  prs(app.add_option("--layers", s.prs.layers, "layers, of n/layers answers each"), "N");
  prs(app.add_option("--preference", s.prs.preference, "what is wished of an answer, a sentence"),
      "TEXT");
  prs(app.add_flag("--no-feedback", s.no_feedback, "refine without a critique"), "");
  prs(app.add_flag("--feedback-per-child", s.prs.feedback_per_child, "one critique for each child"),
      "");
  prs(app.add_option("--parents", s.prs.parents, "refine so many of the best"), "N");
  prs(app.add_flag("--no-select", s.no_select, "refine a random answer, not the best"), "");
  const auto epsilon = owner("method", "epsilon_best_of", s.method);
  epsilon(app.add_option("--epsilon", s.epsilon.epsilon, "probability of the best of k, 0 to 1"),
          "X");
  epsilon(app.add_option("--k", s.epsilon.k, "draws of that"), "N");
  const auto poisson = owner("method", "best_of_poisson", s.method);
  poisson(app.add_option("--mu", s.poisson.mu, "mean number of further draws"), "X");
  const auto contrast = owner("reward", "contrast", s.reward, &s.metric);
  contrast(app.add_option("--system-a", s.system_a, "the system prompt to answer as if under"),
           "TEXT");
  contrast(app.add_option("--system-b", s.system_b, "the one that is really given (default: none)"),
           "TEXT");
  const auto words = owner("reward", "words", s.reward, &s.metric);
  words(app.add_option("--words", s.words, "how many"), "N");
  const auto soft = owner("selector", "soft_best", s.selector);
  soft(app.add_option("--lambda", s.lambda, "temperature"), "X");
  const auto votes =
      owner("selectors", "majority_vote, weighted_majority_vote, borda_vote", s.selector);
  votes(app.add_option("--extract", s.extract, "what counts as the answer in a response")
            ->check(CLI::IsMember({"number", "boxed", "choice", "whole"})),
        "NAME");
  const auto weighted = owner("selector", "weighted_majority_vote", s.selector);
  weighted(app.add_option("--vote-beta", s.vote_beta, "temperature"), "X");
  const auto borda = owner("selector", "borda_vote", s.selector);
  borda(app.add_option("--power", s.power, "0: majority; larger: the better ranks count more"),
        "X");
  const auto risk = owner("selectors", "minimum_bayes_risk, regularized_best", s.selector);
  risk(app.add_option("--utility", s.utility, "how alike two responses are")
           ->check(CLI::IsMember({"token_f1", "exact_match"})),
       "NAME");
  const auto regularized = owner("selector", "regularized_best", s.selector);
  regularized(app.add_option("--mbr", s.regularized.mbr, "reward per unit of mean utility"), "X");
  regularized(
      app.add_option("--length", s.regularized.length, "reward times tokens, over the length"),
      "X");
  regularized(app.add_option("--kl", s.regularized.kl, "reward per nat of log p"), "X");
  const auto ranks = owner("selector", "rank_draw", s.selector);
  ranks(app.add_option("--shape", s.shape, "the density of ranks, named as for --transform"),
        "NAME");
  ranks(app.add_option("--shape-beta", s.shape_beta, "its temperature"), "X");

  const char* law =
      "How the model samples (neutral by default; of tpo temperature 0.7, top-p 0.95)";
  const auto sampling = [&](CLI::Option* option, const char* type) {
    option->group(law)->capture_default_str()->type_name(type);
  };
  sampling(app.add_option("--temperature", s.temperature, "divides the logits"), "X");
  sampling(app.add_option("--top-k", s.law.top_k, "keep the N likeliest tokens; 0: all"), "N");
  sampling(app.add_option("--top-p", s.top_p, "keep the likeliest of this mass"), "X");
  sampling(app.add_option("--min-p", s.law.min_p, "keep tokens of this share of the likeliest"),
           "X");
  app.add_option("--stop", s.law.stop, "text that ends a response; may be given more than once")
      ->group(law)
      ->type_name("TEXT");

  const char* budget = "Budgets, per prompt (none by default)";
  app.add_option("--tokens", s.run.budget.tokens, "generated tokens")
      ->group(budget)
      ->type_name("N");
  app.add_option("--policy-calls", s.run.budget.policy_calls, "responses drawn")
      ->group(budget)
      ->type_name("N");
  app.add_option("--reward-calls", s.run.budget.reward_calls, "responses scored")
      ->group(budget)
      ->type_name("N");
  app.add_option("--seconds", s.run.budget.seconds, "of the clock")
      ->check(CLI::PositiveNumber)
      ->group(budget)
      ->type_name("X");
  app.add_option("--on-failure", s.on_failure,
                 "of one draw: fail the prompt, or survive without it")
      ->check(CLI::IsMember({"fail", "survive"}))
      ->group(budget)
      ->capture_default_str()
      ->type_name("NAME");

  const char* engine = "Engine";
  const auto running = [&](CLI::Option* option) {
    option->group(engine)->capture_default_str()->type_name("N");
  };
  running(app.add_option("--sequences", s.sequences, "responses generated side by side"));
  running(app.add_option("--context", s.context, "tokens in the cache, all sequences together"));
  running(app.add_option("--threads", s.threads, "processor threads; 0: all cores"));
  running(app.add_option("--gpu-layers", s.gpu_layers, "layers on a graphics processor; -1: all"));
  app.add_option("--chat-template", s.chat_template,
                 "name or text of a chat template, instead of the model's own")
      ->group(engine)
      ->type_name("TEXT");
  check_numbers(app);
  return owned;
}

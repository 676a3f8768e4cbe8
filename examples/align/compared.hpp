#pragma once

// What changes the results, as JSON: it stands in each of them, and a file of results is only gone on
// with under the same. Members are named as the options are, so that one that differs can be named.

#include <algorithm>
#include <string>

#include <tilt/io/json.hpp>

#include "align/methods.hpp"

using nlohmann::json;

/// The options of the method, and no others.
inline json options_of(const Settings& s) {
  const auto number = [](double value) { return tilt::number_to_json(value); };
  const double beta = beta_of(s);
  const std::size_t critique_tokens = s.critique_tokens.value_or(s.max_tokens);
  json o;
  if (s.method == "best_of_n") {
    o = {{"n", s.n.value_or(s.best_of_n.n)},
         {"width", s.best_of_n.width},
         {"stop_at", number(s.stop_at)}};
  } else if (s.method == "qalign") {
    o = {{"beta", number(beta)},
         {"steps", s.qalign.steps},
         {"chains", s.qalign.chains},
         {"fork", s.qalign.fork},
         {"burn_in", s.qalign.burn_in},
         {"initial_draws", s.qalign.initial_draws},
         {"restart", number(s.qalign.restart)},
         {"recycle", s.qalign.recycle}};
  } else if (s.method == "rejection") {
    o = {{"beta", number(beta)},
         {"ceiling", number(s.rejection.ceiling)},
         {"max_rejections", s.max_rejections},
         {"parallel", s.parallel}};
  } else if (s.method == "cards") {
    o = {{"beta", number(beta)},
         {"reward_goal", number(s.cards.reward_goal)},
         {"alpha", number(s.cards.alpha)},
         {"max_rejections", s.max_rejections},
         {"parallel", s.parallel},
         {"entropy", number(s.cards.segment.entropy)},
         {"min_segment", s.cards.segment.min_tokens},
         {"max_segment", s.cards.segment.max_tokens},
         {"pilot_draws", s.cards.pilot_draws},
         {"pilot_quantile", number(s.cards.pilot_quantile)},
         {"official", s.cards.official}};
  } else if (s.method == "tpo") {
    o = {{"n", s.n.value_or(s.tpo.n)},
         {"rounds", s.tpo.rounds},
         {"mode", s.tpo_mode},
         {"critique_tokens", critique_tokens},
         {"nonce", s.nonce},
         {"near_miss", s.near_miss ? number(*s.near_miss) : json(nullptr)},
         {"critique_per_child", s.tpo.critique_per_child},
         {"min_gap", number(s.tpo.min_gap)},
         {"stop_at", number(s.stop_at)},
         {"max_growth", number(s.tpo.max_growth)},
         {"stop_at_close", s.tpo.stop_at_close}};
  } else if (s.method == "prs") {
    o = {{"n", s.n.value_or(s.prs.n)},
         {"layers", s.prs.layers},
         {"preference", tilt::bytes_to_json(s.prs.preference)},
         {"critique_tokens", critique_tokens},
         {"nonce", s.nonce},
         {"no_feedback", s.no_feedback},
         {"feedback_per_child", s.prs.feedback_per_child},
         {"parents", s.prs.parents},
         {"no_select", s.no_select}};
  } else if (s.method == "epsilon_best_of") {
    o = {{"epsilon", number(s.epsilon.epsilon)}, {"k", s.epsilon.k}};
  } else {
    o = {{"mu", number(s.poisson.mu)}};
  }
  if (!s.transform.empty()) {
    o["transform"] = s.transform;
    o["references"] = s.references;
  }
  return o;
}

/// The options of the selector.
inline json selector_options_of(const Settings& s) {
  const auto number = [](double value) { return tilt::number_to_json(value); };
  const std::string name = selector_name(s);
  json o = json::object();
  if (name.ends_with("_vote")) o["extract"] = s.extract;
  if (name == "soft_best") o["lambda"] = number(s.lambda);
  if (name == "weighted_majority_vote") o["vote_beta"] = number(s.vote_beta);
  if (name == "borda_vote") o["power"] = number(s.power);
  if (name == "rank_draw") o = {{"shape", s.shape}, {"shape_beta", number(s.shape_beta)}};
  if (name == "minimum_bayes_risk") o["utility"] = s.utility;
  if (name == "regularized_best") {
    o = {{"utility", s.utility},
         {"mbr", number(s.regularized.mbr)},
         {"length", number(s.regularized.length)},
         {"kl", number(s.regularized.kl)}};
  }
  return o;
}

/// The options of the reward and of the metric.
inline json reward_options_of(const Settings& s) {
  json o = json::object();
  if (s.reward == "contrast" || s.metric == "contrast") {
    o = {{"system_a", tilt::bytes_to_json(s.system_a)},
         {"system_b", tilt::bytes_to_json(s.system_b)}};
  }
  if (s.reward == "words" || s.metric == "words") o["words"] = s.words;
  return o;
}

/// All that changes the results. Of the engine's options the threads are left out: another machine may go
/// on with the job.
/// @param model  changes with the model's content
inline json compared(const Settings& s, const std::string& model) {
  const tilt::SamplingLaw law = law_of(s);
  json stop = json::array();
  for (const std::string& text : law.stop) stop.push_back(tilt::bytes_to_json(text));
  const auto limit = [](std::size_t n) { return n == tilt::npos ? json(nullptr) : json(n); };
  return {{"model", model},
          {"method", s.method},
          {"options", options_of(s)},
          {"selector", selector_name(s)},
          {"selector_options", selector_options_of(s)},
          {"reward", s.reward},
          {"metric", s.metric},
          {"reward_options", reward_options_of(s)},
          {"max_tokens", s.max_tokens},
          {"law",
           {{"temperature", tilt::number_to_json(law.temperature)},
            {"top_k", law.top_k},
            {"top_p", tilt::number_to_json(law.top_p)},
            {"min_p", tilt::number_to_json(law.min_p)},
            {"stop", stop}}},
          {"seed", s.run.seed},
          {"budget",
           {{"tokens", limit(s.run.budget.tokens)},
            {"policy_calls", limit(s.run.budget.policy_calls)},
            {"reward_calls", limit(s.run.budget.reward_calls)},
            {"seconds", tilt::number_to_json(s.run.budget.seconds)}}},
          {"on_failure", s.on_failure},
          {"batch", s.batch},
          {"candidates", s.candidates},
          {"engine",
           {{"sequences", s.sequences},
            {"context", s.context},
            {"gpu_layers", s.gpu_layers},
            {"chat_template", tilt::bytes_to_json(s.chat_template)}}}};
}

/// What differs first between the settings of a result and those of now, as a sentence that names the
/// option; empty when nothing does.
inline std::string difference(const json& there, const json& now) {
  if (there == now) return {};
  if (!there.is_object()) return "its settings are none of this version";
  for (const auto& [name, value] : now.items()) {
    const auto found = there.find(name);
    if (found == there.end()) return "its settings say nothing of " + name;
    if (value.is_object()) {
      const std::string inside = difference(*found, value);
      if (!inside.empty()) return inside;
    } else if (*found != value) {
      if (name == "model") return "it is the result of another model";
      std::string option = "--" + name;
      std::ranges::replace(option, '_', '-');
      return "it is the result of other settings (" + option + " is " +
             printable(found->dump(), 80) + " there, " + printable(value.dump(), 80) + " now)";
    }
  }
  return "its settings are those of another version";
}

#pragma once

// The methods and the selectors that align knows, made from its settings.

#include <string>
#include <utility>

#include "align/settings.hpp"
#include "support/chosen.hpp"
#include "support/transforms.hpp"

/// Calls `use` with the extractor of a name.
template <class Use>
auto with_extractor(const std::string& name, Use&& use) {
  if (name == "boxed") return use(tilt::last_boxed);
  if (name == "choice") return use(tilt::last_choice);
  if (name == "whole") return use(tilt::WholeResponse{});
  return use(tilt::last_number);
}

/// Calls `use` with the utility of a name.
template <class Use>
auto with_utility(const std::string& name, Use&& use) {
  if (name == "exact_match") return use(tilt::exact_match);
  return use(tilt::token_f1);
}

/// The name of the selector that is used.
inline std::string selector_name(const Settings& s) {
  if (s.selector != "default") return s.selector;
  const bool by_state = s.method == "rejection" || s.method == "qalign" || s.method == "cards";
  return by_state ? "last_state" : "highest_reward";
}

/// @throws BadInput where the method's candidates are not what the selector reads
inline ChosenSelector selector_of(const Settings& s) {
  const std::string name = selector_name(s);
  if (s.method == "qalign" && s.qalign.recycle &&
      (name == "highest_reward" || name == "last_state" || name == "regularized_best")) {
    throw BadInput("--recycle weighs proposals, not states: give --selector a vote or soft_best");
  }
  if (name == "highest_reward") return chosen(tilt::HighestReward{});
  if (name == "last_state") return chosen(tilt::LastState{});
  if (name == "soft_best") return chosen(tilt::SoftBest{{.lambda = s.lambda}});
  if (name == "rank_draw") {
    const auto shape = transform_of(s.shape, s.shape_beta);
    return chosen(tilt::RankDraw{tilt::QuantileTilt::from(shape, s.shape_beta)});
  }
  if (name == "minimum_bayes_risk") {
    return with_utility(s.utility, [](auto u) { return chosen(tilt::MinimumBayesRisk{u}); });
  }
  if (name == "regularized_best") {
    return with_utility(s.utility, [&](auto u) {
      return chosen(tilt::RegularizedBest{u, s.regularized});
    });
  }
  return with_extractor(s.extract, [&](auto extract) {
    if (name == "majority_vote") return chosen(tilt::MajorityVote{extract});
    if (name == "borda_vote") return chosen(tilt::BordaVote{extract, {.power = s.power}});
    return chosen(tilt::WeightedMajorityVote{extract, {.beta = s.vote_beta}});
  });
}

/// The base law: what was given, else the method's default.
inline tilt::SamplingLaw law_of(const Settings& s) {
  tilt::SamplingLaw law = s.law;
  const tilt::SamplingLaw defaults = s.method == "tpo" ? s.tpo.law : tilt::SamplingLaw{};
  law.temperature = s.temperature.value_or(defaults.temperature);
  law.top_p = s.top_p.value_or(defaults.top_p);
  return law;
}

/// What the reward is divided by; 1 for methods that divide it by nothing.
inline double beta_of(const Settings& s) {
  const double standard = s.method == "rejection" ? s.rejection.beta
                          : s.method == "qalign"  ? s.qalign.beta
                          : s.method == "cards"   ? s.cards.beta
                                                  : 1;
  return s.beta.value_or(standard);
}

/// Options that several methods have, in the place where this one has them.
template <class Options>
Options completed(const Settings& s, Options o) {
  o.max_tokens = s.max_tokens;
  o.law = law_of(s);
  if constexpr (requires { o.n; }) o.n = s.n.value_or(o.n);
  if constexpr (requires { o.stop_at; }) o.stop_at = s.stop_at;
  if constexpr (requires { o.beta; }) o.beta = beta_of(s);
  if constexpr (requires { o.max_rejections; }) o.max_rejections = s.max_rejections;
  if constexpr (requires { o.parallel; }) o.parallel = s.parallel;
  if constexpr (requires { o.nonce; }) o.nonce = s.nonce;
  return o;
}

/// The sampler, its reward calibrated if that was asked for.
template <class Sampler>
ChosenSampler with_calibration(const Settings& s, Sampler sampler) {
  if (s.transform.empty()) return ChosenSampler(std::move(sampler));
  return ChosenSampler(tilt::Calibrated{
      std::move(sampler),
      {.references = s.references, .transform = transform_of(s.transform, beta_of(s))}});
}

/// The sampler of the method that was asked for.
inline ChosenSampler sampler_of(const Settings& s) {
  if (s.method == "best_of_n") return with_calibration(s, tilt::BestOfN{completed(s, s.best_of_n)});
  if (s.method == "rejection")
    return with_calibration(s, tilt::Rejection{completed(s, s.rejection)});
  if (s.method == "qalign") return with_calibration(s, tilt::QAlign{completed(s, s.qalign)});
  if (s.method == "cards") return ChosenSampler(tilt::Cards{completed(s, s.cards)});
  if (s.method == "tpo") {
    tilt::TpoOptions o = completed(s, s.tpo);
    o.mode = s.tpo_mode == "revision" ? tilt::TpoMode::revision
             : s.tpo_mode == "fused"  ? tilt::TpoMode::fused
                                      : tilt::TpoMode::contrast;
    o.critique_max_tokens = s.critique_tokens.value_or(s.max_tokens);
    if (s.near_miss) {
      o.rejected = tilt::TpoRejected::near_miss;
      o.margin = *s.near_miss;
    }
    return ChosenSampler(tilt::Tpo{o});
  }
  if (s.method == "prs") {
    tilt::PrsOptions o = completed(s, s.prs);
    o.feedback_law = o.law;
    o.feedback_max_tokens = s.critique_tokens.value_or(s.max_tokens);
    o.feedback = !s.no_feedback;
    o.select = !s.no_select;
    return ChosenSampler(tilt::Prs{o});
  }
  if (s.method == "epsilon_best_of")
    return ChosenSampler(tilt::EpsilonBestOf{completed(s, s.epsilon)});
  return ChosenSampler(tilt::BestOfPoisson{completed(s, s.poisson)});
}

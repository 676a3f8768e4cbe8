#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/default_selector.hpp"
#include "tilt/stats/calibration.hpp"
#include "tilt/stats/transform.hpp"

namespace tilt {

/// Options of `Calibrated`.
struct CalibratedOptions {
  std::size_t references =
      64;  ///< K, base draws per prompt that rewards are held against, at least 1
  /// Phi: quantile in [0, 1] to transformed reward, nondecreasing.
  std::function<double(double)> transform = tilt::transform::identity;
  /// Where the references of a prompt are kept for other runs; none: each run draws its own.
  std::optional<ReferenceStore> store = {};
};

/// A sampler that works with the quantile of the reward instead of the reward: InfAlign at test time.
///
///     Calibrated{QAlign{{.beta = 0.25}}, {.references = 100}}
///     Calibrated{Rejection{{.beta = 0.1, .max_rejections = npos}},
///                {.transform = transform::best_of(4, 0.1)}}
///
/// K draws z_1 .. z_K from the inner sampler's base law are scored and not emitted. A response of reward
/// r then has the quantile u = (number of z below r + number equal to r / 2) / K; `raw_reward` is r and
/// `reward` is Phi(u).
///
/// Law: given the references, that of the inner sampler with the reward Phi(u(r)): for `QAlign` and
/// uncapped `Rejection` p(y) exp(Phi(u(r(y)))/beta) / Z, for `BestOfN` the best of n by Phi(u(r)), where
/// rewards between the same two references tie and the earliest wins. As K grows u(r) tends to the
/// calibrated reward, so that the law re-weights p by reward quantile, f = exp(Phi/beta)/Z
/// (`QuantileTilt::from`): its KL and its win rate are known whatever the reward is. The same beta then
/// means the same for every prompt and every reward.
///
/// The references are never drawn from the pool that holds the candidates, and a candidate is not one
/// of its own references. Their seeds are a function of prompt, law, K and max_tokens and not of the
/// run: all runs of a prompt hold against the same references, and with a `store` pay for them once, also
/// the runs of one batch (the first of them pays). The results are the same with and without it. They are asked for in front of the inner sampler's first
/// work, in the same round; of several lanes the first draws them, and the others begin when it has.
///
/// Differs from the inner sampler in that
/// - a `ceiling` that was not given (`Rejection`) is Phi(1), the largest that Phi(u) can be, so that
///   rejection is exact; one that was given, like `BestOfN`'s `stop_at`, is in units of Phi;
/// - a reward of -infinity stays -infinity: what is forbidden is not merely the lowest quantile.
/// The transforms `best_of` and `worst_of` are made for a beta, which must be the sampler's.
///
/// Cost: K generations and scorings more, in the first round; lane 0 pays for them from its share of the
/// budget. An estimated quantile has a standard error of sqrt(u(1-u)/K), which exponential transforms
/// amplify (`plug_in_bias`): K must be well above t^2.
/// Edge cases: references that fail, or whose score is missing (NaN, under `OnNan::reject`), are left
/// out and counted. Where none is left, or the run is ended before all are in, nothing can be
/// calibrated: what the first round has drawn is emitted with weight 0 and no reward (NaN, with the raw
/// reward kept), and the run ends. An incomplete set never goes to the store. References are nobody's
/// survivors (`RunOptions::min_survivors`).
///
/// A sampler that scores against another prompt than the run's says so by a member `question`, as `Prs`
/// does: the references answer that one.
/// Stats: those of the inner sampler (whose rewards are the transformed ones), then `references` (used),
/// `reference_failures`, `plug_in_bias` (of the transform at a true quantile of 0.9) and `dkw_band` (at
/// 95 %: how far any quantile may be off).
/// @throws InvalidOption from the constructor: references not 1 to 2^20; a transform that is empty, decreases, gives
/// NaN or +infinity, or is -infinity at 1; one that is made for another beta. From the decoder or
/// session what the inner sampler throws; from `ask`: a sampler that scores against another prompt than
/// its `question`
///
/// A sampler that scores prefixes (`Cards`) does not compile: prefixes have another quantile law.
///
/// Source: Balashankar et al. 2024 (2412.19792), there for training (CTRL); here the same tilt is
/// sampled. Differs from its estimator: the references are of this prompt, and no quantile is
/// interpolated.
template <Sampler S>
class Calibrated {
  static_assert(!static_needs<S>().partial_reward,
                "tilt::Calibrated: this sampler scores prefixes of responses, which have another "
                "quantile law than whole ones; use BestOfN, QAlign or Rejection");
  static_assert(
      requires(const S& sampler) {
        { sampler.options().law } -> std::convertible_to<SamplingLaw>;
        { sampler.options().max_tokens } -> std::convertible_to<std::size_t>;
      },
      "tilt::Calibrated: references are drawn from the sampler's base law; give the sampler a "
      "member options() with law and max_tokens, as BestOfN, QAlign and Rejection have");

 public:
  using DefaultSelector = typename DefaultSelectorOf<S>::type;
  static constexpr Needs needs = static_needs<S>();

  struct State {
    typename S::State inner;
    Prompt question = {};  ///< what the references answer
    ReferenceStore::Quantiles references = {};
    std::size_t asked = 0;     ///< references in the round in flight
    std::size_t failures = 0;  ///< references that failed or have no score
    bool lost = false;         ///< not one reference could be had
  };

  explicit Calibrated(S sampler, CalibratedOptions options = {})
      : sampler_(std::move(sampler)), options_(std::move(options)) {
    require_count("CalibratedOptions.references", options_.references);
    if (needs_of(sampler_).partial_reward) {
      throw InvalidOption("Calibrated.sampler", "one that scores prefixes of responses",
                          "one of whole responses: prefixes have another quantile law");
    }
    // Two steps for each reference: the quantiles that may come up are exactly these.
    transform::check(options_.transform, "CalibratedOptions.transform", 2 * options_.references);
    if constexpr (requires { sampler_.options().beta; }) {
      const auto* solved = options_.transform.template target<transform::FixedPoint>();
      if (solved != nullptr && solved->beta() != sampler_.options().beta) {
        throw InvalidOption("CalibratedOptions.transform",
                            "made for beta = " + to_text(solved->beta()),
                            "made for the sampler's beta, " + to_text(sampler_.options().beta));
      }
    }
    if constexpr (requires { sampler_.options().ceiling; }) {
      if (std::isnan(sampler_.options().ceiling)) {
        auto filled = sampler_.options();
        filled.ceiling = options_.transform(1);
        sampler_ = S(std::move(filled));
      }
    }
  }

  [[nodiscard]] std::size_t lanes() const { return lanes_of(sampler_); }
  [[nodiscard]] Needs option_needs() const { return needs_of(sampler_); }
  void check() const { check_options(sampler_); }
  [[nodiscard]] bool emits_states() const {
    if constexpr (requires { sampler_.emits_states(); }) {
      return sampler_.emits_states();
    } else {
      return true;
    }
  }

  [[nodiscard]] State start(const Prompt& prompt) const {
    return {.inner = sampler_.start(prompt), .question = question_of(prompt)};
  }

  void ask(State& state, Round& round) const {
    state.asked = 0;
    if (state.lost) return;
    sampler_.ask(state.inner, round);
    check_question(state, round);
    if (state.references || round.draws().empty()) return;
    ReferenceKey key = key_for(state.question);
    if (options_.store) state.references = options_.store->find(key);
    if (state.references) return;
    round.sample_ahead(
        options_.references,
        [&key](std::size_t i) {
          return Generation{.prompt = key.prompt,
                            .max_tokens = key.max_tokens,
                            .law = key.law,
                            .seed = key.seed(i)};
        },
        options_.store.has_value());
    state.asked = options_.references;
  }

  void tell(State& state, Round& round) const {
    if (state.asked > 0) learn(state, round.ahead());
    state.asked = 0;
    if (!state.references) {
      state.lost = true;
      emit_unscored(round);
      return;
    }
    for (Draw& draw : round.results().subspan(round.ahead().size())) {
      if (draw.status != DrawStatus::done || !draw.to_score || draw.reward == -infinity) continue;
      draw.reward = options_.transform((*state.references)(draw.reward));
    }
    sampler_.tell(state.inner, round);
  }

  [[nodiscard]] bool prepares(const State& first) const { return first.asked > 0; }
  void share(const State& first, State& other) const {
    other.references = first.references;
    other.lost = first.lost;
  }

  /// False where the references could not be had, or as the inner sampler says.
  [[nodiscard]] bool law_holds(std::span<const State> states) const {
    for (const State& state : states) {
      if (state.lost) return false;
    }
    if constexpr (requires(std::span<const typename S::State> inner) {
                    { sampler_.law_holds(inner) } -> std::convertible_to<bool>;
                  }) {
      return sampler_.law_holds(std::span<const typename S::State>(inner_of(states)));
    } else {
      return true;
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population& population) const {
    Stats stats;
    if constexpr (requires(std::span<const typename S::State> inner) {
                    sampler_.stats(inner, population);
                  }) {
      stats = sampler_.stats(std::span<const typename S::State>(inner_of(states)), population);
    }
    std::size_t references = 0, failures = 0;
    for (const State& state : states) {
      if (references == 0 && state.references) references = state.references->size();
      failures += state.failures;
    }
    stats.emplace_back("references", static_cast<double>(references));
    stats.emplace_back("reference_failures", static_cast<double>(failures));
    stats.emplace_back(
        "plug_in_bias",
        references == 0 ? unset : plug_in_bias(options_.transform, references, biased_quantile));
    stats.emplace_back("dkw_band", dkw_band(references));
    return stats;
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return sampler_.options().law; }
  /// The inner sampler, its ceiling filled in.
  [[nodiscard]] const S& sampler() const noexcept { return sampler_; }
  [[nodiscard]] const CalibratedOptions& options() const noexcept { return options_; }
  /// What the references of a prompt are kept under, and where their seeds come from.
  [[nodiscard]] ReferenceKey key_of(const Prompt& prompt) const {
    return key_for(question_of(prompt));
  }

 private:
  static constexpr double biased_quantile = 0.9;

  static std::vector<typename S::State> inner_of(std::span<const State> states) {
    std::vector<typename S::State> inner;
    inner.reserve(states.size());
    for (const State& state : states) inner.push_back(state.inner);
    return inner;
  }
  [[nodiscard]] Prompt question_of(const Prompt& prompt) const {
    if constexpr (requires {
                    { sampler_.question(prompt) } -> std::convertible_to<Prompt>;
                  }) {
      return sampler_.question(prompt);
    } else {
      return prompt;
    }
  }
  [[nodiscard]] ReferenceKey key_for(const Prompt& question) const {
    return {.prompt = question,
            .law = sampler_.options().law,
            .references = options_.references,
            .max_tokens = sampler_.options().max_tokens};
  }

  // Rewards that answer another question than the references cannot be held against them.
  static void check_question(const State& state, const Round& round) {
    for (const Draw& draw : round.draws()) {
      if (!draw.to_score || draw.work.prompt == state.question) continue;
      throw InvalidOption("Calibrated.sampler",
                          "one that scores against the prompt " + describe(draw.work.prompt),
                          "one whose member question(prompt) tells so: the references answer " +
                              describe(state.question));
    }
  }

  void learn(State& state, std::span<const Draw> draws) const {
    std::vector<double> rewards;
    bool complete = draws.size() == state.asked;  // else no budget could let the others in
    for (const Draw& draw : draws) {
      if (draw.status == DrawStatus::failed) ++state.failures;
      if (draw.status == DrawStatus::skipped) complete = false;
      if (draw.status != DrawStatus::done) continue;
      // A score that the run rejects as none is no low reward either.
      const bool has_score = !std::isnan(draw.raw_reward) && draw.raw_reward < infinity;
      rewards.push_back(has_score ? draw.reward : unset);
    }
    auto quantiles = std::make_shared<const ReferenceQuantiles>(rewards);
    state.failures += quantiles->missing();
    // Of a run that was ended short responses, or fast ones, would be over-represented.
    if (!complete || quantiles->size() == 0) return;
    state.references = std::move(quantiles);
    if (options_.store && state.references->size() == options_.references) {
      ReferenceStore store = *options_.store;
      store.insert(key_for(state.question), state.references);
    }
  }

  static void emit_unscored(Round& round) {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done) continue;
      Candidate candidate = round.take(i);
      candidate.reward = unset;
      candidate.weight = 0;
      round.emit(std::move(candidate));
    }
  }

  S sampler_;
  CalibratedOptions options_;
};

}  // namespace tilt

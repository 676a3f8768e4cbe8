#pragma once

// Parts of a decoder that are chosen at run time, as a command must: one type for every reward, method and
// selector, so that a program compiles one decoder and not one for each method.

#include <any>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <tilt/tilt.hpp>

/// A reward that is chosen at run time.
struct ChosenReward {
  std::function<void(std::span<const tilt::Scoring>, std::span<double>)> function = {};
  std::function<void(const tilt::SamplingLaw&)> law_check = [](const tilt::SamplingLaw&) {};
  bool scores_prefixes = false;

  [[nodiscard]] bool partial() const { return scores_prefixes; }
  void score(std::span<const tilt::Scoring> work, std::span<double> out) const {
    function(work, out);
  }
  void check_law(const tilt::SamplingLaw& law) const { law_check(law); }
};

template <tilt::RewardModel R>
ChosenReward chosen(R reward) {
  const auto shared = std::make_shared<R>(std::move(reward));
  return {.function = [shared](auto work, auto out) { shared->score(work, out); },
          .law_check =
              [shared]([[maybe_unused]] const tilt::SamplingLaw& law) {
                if constexpr (requires { shared->check_law(law); }) shared->check_law(law);
              },
          .scores_prefixes = tilt::scores_prefixes(*shared)};
}

/// A selector that is chosen at run time.
struct ChosenSelector {
  std::function<tilt::Decision(const tilt::Population&, tilt::Random&)> choose = {};
  std::function<tilt::Stats(const tilt::Population&)> diagnose = {};

  tilt::Decision operator()(const tilt::Population& population, tilt::Random& random) const {
    return choose(population, random);
  }
  [[nodiscard]] tilt::Stats stats(const tilt::Population& population) const {
    return diagnose(population);
  }
};

template <tilt::Selector Select>
ChosenSelector chosen(Select selector) {
  return {.choose = selector, .diagnose = [selector](const tilt::Population& population) {
            if constexpr (requires { selector.stats(population); }) {
              return selector.stats(population);
            } else {
              (void)selector;
              return tilt::Stats{};
            }
          }};
}

/// A method that is chosen at run time: its state is held as `std::any`.
class ChosenSampler {
 public:
  struct State {
    std::any inner = {};
  };

  template <tilt::Sampler S>
  explicit ChosenSampler(S sampler) : methods_(std::make_shared<const Of<S>>(std::move(sampler))) {}

  [[nodiscard]] std::size_t lanes() const { return methods_->lanes(); }
  [[nodiscard]] tilt::Needs option_needs() const { return methods_->needs(); }
  void check() const { methods_->check(); }
  [[nodiscard]] bool emits_states() const { return methods_->emits_states(); }
  [[nodiscard]] const tilt::SamplingLaw& law() const { return methods_->law(); }

  [[nodiscard]] State start(const tilt::Prompt& prompt) const { return {methods_->start(prompt)}; }
  void ask(State& state, tilt::Round& round) const { methods_->ask(state.inner, round); }
  void tell(State& state, tilt::Round& round) const { methods_->tell(state.inner, round); }
  [[nodiscard]] bool prepares(const State& first) const { return methods_->prepares(first.inner); }
  void share(const State& first, State& other) const { methods_->share(first.inner, other.inner); }
  [[nodiscard]] tilt::Stats stats(std::span<const State> states,
                                  const tilt::Population& population) const {
    return methods_->stats(states, population);
  }

 private:
  struct Methods {
    virtual ~Methods() = default;
    virtual std::size_t lanes() const = 0;
    virtual tilt::Needs needs() const = 0;
    virtual void check() const = 0;
    virtual bool emits_states() const = 0;
    virtual const tilt::SamplingLaw& law() const = 0;
    virtual std::any start(const tilt::Prompt& prompt) const = 0;
    virtual void ask(std::any& state, tilt::Round& round) const = 0;
    virtual void tell(std::any& state, tilt::Round& round) const = 0;
    virtual bool prepares(const std::any& first) const = 0;
    virtual void share(const std::any& first, std::any& other) const = 0;
    virtual tilt::Stats stats(std::span<const State> states,
                              const tilt::Population& population) const = 0;
  };

  template <class S>
  struct Of final : Methods {
    using Inner = typename S::State;
    S sampler;

    explicit Of(S s) : sampler(std::move(s)) {}
    static Inner& of(std::any& state) { return *std::any_cast<Inner>(&state); }
    static const Inner& of(const std::any& state) { return *std::any_cast<Inner>(&state); }

    std::size_t lanes() const override { return tilt::lanes_of(sampler); }
    tilt::Needs needs() const override { return tilt::needs_of(sampler); }
    void check() const override { tilt::check_options(sampler); }
    bool emits_states() const override {
      if constexpr (requires { sampler.emits_states(); }) return sampler.emits_states();
      return true;
    }
    const tilt::SamplingLaw& law() const override { return sampler.law(); }
    std::any start(const tilt::Prompt& prompt) const override { return sampler.start(prompt); }
    void ask(std::any& state, tilt::Round& round) const override { sampler.ask(of(state), round); }
    void tell(std::any& state, tilt::Round& round) const override {
      sampler.tell(of(state), round);
    }
    bool prepares([[maybe_unused]] const std::any& first) const override {
      if constexpr (requires { sampler.prepares(of(first)); }) return sampler.prepares(of(first));
      return false;
    }
    void share([[maybe_unused]] const std::any& first,
               [[maybe_unused]] std::any& other) const override {
      if constexpr (requires { sampler.share(of(first), of(other)); }) {
        sampler.share(of(first), of(other));
      }
    }
    tilt::Stats stats(std::span<const State> states,
                      const tilt::Population& population) const override {
      std::vector<Inner> inner;
      for (const State& state : states) inner.push_back(of(state.inner));
      if constexpr (requires { sampler.stats(std::span<const Inner>(inner), population); }) {
        return sampler.stats(std::span<const Inner>(inner), population);
      }
      return {};
    }
  };

  std::shared_ptr<const Methods> methods_;
};
static_assert(tilt::Sampler<ChosenSampler>);

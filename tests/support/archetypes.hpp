#pragma once

// The poorest model of each concept: it can do what the concept asks for and nothing else. It cannot
// be copied, default-made or compared; code that needs more of a user's type does not compile with
// it. Each keeps the concept's semantics, so that it can also be run.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tilt/policy/abilities.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/concept.hpp"

namespace archetype {

/// Answers everything with one token and stops.
class Policy {
 public:
  explicit Policy(tilt::Token token) : token_(token) {}
  Policy(Policy&&) = default;
  Policy& operator=(Policy&&) = delete;

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    for (std::size_t i = 0; i < work.size(); ++i) out[i].tokens.push_back(token_);
  }

 private:
  tilt::Token token_;
};

/// The same, piece by piece: each step finishes the oldest ticket.
class AsyncPolicy {
 public:
  explicit AsyncPolicy(tilt::Token token) : token_(token) {}
  AsyncPolicy(AsyncPolicy&&) = default;
  AsyncPolicy& operator=(AsyncPolicy&&) = delete;

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    for (std::size_t i = 0; i < work.size(); ++i) out[i].tokens.push_back(token_);
  }
  void submit(std::uint64_t ticket, const tilt::Generation&) { waiting_.push_back(ticket); }
  std::span<const tilt::Progress> step(std::chrono::steady_clock::time_point) {
    if (waiting_.empty()) return {};
    answer_ = {};
    answer_.tokens.push_back(token_);
    news_ = {.ticket = waiting_.front(), .fresh = answer_.tokens, .finished = &answer_};
    waiting_.erase(waiting_.begin());
    return {&news_, 1};
  }
  void cancel(std::uint64_t ticket) { std::erase(waiting_, ticket); }

 private:
  tilt::Token token_;
  std::vector<std::uint64_t> waiting_ = {};
  tilt::Response answer_ = {};
  tilt::Progress news_ = {};
};

/// Rewards every response alike.
class RewardModel {
 public:
  explicit RewardModel(double reward) : reward_(reward) {}
  RewardModel(RewardModel&&) = default;
  RewardModel& operator=(RewardModel&&) = delete;

  void score(std::span<const tilt::Scoring> work, std::span<double> out) {
    for (std::size_t i = 0; i < work.size(); ++i) out[i] = reward_;
  }

 private:
  double reward_;
};

/// Draws one response and emits it. Decoders hold samplers by value and give each session its own, so
/// that a sampler can be copied; its state can be copied, and nothing else.
class Sampler {
 public:
  class State {
   public:
    explicit State(tilt::Prompt prompt) : prompt_(std::move(prompt)) {}

   private:
    friend Sampler;
    tilt::Prompt prompt_;
    bool asked_ = false;
  };

  explicit Sampler(std::size_t max_tokens) : max_tokens_(max_tokens) {}

  State start(const tilt::Prompt& prompt) const { return State(prompt); }
  void ask(State& state, tilt::Round& round) const {
    if (state.asked_) return;
    state.asked_ = true;
    round.sample({.prompt = state.prompt_, .max_tokens = max_tokens_});
  }
  void tell(State&, tilt::Round& round) const {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status == tilt::DrawStatus::done) round.emit(round.take(i));
    }
  }

 private:
  std::size_t max_tokens_;
};

/// Chooses the first candidate that selectors may choose.
class Selector {
 public:
  explicit Selector(int) {}
  Selector(Selector&&) = default;
  Selector& operator=(Selector&&) = delete;

  tilt::Decision operator()(const tilt::Population& population, tilt::Random&) const {
    if (population.empty()) return {.share = 0};
    std::size_t index = 0;
    while (index < population.size() && !(population[index].weight > 0)) ++index;
    if (index == population.size()) index = 0;
    return {.index = index, .answer = population[index].response.text};
  }
};

}  // namespace archetype

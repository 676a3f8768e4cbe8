#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/candidate.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/population.hpp"
#include "tilt/core/random.hpp"

namespace tilt {

enum class DrawStatus {
  done,    ///< everything asked for is there
  failed,  ///< the policy or the reward failed; never a candidate
  skipped  ///< not run, or not finished: a budget or a stop request ended the run
};

/// One piece of a round's work, and what came of it.
struct Draw {
  Generation work = {};
  Response response = {};     ///< prefix and continuation joined
  double reward = unset;      ///< what the method works with; NaN when it was not to be scored
  double raw_reward = unset;  ///< what the reward model said
  DrawStatus status = DrawStatus::skipped;
  bool to_generate = false, to_score = false;  ///< what was asked for
};

/// One step of a sampler, as the sampler sees it: `ask` appends work, `tell` finds the results in the
/// same order and emits candidates.
///
/// What no budget of calls could ever let in is counted and not kept, so that a round that asks for
/// far more than a run may spend takes no memory for it: `draws()` then has the first draws only, and
/// the round is the last one.
/// @throws Error from whatever asks for work, when a round asks for more than `most_draws`
class Round {
 public:
  /// Draws that one round may ask for.
  static constexpr std::size_t most_draws = 1u << 21;

  /// How much of what is asked for may ever be let in.
  struct Room {
    std::size_t policy_calls = npos, reward_calls = npos;
    std::size_t at_least = 0;  ///< draws that are kept in any case
  };

  /// Asks for a draw that is then scored against its own prompt.
  void sample(Generation work) { push(std::move(work), true, true); }
  /// Asks for a draw only.
  void generate(Generation work) { push(std::move(work), true, false); }
  /// Asks for a score only; the response need not come from a policy.
  void score(const Prompt& prompt, Response response) {
    Generation work;
    work.prompt = prompt;
    if (Draw* draw = push(std::move(work), false, true)) draw->response = std::move(response);
  }

  /// A copy of a law for a piece of work, in memory that the works of the round before no longer need:
  /// a method of many rounds copies its stop strings without new memory from the second round on.
  [[nodiscard]] SamplingLaw copy(const SamplingLaw& law) {
    SamplingLaw mine;
    if (!spare_laws_.empty()) {
      mine = std::move(spare_laws_.back());
      spare_laws_.pop_back();
    }
    mine = law;
    return mine;
  }

  /// The work in the order in which it was asked for.
  [[nodiscard]] std::span<const Draw> draws() const noexcept {
    return std::span<const Draw>(draws_).subspan(ahead_);
  }

  /// Draw i as a candidate: its response is moved out of the draw, the rewards are copied.
  [[nodiscard]] Candidate take(std::size_t i) {
    Draw& draw = draws_[ahead_ + i];
    return {
        .response = std::move(draw.response), .reward = draw.reward, .raw_reward = draw.raw_reward};
  }

  /// Keeps a candidate and returns its id.
  std::uint64_t emit(Candidate candidate) { return population_->add(std::move(candidate), lane_); }
  /// Puts a candidate in the place of one of this lane that was emitted before, under the same id: a
  /// partial result that has grown. Observers are not told again.
  void replace(std::uint64_t id, Candidate candidate) {
    population_->replace(id, std::move(candidate));
  }
  /// Adds to the weight of a candidate that was emitted before.
  void add_weight(std::uint64_t id, double weight) { population_->add_weight(id, weight); }
  /// A candidate of this lane that was emitted before. The reference holds until the next `emit`.
  [[nodiscard]] const Candidate& candidate(std::uint64_t id) const {
    return population_->at_id(id);
  }

  /// Says that the response begins with these tokens, whatever comes: they can be streamed. Each call
  /// gives the whole settled prefix.
  void settle(TokenSpan prefix) { settled_.assign(prefix.begin(), prefix.end()); }
  [[nodiscard]] TokenSpan settled() const noexcept { return settled_; }

  /// True in the last `tell` of a run that was ended from outside: nothing asked for later is run.
  [[nodiscard]] bool closing() const noexcept { return closing_; }
  /// Which of the sampler's independent chains this round belongs to, 0 .. lanes()-1.
  [[nodiscard]] std::size_t lane() const noexcept { return lane_; }
  /// How many rounds of this lane came before.
  [[nodiscard]] std::size_t index() const noexcept { return index_; }

  /// A random stream of this round, keyed by (seed, stream, lane, round, purpose, i): the same
  /// arguments give the same stream.
  [[nodiscard]] Random random(std::uint64_t purpose, std::uint64_t i = 0) const noexcept {
    return Random(seed_, lane_, index_, purpose, i);
  }

  // For those who drive a sampler (the session, and samplers that wrap another).

  /// Asks for draws that are then scored and that stand in front of all of the sampler's own: what a
  /// wrapper needs for itself. They are done first; they are not among `draws()`, change no seed of
  /// these, and are nobody's candidates or survivors. They keep the seeds that they come with. Called
  /// at most once a round.
  /// @param make    make(i) is the Generation of number i; it is called for those that are kept
  /// @param shared  a driver of several sessions may do equal work of them once, and tell all
  template <class Make>
  void sample_ahead(std::size_t n, Make&& make, bool shared = false) {
    // They are the first to be let in: the room is theirs, before it is the others'.
    const std::size_t own = draws_.size(), refused = std::exchange(refused_, 0);
    generations_ = scorings_ = 0;
    for (std::size_t i = 0; i < n && refused_ == 0; ++i) {
      Generation work = make(i);
      const std::uint64_t seed = work.seed;
      if (Draw* draw = push(std::move(work), true, true)) draw->work.seed = seed;
    }
    const auto begin = draws_.begin(), first = begin + static_cast<std::ptrdiff_t>(own);
    ahead_ = draws_.size() - own;
    refused_ = n - ahead_;
    std::rotate(begin, first, draws_.end());
    if (refused_ > 0) {
      // What stands behind a draw that can never be let in cannot be let in either.
      draws_.resize(ahead_);
      refused_ += own;
    }
    refused_ += refused;
    shared_ = shared;
  }
  /// The draws ahead, in the order in which they were asked for.
  [[nodiscard]] std::span<const Draw> ahead() const noexcept {
    return std::span<const Draw>(draws_).first(ahead_);
  }
  /// Those of them that may be shared: all or none.
  [[nodiscard]] std::span<const Draw> shared() const noexcept {
    return shared_ ? ahead() : std::span<const Draw>{};
  }

  /// Starts round `index` of a lane; what was asked for before is dropped.
  /// @param seed  of the run, not of the round
  /// @param room  what of the work may ever be let in; by default all
  void begin(Population& population, std::uint64_t seed, std::uint32_t lane, std::size_t index,
             std::uint64_t affinity, const Room& room) {
    population_ = &population;
    seed_ = seed;
    lane_ = lane;
    index_ = index;
    affinity_ = affinity;
    closing_ = false;
    room_ = room;
    ahead_ = refused_ = generations_ = scorings_ = 0;
    spare_laws_.clear();
    for (Draw& draw : draws_) {
      SamplingLaw& law = draw.work.law;
      if (!law.stop.empty() || !law.stop_tokens.empty()) spare_laws_.push_back(std::move(law));
    }
    shared_ = false;
    draws_.clear();
  }
  void begin(Population& population, std::uint64_t seed, std::uint32_t lane, std::size_t index,
             std::uint64_t affinity) {
    begin(population, seed, lane, index, affinity, Room{});
  }
  /// Gives back the memory of the draws of a lane that has ended.
  void release() noexcept {
    ahead_ = refused_ = 0;
    std::vector<Draw>().swap(draws_);
    std::vector<SamplingLaw>().swap(spare_laws_);
  }
  /// How many draws were asked for, those included that are not kept.
  [[nodiscard]] std::size_t asked() const noexcept { return draws_.size() + refused_; }
  /// Names the population again, where it has moved since the round began.
  void rebind(Population& population) noexcept { population_ = &population; }
  /// All draws, those ahead and then the sampler's own, to be filled in or transformed. They stay
  /// where they are until the next `begin`.
  [[nodiscard]] std::span<Draw> results() noexcept { return draws_; }
  [[nodiscard]] std::span<const Draw> results() const noexcept { return draws_; }
  void close() noexcept { closing_ = true; }

 private:
  // Null for a draw that is not kept.
  Draw* push(Generation&& work, bool to_generate, bool to_score) {
    if (asked() >= most_draws) {
      throw Error("a round asks for more than " + std::to_string(most_draws) + " draws");
    }
    const bool full = (to_generate && generations_ >= room_.policy_calls) ||
                      (to_score && scorings_ >= room_.reward_calls);
    if (refused_ > 0 || (full && draws_.size() >= room_.at_least)) {
      ++refused_;
      return nullptr;
    }
    generations_ += to_generate ? 1u : 0u;
    scorings_ += to_score ? 1u : 0u;
    // `random` belongs to the sampler; policies have streams of their own.
    work.seed = derive_seed(seed_, policy_streams, lane_, index_, draws_.size() - ahead_);
    work.affinity = affinity_;
    Draw& draw = draws_.emplace_back();
    draw.work = std::move(work);
    draw.to_generate = to_generate;
    draw.to_score = to_score;
    return &draw;
  }

  static constexpr std::uint64_t policy_streams = 0x706f6c6963790000u;

  Population* population_ = nullptr;
  std::vector<Draw> draws_ = {};  // those ahead first
  std::vector<SamplingLaw> spare_laws_ = {};
  std::size_t ahead_ = 0;
  std::size_t refused_ = 0;                     // asked for and not kept
  std::size_t generations_ = 0, scorings_ = 0;  // kept, and counted against the room
  Room room_ = {};
  std::vector<Token> settled_ = {};
  std::uint64_t seed_ = 0, affinity_ = 0;
  std::size_t index_ = 0;
  std::uint32_t lane_ = 0;
  bool closing_ = false, shared_ = false;
};

}  // namespace tilt

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tilt/runtime/result.hpp"

namespace tilt {

/// A piece of work that a session waits for; exactly one pointer is set. What it points to stays
/// where it is until the id is supplied, fails, or is cancelled.
struct Work {
  std::uint64_t id = 0;
  const Generation* generation = nullptr;
  const Scoring* scoring = nullptr;
};

/// One prompt's run of a sampler, without any I/O: it says what it needs and is told the results, in
/// any order. It depends on neither the policy's nor the reward's type.
///
///     Session session{QAlign{{.beta = 0.5}}, "What is 17 * 23?"};
///     while (!session.finished()) {
///       for (const Work& work : session.pending()) { ... session.supply(work.id, ...); }
///     }
///     Result result = session.result(LastState{});
///
/// What it commits is a function of (seed, stream), the sampler and the results; never of the order
/// in which they arrive. The clock and the stop token are looked at by `pending` and `cancelled`, so
/// that what has been supplied by then still counts. Not thread-safe; a server calls it from its own
/// loop. It may be moved while work is out, and copied: a copy goes on by itself under the same ids,
/// and its pointers come from its own `pending`.
/// @throws InvalidOption from the constructor for run options, or sampler options, out of range
template <Sampler S>
class Session {
 public:
  using State = typename S::State;

  Session(S sampler, Prompt prompt, RunOptions options = {})
      : sampler_(std::move(sampler)),
        prompt_(std::move(prompt)),
        options_(std::move(options)),
        seed_(derive_seed(options_.seed, options_.stream)),
        start_(Clock::now()) {
    check_run_options(options_);
    check_options(sampler_);
    needs_tokens_ = needs_of(sampler_).policy.tokens;
    const std::size_t lanes = lanes_of(sampler_);
    require_option(lanes >= 1 && lanes <= most_lanes, "Sampler.lanes", lanes, "from 1 to 65536");
    states_.reserve(lanes);
    lanes_.resize(lanes);
    for (std::size_t i = 0; i < lanes; ++i) {
      states_.push_back(sampler_.start(prompt_));
      lanes_[i].limit = {.tokens = share(options_.budget.tokens, i),
                         .policy_calls = share(options_.budget.policy_calls, i),
                         .reward_calls = share(options_.budget.reward_calls, i)};
    }
    running_ = lanes;
    ask(0);
    for (std::size_t i = 1; i < lanes; ++i) lanes_[i].begun = false;
    if (!first_round_prepares()) begin_others();
    check_clock();
    for (std::size_t i = 0; i < lanes; ++i) advance(i);
  }

  /// All work that is waited for: generations, then scorings, each by lane and index. Calling it
  /// again lists again what has not been supplied. Looks at the clock and the stop token.
  [[nodiscard]] std::vector<Work> pending() {
    std::vector<Work> work;
    pending(work);
    return work;
  }
  /// The same, appended to a vector.
  void pending(std::vector<Work>& work) {
    check_clock();
    if (finished()) return;
    for (const Phase phase : {Phase::generating, Phase::scoring}) {
      for (std::size_t l = 0; l < lanes_.size(); ++l) {
        Lane& lane = lanes_[l];
        if (lane.finished) continue;
        const auto draws = lane.round.results();
        for (std::size_t i = 0; i < lane.admitted; ++i) {
          Slot& slot = lane.slots[i];
          if (slot.phase != phase || slot.dropped) continue;
          slot.listed = true;
          const std::uint64_t id = id_of(l, lane.round.index(), i, phase);
          if (phase == Phase::generating) {
            work.push_back({.id = id, .generation = &draws[i].work});
          } else {
            slot.scoring = {.prompt = &draws[i].work.prompt, .response = &draws[i].response};
            work.push_back({.id = id, .scoring = &slot.scoring});
          }
        }
      }
    }
  }

  /// The generation of a pending id, for drivers that batch without copying: it may be moved from
  /// while the work is out, and must be moved back before anything is supplied.
  [[nodiscard]] Generation& lend(std::uint64_t id) {
    const Place place = locate(id);
    if (slot_of(place) == nullptr) {
      throw Error("the id " + std::to_string(id) + " is not pending");
    }
    return lanes_[place.lane].round.results()[place.index].work;
  }

  /// Tells the continuation that a generation gave (the prefix not repeated). An id that is no longer
  /// waited for is ignored. A malformed continuation counts as a failure of this draw.
  /// @throws Error when no generation was ever asked for under this id
  void supply(std::uint64_t id, Response continuation) {
    const Place place = locate(id, Phase::generating);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Lane& lane = lanes_[place.lane];
    Draw& draw = lane.round.results()[place.index];
    ++lane.spent.policy_calls;
    lane.spent.generated_tokens += continuation.tokens.size();
    lane.spent.prompt_tokens += continuation.usage.prompt_tokens;
    lane.spent.cached_tokens += continuation.usage.cached_tokens;
    if (draw.work.until && draw.work.until->needs_entropy() &&
        continuation.finish == Finish::segment &&
        continuation.tokens.size() < draw.work.until->max_tokens) {
      ++lane.spent.lookahead_tokens;
    }
    if (too_late(*slot)) return;
    const std::string fault = fault_of(draw.work, continuation);
    if (!fault.empty()) {
      fail_draw(place, *slot, std::make_exception_ptr(PolicyError(fault)));
      return;
    }
    draw.response = std::move(continuation);
    if (!draw.work.prefix.empty()) draw.response.prepend(draw.work.prefix);
    if (draw.to_score) {
      slot->phase = Phase::scoring;
      slot->listed = false;
    } else {
      resolve(place, *slot, DrawStatus::done);
    }
  }

  /// Tells the reward that a scoring gave. An id that is no longer waited for is ignored. NaN and
  /// +infinity are failures, or rejections, as `RunOptions::on_nan` says.
  /// @throws Error when no scoring was ever asked for under this id
  void supply(std::uint64_t id, double reward) {
    const Place place = locate(id, Phase::scoring);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Lane& lane = lanes_[place.lane];
    Draw& draw = lane.round.results()[place.index];
    ++lane.spent.reward_calls;
    if (too_late(*slot)) return;
    draw.raw_reward = reward;
    draw.reward = reward;
    if (std::isnan(reward) || reward == infinity) {
      if (options_.on_nan == OnNan::fail) {
        fail_draw(place, *slot,
                  std::make_exception_ptr(RewardError("the reward is " + to_text(reward))));
        return;
      }
      draw.reward = -infinity;
    }
    resolve(place, *slot, DrawStatus::done);
  }

  /// Tells that a piece of work failed. An id that is no longer waited for is ignored.
  /// @throws Error when nothing was ever asked for under this id
  void fail(std::uint64_t id, std::exception_ptr error) {
    const Place place = locate(id);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Lane& lane = lanes_[place.lane];
    ++(slot->phase == Phase::generating ? lane.spent.policy_calls : lane.spent.reward_calls);
    if (too_late(*slot)) return;
    fail_draw(place, *slot, std::move(error));
  }

  /// The ids that were handed out and are no longer wanted, each told once.
  [[nodiscard]] std::vector<std::uint64_t> cancelled() {
    check_clock();
    return std::exchange(cancelled_, {});
  }

  /// True when nothing is waited for any more. Looks at no clock.
  [[nodiscard]] bool finished() const noexcept { return running_ == 0; }

  /// The candidates emitted so far.
  [[nodiscard]] const Population& candidates() const noexcept { return candidates_; }
  [[nodiscard]] const Prompt& prompt() const noexcept { return prompt_; }
  [[nodiscard]] const S& sampler() const noexcept { return sampler_; }
  /// What a lane's response is sure to begin with (see `Round::settle`).
  [[nodiscard]] TokenSpan settled(std::size_t lane = 0) const {
    return lanes_.at(lane).round.settled();
  }

  /// What has been spent so far.
  [[nodiscard]] Cost spent() const {
    Cost total;
    for (const Lane& lane : lanes_) total += lane.spent;
    const auto end = finished() ? end_ : Clock::now();
    total.seconds = std::chrono::duration<double>(end - start_).count();
    return total;
  }

  /// The best so far, at any moment. Of an unfinished run: what it has, as if it were cancelled now.
  /// @throws what the selector throws; the session is then as it was
  template <Selector Select>
  [[nodiscard]] Result result(const Select& selector) const& {
    Result result = conclude(selector);
    result.candidates = candidates_;
    return result;
  }
  template <Selector Select>
  [[nodiscard]] Result result(const Select& selector) && {
    Result result = conclude(selector);
    result.candidates = std::move(candidates_);
    return result;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t most_lanes = 1u << 16;
  static constexpr std::uint64_t selector_stream = 0x73656c6563740000u;

  enum class Phase : std::uint8_t { waiting, generating, scoring, resolved };
  struct Slot {
    Phase phase = Phase::waiting;
    bool listed = false;   // handed out by `pending` in this phase
    bool dropped = false;  // no longer wanted; a late result is paid for all the same
    Scoring scoring = {};
  };
  struct Limit {
    std::size_t tokens = npos, policy_calls = npos, reward_calls = npos;
  };
  struct Lane {
    Round round = {};
    std::vector<Slot> slots = {};  // one per draw of the round
    std::size_t admitted = 0;      // draws let in so far; always the first ones
    std::size_t in_flight = 0;     // of those, draws not resolved yet
    Limit limit = {};
    Cost spent = {};
    Stop stop = Stop::finished;
    bool begun = true;  // false while it waits for the first round of lane 0
    bool finished = false;
  };

  // An id packs, from the top: lane 16 bits, round 26, index 21, phase 1.
  struct Place {
    std::size_t lane = 0, round = 0, index = 0;
    Phase phase = Phase::waiting;
  };
  static constexpr std::size_t most_rounds = 1u << 26, most_draws = 1u << 21;

  static std::uint64_t id_of(std::size_t lane, std::size_t round, std::size_t index, Phase phase) {
    return (std::uint64_t{lane} << 48) | (std::uint64_t{round} << 22) |
           (std::uint64_t{index} << 1) | (phase == Phase::scoring ? 1u : 0u);
  }

  // Where an id belongs.
  [[nodiscard]] Place locate(std::uint64_t id) const {
    const Place place{.lane = static_cast<std::size_t>(id >> 48),
                      .round = static_cast<std::size_t>((id >> 22) & (most_rounds - 1)),
                      .index = static_cast<std::size_t>((id >> 1) & (most_draws - 1)),
                      .phase = (id & 1u) != 0 ? Phase::scoring : Phase::generating};
    if (place.lane >= lanes_.size() || place.round > lanes_[place.lane].round.index() ||
        (place.round == lanes_[place.lane].round.index() &&
         place.index >= lanes_[place.lane].slots.size())) {
      throw Error("this session never asked for work with the id " + std::to_string(id));
    }
    return place;
  }
  [[nodiscard]] Place locate(std::uint64_t id, Phase supplied) const {
    const Place place = locate(id);
    if (place.phase == supplied) return place;
    throw Error("the id " + std::to_string(id) +
                (supplied == Phase::scoring ? " is a generation: supply a response"
                                            : " is a scoring: supply a reward"));
  }

  // The slot of an id, or null when nothing is waited for under it any more.
  [[nodiscard]] Slot* slot_of(const Place& place) {
    Lane& lane = lanes_[place.lane];
    if (place.round != lane.round.index()) return nullptr;
    Slot& slot = lane.slots[place.index];
    return slot.phase == place.phase ? &slot : nullptr;
  }

  [[nodiscard]] std::size_t share(std::size_t limit, std::size_t lane) const {
    if (limit == npos) return npos;
    const std::size_t lanes = lanes_.size();
    return limit / lanes + (lane < limit % lanes ? 1 : 0);
  }

  // Whether the other lanes have to wait for the first round of lane 0, which has been asked for.
  [[nodiscard]] bool first_round_prepares() const {
    if constexpr (SharesFirstRound<S>) {
      return !lanes_[0].finished && sampler_.prepares(states_[0]);
    } else {
      return false;
    }
  }

  // Begins the first rounds of all lanes but lane 0.
  void begin_others() {
    for (std::size_t l = 1; l < lanes_.size(); ++l) {
      if constexpr (SharesFirstRound<S>) sampler_.share(states_[0], states_[l]);
      lanes_[l].begun = true;
      ask(l);
    }
  }

  // Begins a lane's next round.
  void ask(std::size_t l) {
    Lane& lane = lanes_[l];
    const std::size_t index = lane.spent.rounds;
    if (index >= most_rounds) throw Error("a lane has more than 67108864 rounds");
    lane.round.begin(candidates_, seed_, static_cast<std::uint32_t>(l), index,
                     derive_seed(seed_, prompt_.key(), l));
    sampler_.ask(states_[l], lane.round);
    const std::size_t draws = lane.round.results().size();
    if (draws > most_draws) throw Error("a round has more than 2097152 draws");
    lane.slots.assign(draws, Slot{});
    lane.admitted = lane.in_flight = 0;
    if (draws == 0) finish(lane);
  }

  // Lets work in, and goes from round to round while nothing is waited for.
  void advance(std::size_t l) {
    Lane& lane = lanes_[l];
    while (lane.begun && !lane.finished && lane.in_flight == 0) {
      if (lane.stop == Stop::finished && stop_ == Stop::finished) admit(lane);
      if (lane.in_flight > 0) return;
      const bool closing = lane.admitted < lane.slots.size() || stop_ != Stop::finished;
      if (closing) lane.round.close();
      lane.round.rebind(candidates_);
      ++lane.spent.rounds;
      sampler_.tell(states_[l], lane.round);
      // However this round has ended, the lanes that waited for it begin, or end as any lane does.
      const bool others_wait = l == 0 && !lanes_.back().begun;
      if (others_wait) begin_others();
      if (closing) {
        finish(lane);
      } else {
        ask(l);
      }
      if (others_wait) {
        for (std::size_t other = 1; other < lanes_.size(); ++other) advance(other);
      }
    }
  }

  // In index order, while spent < limit. Only called while nothing is in flight, so that what is let
  // in never depends on the order of arrival.
  void admit(Lane& lane) {
    const auto draws = lane.round.results();
    std::size_t tokens = lane.spent.generated_tokens;
    std::size_t policy_calls = lane.spent.policy_calls, reward_calls = lane.spent.reward_calls;
    Stop reached = Stop::finished;
    while (lane.admitted < draws.size()) {
      const Draw& draw = draws[lane.admitted];
      if (draw.to_generate && tokens >= lane.limit.tokens) reached = Stop::tokens;
      if (draw.to_generate && policy_calls >= lane.limit.policy_calls) reached = Stop::policy_calls;
      if (draw.to_score && reward_calls >= lane.limit.reward_calls) reached = Stop::reward_calls;
      if (reached != Stop::finished) break;
      Slot& slot = lane.slots[lane.admitted++];
      ++lane.in_flight;
      slot.phase = draw.to_generate ? Phase::generating : Phase::scoring;
      if (draw.to_generate) {
        ++policy_calls;
        const std::size_t most = std::min(
            draw.work.max_tokens, draw.work.until ? draw.work.until->max_tokens : npos);
        tokens = most > npos - tokens ? npos - 1 : tokens + most;
      }
      if (draw.to_score) ++reward_calls;
    }
    if (lane.in_flight == 0) lane.stop = reached;
  }

  // Whether a result that has just been counted can no longer be used.
  static bool too_late(Slot& slot) {
    if (slot.dropped) slot.phase = Phase::resolved;
    return slot.dropped;
  }

  void resolve(const Place& place, Slot& slot, DrawStatus status) {
    Lane& lane = lanes_[place.lane];
    slot.phase = Phase::resolved;
    Draw& draw = lane.round.results()[place.index];
    draw.status = status;
    // A draw ahead, or a scoring without a draw, such as that of a bare prompt, is nobody's survivor.
    const bool ahead = place.index < lane.round.ahead().size();
    if (status == DrawStatus::done && draw.to_generate && !ahead) ++survivors_;
    --lane.in_flight;
    advance(place.lane);
  }

  void fail_draw(const Place& place, Slot& slot, std::exception_ptr error) {
    const FailedPart part =
        place.phase == Phase::scoring ? FailedPart::reward : FailedPart::policy;
    failures_.push_back(
        {.what = std::string(part == FailedPart::reward ? "the reward model" : "the policy") +
                 " failed on the prompt " + describe(prompt_) + " (lane " +
                 std::to_string(place.lane) + ", round " + std::to_string(place.round) +
                 ", draw " + std::to_string(place.index) + "): " + message_of(error),
         .cause = std::move(error),
         .part = part,
         .lane = static_cast<std::uint32_t>(place.lane),
         .round = place.round,
         .index = place.index});
    if (options_.on_failure == OnFailure::fail && stop_ == Stop::finished) {
      stop_ = Stop::failed;
      // What has been drawn is still scored; what is being drawn is no longer wanted.
      for (std::size_t l = 0; l < lanes_.size(); ++l) drop(l, Phase::generating, &slot);
    }
    resolve(place, slot, DrawStatus::failed);
    if (stop_ == Stop::failed) {
      for (std::size_t l = 0; l < lanes_.size(); ++l) advance(l);
    }
  }

  // Gives up the work of a lane that is in a phase, except one slot.
  void drop(std::size_t l, Phase phase, const Slot* except = nullptr) {
    Lane& lane = lanes_[l];
    if (lane.finished) return;
    for (std::size_t i = 0; i < lane.slots.size(); ++i) {
      Slot& slot = lane.slots[i];
      if (slot.phase != phase || slot.dropped || &slot == except) continue;
      slot.dropped = true;
      if (slot.listed) cancelled_.push_back(id_of(l, lane.round.index(), i, phase));
      --lane.in_flight;
    }
  }

  // Ends the run when time is up or a stop was requested.
  void check_clock() {
    if (finished()) return;
    const bool cancelled = options_.stop.stop_requested();
    const bool late = options_.budget.seconds < infinity &&
                      std::chrono::duration<double>(Clock::now() - start_).count() >=
                          options_.budget.seconds;
    if (!cancelled && !late) return;
    if (stop_ == Stop::finished) stop_ = cancelled ? Stop::cancelled : Stop::seconds;
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      drop(l, Phase::generating);
      drop(l, Phase::scoring);
    }
    for (std::size_t l = 0; l < lanes_.size(); ++l) advance(l);
  }

  void finish(Lane& lane) {
    lane.finished = true;
    if (--running_ > 0) return;
    end_ = Clock::now();
    const bool too_few = survivors_ < options_.min_survivors || candidates_.empty();
    if (stop_ == Stop::finished && !failures_.empty() && too_few) stop_ = Stop::failed;
  }

  // What is wrong with a continuation, or nothing.
  [[nodiscard]] std::string fault_of(const Generation& work, const Response& r) const {
    const std::size_t n = r.tokens.size();
    const std::size_t most =
        std::min(work.max_tokens, work.until ? work.until->max_tokens : npos);
    const auto wrong_size = [n](std::size_t size) { return size != 0 && size != n; };
    if (r.finish == Finish::error) return "it reported finish = error";
    if (n > most) {
      return "it returned " + std::to_string(n) + " tokens where at most " + std::to_string(most) +
             " were asked for";
    }
    if (needs_tokens_ && n == 0) {
      return "it returned no tokens, not even an end token";
    }
    if (wrong_size(r.log_probs.size()) || wrong_size(r.raw_log_probs.size())) {
      return "it returned " + std::to_string(std::max(r.log_probs.size(), r.raw_log_probs.size())) +
             " log-probs for " + std::to_string(n) + " tokens";
    }
    if (wrong_size(r.ends.size()) || !std::is_sorted(r.ends.begin(), r.ends.end()) ||
        (!r.ends.empty() && r.ends.back() != r.text.size())) {
      return "its ends do not divide the text into tokens";
    }
    return {};
  }

  [[nodiscard]] Stop stop() const {
    if (stop_ != Stop::finished) return stop_;
    if (!finished()) return Stop::cancelled;
    for (const Lane& lane : lanes_) {
      if (lane.stop != Stop::finished) return lane.stop;
    }
    return Stop::finished;
  }

  // The result but for its candidates.
  template <class Select>
  [[nodiscard]] Result conclude(const Select& selector) const {
    Result result;
    Random random(seed_, selector_stream);
    result.decision = selector(candidates_, random);
    if (!candidates_.empty()) {
      result.answer = candidates_[result.decision.index == npos ? 0 : result.decision.index];
    }
    result.spent = spent();
    result.stop = stop();
    result.failures = failures_;
    std::sort(result.failures.begin(), result.failures.end(),
              [](const Failure& a, const Failure& b) {
                return std::tie(a.lane, a.round, a.index) < std::tie(b.lane, b.round, b.index);
              });
    if constexpr (requires { sampler_.stats(std::span<const State>(states_), candidates_); }) {
      result.stats = sampler_.stats(std::span<const State>(states_), candidates_);
    }
    if constexpr (requires { selector.stats(candidates_); }) {
      const Stats more = selector.stats(candidates_);
      result.stats.insert(result.stats.end(), more.begin(), more.end());
    }
    result.law_holds = result.stop == Stop::finished && failures_.empty();
    return result;
  }

  S sampler_;
  Prompt prompt_;
  RunOptions options_;
  std::uint64_t seed_;
  std::vector<State> states_ = {};
  std::vector<Lane> lanes_ = {};
  Population candidates_ = {};
  std::vector<Failure> failures_ = {};
  std::vector<std::uint64_t> cancelled_ = {};
  std::size_t running_ = 0;  // lanes
  std::size_t survivors_ = 0;
  bool needs_tokens_ = false;
  Stop stop_ = Stop::finished;
  Clock::time_point start_, end_ = {};
};

}  // namespace tilt

#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tilt/runtime/choose.hpp"
#include "tilt/runtime/continuation.hpp"
#include "tilt/runtime/lane.hpp"
#include "tilt/runtime/result.hpp"

namespace tilt {

/// One prompt's run of a sampler, without any I/O: it says what it needs and is told the results, in
/// any order. It depends on neither the policy's nor the reward's type.
///
///     Session session{QAlign{{.beta = 0.5}}, "What is 17 * 23?", {.budget = {.seconds = 30}}};
///     while (!session.finished()) {
///       for (const Work& work : session.take_new()) { ... }              // begin it
///       ...                      // wait for a result, at most until session.next_deadline()
///       session.supply(id, ...);                                         // or session.fail(id, ...)
///       for (const std::uint64_t id : session.cancelled()) { ... }       // stop working on it
///     }
///     Result result = session.result(LastState{});
///
/// What it commits is a function of (seed, stream), the sampler and the results; never of the order
/// in which they arrive. The clock and the stop token are looked at by `take_new`, `pending`,
/// `waits_for` and `cancelled`, so that what has been supplied by then still counts; `finished` looks
/// at neither. Not thread-safe; a server calls it from its own loop. It may be moved while work is
/// out, and copied: a copy goes on by itself under the same ids, and its pointers come from its own
/// `pending`.
///
/// A run that is ended from outside keeps what was paid for. Texts that are drawn and not scored, or
/// that come in later, are candidates of weight 0 without a reward (NaN) in `result`, behind those of
/// their lane; selectors take one only where nothing better is there. Only what was asked for by
/// `Round::sample` counts: other texts answer nothing.
///
/// A session fails as a state: what the sampler throws (from `start`, `ask`, `tell`, `share`,
/// `prepares` or `stats`) and what a selector throws makes `Stop::failed`, with the cause in
/// `failures`. Candidates and cost are kept, and what the other lanes have drawn is still scored.
/// @throws InvalidOption from the constructor for run options, or sampler options, out of range, and
/// what the sampler throws there when it is asked for its lanes; nothing after it throws because of a
/// sampler or a selector
template <Sampler S>
class Session {
 public:
  using State = typename S::State;
  using Clock = std::chrono::steady_clock;

  Session(S sampler, Prompt prompt, RunOptions options = {})
      : sampler_(std::move(sampler)),
        prompt_(std::move(prompt)),
        options_(std::move(options)),
        seed_(derive_seed(options_.seed, options_.stream)),
        start_(Clock::now()) {
    check_run_options(options_);
    check_options(sampler_);
    needs_ = needs_of(sampler_).policy;
    const std::size_t lanes = lanes_of(sampler_);
    require_option(lanes >= 1 && lanes <= Place::most_lanes, "Sampler.lanes", lanes,
                   "from 1 to 131072");
    lanes_.resize(lanes);
    for (std::size_t i = 0; i < lanes; ++i) {
      lanes_[i].limit = {.tokens = share(options_.budget.tokens, i),
                         .policy_calls = share(options_.budget.policy_calls, i),
                         .reward_calls = share(options_.budget.reward_calls, i)};
      lanes_[i].begun = i == 0;
    }
    running_ = lanes;
    const bool started = guard(0, [&] {
      states_.reserve(lanes);
      for (std::size_t i = 0; i < lanes; ++i) states_.push_back(sampler_.start(prompt_));
    });
    if (started) {
      ask(0);
      if (!first_round_prepares()) begin_others();
      check_clock();
      advance_all();
    }
    settle();
  }

  /// All work that is waited for: generations, then scorings, each by lane and index. Calling it
  /// again lists again what has not been supplied, so that a loop over n draws that calls it for each
  /// takes n^2 steps: for that there is `take_new`. Looks at the clock and the stop token.
  [[nodiscard]] std::vector<Work> pending() {
    std::vector<Work> work;
    pending(work);
    return work;
  }
  /// The same, appended to a vector.
  void pending(std::vector<Work>& work) {
    check_clock();
    for (const Phase phase : {Phase::generating, Phase::scoring}) {
      fresh(phase).clear();
      if (finished()) continue;
      for (std::size_t l = 0; l < lanes_.size(); ++l) {
        const Lane& lane = lanes_[l];
        if (lane.finished) continue;
        for (std::size_t i = 0; i < lane.admitted; ++i) {
          if (lane.slots[i].phase != phase || lane.slots[i].dropped) continue;
          work.push_back(
              list({.lane = l, .round = lane.round.index(), .index = i, .phase = phase}));
        }
      }
    }
  }

  /// The work that nobody has been given yet, by this or by `pending`: each piece once. Generations,
  /// then scorings, each by lane and index. Cost: that of sorting what is new. Looks at the clock and
  /// the stop token.
  [[nodiscard]] std::vector<Work> take_new() {
    std::vector<Work> work;
    take_generations(work);
    take_scorings(work);
    return work;
  }
  /// The generations of these alone, appended to a vector.
  void take_generations(std::vector<Work>& work) { take(Phase::generating, work); }
  /// The scorings of these alone, appended to a vector.
  void take_scorings(std::vector<Work>& work) { take(Phase::scoring, work); }

  /// Whether a result under this id can still be used. Looks at the clock and the stop token.
  /// @throws Error when nothing was ever asked for under this id
  [[nodiscard]] bool waits_for(std::uint64_t id) {
    check_clock();
    const Slot* slot = slot_of(locate(id));
    return slot != nullptr && !slot->dropped;
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

  /// The draw of a pending id where it may be shared: equal ones of other sessions have the same result
  /// (see `Round::sample_ahead`). Null where it may not.
  [[nodiscard]] const Draw* shared(std::uint64_t id) {
    const Place place = locate(id);
    const Slot* slot = slot_of(place);
    if (slot == nullptr || slot->dropped) return nullptr;
    const auto draws = lanes_[place.lane].round.shared();
    return place.index < draws.size() ? &draws[place.index] : nullptr;
  }

  /// A pending piece of work once more.
  /// @throws Error when the id is not pending
  [[nodiscard]] Work work_of(std::uint64_t id) {
    const Place place = locate(id);
    if (slot_of(place) == nullptr) {
      throw Error("the id " + std::to_string(id) + " is not pending");
    }
    return list(place);
  }

  /// Tells the continuation that a generation gave (the prefix not repeated). Of an id that was
  /// cancelled it is paid for, and its text is kept without a reward (see above). An id that is no
  /// longer waited for is ignored. A malformed continuation counts as a failure of this draw.
  /// @param paid  false where another session has paid for it: it then costs this one nothing
  /// @throws Error when no generation was ever asked for under this id
  void supply(std::uint64_t id, Response continuation, bool paid = true) {
    const Place place = locate(id, Phase::generating);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Lane& lane = lanes_[place.lane];
    Draw& draw = lane.round.results()[place.index];
    if (paid) {
      pay_for_generation(lane);
      lane.spent.tokens += continuation.tokens.size();
      total_.generated_tokens += continuation.tokens.size();
      total_.prompt_tokens += continuation.usage.prompt_tokens;
      total_.cached_tokens += continuation.usage.cached_tokens;
    }
    if (draw.work.until && draw.work.until->needs_entropy() &&
        continuation.finish == Finish::segment &&
        continuation.tokens.size() < draw.work.until->max_tokens) {
      ++total_.lookahead_tokens;
    }
    const std::string fault = fault_of_continuation(draw.work, continuation, needs_, slot->dropped);
    if (slot->dropped) {
      slot->phase = Phase::resolved;
      if (!fault.empty()) return;
      join(draw, std::move(continuation));
      keep_unscored(place);
      return;
    }
    if (!fault.empty()) {
      fail_draw(place, *slot, std::make_exception_ptr(PolicyError(fault)));
      return;
    }
    join(draw, std::move(continuation));
    if (draw.to_score) {
      slot->phase = Phase::scoring;
      slot->listed = false;
      fresh_scorings_.push_back(id_of(place, Phase::scoring));
    } else {
      resolve(place, *slot, DrawStatus::done);
    }
    settle();
  }

  /// Hands in what an engine had drawn of a generation when it was told to stop (an id of
  /// `cancelled`): as `supply` does of a cancelled id, with `finish` set to `segment`, because the text
  /// was cut. An id that is no longer waited for is ignored.
  /// @throws Error when no generation was ever asked for under this id, and for one that still waits
  void supply_partial(std::uint64_t id, Response continuation) {
    const Slot* slot = slot_of(locate(id, Phase::generating));
    if (slot != nullptr && !slot->dropped) {
      throw Error("the id " + std::to_string(id) +
                  " is still waited for: supply its whole continuation");
    }
    continuation.finish = Finish::segment;
    supply(id, std::move(continuation));
  }

  /// Tells the reward that a scoring gave. An id that is no longer waited for is ignored. NaN and
  /// +infinity are failures, or rejections, as `RunOptions::on_nan` says.
  /// @param paid  false where another session has paid for it
  /// @throws Error when no scoring was ever asked for under this id
  void supply(std::uint64_t id, double reward, bool paid = true) {
    const Place place = locate(id, Phase::scoring);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Draw& draw = lanes_[place.lane].round.results()[place.index];
    if (paid) pay_for_scoring(lanes_[place.lane]);
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
    settle();
  }

  /// Tells that a piece of work failed. An id that is no longer waited for is ignored.
  /// @throws Error when nothing was ever asked for under this id
  void fail(std::uint64_t id, std::exception_ptr error) {
    const Place place = locate(id);
    Slot* slot = slot_of(place);
    if (slot == nullptr) return;
    Lane& lane = lanes_[place.lane];
    slot->phase == Phase::generating ? pay_for_generation(lane) : pay_for_scoring(lane);
    if (too_late(*slot)) return;
    fail_draw(place, *slot, std::move(error));
  }

  /// Counts that the work of an id is run again (`Cost::retries`), which its budget does not see.
  /// @throws Error when nothing was ever asked for under this id
  void count_retry(std::uint64_t id) {
    (void)locate(id);
    ++total_.retries;
  }

  /// The ids that were handed out and are no longer wanted, each told once. Looks at the clock and the
  /// stop token.
  [[nodiscard]] std::vector<std::uint64_t> cancelled() {
    check_clock();
    return std::exchange(cancelled_, {});
  }

  /// True when nothing is waited for any more. Looks at no clock: a loop that waits for results wakes
  /// at `next_deadline`, and when a stop is requested, and calls `take_new` or `cancelled` then.
  [[nodiscard]] bool finished() const noexcept { return running_ == 0; }

  /// When the run ends, whatever has come in by then; none without a limit of seconds (one of more
  /// than a century is none), and when it has finished.
  [[nodiscard]] std::optional<Clock::time_point> next_deadline() const {
    constexpr double century = 100 * 365.25 * 24 * 3600;
    if (finished() || options_.budget.seconds > century) return {};
    // Rounded up: at this point of time the seconds have passed.
    return start_ + std::chrono::ceil<Clock::duration>(
                        std::chrono::duration<double>(options_.budget.seconds));
  }

  /// The candidates emitted so far.
  [[nodiscard]] const Population& candidates() const noexcept { return candidates_; }
  /// What has failed so far, in the order in which it did.
  [[nodiscard]] const std::vector<Failure>& failures() const noexcept { return failures_; }
  [[nodiscard]] const Prompt& prompt() const noexcept { return prompt_; }
  [[nodiscard]] const S& sampler() const noexcept { return sampler_; }
  /// What a lane's response is sure to begin with (see `Round::settle`).
  [[nodiscard]] TokenSpan settled(std::size_t lane = 0) const {
    return lanes_.at(lane).round.settled();
  }
  /// Pieces of work that are let in and not done.
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

  /// What has been spent so far.
  [[nodiscard]] Cost spent() const {
    Cost total = total_;
    const auto end = finished() ? end_ : Clock::now();
    total.seconds = std::chrono::duration<double>(end - start_).count();
    return total;
  }

  /// The best so far, at any moment. Of an unfinished run: what it has, as if it were cancelled now.
  /// Where the selector throws, or chooses a position that is not there, and where the sampler's
  /// `stats` throw, the result has `Stop::failed` and says why; the session stays as it was.
  template <Selector Select>
  [[nodiscard]] Result result(const Select& selector) const& {
    return conclude(selector, candidates_);
  }
  template <Selector Select>
  [[nodiscard]] Result result(const Select& selector) && {
    return conclude(selector, std::exchange(candidates_, {}));
  }

 private:
  using Phase = detail::Phase;
  using Place = detail::Place;
  using Slot = detail::Slot;
  using Lane = detail::Lane;
  // A text that was paid for and never became a candidate: the id of its draw, and what it will be.
  struct Unscored {
    std::uint64_t id = 0;
    std::uint32_t lane = 0;
    Candidate candidate = {};
  };
  static constexpr std::uint64_t selector_stream = 0x73656c6563740000u;
  // Draws of a session that are kept whatever the budget of calls is, all lanes together.
  static constexpr std::size_t draws_at_least = 1u << 14;

  [[nodiscard]] static std::uint64_t id_of(Place place, Phase phase) {
    place.phase = phase;
    return place.id();
  }

  // Where an id belongs.
  [[nodiscard]] Place locate(std::uint64_t id) const {
    const Place place = Place::of(id);
    if (place.lane >= lanes_.size() || place.round > lanes_[place.lane].round.index() ||
        (place.round == lanes_[place.lane].round.index() &&
         place.index >= lanes_[place.lane].width)) {
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
    if (place.round != lane.round.index() || place.index >= lane.slots.size()) return nullptr;
    Slot& slot = lane.slots[place.index];
    return slot.phase == place.phase ? &slot : nullptr;
  }

  [[nodiscard]] std::vector<std::uint64_t>& fresh(Phase phase) {
    return phase == Phase::generating ? fresh_generations_ : fresh_scorings_;
  }

  void take(Phase phase, std::vector<Work>& work) {
    check_clock();
    std::vector<std::uint64_t>& ids = fresh(phase);
    if (!std::is_sorted(ids.begin(), ids.end())) std::sort(ids.begin(), ids.end());
    for (const std::uint64_t id : ids) {
      const Slot* slot = slot_of(Place::of(id));
      if (slot == nullptr || slot->dropped || slot->listed) continue;
      work.push_back(list(Place::of(id)));
    }
    ids.clear();
  }

  // Hands out the work of a slot.
  [[nodiscard]] Work list(const Place& place) {
    Lane& lane = lanes_[place.lane];
    Slot& slot = lane.slots[place.index];
    const Draw& draw = lane.round.results()[place.index];
    slot.listed = true;
    if (place.phase == Phase::generating) return {.id = place.id(), .generation = &draw.work};
    slot.scoring = {.prompt = &draw.work.prompt, .response = &draw.response};
    return {.id = place.id(), .scoring = &slot.scoring};
  }

  [[nodiscard]] std::size_t share(std::size_t limit, std::size_t lane) const {
    if (limit == npos) return npos;
    const std::size_t lanes = lanes_.size();
    return limit / lanes + (lane < limit % lanes ? 1 : 0);
  }

  void pay_for_generation(Lane& lane) {
    ++lane.spent.policy_calls;
    ++total_.policy_calls;
  }
  void pay_for_scoring(Lane& lane) {
    ++lane.spent.reward_calls;
    ++total_.reward_calls;
  }

  static void join(Draw& draw, Response&& continuation) {
    draw.response = std::move(continuation);
    if (!draw.work.prefix.empty()) draw.response.prepend(draw.work.prefix);
  }

  // Calls the sampler for a lane; false when it throws, which ends the run.
  template <class Call>
  bool guard(std::size_t l, Call&& call) {
    try {
      call();
      return true;
    } catch (...) {
      fail_sampler(l, std::current_exception());
      return false;
    }
  }

  // Whether the other lanes have to wait for the first round of lane 0, which has been asked for.
  [[nodiscard]] bool first_round_prepares() {
    bool prepares = false;
    if constexpr (SharesFirstRound<S>) {
      if (!lanes_[0].finished) guard(0, [&] { prepares = sampler_.prepares(states_[0]); });
    }
    return prepares;
  }

  // Begins the first rounds of all lanes but lane 0.
  void begin_others() {
    for (std::size_t l = 1; l < lanes_.size(); ++l) {
      if (lanes_[l].begun) continue;
      lanes_[l].begun = true;
      if constexpr (SharesFirstRound<S>) {
        if (!guard(l, [&] { sampler_.share(states_[0], states_[l]); })) continue;
      }
      ask(l);
    }
  }

  // Begins a lane's next round.
  void ask(std::size_t l) {
    Lane& lane = lanes_[l];
    const std::size_t index = lane.spent.rounds;
    lane.width = lane.admitted = 0;
    lane.slots.clear();
    const bool asked = guard(l, [&] {
      if (index >= Place::most_rounds) {
        throw Error("a lane has more than " + std::to_string(Place::most_rounds) + " rounds");
      }
      lane.round.begin(candidates_, seed_, static_cast<std::uint32_t>(l), index,
                       derive_seed(seed_, prompt_.key(), l),
                       lane.room(std::max<std::size_t>(1, draws_at_least / lanes_.size())));
      sampler_.ask(states_[l], lane.round);
    });
    if (!asked) return;
    lane.width = lane.round.results().size();
    lane.slots.assign(lane.width, Slot{});
    if (lane.round.asked() == 0) finish(lane);
  }

  // Lets work in, and goes from round to round while nothing is waited for.
  void advance(std::size_t l) {
    Lane& lane = lanes_[l];
    while (lane.begun && !lane.finished && lane.in_flight == 0) {
      if (lane.stop == Stop::finished && stop_ == Stop::finished) admit(l);
      if (lane.in_flight > 0) return;
      const bool closing = lane.admitted < lane.round.asked() || stop_ != Stop::finished;
      if (closing) lane.round.close();
      lane.round.rebind(candidates_);
      if (lane.admitted > 0) total_.rounds = std::max(total_.rounds, ++lane.spent.rounds);
      if (!guard(l, [&] { sampler_.tell(states_[l], lane.round); })) return;
      // However this round has ended, the lanes that waited for it begin, or end as any lane does.
      const bool others_wait = l == 0 && !lanes_.back().begun;
      if (others_wait) begin_others();
      if (closing) {
        keep_all_unscored(l);
        finish(lane);
      } else {
        ask(l);
      }
      if (others_wait) {
        for (std::size_t other = 1; other < lanes_.size(); ++other) advance(other);
      }
    }
  }
  void advance_all() {
    for (std::size_t l = 0; l < lanes_.size(); ++l) advance(l);
  }

  void admit(std::size_t l) {
    Lane& lane = lanes_[l];
    const std::size_t before = lane.admitted;
    lane.admit(l == 0);
    in_flight_ += lane.admitted - before;
    for (std::size_t i = before; i < lane.admitted; ++i) {
      const Phase phase = lane.slots[i].phase;
      fresh(phase).push_back(
          Place{.lane = l, .round = lane.round.index(), .index = i, .phase = phase}.id());
    }
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
    --in_flight_;
    advance(place.lane);
  }

  void fail_draw(const Place& place, Slot& slot, std::exception_ptr error) {
    const bool scoring = place.phase == Phase::scoring;
    const std::string where = " (lane " + std::to_string(place.lane) + ", round " +
                              std::to_string(place.round) + ", draw " +
                              std::to_string(place.index) + "): ";
    failures_.push_back({.what = std::string(scoring ? "the reward model" : "the policy") +
                                 " failed on the prompt " + describe(prompt_) + where +
                                 message_of(error),
                         .cause = std::move(error),
                         .part = scoring ? FailedPart::reward : FailedPart::policy,
                         .lane = static_cast<std::uint32_t>(place.lane),
                         .round = place.round,
                         .index = place.index});
    if (options_.on_failure == OnFailure::fail && stop_ == Stop::finished) {
      stop_ = Stop::failed;
      ending_ = true;
    }
    resolve(place, slot, DrawStatus::failed);
    settle();
  }

  // The sampler has thrown: its lane ends here and is not told anything any more.
  void fail_sampler(std::size_t l, std::exception_ptr error) {
    Lane& lane = lanes_[l];
    const bool never_began = states_.size() < lanes_.size();
    const std::string where =
        " (lane " + std::to_string(l) + ", round " + std::to_string(lane.round.index()) + "): ";
    failures_.push_back({.what = (never_began ? "the sampler cannot start with the prompt "
                                              : "the sampler failed on the prompt ") +
                                 describe(prompt_) + (never_began ? ": " : where) +
                                 message_of(error),
                         .cause = std::move(error),
                         .part = FailedPart::sampler,
                         .lane = static_cast<std::uint32_t>(l),
                         .round = lane.round.index(),
                         .index = lane.width});
    if (stop_ == Stop::finished) ending_ = true;
    stop_ = Stop::failed;
    keep_all_unscored(l, true);
    finish(lane);
    if (l > 0) return;
    // Lanes that wait for what lane 0 finds never begin.
    for (Lane& other : lanes_) {
      if (std::exchange(other.begun, true)) continue;
      finish(other);
    }
  }

  // Ends all lanes once the run has failed: what has been drawn is still scored; what is being drawn
  // is no longer wanted.
  void settle() {
    if (!std::exchange(ending_, false)) return;
    for (std::size_t l = 0; l < lanes_.size(); ++l) drop(l, Phase::generating);
    advance_all();
  }

  // Gives up the work of a lane that is in a phase.
  void drop(std::size_t l, Phase phase) {
    Lane& lane = lanes_[l];
    if (lane.finished) return;
    for (std::size_t i = 0; i < lane.admitted; ++i) {
      Slot& slot = lane.slots[i];
      if (slot.phase != phase || slot.dropped) continue;
      slot.dropped = lane.dropped = true;
      if (slot.listed) {
        cancelled_.push_back(
            Place{.lane = l, .round = lane.round.index(), .index = i, .phase = phase}.id());
      }
      --lane.in_flight;
      --in_flight_;
    }
  }

  // Whether a draw has a text that would have been an answer.
  [[nodiscard]] static bool has_answer(const Lane& lane, std::size_t i, const Draw& draw) {
    return i >= lane.round.ahead().size() && draw.to_generate && draw.to_score &&
           draw.status != DrawStatus::failed && !draw.response.empty();
  }

  // Keeps a text that was drawn and was not made a candidate.
  void keep_unscored(const Place& place) {
    Lane& lane = lanes_[place.lane];
    Draw& draw = lane.round.results()[place.index];
    if (!has_answer(lane, place.index, draw)) return;
    unscored_.push_back(
        {.id = id_of(place, Phase::generating),
         .lane = static_cast<std::uint32_t>(place.lane),
         .candidate = {
             .response = std::move(draw.response), .raw_reward = draw.raw_reward, .weight = 0}});
    draw.response = {};
  }

  // Those of a lane that ends: what was not scored, and what was scored too where the sampler has
  // failed before it made candidates of it.
  void keep_all_unscored(std::size_t l, bool scored = false) {
    const Lane& lane = lanes_[l];
    for (std::size_t i = 0; i < lane.admitted; ++i) {
      if (lane.slots[i].phase == Phase::resolved && !scored) continue;
      keep_unscored({.lane = l, .round = lane.round.index(), .index = i});
    }
  }

  // Ends the run when time is up or a stop was requested.
  void check_clock() {
    if (finished()) return;
    const bool cancelled = options_.stop.stop_requested();
    const bool late =
        options_.budget.seconds < infinity &&
        std::chrono::duration<double>(Clock::now() - start_).count() >= options_.budget.seconds;
    if (!cancelled && !late) return;
    if (stop_ == Stop::finished) stop_ = cancelled ? Stop::cancelled : Stop::seconds;
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      drop(l, Phase::generating);
      drop(l, Phase::scoring);
    }
    advance_all();
  }

  void finish(Lane& lane) {
    lane.finished = true;
    if (!lane.dropped) {
      // No result can come in any more.
      std::vector<Slot>().swap(lane.slots);
      lane.round.release();
    }
    if (--running_ > 0) return;
    end_ = Clock::now();
    const bool too_few = survivors_ < options_.min_survivors || candidates_.empty();
    if (stop_ == Stop::finished && !failures_.empty() && too_few) stop_ = Stop::failed;
  }

  [[nodiscard]] Stop stop() const {
    if (stop_ != Stop::finished) return stop_;
    if (!finished()) return Stop::cancelled;
    for (const Lane& lane : lanes_) {
      if (lane.stop != Stop::finished) return lane.stop;
    }
    return Stop::finished;
  }

  // The texts without a reward, those of an unfinished run that are being scored included.
  void add_unscored(Population& candidates) const {
    std::vector<Unscored> all = unscored_;
    for (std::size_t l = 0; !finished() && l < lanes_.size(); ++l) {
      const Lane& lane = lanes_[l];
      if (lane.finished) continue;
      for (std::size_t i = 0; i < lane.admitted; ++i) {
        const Draw& draw = lane.round.results()[i];
        if (lane.slots[i].phase != Phase::scoring || !has_answer(lane, i, draw)) continue;
        const Place place{.lane = l, .round = lane.round.index(), .index = i};
        all.push_back({.id = place.id(),
                       .lane = static_cast<std::uint32_t>(l),
                       .candidate = {.response = draw.response, .weight = 0}});
      }
    }
    std::sort(all.begin(), all.end(),
              [](const Unscored& a, const Unscored& b) { return a.id < b.id; });
    for (Unscored& one : all) candidates.add(std::move(one.candidate), one.lane);
  }

  template <class Select>
  [[nodiscard]] Result conclude(const Select& selector, Population candidates) const {
    Result result;
    result.spent = spent();
    result.stop = stop();
    result.failures = failures_;
    std::stable_sort(
        result.failures.begin(), result.failures.end(), [](const Failure& a, const Failure& b) {
          return std::tie(a.lane, a.round, a.index) < std::tie(b.lane, b.round, b.index);
        });
    bool has_law = true;
    if (states_.size() == lanes_.size()) {
      const std::span<const State> states(states_);
      has_law = detail::law_holds(result, sampler_, states, prompt_);
      detail::add_stats(result, sampler_, states, candidates, prompt_);
    }
    add_unscored(candidates);
    Random random(seed_, selector_stream);
    detail::choose(result, selector, std::move(candidates), random, prompt_);
    result.law_holds = has_law && result.stop == Stop::finished && result.failures.empty();
    return result;
  }

  S sampler_;
  Prompt prompt_;
  RunOptions options_;
  std::uint64_t seed_;
  std::vector<State> states_ = {};
  std::vector<Lane> lanes_ = {};
  Population candidates_ = {};
  std::vector<Unscored> unscored_ = {};
  std::vector<Failure> failures_ = {};
  std::vector<std::uint64_t> cancelled_ = {};
  std::vector<std::uint64_t> fresh_generations_ = {}, fresh_scorings_ = {};  // not handed out yet
  Cost total_ = {};            // of all lanes, but for the seconds
  std::size_t running_ = 0;    // lanes
  std::size_t in_flight_ = 0;  // of all lanes
  std::size_t survivors_ = 0;
  Capabilities needs_ = {};
  bool ending_ = false;  // the run has failed, and its lanes have not been told yet
  Stop stop_ = Stop::finished;
  Clock::time_point start_, end_ = {};
};

}  // namespace tilt

#include "tilt/runtime/continuation.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/runs.hpp"

using namespace tilt;
using runs::contains;

namespace {

// Asks for one piece of work and emits it.
struct Once {
  struct State {
    bool asked = false;
  };
  static constexpr Needs needs = {.policy = {.tokens = true}};
  Generation work = {};
  [[nodiscard]] State start(const Prompt&) const { return {}; }
  void ask(State& state, Round& round) const {
    if (!std::exchange(state.asked, true)) round.generate(work);
  }
  void tell(State&, Round& round) const {
    if (round.draws()[0].status == DrawStatus::done) round.emit(round.take(0));
  }
};

// What is wrong with a continuation; empty when it is accepted.
std::string fault(const Response& continuation, const Generation& work = {}) {
  Session session(Once{work}, "p");
  session.supply(session.pending()[0].id, continuation);
  CHECK(session.finished());
  const Result result = session.result(LastState{});
  CHECK(result.failures.empty() == result.law_holds);
  CHECK(result.failures.empty() == (result.candidates.size() == 1));
  return result.failures.empty() ? "" : result.failures[0].what;
}

const Response good = {.tokens = {0, 1},
                       .text = "ab",
                       .ends = {1, 2},
                       .log_probs = {-1, 0},
                       .raw_log_probs = {-2, -0.5}};

}  // namespace

TEST_CASE("a continuation with ids, numbers or a finish that cannot be is refused in a sentence") {
  CHECK(fault(good).empty());
  const auto changed = [](auto change) {
    Response y = good;
    change(y);
    return fault(y);
  };
  CHECK(contains(changed([](Response& y) { y.tokens[1] = -1; }), "the token id -1"));
  CHECK(contains(changed([](Response& y) { y.tokens[0] = std::numeric_limits<Token>::min(); }),
                 "the token id -2147483648"));
  CHECK(contains(changed([](Response& y) { y.finish = Finish::segment; }),
                 "finish = segment where no segment was asked for"));
  for (const double bad : {0.5, 1e300, infinity, -infinity, unset}) {
    const std::string reason = "a log-prob of " + to_text(bad);
    CHECK(contains(changed([bad](Response& y) { y.log_probs[0] = bad; }), reason));
    CHECK(contains(changed([bad](Response& y) { y.raw_log_probs[1] = bad; }), reason));
  }
  // Rounding.
  CHECK(changed([](Response& y) { y.log_probs[0] = 1e-6; }).empty());
  CHECK(changed([](Response& y) { y.log_probs[0] = -1e300; }).empty());
  CHECK(changed([](Response& y) { y.log_probs.clear(); }).empty());
}

TEST_CASE("a sampler that needs log-probs gets both, whatever the policy says of itself") {
  const Capabilities needs = {.log_probs = true};
  CHECK(fault_of_continuation({}, good, needs, false).empty());
  Response y = good;
  y.raw_log_probs.clear();
  CHECK(contains(fault_of_continuation({}, y, needs, false), "did not fill both log_probs"));
  CHECK(fault_of_continuation({}, y, {}, false).empty());
  y.log_probs.clear();
  CHECK_FALSE(fault_of_continuation({}, y, needs, false).empty());
}

TEST_CASE("a segment is a segment only where one was asked for, and not too short") {
  const Generation work = {.until = SegmentRule{.min_tokens = 2, .max_tokens = 3}};
  Response y = good;
  y.finish = Finish::segment;
  CHECK(fault(y, work).empty());
  CHECK(contains(fault(y.first(1), work), "ended a segment after 1 tokens where at least 2"));
  Response ended = y.first(1);
  ended.finish = Finish::stop;
  CHECK(fault(ended, work).empty());
}

TEST_CASE("what was cut off by a cancellation ends anywhere, and is held to the rest") {
  Response y = {.tokens = {0, 1}, .text = "ab", .finish = Finish::segment};
  const Capabilities needs = {.tokens = true};
  const Generation segment = {.until = SegmentRule{.min_tokens = 3, .max_tokens = 5}};
  for (const Generation& work : {Generation{}, segment}) {
    CHECK(fault_of_continuation(work, y, needs, true).empty());
    CHECK_FALSE(fault_of_continuation(work, y, needs, false).empty());
  }
  y.tokens[0] = -1;
  CHECK(contains(fault_of_continuation({}, y, needs, true), "the token id -1"));
}

TEST_CASE("text without ends is refused where a prefix has to be kept") {
  const std::string reason = "text without `ends`";
  Response parted = good;
  parted.ends.clear();
  CHECK(contains(fault(parted), reason));
  // One token is kept or dropped whole; of no text nothing can be lost.
  CHECK(fault({.tokens = {0}, .text = "a"}).empty());
  CHECK(fault({.tokens = {0, 1}}).empty());
  // The text of the whole response counts.
  const Generation rest = {.prefix = good};
  CHECK(fault({.tokens = {2}, .text = "c", .ends = {1}}, rest).empty());
  CHECK(contains(fault({.tokens = {2}, .text = "c"}, rest), reason));
  CHECK(contains(fault({.tokens = {2}}, rest), reason));
  const Generation ids = {.prefix = {.tokens = {0, 1}}};
  CHECK(contains(fault({.tokens = {2}, .text = "c", .ends = {1}}, ids), reason));
  CHECK(fault({.tokens = {2}}, ids).empty());
}

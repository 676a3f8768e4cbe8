// A session of any sampler, driven in random orders of asking and telling: results late, twice, out of
// order, malformed, failed, under ids that were never given, from copies and after moves.

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "fuzz/target.hpp"
#include "tilt/runtime/session.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/best_of_poisson.hpp"
#include "tilt/sampler/calibrated.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/epsilon_best_of.hpp"
#include "tilt/sampler/prs.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"
#include "tilt/sampler/tpo.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/selector/last_state.hpp"
#include "tilt/selector/soft_best.hpp"

using namespace tilt;

namespace {

double any_reward(fuzz::Bytes& input) {
  constexpr double special[] = {0, -1, 1, 1e308, -1e308, infinity, -infinity, unset, 5e-324};
  const std::size_t i = input.below(4 * std::size(special));
  return i < std::size(special) ? special[i] : static_cast<double>(input.below(17)) - 8;
}

/// A continuation that fits what was asked for.
Response sound_response(const Generation& work, fuzz::Bytes& input) {
  const std::size_t most = std::min(work.max_tokens, work.until ? work.until->max_tokens : npos);
  Response made;
  const std::size_t n = 1 + input.below(std::min<std::size_t>(most, 6));
  for (std::size_t i = 0; i < n; ++i) {
    constexpr std::string_view pieces[] = {"a", "<answer>", " b ", "</answer>", "", "\xc3"};
    made.tokens.push_back(static_cast<Token>(input.below(std::size(pieces))));
    made.text += pieces[static_cast<std::size_t>(made.tokens.back())];
    made.ends.push_back(static_cast<std::uint32_t>(made.text.size()));
  }
  if (input.below(2) == 0) made.log_probs = made.raw_log_probs = std::vector<double>(n, -1);
  const std::size_t finish = input.below(3);
  made.finish = finish == 0                 ? Finish::stop
                : work.until && finish == 1 ? Finish::segment
                                            : Finish::length;
  return made;
}

/// A continuation that may not.
Response any_response(const Generation& work, fuzz::Bytes& input) {
  Response made = sound_response(work, input);
  switch (input.below(9)) {
    case 0:
      made = {};
      break;
    case 1:
      made.tokens.resize(made.tokens.size() + 300, 1);
      break;
    case 2:
      made.ends.push_back(7);
      break;
    case 3:
      made.log_probs = {unset, infinity};
      break;
    case 4:
      made.tokens[0] = -5;
      break;
    case 5:
      made.finish = Finish::error;
      break;
    case 6:
      made.text += std::string(2000, 'x');
      break;
    case 7:
      made.ends.clear();
      break;
    default:
      made.tokens.clear();
  }
  return made;
}

bool is_sum_of(const Cost& now, const Cost& before) {
  return now.policy_calls >= before.policy_calls && now.reward_calls >= before.reward_calls &&
         now.generated_tokens >= before.generated_tokens && now.rounds >= before.rounds;
}

template <class S>
void check_result(const Session<S>& session, fuzz::Bytes& input) {
  const auto selected = [&](const auto& selector) { return session.result(selector); };
  const Result result = input.below(3) == 0   ? selected(HighestReward{})
                        : input.below(2) == 0 ? selected(LastState{})
                                              : selected(SoftBest{});
  fuzz::require(result.candidates.size() >= session.candidates().size(),
                "a result has all candidates");
  fuzz::require(result.decision.index == npos || result.decision.index < result.candidates.size(),
                "a decision is one of the candidates");
  for (const Candidate& candidate : result.candidates) {
    fuzz::require(candidate.weight >= 0 && std::isfinite(candidate.weight),
                  "a weight is a finite number of at least 0");
    fuzz::require(candidate.reward != infinity, "+infinity is no reward");
  }
}

template <class S>
void drive(S sampler, fuzz::Bytes& input) {
  RunOptions options;
  options.seed = input.byte();
  if (input.below(3) == 0) options.budget.policy_calls = input.below(12);
  if (input.below(3) == 0) options.budget.reward_calls = input.below(12);
  if (input.below(3) == 0) options.budget.tokens = input.below(40);
  if (input.below(3) > 0) options.on_failure = OnFailure::survive;
  if (input.below(3) == 0) options.on_nan = OnNan::reject;
  Prompt prompt("Q");
  if (input.below(4) == 0) prompt = Prompt::from_messages({{"user", "Q"}, {"assistant", ""}});
  if (input.below(8) == 0) prompt = Prompt::from_tokens({1, 2});

  std::optional<Session<S>> session;
  try {
    session.emplace(std::move(sampler), prompt, options);
  } catch (const InvalidOption&) {  // not every sampler takes every prompt
    return;
  }
  std::vector<std::uint64_t> old;
  std::vector<Work> work;
  Cost before = session->spent();
  for (std::size_t step = 0; step < 400 && !session->finished(); ++step) {
    work = session->pending();
    if (work.empty()) break;  // the clock and the budgets may have ended it
    for (std::size_t actions = 1 + input.below(6); actions > 0 && !work.empty(); --actions) {
      const std::size_t i = input.below(work.size());
      const Work mine = work[i];
      old.push_back(mine.id);
      const std::size_t action = input.below(24);
      if (action == 0) {
        session->fail(mine.id, std::make_exception_ptr(std::runtime_error("it broke")));
      } else if (action == 1) {
        session->fail(mine.id, nullptr);
      } else if (mine.generation != nullptr) {
        const Generation copy = *mine.generation;
        session->supply(mine.id,
                        action < 4 ? any_response(copy, input) : sound_response(copy, input));
      } else {
        session->supply(mine.id, any_reward(input));
      }
      work.erase(work.begin() + static_cast<std::ptrdiff_t>(i));
    }
    switch (input.below(12)) {
      case 0:  // once more, of the wrong kind, or out of the air
        try {
          const std::uint64_t id = old.empty() || input.below(2) == 0
                                       ? std::uint64_t{input.byte()} << (input.below(56))
                                       : old[input.below(old.size())];
          if (input.below(2) == 0) {
            session->supply(id, any_reward(input));
          } else {
            session->supply(id, sound_response({.max_tokens = 4}, input));
          }
        } catch (const Error&) {
        }
        break;
      case 1: {  // a copy goes on by itself
        Session<S> copy = *session;
        for (const Work& more : copy.pending()) copy.fail(more.id, nullptr);
        break;
      }
      case 2: {
        Session<S> moved = std::move(*session);
        session.emplace(std::move(moved));
        break;
      }
      case 3:
        (void)session->cancelled();
        break;
      case 4:
        check_result(*session, input);
        break;
      case 5:
        for (const Work& lent : session->pending()) {
          if (lent.generation == nullptr) continue;
          Generation away = std::move(session->lend(lent.id));
          session->lend(lent.id) = std::move(away);
        }
        break;
      default:
        break;
    }
    const Cost now = session->spent();
    fuzz::require(is_sum_of(now, before), "what was spent is never given back");
    fuzz::require(now.policy_calls <= options.budget.policy_calls &&
                      now.reward_calls <= options.budget.reward_calls,
                  "calls stay within their budgets");
    before = now;
  }
  if (session->finished())
    fuzz::require(session->pending().empty(), "a finished session waits for nothing");
  check_result(*session, input);
}

}  // namespace

void fuzz::run(Bytes input) {
  const SegmentRule segment = {.entropy = 1, .min_tokens = 1, .max_tokens = 1 + input.below(4)};
  const std::size_t n = 1 + input.below(6), max_tokens = 1 + input.below(8);
  const double beta = std::ldexp(1.0, static_cast<int>(input.below(16)) - 8);
  try {
    switch (input.below(11)) {
      case 0:
        return drive(BestOfN{{.n = n,
                              .max_tokens = max_tokens,
                              .stop_at = any_reward(input),
                              .width = input.below(4)}},
                     input);
      case 1:
        return drive(Rejection{{.beta = beta,
                                .ceiling = any_reward(input),
                                .max_rejections = n,
                                .max_tokens = max_tokens,
                                .parallel = 1 + input.below(3)}},
                     input);
      case 2:
        return drive(QAlign{{.beta = beta,
                             .steps = 2 * n,
                             .chains = 1 + input.below(3),
                             .fork = 1 + input.below(3),
                             .burn_in = input.below(3),
                             .max_tokens = max_tokens,
                             .initial_draws = input.below(3),
                             .restart = input.uniform()}},
                     input);
      case 3:
        return drive(QAlign{{.beta = beta,
                             .steps = n,
                             .chains = 2,
                             .fork = 2,
                             .max_tokens = max_tokens,
                             .recycle = true}},
                     input);
      case 4:
        return drive(Cards{{.beta = beta,
                            .reward_goal = any_reward(input),
                            .alpha = input.uniform(),
                            .max_rejections = n,
                            .parallel = 1 + input.below(3),
                            .max_tokens = max_tokens,
                            .segment = segment,
                            .official = input.below(2) == 0,
                            .pilot_draws = input.below(4)}},
                     input);
      case 5:
        return drive(Tpo{{.n = n,
                          .rounds = input.below(3),
                          .max_tokens = max_tokens,
                          .critique_max_tokens = max_tokens,
                          .nonce = input.below(2) == 0}},
                     input);
      case 6:
        return drive(Prs{{.n = n,
                          .layers = 1 + input.below(3),
                          .max_tokens = max_tokens,
                          .feedback = input.below(2) == 0,
                          .feedback_max_tokens = max_tokens}},
                     input);
      case 7:
        return drive(EpsilonBestOf{{.epsilon = input.uniform(), .k = n, .max_tokens = max_tokens}},
                     input);
      case 8:
        return drive(BestOfPoisson{{.mu = 4 * input.uniform(), .max_tokens = max_tokens}}, input);
      case 9:
        return drive(Calibrated{BestOfN{{.n = n, .max_tokens = max_tokens}},
                                {.references = 1 + input.below(6)}},
                     input);
      default:
        return drive(Calibrated{QAlign{{.beta = beta,
                                        .steps = n,
                                        .chains = 1 + input.below(3),
                                        .max_tokens = max_tokens}},
                                {.references = 1 + input.below(6)}},
                     input);
    }
  } catch (const InvalidOption&) {  // of the sampler, when it was made
  }
}

// The library inside a server's own event loop. A session never calls a model: it says what it
// waits for and is told the results, in whatever order they come. Here a simulated engine works on
// everything at once and finishes it out of order, three conversations share the loop, and what is
// sure of an answer is shown before the answer is whole.

#include <cstdio>
#include <queue>
#include <tilt/tilt.hpp>

namespace {

constexpr tilt::Token end = 10;

/// A toy model that counts: the digit after the last one is the most likely to follow.
auto counting_model() {
  return tilt::LogitPolicy{end, [](tilt::TokenSpan context) {
                             std::vector<double> logits(11, 0.0);
                             const tilt::Token last = context.empty() ? 9 : context.back();
                             logits[static_cast<std::size_t>((last + 1) % 10)] = 2;
                             logits[end] = -1.5;
                             return logits;
                           }};
}

/// Likes every digit that is one more than the digit before it. Says something about beginnings,
/// too, which is what CARDS needs.
double reward_of(const tilt::Prompt& prompt, const tilt::Response& response) {
  double reward = 0;
  tilt::Token last = prompt.tokens().empty() ? tilt::Token{9} : prompt.tokens().back();
  for (const tilt::Token token : response.tokens) {
    if (token == (last + 1) % 10) reward += 0.5;
    last = token;
  }
  return reward;
}

/// A result on its way: when it arrives, whom it is for, and what it is.
struct Arrival {
  double at = 0;  // seconds
  std::size_t session = 0;
  std::uint64_t id = 0;
  tilt::Response continuation = {};
  double reward = 0;
  bool is_reward = false;

  bool operator<(const Arrival& other) const { return at > other.at; }  // earliest on top
};

}  // namespace

int main() {
  auto policy = counting_model();
  tilt::RewardFunction reward{reward_of};
  const tilt::Cards cards{{.beta = 0.5, .reward_goal = 8, .parallel = 4, .max_tokens = 20,
                           .segment = {.entropy = tilt::infinity, .max_tokens = 5}}};
  const std::vector<tilt::Prompt> prompts = {tilt::Prompt::from_tokens({9}),
                                             tilt::Prompt::from_tokens({4}),
                                             tilt::Prompt::from_tokens({2, 3})};

  std::vector<tilt::Session<tilt::Cards>> sessions;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    sessions.emplace_back(cards, prompts[i], tilt::RunOptions{.seed = 1, .stream = i});
  }

  std::priority_queue<Arrival> arrivals;
  std::vector<std::size_t> shown(sessions.size(), 0);
  tilt::Random latency(7);
  double now = 0;

  // Hands an engine everything that a session has come to wait for since it was last asked.
  const auto submit = [&](std::size_t s) {
    for (const tilt::Work& work : sessions[s].take_new()) {
      Arrival arrival{.session = s, .id = work.id};
      if (work.generation != nullptr) {
        policy.generate({work.generation, 1}, {&arrival.continuation, 1});
        arrival.at = now + 0.02 * static_cast<double>(arrival.continuation.size()) +
                     0.3 * latency.uniform();
      } else {
        arrival.reward = reward_of(*work.scoring->prompt, *work.scoring->response);
        arrival.is_reward = true;
        arrival.at = now + 0.05 * latency.uniform();
      }
      arrivals.push(std::move(arrival));
    }
  };

  // A server would wait here for the next arrival, at most until the earliest `next_deadline()` of its
  // sessions, and then ask each for `take_new()`, `cancelled()` and `finished()`: none of these runs
  // has a limit of seconds, and time is simulated.
  for (std::size_t s = 0; s < sessions.size(); ++s) submit(s);
  while (!arrivals.empty()) {
    const Arrival arrival = arrivals.top();
    arrivals.pop();
    now = arrival.at;
    auto& session = sessions[arrival.session];
    if (arrival.is_reward) {
      session.supply(arrival.id, arrival.reward);
    } else {
      session.supply(arrival.id, arrival.continuation);
    }
    submit(arrival.session);

    const tilt::TokenSpan settled = session.settled();
    if (settled.size() > shown[arrival.session]) {
      shown[arrival.session] = settled.size();
      std::printf("%5.2f s  conversation %zu:", now, arrival.session);
      for (const tilt::Token token : settled) std::printf(token == end ? " ." : " %d", token);
      std::printf("%s\n", session.finished() ? "" : " ...");
    }
  }

  // The blocking decoder gives the same answers: nothing depends on the order of arrival.
  tilt::Decoder decoder{policy, reward, cards};
  const std::vector<tilt::Result> blocking = decoder.batch(prompts, {.seed = 1});
  bool same = true;
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    const tilt::Result result = sessions[s].result(tilt::LastState{});
    same = same && result.answer.response == blocking[s].answer.response;
  }
  std::printf("Same answers as from the blocking decoder: %s\n", same ? "yes" : "no");
  return same ? 0 : 1;
}

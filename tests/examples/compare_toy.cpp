// compare over a model of eleven tokens instead of an engine: for tests of the job around it, which need no
// model and end in seconds. "--model" is no file here:
//
//   --model WAIT[,CALL,SIGNAL]
//
// Each call of the model takes WAIT milliseconds; before call number CALL, from 1, the process sends itself the
// SIGNAL, or fails where that is 0. As an engine's rounding does, what is drawn depends on what was drawn since the
// cache was cleared.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "compare/job.hpp"

namespace {

constexpr tilt::Token last = 10;  // 0 to 9: the digits

struct Law {
  std::uint64_t prompt = 0, before = 0;

  std::vector<double> operator()(tilt::TokenSpan context) const {
    std::vector<double> logits(11);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const std::uint64_t mixed = (prompt + 31 * i + 7 * context.size() + before) * 0x9e3779b97f4a7c15u;
      logits[i] = static_cast<double>(mixed >> 40 & 0xff) / 100;
    }
    return logits;
  }
};

// Between its digits the model says what does harm on a terminal and in a page.
struct Piece {
  std::string operator()(tilt::Token token) const {
    if (token == last) return {};
    return token == 7 ? "\x1b]52;c;aGk=\x07\xe2\x80\xae<b>&\xff " : std::to_string(token) + ' ';
  }
};

class ToyPolicy {
  using Model = tilt::LogitPolicy<Law, Piece>;

 public:
  static constexpr tilt::Capabilities capabilities = Model::capabilities;

  ToyPolicy(unsigned wait, unsigned call, int signal) : wait_(wait), fatal_(call), signal_(signal) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    if (++calls_ == fatal_) {
      if (signal_ == 0) throw tilt::PolicyError("the toy broke");
      kill(getpid(), signal_);  // to the process: `raise` would send it to this thread, which has it blocked
      std::this_thread::sleep_for(std::chrono::milliseconds(500));  // until the other thread has taken it
    }
    ++since_;
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_));
    for (std::size_t i = 0; i < work.size(); ++i) {
      Model model(last, Law{work[i].prompt.key(), since_}, Piece{});
      model.generate(work.subspan(i, 1), out.subspan(i, 1));
    }
  }
  [[nodiscard]] bool is_end(tilt::Token token) const { return token == last; }
  [[nodiscard]] std::string fingerprint() const { return "toy"; }
  [[nodiscard]] std::size_t context_length() const { return 4096; }
  void clear_cache() { since_ = 0; }

 private:
  unsigned wait_, fatal_, calls_ = 0, since_ = 0;
  int signal_;
};

struct Toy {
  using Policy = ToyPolicy;

  static Policy load(const Settings& s) {
    unsigned wait = 0, call = 0;
    int signal = 0;
    if (std::sscanf(s.model.c_str(), "%u,%u,%d", &wait, &call, &signal) < 1) {
      throw BadInput("--model of the toy is WAIT[,CALL,SIGNAL]");
    }
    return {wait, call, signal};
  }
  static std::size_t threads(const Settings&) { return 1; }
  static ChosenReward contrast(Policy&, const std::string&, const std::string&) {
    return {.function =
                [](std::span<const tilt::Scoring> work, std::span<double> out) {
                  for (std::size_t i = 0; i < work.size(); ++i) {
                    out[i] = 0;
                    for (const tilt::Token token : work[i].response->tokens) {
                      out[i] += 0.1 * (static_cast<double>(token) - 5);
                    }
                  }
                },
            .scores_prefixes = true};
  }
};

}  // namespace

int main(int argc, char** argv) { return run_compare<Toy>(argc, argv); }

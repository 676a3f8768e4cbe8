// align over a model of eleven tokens instead of an engine: for tests of the job around it, which need no
// model and end in milliseconds. "--model" is no file here:
//
//   --model WAIT[,CALL,SIGNAL]
//
// Each call of the model takes WAIT milliseconds; before call number CALL, from 1, the process sends itself the
// SIGNAL. As an engine's rounding does, what is drawn depends on how many responses are drawn side by side.
// The prompt "say TEXT" is answered by TEXT, and "half" by the first byte of a character of two.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "align/job.hpp"

namespace {

constexpr tilt::Token last = 10;  // 0 to 9: the digits

struct Law {
  std::uint64_t prompt = 0;
  std::size_t beside = 0;

  std::vector<double> operator()(tilt::TokenSpan context) const {
    std::vector<double> logits(11);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const std::uint64_t mixed =
          (prompt + 31 * i + 7 * context.size() + beside) * 0x9e3779b97f4a7c15u;
      logits[i] = static_cast<double>(mixed >> 40 & 0xff) / 100;
    }
    return logits;
  }
};

struct Piece {
  std::string operator()(tilt::Token token) const {
    return token == last ? std::string() : std::to_string(token) + ' ';
  }
};

class ToyPolicy {
  using Model = tilt::LogitPolicy<Law, Piece>;

 public:
  static constexpr tilt::Capabilities capabilities = Model::capabilities;

  ToyPolicy(unsigned wait, unsigned call, int signal)
      : wait_(wait), fatal_(call), signal_(signal) {}

  void generate(std::span<const tilt::Generation> work, std::span<tilt::Response> out) {
    if (++calls_ == fatal_) {
      kill(getpid(), signal_);
      std::this_thread::sleep_for(
          std::chrono::milliseconds(20));  // for the thread that waits for it
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_));
    for (std::size_t i = 0; i < work.size(); ++i) {
      const std::string_view prompt = work[i].prompt.text();
      if (prompt.starts_with("say ") || prompt == "half") {
        out[i].text = prompt == "half" ? "\xc3" : prompt.substr(4);
        out[i].tokens = {last};
        out[i].log_probs = out[i].raw_log_probs = {0};
        out[i].ends = {static_cast<std::uint32_t>(out[i].text.size())};
        continue;
      }
      Model model(last, Law{work[i].prompt.key(), work.size()}, Piece{});
      model.generate(work.subspan(i, 1), out.subspan(i, 1));
    }
  }
  std::vector<double> logits(const tilt::Prompt& prompt, const tilt::Response& response) const {
    return Law{prompt.key()}(response.tokens);
  }
  [[nodiscard]] std::vector<tilt::Token> tokenize(std::string_view) const { return {0}; }
  [[nodiscard]] tilt::Token end_token() const { return last; }
  [[nodiscard]] std::string fingerprint() const { return "toy"; }
  [[nodiscard]] std::size_t context_length() const { return 4096; }
  void clear_cache() {}

 private:
  unsigned wait_, fatal_, calls_ = 0;
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
  static ChosenReward contrast(Policy&, const std::string&, const std::string&) {
    throw BadInput("the toy has no contrast");
  }
};

}  // namespace

int main(int argc, char** argv) { return run_align<Toy>(argc, argv); }

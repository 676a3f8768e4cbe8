// Compares methods of test-time alignment on a real model at matched compute: a table in the
// terminal, results.jsonl, and a report.html that needs no network.
//
//   compare --model MODEL.gguf --prompts ifeval.jsonl --out FOLDER

#include "compare/job.hpp"
#include "support/model.hpp"

namespace {

/// Models in files, worked on by llama.cpp.
struct Llama {
  using Policy = tilt::llama::Policy;

  static Policy load(const Settings& s) {
    return load_model(s.model, {.sequences = s.sequences, .threads = s.threads});
  }
  static std::size_t threads(const Settings& s) {
    return s.threads == 0 ? tilt::llama::available_processors() : s.threads;
  }
  static ChosenReward contrast(Policy& policy, const std::string& a, const std::string& b) {
    return chosen(tilt::llama::ContrastReward(policy, a, b));
  }
};

}  // namespace

int main(int argc, char** argv) { return run_compare<Llama>(argc, argv); }

// Aligns the answers to a file of prompts: one method, one reward, one line of JSON per prompt.

#include "align/job.hpp"
#include "support/model.hpp"

namespace {

/// Models in files, worked on by llama.cpp.
struct Llama {
  using Policy = tilt::llama::Policy;

  static Policy load(const Settings& s) {
    return load_model(s.model, {.sequences = s.sequences,
                                .context = s.context,
                                .threads = s.threads,
                                .gpu_layers = s.gpu_layers,
                                .chat_template = s.chat_template});
  }
  static ChosenReward contrast(Policy& policy, const std::string& a, const std::string& b) {
    return chosen(tilt::llama::ContrastReward(policy, a, b));
  }
};

}  // namespace

int main(int argc, char** argv) { return run_align<Llama>(argc, argv); }

#pragma once

// What compare runs.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/tilt.hpp>

using nlohmann::json;

/// What is run. The defaults take about two minutes on two cores.
struct Settings {
  std::filesystem::path model = {}, prompts = {}, out = {};
  std::uint64_t seed = 1;
  bool full = false;
  std::size_t threads = 0, sequences = 16;

  // IFEval
  std::size_t tasks = 8, draws = 8, max_tokens = 96;
  std::size_t chain_start = 4, chain_steps = 8, stop_draws = 12;
  double temperature = 0.8, chain_beta = 0.1, restart = 0.2;
  std::size_t critique_tokens = 64, tpo_draws = 4, tpo_rounds = 1, references = 8;

  // Contrast
  std::string system_a = "Answer cheerfully.", system_b = {};
  std::size_t questions = 8, repeats = 2, contrast_tokens = 12, contrast_draws = 24,
              target_draws = 12, contrast_steps = 28;
  std::vector<std::size_t> cards_caps = {2, 10};
  double ceiling_quantile = 0.95, sharp_beta = 0.3, quantile_beta = 0.2;
  std::size_t prs_draws = 12;

  void make_full() {
    full = true;
    tasks = 40;
    draws = 16;
    max_tokens = 160;
    chain_start = 4;
    chain_steps = 24;
    stop_draws = 24;
    critique_tokens = 96;
    tpo_rounds = 2;
    references = 16;
    questions = 24;
    contrast_draws = 48;
    target_draws = 24;
    contrast_steps = 64;
    prs_draws = 24;
    cards_caps = {2, 5, 10};
  }
};

/// All that changes the results, by name as the options are named. The threads are left out: a job may go on
/// with fewer.
/// @param model    changes with the model's content
/// @param prompts  changes with the prompts and what is asked of their answers
inline json compared(const Settings& s, const std::string& model, const std::string& prompts) {
  return {{"model", model},
          {"prompts", prompts},
          {"seed", s.seed},
          {"full", s.full},
          {"sequences", s.sequences},
          {"tasks", s.tasks},
          {"draws", s.draws},
          {"max_tokens", s.max_tokens},
          {"temperature", s.temperature},
          {"chain_start", s.chain_start},
          {"chain_steps", s.chain_steps},
          {"chain_beta", s.chain_beta},
          {"restart", s.restart},
          {"stop_draws", s.stop_draws},
          {"critique_tokens", s.critique_tokens},
          {"tpo_draws", s.tpo_draws},
          {"tpo_rounds", s.tpo_rounds},
          {"references", s.references},
          {"system_a", tilt::bytes_to_json(s.system_a)},
          {"system_b", tilt::bytes_to_json(s.system_b)},
          {"questions", s.questions},
          {"repeats", s.repeats},
          {"contrast_tokens", s.contrast_tokens},
          {"contrast_draws", s.contrast_draws},
          {"target_draws", s.target_draws},
          {"contrast_steps", s.contrast_steps},
          {"cards_caps", s.cards_caps},
          {"ceiling_quantile", s.ceiling_quantile},
          {"sharp_beta", s.sharp_beta},
          {"quantile_beta", s.quantile_beta},
          {"prs_draws", s.prs_draws}};
}

inline const std::vector<std::string> everyday_questions = {
    "Describe the sea.",
    "What is a good breakfast?",
    "Why is the sky blue?",
    "Tell me about cats.",
    "How do I learn to cook?",
    "What should I do this weekend?",
    "Describe a rainy day.",
    "What is a computer?",
    "How does a plane fly?",
    "Tell me about the moon.",
    "What makes a good friend?",
    "How do I sleep better?",
    "Describe a big city.",
    "What is music for?",
    "Why do leaves fall in autumn?",
    "How do I write a letter?",
    "Tell me about bread.",
    "What is a good first job?",
    "How do trains work?",
    "Describe a market.",
    "Why do people travel?",
    "What is snow?",
    "How do I grow tomatoes?",
    "Tell me about bees.",
};

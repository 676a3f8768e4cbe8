// Compares methods of test-time alignment on a real model at matched compute: a table in the
// terminal, results.jsonl, and a report.html that needs no network.
//
//   compare --model MODEL.gguf --prompts ifeval.jsonl --out FOLDER

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tilt/io/jsonl.hpp>

#include "compare/contrast.hpp"
#include "compare/ifeval.hpp"
#include "compare/report.hpp"
#include "support/model.hpp"
#include "support/program.hpp"

namespace {

/// The first tasks of a file; lines that cannot be used are named and passed over.
std::vector<tilt::IfevalTask> read_tasks(const std::filesystem::path& path, std::size_t most) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(path);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  std::vector<tilt::IfevalTask> tasks;
  for (const tilt::JsonlRow& row : file.rows) {
    if (tasks.size() == most) break;
    try {
      tasks.push_back(tilt::ifeval_task(row.value));
    } catch (const tilt::InvalidOption& error) {
      file.faults.push_back({row.line, error.what()});
    }
  }
  for (const tilt::JsonlFault& fault : file.faults) {
    std::cerr << path.string() << ", line " << fault.line << ": " << fault.what << '\n';
  }
  if (tasks.empty()) throw BadInput(path.string() + " has no row of IFEval that can be used");
  return tasks;
}

int compare(const Settings& s) {
  const std::vector<tilt::IfevalTask> tasks = read_tasks(s.prompts, s.tasks);
  tilt::llama::Policy model = load_model(s.model, {.sequences = s.sequences, .threads = s.threads});
  std::error_code error;
  std::filesystem::create_directories(s.out, error);
  if (!std::filesystem::is_directory(s.out)) {
    throw BadInput("cannot make the folder " + s.out.string() + ": " + error.message());
  }

  const std::size_t ifeval_tokens =
      tasks.size() * s.max_tokens *
      (2 * s.draws + s.chain_start + s.chain_steps / 2 + s.stop_draws + s.references +
       s.tpo_draws * (s.tpo_rounds + 1) + s.tpo_rounds);
  const std::size_t contrast_tokens =
      std::min(s.questions, everyday_questions.size()) * s.contrast_tokens *
      (s.target_draws + s.contrast_draws + s.references + 6 + s.prs_draws +
       s.repeats * (10 + 8 * s.cards_caps.size() + 4 + s.contrast_steps / 2));
  std::vector<Part> parts;
  {
    Progress progress(ifeval_tokens + contrast_tokens);
    Policy policy(model, progress, s.sequences);
    parts.push_back(run_ifeval(policy, progress, s, tasks));
    parts.push_back(run_contrast(policy, model, progress, s));
  }
  for (Part& part : parts) {
    judge(part);
    tabulate(part);
    std::cout << '\n'
              << part.title << ", " << part.ids.size() << " prompts\n\n"
              << text_table(part.table) << '\n'
              << text_table(part.budget_table) << '\n'
              << text_table(part.depth_table) << '\n'
              << part.in_short << '\n';
    for (const std::string& verdict : part.verdicts) std::cout << "- " << verdict << '\n';
  }
  std::cout << "\nAll methods\n\n" << text_table(overview(parts));
  const std::size_t threads =
      s.threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : s.threads;
  tilt::write_whole_file(s.out / "results.jsonl", lines(s, parts, model.fingerprint()));
  tilt::write_whole_file(s.out / "report.html", page(s, parts, model.fingerprint(), threads));
  std::cout << "\nReport: " << (s.out / "report.html").string() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  if (std::any_of(argv, argv + argc,
                  [](const char* a) { return std::string_view(a) == "--full"; })) {
    s.make_full();  // before the options, which may change parts of it
  }
  CLI::App app{
      "Compares methods of test-time alignment on one model at matched generated tokens.\n"
      "Writes report.html (open it in a browser) and results.jsonl.",
      "compare"};
  app.add_option("--model", s.model, "the model, a GGUF file")->required();
  app.add_option("--prompts", s.prompts,
                 "prompts with verifiable instructions, JSONL of IFEval's form")
      ->required();
  app.add_option("--out", s.out, "folder for report.html and results.jsonl")->required();
  app.add_option("--seed", s.seed, "same seed, same model, same answers")->capture_default_str();
  bool full = false;  // looked for above
  app.add_flag("--full", full,
               "the long run: more prompts, more draws, longer answers (about half an hour)");
  app.add_option("--threads", s.threads, "processor threads; 0: all cores")->capture_default_str();
  app.add_option("--tasks", s.tasks, "prompts of the IFEval part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--draws", s.draws, "draws of best of n in the IFEval part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--max-tokens", s.max_tokens, "longest answer of the IFEval part, tokens")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--temperature", s.temperature, "temperature of the model in the IFEval part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--chain-steps", s.chain_steps, "steps of QAlign in the IFEval part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--questions", s.questions, "prompts of the contrast part, 1 to 24")
      ->capture_default_str()
      ->check(CLI::Range(1, 24));
  app.add_option("--contrast-draws", s.contrast_draws, "draws of best of n in the contrast part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--contrast-steps", s.contrast_steps, "steps of QAlign in the contrast part")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--system-a", s.system_a, "the system prompt that the contrast aims at")
      ->capture_default_str();
  app.add_option("--system-b", s.system_b, "the system prompt that it starts from; empty: none");
  return run_program(app, argc, argv, [&] { return compare(s); });
}

#pragma once

// A comparison from its command line to its exit status, over any engine.

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <tilt/io/jsonl.hpp>

#include "compare/contrast.hpp"
#include "compare/ifeval.hpp"
#include "compare/record.hpp"
#include "compare/report.hpp"
#include "support/interrupt.hpp"
#include "support/numbers.hpp"
#include "support/program.hpp"

/// The tasks of a comparison, and a text that changes with them.
struct Tasks {
  std::vector<tilt::IfevalTask> rows = {};
  std::string key = {};
};

/// The first tasks of a file; lines that cannot be used are named and passed over.
inline Tasks read_tasks(const std::filesystem::path& path, std::size_t most) {
  tilt::JsonlFile file;
  try {
    file = tilt::read_jsonl(path);
  } catch (const tilt::Error& error) {
    throw BadInput(error.what());
  }
  Tasks tasks;
  std::string all;
  std::size_t unusable = file.bad_lines;
  for (const tilt::JsonlRow& row : file.rows) {
    if (tasks.rows.size() == most) break;
    try {
      tasks.rows.push_back(tilt::ifeval_task(row.value));
      all += row.value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
    } catch (const tilt::InvalidOption& error) {
      file.faults.push_back({row.line, tilt::shortened(error.what())});
      ++unusable;
    }
  }
  constexpr std::size_t most_named = 20;
  std::ranges::sort(file.faults, {}, &tilt::JsonlFault::line);
  for (std::size_t i = 0; i < std::min(most_named, file.faults.size()); ++i) {
    std::cerr << printable(path.string()) << ", line " << file.faults[i].line << ": "
              << printable(file.faults[i].what, 300) << '\n';
  }
  if (unusable > most_named) {
    std::cerr << "and " << unusable - most_named << " further lines that cannot be used\n";
  }
  if (tasks.rows.empty()) throw BadInput(path.string() + " has no row of IFEval that can be used");
  char hexadecimal[20];
  std::snprintf(hexadecimal, sizeof hexadecimal, "%016llx",
                static_cast<unsigned long long>(tilt::Prompt(all).key()));
  tasks.key = hexadecimal;
  return tasks;
}

/// What is in the way of the page is told before any work.
inline void require_place_of_page(const std::filesystem::path& page) {
  std::filesystem::path part = page;
  part += ".part";  // where it is written first
  for (const auto& path : {page, part}) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      throw BadInput("cannot write " + path.string() + ": it is a folder");
    }
  }
}

/// Says so when other programs keep the processor busy.
inline void warn_of_load(std::size_t threads) {
  double load = 0;
  if (getloadavg(&load, 1) != 1 || load < 0.5 * static_cast<double>(threads)) return;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  std::cerr
      << "compare: other programs are busy here (load " << number(load, 1) << " on " << cores
      << (cores == 1 ? " core" : " cores")
      << "). More threads than free cores make the engine many times slower: --threads 1 may be "
         "faster. Ctrl-C ends this run, and the same command goes on later, also with "
         "another --threads\n";
}

/// Runs the steps that are not finished yet.
/// @returns whether all steps are finished now
template <class P>
bool run_steps(std::vector<Part>& parts, Record& record, P& model, Progress& progress,
               std::stop_token stop) {
  try {
    for (Part& part : parts) {
      for (const Step& step : part.steps) {
        if (record.restore(part, step)) {
          ++part.finished;
          continue;
        }
        if (stop.stop_requested()) return false;
        // A step finds the same whether others ran before it in this process or in an earlier one: what the
        // engine holds of them would change its rounding.
        model.clear_cache();
        const std::size_t methods = part.methods.size(), rows = part.rows.size();
        const bool had_target = part.target.has_value();
        const auto start = std::chrono::steady_clock::now();
        progress.begin((part.key == "ifeval" ? "IFEval: " : "Contrast: ") + step.name, step.tokens);
        step.run(part);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        record.keep(part, step, methods, rows, had_target, seconds.count());
        progress.finish_step();
        ++part.finished;
      }
    }
  } catch (const Interrupted&) {
    return false;
  }
  return true;
}

/// The tables and the verdicts, for a terminal.
inline void print(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    std::cout << '\n'
              << part.title << ", " << part.ids.size() << " prompts\n\n"
              << text_table(part.table) << '\n'
              << text_table(part.budget_table) << '\n'
              << text_table(part.depth_table) << '\n'
              << part.in_short << '\n';
    for (const std::string& verdict : part.verdicts) std::cout << "- " << verdict << '\n';
  }
  if (!parts.empty()) std::cout << "\nAll methods\n\n" << text_table(overview(parts));
}

template <class Engine>
int compare(const Settings& s) {
  using P = typename Engine::Policy;
  const Tasks tasks = read_tasks(s.prompts, s.tasks);
  const std::filesystem::path page_path = s.out / "report.html";
  require_place_of_page(page_path);
  Record record(s.out / "results.jsonl");
  const std::stop_token stop = stop_on_interrupt("compare");
  P model = Engine::load(s);
  const std::size_t longest =
      std::max({s.max_tokens + tag_tokens, s.contrast_tokens, s.critique_tokens});
  if (longest >= model.context_length()) {
    throw BadInput("--max-tokens is " + std::to_string(s.max_tokens) +
                   "; with a prompt it must fit into the model's context of " +
                   std::to_string(model.context_length()) + " tokens");
  }
  record.go_on(compared(s, model.fingerprint(), tasks.key), s.model.filename().string());

  std::vector<Part> parts;
  std::size_t steps = 0;
  const std::size_t threads = Engine::threads(s);
  Progress progress;
  Watched<P> policy(model, progress, s.sequences, stop);
  const Job<P> job{s, model, policy, stop};
  parts.push_back(ifeval_part(job, tasks.rows));
  parts.push_back(contrast_part(job, Engine::contrast(model, s.system_a, s.system_b)));
  std::size_t finished = 0;
  for (const Part& part : parts) {
    for (const Step& step : part.steps) {
      ++steps;
      if (record.has(part, step)) {
        ++finished;
      } else {
        progress.expect(step.tokens);
      }
    }
  }
  if (finished > 0) {
    std::cerr << "compare: " << finished << " of " << steps << " steps are finished already, in "
              << printable((s.out / "results.jsonl").string()) << '\n';
  }
  if (finished < steps) {
    std::cerr
        << "compare: " << steps - finished
        << " steps to do; each is kept in results.jsonl as it ends, and how long the rest will "
           "take is told from the first one on\n";
    warn_of_load(threads);
  }
  std::string cause;
  bool all = false, shown = false;
  try {
    all = run_steps(parts, record, model, progress, stop);
  } catch (const BadInput&) {
    throw;
  } catch (const std::exception& error) {  // what is finished is shown nevertheless
    cause = error.what();
  }
  progress.finish();

  finished = 0;
  for (const Part& part : parts) finished += part.finished;
  std::erase_if(parts, [](const Part& part) { return !part.has_reference(); });
  for (Part& part : parts) {
    judge(part);
    tabulate(part);
  }
  // The page first: whoever reads the tables through a pipe may close it early.
  if (!parts.empty()) {
    const std::string unfinished =
        all ? "" : std::to_string(finished) + " of " + std::to_string(steps) + " steps";
    try {
      tilt::write_whole_file(page_path, page(s, parts, model.fingerprint(), threads, unfinished));
      shown = true;
      if (all) record.end(parts);
    } catch (const tilt::Error& error) {
      if (cause.empty()) cause = error.what();
    }
  }
  print(parts);
  if (shown) std::cout << "\nReport: " << printable(page_path.string(), 1000) << std::endl;
  if (all && cause.empty()) return 0;
  throw tilt::Error((cause.empty() ? "stopped" : cause) + "; " + std::to_string(finished) + " of " +
                    std::to_string(steps) + " steps are finished and kept" +
                    (shown ? ", and the report shows them" : "") +
                    "; the same command goes on from there");
}

template <class Engine>
int run_compare(int argc, char** argv) {
  Settings s;
  if (std::any_of(argv, argv + argc,
                  [](const char* a) { return std::string_view(a) == "--full"; })) {
    s.make_full();  // before the options, which may change parts of it
  }
  CLI::App app{
      "Compares methods of test-time alignment on one model at matched generated tokens.\n"
      "Writes report.html (open it in a browser) and results.jsonl.\n\n"
      "The short run takes a few minutes on two free cores, --full about half an hour; after the\n"
      "first step the time that is left is shown. On a busy machine give --threads the number of\n"
      "cores that are free. A run that was stopped (Ctrl-C, kill) goes on when the same command\n"
      "is given again, from the last step that had ended; --threads may differ.\n\n"
      "Exit status: 0 done, 1 stopped or failed, 2 the input cannot be used.",
      "compare"};
  app.add_option("--model", s.model, "the model, a GGUF file")->required();
  app.add_option("--prompts", s.prompts,
                 "prompts with verifiable instructions, JSONL of IFEval's form")
      ->required();
  app.add_option("--out", s.out, "folder for report.html and results.jsonl")->required();
  const auto count = [&app](const char* name, auto& value, std::uint64_t least, std::uint64_t most,
                            const char* what) {
    app.add_option(name, value, what)->capture_default_str()->check(whole_number(least, most));
  };
  count("--seed", s.seed, 0, UINT64_MAX, "same seed, same model, same answers");
  bool full = false;  // looked for above
  app.add_flag("--full", full,
               "the long run: more prompts, more draws, longer answers (about half an hour)");
  count("--threads", s.threads, 0, 1024, "processor threads; 0: all cores");
  count("--tasks", s.tasks, 1, 100000, "prompts of the IFEval part");
  count("--draws", s.draws, 1, 10000, "draws of best of n in the IFEval part");
  count("--max-tokens", s.max_tokens, 1, 1000000, "longest answer of the IFEval part, tokens");
  app.add_option("--temperature", s.temperature, "temperature of the model in the IFEval part")
      ->capture_default_str()
      ->check(positive_number());
  count("--chain-steps", s.chain_steps, 1, 100000, "steps of QAlign in the IFEval part");
  count("--questions", s.questions, 1, everyday_questions.size(), "prompts of the contrast part");
  count("--contrast-draws", s.contrast_draws, 1, 10000, "draws of best of n in the contrast part");
  count("--contrast-steps", s.contrast_steps, 1, 100000, "steps of QAlign in the contrast part");
  app.add_option("--system-a", s.system_a, "the system prompt that the contrast aims at")
      ->capture_default_str();
  app.add_option("--system-b", s.system_b, "the system prompt that it starts from; empty: none");
  return run_program(app, argc, argv, [&] { return compare<Engine>(s); });
}

#pragma once

// results.jsonl: the settings, then what each step of the job found, as soon as it is known, by which an
// interrupted job goes on; at the end the verdicts.
//
// A step's lines are its "method" lines, "point" lines (of every curve), "answer" lines, at most one line
// of "draws", and last the line "step", without which they count for nothing.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tilt/io/json.hpp>
#include <tilt/io/jsonl.hpp>

#include "compare/part.hpp"
#include "support/output.hpp"

/// The file of results of a job, and what it held when it was opened.
class Record {
 public:
  /// Opens the file if there is one, and reads it. Nothing is written.
  /// @throws BadInput when it is not of this command, cannot be written, or another process writes to it
  explicit Record(std::filesystem::path path)
      : path_(std::move(path)), file_(OutputFile::existing(path_)) {
    if (!file_) return;
    if (!file_->regular()) throw BadInput(path_.string() + " is no regular file");
    read();
  }

  /// Makes the file if there is none, and drops what was written of a step that did not end.
  /// @throws BadInput when the results are of other settings
  void go_on(const json& settings, const std::string& model) {
    const json first = {
        {"kind", "settings"}, {"compare", TILT_VERSION}, {"model", model}, {"settings", settings}};
    if (file_ && settings_.is_null() && !torn_.empty() && !first.dump().starts_with(torn_)) {
      refuse(1, "it is no file of results of compare");
    }
    if (!settings_.is_null()) {
      const std::string differences = differences_to(first);
      if (!differences.empty()) {
        throw BadInput(path_.string() + " holds results of other settings (" + differences +
                       "); give those again, or another --out");
      }
    }
    if (!file_) file_.emplace(OutputFile::created(path_));
    file_->shorten(kept_);
    if (settings_.is_null()) write(first);
  }

  /// Whether the file holds what a step has found.
  [[nodiscard]] bool has(const Part& part, const Step& step) const {
    return std::ranges::any_of(blocks_, [&](const Block& block) {
      return block.part == part.key && block.step == step.name;
    });
  }

  /// Adds what a step had found to its part.
  /// @returns false when the file does not have it
  /// @throws BadInput when its lines are damaged
  bool restore(Part& part, const Step& step) const {
    for (const Block& block : blocks_) {
      if (block.part != part.key || block.step != step.name) continue;
      for (const tilt::JsonlRow& row : block.rows) {
        try {
          take(part, row.value);
        } catch (const std::exception& error) {
          refuse(row.line, std::string("it cannot be read (") + error.what() + ")");
        }
      }
      for (std::size_t m = 0; m < part.methods.size(); ++m) {
        if (part.methods[m].answers.size() != part.ids.size() || part.methods[m].curve.empty()) {
          refuse(block.rows.back().line, "answers or points of its step are missing");
        }
      }
      return true;
    }
    return false;
  }

  /// Writes down what a step has added to its part.
  /// @param methods, rows  how many the part had before
  /// @param had_target     whether it had a target before
  void keep(const Part& part, const Step& step, std::size_t methods, std::size_t rows,
            bool had_target, double seconds) {
    const auto with_kind = [&](const char* kind) {
      return json{{"kind", kind}, {"part", part.key}};
    };
    if (part.target && !had_target) write_points(part, part.target_name, {*part.target});
    for (std::size_t m = methods; m < part.methods.size(); ++m) {
      const Method& method = part.methods[m];
      json line = with_kind("method");
      line.update({{"method", method.name},
                   {"how", method.how},
                   {"color", method.color},
                   {"has_law", method.has_law},
                   {"spent", method.spent}});
      write(line);
      write_points(part, method.name, method.curve);
    }
    for (std::size_t r = rows; r < part.rows.size(); ++r) write(part.rows[r]);
    if (methods == 0 && !part.draws.empty()) {
      json line = with_kind("draws");
      line["rewards"] = tilt::numbers_to_json(part.draws);
      write(line);
    }
    json end = with_kind("step");
    end.update({{"step", step.name}, {"seconds", seconds}});
    write(end);
  }

  /// Writes down the verdicts of the finished job.
  void end(std::span<const Part> parts) {
    for (const Part& part : parts) {
      const auto say = [&](const std::string& text) {
        write({{"kind", "verdict"}, {"part", part.key}, {"text", text}});
      };
      say(part.in_short);
      for (const std::string& verdict : part.verdicts) say(verdict);
    }
  }

 private:
  struct Block {
    std::string part = {}, step = {};
    std::vector<tilt::JsonlRow> rows = {};
  };

  [[noreturn]] void refuse(std::size_t line, const std::string& what) const {
    throw BadInput(path_.string() + ", line " + std::to_string(line) + ": " + what +
                   "; give another --out");
  }

  void write(const json& line) {
    file_->write_line(line.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void write_points(const Part& part, const std::string& name, const Curve& curve) {
    for (const Point& point : curve) {
      const Estimate e = estimate(point.reward);
      write({{"kind", "point"},
             {"part", part.key},
             {"method", name},
             {"setting", point.setting},
             {"tokens", tilt::number_to_json(point.mean_tokens())},
             {"depth", tilt::number_to_json(point.mean_depth())},
             {"reward", tilt::number_to_json(e.mean)},
             {"standard_error", tilt::number_to_json(e.error)},
             {"rewards", tilt::numbers_to_json(point.reward)},
             {"tokens_each", tilt::numbers_to_json(point.tokens)},
             {"depths", tilt::numbers_to_json(point.depth)}});
    }
  }

  void read() {
    std::ifstream in(path_, std::ios::binary);
    std::string text;
    std::uint64_t end = 0;
    std::vector<tilt::JsonlRow> open;            // of the step that has not ended
    std::optional<tilt::JsonlFault> fault = {};  // the first of that step
    for (std::size_t number = 1; std::getline(in, text); ++number) {
      if (in.eof()) {  // a line without its end: of a writer that was interrupted
        torn_ = text;
        break;
      }
      end += text.size() + 1;
      json value;
      std::string problem;
      try {
        value = tilt::parse_json(text);
      } catch (const tilt::Error& error) {
        problem = error.what();
      }
      if (number == 1) {
        if (member(value, "kind") != "settings") refuse(1, "it is no file of results of compare");
        settings_ = std::move(value);
        kept_ = end;
        continue;
      }
      if (!problem.empty()) {  // harmless behind the last step
        if (!fault) fault = {number, problem};
        continue;
      }
      open.push_back({number, std::move(value)});
      const json& row = open.back().value;
      if (member(row, "kind") != "step") continue;
      if (fault) refuse(fault->line, fault->what);
      blocks_.push_back({member(row, "part"), member(row, "step"), std::exchange(open, {})});
      kept_ = end;
    }
    if (in.bad()) throw BadInput("cannot read " + path_.string() + " to its end");
  }

  // A member that is a text, else nothing.
  static std::string member(const json& row, const char* name) {
    return row.is_object() && row.contains(name) && row[name].is_string()
               ? row[name].get<std::string>()
               : std::string();
  }

  static std::vector<double> numbers_of(const json& row, const char* name) {
    std::vector<double> values;
    for (const json& value : row.at(name)) values.push_back(tilt::number_from_json(value));
    return values;
  }

  static void take(Part& part, const json& row) {
    const std::string kind = member(row, "kind"), name = member(row, "method");
    const auto numbers = [&](const char* list) {
      std::vector<double> values = numbers_of(row, list);
      if (values.size() != part.ids.size()) throw tilt::Error("not a number for each prompt");
      return values;
    };
    const auto method = std::ranges::find(part.methods, name, &Method::name);
    if (kind == "method") {
      Method added{.name = name,
                   .how = row.at("how").get<std::string>(),
                   .spent = row.at("spent").get<tilt::Cost>(),
                   .color = row.at("color").get<int>(),
                   .has_law = row.at("has_law").get<bool>()};
      part.methods.push_back(std::move(added));
    } else if (kind == "point") {
      Point point{.setting = row.at("setting").get<std::string>(),
                  .reward = numbers("rewards"),
                  .tokens = numbers("tokens_each"),
                  .depth = numbers("depths")};
      if (method != part.methods.end()) {
        method->curve.push_back(std::move(point));
      } else {
        part.target = std::move(point);
        part.target_name = name;
      }
    } else if (kind == "answer") {
      if (method == part.methods.end()) throw tilt::Error("its method is missing");
      if (row.at("repeat").get<std::size_t>() > 0) return;
      method->answers.push_back(row.at("answer").get<std::string>());
      method->answer_rewards.push_back(tilt::number_from_json(row.at("reward")));
    } else if (kind == "draws") {
      part.draws = numbers_of(row, "rewards");
    }
  }

  // What differs between the settings of the file and those of now, in words; empty when nothing does.
  [[nodiscard]] std::string differences_to(const json& now) const {
    if (member(settings_, "compare") != TILT_VERSION) {
      return "of another version of compare; this is " TILT_VERSION;
    }
    if (!settings_.contains("settings") || !settings_["settings"].is_object()) return "unreadable";
    const json& there = settings_["settings"];
    if (there == now["settings"]) return {};
    std::string differences;
    std::size_t named = 0, more = 0;
    for (const auto& [name, value] : now["settings"].items()) {
      const auto found = there.find(name);
      if (found != there.end() && *found == value) continue;
      // --full sets most of the others: it alone is named.
      if (name != "full" && there.contains("full") && there["full"] != now["settings"]["full"])
        continue;
      if (++named > 4) {
        ++more;
        continue;
      }
      std::string option = "--" + name;
      std::ranges::replace(option, '_', '-');
      differences += differences.empty() ? "" : ", ";
      if (name == "model" || name == "prompts") {
        differences += option + " is another file";
      } else {
        differences += option + " is " + (found == there.end() ? "none" : found->dump()) +
                       " there, " + value.dump() + " now";
      }
    }
    if (more > 0) differences += ", and " + std::to_string(more) + " more";
    return differences.empty() ? "of another version" : differences;
  }

  std::filesystem::path path_;
  std::optional<OutputFile> file_;
  json settings_ = nullptr;  // the file's first line
  std::vector<Block> blocks_ = {};
  std::string torn_ = {};
  std::uint64_t kept_ = 0;  // bytes, up to the end of the last step
};

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/io/json_value.hpp"
#include "tilt/reward/concept.hpp"
#include "tilt/reward/constraints.hpp"

namespace tilt {

/// A prompt of IFEval with its verifiable instructions. Made by `ifeval_task`.
struct IfevalTask {
  Prompt prompt = {};
  std::string key = {};                        ///< the row's key, as text
  std::vector<std::string> instructions = {};  ///< ids: "punctuation:no_comma"
  std::vector<Constraint> constraints = {};    ///< one per instruction

  /// Which instructions a response follows, in order, as IFEval's strict checkers judge; a blank
  /// response follows none. See `Constraint` for how bytes that are no UTF-8 count.
  ///
  /// `change_case:english_capital` and `change_case:english_lowercase` judge the case only; IFEval
  /// asks a language identifier besides whether the text is English.
  [[nodiscard]] std::vector<bool> satisfied(std::string_view text) const {
    return tilt::satisfied(constraints, text);
  }
};

/// Reads the arguments of one instruction, and takes care that all are used.
class IfevalArguments {
 public:
  /// @param owner      names the instruction in errors
  /// @param arguments  an object; members that are null count as absent
  /// @throws InvalidOption when `arguments` is no object
  IfevalArguments(std::string owner, const nlohmann::json& arguments) : owner_(std::move(owner)) {
    if (!arguments.is_object()) refuse("kwargs", summary_of(arguments), "an object");
    for (const auto& [name, value] : arguments.items()) {
      if (!value.is_null()) values_.emplace(name, &value);
    }
  }

  /// A whole number of at least 0.
  [[nodiscard]] std::size_t number(const std::string& name) {
    const nlohmann::json& value = take(name, "a whole number of at least 0");
    const std::optional<std::uint64_t> whole = whole_number(value);
    if (!whole) refuse(name, summary_of(value), "a whole number of at least 0");
    return *whole;
  }

  [[nodiscard]] std::string text(const std::string& name) {
    const nlohmann::json& value = take(name, "text");
    if (!value.is_string()) refuse(name, summary_of(value), "text");
    return value.get<std::string>();
  }

  [[nodiscard]] std::vector<std::string> texts(const std::string& name) {
    const nlohmann::json& value = take(name, "a list of texts");
    const bool good =
        value.is_array() &&
        std::ranges::all_of(value, [](const nlohmann::json& item) { return item.is_string(); });
    if (!good) refuse(name, summary_of(value), "a list of texts");
    return value.get<std::vector<std::string>>();
  }

  [[nodiscard]] constraint::Relation relation(const std::string& name) {
    const std::string value = text(name);
    if (value == "less than") return constraint::Relation::less_than;
    if (value != "at least") refuse(name, '"' + shortened(value, 60) + '"', "\"less than\" or \"at least\"");
    return constraint::Relation::at_least;
  }

  /// @throws InvalidOption when an argument was not asked for
  void require_all_used() const {
    if (values_.empty()) return;
    const auto& [name, value] = *values_.begin();
    refuse(name, summary_of(*value), "absent: the instruction has no such argument");
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& value,
                           const std::string& legal) const {
    throw InvalidOption(owner_ + '.' + name, value, legal);
  }

  const nlohmann::json& take(const std::string& name, const std::string& legal) {
    const auto found = values_.find(name);
    if (found == values_.end()) refuse(name, "absent", legal);
    const nlohmann::json* value = found->second;
    values_.erase(found);
    return *value;
  }

  std::string owner_;
  std::map<std::string, const nlohmann::json*> values_;
};

/// The constraint of one instruction of IFEval.
/// @throws InvalidOption when the instruction is not supported, or its arguments are absent, of
/// another type, out of range or unknown
[[nodiscard]] inline Constraint ifeval_constraint(const std::string& instruction,
                                                  IfevalArguments arguments) {
  using Arguments = IfevalArguments;
  using Make = Constraint (*)(Arguments&);
  // Braces, so that arguments are read in order.
  static const std::map<std::string, Make> makers = {
      {"keywords:existence",
       [](Arguments& a) -> Constraint { return constraint::Keywords{a.texts("keywords")}; }},
      {"keywords:frequency",
       [](Arguments& a) -> Constraint {
         return constraint::KeywordFrequency{a.text("keyword"), a.relation("relation"),
                                             a.number("frequency")};
       }},
      {"keywords:forbidden_words",
       [](Arguments& a) -> Constraint {
         return constraint::ForbiddenWords{a.texts("forbidden_words")};
       }},
      {"keywords:letter_frequency",
       [](Arguments& a) -> Constraint {
         return constraint::LetterFrequency{a.text("letter"), a.relation("let_relation"),
                                            a.number("let_frequency")};
       }},
      {"length_constraints:number_sentences",
       [](Arguments& a) -> Constraint {
         return constraint::SentenceCount{a.relation("relation"), a.number("num_sentences")};
       }},
      {"length_constraints:number_paragraphs",
       [](Arguments& a) -> Constraint {
         return constraint::ParagraphCount{a.number("num_paragraphs")};
       }},
      {"length_constraints:number_words",
       [](Arguments& a) -> Constraint {
         return constraint::WordCount{a.relation("relation"), a.number("num_words")};
       }},
      {"length_constraints:nth_paragraph_first_word",
       [](Arguments& a) -> Constraint {
         return constraint::ParagraphStart{a.number("num_paragraphs"), a.number("nth_paragraph"),
                                           a.text("first_word")};
       }},
      {"detectable_content:number_placeholders",
       [](Arguments& a) -> Constraint {
         return constraint::Placeholders{a.number("num_placeholders")};
       }},
      {"detectable_content:postscript",
       [](Arguments& a) -> Constraint {
         return constraint::Postscript{a.text("postscript_marker")};
       }},
      {"detectable_format:number_bullet_lists",
       [](Arguments& a) -> Constraint { return constraint::BulletList{a.number("num_bullets")}; }},
      {"detectable_format:constrained_response",
       [](Arguments&) -> Constraint { return constraint::ConstrainedAnswer{}; }},
      {"detectable_format:number_highlighted_sections",
       [](Arguments& a) -> Constraint {
         return constraint::Highlights{a.number("num_highlights")};
       }},
      {"detectable_format:multiple_sections",
       [](Arguments& a) -> Constraint {
         return constraint::Sections{a.text("section_spliter"), a.number("num_sections")};
       }},
      {"detectable_format:json_format",
       [](Arguments&) -> Constraint { return constraint::Json{}; }},
      {"detectable_format:title", [](Arguments&) -> Constraint { return constraint::Title{}; }},
      {"combination:two_responses",
       [](Arguments&) -> Constraint { return constraint::TwoResponses{}; }},
      {"combination:repeat_prompt",
       [](Arguments& a) -> Constraint {
         return constraint::RepeatedPrompt{a.text("prompt_to_repeat")};
       }},
      {"startend:end_checker",
       [](Arguments& a) -> Constraint { return constraint::EndPhrase{a.text("end_phrase")}; }},
      {"startend:quotation", [](Arguments&) -> Constraint { return constraint::Quoted{}; }},
      {"change_case:capital_word_frequency",
       [](Arguments& a) -> Constraint {
         return constraint::CapitalWords{a.relation("capital_relation"),
                                         a.number("capital_frequency")};
       }},
      {"change_case:english_capital",
       [](Arguments&) -> Constraint { return constraint::AllCapitals{}; }},
      {"change_case:english_lowercase",
       [](Arguments&) -> Constraint { return constraint::AllLowercase{}; }},
      {"punctuation:no_comma", [](Arguments&) -> Constraint { return constraint::NoComma{}; }},
  };
  const auto maker = makers.find(instruction);
  if (maker == makers.end()) {
    std::string known;
    for (const auto& [id, make] : makers) known += (known.empty() ? "" : ", ") + id;
    throw InvalidOption("IFEval instruction", '"' + shortened(instruction, 60) + "\", which is not supported",
                        "one of " + known);
  }
  Constraint constraint = maker->second(arguments);
  arguments.require_all_used();
  return constraint;
}

/// A task from a row of IFEval's input_data.jsonl: `key`, `prompt`, `instruction_id_list` and
/// `kwargs`.
/// @throws InvalidOption naming the row and the instruction: when a member is missing or of another
/// type; when the instruction is not supported (`language:response_language` needs a language
/// identifier); when an argument is missing, unknown or out of range (the authors' code draws
/// missing ones at random)
[[nodiscard]] inline IfevalTask ifeval_task(const nlohmann::json& row) {
  IfevalTask task;
  const nlohmann::json key =
      row.is_object() ? row.value("key", nlohmann::json()) : nlohmann::json();
  task.key = key.is_string() ? key.get<std::string>() : key.is_null() ? "" : summary_of(key);
  const std::string owner = task.key.empty() ? "IFEval row" : "IFEval row " + shortened(task.key, 60);
  const auto member = [&](const char* name, bool (*is_good)(const nlohmann::json&),
                          const char* legal) -> const nlohmann::json& {
    if (!row.is_object()) throw InvalidOption(owner, summary_of(row), "an object");
    const auto found = row.find(name);
    if (found == row.end()) throw InvalidOption(owner + '.' + name, "absent", legal);
    if (!is_good(*found)) throw InvalidOption(owner + '.' + name, summary_of(*found), legal);
    return *found;
  };
  const auto is_text = [](const nlohmann::json& j) { return j.is_string(); };
  const auto is_ids = [](const nlohmann::json& j) {
    return j.is_array() && !j.empty() &&
           std::ranges::all_of(j, [](const nlohmann::json& id) { return id.is_string(); });
  };
  const auto is_list = [](const nlohmann::json& j) { return j.is_array(); };
  task.prompt = Prompt(member("prompt", is_text, "text").get<std::string>());
  task.instructions = member("instruction_id_list", is_ids, "a list of at least one instruction id")
                          .get<std::vector<std::string>>();
  const nlohmann::json& arguments = member("kwargs", is_list, "a list with one object for each id");
  if (arguments.size() != task.instructions.size()) {
    throw InvalidOption(
        owner + ".kwargs", "a list of " + std::to_string(arguments.size()),
        "one object for each of the " + std::to_string(task.instructions.size()) + " instructions");
  }
  for (std::size_t i = 0; i < task.instructions.size(); ++i) {
    const std::string& id = task.instructions[i];
    try {
      task.constraints.push_back(
          ifeval_constraint(id, IfevalArguments(owner + ", " + id, arguments[i])));
    } catch (const InvalidOption& error) {
      if (error.field().starts_with(owner)) throw;
      throw InvalidOption(owner + ", " + id + ": " + error.field(), error.value(), error.legal());
    }
  }
  return task;
}

/// How the verdicts on a prompt's instructions become one reward.
using IfevalScore = ConstraintScore;

/// Rewards a response by the instructions of its prompt that it follows. The prompt must be that of
/// one of the tasks.
///
/// Range 0 to 1. A prefix says little about the whole, so it cannot be scored (`partial`).
/// @throws RewardError from `score`, for the response alone, when its prompt belongs to no task
class IfevalReward {
 public:
  static constexpr bool partial = false;

  /// @throws InvalidOption when there is no task, or two have the same prompt
  explicit IfevalReward(std::vector<IfevalTask> tasks, IfevalScore score = IfevalScore::share)
      : tasks_(std::move(tasks)), score_(score) {
    if (tasks_.empty()) throw InvalidOption("IfevalReward.tasks", "empty", "at least one task");
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      if (find(tasks_[i].prompt)) {
        throw InvalidOption("IfevalReward.tasks",
                            "a list in which the prompt of task " + tasks_[i].key + " stands twice",
                            "tasks with different prompts");
      }
      index_.emplace(tasks_[i].prompt.key(), i);
    }
  }

  [[nodiscard]] std::span<const IfevalTask> tasks() const noexcept { return tasks_; }

  /// The task of a prompt.
  /// @throws RewardError when there is none
  [[nodiscard]] const IfevalTask& task(const Prompt& prompt) const {
    if (const IfevalTask* found = find(prompt)) return *found;
    throw RewardError("the prompt " + describe(prompt) + " is none of the " +
                      std::to_string(tasks_.size()) + " IFEval tasks of this reward");
  }

  void score(std::span<const Scoring> work, std::span<double> out) const {
    for_each_isolated(work.size(), [&](std::size_t i) {
      out[i] = score_of(task(*work[i].prompt).satisfied(work[i].response->text), score_);
    });
  }

 private:
  const IfevalTask* find(const Prompt& prompt) const {
    const auto [first, last] = index_.equal_range(prompt.key());
    for (auto found = first; found != last; ++found) {
      if (tasks_[found->second].prompt == prompt) return &tasks_[found->second];
    }
    return nullptr;
  }

  std::vector<IfevalTask> tasks_;
  std::unordered_multimap<std::uint64_t, std::size_t> index_;
  IfevalScore score_;
};

}  // namespace tilt

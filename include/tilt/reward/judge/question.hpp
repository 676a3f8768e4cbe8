#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/prompt.hpp"
#include "tilt/core/template.hpp"

namespace tilt {

/// Makes the prompt that a judge is given of the filled-in text: adds a system message, or examples.
/// Where it is empty the text is the prompt, to an engine one user message.
using JudgePrompt = std::function<Prompt(const std::string&)>;

/// The text of a judge's question, read once: a template with the slots {query} and further ones.
class JudgeQuestion {
 public:
  /// @param text   with each slot of `shown` at least once; {query} may be left out
  /// @param shown  the slots of what is judged
  /// @param field  the option, for messages
  /// @throws InvalidOption for an unknown slot, or where one of `shown` is missing: a judge that does
  ///         not see what it judges
  JudgeQuestion(std::string_view text, std::vector<std::string_view> shown,
                std::initializer_list<std::string_view> others, std::string_view field,
                JudgePrompt as_prompt)
      : as_prompt_(std::move(as_prompt)) {
    std::vector<std::string_view> names = shown;
    names.insert(names.end(), others);
    names.push_back("query");
    template_ = Template(text, names, field);
    for (const std::string_view slot : shown) {
      if (template_.uses(slot)) continue;
      const std::string name = '{' + std::string(slot) + '}';
      throw InvalidOption(std::string(field), "a text without " + name, "a text with " + name);
    }
  }

  /// The judge's prompt. {query} becomes the text of `prompt`, or its messages as "role: content".
  /// @throws RewardError for a prompt of token ids where the question shows it
  [[nodiscard]] Prompt fill(const Prompt& prompt, std::vector<Template::Slot> slots) const {
    std::string query;
    if (template_.uses("query")) {
      if (prompt.is_tokens()) {
        throw RewardError("a judge cannot read the prompt " + describe(prompt));
      }
      query = quotable(prompt, "judge");
    }
    slots.push_back({"query", query});
    std::string text = template_.fill(slots);
    return as_prompt_ ? as_prompt_(text) : Prompt(text);
  }

 private:
  Template template_ = {};
  JudgePrompt as_prompt_;
};

}  // namespace tilt

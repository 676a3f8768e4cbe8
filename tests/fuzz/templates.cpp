// Templates, judges' questions, and the readers of what judges write.

#include "fuzz/target.hpp"
#include "tilt/core/template.hpp"
#include "tilt/reward/judge/question.hpp"
#include "tilt/reward/judge/read.hpp"

using namespace tilt;

void fuzz::run(Bytes input) {
  const auto low = static_cast<double>(input.below(3));
  const double high = low + static_cast<double>(input.below(10));
  const std::string value = input.text(input.below(32));
  const std::string text = input.rest();

  try {
    const Template made(text, {"a", "b"}, "text");
    const std::string filled = made.fill({{"a", value}, {"b", "{a}"}});
    require(made.uses("a") || made.uses("b") || filled.size() <= text.size(),
            "nothing but slots makes a text longer");
  } catch (const InvalidOption& error) {
    require(std::string_view(error.what()).size() < 500, "a refusal is short");
  }
  std::string escaped;
  for (const char c : text)
    escaped += (c == '{' || c == '}') ? std::string(2, c) : std::string(1, c);
  require(Template(escaped, {"a"}, "text").fill({}) == text, "doubled braces are braces");
  require(Template(escaped + "{a}", {"a"}, "text").fill({{"a", value}}) == text + value,
          "a value stands where its slot stood, as it is");

  try {
    const JudgeQuestion question(text + "{response}", {"response"}, {"label"}, "question", {});
    require(
        !question.fill(Prompt(value), {{"response", text}, {"label", "Score:"}}).text().empty() ||
            text.empty(),
        "a judge is shown the response");
  } catch (const InvalidOption&) {
  }
  for (const std::string_view label : {"", "Score:", "Better:"}) {
    try {
      const double score = read_score(text, label, low, high);
      require(score >= low && score <= high, "a score is in its range");
    } catch (const RewardError&) {
    }
    try {
      const double verdict = read_verdict(text, label);
      require(verdict == 0 || verdict == 0.5 || verdict == 1, "a verdict is one of three");
    } catch (const RewardError&) {
    }
  }
}

#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tilt/text/ascii.hpp"
#include "tilt/text/boxes.hpp"
#include "tilt/text/math.hpp"
#include "tilt/text/number_reader.hpp"
#include "tilt/text/statement.hpp"

namespace tilt::detail {

/// The answer in the end of a sentence that states one, or none where it states that something is not.
[[nodiscard]] inline std::optional<std::string> stated_value(std::string_view statement) {
  const auto spelled = [](std::string_view text) -> std::optional<std::string> {
    const std::optional<Answer> answer = read_answer(text);
    if (!answer) return std::nullopt;
    return answer->number ? answer->number->text() : answer->text;
  };
  // A quotation ends with its mark, as in JSON.
  const std::size_t quote = statement.find_first_not_of(" \t\n:");
  if (quote != std::string_view::npos && statement[quote] == '"') {
    statement = statement.substr(quote + 1);
    statement = statement.substr(0, statement.find('"'));
  }
  constexpr std::string_view marks = " \t\r\n*_:`\"";
  const auto trim = [&] {
    statement.remove_prefix(std::min(statement.find_first_not_of(marks), statement.size()));
    statement.remove_suffix(statement.size() - (statement.find_last_not_of(marks) + 1));
    while (statement.ends_with('.') || statement.ends_with('!')) statement.remove_suffix(1);
  };
  trim();
  if (statement.empty() || has_at(statement, 0, "not ")) return std::nullopt;
  for (const std::string_view word :
       {"therefore ", "thus ", "simply ", "just ", "clearly ", "option ", "choice "}) {
    if (!has_at(statement, 0, word)) continue;
    statement.remove_prefix(word.size());
    trim();
  }
  if (const BoxFinder boxes(statement); !boxes.last().empty()) return spelled(boxes.last().back());

  // A formula in front.
  for (const auto& [open, close] : {std::pair<std::string_view, std::string_view>{"\\(", "\\)"},
                                    {"\\[", "\\]"},
                                    {"$$", "$$"},
                                    {"$", "$"}}) {
    if (!statement.starts_with(open)) continue;
    const std::size_t end = statement.find(close, open.size());
    if (end != std::string_view::npos) {
      return spelled(statement.substr(open.size(), end - open.size()));
    }
  }
  // A choice in front.
  const std::size_t first = statement.front() == '(' ? 1 : 0;
  if (first < statement.size() && statement[first] >= 'A' && statement[first] <= 'J') {
    const std::string_view rest = statement.substr(first + 1);
    const bool closed = first == 1 ? rest.starts_with(')')
                                   : rest.starts_with('.') || rest.starts_with(')') ||
                                         rest.starts_with(',') || rest.starts_with(' ');
    const bool is_article = statement.front() == 'A' && rest.size() > 1 && rest[0] == ' ' &&
                            Ascii::is_lower(rest[1]) && !has_at(rest, 1, "because") &&
                            !has_at(rest, 1, "since");
    if (rest.empty() || (closed && !is_article)) return std::string(1, statement[first]);
  }
  // A number in front and words behind it.
  NumberReader reader(statement);
  if (const std::optional<Number> number = reader.next()) {
    const std::string_view behind = statement.substr(reader.at());
    const std::size_t begin = statement.find_first_of("0123456789.\\");
    std::string_view front = statement.substr(0, begin);
    const bool in_front = front.find_first_of("([{=+*/^") == std::string_view::npos &&
                          std::none_of(front.begin(), front.end(), Ascii::is_letter);
    const std::string_view rest = trimmed(behind);
    const bool has_words = rest.empty() || rest.front() == '%' || rest.front() == ',' ||
                           rest.front() == '(' || rest.front() == '\xc2' ||
                           rest.front() == '\xe2' ||
                           (Ascii::is_letter(rest.front()) && rest.size() > 1 &&
                            (Ascii::is_letter(rest[1]) || rest.starts_with("m ") ||
                             rest.starts_with("m^") || rest.starts_with("m/")));
    const bool is_list = rest.starts_with(',') && rest.find_first_of("0123456789") < 4;
    const bool joins = has_at(rest, 0, "and ") || has_at(rest, 0, "or ");
    if (in_front && has_words && !is_list && !joins) return number->text;
  }
  // The whole, up to its reason.
  std::size_t end = statement.size();
  for (const std::string_view reason : {" because", " since ", ", which", ", as "}) {
    end = std::min(end, statement.find(reason));
  }
  return spelled(statement.substr(0, end));
}

}  // namespace tilt::detail

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/reward/constraint/pattern.hpp"
#include "tilt/reward/text/json_syntax.hpp"
#include "tilt/reward/text/unicode.hpp"

/// Constraints on the form of a response: its marks, lists and sections, how it begins and ends.
namespace tilt::constraint {

/// At least so many placeholders: [...] on one line.
class Placeholders {
 public:
  explicit Placeholders(std::size_t at_least) : at_least_(at_least) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    std::size_t found = 0;
    for (std::size_t at = text.find(U'['); at != std::u32string_view::npos;
         at = text.find(U'[', at)) {
      at = text.find_first_of(U"]\n", at);
      if (at == std::u32string_view::npos) break;
      if (text[at] == U']') ++found;
    }
    return found >= at_least_;
  }

 private:
  std::size_t at_least_;
};

/// A postscript: its marker occurs, in any case. In "P.S." and "P.P.S" one space may stand before
/// each letter but the first.
class Postscript {
 public:
  /// @throws InvalidOption when the marker, without white space around it, is no legal `Pattern`
  explicit Postscript(std::string_view marker)
      : marker_(unicode::strip(unicode::decode(marker))),
        pattern_("Postscript.marker", unicode::lower(marker_)) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    const std::u32string lowered = unicode::lower(text);
    if (marker_ == U"P.S.") return occurs(lowered, {U"p.", U"s."});
    if (marker_ == U"P.P.S") return occurs(lowered, {U"p.", U"p.", U"s"});
    return pattern_.find(lowered) != std::u32string_view::npos;
  }

 private:
  using Parts = std::initializer_list<std::u32string_view>;

  static bool occurs(std::u32string_view text, Parts parts) {
    for (; !text.empty(); text.remove_prefix(1)) {
      if (begins(text, parts)) return true;
    }
    return false;
  }

  static bool begins(std::u32string_view text, Parts parts) {
    bool first = true;
    for (const std::u32string_view part : parts) {
      if (!first && !text.empty() && unicode::is_space(text.front())) text.remove_prefix(1);
      if (!text.starts_with(part)) return false;
      text.remove_prefix(part.size());
      first = false;
    }
    return true;
  }

  std::u32string marker_;
  Pattern pattern_;
};

/// Exactly so many items of a bulleted list: lines that start, after white space, with - or with
/// one * that no other * follows.
class BulletList {
 public:
  explicit BulletList(std::size_t items) : items_(items) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    const std::size_t starred = count(text, [text](std::size_t at) -> std::size_t {
      return text[at] == U'*' && at + 1 < text.size() && text[at + 1] != U'*' ? 2 : 0;
    });
    const std::size_t dashed =
        count(text, [text](std::size_t at) -> std::size_t { return text[at] == U'-' ? 1 : 0; });
    return starred + dashed == items_;
  }

 private:
  /// Counts the lines whose first character but white space is a bullet. `bullet(i)` says how many
  /// characters the bullet at i has: what it holds may be a line feed, and then the next line
  /// belongs to the item.
  template <class Bullet>
  static std::size_t count(std::u32string_view text, Bullet bullet) {
    std::size_t items = 0;
    for (std::size_t line = 0; line < text.size();) {
      std::size_t at = line;
      while (at < text.size() && unicode::is_space(text[at])) ++at;
      if (at == text.size()) break;
      const std::size_t n = bullet(at);
      if (n > 0) ++items;
      // An item's line ends at the next line feed; one that the bullet holds ends it only if
      // another follows at once.
      const std::size_t end = text.find(U'\n', at + n);
      if (end == std::u32string_view::npos) break;
      line = end + 1;
    }
    return items;
  }

  std::size_t items_;
};

/// The response holds "My answer is yes.", "My answer is no." or "My answer is maybe.".
struct ConstrainedAnswer {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    constexpr auto answers = std::to_array<std::u32string_view>(
        {U"My answer is yes.", U"My answer is no.", U"My answer is maybe."});
    return std::ranges::any_of(answers, [text](std::u32string_view answer) {
      return text.find(answer) != std::u32string_view::npos;
    });
  }
};

/// At least so many highlighted parts, *so* or **so**, each on one line and not blank.
class Highlights {
 public:
  explicit Highlights(std::size_t at_least) : at_least_(at_least) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return count(text, U"*") + count(text, U"**") >= at_least_;
  }

 private:
  static std::size_t count(std::u32string_view text, std::u32string_view mark) {
    std::size_t found = 0;
    for (std::size_t at = text.find(mark); at != std::u32string_view::npos;) {
      const std::size_t begin = at + mark.size();
      const std::size_t end = text.find_first_of(U"*\n", begin);
      if (end == std::u32string_view::npos) break;
      if (text.substr(end).starts_with(mark)) {
        if (!unicode::is_blank(text.substr(begin, end - begin))) ++found;
        at = text.find(mark, end + mark.size());
      } else {
        at = text.find(mark, at + 1);
      }
    }
    return found;
  }

  std::size_t at_least_;
};

/// At least so many sections, each opened by a word and a number, with or without one space between
/// them: "Section 1".
class Sections {
 public:
  /// @throws InvalidOption when the word, without white space around it, is no legal `Pattern`
  Sections(std::string_view opener, std::size_t at_least)
      : opener_("Sections.opener", unicode::strip(unicode::decode(opener))), at_least_(at_least) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    std::size_t found = 0;
    for (std::size_t at = opener_.find(text); at != std::u32string_view::npos;) {
      std::size_t end = at + opener_.size();
      if (end < text.size() && unicode::is_space(text[end])) ++end;
      const std::size_t number = end;
      while (end < text.size() && unicode::is_digit(text[end])) ++end;
      if (end > number) {
        ++found;
        if (end < text.size() && unicode::is_space(text[end])) ++end;
        at = opener_.find(text, end);
      } else {
        at = opener_.find(text, at + 1);
      }
    }
    return found >= at_least_;
  }

 private:
  Pattern opener_;
  std::size_t at_least_;
};

/// The whole response is one JSON value (`JsonSyntax`), in a fenced block of Markdown or not.
struct Json {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    constexpr std::u32string_view fence = U"```";
    text = unicode::strip(text);
    // One after the other, so that a plain fence after a named one goes too.
    for (const std::u32string_view opening : {U"```json", U"```Json", U"```JSON", U"```"}) {
      if (text.starts_with(opening)) text.remove_prefix(opening.size());
    }
    if (text.ends_with(fence)) text.remove_suffix(fence.size());
    return JsonSyntax::accepts(unicode::strip(text));
  }
};

/// There is a title in double angle brackets: <<so>>, on one line and not blank.
struct Title {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    constexpr std::u32string_view open = U"<<", close = U">>";
    for (std::size_t at = text.find(open); at != std::u32string_view::npos;) {
      const std::size_t line_end = std::min(text.find(U'\n', at), text.size());
      // The longest title of the line: its last closing brackets, with a character before them.
      const std::u32string_view rest = text.substr(at, line_end - at);
      const std::size_t last = rest.rfind(close);
      if (last != std::u32string_view::npos && last > open.size()) {
        std::u32string_view title = rest.substr(0, last + close.size());
        while (title.starts_with(U'<')) title.remove_prefix(1);
        while (title.ends_with(U'>')) title.remove_suffix(1);
        if (!unicode::is_blank(title)) return true;
        at = text.find(open, at + last + close.size());
      } else {
        at = text.find(open, line_end);
      }
    }
    return false;
  }
};

/// Two different answers with ****** between them. The separator may also stand at the start and at
/// the end.
struct TwoResponses {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    constexpr std::u32string_view separator = U"******";
    std::vector<std::u32string_view> answers;
    for (std::size_t begin = 0, index = 0;; ++index) {
      const std::size_t at = text.find(separator, begin);
      const bool last = at == std::u32string_view::npos;
      const std::u32string_view answer = unicode::strip(text.substr(begin, last ? at : at - begin));
      if (!answer.empty()) {
        answers.push_back(answer);
      } else if (index != 0 && !last) {
        return false;
      }
      if (last) return answers.size() == 2 && answers[0] != answers[1];
      begin = at + separator.size();
    }
  }
};

/// The response starts with a given text, the request; case and white space around both are
/// ignored.
class RepeatedPrompt {
 public:
  /// @throws InvalidOption when the request is blank
  explicit RepeatedPrompt(std::string_view request)
      : request_(unicode::lower(unicode::strip(unicode::decode(request)))) {
    if (request_.empty()) throw InvalidOption("RepeatedPrompt.request", "blank", "some text");
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return unicode::lower(unicode::strip(text)).starts_with(request_);
  }

 private:
  std::u32string request_;
};

/// The response ends with a phrase, in any case; white space and then " at both ends of the
/// response are ignored.
class EndPhrase {
 public:
  /// @throws InvalidOption when the phrase is blank
  explicit EndPhrase(std::string_view phrase)
      : phrase_(unicode::lower(unicode::strip(unicode::decode(phrase)))) {
    if (phrase_.empty()) throw InvalidOption("EndPhrase.phrase", "blank", "some text");
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    const auto is_quote = [](char32_t c) { return c == U'"'; };
    return unicode::lower(unicode::strip(unicode::strip(text), is_quote)).ends_with(phrase_);
  }

 private:
  std::u32string phrase_;
};

/// The whole response stands between two ".
struct Quoted {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    text = unicode::strip(text);
    return text.size() > 1 && text.front() == U'"' && text.back() == U'"';
  }
};

}  // namespace tilt::constraint

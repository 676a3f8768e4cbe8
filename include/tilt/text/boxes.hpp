#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "tilt/core/token.hpp"
#include "tilt/text/ascii.hpp"

namespace tilt::detail {

/// Finds the contents of the last boxes of a text, \boxed{...} or \fbox{...}: the last one and those
/// before it that only a comma or a word such as "and" parts from it.
///
/// Of nested boxes the innermost counts. Braces inside are balanced, those behind a backslash do not
/// count. A box that is never closed, as in a response cut short, and one that is empty are passed over.
/// Without braces a box is a number directly behind it, "\boxed 7".
///
/// Cost: linear in the length of the text.
class BoxFinder {
 public:
  explicit BoxFinder(std::string_view text) : text_(text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '{') {
        open_.push_back({npos, i});
      } else if (text[i] == '}' && !open_.empty()) {
        if (open_.back().content != npos) close(open_.back(), i, i + 1);
        open_.pop_back();
      } else if (text[i] == '\\') {
        i = command(i);
      }
    }
  }

  /// In their order, at least one character each.
  [[nodiscard]] const std::vector<std::string_view>& last() const noexcept { return last_; }

 private:
  struct Open {
    std::size_t content, begin;  // of the content, npos: no box; of the command
  };

  // Reads a command; returns the place of its last byte.
  std::size_t command(std::size_t at) {
    const std::string_view rest = text_.substr(at + 1);
    const std::size_t name = rest.starts_with("boxed") ? 5 : rest.starts_with("fbox") ? 4 : 0;
    if (name == 0 || (name < rest.size() && Ascii::is_letter(rest[name]))) {
      return at + 1;  // what stands behind a backslash is no brace
    }
    std::size_t begin = at + 1 + name;
    while (begin < text_.size() && Ascii::is_space(text_[begin])) ++begin;
    if (begin < text_.size() && text_[begin] == '{') {
      open_.push_back({newest_ = begin + 1, at});
      return begin;
    }
    const auto is = [&](std::size_t place, std::string_view characters) {
      return place < text_.size() && characters.find(text_[place]) != std::string_view::npos;
    };
    std::size_t end = is(begin, "+-") ? begin + 1 : begin;
    const std::size_t first = end;
    while (is(end, "0123456789.,/")) ++end;
    while (end > first && is(end - 1, ".,/")) --end;
    if (end > first) close({newest_ = begin, at}, end, end);
    return std::max(begin, end) - 1;
  }

  void close(const Open& box, std::size_t content_end, std::size_t end) {
    if (box.content != newest_) return;
    const std::string_view content = trimmed(text_.substr(box.content, content_end - box.content));
    if (content.empty()) return;
    if (last_.empty() || !joins(text_.substr(end_, box.begin - end_))) last_.clear();
    last_.push_back(content);
    end_ = end;
  }

  // Whether what stands between two boxes makes one answer of them.
  static bool joins(std::string_view between) {
    constexpr std::size_t longest = 32;
    if (between.size() > longest) return false;
    constexpr std::string_view passed = " \t\n$~{}\\()[]";
    const auto trim = [&] {
      between.remove_prefix(std::min(between.find_first_not_of(passed), between.size()));
      between.remove_suffix(between.size() - (between.find_last_not_of(passed) + 1));
    };
    trim();
    if (between.ends_with('=')) {  // "x = " before the second one
      between.remove_suffix(1);
      trim();
      if (!between.empty() && Ascii::is_letter(between.back())) between.remove_suffix(1);
      trim();
    }
    for (bool again = true; again;) {
      again = between.starts_with(',') || between.starts_with(';');
      if (again) between.remove_prefix(1);
      trim();
      if (again && between.empty()) return true;
    }
    if (between.starts_with("text{")) between.remove_prefix(5);
    trim();
    for (const std::string_view word : {"and", "or", "&", "und", "oder", "et", "ou", "y",
                                        "\xe5\x92\x8c" /* he */, "\xe6\x88\x96" /* huo */}) {
      if (between == word) return true;
    }
    return false;
  }

  std::string_view text_;
  std::vector<Open> open_ = {};
  std::size_t newest_ = 0, end_ = 0;  // the content of the box opened last; behind the last one
  std::vector<std::string_view> last_ = {};
};

}  // namespace tilt::detail

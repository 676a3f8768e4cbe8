#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/error.hpp"
#include "tilt/reward/constraint/pattern.hpp"
#include "tilt/reward/text/sentences.hpp"
#include "tilt/reward/text/unicode.hpp"
#include "tilt/reward/text/words.hpp"

/// Constraints on how many words, sentences and paragraphs a response has.
namespace tilt::constraint {

/// Less than, or at least, so many words: runs of letters, marks, digits and underscores.
class WordCount {
 public:
  WordCount(Relation relation, std::size_t words) : relation_(relation), words_(words) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return holds(english::count_words(text), relation_, words_);
  }

 private:
  Relation relation_;
  std::size_t words_;
};

/// Less than, or at least, so many sentences, split as English.
class SentenceCount {
 public:
  SentenceCount(Relation relation, std::size_t sentences)
      : relation_(relation), sentences_(sentences) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return holds(english::sentences(text).size(), relation_, sentences_);
  }

 private:
  Relation relation_;
  std::size_t sentences_;
};

/// Exactly so many paragraphs, with the divider *** between them. A divider at the start or the end
/// makes no paragraph; two dividers with nothing between them never satisfy.
class ParagraphCount {
 public:
  explicit ParagraphCount(std::size_t paragraphs) : paragraphs_(paragraphs) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    constexpr std::u32string_view divider = U"***";
    std::size_t found = 0;
    for (std::size_t begin = 0, index = 0;; ++index) {
      const std::size_t at = text.find(divider, begin);
      const bool last = at == std::u32string_view::npos;
      if (!unicode::is_blank(text.substr(begin, last ? at : at - begin))) {
        ++found;
      } else if (index != 0 && !last) {
        return false;
      }
      if (last) return found == paragraphs_;
      begin = at + divider.size();
    }
  }

 private:
  std::size_t paragraphs_;
};

/// Exactly so many paragraphs, with an empty line between them, of which the nth starts with a
/// word.
///
/// Blank paragraphs are not counted, but they are numbered: three line feeds in a row before the
/// nth paragraph do not move it, four do. The word is compared in lower case, without quotation
/// marks before it, up to the first of . , ? ! ' ".
class ParagraphStart {
 public:
  /// @throws InvalidOption unless 1 ≤ nth ≤ paragraphs
  ParagraphStart(std::size_t paragraphs, std::size_t nth, std::string_view word)
      : paragraphs_(paragraphs), nth_(nth), word_(unicode::lower(unicode::decode(word))) {
    require_option(nth >= 1 && nth <= paragraphs, "ParagraphStart.nth", nth,
                   "from 1 to the number of paragraphs, " + std::to_string(paragraphs));
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    const std::vector<std::u32string_view> pieces = split(text);
    const auto blank = std::ranges::count_if(pieces, unicode::is_blank);
    if (pieces.size() - static_cast<std::size_t>(blank) != paragraphs_) return false;
    const std::u32string_view paragraph = unicode::strip(pieces[nth_ - 1]);
    return !paragraph.empty() && first_word(paragraph) == word_;
  }

 private:
  static std::vector<std::u32string_view> split(std::u32string_view text) {
    constexpr std::u32string_view empty_line = U"\n\n";
    std::vector<std::u32string_view> pieces;
    while (true) {
      const std::size_t at = text.find(empty_line);
      pieces.push_back(text.substr(0, at));
      if (at == std::u32string_view::npos) return pieces;
      text.remove_prefix(at + empty_line.size());
    }
  }

  static std::u32string first_word(std::u32string_view paragraph) {
    constexpr std::u32string_view ends = U".,?!'\"";
    std::size_t begin = 0;
    while (begin < paragraph.size() && paragraph[begin] == U'\'') ++begin;
    while (begin < paragraph.size() && paragraph[begin] == U'"') ++begin;
    std::u32string word;
    for (const char32_t c : paragraph.substr(begin)) {
      if (unicode::is_space(c) || ends.find(c) != std::u32string_view::npos) break;
      word += unicode::lower({&c, 1});
    }
    return word;
  }

  std::size_t paragraphs_, nth_;
  std::u32string word_;
};

}  // namespace tilt::constraint

#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/reward/constraint/pattern.hpp"
#include "tilt/reward/text/unicode.hpp"

/// Constraints on the words, letters and commas of a response. Like every constraint they are
/// judged on code points and on a text that is not blank; see constraints.hpp.
namespace tilt::constraint {

/// Every keyword occurs somewhere, inside a longer word too, in any case.
class Keywords {
 public:
  /// @throws InvalidOption when the list or a word is empty, or a word is no legal `Pattern`
  explicit Keywords(const std::vector<std::string>& words) {
    if (words.empty()) {
      throw InvalidOption("Keywords.words", "empty", "a list of at least one word");
    }
    for (const std::string& word : words) {
      words_.emplace_back("Keywords.words", unicode::decode(word), Pattern::Case::ignored);
    }
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return std::ranges::all_of(words_, [text](const Pattern& word) {
      return word.find(text) != std::u32string_view::npos;
    });
  }

 private:
  std::vector<Pattern> words_;
};

/// A keyword occurs less than, or at least, so many times, inside longer words too, in any case.
class KeywordFrequency {
 public:
  /// @throws InvalidOption when the word, without white space around it, is no legal `Pattern`
  KeywordFrequency(std::string_view word, Relation relation, std::size_t times)
      : word_("KeywordFrequency.word", unicode::strip(unicode::decode(word)),
              Pattern::Case::ignored),
        relation_(relation),
        times_(times) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return holds(word_.count(text), relation_, times_);
  }

 private:
  Pattern word_;
  Relation relation_;
  std::size_t times_;
};

/// None of the words occurs as a whole word, in any case.
class ForbiddenWords {
 public:
  /// @throws InvalidOption when the list or a word is empty, or a word is no legal `Pattern`
  explicit ForbiddenWords(const std::vector<std::string>& words) {
    if (words.empty()) {
      throw InvalidOption("ForbiddenWords.words", "empty", "a list of at least one word");
    }
    for (const std::string& word : words) {
      words_.emplace_back("ForbiddenWords.words", unicode::decode(word), Pattern::Case::ignored);
    }
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return std::ranges::none_of(words_, [text](const Pattern& word) { return occurs(word, text); });
  }

 private:
  static bool is_word_at(std::u32string_view text, std::size_t i) {
    return i < text.size() && unicode::is_word(text[i]);
  }

  /// Whether exactly one of the characters on both sides of i belongs to a word.
  static bool is_boundary(std::u32string_view text, std::size_t i) {
    return (i > 0 && is_word_at(text, i - 1)) != is_word_at(text, i);
  }

  static bool occurs(const Pattern& word, std::u32string_view text) {
    for (std::size_t at = word.find(text); at != std::u32string_view::npos;
         at = word.find(text, at + 1)) {
      if (is_boundary(text, at) && is_boundary(text, at + word.size())) return true;
    }
    return false;
  }

  std::vector<Pattern> words_;
};

/// A letter (or any other character but white space) occurs less than, or at least, so many times,
/// upper and lower case counted together.
class LetterFrequency {
 public:
  /// @throws InvalidOption unless `letter` is one character that is not white space
  LetterFrequency(std::string_view letter, Relation relation, std::size_t times)
      : relation_(relation), times_(times) {
    const std::u32string character = unicode::decode(letter);
    if (character.size() != 1 || unicode::is_space(character[0])) {
      throw InvalidOption("LetterFrequency.letter", '"' + std::string(letter) + '"',
                          "one character that is not white space");
    }
    letter_ = unicode::lower(character);
  }

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    // A letter whose lower case is two characters is found in no text, which are counted singly.
    const std::u32string lowered = unicode::lower(text);
    const auto found = letter_.size() == 1 ? std::ranges::count(lowered, letter_[0]) : 0;
    return holds(static_cast<std::size_t>(found), relation_, times_);
  }

 private:
  std::u32string letter_;
  Relation relation_;
  std::size_t times_;
};

/// There is no comma.
struct NoComma {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return text.find(U',') == std::u32string_view::npos;
  }
};

}  // namespace tilt::constraint

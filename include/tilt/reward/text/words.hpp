#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/reward/text/sentences.hpp"
#include "tilt/reward/text/unicode.hpp"

namespace tilt::english {

/// The number of longest runs of letters, marks, digits and underscores: "don't" counts two.
[[nodiscard]] constexpr std::size_t count_words(std::u32string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (const char32_t c : text) {
    const bool is_part = unicode::is_token_character(c);
    if (is_part && !inside) ++words;
    inside = is_part;
  }
  return words;
}

/// Splits a sentence into words the way of the Penn Treebank: punctuation and the endings of
/// contractions ("n't", "'ll", "'s") become words of their own, hyphens do not split.
///
/// The rules rewrite the sentence one after the other, each from left to right over what the one
/// before left, and put spaces where words part; their order matters.
class TreebankWords {
 public:
  /// The words, in order. Double quotation marks come out as `` and ''.
  [[nodiscard]] std::vector<std::u32string> operator()(std::u32string_view sentence) {
    text_.assign(sentence);
    split_opening_quotes();
    split_punctuation();
    split_brackets();
    text_.insert(text_.begin(), U' ');
    text_ += U' ';
    split_closing_quotes();
    split_contractions();
    std::vector<std::u32string> words;
    for (std::size_t i = 0; i < text_.size();) {
      while (i < text_.size() && unicode::is_space(text_[i])) ++i;
      const std::size_t begin = i;
      while (i < text_.size() && !unicode::is_space(text_[i])) ++i;
      if (begin < i) words.push_back(text_.substr(begin, i - begin));
    }
    return words;
  }

 private:
  /// Applies a rule everywhere: `rule(i)` says how many characters at i it replaced by what it
  /// appended to `out_`; 0 where it does not apply. `triggers` are characters without one of which
  /// the rule cannot apply.
  template <class Rule>
  void rewrite(std::u32string_view triggers, Rule rule) {
    if (text_.find_first_of(triggers) == std::u32string::npos) return;
    out_.clear();
    for (std::size_t i = 0; i < text_.size();) {
      const std::size_t replaced = rule(i);
      if (replaced == 0) out_ += text_[i];
      i += replaced == 0 ? 1 : replaced;
    }
    text_.swap(out_);
  }

  std::size_t pad(std::size_t i, std::size_t n) {
    out_ += U' ';
    out_.append(text_, i, n);
    out_ += U' ';
    return n;
  }

  /// Puts spaces around each of the given characters.
  void pad_each(std::u32string_view characters) {
    rewrite(characters, [&](std::size_t i) {
      return characters.find(text_[i]) == std::u32string_view::npos ? 0 : pad(i, 1);
    });
  }

  /// Puts spaces around each run of at least `least` times the character.
  void pad_runs(char32_t character, std::size_t least) {
    rewrite({&character, 1}, [&](std::size_t i) -> std::size_t {
      std::size_t n = 0;
      while (i + n < text_.size() && text_[i + n] == character) ++n;
      return n >= least ? pad(i, n) : 0;
    });
  }

  /// Puts spaces around each occurrence of a short string.
  void pad_all(std::u32string_view part) {
    rewrite(part, [&](std::size_t i) { return starts(i, part) ? pad(i, part.size()) : 0; });
  }

  bool starts(std::size_t i, std::u32string_view part) const {
    return text_.compare(i, part.size(), part) == 0;
  }

  bool starts_ignoring_case(std::size_t i, std::u32string_view part) const {
    return i + part.size() <= text_.size() &&
           std::equal(part.begin(), part.end(), text_.begin() + static_cast<std::ptrdiff_t>(i),
                      unicode::equal_ignoring_case);
  }

  void split_opening_quotes() {
    rewrite(U"«“‘„`", [&](std::size_t i) -> std::size_t {
      std::size_t n = 0;
      while (i + n < text_.size() && text_[i + n] == U'`') ++n;
      if (n > 0) return pad(i, n);
      return text_[i] == U'«' || text_[i] == U'“' || text_[i] == U'‘' || text_[i] == U'„'
                 ? pad(i, 1)
                 : 0;
    });
    if (text_.starts_with(U'"')) text_.replace(0, 1, U"``");
    pad_all(U"``");
    rewrite(U"\"'", [&](std::size_t i) -> std::size_t {
      if (std::u32string_view(U" ([{<").find(text_[i]) == std::u32string_view::npos) return 0;
      const std::size_t quote = starts(i + 1, U"\"") ? 1 : starts(i + 1, U"''") ? 2 : 0;
      if (quote == 0) return 0;
      out_ += text_[i];
      out_ += U" `` ";
      return quote + 1;
    });
    rewrite(U"'", [&](std::size_t i) -> std::size_t {
      if (!opens_quotation(i)) return 0;
      out_ += U"' ";
      return 1;
    });
  }

  bool token_character_at(std::size_t i) const {
    return i < text_.size() && unicode::is_token_character(text_[i]);
  }

  /// An apostrophe before a word, unless that word is the ending of a contraction.
  bool opens_quotation(std::size_t i) const {
    if (text_[i] != U'\'' || !token_character_at(i + 1)) return false;
    if (i > 0 && token_character_at(i - 1)) return false;
    for (const std::u32string_view ending : {U"re", U"ve", U"ll", U"m", U"t", U"s", U"d", U"n"}) {
      if (starts_ignoring_case(i + 1, ending) && !token_character_at(i + 1 + ending.size())) {
        return false;
      }
    }
    return true;
  }

  /// Splits the full stop that ends the text, also before closing marks: `[^.].[closing]*\s*$`.
  void split_final_period(std::u32string_view closing, std::u32string_view between) {
    std::size_t end = text_.size();
    while (end > 0 && unicode::is_white_space(text_[end - 1])) --end;
    std::size_t begin = end;
    while (begin > 0 && closing.find(text_[begin - 1]) != std::u32string_view::npos) --begin;
    if (begin < 2 || text_[begin - 1] != U'.' || text_[begin - 2] == U'.') return;
    if (closing.find(U' ') != std::u32string_view::npos) {
      while (end < text_.size() && text_[end] == U' ') ++end;
    }
    const std::u32string marks = text_.substr(begin, end - begin);
    text_.erase(begin - 1);
    text_ += U" .";
    text_ += between;
    text_ += marks;
    text_ += U' ';
  }

  void split_punctuation() {
    split_final_period(U"])}>\"'»”’ ", U" ");
    rewrite(U":,", [&](std::size_t i) -> std::size_t {
      if (text_[i] != U':' && text_[i] != U',') return 0;
      if (i + 1 == text_.size() || unicode::is_digit(text_[i + 1])) return 0;
      out_ += U' ';
      out_ += text_[i];
      out_ += U' ';
      out_ += text_[i + 1];
      return 2;
    });
    if (text_.ends_with(U':') || text_.ends_with(U',')) {
      text_.insert(text_.size() - 1, 1, U' ');
      text_ += U' ';
    }
    pad_runs(U'.', 2);
    pad_each(U";@#$%&");
    pad_each(U"\u2012\u2013\u2014\u2015");
    split_final_period(U"])}>\"'", U"");
    pad_each(U"?!");
    rewrite(U"'", [&](std::size_t i) -> std::size_t {
      if (text_[i] == U'\'' || !starts(i + 1, U"' ")) return 0;
      out_ += text_[i];
      out_ += U" ' ";
      return 3;
    });
    pad_each(U"*");
  }

  void split_brackets() {
    pad_each(U"][(){}<>");
    pad_all(U"--");
  }

  void split_closing_quotes() {
    pad_each(U"»”’");
    pad_all(U"''");
    rewrite(U"\"", [&](std::size_t i) -> std::size_t {
      if (text_[i] != U'"') return 0;
      out_ += U" '' ";
      return 1;
    });
    join_white_space();
    split_endings({U"'s", U"'S", U"'m", U"'M", U"'d", U"'D", U"'"});
    split_endings({U"'ll", U"'LL", U"'re", U"'RE", U"'ve", U"'VE", U"n't", U"N'T"});
  }

  void join_white_space() {
    out_.clear();
    for (const char32_t c : text_) {
      if (!unicode::is_white_space(c)) {
        out_ += c;
      } else if (!out_.ends_with(U' ')) {
        out_ += U' ';
      }
    }
    text_.swap(out_);
  }

  /// Splits the first of the endings that stands before a space, after neither apostrophe nor
  /// space.
  void split_endings(std::initializer_list<std::u32string_view> endings) {
    rewrite(U"'", [&](std::size_t i) -> std::size_t {
      if (text_[i] == U'\'' || text_[i] == U' ') return 0;
      for (const std::u32string_view ending : endings) {
        if (!starts(i + 1, ending) || !starts(i + 1 + ending.size(), U" ")) continue;
        out_ += text_[i];
        out_ += U' ';
        out_ += ending;
        out_ += U' ';
        return ending.size() + 2;
      }
      return 0;
    });
  }

  bool word_at(std::size_t i) const { return i < text_.size() && unicode::is_word(text_[i]); }
  bool space_at(std::size_t i) const { return i < text_.size() && unicode::is_space(text_[i]); }

  struct Contraction {
    std::u32string_view first, second;
  };

  void split_contractions() {
    static constexpr std::array<Contraction, 8> contractions = {{{U"can", U"not"},
                                                                 {U"d", U"'ye"},
                                                                 {U"gim", U"me"},
                                                                 {U"gon", U"na"},
                                                                 {U"got", U"ta"},
                                                                 {U"lem", U"me"},
                                                                 {U"more", U"'n"},
                                                                 {U"wan", U"na"}}};
    rewrite(U"nNmMtT'", [&](std::size_t i) -> std::size_t {
      if (i > 0 && word_at(i - 1)) return 0;
      for (const auto& [first, second] : contractions) {
        const std::size_t n = first.size() + second.size();
        if (!starts_ignoring_case(i, first) || !starts_ignoring_case(i + first.size(), second)) {
          continue;
        }
        // "wanna" parts only before white space, the others wherever the word ends.
        const bool parts = first == U"wan" ? space_at(i + n) : !word_at(i + n);
        if (!parts) continue;
        split_in_two(i, first.size(), n);
        return n;
      }
      return 0;
    });
    rewrite(U"'", [&](std::size_t i) -> std::size_t {
      if (text_[i] != U' ' || !starts_ignoring_case(i + 1, U"'t")) return 0;
      for (const std::u32string_view verb : {U"is", U"was"}) {
        if (!starts_ignoring_case(i + 3, verb) || word_at(i + 3 + verb.size())) continue;
        split_in_two(i + 1, 2, 2 + verb.size());
        return 3 + verb.size();
      }
      return 0;
    });
  }

  void split_in_two(std::size_t i, std::size_t first, std::size_t n) {
    out_ += U' ';
    out_.append(text_, i, first);
    out_ += U' ';
    out_.append(text_, i + first, n - first);
    out_ += U' ';
  }

  std::u32string text_, out_;
};

/// The words of a text: each of its sentences split by `TreebankWords`.
[[nodiscard]] inline std::vector<std::u32string> treebank_words(std::u32string_view text) {
  TreebankWords split;
  std::vector<std::u32string> words;
  for (const Span sentence : sentences(text)) {
    for (std::u32string& word : split(text.substr(sentence.begin, sentence.end - sentence.begin))) {
      words.push_back(std::move(word));
    }
  }
  return words;
}

}  // namespace tilt::english

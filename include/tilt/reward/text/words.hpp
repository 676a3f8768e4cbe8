#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
  /// Calls `visit(std::u32string_view)` with each word, in order. Double quotation marks come out as
  /// `` and ''.
  template <class Visit>
  void operator()(std::u32string_view sentence, Visit visit) {
    text_.assign(sentence);
    note_characters();
    split_opening_quotes();
    split_punctuation();
    split_brackets();
    text_.insert(text_.begin(), U' ');
    text_ += U' ';
    split_closing_quotes();
    split_contractions();
    const std::u32string_view text = text_;
    for (std::size_t i = 0; i < text.size();) {
      while (i < text.size() && unicode::is_space(text[i])) ++i;
      const std::size_t begin = i;
      while (i < text.size() && !unicode::is_space(text[i])) ++i;
      if (begin < i) visit(text.substr(begin, i - begin));
    }
  }

 private:
  /// Notes which ASCII characters the text holds, so that rules without a place to apply cost
  /// nothing. Those that the rules themselves bring in are counted as held.
  void note_characters() {
    held_ = {};
    held_beyond_ascii_ = false;
    const auto note = [this](char32_t c) {
      if (c < 0x80) {
        held_[c / 64] |= std::uint64_t{1} << (c % 64);
      } else {
        held_beyond_ascii_ = true;
      }
    };
    for (const char32_t c : text_) note(c);
    for (const char32_t c : std::u32string_view(U" `'")) note(c);
  }

  bool may_hold_any(std::u32string_view characters) const {
    return std::ranges::any_of(characters, [this](char32_t c) {
      return c < 0x80 ? ((held_[c / 64] >> (c % 64)) & 1u) != 0 : held_beyond_ascii_;
    });
  }

  /// Applies a rule wherever one of the characters `at` stands, from left to right. `rule(i, from)`
  /// says how many characters at i it replaces by what it appended to `piece_`; 0 where it does not
  /// apply. What stands before `from` was replaced already, and the rule must not look at it.
  template <class Rule>
  void rewrite(std::u32string_view at, Rule rule) {
    if (!may_hold_any(at)) return;
    const unicode::CharacterSet anchors(at);
    out_.clear();
    std::size_t from = 0;    // the end of what was replaced last
    std::size_t copied = 0;  // what stands before is in `out_`
    for (std::size_t i = 0; i < text_.size();) {
      if (!anchors.contains(text_[i])) {
        ++i;
        continue;
      }
      piece_.clear();
      const std::size_t replaced = rule(i, from);
      if (replaced == 0) {
        ++i;
        continue;
      }
      out_.append(text_, copied, i - copied);
      out_ += piece_;
      i += replaced;
      from = copied = i;
    }
    if (copied == 0) return;
    out_.append(text_, copied);
    text_.swap(out_);
  }

  std::size_t pad(std::size_t i, std::size_t n) {
    piece_ += U' ';
    piece_.append(text_, i, n);
    piece_ += U' ';
    return n;
  }

  /// Puts spaces around each of the given characters.
  void pad_each(std::u32string_view characters) {
    rewrite(characters, [this](std::size_t i, std::size_t) { return pad(i, 1); });
  }

  /// Puts spaces around each occurrence of a short string.
  void pad_all(std::u32string_view part) {
    rewrite(part.substr(0, 1), [this, part](std::size_t i, std::size_t) {
      return starts(i, part) ? pad(i, part.size()) : 0;
    });
  }

  std::size_t run_length(std::size_t i) const {
    const std::size_t end = std::min(text_.find_first_not_of(text_[i], i), text_.size());
    return end - i;
  }

  bool starts(std::size_t i, std::u32string_view part) const {
    return text_.compare(i, part.size(), part) == 0;
  }

  bool starts_ignoring_case(std::size_t i, std::u32string_view part) const {
    return i + part.size() <= text_.size() &&
           std::equal(part.begin(), part.end(), text_.begin() + static_cast<std::ptrdiff_t>(i),
                      unicode::equal_ignoring_case);
  }

  bool token_character_at(std::size_t i) const {
    return i < text_.size() && unicode::is_token_character(text_[i]);
  }
  bool word_at(std::size_t i) const { return i < text_.size() && unicode::is_word(text_[i]); }
  bool space_at(std::size_t i) const { return i < text_.size() && unicode::is_space(text_[i]); }

  void split_opening_quotes() {
    rewrite(U"«“‘„`", [this](std::size_t i, std::size_t) {
      return pad(i, text_[i] == U'`' ? run_length(i) : 1);
    });
    if (text_.starts_with(U'"')) text_.replace(0, 1, U"``");
    pad_all(U"``");
    rewrite(U" ([{<", [this](std::size_t i, std::size_t) -> std::size_t {
      const std::size_t quote = starts(i + 1, U"\"") ? 1 : starts(i + 1, U"''") ? 2 : 0;
      if (quote == 0) return 0;
      piece_ += text_[i];
      piece_ += U" `` ";
      return quote + 1;
    });
    rewrite(U"'", [this](std::size_t i, std::size_t) -> std::size_t {
      if (!opens_quotation(i)) return 0;
      piece_ += U"' ";
      return 1;
    });
  }

  /// An apostrophe before a word, unless that word is the ending of a contraction.
  bool opens_quotation(std::size_t i) const {
    if (!token_character_at(i + 1) || (i > 0 && token_character_at(i - 1))) return false;
    for (const std::u32string_view ending : {U"re", U"ve", U"ll", U"m", U"t", U"s", U"d", U"n"}) {
      if (starts_ignoring_case(i + 1, ending) && !token_character_at(i + 1 + ending.size())) {
        return false;
      }
    }
    return true;
  }

  /// Splits off the full stop that ends the text, also before closing marks, unless another stands
  /// before it.
  /// @param between  goes between the full stop and the marks
  void split_final_period(std::u32string_view closing, std::u32string_view between) {
    const auto closes = [closing](char32_t c) {
      return closing.find(c) != std::u32string_view::npos;
    };
    std::size_t end = text_.size();
    while (end > 0 && unicode::is_white_space(text_[end - 1])) --end;
    std::size_t begin = end;
    while (begin > 0 && closes(text_[begin - 1])) --begin;
    if (begin < 2 || text_[begin - 1] != U'.' || text_[begin - 2] == U'.') return;
    while (end < text_.size() && closes(text_[end])) ++end;
    const std::u32string marks = text_.substr(begin, end - begin);
    text_.erase(begin - 1);
    text_ += U" .";
    text_ += between;
    text_ += marks;
    text_ += U' ';
  }

  void split_punctuation() {
    split_final_period(U"])}>\"'»”’ ", U" ");
    rewrite(U":,", [this](std::size_t i, std::size_t) -> std::size_t {
      if (i + 1 == text_.size() || unicode::is_digit(text_[i + 1])) return 0;
      pad(i, 1);
      piece_ += text_[i + 1];
      return 2;
    });
    if (text_.ends_with(U':') || text_.ends_with(U',')) {
      text_.insert(text_.size() - 1, 1, U' ');
      text_ += U' ';
    }
    rewrite(U".", [this](std::size_t i, std::size_t) -> std::size_t {
      const std::size_t dots = run_length(i);
      return dots > 1 ? pad(i, dots) : 0;
    });
    pad_each(U";@#$%&");
    pad_each(U"\u2012\u2013\u2014\u2015");
    split_final_period(U"])}>\"'", U"");
    pad_each(U"?!");
    rewrite(U"'", [this](std::size_t i, std::size_t from) -> std::size_t {
      if (i == from || text_[i - 1] == U'\'' || !starts(i + 1, U" ")) return 0;
      piece_ += U" ' ";
      return 2;
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
    rewrite(U"\"", [this](std::size_t, std::size_t) -> std::size_t {
      piece_ += U" '' ";
      return 1;
    });
    join_white_space();
    split_endings(U"'", {U"'s", U"'S", U"'m", U"'M", U"'d", U"'D", U"'"});
    split_endings(U"'nN", {U"'ll", U"'LL", U"'re", U"'RE", U"'ve", U"'VE", U"n't", U"N'T"});
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

  /// Splits off the first of the endings that stands before a space, after neither apostrophe nor
  /// space.
  /// @param initials  the characters with which the endings start
  void split_endings(std::u32string_view initials,
                     std::initializer_list<std::u32string_view> endings) {
    rewrite(initials, [this, endings](std::size_t i, std::size_t from) -> std::size_t {
      if (i == from || text_[i - 1] == U'\'' || text_[i - 1] == U' ') return 0;
      for (const std::u32string_view ending : endings) {
        if (!starts(i, ending) || !starts(i + ending.size(), U" ")) continue;
        pad(i, ending.size());
        return ending.size() + 1;
      }
      return 0;
    });
  }

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
    rewrite(U"cdglmwCDGLMW", [this](std::size_t i, std::size_t) -> std::size_t {
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
    rewrite(U"'", [this](std::size_t i, std::size_t from) -> std::size_t {
      if (i == from || text_[i - 1] != U' ' || !starts_ignoring_case(i, U"'t")) return 0;
      for (const std::u32string_view verb : {U"is", U"was"}) {
        if (!starts_ignoring_case(i + 2, verb) || word_at(i + 2 + verb.size())) continue;
        split_in_two(i, 2, 2 + verb.size());
        return 2 + verb.size();
      }
      return 0;
    });
  }

  void split_in_two(std::size_t i, std::size_t first, std::size_t n) {
    piece_ += U' ';
    piece_.append(text_, i, first);
    piece_ += U' ';
    piece_.append(text_, i + first, n - first);
    piece_ += U' ';
  }

  std::u32string text_, out_, piece_;
  std::array<std::uint64_t, 2> held_ = {};
  bool held_beyond_ascii_ = false;
};

/// Calls `visit(std::u32string_view)` with each word of a text: its sentences, split by
/// `TreebankWords`.
template <class Visit>
void for_each_word(std::u32string_view text, Visit visit) {
  TreebankWords split;
  for (const Span sentence : sentences(text)) {
    split(text.substr(sentence.begin, sentence.end - sentence.begin), visit);
  }
}

}  // namespace tilt::english

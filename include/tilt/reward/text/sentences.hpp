#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/reward/text/sentence_model.hpp"
#include "tilt/reward/text/unicode.hpp"

/// English text: sentences and words, split as NLTK 3.10 splits them.
namespace tilt::english {

/// Part of a text: the code points from `begin` up to, not including, `end`.
struct Span {
  std::size_t begin = 0, end = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

/// The tokens between which the splitter looks for a boundary, one at a time. Words end before
/// white space, before most punctuation and before runs of dots or hyphens; a full stop belongs to
/// its word.
class SentenceTokens {
 public:
  explicit SentenceTokens(std::u32string_view text) : text_(text) {}

  /// The next token, or nothing at the end of the text.
  [[nodiscard]] std::optional<std::u32string_view> next() {
    while (at_ < text_.size()) {
      if (at_ == line_end_ || line_end_ == 0) enter_line();
      while (at_ < line_end_ && is_gap(text_[at_])) ++at_;
      if (at_ == line_end_) continue;
      const std::size_t begin = at_;
      at_ = token_end(begin);
      return text_.substr(begin, at_ - begin);
    }
    return std::nullopt;
  }

  /// Punctuation that ends the word before it.
  [[nodiscard]] static constexpr bool ends_word(char32_t c) {
    constexpr unicode::CharacterSet marks(U")\";}]*:@'({[‘’“”«»?!");
    return marks.contains(c);
  }

 private:
  // Line feeds end a token even where they stand in a spaced ellipsis, so lines are taken one by
  // one.
  void enter_line() {
    while (at_ < text_.size() && text_[at_] == U'\n') ++at_;
    line_end_ = std::min(text_.find(U'\n', at_), text_.size());
    if (unicode::is_blank(text_.substr(at_, line_end_ - at_))) at_ = line_end_;
  }

  static constexpr bool is_gap(char32_t c) { return unicode::is_white_space(c); }

  bool gap_at(std::size_t i) const { return i >= line_end_ || is_gap(text_[i]); }

  /// The end of a run of dots or hyphens, or of dots with a space between each, that starts at i; i
  /// itself where none does.
  std::size_t run_end(std::size_t i) const {
    if (i + 1 >= line_end_ || (text_[i] != U'.' && text_[i] != U'-')) return i;
    const char32_t c = text_[i];
    if (text_[i + 1] == c) {
      while (i < line_end_ && text_[i] == c) ++i;
      return i;
    }
    if (c == U'-') return i;
    std::size_t dots = 0;
    std::size_t at = i;
    while (at + 1 < line_end_ && text_[at] == U'.' && is_gap(text_[at + 1])) {
      at += 2;
      ++dots;
    }
    if (dots >= 2 && at < line_end_ && text_[at] == U'.') return at + 1;
    return dots >= 3 ? at - 1 : i;
  }

  bool word_ends_at(std::size_t i) const {
    return gap_at(i) || ends_word(text_[i]) || run_end(i) != i;
  }

  std::size_t token_end(std::size_t begin) const {
    if (const std::size_t end = run_end(begin); end != begin) return end;
    constexpr unicode::CharacterSet never_first(U"(\"`{[:;&#*@)}]-,");
    if (never_first.contains(text_[begin])) return begin + 1;
    std::size_t end = begin + 1;
    while (!word_ends_at(end) && !(text_[end] == U',' && word_ends_at(end + 1))) ++end;
    return end;
  }

  std::u32string_view text_;
  std::size_t at_ = 0, line_end_ = 0;
};

/// A token with what the splitter decides about it.
struct SentenceToken {
  std::u32string_view text = {};
  bool sentence_break = false;
  bool abbreviation = false;
  bool ellipsis = false;

  explicit SentenceToken(std::u32string_view token) : text(token) { judge_alone(); }

  [[nodiscard]] bool ends_in_period() const { return text.back() == U'.'; }

  /// A letter and a full stop: "J."
  [[nodiscard]] bool is_initial() const {
    return text.size() == 2 && text[1] == U'.' && unicode::is_token_character(text[0]) &&
           !unicode::is_digit(text[0]);
  }

  /// The token in lower case, "##number##" for a number; nothing if it is not ASCII, since the
  /// model knows no such word. `period`: whether a final full stop is kept.
  [[nodiscard]] std::string type(bool period) const {
    if (is_number()) return "##number##";
    std::string word = ascii_lower(text);
    if (!period && word.size() > 1 && word.back() == '.') word.pop_back();
    return word;
  }

  /// The type without the full stop that ends the sentence.
  [[nodiscard]] std::string type_before_break() const { return type(!sentence_break); }

 private:
  static std::string ascii_lower(std::u32string_view word) {
    std::string result;
    for (const char32_t c : word) {
      const char32_t lowered = unicode::simple_lower(c);
      if (lowered >= 0x80) return {};
      result += static_cast<char>(lowered);
    }
    return result;
  }

  static bool is_abbreviation(std::u32string_view word) {
    constexpr std::size_t longest =
        std::ranges::max(abbreviations, {}, &std::string_view::size).size();
    if (word.size() > longest) return false;
    return std::ranges::binary_search(abbreviations, std::string_view(ascii_lower(word)));
  }

  bool is_number() const {
    std::u32string_view rest = text;
    if (rest.front() == U'-') rest.remove_prefix(1);
    if (!rest.empty() && (rest.front() == U'.' || rest.front() == U',')) rest.remove_prefix(1);
    return !rest.empty() && unicode::is_digit(rest.front()) &&
           std::ranges::all_of(rest, [](char32_t c) {
             return c == U',' || c == U'.' || c == U'-' || unicode::is_digit(c);
           });
  }

  void judge_alone() {
    if (text == U"." || text == U"?" || text == U"!") {
      sentence_break = true;
    } else if (text.size() > 1 && ends_in_period()) {
      if (text[text.size() - 2] == U'.') {
        ellipsis = std::ranges::all_of(text, [](char32_t c) { return c == U'.'; });
        return;
      }
      const std::u32string_view word = text.substr(0, text.size() - 1);
      const std::size_t hyphen = word.rfind(U'-');
      abbreviation = is_abbreviation(word) || (hyphen != std::u32string_view::npos &&
                                               is_abbreviation(word.substr(hyphen + 1)));
      sentence_break = !abbreviation;
    }
  }
};

/// Whether a word is in lists of words separated by spaces, sorted by bytes over all lists.
[[nodiscard]] constexpr bool is_listed(std::span<const std::string_view> lists,
                                       std::string_view word) {
  const auto first_word = [](std::string_view list) { return list.substr(0, list.find(' ')); };
  const auto after = std::ranges::upper_bound(lists, word, {}, first_word);
  if (word.empty() || after == lists.begin()) return false;
  const std::string_view list = *(after - 1);
  std::size_t low = 0, high = list.size();  // both at a word's start, or one past the list's end
  while (low < high) {
    const std::size_t space = list.rfind(' ', low + (high - low - 1) / 2);
    const std::size_t begin = space == std::string_view::npos || space < low ? low : space + 1;
    const std::size_t end = std::min(list.find(' ', begin), list.size());
    const std::string_view found = list.substr(begin, end - begin);
    if (found == word) return true;
    if (found < word) {
      low = std::min(end + 1, high);
    } else {
      high = begin;
    }
  }
  return false;
}

/// What the spelling of a token says about whether it starts a sentence.
enum class StartEvidence { starts, does_not_start, unknown };

[[nodiscard]] inline StartEvidence start_evidence(const SentenceToken& token) {
  if (token.text.size() == 1 &&
      std::u32string_view(U";:,.!?").find(token.text[0]) != std::u32string_view::npos) {
    return StartEvidence::does_not_start;
  }
  const std::string type = token.type_before_break();
  if (unicode::is_upper(token.text[0])) {
    return is_listed(lower_case_inside, type) ? StartEvidence::starts : StartEvidence::unknown;
  }
  if (unicode::is_lower(token.text[0]) &&
      !std::ranges::binary_search(lower_case_starts, std::string_view(type))) {
    return StartEvidence::does_not_start;
  }
  return StartEvidence::unknown;
}

/// Revises the decision about a token that ends in a full stop by the token that follows it.
inline void judge_with_next(SentenceToken& token, const SentenceToken& next) {
  if (!token.ends_in_period()) return;
  const std::string type = token.type(false);
  const bool initial = token.is_initial();
  const bool number = type == "##number##";
  const bool unsure = (token.abbreviation || token.ellipsis) && !initial;
  if (!unsure && !initial && !number) return;  // collocations start with an initial or a number too

  const auto keep_together = [&token] {
    token.sentence_break = false;
    token.abbreviation = true;
  };
  const std::string next_type = next.type_before_break();
  const auto pair = std::pair<std::string_view, std::string_view>(type, next_type);
  if (std::ranges::binary_search(collocations, pair)) return keep_together();

  const bool next_upper = unicode::is_upper(next.text[0]);
  const StartEvidence evidence = start_evidence(next);
  if (unsure) {
    if (evidence == StartEvidence::starts ||
        (next_upper &&
         std::ranges::binary_search(sentence_starters, std::string_view(next_type)))) {
      token.sentence_break = true;
      return;
    }
  }
  if (!initial && !number) return;
  const bool is_name = evidence == StartEvidence::unknown && initial && next_upper &&
                       !is_listed(lower_case_inside, next_type) &&
                       !is_listed(both_cases_inside, next_type);
  if (evidence == StartEvidence::does_not_start || is_name) keep_together();
}

/// Whether a sentence ends inside a piece of text: a word, its final punctuation and what follows.
[[nodiscard]] inline bool has_sentence_break(std::u32string_view context) {
  SentenceTokens tokens(context);
  std::optional<std::u32string_view> text = tokens.next();
  if (!text) return false;
  SentenceToken token(*text);
  while ((text = tokens.next())) {
    const SentenceToken next(*text);
    judge_with_next(token, next);
    if (token.sentence_break) return true;
    token = next;
  }
  return false;
}

/// The places where a sentence could end, and of those the ones where one does.
class SentenceBreaks {
 public:
  /// A mark that ends a sentence, and where the next sentence starts.
  struct Break {
    std::size_t end = 0, next = 0;
  };

  [[nodiscard]] static std::vector<Break> find(std::u32string_view text) {
    std::vector<Break> breaks;
    std::optional<Candidate> last;
    const auto decide = [&] {
      if (has_sentence_break(text.substr(last->word.begin, last->context_end - last->word.begin))) {
        breaks.push_back({last->mark + 1, last->next});
      }
    };
    Span previous;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != U'.' && text[i] != U'?' && text[i] != U'!') continue;
      std::optional<Candidate> candidate = at(text, i);
      if (!candidate) continue;
      // The word before the mark, back to the last space after the mark before; a space right after
      // that mark does not count.
      std::size_t begin = i;
      while (begin > previous.end && !is_ascii_space(text[begin - 1])) --begin;
      if (begin <= previous.end + 1) begin = previous.begin;
      candidate->word = {begin, i};
      if (last && previous.end <= begin) decide();
      previous = candidate->word;
      last = candidate;
    }
    if (last) decide();
    return breaks;
  }

 private:
  struct Candidate {
    std::size_t mark = 0, next = 0, context_end = 0;
    Span word = {};
  };

  static bool is_ascii_space(char32_t c) { return c == U' ' || (c >= U'\t' && c <= U'\r'); }

  static std::optional<Candidate> at(std::u32string_view text, std::size_t i) {
    if (i + 1 == text.size()) return {};
    if (SentenceTokens::ends_word(text[i + 1])) return Candidate{i, i + 1, i + 2};
    std::size_t next = i + 1;
    while (next < text.size() && unicode::is_white_space(text[next])) ++next;
    if (next == i + 1 || next == text.size()) return {};
    std::size_t end = next;
    while (end < text.size() && !unicode::is_white_space(text[end])) ++end;
    return Candidate{i, next, end};
  }
};

/// The sentences of a text, in order, without the white space between them. Closing quotation marks
/// and brackets after a full stop belong to the sentence before.
[[nodiscard]] inline std::vector<Span> sentences(std::u32string_view text) {
  std::size_t text_end = text.size();
  while (text_end > 0 && unicode::is_space(text[text_end - 1])) --text_end;

  std::vector<Span> pieces;
  std::size_t begin = 0;
  for (const SentenceBreaks::Break& found : SentenceBreaks::find(text)) {
    pieces.push_back({begin, found.end});
    begin = found.next;
  }
  pieces.push_back({begin, text_end});

  constexpr unicode::CharacterSet closing(U"\"')]}‘’“”«»");
  std::vector<Span> result;
  std::size_t moved = 0;  // closing marks at the start of this piece that the one before took
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    Span piece = {pieces[p].begin + moved, pieces[p].end};
    moved = 0;
    if (p + 1 < pieces.size()) {
      const Span following = pieces[p + 1];
      std::size_t at = following.begin;
      const auto ends_here = [&](std::size_t i) {
        return i >= following.end || unicode::is_white_space(text[i]) ||
               (text[i] == U'-' && i + 1 < following.end && text[i + 1] == U'-');
      };
      while (at < following.end && closing.contains(text[at])) {
        ++at;
        if (!ends_here(at)) continue;
        result.push_back({piece.begin, at});
        while (at < following.end && unicode::is_white_space(text[at])) ++at;
        moved = at - following.begin;
        break;
      }
      if (moved > 0) continue;
    }
    if (piece.begin < piece.end) result.push_back(piece);
  }
  return result;
}

}  // namespace tilt::english

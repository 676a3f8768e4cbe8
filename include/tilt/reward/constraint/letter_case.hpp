#pragma once

#include <cstddef>
#include <string_view>

#include "tilt/reward/constraint/pattern.hpp"
#include "tilt/reward/text/unicode.hpp"
#include "tilt/reward/text/words.hpp"

/// Constraints on upper and lower case.
namespace tilt::constraint {

/// Less than, or at least, so many words in capital letters. A hyphenated word is one, the parts of
/// a contraction are two: "DON'T" counts "DO" and "N'T".
class CapitalWords {
 public:
  CapitalWords(Relation relation, std::size_t words) : relation_(relation), words_(words) {}

  [[nodiscard]] bool operator()(std::u32string_view text) const {
    std::size_t found = 0;
    english::for_each_word(text, [&found](std::u32string_view word) {
      if (unicode::is_all_upper(word)) ++found;
    });
    return holds(found, relation_, words_);
  }

 private:
  Relation relation_;
  std::size_t words_;
};

/// All letters are capitals, and there is one. IFEval also asks that the language be English; that
/// is not judged here.
struct AllCapitals {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return unicode::is_all_upper(text);
  }
};

/// No letter is a capital, and there is a lower-case one. IFEval also asks that the language be
/// English; that is not judged here.
struct AllLowercase {
  [[nodiscard]] bool operator()(std::u32string_view text) const {
    return unicode::is_all_lower(text);
  }
};

}  // namespace tilt::constraint

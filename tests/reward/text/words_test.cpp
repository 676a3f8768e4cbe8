#include "tilt/reward/text/words.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  english::for_each_word(unicode::decode(text), [&result](std::u32string_view word) {
    result.push_back(unicode::encode(word));
  });
  return result;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("Counted words are runs of letters, marks, digits and underscores") {
  CHECK(english::count_words(U"") == 0);
  CHECK(english::count_words(U"... -- !") == 0);
  CHECK(english::count_words(U"two words") == 2);
  CHECK(english::count_words(U"don't two-fold snake_case 3.14") == 7);
  CHECK(english::count_words(U"\u00e9t\u00e9 \u0928\u092e\u0938\u094d\u0924\u0947") == 2);
  CHECK(english::count_words(U"x\u00b2") == 1);
  CHECK(english::count_words(U"\u00bd \U0001f600") == 0);
}

TEST_CASE("Punctuation is split from words") {
  CHECK(words("Yes, we (all) can; 3:30 or 1,000: fine!") == Words{"Yes", ",", "we", "(", "all", ")",
                                                                  "can", ";", "3:30", "or", "1,000",
                                                                  ":", "fine", "!"});
  CHECK(words("AT&T paid $5 #1 100% a@b *x*") == Words{"AT", "&", "T", "paid", "$", "5", "#", "1",
                                                       "100", "%", "a", "@", "b", "*", "x", "*"});
  CHECK(words("A--B C-D E\u2014F ...") == Words{"A", "--", "B", "C-D", "E", "\u2014", "F", "..."});
  CHECK(words("") == Words{});
}

TEST_CASE("Only the full stop that ends a sentence is split off") {
  CHECK(words("The U.S. army won.") == Words{"The", "U.S.", "army", "won", "."});
  CHECK(words("It is big. It is B.") == Words{"It", "is", "big", ".", "It", "is", "B", "."});
  CHECK(words("(So it is.)") == Words{"(", "So", "it", "is", ".", ")"});
  CHECK(words("Why..") == Words{"Why", ".."});
}

TEST_CASE("Quotation marks come out as opening and closing ones") {
  CHECK(words("\"Hi\" said 'he'") == Words{"``", "Hi", "''", "said", "'", "he", "'"});
  CHECK(words("say \"yes\"") == Words{"say", "``", "yes", "''"});
  CHECK(words("\u201cHi\u201d") == Words{"\u201c", "Hi", "\u201d"});
  CHECK(words("``a''") == Words{"``", "a", "''"});
}

TEST_CASE("Contractions are split") {
  CHECK(words("I CAN'T and he's they'll we'VE I'm") ==
        Words{"I", "CA", "N'T", "and", "he", "'s", "they", "'ll", "we", "'VE", "I", "'m"});
  CHECK(words("CANNOT gimme gonna gotta lemme D'YE") ==
        Words{"CAN", "NOT", "gim", "me", "gon", "na", "got", "ta", "lem", "me", "D", "'YE"});
  CHECK(words("wanna go, wanna.") == Words{"wan", "na", "go", ",", "wan", "na", "."});
  CHECK(words("cannots") == Words{"cannots"});
  CHECK(words("the dogs' bones") == Words{"the", "dogs", "'", "bones"});
}

TEST_CASE("Words do not run across sentences") {
  CHECK(words("Go.\"Now\" it's A. However B.") ==
        Words{"Go", ".", "``", "Now", "''", "it", "'s", "A", ".", "However", "B", "."});
}

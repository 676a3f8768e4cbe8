// Every constraint on one text, and the words and sentences they are made of.

#include "tilt/reward/constraints.hpp"
#include "fuzz/target.hpp"

using namespace tilt;

namespace {

/// The title as the pattern <<[^\n]+>> has it, tried at every place.
bool slow_title(std::u32string_view text) {
  for (std::size_t at = 0; at + 5 <= text.size();) {
    std::size_t taken = 0;
    if (text[at] == U'<' && text[at + 1] == U'<') {
      for (std::size_t end = at + 3; end + 2 <= text.size() && text[end - 1] != U'\n'; ++end) {
        if (text[end] == U'>' && text[end + 1] == U'>') taken = end + 2 - at;
      }
    }
    if (taken == 0) {
      ++at;
      continue;
    }
    std::u32string_view title = text.substr(at, taken);
    title.remove_prefix(std::min(title.find_first_not_of(U'<'), title.size()));
    while (title.ends_with(U'>')) title.remove_suffix(1);
    if (!unicode::is_blank(title)) return true;
    at += taken;
  }
  return false;
}

}  // namespace

void fuzz::run(Bytes input) {
  using namespace tilt::constraint;
  const std::size_t n = input.below(4) + 1;
  const std::string word = input.text(input.below(6) + 1);
  const std::string bytes = input.rest();
  const std::u32string text = unicode::decode(bytes);
  require(unicode::decode(unicode::encode(text)) == text, "code points survive UTF-8");

  std::vector<Constraint> all = {Placeholders{n},
                                 BulletList{n},
                                 ConstrainedAnswer{},
                                 Highlights{n},
                                 Json{},
                                 Title{},
                                 TwoResponses{},
                                 Quoted{},
                                 ParagraphCount{n},
                                 Postscript{"P.P.S"},
                                 Postscript{"P.S."},
                                 AllCapitals{},
                                 AllLowercase{},
                                 NoComma{},
                                 ParagraphStart{n, 1, word},
                                 WordCount{Relation::at_least, n},
                                 SentenceCount{Relation::less_than, n},
                                 CapitalWords{Relation::at_least, n}};
  const auto add = [&](auto make) {
    try {
      all.push_back(make());
    } catch (const InvalidOption&) {  // not every word is legal
    }
  };
  add([&] { return Constraint(Sections{word, n}); });
  add([&] { return Constraint(Keywords{{word}}); });
  add([&] { return Constraint(ForbiddenWords{{word}}); });
  add([&] { return Constraint(KeywordFrequency{word, Relation::at_least, n}); });
  add([&] { return Constraint(LetterFrequency{word, Relation::less_than, n}); });
  add([&] { return Constraint(RepeatedPrompt{word}); });
  add([&] { return Constraint(EndPhrase{word}); });
  add([&] { return Constraint(Postscript{word}); });
  const std::vector<bool> verdicts = satisfied(all, bytes);
  require(verdicts == satisfied(all, bytes), "a verdict is a function of the text");
  if (!unicode::is_blank(text)) {
    require(verdicts[5] == slow_title(text), "a title is found where a slow search finds one");
  }

  std::size_t end = 0;
  for (const english::Span sentence : english::sentences(text)) {
    require(sentence.begin >= end && sentence.begin < sentence.end && sentence.end <= text.size(),
            "sentences stand one after the other in the text");
    end = sentence.end;
  }
  english::for_each_word(
      text, [](std::u32string_view part) { require(!part.empty(), "a word is not empty"); });
}

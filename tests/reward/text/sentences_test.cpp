#include "tilt/reward/text/sentences.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

namespace {

std::vector<std::string> split(std::string_view text) {
  const std::u32string characters = unicode::decode(text);
  std::vector<std::string> result;
  for (const english::Span span : english::sentences(characters)) {
    result.push_back(unicode::encode(characters.substr(span.begin, span.end - span.begin)));
  }
  return result;
}

using Sentences = std::vector<std::string>;

}  // namespace

TEST_CASE("Sentences end at full stops, question marks and exclamation marks") {
  CHECK(split("One. Two? Three! Four") == Sentences{"One.", "Two?", "Three!", "Four"});
  CHECK(split("Really?! Yes!!! Good") == Sentences{"Really?!", "Yes!!!", "Good"});
  CHECK(split("  One.\n\n  Two.  \n") == Sentences{"  One.", "Two."});
  CHECK(split("") == Sentences{});
  CHECK(split(" \n ") == Sentences{});
  CHECK(split("no end here") == Sentences{"no end here"});
  CHECK(split("One.Two") == Sentences{"One.Two"});
  CHECK(split("Version 3.14 is out. It works.") == Sentences{"Version 3.14 is out.", "It works."});
}

TEST_CASE("Abbreviations and initials end no sentence, unless what follows starts one") {
  CHECK(split("Mr. Smith met Dr. Jones.") == Sentences{"Mr. Smith met Dr. Jones."});
  CHECK(split("The U.S. government spoke.") == Sentences{"The U.S. government spoke."});
  CHECK(split("He left the U.S. However, she stayed.") ==
        Sentences{"He left the U.S.", "However, she stayed."});
  CHECK(split("We meet at 5 p.m. today.") == Sentences{"We meet at 5 p.m. today."});
  CHECK(split("We meet at 5 p.m. Bring it.") == Sentences{"We meet at 5 p.m. Bring it."});
  CHECK(split("We meet at 5 p.m. However it is.") ==
        Sentences{"We meet at 5 p.m.", "However it is."});
  CHECK(split("J. Bach wrote it.") == Sentences{"J. Bach wrote it."});
  CHECK(split("Plan B. However, wait.") == Sentences{"Plan B.", "However, wait."});
  CHECK(split("A wood-co. near us.") == Sentences{"A wood-co. near us."});
}

TEST_CASE("Numbered lists split before capitals and not before small letters") {
  CHECK(split("1. Mix it.\n2. Bake it.") == Sentences{"1.", "Mix it.", "2.", "Bake it."});
  CHECK(split("1. mix it\n2. bake it") == Sentences{"1. mix it\n2. bake it"});
  CHECK(split("Of 1988. Who knows") == Sentences{"Of 1988. Who knows"});  // a known pair
}

TEST_CASE("An ellipsis ends a sentence only before a word that starts one") {
  CHECK(split("Wait... what now.") == Sentences{"Wait... what now."});
  CHECK(split("Wait... However it goes.") == Sentences{"Wait...", "However it goes."});
  CHECK(split("Wait . . . what now.") == Sentences{"Wait .", ".", ".", "what now."});
}

TEST_CASE("Closing marks belong to the sentence before") {
  CHECK(split("He said \"No.\" Then he left.") == Sentences{"He said \"No.\"", "Then he left."});
  CHECK(split("(Hello.) Bye.") == Sentences{"(Hello.)", "Bye."});
  CHECK(split("\u201cOui.\u201d Then.") == Sentences{"\u201cOui.\u201d", "Then."});
  CHECK(split("Stop.\"-- He") == Sentences{"Stop.\"", "-- He"});
  CHECK(split("Go.)") == Sentences{"Go.)"});
}

TEST_CASE("Texts that are not English words split too") {
  CHECK(split("\u65e5\u672c\u8a9e\u3002\u65e5\u672c") ==
        Sentences{"\u65e5\u672c\u8a9e\u3002\u65e5\u672c"});
  CHECK(split("Caf\u00e9. \u00c9cole.") == Sentences{"Caf\u00e9.", "\u00c9cole."});
  CHECK(split("One.\r\nTwo.") == Sentences{"One.", "Two."});
  CHECK(split("One.\u00a0Two.") == Sentences{"One.", "Two."});
}

TEST_CASE("Tokens between which boundaries are sought") {
  const auto tokens = [](std::u32string_view text) {
    std::vector<std::string> result;
    english::SentenceTokens source(text);
    while (const auto token = source.next()) result.push_back(unicode::encode(*token));
    return result;
  };
  CHECK(tokens(U"") == Sentences{});
  CHECK(tokens(U"\n \n") == Sentences{});
  CHECK(tokens(U"\nend. Then, go!") == Sentences{"end.", "Then", ",", "go", "!"});
  CHECK(tokens(U"well--so...ok . . . .") == Sentences{"well", "--", "so", "...", "ok", ". . . ."});
  CHECK(tokens(U". . x. .") == Sentences{".", ".", "x.", "."});
  CHECK(tokens(U"1,000,-5 (a)") == Sentences{"1,000,-5", "(", "a", ")"});
  CHECK(tokens(U". .\n.") == Sentences{".", ".", "."});
}

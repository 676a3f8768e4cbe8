#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/growth.hpp"
#include "tilt/core/template.hpp"
#include "tilt/reward/constraints.hpp"
#include "tilt/reward/judge/read.hpp"

using namespace tilt;

namespace {

/// Something that reads a text and may refuse it.
struct Reader {
  const char* name;
  std::function<void(const std::string&)> read;
};

Reader checker(const char* name, const Constraint& constraint) {
  return {name, [constraint](const std::string& text) { (void)constraint(unicode::decode(text)); }};
}

template <class Read>
Reader parser(const char* name, Read read) {
  return {name, [read](const std::string& text) {
            try {
              read(text);
            } catch (const Error&) {
            }
          }};
}

std::vector<Reader> readers() {
  using namespace constraint;
  constexpr Relation at_least = Relation::at_least;
  constexpr std::size_t many = 1'000'000'000;  // is never reached, so that nothing ends early
  return {checker("Placeholders", Placeholders{many}),
          checker("Postscript", Postscript{"P.P.S"}),
          checker("BulletList", BulletList{many}),
          checker("ConstrainedAnswer", ConstrainedAnswer{}),
          checker("Highlights", Highlights{many}),
          checker("Sections", Sections{"a", many}),
          checker("Json", Json{}),
          checker("Title", Title{}),
          checker("TwoResponses", TwoResponses{}),
          checker("RepeatedPrompt", RepeatedPrompt{"aab"}),
          checker("EndPhrase", EndPhrase{"aab"}),
          checker("Quoted", Quoted{}),
          checker("Keywords", Keywords{{"aab", "zz."}}),
          checker("KeywordFrequency", KeywordFrequency{"a.", at_least, many}),
          checker("ForbiddenWords", ForbiddenWords{{"aaz", "a.z"}}),
          checker("LetterFrequency", LetterFrequency{"a", at_least, many}),
          checker("WordCount", WordCount{at_least, many}),
          checker("SentenceCount", SentenceCount{at_least, many}),
          checker("ParagraphCount", ParagraphCount{many}),
          checker("ParagraphStart", ParagraphStart{many, 2, "a"}),
          checker("CapitalWords", CapitalWords{at_least, many}),
          checker("AllCapitals", AllCapitals{}),
          parser("Template",
                 [](const std::string& text) {
                   (void)Template(text, {"a"}, "text").fill({{"a", "b"}});
                 }),
          parser("read_score", [](const std::string& text) { (void)read_score(text, "aa", 0, 1); }),
          parser("read_verdict", [](const std::string& text) { (void)read_verdict(text, ""); })};
}

}  // namespace

TEST_CASE("the time to read a text grows with its length, whatever it repeats", "[hostile]") {
  for (const std::string_view part :
       {"<<\n", "<< >>", "a", "a. b", ". . .", "?!", "*", "** a*\n", "- \n", "[[a",
        "[{\"a\":", "{a}", "'`\"", "n't ", "\n\n", "***\n", "1", "\xce\xa3'", "P. "}) {
    for (const Reader& reader : readers()) {
      CAPTURE(part, reader.name);
      const auto repeated = [part](std::size_t size) {
        std::string text;
        while (text.size() < size) text += part;
        return text;
      };
      CHECK(growth::exponent(repeated, reader.read) < growth::limit);
    }
  }
}

#include "tilt/reward/text/sentence_model.hpp"

#include <algorithm>
#include <string_view>

#include "support/catch.hpp"
#include "tilt/reward/text/sentences.hpp"

using namespace tilt::english;

namespace {

/// All words of all lists are sorted by bytes, and each is found; `is_listed` relies on the first.
template <class Lists>
std::size_t check_lists(const Lists& lists) {
  std::size_t words = 0;
  std::string_view before;
  bool sorted = true, found = true;
  for (std::string_view list : lists) {
    while (!list.empty()) {
      const std::string_view word = list.substr(0, list.find(' '));
      list.remove_prefix(std::min(word.size() + 1, list.size()));
      sorted = sorted && before < word;
      found = found && is_listed(lists, word);
      before = word;
      ++words;
    }
  }
  CHECK(sorted);
  CHECK(found);
  return words;
}

}  // namespace

TEST_CASE("The model's lists are sorted and whole") {
  CHECK(std::ranges::is_sorted(abbreviations));
  CHECK(std::ranges::is_sorted(sentence_starters));
  CHECK(std::ranges::is_sorted(collocations));
  CHECK(std::ranges::is_sorted(lower_case_starts));
  CHECK(abbreviations.size() == 156);
  CHECK(sentence_starters.size() == 39);
  CHECK(collocations.size() == 37);
  CHECK(check_lists(lower_case_inside) == 12348);
  CHECK(check_lists(both_cases_inside) == 2354);
}

TEST_CASE("Words that no list has are not found") {
  for (const std::string_view word :
       {"", " ", "a ", "aback abalone-lover", "zzzz", "!", "xylograph", "abandone", "bandon"}) {
    CAPTURE(word);
    CHECK_FALSE(is_listed(lower_case_inside, word));
  }
  CHECK_FALSE(is_listed({}, "a"));
}

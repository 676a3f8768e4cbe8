#include "tilt/reward/text/unicode_tables.hpp"

#include <cstddef>

#include "support/catch.hpp"

using namespace tilt::unicode;

namespace {

/// Runs are sorted, apart, and end on one of their steps: what a binary search relies on.
template <class Runs>
void check_sorted(const Runs& runs) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    CAPTURE(i);
    CHECK(runs[i].step >= 1);
    CHECK(runs[i].first <= runs[i].last);
    CHECK((runs[i].last - runs[i].first) % runs[i].step == 0);
    CHECK(runs[i].last <= 0x10ffff);
    if (i > 0) CHECK(runs[i - 1].last < runs[i].first);
  }
}

}  // namespace

TEST_CASE("The tables of characters can be searched") {
  check_sorted(word_characters);
  check_sorted(token_characters);
  check_sorted(decimal_digits);
  check_sorted(upper_letters);
  check_sorted(lower_letters);
  check_sorted(title_letters);
  check_sorted(lower_mappings);
}

TEST_CASE("Pairs of equal letters stand in both directions") {
  for (const CasePair& pair : case_pairs) {
    bool turned = false;
    for (const CasePair& other : case_pairs) turned |= other.a == pair.b && other.b == pair.a;
    CHECK(turned);
  }
}

#include "tilt/policy/stop.hpp"

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("a stop string counts when the newest bytes complete it") {
  const SamplingLaw law = {.stop = {"END", "\n\n"}};
  CHECK(completes_stop(law, "the END", 3));
  CHECK(completes_stop(law, "the END", 1));
  CHECK(completes_stop(law, "the END", 7));
  CHECK(completes_stop(law, "END", 3));
  CHECK(completes_stop(law, "a\n\n", 1));
  CHECK(completes_stop(law, "a\n\nb", 2));
  SECTION("also in the middle of what is new") {
    CHECK(completes_stop(law, "x END y", 4));
    CHECK(completes_stop(law, "x END y", 7));
  }
  SECTION("not when it was complete before") {
    CHECK_FALSE(completes_stop(law, "END", 0));
    CHECK_FALSE(completes_stop(law, "END.", 1));
    CHECK_FALSE(completes_stop(law, "END of", 3));
    CHECK_FALSE(completes_stop(law, "a\n\nb", 1));
  }
  SECTION("not in part") {
    CHECK_FALSE(completes_stop(law, "the EN", 6));
    CHECK_FALSE(completes_stop(law, "ND", 2));
    CHECK_FALSE(completes_stop(law, "", 0));
    CHECK_FALSE(completes_stop(law, "end", 3));
  }
}

TEST_CASE("a stop string may overlap itself") {
  const SamplingLaw law = {.stop = {"aa"}};
  CHECK(completes_stop(law, "aa", 1));
  CHECK(completes_stop(law, "aaa", 1));  // the second and third
}

TEST_CASE("stop strings are bytes: a character may come in pieces") {
  const SamplingLaw law = {.stop = {"\xe3\x80\x82"}};  // an ideographic full stop
  CHECK(completes_stop(law, "\xe3\x80\x82", 1));
  CHECK_FALSE(completes_stop(law, "\xe3\x80", 2));
  CHECK_FALSE(completes_stop(law, "\xe3\x80\x81", 1));
}

TEST_CASE("without stop strings nothing stops") {
  CHECK_FALSE(completes_stop({}, "anything", 8));
  CHECK_FALSE(is_stop_token({}, 3));
}

TEST_CASE("a stop string longer than the text") {
  CHECK_FALSE(completes_stop({.stop = {"a long stop string"}}, "a long", 6));
}

TEST_CASE("stop tokens") {
  const SamplingLaw law = {.stop_tokens = {3, 5}};
  CHECK(is_stop_token(law, 3));
  CHECK(is_stop_token(law, 5));
  CHECK_FALSE(is_stop_token(law, 4));
  CHECK_FALSE(is_stop_token(law, -1));
}

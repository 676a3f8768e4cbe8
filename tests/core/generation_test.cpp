#include "tilt/core/generation.hpp"

#include <string>

#include "support/catch.hpp"

using namespace tilt;

namespace {

std::string refusal(const SamplingLaw& law) {
  try {
    check_law(law, "Options.law");
  } catch (const InvalidOption& e) {
    return e.what();
  }
  return "";
}
std::string refusal(const SegmentRule& rule) {
  try {
    check_segment(rule, "Options.segment");
  } catch (const InvalidOption& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the defaults of a law are neutral, and each field ends that") {
  CHECK(SamplingLaw{}.neutral());
  CHECK_FALSE(SamplingLaw{.temperature = 0.7}.neutral());
  CHECK_FALSE(SamplingLaw{.top_k = 40}.neutral());
  CHECK_FALSE(SamplingLaw{.top_p = 0.9}.neutral());
  CHECK_FALSE(SamplingLaw{.min_p = 0.1}.neutral());
  CHECK_FALSE(SamplingLaw{.stop = {"\n"}}.neutral());
  CHECK_FALSE(SamplingLaw{.stop_tokens = {3}}.neutral());
  CHECK_FALSE(SamplingLaw{.extra = "mirostat"}.neutral());
  CHECK(SamplingLaw{} == SamplingLaw{.temperature = 1});
}

TEST_CASE("check_law names field, value and legal range") {
  CHECK(refusal(SamplingLaw{}).empty());
  CHECK(refusal(SamplingLaw{.temperature = 0, .top_k = 1, .top_p = 1e-9, .min_p = 1}).empty());
  CHECK(refusal(SamplingLaw{.temperature = -0.5}) ==
        "Options.law.temperature is -0.5; it must be a finite number >= 0");
  CHECK_FALSE(refusal(SamplingLaw{.temperature = infinity}).empty());
  CHECK(refusal(SamplingLaw{.temperature = unset}).find("is nan;") != std::string::npos);
  CHECK(refusal(SamplingLaw{.top_p = 0}) ==
        "Options.law.top_p is 0; it must be a number > 0 and <= 1");
  CHECK_FALSE(refusal(SamplingLaw{.top_p = 1.01}).empty());
  CHECK_FALSE(refusal(SamplingLaw{.top_p = unset}).empty());
  CHECK(refusal(SamplingLaw{.min_p = -0.1}) ==
        "Options.law.min_p is -0.1; it must be a number from 0 to 1");
  CHECK_FALSE(refusal(SamplingLaw{.min_p = 1.5}).empty());
  CHECK_FALSE(refusal(SamplingLaw{.min_p = unset}).empty());
  CHECK(refusal(SamplingLaw{.stop = {"\n", ""}}) ==
        "Options.law.stop is an empty string; it must be non-empty text");
  CHECK(refusal(SamplingLaw{.stop_tokens = {0, -2}}) ==
        "Options.law.stop_tokens is -2; it must be ids of at least 0");
}

TEST_CASE("check_segment names field, value and legal range") {
  CHECK(refusal(SegmentRule{}).empty());
  CHECK(refusal(SegmentRule{.entropy = 0, .min_tokens = 1, .max_tokens = 1}).empty());
  CHECK(refusal(SegmentRule{.entropy = infinity}).empty());
  CHECK(refusal(SegmentRule{.entropy = -1}) ==
        "Options.segment.entropy is -1; it must be a number >= 0 (nats)");
  CHECK_FALSE(refusal(SegmentRule{.entropy = unset}).empty());
  CHECK(refusal(SegmentRule{.min_tokens = 0}) ==
        "Options.segment.min_tokens is 0; it must be at least 1");
  CHECK(refusal(SegmentRule{.min_tokens = 5, .max_tokens = 4}) ==
        "Options.segment.max_tokens is 4; it must be at least min_tokens");
}

TEST_CASE("only a finite threshold needs the entropy") {
  CHECK(SegmentRule{}.needs_entropy());
  CHECK(SegmentRule{.entropy = 0}.needs_entropy());
  CHECK_FALSE(SegmentRule{.entropy = infinity}.needs_entropy());
}

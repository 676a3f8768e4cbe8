#include "tilt/io/json.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using nlohmann::json;

namespace {

// Through text and back, as in a file.
template <class T>
T round_trip(const T& value) {
  return json::parse(json(value).dump()).get<T>();
}

tilt::Response sample_response() {
  tilt::Response response;
  response.tokens = {5, 0, 49151};
  response.text = "h\xc3\xa9 \xe2\x82";  // cut inside the euro sign
  response.ends = {1, 3, 6};
  response.log_probs = {-0.1, -1.0 / 3, -tilt::infinity};
  response.raw_log_probs = {-0.25, -1e-300, -745.1332191019412};
  response.finish = tilt::Finish::length;
  response.usage = {.prompt_tokens = 12, .cached_tokens = 11};
  return response;
}

tilt::Candidate sample_candidate() {
  return {.response = sample_response(),
          .reward = -tilt::infinity,
          .raw_reward = tilt::unset,
          .weight = 2.5,
          .parent = (std::uint64_t{3} << 32) | 7};
}

void check_same(const tilt::Candidate& a, const tilt::Candidate& b) {
  CHECK(a.response == b.response);
  CHECK((a.reward == b.reward || (std::isnan(a.reward) && std::isnan(b.reward))));
  CHECK((a.raw_reward == b.raw_reward || (std::isnan(a.raw_reward) && std::isnan(b.raw_reward))));
  CHECK(a.weight == b.weight);
  CHECK(a.id == b.id);
  CHECK(a.parent == b.parent);
  CHECK(a.lane == b.lane);
  CHECK(a.spare == b.spare);
}

}  // namespace

TEST_CASE("json: numbers keep NaN, infinities and every bit") {
  for (const double value : {0.0, -0.0, 0.1, 1.0 / 3, 1e308, 5e-324, -745.1332191019412}) {
    const double back = tilt::number_from_json(json::parse(tilt::number_to_json(value).dump()));
    CHECK(back == value);
    CHECK(std::signbit(back) == std::signbit(value));
  }
  CHECK(tilt::number_to_json(tilt::unset).is_null());
  CHECK(std::isnan(tilt::number_from_json(nullptr)));
  for (const double value : {tilt::infinity, -tilt::infinity}) {
    CHECK(tilt::number_from_json(json::parse(tilt::number_to_json(value).dump())) == value);
  }
  CHECK_THROWS_AS(tilt::number_from_json("infinite"), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::number_from_json(true), tilt::InvalidOption);
}

TEST_CASE("json: UTF-8 is told from other bytes") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xee\x80\x80"}) {
    CHECK(tilt::is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xc1\x81", "\xe2\x82", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x28\xa1"}) {
    CHECK_FALSE(tilt::is_utf8(bad));
  }
}

TEST_CASE("json: texts keep every byte") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& text : {std::string{}, std::string("plain"), std::string("a\0b", 3),
                                  std::string("\xe2\x82\xac"), std::string("\xe2\x82"), all}) {
    CHECK(tilt::bytes_from_json(json::parse(tilt::bytes_to_json(text).dump())) == text);
  }
  CHECK(tilt::bytes_to_json("plain") == "plain");
  CHECK(tilt::bytes_to_json("\xe2\x82") == json{{"hex", "e282"}});
  CHECK(tilt::bytes_from_json(json{{"hex", "E282"}}) == "\xe2\x82");
  CHECK_THROWS_AS(tilt::bytes_from_json(json{{"hex", "e28"}}), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::bytes_from_json(json{{"hex", "zz"}}), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::bytes_from_json(json::object()), tilt::InvalidOption);
  CHECK_THROWS_AS(tilt::bytes_from_json(7), tilt::InvalidOption);
}

TEST_CASE("json: shown text replaces what is no UTF-8 and nothing else") {
  CHECK(tilt::shown_text("h\xc3\xa9 \xf0\x9f\x98\x80!") == "h\xc3\xa9 \xf0\x9f\x98\x80!");
  CHECK(tilt::shown_text("a\xe2\x82") == "a\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(tilt::shown_text("\xff\xc3\xa9") == "\xef\xbf\xbd\xc3\xa9");
  CHECK(tilt::shown_text("").empty());
}

TEST_CASE("json: prompts of each kind") {
  for (const tilt::Prompt& prompt :
       {tilt::Prompt("What is 17 * 23?"), tilt::Prompt(""), tilt::Prompt("\xff"),
        tilt::Prompt::from_messages({{"system", "Be brief."}, {"user", "Hi"}}),
        tilt::Prompt::from_messages({}), tilt::Prompt::from_tokens({1, 2, 3}),
        tilt::Prompt::from_tokens({})}) {
    const auto back = round_trip(prompt);
    CHECK(back == prompt);
    CHECK(back.key() == prompt.key());
  }
  CHECK(json(tilt::Prompt("Hi")) == "Hi");
  CHECK(json(tilt::Prompt::from_messages({{"user", "Hi"}})) ==
        json::parse(R"([{"role": "user", "content": "Hi"}])"));
  CHECK_THROWS_AS(json::parse(R"([{"role": "user"}])").get<tilt::Prompt>(), tilt::InvalidOption);
  CHECK_THROWS_AS(json(5).get<tilt::Prompt>(), tilt::InvalidOption);
}

TEST_CASE("json: responses, with what is absent left out") {
  CHECK(round_trip(sample_response()) == sample_response());
  CHECK(round_trip(tilt::Response{}) == tilt::Response{});
  tilt::Response text_only;
  text_only.text = "Hello";
  CHECK(json(text_only) == json::parse(R"({"text": "Hello", "finish": "stop"})"));
  CHECK(round_trip(text_only) == text_only);
  for (const tilt::Finish finish :
       {tilt::Finish::stop, tilt::Finish::length, tilt::Finish::segment, tilt::Finish::error}) {
    CHECK(round_trip(finish) == finish);
  }
  CHECK_THROWS_AS(json::parse(R"({"finish": "done"})").get<tilt::Response>(), tilt::InvalidOption);
  CHECK_THROWS_AS(json::parse(R"({"tokens": "1 2"})").get<tilt::Response>(), tilt::InvalidOption);
}

TEST_CASE("json: candidates and populations keep order, lanes and ids") {
  tilt::Candidate candidate = sample_candidate();
  check_same(round_trip(candidate), candidate);
  CHECK_FALSE(json(candidate).contains("spare"));
  candidate.parent = tilt::npos;
  candidate.spare = true;
  CHECK_FALSE(json(candidate).contains("parent"));
  check_same(round_trip(candidate), candidate);

  tilt::Population population;
  population.add(sample_candidate(), 2);
  population.add({.reward = 1}, 0);
  population.add({.reward = 2}, 2);
  const auto back = round_trip(population);
  REQUIRE(back.size() == population.size());
  CHECK(back.lanes() == population.lanes());
  for (std::size_t i = 0; i < population.size(); ++i) check_same(back[i], population[i]);
}

TEST_CASE("json: costs, decisions, failures, sampling laws") {
  const tilt::Cost cost{1, 2, 3, 4, 5, 6, 7, 0.125};
  CHECK(json(round_trip(cost)) == json(cost));
  CHECK(json(cost).at("generated_tokens") == 5);

  const tilt::Decision decision{.index = 3, .answer = "\xff", .share = 0.25};
  const auto decided = round_trip(decision);
  CHECK(decided.index == 3);
  CHECK(decided.answer == "\xff");
  CHECK(decided.share == 0.25);
  CHECK(round_trip(tilt::Decision{}).index == tilt::npos);

  const tilt::Failure failure{.what = "it broke",
                              .cause = std::make_exception_ptr(tilt::Error("it broke")),
                              .part = tilt::FailedPart::reward,
                              .lane = 1,
                              .round = 2,
                              .index = 3};
  const auto failed = round_trip(failure);
  CHECK(failed.what == "it broke");
  CHECK(failed.part == tilt::FailedPart::reward);
  CHECK(failed.lane == 1);
  CHECK(failed.round == 2);
  CHECK(failed.index == 3);
  CHECK_FALSE(failed.cause);

  const tilt::SamplingLaw law{.temperature = 0.7,
                              .top_k = 40,
                              .top_p = 0.95,
                              .min_p = 0.05,
                              .stop = {"\n\n", "\xff"},
                              .stop_tokens = {2},
                              .extra = "mirostat"};
  CHECK(round_trip(law) == law);
  CHECK(json(tilt::SamplingLaw{}) == json::object());
  CHECK(round_trip(tilt::SamplingLaw{}) == tilt::SamplingLaw{});
}

TEST_CASE("json: a whole result") {
  tilt::Result result;
  result.candidates.add(sample_candidate(), 0);
  result.candidates.add({.reward = 0.5}, 1);
  result.answer = result.candidates[1];
  result.decision = {.index = 1, .answer = "42", .share = 0.5};
  result.spent.generated_tokens = 99;
  result.stop = tilt::Stop::seconds;
  result.failures.push_back({.what = "it broke"});
  result.stats = {{"acceptance", 0.5}, {"split_r_hat", tilt::unset}};
  result.law_holds = false;
  const auto back = round_trip(result);
  check_same(back.answer, result.answer);
  CHECK(back.decision.answer == "42");
  CHECK(back.candidates.size() == 2);
  CHECK(back.spent.generated_tokens == 99);
  CHECK(back.stop == tilt::Stop::seconds);
  REQUIRE(back.failures.size() == 1);
  CHECK(back.failures[0].what == "it broke");
  REQUIRE(back.stats.size() == 2);
  CHECK(back.stats[0] == result.stats[0]);
  CHECK(std::isnan(back.stats[1].second));
  CHECK_FALSE(back.law_holds);
  CHECK_THROWS_AS(json::parse(R"({"stop": "bored"})").get<tilt::Result>(), tilt::InvalidOption);
}

namespace {

/// What the reader of T says of a text of JSON that it refuses.
template <class T>
std::string refusal(const std::string& text) {
  try {
    (void)json::parse(text).get<T>();
  } catch (const tilt::InvalidOption& error) {
    return error.what();
  }
  return "it was read";
}

}  // namespace

TEST_CASE("json: numbers that do not fit are refused by the name of their field") {
  constexpr const char* any = "a whole number from 0 to 18446744073709551615";
  CHECK(refusal<tilt::Cost>(R"({"rounds": -1})") ==
        std::string("Cost.rounds is -1; it must be ") + any);
  CHECK(refusal<tilt::Cost>(R"({"policy_calls": 1.9})") ==
        std::string("Cost.policy_calls is 1.9; it must be ") + any);
  CHECK(refusal<tilt::Cost>(R"({"generated_tokens": 1e30})") ==
        std::string("Cost.generated_tokens is 1e+30; it must be ") + any);
  CHECK(refusal<tilt::Cost>(R"({"rounds": "3"})") ==
        std::string("Cost.rounds is \"3\"; it must be ") + any);
  CHECK(refusal<tilt::Cost>(R"({"rounds": 18446744073709551616})") ==
        std::string("Cost.rounds is 1.8446744073709552e+19; it must be ") + any);
  CHECK(refusal<tilt::Cost>(R"({"seconds": "soon"})") ==
        "Cost.seconds is \"soon\"; it must be a number, null, \"inf\" or \"-inf\"");
  CHECK(refusal<tilt::Candidate>(R"({"lane": 100000000})") ==
        "Candidate.lane is 100000000; it must be a whole number from 0 to 65535");
  CHECK(refusal<tilt::Candidate>(R"({"weight": -1})") ==
        "Candidate.weight is -1; it must be a number of at least 0");
  CHECK(refusal<tilt::Candidate>(R"({"weight": null})") ==
        "Candidate.weight is null; it must be a number of at least 0");
  CHECK(refusal<tilt::Response>(R"({"tokens": [1, -2]})") ==
        "an item of Response.tokens is -2; it must be a whole number from 0 to 2147483647");
  CHECK(refusal<tilt::Response>(R"({"ends": [4294967296]})") ==
        "an item of Response.ends is 4294967296; it must be a whole number from 0 to 4294967295");
  CHECK(refusal<tilt::Failure>(R"({"lane": 4294967296})") ==
        "Failure.lane is 4294967296; it must be a whole number from 0 to 4294967295");
  CHECK(refusal<tilt::Prompt>(R"({"tokens": [1.5]})") ==
        "an item of Prompt.tokens is 1.5; it must be a whole number from 0 to 2147483647");
  CHECK(refusal<tilt::SamplingLaw>(R"({"top_k": -3})") ==
        std::string("SamplingLaw.top_k is -3; it must be ") + any);
  CHECK(refusal<tilt::Result>(R"({"spent": {"rounds": 0.5}})") ==
        std::string("Cost.rounds is 0.5; it must be ") + any);
  // Whole numbers in other spellings are what they are.
  CHECK(json::parse(R"({"rounds": 3.0, "policy_calls": 2e3})").get<tilt::Cost>().rounds == 3);
  CHECK(json::parse(R"({"rounds": 18446744073709551615})").get<tilt::Cost>().rounds == tilt::npos);
}

TEST_CASE("json: values of another kind are refused, whichever type is read") {
  CHECK(refusal<tilt::Result>("5") == "Result is 5; it must be an object");
  CHECK(refusal<tilt::Cost>("[]") == "Cost is a list of 0; it must be an object");
  CHECK(refusal<tilt::Candidate>("null") == "Candidate is null; it must be an object");
  CHECK(refusal<tilt::Response>("true") == "Response is true; it must be an object");
  CHECK(refusal<tilt::Decision>("\"a\"") == "Decision is \"a\"; it must be an object");
  CHECK(refusal<tilt::Failure>("0.5") == "Failure is 0.5; it must be an object");
  CHECK(refusal<tilt::Usage>("[1]") == "Usage is a list of 1; it must be an object");
  CHECK(refusal<tilt::SamplingLaw>("7") == "SamplingLaw is 7; it must be an object");
  CHECK(refusal<tilt::Message>("{}") == "Message.role is absent; it must be text");
  CHECK(refusal<tilt::Population>(R"({"lane": 0})") ==
        "Population is an object of 1; it must be a list of candidates");
  CHECK(refusal<tilt::Population>("[5]") == "Candidate is 5; it must be an object");
  CHECK(refusal<tilt::Stop>("1") ==
        "Stop is 1; it must be one of finished, tokens, policy_calls, reward_calls, seconds, "
        "cancelled, failed");
  CHECK(refusal<tilt::Result>(R"({"law_holds": 1})") ==
        "Result.law_holds is 1; it must be true or false");
  CHECK(refusal<tilt::Result>(R"({"stats": [1]})") == "Stats is a list of 1; it must be an object");
  CHECK(refusal<tilt::Result>(R"({"failures": {}})") ==
        "Result.failures is an object of 0; it must be a list");
  CHECK(refusal<tilt::SamplingLaw>(R"({"stop": "a"})") ==
        "SamplingLaw.stop is \"a\"; it must be a list");
}

TEST_CASE("json: a refusal is short, however long or deep what it refuses") {
  CHECK(refusal<tilt::Cost>(R"({"rounds": ")" + std::string(1'000'000, 'x') + "\"}").size() < 300);
  CHECK(refusal<tilt::Cost>(R"({"rounds": )" + std::string(400, '[') + std::string(400, ']') + "}")
            .size() < 300);
  CHECK(refusal<tilt::Prompt>(R"({"hex": ")" + std::string(1'000'000, 'x') + "\"}").size() < 300);
  CHECK(tilt::shortened("short") == "short");
  CHECK(tilt::shortened(std::string(1000, 'a') + "\xff").ends_with("a\xef\xbf\xbd"));
  CHECK(tilt::is_utf8(tilt::shortened(std::string(200, '\xc3'))));
}

TEST_CASE("json: what is read as one value") {
  CHECK(tilt::parse_json(" [1, {\"a\": \"]\\\"[\"}] \n") == json({1, {{"a", "]\"["}}}));
  const auto refused = [](const std::string& text) {
    try {
      (void)tilt::parse_json(text);
    } catch (const tilt::Error& error) {
      return std::string(error.what());
    }
    return std::string("it was read");
  };
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(refused(nested(tilt::most_json_depth)) == "it was read");
  CHECK(refused(nested(tilt::most_json_depth + 1)) ==
        "it is not JSON (byte 513: nested more than 512 levels deep)");
  CHECK(refused("{\"a\": \"" + std::string(1000, '[') + "\"}") == "it was read");
  CHECK(refused(std::string("{}\0{}", 5)) == "it is not JSON (byte 3: a NUL)");
  CHECK(refused(std::string("\"a\\\0\"", 5)) == "it is not JSON (byte 4: a NUL)");
  CHECK(refused("[1e400]") == "it cannot be read (number overflow parsing '1e400')");
  CHECK_THAT(refused("[1,]"), Catch::Matchers::StartsWith("it is not JSON (byte 4: syntax error"));
  CHECK(refused("\"" + std::string(1'000'000, 'x')).size() < 300);
  CHECK(refused(std::string(400'000, '9') + "e999999").size() < 300);
}

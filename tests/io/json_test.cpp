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
  CHECK_THROWS_AS(tilt::number_from_json("infinite"), json::exception);
  CHECK_THROWS_AS(tilt::number_from_json(true), json::exception);
}

TEST_CASE("json: UTF-8 is told from other bytes") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
                           "\xf4\x8f\xbf\xbf", "\xee\x80\x80"}) {
    CHECK(tilt::is_utf8(good));
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xc1\x81", "\xe2\x82", "\xe0\x80\x80",
                          "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                          "\xff", "a\xe2\x28\xa1"}) {
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
  CHECK_THROWS_AS(tilt::bytes_from_json(json{{"hex", "e28"}}), tilt::Error);
  CHECK_THROWS_AS(tilt::bytes_from_json(json{{"hex", "zz"}}), tilt::Error);
  CHECK_THROWS_AS(tilt::bytes_from_json(json::object()), json::exception);
  CHECK_THROWS_AS(tilt::bytes_from_json(7), json::exception);
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
  CHECK_THROWS_AS(json::parse(R"([{"role": "user"}])").get<tilt::Prompt>(), json::exception);
  CHECK_THROWS_AS(json(5).get<tilt::Prompt>(), json::exception);
}

TEST_CASE("json: responses, with what is absent left out") {
  CHECK(round_trip(sample_response()) == sample_response());
  CHECK(round_trip(tilt::Response{}) == tilt::Response{});
  tilt::Response text_only;
  text_only.text = "Hello";
  CHECK(json(text_only) == json::parse(R"({"text": "Hello", "finish": "stop"})"));
  CHECK(round_trip(text_only) == text_only);
  for (const tilt::Finish finish : {tilt::Finish::stop, tilt::Finish::length, tilt::Finish::segment,
                                    tilt::Finish::error}) {
    CHECK(round_trip(finish) == finish);
  }
  CHECK_THROWS_AS(json::parse(R"({"finish": "done"})").get<tilt::Response>(), tilt::Error);
  CHECK_THROWS_AS(json::parse(R"({"tokens": "1 2"})").get<tilt::Response>(), json::exception);
}

TEST_CASE("json: candidates and populations keep order, lanes and ids") {
  tilt::Candidate candidate = sample_candidate();
  check_same(round_trip(candidate), candidate);
  candidate.parent = tilt::npos;
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

  const tilt::SamplingLaw law{.temperature = 0.7, .top_k = 40, .top_p = 0.95, .min_p = 0.05,
                              .stop = {"\n\n", "\xff"}, .stop_tokens = {2}, .extra = "mirostat"};
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
  CHECK_THROWS_AS(json::parse(R"({"stop": "bored"})").get<tilt::Result>(), tilt::Error);
}

#include "tilt/io/ifeval.hpp"

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;
using nlohmann::json;

namespace {

/// A row of one instruction.
json row(const std::string& instruction, const json& arguments) {
  return {{"key", 7},
          {"prompt", "Say it."},
          {"instruction_id_list", json::array({instruction})},
          {"kwargs", json::array({arguments})}};
}

bool follows(const std::string& text, const std::string& instruction,
             const json& arguments = json::object()) {
  return ifeval_task(row(instruction, arguments)).satisfied(text).front();
}

std::vector<json> read_lines(const std::string& path) {
  std::ifstream file(std::string(TILT_SOURCE_DIR) + '/' + path);
  REQUIRE(file.is_open());
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("Each instruction of IFEval is judged, both ways") {
  const auto check = [](const std::string& id, const json& arguments, const std::string& good,
                        const std::string& bad) {
    CAPTURE(id);
    CHECK(follows(good, id, arguments));
    CHECK_FALSE(follows(bad, id, arguments));
    CHECK_FALSE(follows(" \n", id, arguments));
  };
  check("keywords:existence", {{"keywords", {"sea", "boat"}}}, "A Boat at SEA", "A boat");
  check("keywords:frequency", {{"keyword", "sea"}, {"frequency", 2}, {"relation", "at least"}},
        "sea, Sea", "sea");
  check("keywords:forbidden_words", {{"forbidden_words", {"sea"}}}, "seas", "the Sea!");
  check("keywords:letter_frequency",
        {{"letter", "e"}, {"let_frequency", 2}, {"let_relation", "less than"}}, "sea", "see");
  check("length_constraints:number_sentences", {{"num_sentences", 2}, {"relation", "at least"}},
        "Go. Stop.", "Go to Mr. Alder.");
  check("length_constraints:number_paragraphs", {{"num_paragraphs", 2}}, "a\n***\nb", "a\n\nb");
  check("length_constraints:number_words", {{"num_words", 3}, {"relation", "less than"}}, "a b",
        "a-b c");
  check("length_constraints:nth_paragraph_first_word",
        {{"num_paragraphs", 2}, {"nth_paragraph", 2}, {"first_word", "sea"}}, "a\n\nSea, air",
        "sea\n\na");
  check("detectable_content:number_placeholders", {{"num_placeholders", 2}}, "[a] [b]", "[a]");
  check("detectable_content:postscript", {{"postscript_marker", "P.P.S"}}, "a P. P.S. b", "P.S. b");
  check("detectable_format:number_bullet_lists", {{"num_bullets", 2}}, "* a\n- b", "* a\n- b\n- c");
  check("detectable_format:constrained_response", json::object(), "My answer is no.", "No.");
  check("detectable_format:number_highlighted_sections", {{"num_highlights", 1}}, "a *b*", "a b*");
  check("detectable_format:multiple_sections", {{"section_spliter", "Day"}, {"num_sections", 2}},
        "Day 1 a Day 2 b", "Day one a Day 2 b");
  check("detectable_format:json_format", json::object(), "```json\n{\"a\": NaN}\n```", "{'a': 1}");
  check("detectable_format:title", json::object(), "<<a>>", "<a>");
  check("combination:two_responses", json::object(), "a******b", "a******a");
  check("combination:repeat_prompt", {{"prompt_to_repeat", "Say it."}}, "say IT. So",
        "So. Say it.");
  check("startend:end_checker", {{"end_phrase", "Peace!"}}, "So peace!\n", "Peace! So");
  check("startend:quotation", json::object(), "\"a\"", "\"a\" b");
  check("change_case:capital_word_frequency",
        {{"capital_frequency", 2}, {"capital_relation", "at least"}}, "I SAY", "I say");
  check("change_case:english_capital", json::object(), "SAY", "Say");
  check("change_case:english_lowercase", json::object(), "say", "Say");
  check("punctuation:no_comma", json::object(), "a; b", "a, b");
}

TEST_CASE("Verdicts equal those of IFEval's own checkers") {
  std::map<std::string, std::array<int, 2>> seen;
  for (const json& line : read_lines("tests/io/data/ifeval_verdicts.jsonl")) {
    const std::string instruction = line["instruction"], text = line["text"];
    CAPTURE(instruction, line["kwargs"].dump(), text);
    const bool expected = line["verdict"];
    CHECK(follows(text, instruction, line["kwargs"]) == expected);
    ++seen[instruction][expected ? 1 : 0];
  }
  CHECK(seen.size() == 24);
  for (const auto& [instruction, verdicts] : seen) {
    CAPTURE(instruction);
    CHECK(verdicts[0] == 10);
    CHECK(verdicts[1] == 8);
  }
}

TEST_CASE("A task holds the prompt, the key and one constraint per instruction") {
  const IfevalTask task = ifeval_task(
      {{"key", 1000},
       {"prompt", "Say it without commas, in five words."},
       {"instruction_id_list", {"punctuation:no_comma", "length_constraints:number_words"}},
       {"kwargs",
        {json::object(), {{"num_words", 5.0}, {"relation", "at least"}, {"x", nullptr}}}}});
  CHECK(task.prompt == Prompt("Say it without commas, in five words."));
  CHECK(task.key == "1000");
  CHECK(task.instructions ==
        std::vector<std::string>{"punctuation:no_comma", "length_constraints:number_words"});
  CHECK(task.satisfied("one two three, four five") == std::vector<bool>{false, true});
  CHECK(task.satisfied("one") == std::vector<bool>{true, false});
  CHECK(task.satisfied("") == std::vector<bool>{false, false});
  CHECK(task.satisfied("one \xe2\x82") == std::vector<bool>{true, false});
}

TEST_CASE("Instructions that are not supported are refused by name") {
  for (const std::string id :
       {"language:response_language", "keywords:key_sentences", "no_comma", ""}) {
    CAPTURE(id);
    CHECK_THROWS_AS(ifeval_task(row(id, json::object())), InvalidOption);
    CHECK_THROWS_WITH(ifeval_task(row(id, {{"language", "de"}})),
                      Catch::Matchers::StartsWith("IFEval row 7, " + id));
  }
}

TEST_CASE("Arguments that are missing, unknown or out of range are refused") {
  const auto refused = [](const std::string& id, const json& arguments) {
    CAPTURE(id, arguments.dump());
    CHECK_THROWS_AS(ifeval_task(row(id, arguments)), InvalidOption);
  };
  const std::string words = "length_constraints:number_words";
  refused(words, json::object());
  refused(words, {{"num_words", 5}});
  refused(words, {{"num_words", 5}, {"relation", nullptr}});
  refused(words, {{"num_words", 5}, {"relation", "at most"}});
  refused(words, {{"num_words", -1}, {"relation", "at least"}});
  refused(words, {{"num_words", 1.5}, {"relation", "at least"}});
  refused(words, {{"num_words", 1e300}, {"relation", "at least"}});
  refused(words, {{"num_words", "5"}, {"relation", "at least"}});
  refused(words, {{"num_words", 5}, {"relation", "at least"}, {"num_sentences", 3}});
  refused(words, json::array());
  refused("punctuation:no_comma", {{"comma", true}});
  refused("keywords:existence", {{"keywords", "sea"}});
  refused("keywords:existence", {{"keywords", {"sea", 1}}});
  refused("keywords:existence", {{"keywords", json::array()}});
  refused("keywords:forbidden_words", {{"forbidden_words", {"a|b"}}});
  refused("keywords:letter_frequency",
          {{"letter", "ab"}, {"let_frequency", 1}, {"let_relation", "at least"}});
  refused("length_constraints:nth_paragraph_first_word",
          {{"num_paragraphs", 2}, {"nth_paragraph", 3}, {"first_word", "a"}});
  refused("combination:repeat_prompt", {{"prompt_to_repeat", ""}});
  CHECK_THROWS_WITH(ifeval_task(row(words, {{"num_words", -1}, {"relation", "at least"}})),
                    Catch::Matchers::StartsWith("IFEval row 7, " + words + ".num_words is -1;"));
  CHECK_THROWS_WITH(
      ifeval_task(row("keywords:existence", {{"keywords", {"a+"}}})),
      Catch::Matchers::StartsWith("IFEval row 7, keywords:existence: Keywords.words"));
}

TEST_CASE("Rows without what they need are refused") {
  CHECK_THROWS_AS(ifeval_task(json()), InvalidOption);
  CHECK_THROWS_AS(ifeval_task(json::array()), InvalidOption);
  CHECK_THROWS_AS(ifeval_task("text"), InvalidOption);
  const json good = row("punctuation:no_comma", json::object());
  for (const std::string member : {"prompt", "instruction_id_list", "kwargs"}) {
    json bad = good;
    bad.erase(member);
    CHECK_THROWS_AS(ifeval_task(bad), InvalidOption);
    bad[member] = 5;
    CHECK_THROWS_WITH(ifeval_task(bad), Catch::Matchers::StartsWith("IFEval row 7." + member));
  }
  json bad = good;
  bad["kwargs"].push_back(json::object());
  CHECK_THROWS_AS(ifeval_task(bad), InvalidOption);
  bad = good;
  bad["instruction_id_list"] = json::array();
  CHECK_THROWS_AS(ifeval_task(bad), InvalidOption);
  bad = good;
  bad.erase("key");
  CHECK(ifeval_task(bad).key.empty());
  bad["key"] = "a";
  CHECK(ifeval_task(bad).key == "a");
}

TEST_CASE("The reward finds the task by the prompt") {
  json second = row("startend:quotation", json::object());
  second["prompt"] = "Quote it.";
  second["instruction_id_list"].push_back("punctuation:no_comma");
  second["kwargs"].push_back(json::object());
  const std::vector<IfevalTask> tasks = {ifeval_task(row("punctuation:no_comma", json::object())),
                                         ifeval_task(second)};
  const IfevalReward share(tasks), all(tasks, IfevalScore::all);
  STATIC_REQUIRE(RewardModel<IfevalReward>);
  CHECK_FALSE(scores_prefixes(share));
  CHECK(share.tasks().size() == 2);
  CHECK(share.task("Quote it.").instructions.size() == 2);

  const std::array<Prompt, 2> prompts = {"Say it.", "Quote it."};
  const Response response{.text = "one"};
  const std::array<Scoring, 2> work = {Scoring{&prompts[0], &response},
                                       Scoring{&prompts[1], &response}};
  std::array<double, 2> out = {-1, -1};
  share.score(work, out);
  CHECK(out == std::array<double, 2>{1, 0.5});
  all.score(work, out);
  CHECK(out == std::array<double, 2>{1, 0});
}

TEST_CASE("A prompt that belongs to no task fails alone") {
  const IfevalReward reward({ifeval_task(row("punctuation:no_comma", json::object()))});
  const std::array<Prompt, 2> prompts = {"Say it!", "Say it."};
  const Response response{.text = "one"};
  const std::array<Scoring, 2> work = {Scoring{&prompts[0], &response},
                                       Scoring{&prompts[1], &response}};
  std::array<double, 2> out = {-1, -1};
  try {
    reward.score(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    CHECK(failure.causes()[0]);
    CHECK_FALSE(failure.causes()[1]);
    CHECK(out[1] == 1);
    CHECK_THROWS_AS(std::rethrow_exception(failure.causes()[0]), RewardError);
  }
  CHECK_THROWS_WITH(reward.task("Say it!"), Catch::Matchers::StartsWith("the prompt \"Say it!\""));
}

TEST_CASE("Two tasks with one prompt, or none, are refused") {
  const IfevalTask task = ifeval_task(row("punctuation:no_comma", json::object()));
  CHECK_THROWS_AS(IfevalReward({task, task}), InvalidOption);
  CHECK_THROWS_AS(IfevalReward({}), InvalidOption);
}

TEST_CASE("The prompts that ship with the examples are tasks") {
  std::vector<IfevalTask> tasks;
  std::set<std::string> instructions;
  for (const json& line : read_lines("examples/data/ifeval_feasible.jsonl")) {
    tasks.push_back(ifeval_task(line));
    instructions.insert(tasks.back().instructions.begin(), tasks.back().instructions.end());
  }
  CHECK(tasks.size() >= 40);
  CHECK(instructions.size() >= 15);
  CHECK(IfevalReward(tasks).tasks().size() == tasks.size());
}

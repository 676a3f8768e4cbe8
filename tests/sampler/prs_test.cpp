#include "tilt/sampler/prs.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/exact_laws.hpp"
#include "support/law_table.hpp"
#include "support/refinement.hpp"
#include "support/refused.hpp"
#include "support/round_bench.hpp"
#include "support/toy.hpp"
#include "tilt/decoder.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/testing/check_sampler.hpp"

using namespace tilt;
using namespace tilt::testing;
using law_table::expect_caught;
using law_table::expect_law;
using refinement::Kept;
using refinement::World;

namespace {

// Prompts that a test can read.
PrsTexts short_texts() {
  return {.opening = "Q {query} D {answer}\n",
          .feedback = "ADVISE",
          .refine = "{feedback}\nREFINE",
          .refine_without_feedback = "REFINE alone"};
}

PrsOptions short_options(std::size_t n, std::size_t layers, std::string preference = "",
                         bool feedback = true) {
  return {.n = n,
          .layers = layers,
          .max_tokens = 30,
          .preference = std::move(preference),
          .feedback = feedback,
          .feedback_max_tokens = 20,
          .texts = short_texts()};
}

enum class Bug {
  none,
  characters,           // with a width of 1 the one string is taken for a list of its characters
  zero_on_error,        // a reward that fails is 0
  best_of_layer,        // the best of the newest layer is refined
  unselected,           // the first draw is refined
  latest_of_equals,     // ties for the best go to the last
  keyed_by_delimiter,   // texts are joined and split at "|||"
  filled_in_turn,       // slots in quoted texts are filled
  feedback_counted,     // the feedback is taken off the width
  remainder_spent,      // the last layer draws what the division left
  width_rounded_up,     // the width is rounded up
  preference_twice,     // the refine prompt names the preference again
  preference_unscored,  // rewards see the prompt without the preference
  scored_on_refine,     // refined answers are scored against the refine prompt
  feedback_scored,      // the feedback counts as an answer
  cut_dropped,          // refined answers that were cut are dropped
  feedback_each,        // each child has a feedback of its own
  missing_ends_layer,   // a missing feedback gives up the layer
};

// The loop written a second time, without the library.
struct Hand {
  World world;
  std::string prompt, preference;
  std::size_t n = 1, layers = 1;
  bool feedback = true;
  Bug bug = Bug::none;
  std::vector<Kept> kept = {};
  std::size_t newest = 0;  // where the newest layer begins

  void run() {
    const std::string question = preference.empty() ? prompt : prompt + "\n\n" + preference;
    std::size_t width = n / layers;
    if (bug == Bug::width_rounded_up) width = (n + layers - 1) / layers;
    std::vector<std::string> drawn;
    for (std::size_t i = 0; i < width; ++i) {
      if (const auto y = world.generate(question, 30)) drawn.push_back(y->text);
    }
    if (bug == Bug::characters && width == 1 && !drawn.empty()) {
      const std::string whole = drawn[0];
      drawn.clear();
      for (const char c : whole) drawn.emplace_back(1, c);
    }
    const std::string& against = bug == Bug::preference_unscored ? prompt : question;
    score_all(drawn, npos, against);
    for (std::size_t l = 1; l < layers && !kept.empty(); ++l) {
      std::size_t children = width;
      if (bug == Bug::feedback_counted && feedback) --children;
      if (bug == Bug::remainder_spent && l + 1 == layers) children += n % layers;
      refine(question, against, children);
    }
  }

 private:
  void refine(const std::string& question, const std::string& against, std::size_t children) {
    std::size_t best = refinement::best_of(kept, bug == Bug::best_of_layer ? newest : 0);
    if (bug == Bug::unselected) best = 0;
    if (bug == Bug::latest_of_equals) {
      for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i].reward >= kept[best].reward) best = i;
      }
    }
    const std::string opening = "Q " + question + " D " + kept[best].text + '\n';
    std::string advice;
    if (feedback && bug != Bug::feedback_each) advice = advise(opening);
    if (feedback && advice.empty() && bug == Bug::missing_ends_layer) return;
    if (bug == Bug::feedback_scored && !advice.empty()) score_all({advice}, best, against);
    std::vector<std::string> refined;
    std::string refine_prompt;
    for (std::size_t i = 0; i < children; ++i) {
      if (feedback && bug == Bug::feedback_each) advice = advise(opening);
      refine_prompt = opening + (advice.empty() ? "REFINE alone" : advice + "\nREFINE");
      if (bug == Bug::preference_twice && !preference.empty()) {
        refine_prompt = preference + '\n' + refine_prompt;
      }
      if (bug == Bug::filled_in_turn) {
        const std::string slot = "{feedback}";
        const std::size_t at = refine_prompt.find(slot);
        if (at != std::string::npos) refine_prompt.replace(at, slot.size(), advice);
      }
      const auto y = world.generate(refine_prompt, 30);
      if (!y || trim(y->text).empty()) continue;
      if (y->finish == Finish::length && bug == Bug::cut_dropped) continue;
      refined.push_back(y->text);
    }
    score_all(refined, best, bug == Bug::scored_on_refine ? refine_prompt : against);
  }

  std::string advise(const std::string& opening) {
    const auto y = world.generate(opening + "ADVISE", 20);
    return y ? trim(y->text) : std::string();
  }

  static std::string trim(std::string text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.pop_back();
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n')) text.erase(0, 1);
    return text;
  }

  void score_all(const std::vector<std::string>& texts, std::size_t parent,
                 const std::string& against) {
    const std::size_t before = kept.size();
    for (std::string text : texts) {
      if (bug == Bug::keyed_by_delimiter) text = text.substr(0, text.find("|||"));
      const auto reward = world.score(against, text);
      if (!reward && bug != Bug::zero_on_error) continue;
      kept.push_back({text, reward.value_or(0), parent});
    }
    if (kept.size() > before) newest = before;
  }
};

struct Setting {
  std::size_t n, layers;
  const char* preference;
  bool feedback;
  double failing;
};
constexpr Setting settings[] = {{2, 2, "", true, 0},          {8, 3, "be kind", true, 0},
                                {5, 1, "be kind", true, 0.1}, {7, 2, "be kind", true, 0.15},
                                {9, 4, "", false, 0.1},       {3, 3, "be kind", true, 0.05}};
constexpr std::size_t worlds = 60;

std::vector<std::string> by_library(const Setting& s, std::uint64_t seed) {
  World world{.seed = seed, .failing = s.failing};
  Decoder decoder{refinement::WorldPolicy{world}, refinement::WorldReward{world},
                  Prs{short_options(s.n, s.layers, s.preference, s.feedback)}};
  RunOptions options = {.seed = seed, .on_failure = OnFailure::survive};
  const Result result = decoder.batch({"the {answer}?"}, options).front();
  return refinement::record_of(world, result.candidates);
}
std::vector<std::string> by_hand(const Setting& s, std::uint64_t seed, Bug bug) {
  Hand hand{.world = {.seed = seed, .failing = s.failing},
            .prompt = "the {answer}?",
            .preference = s.preference,
            .n = s.n,
            .layers = s.layers,
            .feedback = s.feedback,
            .bug = bug};
  hand.run();
  return refinement::record_of(hand.world, hand.kept);
}

}  // namespace

TEST_CASE("Prs calls and prompts and scores and keeps what the loop by hand does") {
  for (const Setting& s : settings) {
    for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
      INFO("n " << s.n << " layers " << s.layers << " seed " << seed);
      REQUIRE(by_library(s, seed) == by_hand(s, seed, Bug::none));
    }
  }
}

TEST_CASE("the comparison of Prs with the loop by hand sees every planted bug") {
  const std::map<Bug, const char*> bugs = {{Bug::characters, "characters"},
                                           {Bug::zero_on_error, "zero_on_error"},
                                           {Bug::best_of_layer, "best_of_layer"},
                                           {Bug::unselected, "unselected"},
                                           {Bug::latest_of_equals, "latest_of_equals"},
                                           {Bug::keyed_by_delimiter, "keyed_by_delimiter"},
                                           {Bug::filled_in_turn, "filled_in_turn"},
                                           {Bug::feedback_counted, "feedback_counted"},
                                           {Bug::remainder_spent, "remainder_spent"},
                                           {Bug::width_rounded_up, "width_rounded_up"},
                                           {Bug::preference_twice, "preference_twice"},
                                           {Bug::preference_unscored, "preference_unscored"},
                                           {Bug::scored_on_refine, "scored_on_refine"},
                                           {Bug::feedback_scored, "feedback_scored"},
                                           {Bug::cut_dropped, "cut_dropped"},
                                           {Bug::feedback_each, "feedback_each"},
                                           {Bug::missing_ends_layer, "missing_ends_layer"}};
  for (const auto& [bug, name] : bugs) {
    std::size_t caught = 0;
    for (const Setting& s : settings) {
      for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
        if (by_library(s, seed) != by_hand(s, seed, bug)) ++caught;
      }
    }
    INFO(name << ": caught in " << caught << " of " << worlds * std::size(settings) << " worlds");
    CHECK(caught >= 20);
  }
}

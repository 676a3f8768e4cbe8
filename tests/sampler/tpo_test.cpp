#include "tilt/sampler/tpo.hpp"

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
TpoTexts short_texts() {
  return {.contrast = "Q {query} B {rejected}",
          .revision = "Q {query}",
          .chosen = "{open_tag}{chosen}{close_tag}",
          .loss = "LOSS",
          .loss_revision = "LOSS of one",
          .gradient = "{critique}\nADVISE",
          .fused = "LOSS and advise",
          .fused_revision = "LOSS and advise, of one",
          .update = "{critique} / {gradient}\nUPDATE {open_tag} {close_tag}",
          .fused_update = "{gradient}\nUPDATE {open_tag} {close_tag}"};
}

TpoOptions short_options(std::size_t n, std::size_t rounds, TpoMode mode = TpoMode::contrast) {
  return {.n = n,
          .rounds = rounds,
          .max_tokens = 30,
          .mode = mode,
          .critique_max_tokens = 20,
          .texts = short_texts()};
}

enum class Bug {
  none,
  characters,          // with n = 1 the one string is taken for a list of its characters
  zero_on_error,       // a reward that fails is 0
  best_of_batch,       // the best of the newest responses
  rejected_of_batch,   // the worst of the newest responses
  latest_of_equals,    // ties for the best go to the last
  cut_accepted,        // children that were cut count
  unclosed_accepted,   // a missing close tag ends at the end of the text
  last_close_tag,      // the last close tag ends the answer
  blank_accepted,      // children of white space count
  not_trimmed,         // the white space within the tags is kept
  keyed_by_delimiter,  // texts are joined and split at "|||"
  filled_in_turn,      // slots in quoted texts are filled
  scored_on_update,    // children are scored against the update prompt
  update_scored,       // the whole update is scored, with what stands around the tags
  loss_scored,         // the loss counts as a response
  always_contrast,     // equal best and worst are shown as a contrast
  empty_round_ends,    // a round without a child ends the run
};

// The loop written a second time, without the library.
struct Hand {
  World world;
  std::string query;
  std::size_t n = 1, rounds = 0;
  TpoMode mode = TpoMode::contrast;
  Bug bug = Bug::none;
  std::vector<Kept> kept = {};
  std::size_t newest = 0;  // where the newest responses begin

  void run() {
    std::vector<std::string> drawn;
    for (std::size_t i = 0; i < n; ++i) {
      if (auto y = world.generate(query, 30)) drawn.push_back(y->text);
    }
    if (bug == Bug::characters && n == 1 && !drawn.empty()) {
      const std::string whole = drawn[0];
      drawn.clear();
      for (const char c : whole) drawn.emplace_back(1, c);
    }
    score_all(drawn, npos, query);
    for (std::size_t d = 0; d < rounds && !kept.empty(); ++d) {
      if (!round()) return;
    }
  }

 private:
  bool round() {
    std::size_t best = refinement::best_of(kept, bug == Bug::best_of_batch ? newest : 0);
    if (bug == Bug::latest_of_equals) {
      for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i].reward >= kept[best].reward) best = i;
      }
    }
    const std::size_t worst =
        refinement::worst_of(kept, bug == Bug::rejected_of_batch ? newest : 0);
    bool one = mode == TpoMode::revision || kept[best].reward == kept[worst].reward ||
               kept[best].text == kept[worst].text;
    if (bug == Bug::always_contrast) one = mode == TpoMode::revision;
    const bool fused = mode == TpoMode::fused;
    std::string opening = "user: Q " + query;
    if (!one) opening += " B " + kept[worst].text;
    opening += "\nassistant: <answer>" + kept[best].text + "</answer>\nuser: ";
    if (bug == Bug::filled_in_turn && !one) {
      const std::string slot = "{rejected}";
      for (std::size_t at = opening.find(slot); at != std::string::npos;
           at = opening.find(slot, at + kept[worst].text.size())) {
        opening.replace(at, slot.size(), kept[worst].text);
        if (opening.size() > 2000) break;
      }
    }
    const std::string loss =
        critique(opening + (fused ? one ? "LOSS and advise, of one" : "LOSS and advise"
                            : one ? "LOSS of one"
                                  : "LOSS"));
    if (bug == Bug::loss_scored) score_all({loss}, best, query);
    if (loss.empty()) return true;
    std::string asked = loss;
    if (!fused) {
      const std::string gradient = critique(opening + loss + "\nADVISE");
      if (gradient.empty()) return true;
      asked += " / " + gradient;
    }
    const std::string prompt = opening + asked + "\nUPDATE <answer> </answer>\n";
    std::vector<std::string> children;
    for (std::size_t i = 0; i < n; ++i) {
      const auto y = world.generate(prompt, 30);
      if (!y || (y->finish == Finish::length && bug != Bug::cut_accepted)) continue;
      std::string child = bug == Bug::update_scored ? y->text : inner(y->text);
      if (!child.empty()) children.push_back(std::move(child));
    }
    if (children.empty() && bug == Bug::empty_round_ends) return false;
    score_all(children, best, bug == Bug::scored_on_update ? prompt : query);
    return true;
  }

  static std::string trim(std::string text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.pop_back();
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n')) text.erase(0, 1);
    return text;
  }

  std::string critique(const std::string& prompt) {
    const auto y = world.generate(prompt + '\n', 20);
    return y ? trim(y->text) : std::string();
  }

  [[nodiscard]] std::string inner(const std::string& text) const {
    const std::size_t open = text.find("<answer>");
    if (open == std::string::npos) return {};
    const std::string rest = text.substr(open + 8);
    std::size_t close =
        bug == Bug::last_close_tag ? rest.rfind("</answer>") : rest.find("</answer>");
    if (close == std::string::npos && bug == Bug::unclosed_accepted) close = rest.size();
    if (close == std::string::npos) return {};
    std::string found = rest.substr(0, close);
    if (bug == Bug::not_trimmed && !trim(found).empty()) return found;
    if (bug == Bug::blank_accepted && trim(found).empty()) return found;
    return trim(found);
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
  std::size_t n, rounds;
  TpoMode mode;
  double failing;
};
constexpr Setting settings[] = {{1, 3, TpoMode::contrast, 0},   {3, 0, TpoMode::contrast, 0},
                                {3, 4, TpoMode::contrast, 0},   {2, 5, TpoMode::contrast, 0.15},
                                {3, 3, TpoMode::revision, 0.1}, {4, 3, TpoMode::fused, 0.1}};
constexpr std::size_t worlds = 60;

std::vector<std::string> by_library(const Setting& s, std::uint64_t seed) {
  World world{.seed = seed, .failing = s.failing};
  Decoder decoder{refinement::WorldPolicy{world}, refinement::WorldReward{world},
                  Tpo{short_options(s.n, s.rounds, s.mode)}};
  RunOptions options = {.seed = seed, .on_failure = OnFailure::survive};
  const Result result = decoder.batch({"the {query}?"}, options).front();
  return refinement::record_of(world, result.candidates);
}
std::vector<std::string> by_hand(const Setting& s, std::uint64_t seed, Bug bug) {
  Hand hand{.world = {.seed = seed, .failing = s.failing},
            .query = "the {query}?",
            .n = s.n,
            .rounds = s.rounds,
            .mode = s.mode,
            .bug = bug};
  hand.run();
  return refinement::record_of(hand.world, hand.kept);
}

}  // namespace

TEST_CASE("Tpo calls and prompts and scores and keeps what the loop by hand does") {
  for (const Setting& s : settings) {
    for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
      INFO("n " << s.n << " rounds " << s.rounds << " seed " << seed);
      REQUIRE(by_library(s, seed) == by_hand(s, seed, Bug::none));
    }
  }
}

TEST_CASE("the comparison of Tpo with the loop by hand sees every planted bug") {
  const std::map<Bug, const char*> bugs = {{Bug::characters, "characters"},
                                           {Bug::zero_on_error, "zero_on_error"},
                                           {Bug::best_of_batch, "best_of_batch"},
                                           {Bug::rejected_of_batch, "rejected_of_batch"},
                                           {Bug::latest_of_equals, "latest_of_equals"},
                                           {Bug::cut_accepted, "cut_accepted"},
                                           {Bug::unclosed_accepted, "unclosed_accepted"},
                                           {Bug::last_close_tag, "last_close_tag"},
                                           {Bug::blank_accepted, "blank_accepted"},
                                           {Bug::not_trimmed, "not_trimmed"},
                                           {Bug::keyed_by_delimiter, "keyed_by_delimiter"},
                                           {Bug::filled_in_turn, "filled_in_turn"},
                                           {Bug::scored_on_update, "scored_on_update"},
                                           {Bug::update_scored, "update_scored"},
                                           {Bug::loss_scored, "loss_scored"},
                                           {Bug::always_contrast, "always_contrast"},
                                           {Bug::empty_round_ends, "empty_round_ends"}};
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

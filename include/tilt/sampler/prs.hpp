#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/core/template.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/eligible.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/text/ascii.hpp"

namespace tilt {

/// The prompt texts of `Prs`. A prompt is a chat of three messages: the user's opening and an
/// earlier answer, the parent, which all calls on it share, then the user's word on what to do.
///
/// Slots: {query}, the prompt with the preference, {answer}, the parent, and {nonce} everywhere;
/// {feedback}, the answer to the feedback call, in `refine`. {nonce} is empty unless
/// `PrsOptions::nonce` is set. See `Template`.
struct PrsTexts {
  std::string opening = "{query}";
  std::string answer = "{answer}";  ///< the message of the role "assistant"
  std::string feedback =
      "Do not answer the question again. Read your answer as a strict and fair reviewer. List "
      "briefly, point by point, which of its parts are wrong, missing or unclear, and how to mend "
      "each.";
  std::string refine =
      "A review of your answer:\n"
      "<review{nonce}>\n{feedback}\n</review{nonce}>\n\n"
      "Answer the question again, better than before: mend what the review names and keep what is "
      "good. Write only the new answer.";
  std::string refine_without_feedback =
      "Answer the question again, better than before: mend what is wrong, missing or unclear and "
      "keep what is good. Write only the new answer.";
};

/// Options of `Prs`.
struct PrsOptions {
  std::size_t n = 16;             ///< answers in all layers together, at least `layers`
  std::size_t layers = 2;         ///< at least 1; 1: best-of-n
  std::size_t max_tokens = 1024;  ///< cap on each answer, tokens
  std::string preference = {};    ///< what is wished of an answer, a sentence or more; may be empty
  bool feedback = true;           ///< ask for feedback on a parent before it is refined
  SamplingLaw law = {};           ///< of answers
  SamplingLaw feedback_law = {};
  std::size_t feedback_max_tokens = 1024;  ///< cap on each feedback, tokens
  PrsTexts texts = {};
  std::size_t parents = 1;          ///< refine so many of the best, 1 .. n / layers
  bool feedback_per_child = false;  ///< a feedback for each child instead of one for each parent
  bool select = true;        ///< false: parents are drawn uniformly from all so far, not the best
  bool discard_cut = false;  ///< drop refined answers that were cut at `max_tokens`
  bool nonce = false;        ///< end marks by "-" and a random number of the run, 8 hex digits
};

/// A prompt with what is wished of an answer, as `Prs` draws and scores with it: the preference
/// after a blank line at the end of the text, or of the last message of the role "user"; in a
/// message of its own where there is none; alone where the text is empty. An empty preference
/// changes nothing, and neither does any for a prompt of token ids.
[[nodiscard]] inline Prompt with_preference(const Prompt& prompt, const std::string& preference) {
  if (preference.empty() || prompt.is_tokens()) return prompt;
  const auto extended = [&](std::string_view text) {
    return text.empty() ? preference : std::string(text) + "\n\n" + preference;
  };
  if (!prompt.is_messages()) return extended(prompt.text());
  std::vector<Message> messages(prompt.messages().begin(), prompt.messages().end());
  for (std::size_t i = messages.size(); i-- > 0;) {
    if (messages[i].role != "user") continue;
    messages[i].content = extended(messages[i].content);
    return Prompt::from_messages(std::move(messages));
  }
  messages.push_back({"user", preference});
  return Prompt::from_messages(std::move(messages));
}

/// PRS, preference-based reflective sampling: layers of answers, each made by refining the best so
/// far.
///
///     w = floor(n / layers); question = prompt, blank line, preference
///     Y = w answers to the question, scored
///     repeat layers - 1 times:
///       parent   = best of all of Y, ties to the earliest
///       feedback = model(what is wrong with parent?)             one call, not scored
///       Y       += w answers of model(refine parent by feedback), scored against the question
///     answer = best of Y
///
/// Law: with `HighestReward` and layers = 1 that of best-of-n on the question. With more there is
/// no closed form, since a refined answer is drawn from p( . | refine prompt), which depends on the
/// draws before it; for the same reason there is no KL to the base law in the stats. What holds:
/// the answer is the best of Y, so that more layers on the same first layer never give a lower
/// reward.
///
/// Cost, d layers: d w + (d - 1) generations, d w scorings, 2d - 1 generations deep (stat `depth`;
/// `Cost::rounds` counts the scorings of a later layer as a round of their own, 3d - 2). n counts
/// answers; feedbacks come on top; n - d w answers are not spent. Without feedback d w generations,
/// d deep; k parents cost k feedbacks a layer, `feedback_per_child` w. All calls on one parent
/// begin with the same two messages, the first of which is what the first layer answered, and its
/// children with one feedback share their prompt, so that an engine that keeps prefixes computes
/// them once.
///
/// A refined answer is the whole response with its tokens, of weight 1; its `parent` is the id of
/// what it was made from. Rewards see the question, with the preference once, and nothing of the
/// parents.
///
/// Edge cases:
/// - Where the preference stands: `with_preference`.
/// - A refined answer that was cut at `max_tokens` is kept with its reward, as a first draw is, so
///   that layers compare on equal terms, and counted as `refined_cut`; `discard_cut` drops it and
///   counts it as `discarded_cut`. One of white space only is discarded as `discarded_empty`; in
///   the first layer it is legal, as in best-of-n.
/// - A feedback that failed or is blank leaves its children to be refined without one, counted as
///   `feedback_missing`; one that was cut is used as it is and counted as `feedback_cut`.
/// - A layer that adds nothing keeps the parents and is counted as `empty_layers`. Failed draws are
///   left out; if the whole first layer fails the run ends.
/// - With several parents w is split evenly and the remainder goes, one each, to the best of them;
///   where there are fewer answers than parents, all are parents.
/// - A run that is ended from outside keeps what was scored; refined answers that were not are
///   lost.
/// - Chat messages are quoted whole, as "role: content" lines.
/// - Instructions and untrusted text are kept apart without a system message, which small chat
///   models do not have: the parent is a message of the role "assistant", the feedback is quoted
///   between marks, and what is asked stands behind them. Parents and feedbacks are data: slots in
///   them are not filled, and `nonce` keeps a feedback from ending its mark.
/// Ablations: layers = 1 with a preference (preference alone), select = false (refining without
/// selection), feedback = false, preference empty.
/// Stats: layers, depth, best_layer_0, best_layer_1, ... (the best reward among a layer's own
/// answers; NaN of a layer without any), uplift (best of all over best_layer_0), feedback_calls,
/// feedback_missing, feedback_cut, empty_layers, refined_cut, discarded_cut, discarded_empty.
/// @throws InvalidOption from the constructor: layers 0 or above n, parents 0 or above floor(n /
/// layers), a cap on tokens 0, a law out of range, a text with an unknown slot; from `start`: a
/// prompt of token ids
///
/// Source: Ye and Ng 2024 (2408.12163). Differs from the authors' code: the preference is shown
/// once and scored with always; layers of any number; a failed reward is a failure and never 0; no
/// stop string or penalty is set; streams are seeded; prompt texts are our own.
class Prs {
 public:
  using DefaultSelector = HighestReward;

  enum class Step { draw, feedback, refine, score };
  struct Refined {
    std::uint64_t parent = npos;
    Response response = {};
  };
  struct State {
    Prompt question = {};    ///< prompt and preference
    std::string query = {};  ///< the question, as it is quoted
    std::string nonce = {};  ///< "-" and digits, or empty
    Step step = Step::draw;
    std::size_t layer = 0;                    ///< layers that have ended
    std::size_t depth = 0;                    ///< generations one after the other so far
    std::vector<std::uint64_t> scored = {};   ///< the ids of Y
    std::vector<std::uint64_t> parents = {};  ///< of this layer; the best first
    std::vector<std::string> feedbacks = {};  ///< one per parent, or per child; empty: none
    std::vector<Refined> refined = {};        ///< of this layer, to be scored
    std::vector<double> best_of_layer = {};
    std::size_t feedback_calls = 0, feedback_missing = 0, feedback_cut = 0, empty_layers = 0;
    std::size_t refined_cut = 0, discarded_cut = 0, discarded_empty = 0;
  };

  explicit Prs(PrsOptions options = {}) : options_(std::move(options)) {
    const PrsOptions& o = options_;
    require_option(o.layers >= 1 && o.layers <= o.n, "PrsOptions.layers", o.layers,
                   "from 1 to n, which is " + to_text(o.n));
    require_count("PrsOptions.n", o.n);
    require_count("PrsOptions.max_tokens", o.max_tokens);
    require_count("PrsOptions.feedback_max_tokens", o.feedback_max_tokens);
    require_option(o.parents >= 1 && o.parents <= width(), "PrsOptions.parents", o.parents,
                   "from 1 to n / layers, which is " + to_text(width()));
    check_law(o.law, "PrsOptions.law");
    check_law(o.feedback_law, "PrsOptions.feedback_law");
    const auto read = [](const std::string& text, const char* name, auto... more) {
      return Template(text, {"query", "answer", "nonce", more...},
                      std::string("PrsOptions.texts.") + name);
    };
    texts_ = {.opening = read(o.texts.opening, "opening"),
              .answer = read(o.texts.answer, "answer"),
              .feedback = read(o.texts.feedback, "feedback"),
              .refine = read(o.texts.refine, "refine", std::string_view("feedback")),
              .refine_without_feedback =
                  read(o.texts.refine_without_feedback, "refine_without_feedback")};
  }

  /// The prompt with the preference.
  [[nodiscard]] Prompt question(const Prompt& prompt) const {
    return with_preference(prompt, options_.preference);
  }

  [[nodiscard]] State start(const Prompt& prompt) const {
    State state;
    state.question = question(prompt);
    state.query = quotable(state.question, "Prs");
    return state;
  }

  void ask(State& state, Round& round) const {
    switch (state.step) {
      case Step::draw:
        if (state.depth > 0) return;  // every first draw has failed
        if (options_.nonce) state.nonce = nonce_text(round.random(nonce_stream));
        for (std::size_t i = 0; i < width(); ++i) {
          round.sample(
              {.prompt = state.question, .max_tokens = options_.max_tokens, .law = options_.law});
        }
        break;
      case Step::feedback:
        if (state.layer == options_.layers) return;
        choose_parents(state, round);
        if (!options_.feedback) {
          state.step = Step::refine;
          ask_refined(state, round);
          break;
        }
        for (std::size_t p = 0; p < state.parents.size(); ++p) {
          const Prompt prompt = fill(state, round, p, texts_.feedback);
          const std::size_t calls = options_.feedback_per_child ? children_of(state, p) : 1;
          for (std::size_t i = 0; i < calls; ++i) {
            round.generate({.prompt = prompt,
                            .max_tokens = options_.feedback_max_tokens,
                            .law = options_.feedback_law});
          }
        }
        break;
      case Step::refine:
        ask_refined(state, round);
        break;
      case Step::score:
        for (Refined& refined : state.refined) {
          round.score(state.question, std::move(refined.response));
        }
        return;  // no generation: not deeper
    }
    ++state.depth;
  }

  void tell(State& state, Round& round) const {
    switch (state.step) {
      case Step::draw:
        add(state, round, [](std::size_t) { return std::uint64_t{npos}; });
        if (state.scored.empty()) {
          state.step = Step::draw;  // the run ends with the next `ask`
          return;
        }
        break;
      case Step::feedback:
        state.feedbacks.assign(round.draws().size(), {});
        for (std::size_t i = 0; i < round.draws().size(); ++i) {
          const Draw& draw = round.draws()[i];
          if (draw.status == DrawStatus::skipped) continue;
          ++state.feedback_calls;
          if (draw.status == DrawStatus::done) state.feedbacks[i] = trimmed(draw.response.text);
          if (state.feedbacks[i].empty()) {
            ++state.feedback_missing;
          } else if (draw.response.finish == Finish::length) {
            ++state.feedback_cut;
          }
        }
        state.step = Step::refine;
        break;
      case Step::refine:
        read_refined(state, round);
        state.step = Step::score;
        if (state.refined.empty()) end_layer(state, round, unset);
        break;
      case Step::score:
        add(state, round, [&](std::size_t i) { return state.refined[i].parent; });
        state.refined.clear();
        break;
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population&) const {
    const State& state = states.front();
    const auto count = [](std::size_t n) { return static_cast<double>(n); };
    Stats stats = {{"layers", count(state.layer)}, {"depth", count(state.depth)}};
    double best = unset;
    for (std::size_t l = 0; l < options_.layers; ++l) {
      const double of_layer = l < state.best_of_layer.size() ? state.best_of_layer[l] : unset;
      stats.emplace_back("best_layer_" + std::to_string(l), of_layer);
      if (better_reward(of_layer, best)) best = of_layer;
    }
    const double first = state.best_of_layer.empty() ? unset : state.best_of_layer.front();
    const Stats more = {{"uplift", reward_difference(best, first)},
                        {"feedback_calls", count(state.feedback_calls)},
                        {"feedback_missing", count(state.feedback_missing)},
                        {"feedback_cut", count(state.feedback_cut)},
                        {"empty_layers", count(state.empty_layers)},
                        {"refined_cut", count(state.refined_cut)},
                        {"discarded_cut", count(state.discarded_cut)},
                        {"discarded_empty", count(state.discarded_empty)}};
    stats.insert(stats.end(), more.begin(), more.end());
    return stats;
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const PrsOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t nonce_stream = 1, parent_stream = 2;
  struct Read {
    Template opening = {}, answer = {}, feedback = {}, refine = {}, refine_without_feedback = {};
  };

  [[nodiscard]] std::size_t width() const { return options_.n / options_.layers; }
  [[nodiscard]] std::size_t children_of(const State& state, std::size_t parent) const {
    const std::size_t parents = state.parents.size();
    return width() / parents + (parent < width() % parents ? 1 : 0);
  }

  // The opening and the parent, then what is asked.
  [[nodiscard]] Prompt fill(const State& state, const Round& round, std::size_t parent,
                            const Template& asked, std::string_view feedback = {}) const {
    const std::array<Template::Slot, 4> slots = {
        {{"query", state.query},
         {"answer", round.candidate(state.parents[parent]).response.text},
         {"feedback", feedback},
         {"nonce", state.nonce}}};
    return Prompt::from_messages({{"user", texts_.opening.fill(slots)},
                                  {"assistant", texts_.answer.fill(slots)},
                                  {"user", asked.fill(slots)}});
  }

  void choose_parents(State& state, const Round& round) const {
    state.parents = state.scored;
    state.feedbacks.clear();
    const std::size_t k = std::min(options_.parents, state.scored.size());
    if (options_.select) {
      std::stable_sort(state.parents.begin(), state.parents.end(),
                       [&](std::uint64_t a, std::uint64_t b) {
                         return round.candidate(a).reward > round.candidate(b).reward;
                       });
    } else {
      Random random = round.random(parent_stream);
      for (std::size_t i = 0; i < k; ++i) {
        const auto pick = static_cast<std::size_t>(random.below(state.parents.size() - i));
        std::swap(state.parents[i], state.parents[i + pick]);
      }
    }
    state.parents.resize(k);
  }

  void ask_refined(const State& state, Round& round) const {
    std::size_t child = 0;
    for (std::size_t p = 0; p < state.parents.size(); ++p) {
      Prompt prompt;
      for (std::size_t i = 0; i < children_of(state, p); ++i, ++child) {
        if (i == 0 || options_.feedback_per_child) {
          const std::size_t number = options_.feedback_per_child ? child : p;
          const bool has = number < state.feedbacks.size() && !state.feedbacks[number].empty();
          prompt = has ? fill(state, round, p, texts_.refine, state.feedbacks[number])
                       : fill(state, round, p, texts_.refine_without_feedback);
        }
        round.generate({.prompt = prompt, .max_tokens = options_.max_tokens, .law = options_.law});
      }
    }
  }

  void read_refined(State& state, Round& round) const {
    state.refined.clear();
    std::size_t child = 0;
    for (std::size_t p = 0; p < state.parents.size(); ++p) {
      for (std::size_t i = 0; i < children_of(state, p); ++i, ++child) {
        if (child >= round.draws().size()) return;  // no budget could have let it in
        const Draw& draw = round.draws()[child];
        if (draw.status != DrawStatus::done) continue;
        const bool cut = draw.response.finish == Finish::length;
        if (trimmed(draw.response.text).empty()) {
          ++state.discarded_empty;
        } else if (cut && options_.discard_cut) {
          ++state.discarded_cut;
        } else {
          state.refined_cut += cut ? 1 : 0;
          state.refined.push_back({state.parents[p], round.take(child).response});
        }
      }
    }
  }

  // Emits what was scored, and ends the layer.
  template <class ParentOf>
  void add(State& state, Round& round, ParentOf&& parent_of) const {
    double best = unset;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done) continue;
      Candidate candidate = round.take(i);
      candidate.parent = parent_of(i);
      if (better_reward(candidate.reward, best)) best = candidate.reward;
      state.scored.push_back(round.emit(std::move(candidate)));
    }
    end_layer(state, round, best);
  }

  static void end_layer(State& state, const Round& round, double best) {
    state.best_of_layer.push_back(best);
    if (!round.closing()) {
      ++state.layer;
      if (std::isnan(best)) ++state.empty_layers;
    }
    state.step = Step::feedback;
  }

  PrsOptions options_;
  Read texts_ = {};
};

}  // namespace tilt

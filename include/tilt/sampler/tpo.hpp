#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/log_math.hpp"
#include "tilt/core/template.hpp"
#include "tilt/sampler/concept.hpp"
#include "tilt/selector/highest_reward.hpp"
#include "tilt/text/ascii.hpp"

namespace tilt {

/// What `Tpo` shows and asks in a round.
enum class TpoMode {
  contrast,  ///< the best and the worst response; a loss, then a gradient
  revision,  ///< the best response only; a loss, then a gradient
  fused      ///< the best and the worst; loss and gradient in one call, a round one call less deep
};

/// Which scored response `Tpo` holds against the best one.
enum class TpoRejected {
  worst,     ///< the lowest reward of all
  near_miss  ///< at least `margin` below the best, the one whose words are most like its own
};

/// The prompt texts of `Tpo`. A prompt is a chat of three messages: the user's opening and the
/// model's best response, which all calls of a round share, then the user's word on what to do.
///
/// Slots: {query} {chosen} {open_tag} {close_tag} {nonce} everywhere; {rejected} in `contrast`,
/// `loss` and `fused`; {critique}, the answer to the loss call, in `gradient` and `update`, where
/// it is empty if the mode is fused; {gradient}, the answer to the gradient or the fused call, in
/// `update`. {nonce} is empty unless `TpoOptions::nonce` is set. See `Template`.
///
/// The default update shows the changes and not the critique that they were made from: a prompt
/// half as long, in which small models lose the form of the answer less often.
struct TpoTexts {
  /// The opening with a rejected response.
  std::string contrast =
      "{query}\n\n"
      "A bad answer, quoted for comparison only:\n"
      "<bad{nonce}>\n{rejected}\n</bad{nonce}>\n\n"
      "Write a good answer in the form {open_tag}answer{close_tag}.";
  /// The opening without one.
  std::string revision = "{query}\n\nWrite a good answer in the form {open_tag}answer{close_tag}.";
  std::string chosen = "{open_tag}{chosen}{close_tag}";  ///< the message of the role "assistant"
  std::string loss =
      "Your answer was rated higher than the bad answer. Do not answer the question again. Say "
      "briefly what makes your answer better than the bad one, and which weaknesses it still has.";
  std::string loss_revision =
      "Do not answer the question again. Judge your answer: say briefly what is right about it, "
      "and which weaknesses it still has.";
  std::string gradient =
      "A review of your answer:\n"
      "<review{nonce}>\n{critique}\n</review{nonce}>\n\n"
      "Do not answer the question again. List the few changes that would improve your answer the "
      "most, and say what must be kept.";
  std::string fused =
      "Your answer was rated higher than the bad answer. Do not answer the question again. First "
      "say briefly what makes your answer better than the bad one, and which weaknesses it still "
      "has. Then list the few changes that would improve it the most, and say what must be kept.";
  std::string fused_revision =
      "Do not answer the question again. First judge your answer: say briefly what is right about "
      "it, and which weaknesses it still has. Then list the few changes that would improve it the "
      "most, and say what must be kept.";
  std::string update =
      "Changes asked for:\n"
      "<changes{nonce}>\n{gradient}\n</changes{nonce}>\n\n"
      "Write a better answer in the same form: {open_tag}better answer{close_tag}";
};

/// Options of `Tpo`.
struct TpoOptions {
  std::size_t n = 5;              ///< first draws, and children of each round, at least 1
  std::size_t rounds = 2;         ///< 0: best-of-n
  std::size_t max_tokens = 2048;  ///< cap on each first draw and each update, tokens
  std::string open_tag = "<answer>", close_tag = "</answer>";  ///< around a child in an update
  SamplingLaw law = {.temperature = 0.7, .top_p = 0.95};       ///< of first draws and updates
  TpoMode mode = TpoMode::contrast;
  SamplingLaw critique_law = {.temperature = 0.7, .top_p = 0.99};  ///< of losses and gradients
  std::size_t critique_max_tokens = 2048;  ///< cap on each loss and each gradient, tokens
  TpoTexts texts = {};
  bool nonce = false;  ///< end tags and marks by "-" and a random number of the run, 8 hex digits
  TpoRejected rejected = TpoRejected::worst;
  double margin = 0;  ///< of `near_miss`: how far below the best a rejected reward must be, >= 0
  bool critique_per_child = false;  ///< n losses and n gradients a round, one of each per child
  double min_gap = 0;  ///< end where best - worst is less, >= 0, in units of reward; 0: never
  double stop_at = infinity;     ///< end where the best reward reaches this; infinity: never
  double max_growth = infinity;  ///< discard a child of more than so many times its parent's bytes
  bool stop_at_close = false;    ///< the close tag is a stop string of updates
};

/// What stands between a pair of tags, or why nothing does.
struct Tagged {
  enum class Fault { none, no_tag, unclosed, empty };
  std::string_view text = {};  ///< without the white space around it; a part of what was searched
  Fault fault = Fault::none;
};

/// The text between the first open tag and the next close tag behind it. Bytes are compared as they
/// are; what stands before and behind the pair, and further pairs, do not matter.
[[nodiscard]] inline Tagged between_tags(std::string_view text, std::string_view open_tag,
                                         std::string_view close_tag) {
  const std::size_t open = text.find(open_tag);
  if (open == std::string_view::npos) return {.fault = Tagged::Fault::no_tag};
  const std::size_t begin = open + open_tag.size();
  const std::size_t close = text.find(close_tag, begin);
  if (close == std::string_view::npos) return {.fault = Tagged::Fault::unclosed};
  const std::string_view inner = trimmed(text.substr(begin, close - begin));
  if (inner.empty()) return {.fault = Tagged::Fault::empty};
  return {.text = inner};
}

/// TPO, test-time preference optimisation: the model reads why its best response beats its worst
/// one, and writes new ones.
///
///     C = n responses to the prompt, scored
///     repeat rounds times:
///       best, worst = of all of C, ties to the earliest
///       loss      = model(compare best and worst)                one call, not scored
///       gradient  = model(turn the loss into changes)            one call, not scored
///       children  = model(apply loss and gradient to best)       n calls on one prompt
///       C        += the text between the tags of each child, scored against the original prompt
///     answer = best of C
///
/// Law: with `HighestReward` and rounds = 0 that of best-of-n. With rounds there is no closed form:
/// a child is drawn from p( . | update prompt), which depends on the draws before it. What holds is
/// an order: the answer is the best of C, so that its reward never is below that of the n first
/// draws, which are those of `BestOfN` for the same seed. For the same reason there is no KL to the
/// base law in the stats: the responses are no draws from p( . | prompt), and no formula for
/// best-of-n applies.
///
/// Cost, D rounds in which nothing is discarded: n + D(n + 2) generations, n(D + 1) scorings, 1 +
/// 3D generations deep (stat `depth`; `Cost::rounds` counts scorings of children as rounds of their
/// own, 1 + 4D). `fused`: n + D(n + 1) and 1 + 2D deep. `critique_per_child`: n + 3nD, fused n +
/// 2nD. All prompts of a round begin with the same two messages (question and rejected, best), and
/// the n children share one prompt, so that an engine that keeps prefixes computes them once.
///
/// A child counts when its update ended by itself and holds the open tag and, behind it, the close
/// tag with more than white space between. It becomes a response of that text, without tokens and
/// without the white space around it, of weight 1, with the best response of its round as `parent`.
/// Everything else is discarded and counted by its first cause: discarded_length (cut at
/// `max_tokens`), discarded_no_tag, discarded_unclosed, discarded_empty, discarded_growth
/// (`max_growth`). First draws that were cut are legal, as in best-of-n.
///
/// Edge cases:
/// - Nothing to tell best and worst apart by (one response, equal rewards, or equal texts), or no
///   near miss: the round asks for a revision of the best alone, counted as `fallbacks`. n = 1
///   begins so.
/// - A round that adds nothing to C keeps the pair and is counted as `empty_rounds`; one whose loss
///   or gradient failed or is blank is given up before the update and counted as `skipped_rounds`.
///   Both are rounds of the D. With `critique_per_child` only the child is given up, and the round
///   where all are. A loss or gradient that was cut at its cap is used as it is and counted as
///   `critiques_cut`.
/// - Failed draws are left out; if all first draws fail the run ends.
/// - A run that is ended from outside keeps what was scored; children that were not are lost.
/// - Chat messages are quoted whole, as "role: content" lines.
/// - Instructions and untrusted text are kept apart without a system message, which small chat
///   models do not have: the question opens the user's first message, as it does for the first
///   draws; the best response is a message of the role "assistant"; all other texts are quoted
///   between marks, and what is asked stands behind them. Responses, losses and gradients are data:
///   slots in them are not filled, and tags are looked for in the output of updates only. `nonce`
///   also keeps a quoted text from ending its mark. What the model makes of a sentence that it
///   reads there is up to the model.
/// - A weak model follows neither the critique nor the form: most of its children are then
///   discarded, and the answer is that of best-of-n, at several times the cost. The discards show
///   it.
/// - Options: `near_miss` shows a contrast closer to the best than a broken response is, and falls
///   back to a revision where the margin leaves none; `critique_per_child` buys variety among the
///   children; `min_gap` and `stop_at` save rounds (under `Calibrated`, `stop_at` is a quantile);
///   `max_growth` keeps rewards that like length from being paid in length (a parent without text
///   sets no limit); `stop_at_close` saves what a model writes behind its answer.
/// Stats: rounds, depth, best_reward, worst_reward and gap (best - worst) of C, uplift (best over
/// the best first draw), fallbacks, empty_rounds, skipped_rounds, critiques_cut and the discards.
/// @throws InvalidOption from the constructor: n or a cap on tokens 0, a law out of range, tags
/// empty, equal or one within the other, a text with an unknown slot, `nonce` with an update text
/// that does not name both tags, margin or min_gap not finite or negative, stop_at NaN, max_growth
/// not positive; from `start`: a prompt of token ids
///
/// Source: Li et al. 2025 (2501.12895). Differs from the authors' code: cut, unclosed and empty
/// children are discarded (theirs drops a child only where the open tag is missing); n = 1 works;
/// responses are shown whole, not by their first and last words; instructions do not stand in a
/// system message; equal best and worst are no contrast; streams are seeded; prompt texts are our
/// own.
class Tpo {
 public:
  using DefaultSelector = HighestReward;

  enum class Step { draw, loss, gradient, update, score };
  struct State {
    Prompt prompt = {};
    std::string query = {};  ///< the prompt, as it is quoted
    std::string nonce = {};  ///< "-" and digits, or empty
    Step step = Step::draw;
    std::size_t round = 0;                   ///< rounds that have ended
    std::size_t depth = 0;                   ///< generations one after the other so far
    std::vector<std::uint64_t> scored = {};  ///< the ids of C
    std::uint64_t best = npos, worst = npos,
                  rejected = npos;  ///< ids; no rejected one in a revision
    double first_best = unset;      ///< the highest reward of the first draws
    std::vector<std::string> losses = {}, gradients = {};  ///< of this round: one, or one per child
    std::vector<Response> children = {};                   ///< of this round, to be scored
    std::size_t fallbacks = 0, empty_rounds = 0, skipped_rounds = 0, critiques_cut = 0;
    std::size_t discarded_length = 0, discarded_no_tag = 0, discarded_unclosed = 0,
                discarded_empty = 0, discarded_growth = 0;
  };

  explicit Tpo(TpoOptions options = {}) : options_(std::move(options)) {
    const TpoOptions& o = options_;
    require_count("TpoOptions.n", o.n);
    require_count("TpoOptions.rounds", o.rounds, 0);
    require_count("TpoOptions.max_tokens", o.max_tokens);
    require_count("TpoOptions.critique_max_tokens", o.critique_max_tokens);
    check_law(o.law, "TpoOptions.law");
    check_law(o.critique_law, "TpoOptions.critique_law");
    require_option(std::isfinite(o.margin) && o.margin >= 0, "TpoOptions.margin", o.margin,
                   "a finite number >= 0");
    require_option(std::isfinite(o.min_gap) && o.min_gap >= 0, "TpoOptions.min_gap", o.min_gap,
                   "a finite number >= 0");
    require_option(!std::isnan(o.stop_at), "TpoOptions.stop_at", o.stop_at, "a number or infinity");
    require_option(o.max_growth > 0, "TpoOptions.max_growth", o.max_growth,
                   "a number > 0 or infinity");
    check_tags();
    read_texts();
  }

  [[nodiscard]] State start(const Prompt& prompt) const {
    return {.prompt = prompt, .query = quotable(prompt, "Tpo")};
  }

  void ask(State& state, Round& round) const {
    switch (state.step) {
      case Step::draw:
        if (state.depth > 0) return;  // every first draw has failed
        if (options_.nonce) state.nonce = nonce_text(round.random(nonce_stream));
        for (std::size_t i = 0; i < options_.n; ++i) {
          round.sample(
              {.prompt = state.prompt, .max_tokens = options_.max_tokens, .law = options_.law});
        }
        break;
      case Step::loss: {
        if (is_over(state, round)) return;
        choose_rejected(state, round);
        const bool revises = state.rejected == npos;
        const bool fused = options_.mode == TpoMode::fused;
        const Prompt prompt = fill(state, round,
                                   fused     ? (revises ? texts_.fused_revision : texts_.fused)
                                   : revises ? texts_.loss_revision
                                             : texts_.loss);
        for (std::size_t i = 0; i < (options_.critique_per_child ? options_.n : 1); ++i) {
          ask_critique(round, prompt);
        }
        break;
      }
      case Step::gradient:
        for (const std::string& loss : state.losses) {
          ask_critique(round, fill(state, round, texts_.gradient, loss));
        }
        break;
      case Step::update: {
        SamplingLaw law = options_.law;
        if (options_.stop_at_close) law.stop.push_back(tag(options_.close_tag, state.nonce));
        Prompt prompt;
        for (std::size_t i = 0; i < children_of(state); ++i) {
          if (i < state.gradients.size()) {
            prompt = fill(state, round, texts_.update, state.losses[i], state.gradients[i]);
          }
          round.generate({.prompt = prompt, .max_tokens = options_.max_tokens, .law = law});
        }
        break;
      }
      case Step::score:
        for (Response& child : state.children) round.score(state.prompt, std::move(child));
        state.children.clear();
        return;  // no generation: not deeper
    }
    ++state.depth;
  }

  void tell(State& state, Round& round) const {
    switch (state.step) {
      case Step::draw:
        add(state, round, npos);
        if (state.best == npos) return;
        state.first_best = round.candidate(state.best).reward;
        state.step = Step::loss;
        return;
      case Step::loss: {
        const bool fused = options_.mode == TpoMode::fused;
        std::vector<std::string>& read = fused ? state.gradients : state.losses;
        read.clear();
        read_critiques(state, round,
                       [&](std::size_t, std::string text) { read.push_back(std::move(text)); });
        if (fused) state.losses.assign(read.size(), {});
        state.step = fused ? Step::update : Step::gradient;
        if (read.empty()) skip(state, round);
        return;
      }
      case Step::gradient: {
        std::vector<std::string> losses;  // those whose gradient came
        state.gradients.clear();
        read_critiques(state, round, [&](std::size_t i, std::string text) {
          losses.push_back(std::move(state.losses[i]));
          state.gradients.push_back(std::move(text));
        });
        state.losses = std::move(losses);
        state.step = Step::update;
        if (state.gradients.empty()) skip(state, round);
        return;
      }
      case Step::update:
        for (std::size_t i = 0; i < round.draws().size(); ++i) {
          const Draw& draw = round.draws()[i];
          if (draw.status == DrawStatus::done) read_child(state, round, draw.response);
        }
        state.step = Step::score;
        if (state.children.empty()) end_round(state, round, 0);
        return;
      case Step::score:
        end_round(state, round, add(state, round, state.best));
        return;
    }
  }

  [[nodiscard]] Stats stats(std::span<const State> states, const Population& population) const {
    const State& state = states.front();
    const bool any = state.best != npos;
    const double best = any ? population.at_id(state.best).reward : unset;
    const double worst = any ? population.at_id(state.worst).reward : unset;
    const auto count = [](std::size_t n) { return static_cast<double>(n); };
    return {{"rounds", count(state.round)},
            {"depth", count(state.depth)},
            {"best_reward", best},
            {"worst_reward", worst},
            {"gap", reward_difference(best, worst)},
            {"uplift", reward_difference(best, state.first_best)},
            {"fallbacks", count(state.fallbacks)},
            {"empty_rounds", count(state.empty_rounds)},
            {"skipped_rounds", count(state.skipped_rounds)},
            {"critiques_cut", count(state.critiques_cut)},
            {"discarded_length", count(state.discarded_length)},
            {"discarded_no_tag", count(state.discarded_no_tag)},
            {"discarded_unclosed", count(state.discarded_unclosed)},
            {"discarded_empty", count(state.discarded_empty)},
            {"discarded_growth", count(state.discarded_growth)}};
  }

  [[nodiscard]] const SamplingLaw& law() const noexcept { return options_.law; }
  [[nodiscard]] const TpoOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::uint64_t nonce_stream = 1;
  struct Read {
    Template contrast = {}, revision = {}, chosen = {}, loss = {}, loss_revision = {},
             gradient = {}, fused = {}, fused_revision = {}, update = {};
  };

  void check_tags() const {
    const auto refuse = [](const char* field, const std::string& value, const char* legal) {
      throw InvalidOption(field, '"' + value + '"', legal);
    };
    const std::string &open = options_.open_tag, &close = options_.close_tag;
    if (open.empty()) refuse("TpoOptions.open_tag", open, "a text that is not empty");
    if (close.empty()) refuse("TpoOptions.close_tag", close, "a text that is not empty");
    if (open.find(close) != std::string::npos || close.find(open) != std::string::npos) {
      refuse("TpoOptions.close_tag", close, "neither within the open tag, nor around it");
    }
  }

  void read_texts() {
    const auto read = [](const std::string& text, const char* name,
                         std::initializer_list<std::string_view> more) {
      std::vector<std::string_view> slots = {"query", "chosen", "open_tag", "close_tag", "nonce"};
      slots.insert(slots.end(), more);
      return Template(text, slots, std::string("TpoOptions.texts.") + name);
    };
    const TpoTexts& t = options_.texts;
    texts_ = {.contrast = read(t.contrast, "contrast", {"rejected"}),
              .revision = read(t.revision, "revision", {}),
              .chosen = read(t.chosen, "chosen", {}),
              .loss = read(t.loss, "loss", {"rejected"}),
              .loss_revision = read(t.loss_revision, "loss_revision", {}),
              .gradient = read(t.gradient, "gradient", {"critique"}),
              .fused = read(t.fused, "fused", {"rejected"}),
              .fused_revision = read(t.fused_revision, "fused_revision", {}),
              .update = read(t.update, "update", {"critique", "gradient"})};
    if (!options_.nonce) return;
    if (!texts_.update.uses("open_tag") || !texts_.update.uses("close_tag")) {
      throw InvalidOption("TpoOptions.texts.update", "a text that lacks {open_tag} or {close_tag}",
                          "one that names both, because nobody else tells the model the nonce");
    }
  }

  // "<answer>" and "-1f" make "<answer-1f>".
  [[nodiscard]] static std::string tag(std::string text, const std::string& nonce) {
    constexpr std::string_view brackets = ">])}";
    const bool bracket = brackets.find(text.back()) != std::string_view::npos;
    return text.insert(text.size() - (bracket ? 1 : 0), nonce);
  }

  // The opening of the round and its best response, then what is asked.
  [[nodiscard]] Prompt fill(const State& state, const Round& round, const Template& asked,
                            std::string_view critique = {}, std::string_view gradient = {}) const {
    const bool revises = state.rejected == npos;
    const std::string open = tag(options_.open_tag, state.nonce);
    const std::string close = tag(options_.close_tag, state.nonce);
    const std::array<Template::Slot, 8> slots = {
        {{"query", state.query},
         {"chosen", round.candidate(state.best).response.text},
         {"rejected", revises ? std::string_view{} : round.candidate(state.rejected).response.text},
         {"critique", critique},
         {"gradient", gradient},
         {"open_tag", open},
         {"close_tag", close},
         {"nonce", state.nonce}}};
    return Prompt::from_messages(
        {{"user", (revises ? texts_.revision : texts_.contrast).fill(slots)},
         {"assistant", texts_.chosen.fill(slots)},
         {"user", asked.fill(slots)}});
  }
  void ask_critique(Round& round, Prompt prompt) const {
    round.generate({.prompt = std::move(prompt),
                    .max_tokens = options_.critique_max_tokens,
                    .law = options_.critique_law});
  }

  [[nodiscard]] std::size_t children_of(const State& state) const {
    return options_.critique_per_child ? state.gradients.size() : options_.n;
  }

  [[nodiscard]] bool is_over(const State& state, const Round& round) const {
    if (state.round == options_.rounds) return true;
    const double best = round.candidate(state.best).reward;
    return best >= options_.stop_at ||
           reward_difference(best, round.candidate(state.worst).reward) < options_.min_gap;
  }

  void choose_rejected(State& state, const Round& round) const {
    state.rejected = npos;
    if (options_.mode == TpoMode::revision) return;
    state.rejected =
        options_.rejected == TpoRejected::worst ? state.worst : near_miss(state, round);
    if (state.rejected == npos) {
      ++state.fallbacks;
      return;
    }
    const Candidate& best = round.candidate(state.best);
    const Candidate& rejected = round.candidate(state.rejected);
    if (rejected.reward < best.reward && rejected.response.text != best.response.text) return;
    state.rejected = npos;
    ++state.fallbacks;
  }

  // How often each word, a run of bytes without white space, stands in a text.
  using Words = std::map<std::string_view, std::size_t>;
  static Words words_of(std::string_view text) {
    Words words;
    while (!(text = trimmed(text)).empty()) {
      std::size_t end = 0;
      while (end < text.size() && !Ascii::is_space(text[end])) ++end;
      ++words[text.substr(0, end)];
      text.remove_prefix(end);
    }
    return words;
  }
  // 2 |common| / (|a| + |b|), each word as often as it stands in both: 0 .. 1.
  static double likeness(const Words& a, const Words& b) {
    std::size_t common = 0, total = 0;
    for (const auto& [word, times] : a) {
      total += times;
      const auto found = b.find(word);
      if (found != b.end()) common += std::min(times, found->second);
    }
    for (const auto& [word, times] : b) total += times;
    return total == 0 ? 1 : 2 * static_cast<double>(common) / static_cast<double>(total);
  }

  [[nodiscard]] std::uint64_t near_miss(const State& state, const Round& round) const {
    const Candidate& best = round.candidate(state.best);
    const Words words = words_of(best.response.text);
    std::uint64_t nearest = npos;
    double most = -1;
    for (const std::uint64_t id : state.scored) {
      const Candidate& other = round.candidate(id);
      const double difference = reward_difference(best.reward, other.reward);
      if (!(difference > 0) || difference < options_.margin) continue;
      if (other.response.text == best.response.text) continue;
      const double like = likeness(words, words_of(other.response.text));
      if (like > most) {
        most = like;
        nearest = id;
      }
    }
    return nearest;
  }

  // Calls use(i, text) with each loss or gradient that came and is not blank.
  template <class Use>
  void read_critiques(State& state, const Round& round, Use&& use) const {
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      const Draw& draw = round.draws()[i];
      if (draw.status != DrawStatus::done) continue;
      const std::string_view text = trimmed(draw.response.text);
      if (text.empty()) continue;
      if (draw.response.finish == Finish::length) ++state.critiques_cut;
      use(i, std::string(text));
    }
  }

  void read_child(State& state, const Round& round, const Response& update) const {
    if (update.finish == Finish::length) {
      ++state.discarded_length;
      return;
    }
    const Tagged found = between_tags(update.text, tag(options_.open_tag, state.nonce),
                                      tag(options_.close_tag, state.nonce));
    switch (found.fault) {
      case Tagged::Fault::no_tag:
        ++state.discarded_no_tag;
        return;
      case Tagged::Fault::unclosed:
        ++state.discarded_unclosed;
        return;
      case Tagged::Fault::empty:
        ++state.discarded_empty;
        return;
      case Tagged::Fault::none:
        break;
    }
    const auto before = static_cast<double>(round.candidate(state.best).response.text.size());
    if (before > 0 && static_cast<double>(found.text.size()) > options_.max_growth * before) {
      ++state.discarded_growth;
      return;
    }
    state.children.push_back({.text = std::string(found.text)});
  }

  // Emits what was scored and looks for the best and the worst again; says how many there were.
  std::size_t add(State& state, Round& round, std::uint64_t parent) const {
    std::size_t added = 0;
    for (std::size_t i = 0; i < round.draws().size(); ++i) {
      if (round.draws()[i].status != DrawStatus::done) continue;
      Candidate candidate = round.take(i);
      const double reward = candidate.reward;
      candidate.parent = parent;
      const std::uint64_t id = round.emit(std::move(candidate));
      state.scored.push_back(id);
      ++added;
      if (state.best == npos || reward > round.candidate(state.best).reward) state.best = id;
      if (state.worst == npos || reward < round.candidate(state.worst).reward) state.worst = id;
    }
    return added;
  }

  static void skip(State& state, const Round& round) {
    if (!round.closing()) {
      ++state.skipped_rounds;
      ++state.round;
    }
    state.step = Step::loss;
  }
  static void end_round(State& state, const Round& round, std::size_t added) {
    if (!round.closing()) {
      ++state.round;
      if (added == 0) ++state.empty_rounds;
    }
    state.step = Step::loss;
  }

  TpoOptions options_;
  Read texts_ = {};
};

}  // namespace tilt

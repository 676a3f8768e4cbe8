#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/held.hpp"
#include "tilt/core/random.hpp"
#include "tilt/policy/concept.hpp"
#include "tilt/reward/combine.hpp"
#include "tilt/reward/judge/question.hpp"

namespace tilt {

/// What judges that write have asked for and spent: a run's `Cost` counts only the policy of its
/// decoder.
struct JudgeUsage {
  std::size_t judgements = 0;  ///< generations asked for
  std::size_t unusable = 0;    ///< of those: failed, cut by length, or not to be read
  std::size_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
};

/// The part that judges that write have in common: the policy, one call for a whole batch, and the
/// mean over the judgements that can be read.
template <class P>
class WritingJudge : public RewardOperators {
  static_assert(Policy<std::remove_reference_t<P>>,
                "tilt: the judge is not a Policy; give it a member void generate("
                "std::span<const tilt::Generation>, std::span<tilt::Response>), or wrap a function "
                "of text in tilt::TextPolicy");

 public:
  static constexpr bool partial = false;

  [[nodiscard]] const JudgeUsage& usage() const noexcept { return usage_; }

 protected:
  /// One judgement: its value, or why there is none.
  struct Judgement {
    double value = unset;
    std::exception_ptr error = {};
  };

  /// @param owner  the options, for messages: "ScoreJudgeOptions"
  template <class Options>
  WritingJudge(P&& policy, const Options& options, std::string_view owner)
      : policy_(std::forward<P>(policy)),
        judgements_(options.judgements),
        required_(std::min(options.required, options.judgements)),
        max_tokens_(options.max_tokens),
        law_(options.law),
        seed_(options.seed) {
    const std::string prefix = std::string(owner) + '.';
    require_at_least_one(prefix + "judgements", options.judgements);
    require_at_least_one(prefix + "required", options.required);
    require_at_least_one(prefix + "max_tokens", options.max_tokens);
    check_law(law_, prefix + "law");
    require_option(judgements_ == 1 || law_.temperature > 0, prefix + "law.temperature",
                   law_.temperature, "> 0 where several judgements are averaged");
  }

  [[nodiscard]] std::size_t judgements() const noexcept { return judgements_; }

  /// Appends the generations of one question. Their seeds depend on the question's content alone.
  /// @param ids  keys of what is judged
  void ask(std::vector<Generation>& work, const Prompt& question, std::uint64_t affinity,
           std::initializer_list<std::uint64_t> ids) const {
    std::uint64_t seed = derive_seed(seed_, std::uint64_t{0x6a75646765});
    for (const std::uint64_t id : ids) seed = derive_seed(seed, id);
    for (std::size_t j = 0; j < judgements_; ++j) {
      work.push_back({.prompt = question,
                      .max_tokens = max_tokens_,
                      .law = law_,
                      .seed = derive_seed(seed, j),
                      .affinity = affinity});
    }
  }

  /// Has all generations written by one call and reads each.
  /// @param read  `double read(std::string_view text)`, throws what is wrong with a text
  template <class Read>
  std::vector<Judgement> judge(std::span<const Generation> work, const Read& read) {
    std::vector<Judgement> result(work.size());
    if (work.empty()) return result;
    std::vector<Response> written(work.size());
    std::vector<std::exception_ptr> causes(work.size());
    try {
      policy_.get().generate(work, written);
    } catch (const PartialFailure& failure) {
      if (failure.causes().size() != work.size()) throw;
      causes = failure.causes();
    }
    usage_.judgements += work.size();
    for (std::size_t i = 0; i < work.size(); ++i) {
      usage_.prompt_tokens += written[i].usage.prompt_tokens;
      usage_.cached_tokens += written[i].usage.cached_tokens;
      usage_.generated_tokens += written[i].tokens.size();
      try {
        if (causes[i]) throw RewardError("the judge failed: " + message_of(causes[i]));
        result[i].value = read_one(written[i], read);
      } catch (...) {
        result[i].error = std::current_exception();
        ++usage_.unusable;
      }
    }
    return result;
  }

  /// The mean of the judgements of one question that could be read.
  /// @throws RewardError when these are fewer than required
  double mean_of(std::span<const Judgement> judgements, const Prompt& prompt) const {
    double sum = 0;
    std::size_t usable = 0;
    std::exception_ptr first;
    for (const Judgement& judgement : judgements) {
      if (judgement.error) {
        if (!first) first = judgement.error;
        continue;
      }
      sum += judgement.value;
      ++usable;
    }
    if (usable < required_) {
      throw RewardError("a response to the prompt " + describe(prompt) + " has " +
                        std::to_string(usable) + " of " + std::to_string(required_) +
                        " judgements: " + message_of(first));
    }
    return sum / static_cast<double>(usable);
  }

 private:
  template <class Read>
  static double read_one(const Response& written, const Read& read) {
    const auto refuse = [&](const std::string& cause) {
      throw RewardError("the judge wrote " + end_of(written.text) + ": " + cause);
    };
    if (written.finish == Finish::length) refuse("it was cut at max_tokens");
    if (written.finish != Finish::stop) refuse("it did not finish");
    try {
      return read(std::string_view(written.text));
    } catch (const RewardError& error) {
      refuse(error.what());
    }
    return unset;
  }

  // The last bytes of a text, where a judgement stands.
  static std::string end_of(std::string_view text) {
    constexpr std::size_t shown = 60;
    if (text.size() <= shown) return '"' + std::string(text) + '"';
    std::size_t from = text.size() - shown;  // never inside a UTF-8 character
    while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0u) == 0x80u) ++from;
    return "\"…" + std::string(text.substr(from)) + '"';
  }

  Held<P> policy_;
  std::size_t judgements_, required_, max_tokens_;
  SamplingLaw law_;
  std::uint64_t seed_;
  JudgeUsage usage_ = {};
};

}  // namespace tilt

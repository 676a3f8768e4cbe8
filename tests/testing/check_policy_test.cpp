#include "tilt/testing/check_policy.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/policy/text_policy.hpp"

using namespace tilt;
using namespace tilt::testing;

namespace {

// Six tokens, the last one ends; logits differ with every prefix, text has pieces of any size.
std::vector<double> wave(TokenSpan context) {
  double state = 1;
  for (const Token token : context) state = 0.61 * state + token + 0.37;
  std::vector<double> logits(6);
  for (std::size_t v = 0; v < 6; ++v) {
    logits[v] = 1.2 * std::sin(12.9898 * (state + 0.7 * static_cast<double>(v)));
  }
  logits[5] -= 1.5;
  return logits;
}

struct Pieces {
  std::string operator()(Token token) const {
    static const std::vector<std::string> pieces = {"a", " bc", "\xc3", "\xbc", "\n", ""};
    return pieces.at(static_cast<std::size_t>(token));
  }
};

auto wavy() {
  return LogitPolicy(
      5, [](TokenSpan context) { return wave(context); }, Pieces{});
}

using Inner = decltype(wavy());

// A good policy with a fault planted in what it is asked, or in what it answers.
struct Faulty {
  static constexpr Capabilities capabilities = Inner::capabilities;
  std::function<void(std::vector<Generation>&)> before = [](std::vector<Generation>&) {};
  std::function<void(const Generation&, Response&)> after = [](const Generation&, Response&) {};
  std::function<void(std::vector<double>&)> bend = [](std::vector<double>&) {};
  Inner inner = wavy();

  void generate(std::span<const Generation> work, std::span<Response> out) {
    std::vector<Generation> asked(work.begin(), work.end());
    before(asked);
    inner.generate(asked, out);
    for (std::size_t i = 0; i < work.size(); ++i) after(work[i], out[i]);
  }
  [[nodiscard]] bool is_end(Token token) const { return inner.is_end(token); }
  std::vector<double> logits(const Prompt& prompt, const Response& y) {
    std::vector<double> values = inner.logits(prompt, y);
    bend(values);
    return values;
  }
};

const std::vector<Prompt> prompts = {Prompt::from_tokens({1}), Prompt::from_tokens({2, 3}), "text"};

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += sentence + '\n';
  return text;
}

template <class P>
void check_good(P&& policy, const PolicyCheck& options = {}) {
  const std::vector<std::string> found = check_policy(policy, prompts, options);
  INFO(joined(found));
  CHECK(found.empty());
}

// The fault is found, under the name of the rule that it breaks.
template <class P>
void check_caught(P&& policy, const std::string& rule, const PolicyCheck& options = {}) {
  const std::vector<std::string> found = check_policy(policy, prompts, options);
  INFO("wanted: " << rule << "\nfound:\n" << joined(found));
  CHECK(std::any_of(found.begin(), found.end(),
                    [&](const std::string& sentence) { return sentence.find(rule) == 0; }));
}

auto before_each(std::function<void(Generation&)> change) {
  return [change](std::vector<Generation>& work) {
    for (Generation& one : work) change(one);
  };
}

}  // namespace

TEST_CASE("good policies pass", "[law]") {
  check_good(wavy(), {.segments_equal_whole = true});
  check_good(Faulty{});
  check_good(toy::policy(), {.segments_equal_whole = true});
  check_good(LogitPolicy{-1, [](TokenSpan) { return std::vector<double>(3, 0.0); }});
  check_good(LogitPolicy{-1, [](TokenSpan) { return std::vector<double>{0.0}; }});
  check_good(archetype::Policy(3));
  check_good(archetype::AsyncPolicy(3));
  check_good(TextPolicy{[](std::string_view text) { return "on " + std::string(text); }});
  check_good(TextPolicy{[](std::string_view) { return std::string(); }});
}

TEST_CASE("good policies pass under every law", "[law]") {
  for (const SamplingLaw& law :
       {SamplingLaw{.temperature = 0.6}, SamplingLaw{.temperature = 0}, SamplingLaw{.top_k = 3},
        SamplingLaw{.top_p = 0.8}, SamplingLaw{.min_p = 0.2}, SamplingLaw{.stop = {"a bc"}},
        SamplingLaw{.stop_tokens = {2}},
        SamplingLaw{.temperature = 1.2, .top_k = 5, .top_p = 0.95, .min_p = 0.02}}) {
    check_good(wavy(), {.law = law, .segments_equal_whole = true});
    check_good(toy::policy(), {.law = law});
  }
}

TEST_CASE("a policy that periodically repeats itself is not taken for one that repeats prefixes") {
  for (const std::size_t period : {1u, 2u, 3u, 6u}) {
    check_good(LogitPolicy{-1, [period](TokenSpan context) {
                             std::vector<double> logits(6, -infinity);
                             logits[context.size() % period] = 0;
                             return logits;
                           }});
  }
}

TEST_CASE("faults of length and finish are found") {
  check_caught(Faulty{.before = before_each([](Generation& w) { ++w.max_tokens; })},
               "at most max_tokens new tokens");
  check_caught(Faulty{.before = before_each([](Generation& w) {
                        w.max_tokens -= std::min(w.max_tokens - 1, w.prefix.size());
                      })},
               "a response ends by itself or at max_tokens");
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (y.finish == Finish::stop && y.size() < w.max_tokens) {
                              y.append({.tokens = {0}});
                            }
                          }},
               "nothing follows the end token");
  check_caught(Faulty{.after =
                          [](const Generation&, Response& y) {
                            if (y.finish == Finish::stop && y.size() > 1) {
                              y = y.first(y.size() - 1);
                              y.finish = Finish::stop;
                            }
                          }},
               "a response that ended by itself includes the end token");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.finish = Finish::stop; }},
               "a response that ended by itself includes the end token");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.finish = Finish::length; }},
               "finish is `length` only at max_tokens");
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (y.size() == w.max_tokens) y.finish = Finish::length;
                          }},
               "finish is `stop` where the end token was drawn, also at max_tokens");
  check_caught(Faulty{.after =
                          [](const Generation&, Response& y) {
                            if (y.finish == Finish::length) y.finish = Finish::segment;
                          }},
               "finish is `segment` only where a segment was asked for");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.finish = Finish::error; }},
               "finish is never `error`");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y = {}; }},
               "a response of a policy with tokens has at least one");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.tokens[0] = -1; }},
               "token ids are not negative");
}

TEST_CASE("faults of log-probs and ends are found") {
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.log_probs.pop_back(); }},
               "log-probs are one per token, or none");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.raw_log_probs.clear(); }},
               "a policy with capabilities.log_probs fills both log-probs");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.log_probs[0] = 0.1; }},
               "log-probs are numbers of at most 0");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.log_probs[0] = unset; }},
               "log-probs are numbers of at most 0");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.raw_log_probs[0] -= 0.01; }},
               "under a neutral law log_probs and raw_log_probs are equal");
  check_caught(
      Faulty{.after = [](const Generation&, Response& y) { y.log_probs = y.raw_log_probs; }},
      "log_probs are those of the logits", {.law = {.temperature = 0.6}});
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.ends.pop_back(); }},
               "ends divide the text into one piece per token");
  check_caught(Faulty{.after = [](const Generation&, Response& y) { y.text += "more"; }},
               "ends divide the text into one piece per token");
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            for (auto& end : y.ends) {
                              end += static_cast<std::uint32_t>(w.prefix.text.size());
                            }
                          }},
               "ends divide the text into one piece per token");
}

TEST_CASE("text without ends is found, unless the policy tells text by ids or says what it lacks") {
  const std::string rule = "text comes with ends, or with a detokenize";
  const auto parted = [](const Generation&, Response& y) { y.ends.clear(); };
  check_caught(Faulty{.after = parted}, rule);
  // Also where only the continuations of a prefix lack them, be they single tokens.
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (!w.prefix.empty()) y.ends.clear();
                          }},
               rule);
  struct Honest : Faulty {
    static Capabilities capabilities() {
      Capabilities all = Inner::capabilities;
      all.ends = false;
      return all;
    }
  };
  check_good(Honest{{.after = parted}});
  struct Detokenizing : Faulty {
    std::string detokenize(TokenSpan tokens) {
      std::string text;
      for (const Token token : tokens) text += Pieces{}(token);
      return text;
    }
  };
  check_good(Detokenizing{{.after = parted}});
  struct Lying : Faulty {
    std::string detokenize(TokenSpan) { return "?"; }
  };
  check_caught(Lying{{.after = parted}}, rule);
  // A policy without text has none to lose.
  check_good(Faulty{.after = [](const Generation&, Response& y) {
    y.ends.clear();
    y.text.clear();
  }});
}

TEST_CASE("a repeated prefix is found") {
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (w.prefix.empty()) return;
                            Response whole = w.prefix;
                            whole.append(y);
                            y = whole.first(w.max_tokens);
                            if (y.size() == w.max_tokens) y.finish = Finish::length;
                          }},
               "the prefix is not repeated");
}

TEST_CASE("faults of seeds and batches are found") {
  check_caught(Faulty{.before = before_each([](Generation& w) { w.seed = 1; })},
               "different seeds give independent draws");
  check_caught(Faulty{.before = before_each([calls = std::uint64_t{0}](Generation& w) mutable {
                        w.seed += ++calls;
                      })},
               "the seed decides what is drawn");
  check_caught(Faulty{.before =
                          [](std::vector<Generation>& work) {
                            for (std::size_t i = 0; i < work.size(); ++i) work[i].seed += i;
                          }},
               "a draw does not depend on the batch that it is in");
  check_caught(Faulty{.before =
                          [](std::vector<Generation>& work) {
                            for (Generation& w : work) w.seed += work.size();
                          }},
               "a draw does not depend on the batch that it is in");
  // Neither is asked of a policy that is not deterministic.
  check_good(Faulty{.before = before_each(
                        [calls = std::uint64_t{0}](Generation& w) mutable { w.seed += ++calls; })},
             {.deterministic = false});
}

TEST_CASE("a wrong law is found", "[law]") {
  const std::string rule = "tokens are drawn from the law of the logits";
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.temperature = 1; })}, rule,
               {.law = {.temperature = 0.7}});
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.top_k = 0; })}, rule,
               {.law = {.top_k = 3}});
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.top_p = 1; })}, rule,
               {.law = {.top_p = 0.8}});
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.min_p = 0; })}, rule,
               {.law = {.min_p = 0.3}});
  check_caught(Faulty{.before = before_each([](Generation& w) { w.prompt = "none"; })}, rule);
  check_caught(Faulty{.before = before_each([](Generation& w) { w.prefix = {}; })}, rule);
  check_caught(Faulty{.bend = [](std::vector<double>& logits) { logits[2] += 0.5; }}, rule);
  // Draws that share a random number are not independent.
  check_caught(Faulty{.before = before_each([](Generation& w) { w.seed %= 50; })}, rule);
  check_caught(Faulty{.bend = [](std::vector<double>& logits) { logits[0] = unset; }},
               "logits give a law");
  check_caught(Faulty{.bend = [](std::vector<double>& logits) { logits.resize(1); }},
               "a token drawn is in the vocabulary");
}

TEST_CASE("faults of segments are found") {
  const auto change_rule = [](std::function<void(SegmentRule&)> change) {
    return Faulty{.before = before_each([change](Generation& w) {
                    if (w.until) change(*w.until);
                  })};
  };
  check_caught(Faulty{.before = before_each([](Generation& w) { w.until.reset(); })},
               "at most max_tokens new tokens");
  check_caught(change_rule([](SegmentRule& rule) { rule.min_tokens = 1; }),
               "a segment has at least min_tokens");
  check_caught(change_rule([](SegmentRule& rule) { rule.min_tokens = 3; }),
               "an entropy threshold of 0 ends a segment after min_tokens");
  check_caught(change_rule([](SegmentRule& rule) { rule.entropy = 0; }),
               "an entropy threshold beyond reach leaves the segment its max_tokens");
  check_caught(change_rule([](SegmentRule& rule) { rule.max_tokens = 1; }),
               "a segment of fixed length has that length");
  check_caught(change_rule([](SegmentRule& rule) {
                 if (rule.entropy == 1) rule.entropy = 3;
               }),
               "a segment ends before the first token whose entropy reaches the threshold");
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (w.until && y.finish == Finish::segment) y.finish = Finish::length;
                          }},
               "finish is `length` only at max_tokens");
  // Seeded by the position in the segment instead of that in the response.
  check_caught(
      Faulty{.before = before_each([](Generation& w) { w.seed += 1000 * w.prefix.size(); })},
      "segments joined equal the response made whole", {.segments_equal_whole = true});
}

TEST_CASE("faults of stopping are found") {
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.stop.clear(); })},
               "a stop string ends the response");
  check_caught(Faulty{.before = before_each([](Generation& w) { w.law.stop_tokens.clear(); })},
               "a stop token ends the response");
  // The text of the prefix is forgotten.
  check_caught(Faulty{.before = before_each([](Generation& w) { w.prefix.text.clear(); })},
               "a stop string that begins in the prefix ends the response");
  // The match is cut off.
  check_caught(Faulty{.after =
                          [](const Generation& w, Response& y) {
                            if (w.law.stop.empty() || y.finish != Finish::stop) return;
                            y = y.first(y.size() - 1);
                            y.finish = Finish::stop;
                          }},
               "a stop string ends the response and stays in it");
  // An end token is appended.
  check_caught(
      Faulty{.after =
                 [](const Generation& w, Response& y) {
                   if (w.law.stop_tokens.empty() || y.finish != Finish::stop ||
                       y.tokens.back() == 5 || y.size() == w.max_tokens) {
                     return;
                   }
                   y.append({.tokens = {5}, .ends = {0}, .log_probs = {0}, .raw_log_probs = {0}});
                 }},
      "a stop token ends the response");
}

TEST_CASE("a policy may refuse what it cannot serve, but not draws") {
  const auto refuse = [](std::function<bool(const Generation&)> is_bad) {
    return Faulty{.before = before_each([is_bad](Generation& w) {
                    if (is_bad(w)) throw PolicyError("not served");
                  })};
  };
  check_good(refuse([](const Generation& w) { return !w.law.stop.empty(); }));
  check_good(refuse([](const Generation& w) { return !w.law.stop_tokens.empty(); }));
  check_good(refuse([](const Generation& w) { return w.law.temperature == 0; }));
  check_caught(refuse([](const Generation& w) { return w.prompt == Prompt(); }),
               "an empty prompt is accepted: it threw \"not served\"");
  check_caught(refuse([](const Generation& w) { return w.prompt == Prompt("text"); }),
               "a draw succeeds");
  check_caught(refuse([](const Generation& w) { return !w.prefix.empty(); }),
               "a prefix is continued");
  check_caught(refuse([](const Generation& w) { return w.until.has_value(); }),
               "segments of fixed length are served");
  check_caught(
      refuse([](const Generation& w) { return w.until.has_value() && w.until->needs_entropy(); }),
      "segments by entropy are served");
  check_caught(refuse([](const Generation& w) { return w.max_tokens == 1; }),
               "a small max_tokens is served");
  check_caught(Faulty{.before =
                          [](std::vector<Generation>& work) {
                            if (work.empty()) throw std::logic_error("nothing to do");
                          }},
               "an empty batch is accepted: it threw \"nothing to do\"");
}

TEST_CASE("check_policy: options out of range are refused") {
  CHECK_THROWS_AS(check_policy(wavy(), {Prompt()}, {.draws = 0}), InvalidOption);
  CHECK_THROWS_AS(check_policy(wavy(), {Prompt()}, {.max_tokens = 3}), InvalidOption);
  CHECK_THROWS_AS(check_policy(wavy(), {Prompt()}, {.law = {.top_p = 0}}), InvalidOption);
}

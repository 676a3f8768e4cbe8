#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/random.hpp"
#include "tilt/policy/abilities.hpp"
#include "tilt/policy/ends.hpp"
#include "tilt/testing/enumerate.hpp"
#include "tilt/testing/law.hpp"
#include "tilt/testing/violations.hpp"

namespace tilt::testing {

/// How to check a policy.
struct PolicyCheck {
  std::size_t draws = 8;        ///< responses per prompt, each of another seed
  std::size_t max_tokens = 16;  ///< of each response, at least 4
  SamplingLaw law = {};         ///< of most draws
  /// One-token draws that are compared with the policy's own `logits`; 0: none.
  std::size_t law_draws = 4000;
  /// The same work and seed give the same response, however it is batched.
  bool deterministic = true;
  /// A response made in segments with one seed equals the one made whole, as `LogitPolicy` promises.
  bool segments_equal_whole = false;
  double tolerance = 1e-4;  ///< of log-probs, nats
  std::uint64_t seed = 1;
};

/// Checks a policy against the semantics of the concept; made by `check_policy`.
template <Policy P>
class PolicyChecker {
 public:
  PolicyChecker(P& policy, const PolicyCheck& options)
      : policy_(policy), options_(options), has_tokens_(capabilities_of(policy).tokens) {
    require_at_least_one("PolicyCheck.draws", options.draws);
    require_option(options.max_tokens >= 4, "PolicyCheck.max_tokens", options.max_tokens,
                   "at least 4");
    check_law(options.law, "PolicyCheck.law");
  }

  std::vector<std::string> run(std::span<const Prompt> prompts) {
    require_done(Works{}, "an empty batch is accepted");
    require_done(Generation{.max_tokens = options_.max_tokens, .law = options_.law},
                 "an empty prompt is accepted");
    for (const Prompt& prompt : prompts) check_draws(prompt);
    if (has_tokens_) {
      for (const Prompt& prompt : prompts) {
        check_caps(prompt);
        check_prefixes(prompt);
        check_segments(prompt);
        check_stops(prompt);
      }
      violations_.require(
          prefixes_repeated_[0] * prefixes_repeated_[1] == 0 || prefixes_continued_ > 0,
          "the prefix is not repeated", "every continuation began with the prefix that was given");
      if constexpr (HasLogits<P>) {
        for (const Prompt& prompt : prompts) check_logits(prompt);
      }
    }
    return std::move(violations_).sentences();
  }

 private:
  using Works = std::span<const Generation>;

  // The responses of a batch, or nothing if any item failed; the reason is then in `why_`.
  std::optional<std::vector<Response>> call(Works work) {
    std::vector<Response> out(work.size());
    try {
      policy_.generate(work, out);
      for (std::size_t i = 0; i < work.size(); ++i) fill_ends(policy_, work[i].prefix, out[i]);
    } catch (const PartialFailure& failure) {
      for (const std::exception_ptr& cause : failure.causes()) {
        if (cause) {
          why_ = message_of(cause);
          break;
        }
      }
      return {};
    } catch (...) {
      why_ = message_of(std::current_exception());
      return {};
    }
    return out;
  }
  std::optional<Response> call_one(const Generation& work) {
    auto out = call({&work, 1});
    if (!out) return {};
    return std::move(out->front());
  }
  std::optional<std::vector<Response>> require_done(Works work, std::string_view rule) {
    auto out = call(work);
    if (!out) violations_.add(rule, "it threw \"" + why_ + '"');
    return out;
  }
  std::optional<Response> require_done(const Generation& work, std::string_view rule) {
    auto out = call_one(work);
    if (!out) violations_.add(rule, "it threw \"" + why_ + '"');
    return out;
  }

  static std::string show(const Response& y) {
    std::string text = "tokens";
    for (const Token token : y.tokens) text += ' ' + std::to_string(token);
    return text + " \"" + y.text + '"';
  }
  static std::string show(const Generation& work, const Response& y) {
    return "the prompt " + describe(work.prompt) + ", seed " + std::to_string(work.seed) +
           ", max_tokens " + std::to_string(work.max_tokens) + " gave " + show(y);
  }
  static bool same(const Response& a, const Response& b) {
    return a.tokens == b.tokens && a.text == b.text && a.finish == b.finish;
  }

  // Whether a token ends a response, where the policy tells.
  std::optional<bool> ends(Token token) { return ends_response(policy_, token); }

  // The first n tokens of a response, with their text where it is known.
  static Response part(const Response& y, std::size_t n) {
    if (y.can_cut()) return y.first(n);
    Response ids;
    ids.tokens.assign(y.tokens.begin(), y.tokens.begin() + static_cast<std::ptrdiff_t>(n));
    return ids;
  }

  [[nodiscard]] std::vector<Generation> works(const Prompt& prompt) const {
    std::vector<Generation> work;
    for (std::size_t i = 0; i < options_.draws; ++i) {
      work.push_back({.prompt = prompt,
                      .max_tokens = options_.max_tokens,
                      .law = options_.law,
                      .seed = derive_seed(options_.seed, prompt.key(), i)});
    }
    return work;
  }

  // What must hold of every continuation.
  void check_shape(const Generation& work, const Response& y) {
    const std::string where = show(work, y);
    const std::size_t n = y.size();
    violations_.require(y.finish != Finish::error, "finish is never `error`: failures are thrown",
                        where);
    violations_.require(work.until || y.finish != Finish::segment,
                        "finish is `segment` only where a segment was asked for", where);
    if (!has_tokens_) return;
    const std::size_t most = std::min(work.max_tokens, work.until ? work.until->max_tokens : npos);
    violations_.require(n <= most, "at most max_tokens new tokens", where);
    violations_.require(n > 0,
                        "a response of a policy with tokens has at least one, if only the "
                        "end token",
                        where);
    violations_.require(y.finish == Finish::stop || n == most || work.until,
                        "a response ends by itself or at max_tokens", where);
    violations_.require(y.finish != Finish::length || n == work.max_tokens,
                        "finish is `length` only at max_tokens", where);
    violations_.require(y.finish != Finish::segment || n < work.max_tokens,
                        "at max_tokens finish is `length`, also where a segment ends", where);
    violations_.require(
        std::all_of(y.tokens.begin(), y.tokens.end(), [](Token t) { return t >= 0; }),
        "token ids are not negative", where);
    const auto fits = [n](std::size_t size) { return size == 0 || size == n; };
    violations_.require(fits(y.log_probs.size()) && fits(y.raw_log_probs.size()),
                        "log-probs are one per token, or none", where);
    if (capabilities_of(policy_).log_probs) {
      violations_.require(y.log_probs.size() == n && y.raw_log_probs.size() == n,
                          "a policy with capabilities.log_probs fills both log-probs", where);
    }
    for (const auto* log_probs : {&y.log_probs, &y.raw_log_probs}) {
      for (const double log_prob : *log_probs) {
        violations_.require(log_prob <= options_.tolerance, "log-probs are numbers of at most 0",
                            where + " with log-prob " + to_text(log_prob));
      }
    }
    if (work.law.neutral() && y.log_probs.size() == n && y.raw_log_probs.size() == n) {
      for (std::size_t i = 0; i < n; ++i) {
        violations_.require(near(y.log_probs[i], y.raw_log_probs[i]),
                            "under a neutral law log_probs and raw_log_probs are equal", where);
      }
    }
    violations_.require(fits(y.ends.size()) && std::is_sorted(y.ends.begin(), y.ends.end()) &&
                            (y.ends.empty() || y.ends.back() == y.text.size()),
                        "ends divide the text into one piece per token, or are absent", where);
    const bool has_text = !y.text.empty() || !work.prefix.text.empty();
    const bool can_cut = y.ends.size() == n || !has_text || work.prefix.size() + n < 2;
    violations_.require(can_cut || !y.ends.empty() || !capabilities_of(policy_).ends,
                        "text comes with ends, or with a detokenize that gives this text, or the "
                        "policy says that it has none (capabilities.ends)",
                        where);
    for (std::size_t i = 0; i + 1 < n; ++i) {
      violations_.require(!ends(y.tokens[i]).value_or(false), "nothing follows the end token",
                          where);
    }
    if (n > 0 && work.law.stop.empty() && work.law.stop_tokens.empty() &&
        y.finish == Finish::stop) {
      violations_.require(ends(y.tokens.back()).value_or(true),
                          "a response that ended by itself includes the end token", where);
    }
    if (n > 0 && ends(y.tokens.back()).value_or(false)) {
      violations_.require(y.finish == Finish::stop,
                          "finish is `stop` where the end token was drawn, also at max_tokens",
                          where);
    }
  }

  [[nodiscard]] bool near(double a, double b) const {
    return a == b || std::abs(a - b) <= options_.tolerance * (1 + std::abs(b));
  }

  void check_draws(const Prompt& prompt) {
    std::vector<Generation> work = works(prompt);
    const auto out = require_done(work, "a draw succeeds");
    if (!out) return;
    for (std::size_t i = 0; i < work.size(); ++i) check_shape(work[i], (*out)[i]);
    if (options_.deterministic) {
      if (const auto again = require_done(work, "a draw succeeds when it is repeated")) {
        for (std::size_t i = 0; i < work.size(); ++i) {
          violations_.require(same((*out)[i], (*again)[i]), "the seed decides what is drawn",
                              show(work[i], (*out)[i]) + ", then " + show((*again)[i]));
        }
      }
      // One by one, in another order.
      for (std::size_t i = work.size(); i-- > 0;) {
        const auto single = require_done(work[i], "a draw succeeds alone");
        if (!single) continue;
        violations_.require(same(*single, (*out)[i]),
                            "a draw does not depend on the batch that it is in",
                            show(work[i], (*out)[i]) + ", alone " + show(*single));
      }
    }
    // All draws alike is suspicious where the policy itself says how unlikely that is.
    const Response& first = out->front();
    const bool alike =
        std::all_of(out->begin(), out->end(), [&](const Response& y) { return same(y, first); });
    if (alike && first.size() > 0 && first.log_probs.size() == first.size()) {
      const double log_prob = std::accumulate(first.log_probs.begin(), first.log_probs.end(), 0.0);
      violations_.require(log_prob * static_cast<double>(work.size() - 1) > std::log(1e-6),
                          "different seeds give independent draws",
                          std::to_string(work.size()) +
                              " seeds gave the same response, of log-prob " + to_text(log_prob) +
                              "; " + show(work[0], first));
    }
  }

  void check_caps(const Prompt& prompt) {
    for (const std::size_t most : {std::size_t{1}, std::size_t{2}}) {
      for (Generation& work : works(prompt)) {
        work.max_tokens = most;
        if (const auto y = require_done(work, "a small max_tokens is served")) {
          check_shape(work, *y);
        }
      }
    }
  }

  // A continuation of 2 and of 3 tokens that always begins with them is a repetition; a response of
  // any period larger than 1 is not, since the period does not divide both.
  void check_prefixes(const Prompt& prompt) {
    for (Generation& work : works(prompt)) {
      const auto whole = call_one(work);
      if (!whole) continue;
      for (const std::size_t kept : {std::size_t{2}, std::size_t{3}}) {
        if (whole->size() <= kept) continue;
        Generation rest = work;
        rest.prefix = part(*whole, kept);
        rest.max_tokens = options_.max_tokens - kept;
        const auto y = require_done(rest, "a prefix is continued");
        if (!y) continue;
        check_shape(rest, *y);
        const std::vector<Token>& prefix = rest.prefix.tokens;
        const bool is_constant =
            std::all_of(prefix.begin(), prefix.end(), [&](Token t) { return t == prefix[0]; });
        if (is_constant || y->size() < kept) continue;
        const bool repeated = std::equal(prefix.begin(), prefix.end(), y->tokens.begin());
        ++(repeated ? prefixes_repeated_[kept - 2] : prefixes_continued_);
      }
    }
  }

  void check_segments(const Prompt& prompt) {
    for (Generation& work : works(prompt)) {
      work.until = SegmentRule{.entropy = infinity, .min_tokens = 2, .max_tokens = 2};
      if (const auto y = require_done(work, "segments of fixed length are served")) {
        check_shape(work, *y);
        violations_.require(y->size() >= 2 || y->finish == Finish::stop,
                            "a segment of fixed length has that length", show(work, *y));
        violations_.require(y->size() < 2 || y->finish != Finish::length,
                            "finish is `segment` at the end of a segment", show(work, *y));
      }
      if (!capabilities_of(policy_).segments) continue;
      for (const double entropy : {0.0, 1.0, 3.0, 1e9}) {
        work.until = SegmentRule{.entropy = entropy, .min_tokens = 2, .max_tokens = 3};
        const auto y = require_done(work, "segments by entropy are served");
        if (!y) break;
        check_shape(work, *y);
        const bool by_itself = y->finish == Finish::stop;
        violations_.require(y->size() >= 2 || by_itself, "a segment has at least min_tokens",
                            show(work, *y));
        violations_.require(entropy > 0 || by_itself || y->size() == 2,
                            "an entropy threshold of 0 ends a segment after min_tokens",
                            show(work, *y));
        violations_.require(entropy < 1e9 || by_itself || y->size() == 3,
                            "an entropy threshold beyond reach leaves the segment its max_tokens",
                            show(work, *y));
        if constexpr (HasLogits<P>) check_entropies(work, *y);
      }
    }
    if (options_.segments_equal_whole) check_joined(prompt);
  }

  void check_entropies(const Generation& work, const Response& y) {
    for (std::size_t n = work.until->min_tokens; n <= y.size() && n < work.until->max_tokens; ++n) {
      if (n == y.size() && y.finish != Finish::segment) continue;
      Response context = work.prefix;
      context.append(part(y, n));
      const double seen = entropy(log_softmax(logits_after(policy_, work.prompt, context)));
      if (std::abs(seen - work.until->entropy) <= options_.tolerance) continue;
      violations_.require(
          (seen >= work.until->entropy) == (n == y.size()),
          "a segment ends before the first token whose entropy reaches the threshold",
          show(work, y) + ", the entropy after " + std::to_string(n) + " tokens is " +
              to_text(seen) + ", the threshold " + to_text(work.until->entropy));
    }
  }

  void check_joined(const Prompt& prompt) {
    for (Generation& work : works(prompt)) {
      const auto whole = call_one(work);
      if (!whole) continue;
      Response joined;
      Generation part = work;
      part.until = SegmentRule{.entropy = infinity, .min_tokens = 3, .max_tokens = 3};
      do {
        part.prefix = joined;
        part.max_tokens = work.max_tokens - joined.size();
        const auto y = require_done(part, "a segment is continued");
        if (!y || y->empty()) return;
        joined.append(*y);
      } while (joined.finish == Finish::segment && joined.size() < work.max_tokens);
      violations_.require(same(joined, *whole), "segments joined equal the response made whole",
                          show(work, *whole) + ", in segments " + show(joined));
    }
  }

  // A policy that throws for a field of the law refuses it, which is legal; one that ignores it is
  // not. Greedy draws show it best: a continuation goes on as the whole did.
  void check_stops(const Prompt& prompt) {
    std::vector<Generation> all = works(prompt);
    all.push_back(all.front());
    all.back().law.temperature = 0;
    for (const Generation& work : all) {
      const auto whole = call_one(work);
      if (!whole || whole->size() < 2) continue;
      for (std::size_t i = 1; i < std::min<std::size_t>(whole->size(), 4); ++i) {
        check_stop_token(work, *whole, i);
        check_stop_string(work, *whole, i);
      }
    }
  }

  void check_stop_token(Generation work, const Response& whole, std::size_t i) {
    const Token stop = whole.tokens[i];
    if (ends(stop).value_or(false)) return;
    work.law.stop_tokens = {stop};
    const auto y = call_one(work);
    if (!y) return;
    check_shape(work, *y);
    const auto found = std::find(y->tokens.begin(), y->tokens.end(), stop);
    const bool has = found != y->tokens.end();
    violations_.require(!has || (found + 1 == y->tokens.end() && y->finish == Finish::stop),
                        "a stop token ends the response", show(work, *y));
    violations_.require(!options_.deterministic || has,
                        "a stop token ends the response and stays in it", show(work, *y));
  }

  void check_stop_string(Generation work, const Response& whole, std::size_t i) {
    if (whole.ends.size() != whole.size()) return;
    const auto start_of = [&](std::size_t token) {
      return token == 0 ? std::size_t{0} : std::size_t{whole.ends[token - 1]};
    };
    const std::size_t middle = start_of(i), end = whole.ends[i];
    if (start_of(i - 1) == middle || middle == end) return;  // a token without text
    const std::string stop = whole.text.substr(start_of(i - 1), end - start_of(i - 1));
    work.law.stop = {stop};
    const auto y = call_one(work);
    if (!y) return;
    check_shape(work, *y);
    check_stopped(work, {}, *y, stop);
    violations_.require(!options_.deterministic || y->text.find(stop) != std::string::npos,
                        "a stop string ends the response and stays in it",
                        show(work, *y) + ", the stop string is \"" + stop + '"');
    // The stop string begins in the prefix.
    Generation rest = work;
    rest.prefix = whole.first(i);
    rest.max_tokens = work.max_tokens - i;
    if (rest.prefix.text.find(stop) != std::string::npos) return;
    const auto continued = call_one(rest);
    if (!continued) return;
    check_shape(rest, *continued);
    check_stopped(rest, rest.prefix, *continued, stop);
  }

  // The first occurrence of a stop string is completed by the last token.
  void check_stopped(const Generation& work, const Response& prefix, const Response& y,
                     const std::string& stop) {
    const std::string text = prefix.text + y.text;
    const std::size_t at = text.find(stop);
    if (at == std::string::npos) return;
    const std::size_t last_begins =
        prefix.text.size() +
        (y.ends.size() == y.size() && y.size() >= 2 ? y.ends[y.size() - 2] : 0);
    violations_.require(y.finish == Finish::stop && at + stop.size() > last_begins,
                        prefix.empty()
                            ? "a stop string ends the response"
                            : "a stop string that begins in the prefix ends the response",
                        show(work, y) + ", the stop string is \"" + stop + '"');
  }

  void check_logits(const Prompt& prompt) {
    const Generation work = works(prompt).front();
    const auto y = call_one(work);
    if (!y || y->size() == 0) return;
    for (std::size_t i = 0; i < y->size(); ++i) {
      const std::vector<double> logits = logits_after(policy_, prompt, part(*y, i));
      const std::string where = show(work, part(*y, i));
      if (!std::isfinite(log_sum_exp(logits))) {
        violations_.add("logits give a law: no NaN, no +infinity, not all -infinity", where);
        return;
      }
      const auto token = static_cast<std::size_t>(y->tokens[i]);
      if (token >= logits.size()) {
        violations_.add("a token drawn is in the vocabulary", where);
        return;
      }
      if (y->log_probs.size() != y->size()) continue;
      const double expected = next_token_law(logits, work.law)[token];
      violations_.require(near(y->log_probs[i], expected), "log_probs are those of the logits",
                          where + ", then token " + std::to_string(token) + " of log-prob " +
                              to_text(y->log_probs[i]) + " instead of " + to_text(expected));
    }
    if (options_.law_draws == 0) return;
    check_next_token(work, {});
    if (y->size() > 1) check_next_token(work, part(*y, 1));
  }

  // One-token draws against the law of the logits: the likeliest tokens one by one, the others
  // together.
  void check_next_token(Generation work, const Response& prefix) {
    const std::vector<double> law =
        next_token_law(logits_after(policy_, work.prompt, prefix), work.law);
    std::vector<std::size_t> order(law.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::size_t single = std::min<std::size_t>(15, law.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(single),
                      order.end(), [&](std::size_t a, std::size_t b) { return law[a] > law[b]; });
    std::vector<std::size_t> bin(law.size(), single);
    std::vector<double> probabilities(single + 1);
    for (std::size_t rank = 0; rank < single; ++rank) bin[order[rank]] = rank;
    for (std::size_t id = 0; id < law.size(); ++id) probabilities[bin[id]] += std::exp(law[id]);

    work.prefix = prefix;
    work.max_tokens = 1;
    std::vector<Generation> draws(options_.law_draws, work);
    for (std::size_t i = 0; i < draws.size(); ++i) {
      draws[i].seed = derive_seed(options_.seed, work.prompt.key(), i, 1);
    }
    const auto out = require_done(draws, "a large batch succeeds");
    if (!out) return;
    LawCheck check(probabilities);
    for (const Response& y : *out) {
      const auto token = static_cast<std::size_t>(y.size() == 1 ? y.tokens[0] : -1);
      check.count(token < law.size() && law[token] > -infinity ? bin[token] : npos);
    }
    violations_.require(check.holds(), "tokens are drawn from the law of the logits",
                        "after " + show(prefix) + ", likeliest token first, " + check.report());
  }

  P& policy_;
  PolicyCheck options_;
  bool has_tokens_;
  std::string why_ = {};
  std::size_t prefixes_repeated_[2] = {};  // of 2 and of 3 tokens
  std::size_t prefixes_continued_ = 0;
  Violations violations_ = {};
};

/// Checks a policy against what the concept promises, on prompts that it can answer:
/// - an empty batch and an empty prompt are accepted; no draw fails;
/// - at most `max_tokens` new tokens, the prefix not repeated, nothing after the end token, which is
///   included, and `finish` says how it ended;
/// - log-probs and `ends` of the right size and range;
/// - the same seed gives the same response, alone and in any batch (`deterministic`), and different
///   seeds do not give one response all the time;
/// - segments end where the rule says, and joined equal the whole (`segments_equal_whole`);
/// - stop tokens and stop strings end the response, also over the border of prefix and continuation;
/// - where it tells its `logits`: they give a law, log-probs are those of the logits, and tokens are
///   drawn from it.
///
/// It has to be able to fail: what a policy does not tell (its end token, log-probs, logits) is not
/// checked. A policy without tokens is checked for failures, determinism and `finish` only.
/// Cost: some hundred draws of at most `max_tokens` tokens per prompt, and 2 `law_draws` of one token
/// where it tells its logits.
/// @returns one sentence per rule that is broken; none if all is well
/// @throws InvalidOption for options out of range
template <class P>
  requires Policy<std::remove_reference_t<P>>
[[nodiscard]] std::vector<std::string> check_policy(P&& policy, std::span<const Prompt> prompts,
                                                    const PolicyCheck& options = {}) {
  return PolicyChecker<std::remove_reference_t<P>>(policy, options).run(prompts);
}
template <class P>
  requires Policy<std::remove_reference_t<P>>
[[nodiscard]] std::vector<std::string> check_policy(P&& policy,
                                                    std::initializer_list<Prompt> prompts,
                                                    const PolicyCheck& options = {}) {
  return check_policy(policy, std::span(prompts.begin(), prompts.size()), options);
}

}  // namespace tilt::testing

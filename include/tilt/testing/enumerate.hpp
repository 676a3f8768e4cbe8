#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/error.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/log_math.hpp"
#include "tilt/policy/abilities.hpp"

/// What users need to test their own policies, rewards, samplers and selectors. Nothing here depends
/// on a test framework, and nothing here shares code with what it is meant to test.
namespace tilt::testing {

/// An exact law over finitely many responses: each with its log-probability, nats.
///
/// Responses are told apart by their tokens; those without tokens by their text.
class ResponseLaw {
 public:
  /// Adds a response; if it is there already, its probability grows.
  void add(Response response, double log_prob) {
    const auto [place, is_new] = index_.try_emplace(key(response), responses_.size());
    if (is_new) {
      responses_.push_back(std::move(response));
      log_probs_.push_back(log_prob);
    } else {
      log_probs_[place->second] = log_add(log_probs_[place->second], log_prob);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return responses_.size(); }
  [[nodiscard]] const std::vector<Response>& responses() const noexcept { return responses_; }
  /// Nats; -infinity for a response that the law never gives.
  [[nodiscard]] const std::vector<double>& log_probs() const noexcept { return log_probs_; }

  [[nodiscard]] const Response& response(std::size_t index) const { return responses_.at(index); }
  [[nodiscard]] double log_prob(std::size_t index) const { return log_probs_.at(index); }
  [[nodiscard]] double probability(std::size_t index) const {
    return std::exp(log_probs_.at(index));
  }
  /// All probabilities, in the order of the responses.
  [[nodiscard]] std::vector<double> probabilities() const {
    std::vector<double> all(size());
    std::transform(log_probs_.begin(), log_probs_.end(), all.begin(),
                   [](double log_prob) { return std::exp(log_prob); });
    return all;
  }
  /// The sum of all probabilities: 1 for a law that is complete.
  [[nodiscard]] double total() const { return std::exp(log_sum_exp(log_probs_)); }

  /// The place of a response, or npos if it is not among the enumerated ones.
  [[nodiscard]] std::size_t index_of(const Response& response) const {
    const auto found = index_.find(key(response));
    return found == index_.end() ? npos : found->second;
  }
  /// The place of a response given by its tokens, or npos.
  [[nodiscard]] std::size_t index_of(TokenSpan tokens) const {
    const auto found = index_.find({std::vector<Token>(tokens.begin(), tokens.end()), {}});
    return found == index_.end() ? npos : found->second;
  }

  /// A number for each response, in their order: rewards, lengths, indicators.
  template <std::invocable<const Response&> F>
  [[nodiscard]] std::vector<double> evaluate(F&& function) const {
    std::vector<double> values;
    values.reserve(size());
    for (const Response& response : responses_) {
      values.push_back(static_cast<double>(std::invoke(function, response)));
    }
    return values;
  }

 private:
  using Key = std::pair<std::vector<Token>, std::string>;
  static Key key(const Response& response) {
    return {response.tokens, response.tokens.empty() ? response.text : std::string{}};
  }

  std::vector<Response> responses_ = {};
  std::vector<double> log_probs_ = {};
  std::map<Key, std::size_t> index_ = {};
};

/// log softmax, nats: the model's own next-token law. -infinity stays -infinity.
[[nodiscard]] inline std::vector<double> log_softmax(std::span<const double> logits) {
  const double log_total = log_sum_exp(logits);
  std::vector<double> log_probs(logits.begin(), logits.end());
  for (double& value : log_probs) value -= log_total;
  return log_probs;
}

/// The next-token law that a `SamplingLaw` makes of logits, nats per token id, -infinity for tokens it
/// excludes. Written as plainly as the definition: temperature, top_k, top_p, min_p in this order,
/// ties to the lower id. The stop fields play no part. Cost: a full sort.
[[nodiscard]] inline std::vector<double> next_token_law(std::span<const double> logits,
                                                        const SamplingLaw& law) {
  const std::size_t n = logits.size();
  std::vector<std::size_t> order(n);  // by descending probability, ties by ascending id
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  std::vector<double> kept(n, -infinity);
  if (law.temperature == 0) {
    kept[order[0]] = 0;
    return kept;
  }
  const auto tempered = [&](std::size_t id) {
    return (logits[id] - logits[order[0]]) / law.temperature;
  };
  // A border that is met but for rounding is met.
  constexpr double nearly = 1 - 4 * std::numeric_limits<double>::epsilon();
  std::size_t size = law.top_k == 0 ? n : std::min(law.top_k, n);
  if (law.top_p < 1) {
    double total = 0, mass = 0;
    for (std::size_t rank = 0; rank < size; ++rank) total += std::exp(tempered(order[rank]));
    std::size_t fewest = 0;
    const double target = law.top_p * total * nearly;
    while (fewest < size && mass < target) mass += std::exp(tempered(order[fewest++]));
    size = fewest;
  }
  for (std::size_t rank = 0; rank < size; ++rank) {
    const double relative = tempered(order[rank]);
    const bool is_likely = law.min_p == 0 || std::exp(relative) >= law.min_p * nearly;
    if (is_likely) kept[order[rank]] = relative;
  }
  return log_softmax(kept);
}

/// The entropy of a law given by its log-probabilities, nats.
[[nodiscard]] inline double entropy(std::span<const double> log_probs) {
  double sum = 0;
  for (const double log_prob : log_probs) {
    if (log_prob > -infinity) sum -= std::exp(log_prob) * log_prob;
  }
  return sum;
}

/// A model whose next-token law is known: `logits(prompt, response)` of the token that follows a
/// response, as anything with `data()` and `size()`, of doubles or floats, and `is_end(token)`.
/// Optional: `append_text(token, text)` appends a token's bytes; without it responses have no text.
template <class M>
concept NextTokenModel = HasLogits<M> && HasIsEnd<M>;

/// The logits of the token that follows a response, as doubles.
template <HasLogits M>
[[nodiscard]] std::vector<double> logits_after(M& model, const Prompt& prompt,
                                               const Response& response) {
  auto&& logits = model.logits(prompt, response);
  return {logits.data(), logits.data() + static_cast<std::size_t>(logits.size())};
}

/// Where an enumeration gives up.
inline constexpr std::size_t most_outcomes = 500'000;

/// Every response that `generate` can return for a piece of work, joined to the prefix, with the
/// exact probability of the continuation: `prompt`, `prefix`, `max_tokens`, `law` and `until` are
/// honoured, so that the segments from a prefix are enumerated in the same way as whole responses.
/// Tokens of probability 0 are left out. The responses carry text, ends, log-probs and `finish`.
///
/// Cost: one call of `logits` per prefix; there are up to V^max_tokens of them.
/// @throws Error when there are more than `most_outcomes` responses
template <NextTokenModel M>
[[nodiscard]] ResponseLaw enumerate(M& model, const Generation& work) {
  constexpr bool has_text = requires(std::string & text) { model.append_text(Token{}, text); };
  ResponseLaw result;
  std::string before = work.prefix.text;
  if constexpr (has_text) {
    if (before.empty() && work.prefix.ends.empty()) {
      for (const Token token : work.prefix.tokens) model.append_text(token, before);
    }
  }
  Response part;  // the continuation so far
  part.finish = Finish::length;

  const auto keep = [&](Finish finish, double log_prob) {
    if (result.size() == most_outcomes) {
      throw Error("there are more than " + std::to_string(most_outcomes) +
                  " responses to enumerate; lower max_tokens or the vocabulary");
    }
    Response whole = work.prefix;
    whole.append(part);
    whole.finish = finish;
    result.add(std::move(whole), log_prob);
  };
  const auto is_last = [&](Token token, std::size_t fresh) {
    if (model.is_end(token)) return true;
    for (const Token stop : work.law.stop_tokens) {
      if (token == stop) return true;
    }
    const std::string text = before + part.text;
    for (const std::string& stop : work.law.stop) {
      const std::size_t at = text.rfind(stop);
      if (at != std::string::npos && at + stop.size() > text.size() - fresh) return true;
    }
    return false;
  };

  const auto visit = [&](const auto& self, double log_prob) -> void {
    if (part.size() == work.max_tokens) return keep(Finish::length, log_prob);
    if (work.until && part.size() == work.until->max_tokens) {
      return keep(Finish::segment, log_prob);
    }
    Response context = work.prefix;
    context.append(part);
    const std::vector<double> values = logits_after(model, work.prompt, context);
    const std::vector<double> raw = log_softmax(values);
    if (work.until && part.size() >= work.until->min_tokens &&
        entropy(raw) >= work.until->entropy) {
      return keep(Finish::segment, log_prob);
    }
    const std::vector<double> law = next_token_law(values, work.law);
    for (std::size_t id = 0; id < law.size(); ++id) {
      if (law[id] == -infinity) continue;
      const auto token = static_cast<Token>(id);
      const std::size_t bytes = part.text.size();
      part.tokens.push_back(token);
      part.log_probs.push_back(law[id]);
      part.raw_log_probs.push_back(raw[id]);
      if constexpr (has_text) {
        std::string text = before + part.text;  // a piece may depend on what stands before
        model.append_text(token, text);
        part.text = text.substr(before.size());
        part.ends.push_back(static_cast<std::uint32_t>(part.text.size()));
      }
      if (is_last(token, part.text.size() - bytes)) {
        keep(Finish::stop, log_prob + law[id]);
      } else {
        self(self, log_prob + law[id]);
      }
      part.tokens.pop_back();
      part.log_probs.pop_back();
      part.raw_log_probs.pop_back();
      part.text.resize(bytes);
      if constexpr (has_text) part.ends.pop_back();
    }
  };
  visit(visit, 0);
  return result;
}

/// Every response of at most `max_tokens` tokens with its exact probability under a sampling law.
template <NextTokenModel M>
[[nodiscard]] ResponseLaw enumerate(M& model, const Prompt& prompt, std::size_t max_tokens,
                                    const SamplingLaw& law = {}) {
  return enumerate(model, Generation{.prompt = prompt, .max_tokens = max_tokens, .law = law});
}

/// log of the mean of exp(reward / beta) under a law, nats: the log of the tilted law's normaliser.
/// @param rewards  one per response of the law, in its order; -infinity is legal
[[nodiscard]] inline double log_normalizer(const ResponseLaw& law, std::span<const double> rewards,
                                           double beta) {
  std::vector<double> terms(law.size());
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] = law.log_prob(i) + rewards[i] / beta;
  return log_sum_exp(terms);
}

/// The tilted law, p(y) exp(r(y) / beta) / Z, over the same responses in the same order.
/// @param rewards  one per response of the law, in its order; -infinity gives probability 0
[[nodiscard]] inline ResponseLaw tilted(const ResponseLaw& law, std::span<const double> rewards,
                                        double beta) {
  const double log_z = log_normalizer(law, rewards, beta);
  ResponseLaw result;
  for (std::size_t i = 0; i < law.size(); ++i) {
    result.add(law.response(i), law.log_prob(i) + rewards[i] / beta - log_z);
  }
  return result;
}

/// The mean of a number per response; responses of probability 0 contribute nothing.
[[nodiscard]] inline double expectation(const ResponseLaw& law, std::span<const double> values) {
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    const double p = law.probability(i);
    if (p > 0) sum += p * values[i];
  }
  return sum;
}

/// Half the L1 distance of two laws over the same outcomes, 0 to 1.
[[nodiscard]] inline double total_variation(std::span<const double> p, std::span<const double> q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::abs(p[i] - q[i]);
  return sum / 2;
}

/// Half the L1 distance of two laws; a response that only one has counts with its probability.
[[nodiscard]] inline double total_variation(const ResponseLaw& p, const ResponseLaw& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const std::size_t j = q.index_of(p.response(i));
    sum += std::abs(p.probability(i) - (j == npos ? 0 : q.probability(j)));
  }
  for (std::size_t j = 0; j < q.size(); ++j) {
    if (p.index_of(q.response(j)) == npos) sum += q.probability(j);
  }
  return sum / 2;
}

/// KL(p || q), nats; infinite when p gives a response that q does not.
[[nodiscard]] inline double kl(const ResponseLaw& p, const ResponseLaw& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p.log_prob(i) == -infinity) continue;
    const std::size_t j = q.index_of(p.response(i));
    if (j == npos || q.log_prob(j) == -infinity) return infinity;
    sum += p.probability(i) * (p.log_prob(i) - q.log_prob(j));
  }
  return sum;
}

}  // namespace tilt::testing

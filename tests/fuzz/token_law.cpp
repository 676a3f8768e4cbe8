// TokenLaw against a slow reference in long double.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "fuzz/target.hpp"
#include "tilt/core/token_law.hpp"

using namespace tilt;

namespace {

/// The law of the next token, or nothing where rounding may decide which tokens are kept.
template <class Scalar>
std::vector<long double> reference(const std::vector<Scalar>& logits, const SamplingLaw& law) {
  const std::size_t n = logits.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  const long double largest = logits[order[0]];
  std::vector<long double> law_of(n, 0);
  if (law.temperature == 0) {
    law_of[order[0]] = 1;
    return law_of;
  }
  std::vector<long double> weights(n);  // by rank
  for (std::size_t i = 0; i < n; ++i) {
    weights[i] = std::exp((logits[order[i]] - largest) / static_cast<long double>(law.temperature));
  }
  std::size_t kept = n;
  while (kept > 1 && weights[kept - 1] <= 0) --kept;
  if (law.top_k > 0) kept = std::min(kept, law.top_k);
  constexpr long double close = 1e-6L;  // relative, of floats
  if (law.top_p < 1) {
    const long double total =
        std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(kept), 0.0L);
    long double mass = 0;
    std::size_t nucleus = 0;
    while (nucleus < kept && mass < law.top_p * total) {
      mass += weights[nucleus++];
      if (std::fabs(mass - law.top_p * total) < close * total) return {};
    }
    kept = std::max<std::size_t>(nucleus, 1);
  }
  for (std::size_t i = 1; i < kept; ++i) {
    if (law.min_p > 0 && std::fabs(weights[i] - law.min_p) < close * law.min_p) return {};
    if (weights[i] < law.min_p) kept = i;
  }
  long double total = 0;
  for (std::size_t i = 0; i < kept; ++i) total += weights[i];
  for (std::size_t i = 0; i < kept; ++i) law_of[order[i]] = weights[i] / total;
  return law_of;
}

template <class Scalar>
void check(const std::vector<Scalar>& logits, const SamplingLaw& law, double uniform) {
  TokenLaw<Scalar> mine;
  try {
    mine.read(logits);
  } catch (const PolicyError&) {
    const bool legal =
        std::ranges::none_of(logits, [](Scalar x) { return std::isnan(x) || x == INFINITY; }) &&
        std::ranges::any_of(logits, [](Scalar x) { return x > -INFINITY; });
    fuzz::require(!legal, "logits that make a law are read");
    return;
  }
  const std::vector<long double> law_of = reference(logits, law);
  if (law_of.empty()) return;
  const long double allowed = sizeof(Scalar) == 4 ? 3e-4L : 1e-8L;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const long double p =
        std::exp(static_cast<long double>(mine.log_prob(law, static_cast<Token>(i))));
    fuzz::require(std::fabs(p - law_of[i]) <= allowed, "a log-probability is that of the law");
  }
  const TokenDraw draw = mine.draw(law, uniform);
  const auto token = static_cast<std::size_t>(draw.token);
  fuzz::require(draw.token >= 0 && token < logits.size(), "a draw is a token of the vocabulary");
  fuzz::require(law_of[token] > 0 || logits[token] > -INFINITY, "a draw is possible");
  fuzz::require(
      std::fabs(std::exp(static_cast<long double>(draw.log_prob)) - law_of[token]) <= allowed,
      "a draw tells its log-probability");
  fuzz::require(std::isfinite(mine.entropy()) && mine.entropy() > -1e-4 &&
                    mine.entropy() < std::log(static_cast<double>(logits.size())) + 1e-4,
                "the entropy is between 0 and the logarithm of the vocabulary");
}

}  // namespace

void fuzz::run(Bytes input) {
  constexpr double temperatures[] = {1, 0.7, 0.1, 2, 0, 10};
  SamplingLaw law;
  law.temperature = temperatures[input.below(std::size(temperatures))];
  law.top_k = input.below(3) == 0 ? input.below(12) : 0;
  law.top_p = input.below(3) == 0 ? 1 - input.uniform() : 1;
  law.min_p = input.below(3) == 0 ? input.uniform() : 0;
  const double uniform = input.uniform();
  const std::size_t n = 1 + input.below(600);  // of more than two blocks
  std::vector<double> logits;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t byte = input.byte();
    logits.push_back(byte == 255   ? NAN
                     : byte == 254 ? INFINITY
                     : byte >= 250 ? -INFINITY
                     : byte >= 245 ? 40.0 * (byte - 247)
                                   : (byte % 32) * 0.37 - 5);
  }
  check(logits, law, uniform);
  check(std::vector<float>(logits.begin(), logits.end()), law, uniform);
}

#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/response.hpp"
#include "tilt/selector/eligible.hpp"

namespace tilt {

/// A function u(hypothesis, reference): what a response is worth if the other one were right. Callable
/// on two `const Response&` (tried first) or two `std::string_view` (their texts), const, giving a
/// finite number in any scale. It need not be symmetric: the first argument is the hypothesis, the
/// response that is judged; the second is the reference that it is judged by.
template <class U>
concept Utility = std::is_invocable_r_v<double, const U&, const Response&, const Response&> ||
    std::is_invocable_r_v<double, const U&, std::string_view, std::string_view>;

/// A utility that works out what it needs of a response once, not once per pair: `u.prepare(response)`
/// gives a value that it is then called with in place of the response. The value may refer to the
/// response.
template <class U>
concept PreparedUtility = Utility<U> && requires(const U& utility, const Response& response) {
  { utility(utility.prepare(response), utility.prepare(response)) } -> std::convertible_to<double>;
};

/// u(hypothesis, reference).
template <Utility U>
[[nodiscard]] double utility_of(const U& utility, const Response& hypothesis,
                                const Response& reference) {
  if constexpr (std::is_invocable_r_v<double, const U&, const Response&, const Response&>) {
    return static_cast<double>(std::invoke(utility, hypothesis, reference));
  } else {
    return static_cast<double>(
        std::invoke(utility, std::string_view(hypothesis.text), std::string_view(reference.text)));
  }
}

/// The words of a text, split at ASCII white space, as they stand: case and punctuation count. They
/// refer to the text.
[[nodiscard]] inline std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view spaces = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(spaces); begin != npos;) {
    const std::size_t end = std::min(text.find_first_of(spaces, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(spaces, end);
  }
  return words;
}

/// The overlap F1 of two responses as multisets: 2 |a and b| / (|a| + |b|), from 0 to 1, symmetric.
///
/// Of token ids where both responses have ids, the end token included; else of the words of their
/// texts (`words_of`). Two empty responses have 1, an empty one and another 0.
///
/// Cost: a sort of each response once, and a merge of two sorted lists per pair.
struct TokenF1 {
  /// The tokens and the words of a response, sorted. Refers to the response's text.
  struct Bag {
    bool has_ids = false;
    std::vector<Token> tokens = {};
    std::vector<std::string_view> words = {};
  };

  [[nodiscard]] Bag prepare(const Response& response) const {
    Bag bag{.has_ids = !response.tokens.empty() || response.text.empty(),
            .tokens = response.tokens,
            .words = words_of(response.text)};
    std::sort(bag.tokens.begin(), bag.tokens.end());
    std::sort(bag.words.begin(), bag.words.end());
    return bag;
  }

  [[nodiscard]] double operator()(const Bag& a, const Bag& b) const {
    return a.has_ids && b.has_ids ? f1(a.tokens, b.tokens) : f1(a.words, b.words);
  }
  [[nodiscard]] double operator()(const Response& a, const Response& b) const {
    return (*this)(prepare(a), prepare(b));
  }

 private:
  template <class T>
  static double f1(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.empty() && b.empty()) return 1;
    std::size_t common = 0;
    for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
      if (*x < *y) {
        ++x;
      } else if (*y < *x) {
        ++y;
      } else {
        ++common, ++x, ++y;
      }
    }
    return 2 * static_cast<double>(common) / static_cast<double>(a.size() + b.size());
  }
};
inline constexpr TokenF1 token_f1{};

/// 1 for two responses of the same text, byte by byte, else 0. Symmetric.
struct ExactMatch {
  [[nodiscard]] double operator()(std::string_view a, std::string_view b) const {
    return a == b ? 1 : 0;
  }
};
inline constexpr ExactMatch exact_match{};

/// Mean utilities, and how far those that are equal on paper may differ by rounding.
struct ExpectedUtilities {
  Eigen::VectorXd values = {};  ///< one per candidate
  double rounding = 0;          ///< 1e-11 of the largest utility that was seen, either sign
};

/// The expected utility of each candidate under the population's own law: the mean over all
/// candidates j, the candidate itself included, of u(candidate, j) by weight,
///
///     sum_j w_j u(y_i, y_j) / sum_j w_j.
///
/// Cost: n^2 utilities; memory of the order n.
/// @throws Error naming the pair when a utility is NaN or infinite
template <Utility U>
[[nodiscard]] ExpectedUtilities expected_utilities(const U& utility,
                                                   std::span<const Eligible> candidates) {
  const auto n = static_cast<Eigen::Index>(candidates.size());
  const auto at = [&](Eigen::Index i) -> const Eligible& {
    return candidates[static_cast<std::size_t>(i)];
  };
  const auto prepared = [&] {
    if constexpr (PreparedUtility<U>) {
      std::vector<std::remove_cvref_t<decltype(utility.prepare(at(0).candidate->response))>> all;
      all.reserve(candidates.size());
      for (const Eligible& e : candidates) all.push_back(utility.prepare(e.candidate->response));
      return all;
    } else {
      return std::vector<char>{};
    }
  }();
  const auto value = [&](Eigen::Index i, Eigen::Index j) -> double {
    if constexpr (PreparedUtility<U>) {
      return utility(prepared[static_cast<std::size_t>(i)], prepared[static_cast<std::size_t>(j)]);
    } else {
      return utility_of(utility, at(i).candidate->response, at(j).candidate->response);
    }
  };
  Eigen::VectorXd weights(n), row(n);
  for (Eigen::Index j = 0; j < n; ++j) weights[j] = at(j).weight;
  const double total = weights.sum();
  double largest = 0;
  ExpectedUtilities expected{.values = Eigen::VectorXd(n)};
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      const double u = value(i, j);
      if (!std::isfinite(u)) {
        throw Error("the utility of candidate " + std::to_string(at(i).index) + " with candidate " +
                    std::to_string(at(j).index) + " as the reference is " + to_text(u) +
                    "; make the utility give a finite number for every pair, such as "
                    "its lowest value where the two cannot be compared");
      }
      row[j] = u;
    }
    largest = std::max(largest, row.lpNorm<Eigen::Infinity>());
    expected.values[i] = row.dot(weights) / total;
  }
  expected.rounding = 1e-11 * largest;
  return expected;
}

}  // namespace tilt

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"
#include "tilt/stats/panels.hpp"
#include "tilt/stats/transform.hpp"

namespace tilt {

/// A policy that re-weights the base law by reward quantile: a density f on [0, 1]. What it wins and
/// what it costs do not depend on the base law or the reward, as long as no two responses have the same
/// reward (with ties the KL is an upper bound):
///
///     win rate  W = int u f(u) du          probability of a better reward than a base draw's
///     KL        int f log f                to the base law, nats
///     best of n  1 - n int F^n u^(n-1)     our best of n against the base law's best of n
///     worst of n n int (1-F)^n (1-u)^(n-1) our worst of n against the base law's worst of n
///     max f     the draws that exact rejection needs on average
///
///     QuantileTilt::from(transform::identity, 0.25)     // f = exp(4u) 4 / (e^4 - 1)
///     QuantileTilt::best_of(4, 0.1).kl()                // optimal for a best-of-4 caller
///
/// Cost: about a millisecond to build; `win_rate`, `kl` and `max_density` are then kept, and the win
/// rates of n draws take tens of microseconds. Accuracy: near 1e-10 for smooth densities and for those
/// with jumps, wherever they are; a peak that is much narrower than 0.01 and rises from nothing can be
/// missed. Cheap to copy: copies share a table.
///
/// Source: Balashankar et al. 2024 (2412.19792), in quantiles.
class QuantileTilt {
 public:
  using Function = std::function<double(double)>;

  /// f = exp(Phi/beta) / Z.
  /// @param phi   nondecreasing on [0, 1]; -infinity is legal except at 1. Jumps are legal
  /// @param beta  > 0
  /// @throws InvalidOption for a transform that decreases or gives NaN or +infinity, and for beta
  [[nodiscard]] static QuantileTilt from(Function phi, double beta) {
    require_positive("QuantileTilt::from.beta", beta);
    transform::check(phi, "QuantileTilt::from.transform");
    const double top = phi(1);
    const auto density = [phi = std::move(phi), beta, top](double u) {
      const double value = phi(u);
      require_option(!std::isnan(value) && value < infinity, "QuantileTilt::from.transform", value,
                     "finite or -infinity everywhere");
      return std::exp((value - top) / beta);
    };
    QuantileTilt tilt = from_density(density);
    const std::vector<double>& f = tilt.table_->f;
    for (std::size_t i = 1; i < f.size(); ++i) {
      require_option(f[i] >= f[i - 1] * (1 - 1e-6), "QuantileTilt::from.transform",
                     tilt.table_->panels.node(i), "nondecreasing; it falls before this quantile");
    }
    return tilt;
  }

  /// The optimal density for a caller who takes the best of n of our answers: it maximises
  /// `win_rate_best_of(n)` - beta `kl()`.
  /// @throws as `transform::best_of`
  [[nodiscard]] static QuantileTilt best_of(std::size_t n, double beta) {
    return QuantileTilt(transform::best_of(n, beta));
  }
  /// The optimal density against a caller who keeps the worst of n of our answers.
  /// @throws as `transform::worst_of`
  [[nodiscard]] static QuantileTilt worst_of(std::size_t n, double beta) {
    return QuantileTilt(transform::worst_of(n, beta));
  }

  /// Any density, given up to a factor: n u^(n-1) of best-of-n, (1 - e) + e k u^(k-1) of a mixture with
  /// the base law, (1 + m u) exp(m(u - 1)) of best-of-Poisson.
  /// @param density  >= 0, finite within (0, 1), not 0 everywhere. Jumps are legal
  /// @throws InvalidOption otherwise
  [[nodiscard]] static QuantileTilt from_density(Function density) {
    if (!density) {
      throw InvalidOption("QuantileTilt::from_density.density", "empty",
                          "a function of a quantile");
    }
    const auto checked = [&density](double u) {
      const double value = density(u);
      require_option(value >= 0 && value < infinity, "QuantileTilt::from_density.density", value,
                     "a finite number >= 0");
      return value;
    };
    std::vector<double> f;
    Panels panels(checked, 1e-14, f);
    const double total = panels.integral(f);
    require_option(total > 0, "the integral of QuantileTilt::from_density.density", total,
                   "greater than 0");
    for (double& value : f) value /= total;
    return QuantileTilt(
        std::move(panels), std::move(f),
        [density = std::move(density), total](double u) { return density(u) / total; }, 0);
  }

  /// Of n draws sorted by ascending reward the j-th, drawn in proportion to weights[j-1]: the density
  /// is sum_j p_j Beta(u; j, n-j+1), exactly, for any reward. Its win rate is sum_j j p_j / (n+1), its
  /// KL at most log n - (n-1)/n.
  /// @param weights  finite, >= 0, at least one positive
  /// @throws InvalidOption otherwise
  [[nodiscard]] static QuantileTilt from_rank_weights(std::span<const double> weights) {
    require_at_least_one("QuantileTilt::from_rank_weights.weights", weights.size());
    for (const double weight : weights) {
      require_option(weight >= 0 && weight < infinity, "QuantileTilt::from_rank_weights.weights",
                     weight, "finite numbers >= 0");
    }
    // log of weight times the binomial coefficient of n-1 over j.
    const auto most = static_cast<double>(weights.size() - 1);
    std::vector<double> log_terms(weights.size());
    double log_binomial = 0;
    for (std::size_t j = 0; j < weights.size(); ++j) {
      log_terms[j] = std::log(weights[j]) + log_binomial;
      log_binomial += std::log((most - static_cast<double>(j)) / static_cast<double>(j + 1));
    }
    return from_density([log_terms = std::move(log_terms), most](double u) {
      if (u <= 0) return std::exp(log_terms.front());
      if (u >= 1) return std::exp(log_terms.back());
      const double log_u = std::log(u), log_rest = std::log1p(-u);
      double sum = 0;
      for (std::size_t j = 0; j < log_terms.size(); ++j) {
        const auto below = static_cast<double>(j);
        sum += std::exp(log_terms[j] + below * log_u + (most - below) * log_rest);
      }
      return sum;
    });
  }

  /// f(u).
  /// @throws InvalidOption unless 0 <= u <= 1
  [[nodiscard]] double density(double u) const {
    require_fraction("QuantileTilt.density.u", u);
    return table_->evaluate(u);
  }
  /// The largest density; of a nondecreasing one f(1).
  [[nodiscard]] double max_density() const noexcept { return table_->max_density; }
  /// The probability that an answer's reward is above that of a base draw, ties counting 1/2.
  [[nodiscard]] double win_rate() const noexcept { return table_->win_rate; }
  /// To the base law, nats.
  [[nodiscard]] double kl() const noexcept { return table_->kl; }

  /// The probability that the best of n answers beats the best of n base draws.
  /// @throws InvalidOption when n is 0
  [[nodiscard]] double win_rate_best_of(std::size_t n) const {
    require_at_least_one("QuantileTilt.win_rate_best_of.n", n);
    const Panels& panels = table_->panels;
    std::vector<double> mass(panels.size());
    panels.integrate_from_zero(table_->f, mass);
    const auto draws = static_cast<double>(n);
    for (std::size_t i = 0; i < mass.size(); ++i) {
      mass[i] *= draws * std::pow(mass[i] * panels.node(i), draws - 1);
    }
    return 1 - panels.integral(mass);
  }
  /// The probability that the worst of n answers beats the worst of n base draws.
  /// @throws InvalidOption when n is 0
  [[nodiscard]] double win_rate_worst_of(std::size_t n) const {
    require_at_least_one("QuantileTilt.win_rate_worst_of.n", n);
    const Panels& panels = table_->panels;
    std::vector<double> mass(panels.size());
    panels.integrate_to_one(table_->f, mass);
    const auto draws = static_cast<double>(n);
    for (std::size_t i = 0; i < mass.size(); ++i) {
      mass[i] *= draws * std::pow(mass[i] * panels.distance_to_one(i), draws - 1);
    }
    return panels.integral(mass);
  }

  /// The error of the solver of `best_of` and `worst_of` (see `transform::FixedPoint::residual`); 0 of a
  /// density that is given.
  [[nodiscard]] double residual() const noexcept { return table_->residual; }

 private:
  struct Table {
    Panels panels;
    std::vector<double> f;  // at the nodes
    Function evaluate;
    double residual = 0, max_density = 0, win_rate = 0, kl = 0;
  };

  explicit QuantileTilt(const transform::FixedPoint& solved) {
    std::vector<double> f;
    f.reserve(solved.panels().size());
    for (const double log_f : solved.log_densities()) f.push_back(std::exp(log_f));
    build(
        solved.panels(), std::move(f),
        [solved](double u) { return std::exp(solved.log_density(u)); }, solved.residual(), false);
  }
  QuantileTilt(Panels panels, std::vector<double> f, Function evaluate, double residual) {
    build(std::move(panels), std::move(f), std::move(evaluate), residual, true);
  }

  // @param may_peak  false of one that does not fall: what a solved one rises to between nodes is its error
  void build(Panels panels, std::vector<double> f, Function evaluate, double residual,
             bool may_peak) {
    auto table = std::make_shared<Table>(
        Table{std::move(panels), std::move(f), std::move(evaluate), residual});
    table->max_density = largest(*table, may_peak);
    std::vector<double> terms(table->f.size());
    for (std::size_t i = 0; i < terms.size(); ++i) {
      terms[i] = table->f[i] * table->panels.node(i);
    }
    table->win_rate = table->panels.integral(terms);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      terms[i] = table->f[i] > 0 ? table->f[i] * std::log(table->f[i]) : 0;
    }
    table->kl = std::max(0.0, table->panels.integral(terms));
    table_ = std::move(table);
  }

  // The largest density: at an end, at a node, or at a peak between the neighbours of a node.
  static double largest(const Table& table, bool may_peak) {
    const std::vector<double>& f = table.f;
    double most =
        std::max({*std::max_element(f.begin(), f.end()), table.evaluate(0), table.evaluate(1)});
    if (!may_peak) return most;
    const double near = 0.9 * most;
    for (std::size_t i = 1; i + 1 < f.size(); ++i) {
      const double beside = std::min(f[i - 1], f[i + 1]);
      // Where the neighbours are as high to ten digits a peak between them is no higher.
      if (f[i] < near || f[i] < f[i - 1] || f[i] < f[i + 1] || f[i] <= beside * (1 + 1e-10)) {
        continue;
      }
      most = std::max(most, peak(table, table.panels.node(i - 1), table.panels.node(i + 1)));
    }
    return most;
  }
  // The highest density seen while the golden section closes in on a peak between two quantiles.
  static double peak(const Table& table, double low, double high) {
    const double golden = 0.5 * (std::sqrt(5.0) - 1);
    double left = high - golden * (high - low), right = low + golden * (high - low);
    double at_left = table.evaluate(left), at_right = table.evaluate(right);
    double most = std::max(at_left, at_right);
    for (int step = 0; step < 60; ++step) {
      if (at_left > at_right) {
        high = right;
        right = left;
        at_right = at_left;
        left = high - golden * (high - low);
        at_left = table.evaluate(left);
      } else {
        low = left;
        left = right;
        at_left = at_right;
        right = low + golden * (high - low);
        at_right = table.evaluate(right);
      }
      most = std::max({most, at_left, at_right});
    }
    return most;
  }

  std::shared_ptr<const Table> table_ = {};
};

}  // namespace tilt

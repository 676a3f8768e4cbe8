#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/token.hpp"
#include "tilt/stats/panels.hpp"

/// Transforms of calibrated rewards: functions of the quantile u in [0, 1] that a response's reward has
/// under the base law. A method that tilts by the transformed reward, p(y) exp(Phi(u(y))/beta) / Z,
/// re-weights the base law by reward quantile alone, whatever the scale of the reward. Which transform
/// is best depends on what is done with the answer:
///
/// - nothing: `identity`; it is optimal for the plain win rate against the base law;
/// - somebody takes the best of n of our answers: `best_of(n, beta)`, or near it `exponential(t)`, t > 0;
/// - somebody tries n times and keeps the worst (a jailbreak): `worst_of(n, beta)`, or near it
///   `exponential(t)`, t < 0, or `drop_below(tau)`;
/// - best-of-n is to be imitated by one answer: `log`.
///
/// All are nondecreasing. Source: Balashankar et al. 2024 (2412.19792), InfAlign.
namespace tilt::transform {

struct Identity {
  [[nodiscard]] double operator()(double u) const noexcept { return u; }
};
/// Phi(u) = u.
inline constexpr Identity identity{};

struct Log {
  [[nodiscard]] double operator()(double u) const noexcept { return std::log(u); }
};
/// Phi(u) = log u, -infinity at 0: the tilt is the density m u^(m-1) with m = 1 + 1/beta, that of
/// best-of-m.
inline constexpr Log log{};

struct Exponential {
  double t;  ///< finite, not 0
  [[nodiscard]] double operator()(double u) const noexcept {
    return t > 0 ? std::exp(t * u) : -std::exp(t * u);
  }
};
/// Phi(u) = sign(t) exp(t u). t of about 3 to 5 is near `best_of(2)`, about 10 near `best_of(4)`; the
/// negative ones near `worst_of`. A large t amplifies the noise of an estimated quantile: see
/// `plug_in_bias`.
/// @throws InvalidOption unless t is finite, not 0, and at most 709, where exp overflows
[[nodiscard]] inline Exponential exponential(double t) {
  require_option(std::isfinite(t) && t != 0 && t <= 709, "transform::exponential.t", t,
                 "a finite number other than 0, at most 709");
  return {t};
}

struct DropBelow {
  double tau;  ///< in [0, 1)
  [[nodiscard]] double operator()(double u) const noexcept { return u >= tau ? 0.0 : -infinity; }
};
/// Phi(u) = 0 from tau on and -infinity below: the tilt is the base law above its quantile tau, for any
/// beta ("draw again until the quantile is at least tau").
/// @throws InvalidOption unless 0 <= tau < 1
[[nodiscard]] inline DropBelow drop_below(double tau) {
  require_option(tau >= 0 && tau < 1, "transform::drop_below.tau", tau, "a number >= 0 and < 1");
  return {tau};
}

/// The transform that is optimal when n of our answers are drawn and the best, or the worst, of them is
/// kept: made by `best_of` and `worst_of`. Cheap to copy: copies share a table.
///
/// With F the distribution function of the tilted density f, itself made by the transform:
///
///     best of n:   Phi(v) = -n^2 int_v^1 F^(n-1) u^(n-1) du
///     worst of n:  Phi(v) = -n^2 int_v^1 (1-F)^(n-1) (1-u)^(n-1) du,      f = exp(Phi/beta) / Z
///
/// so that Phi(1) = 0. f maximises W - beta KL, W the win rate of the kept answer against that of n
/// draws from the base law.
///
/// Solved by damped iteration of log f on `Panels`, from a larger beta down to the wanted one; about a
/// millisecond, some ten for the best of many at a small beta. For the best of n the objective is
/// strictly concave and the solution the only one; for the worst of n it is convex and no theorem says
/// so, but very different starts have led to the same one.
class FixedPoint {
 public:
  [[nodiscard]] double operator()(double u) const {
    return table_->beta * (log_density(u) - table_->log_density_at_one);
  }

  [[nodiscard]] std::size_t n() const noexcept { return table_->n; }
  /// The beta that the transform is made for: the sampler's must be the same.
  [[nodiscard]] double beta() const noexcept { return table_->beta; }
  [[nodiscard]] bool is_worst_of() const noexcept { return table_->is_worst_of; }
  /// How far the solution is from solving its equation: the larger of the difference of log f on both
  /// sides (nats; scaled down by f/1e-9 where f is below that), and the error of the identity
  /// W = (beta/n)(f(1) - 1) for the best, W = 1 - (beta/n)(1 - f(0)) for the worst of n.
  [[nodiscard]] double residual() const noexcept { return table_->residual; }

  /// log f(u), nats.
  [[nodiscard]] double log_density(double u) const {
    return table_->panels.interpolate(table_->log_density, u);
  }
  [[nodiscard]] const Panels& panels() const noexcept { return table_->panels; }
  /// log f at the nodes of `panels`.
  [[nodiscard]] std::span<const double> log_densities() const noexcept {
    return table_->log_density;
  }

 private:
  friend FixedPoint best_of(std::size_t n, double beta);
  friend FixedPoint worst_of(std::size_t n, double beta);

  struct Table {
    std::size_t n;
    double beta;
    bool is_worst_of;
    Panels panels;
    std::vector<double> log_density = {};
    double log_density_at_one = 0, residual = 0;
  };

  FixedPoint(std::size_t n, double beta, bool is_worst_of) {
    const std::string owner = is_worst_of ? "transform::worst_of." : "transform::best_of.";
    require_at_least_one(owner + "n", n);
    require_positive(owner + "beta", beta);
    auto table = std::make_shared<Table>(Table{n, beta, is_worst_of, Panels(depth_for(n, beta))});
    table->log_density.assign(table->panels.size(), 0.0);
    for (double at = std::max(beta, 1.0);; at = std::max(beta, 0.3 * at)) {
      solve(*table, at, at > beta ? 1e-3 : 1e-11);
      if (at == beta) break;
    }
    table->log_density_at_one = table->panels.interpolate(table->log_density, 1);
    table->residual = std::max(table->residual, identity_error(*table));
    table_ = std::move(table);
  }

  // log f has slopes of up to n^2/beta at the ends.
  static std::size_t depth_for(std::size_t n, double beta) {
    const double draws = static_cast<double>(n);
    const double levels = std::ceil(std::log2(4 * draws * draws / beta));
    return static_cast<std::size_t>(std::clamp(levels, 6.0, 48.0));
  }

  // Normalises log f and gives f, both at the nodes.
  static void normalize(const Panels& panels, std::vector<double>& log_f, std::vector<double>& f) {
    const double largest = *std::max_element(log_f.begin(), log_f.end());
    for (std::size_t i = 0; i < f.size(); ++i) f[i] = std::exp(log_f[i] - largest);
    const double log_total = largest + std::log(panels.integral(f));
    for (std::size_t i = 0; i < f.size(); ++i) {
      log_f[i] -= log_total;
      f[i] = std::exp(log_f[i]);
    }
  }

  static void solve(Table& table, double beta, double tolerance) {
    const Panels& panels = table.panels;
    const double draws = static_cast<double>(table.n);
    const std::size_t size = panels.size();
    std::vector<double>& log_f = table.log_density;
    std::vector<double> f(size), mass(size), power(size), next(size), unused(size);
    double step = 0.3, last = infinity;
    constexpr int most_steps = 3000;
    for (int i = 0; i < most_steps; ++i) {
      normalize(panels, log_f, f);
      if (table.is_worst_of) {
        panels.integrate_to_one(f, mass);
      } else {
        panels.integrate_from_zero(f, mass);
      }
      for (std::size_t k = 0; k < size; ++k) {
        const double u = table.is_worst_of ? panels.distance_to_one(k) : panels.node(k);
        power[k] = std::pow(mass[k] * u, draws - 1);
      }
      panels.integrate_to_one(power, next);
      for (double& value : next) value *= -draws * draws / beta;
      normalize(panels, next, unused);
      table.residual = 0;
      for (std::size_t k = 0; k < size; ++k) {
        table.residual =
            std::max(table.residual, std::abs(next[k] - log_f[k]) * std::min(1.0, 1e9 * f[k]));
      }
      if (table.residual <= tolerance) return;
      step = table.residual > last ? std::max(0.6 * step, 1e-4) : std::min(1.02 * step, 1.0);
      last = table.residual;
      for (std::size_t k = 0; k < size; ++k) log_f[k] += step * (next[k] - log_f[k]);
    }
    throw Error(std::string("transform::") + (table.is_worst_of ? "worst_of" : "best_of") + "(" +
                std::to_string(table.n) + ", " + to_text(table.beta) +
                ") was not found: at beta = " + to_text(beta) + " the residual is " +
                to_text(table.residual) + " after " + std::to_string(most_steps) +
                " steps; take a larger beta or a smaller n");
  }

  static double identity_error(const Table& table) {
    const Panels& panels = table.panels;
    const double draws = static_cast<double>(table.n);
    std::vector<double> f(panels.size()), mass(panels.size());
    for (std::size_t i = 0; i < f.size(); ++i) f[i] = std::exp(table.log_density[i]);
    if (table.is_worst_of) {
      panels.integrate_to_one(f, mass);
    } else {
      panels.integrate_from_zero(f, mass);
    }
    for (std::size_t i = 0; i < f.size(); ++i) {
      const double u = table.is_worst_of ? panels.distance_to_one(i) : panels.node(i);
      f[i] = draws * mass[i] * std::pow(mass[i] * u, draws - 1);
    }
    if (table.is_worst_of) {
      const double at_zero = std::exp(panels.interpolate(table.log_density, 0));
      return std::abs(panels.integral(f) - (1 - table.beta / draws * (1 - at_zero)));
    }
    const double at_one = std::exp(table.log_density_at_one);
    return std::abs(1 - panels.integral(f) - table.beta / draws * (at_one - 1));
  }

  std::shared_ptr<const Table> table_ = {};
};

/// The optimal transform for a caller who takes the best of n of our answers.
/// @throws InvalidOption unless n >= 1 and beta is finite and positive; Error when the equation is not
/// solved, as for the best of 64 at beta = 0.001
[[nodiscard]] inline FixedPoint best_of(std::size_t n, double beta) { return {n, beta, false}; }

/// The optimal transform against a caller who keeps the worst of n of our answers.
/// @throws as `best_of`
[[nodiscard]] inline FixedPoint worst_of(std::size_t n, double beta) { return {n, beta, true}; }

/// Refuses what is no transform: no function, one that gives NaN or +infinity, -infinity at 1, or less
/// for a larger quantile (by more than rounding), at one of the points j/steps, j = 0 .. steps.
/// @param field  the option, for the message: "CalibratedOptions.transform"
/// @throws InvalidOption
inline void check(const std::function<double(double)>& phi, std::string_view field,
                  std::size_t steps = 256) {
  const std::string name(field);
  if (!phi) throw InvalidOption(name, "empty", "a function of a quantile");
  double before = -infinity;
  for (std::size_t j = 0; j <= steps; ++j) {
    const double u = static_cast<double>(j) / static_cast<double>(steps);
    const double value = phi(u);
    const std::string shown = to_text(value) + " at the quantile " + to_text(u);
    if (std::isnan(value) || value == infinity) {
      throw InvalidOption(name, shown, "finite or -infinity everywhere");
    }
    if (value < before - 1e-9 * std::max(1.0, std::abs(before))) {
      throw InvalidOption(name, shown + " after " + to_text(before), "nondecreasing");
    }
    before = std::max(before, value);
  }
  if (before == -infinity) throw InvalidOption(name, "-inf everywhere", "finite at the quantile 1");
}

}  // namespace tilt::transform

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

namespace tilt {

/// The interval [0, 1] cut into panels, each with the 16 nodes of a Gauss-Legendre rule: functions are
/// held by their values at the nodes and integrated as polynomials of degree 15 on each panel.
///
/// The panels get smaller by halves towards both ends, where densities of quantiles have their peaks;
/// a function with a jump is handled by cutting the panel that holds it until it is too narrow to
/// matter, wherever the jump is: the values just inside a panel's ends are looked at, too. (What rises
/// and falls again between two nodes leaves no trace.) 0 and 1 are never nodes.
class Panels {
 public:
  static constexpr std::size_t order = 16;  ///< nodes of a panel

  /// Panels of width 2^-2, 2^-3, ... 2^-depth towards each end, the last width twice.
  /// @param depth  2 to 52
  explicit Panels(std::size_t depth) {
    edges_ = {0};
    for (std::size_t k = depth; k > 1; --k) edges_.push_back(std::ldexp(1, -static_cast<int>(k)));
    edges_.push_back(0.5);
    for (std::size_t k = 2; k <= depth; ++k) {
      edges_.push_back(1 - std::ldexp(1, -static_cast<int>(k)));
    }
    edges_.push_back(1);
    place_nodes();
  }

  /// Panels fit for a function >= 0: each is halved until the integrals over its halves are known to
  /// `tolerance` times the integral over [0, 1], or it is 2^-50 wide, or there are 20000 panels.
  /// @param f       on (0, 1), finite; called about 3200 times where it is smooth
  /// @param values  set to f at the nodes
  template <class F>
  Panels(F&& f, double tolerance, std::vector<double>& values) {
    const Panels coarse(30);
    std::vector<double> sampled(coarse.size());
    for (std::size_t i = 0; i < sampled.size(); ++i) sampled[i] = f(coarse.node(i));
    double mass = coarse.integral(sampled);
    edges_ = {0};
    values.clear();
    for (std::size_t p = 0; p + 1 < coarse.edges_.size(); ++p) {
      const auto first = sampled.begin() + static_cast<std::ptrdiff_t>(p * order);
      Samples samples;
      std::copy_n(first, order, samples.begin());
      refine(f, coarse.edges_[p], coarse.edges_[p + 1], samples, tolerance, mass, values);
    }
    place_nodes();
  }

  /// The number of nodes.
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] std::size_t panels() const noexcept { return edges_.size() - 1; }
  /// The nodes in ascending order, within (0, 1).
  [[nodiscard]] double node(std::size_t i) const noexcept { return nodes_[i]; }
  /// 1 - node(i), to full relative accuracy.
  [[nodiscard]] double distance_to_one(std::size_t i) const noexcept { return to_one_[i]; }

  /// The integral over [0, 1] of a function given at the nodes.
  [[nodiscard]] double integral(std::span<const double> values) const {
    double sum = 0;
    for (std::size_t p = 0; p < panels(); ++p) sum += panel_integral(values, p);
    return sum;
  }

  /// The integral from 0 to each node.
  void integrate_from_zero(std::span<const double> values, std::span<double> out) const {
    double before = 0;
    for (std::size_t p = 0; p < panels(); ++p) {
      const double half = 0.5 * width(p);
      for (std::size_t i = 0; i < order; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < order; ++j) sum += rule().below[i][j] * values[p * order + j];
        out[p * order + i] = before + half * sum;
      }
      before += panel_integral(values, p);
    }
  }
  /// The integral from each node to 1, to full relative accuracy also where it is small.
  void integrate_to_one(std::span<const double> values, std::span<double> out) const {
    double after = 0;
    for (std::size_t p = panels(); p-- > 0;) {
      const double half = 0.5 * width(p);
      for (std::size_t i = 0; i < order; ++i) {
        // The rule is symmetric: what is above node i is what is below its mirror image.
        double sum = 0;
        for (std::size_t j = 0; j < order; ++j) {
          sum += rule().below[order - 1 - i][order - 1 - j] * values[p * order + j];
        }
        out[p * order + i] = after + half * sum;
      }
      after += panel_integral(values, p);
    }
  }

  /// The function at any point of [0, 1].
  [[nodiscard]] double interpolate(std::span<const double> values, double u) const {
    const auto right = std::upper_bound(edges_.begin() + 1, edges_.end() - 1, u);
    const auto p = static_cast<std::size_t>(right - edges_.begin()) - 1;
    const double x = 2 * (u - edges_[p]) / width(p) - 1;
    double above = 0, below = 0;
    for (std::size_t j = 0; j < order; ++j) {
      const double distance = x - rule().nodes[j];
      if (distance == 0) return values[p * order + j];
      const double weight = rule().barycentric[j] / distance;
      above += weight * values[p * order + j];
      below += weight;
    }
    return above / below;
  }

 private:
  static constexpr std::size_t most_panels = 20'000;
  using Samples = std::array<double, order>;
  struct Rule {
    Samples nodes{}, weights{}, barycentric{};  // on [-1, 1]
    std::array<Samples, order> below{};         // integrals from -1 to node i
    Samples to_middle{};                        // integrals from -1 to 0
  };

  // P_0 .. P_order at x.
  static std::array<double, order + 1> legendre(double x) {
    std::array<double, order + 1> p{1, x};
    for (std::size_t k = 1; k < order; ++k) {
      const auto n = static_cast<double>(k);
      p[k + 1] = ((2 * n + 1) * x * p[k] - n * p[k - 1]) / (n + 1);
    }
    return p;
  }

  static Rule make_rule() {
    Rule rule;
    constexpr double n = order;
    for (std::size_t i = 0; i < order; ++i) {
      double x = -std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (n + 0.5));
      double slope = 0;
      for (int step = 0; step < 8; ++step) {  // Newton; quadratic from an error of 1e-4
        const auto p = legendre(x);
        slope = n * (x * p[order] - p[order - 1]) / (x * x - 1);
        x -= p[order] / slope;
      }
      rule.nodes[i] = x;
      rule.weights[i] = 2 / ((1 - x * x) * slope * slope);
      rule.barycentric[i] = (i % 2 == 0 ? 1 : -1) * std::sqrt((1 - x * x) * rule.weights[i]);
    }
    // The polynomial that is 1 at node j alone is w_j sum_k (k + 1/2) P_k(x_j) P_k, and the integral of
    // (2k + 1) P_k is P_{k+1} - P_{k-1}.
    const auto integrals_to = [&rule](double x) {
      Samples integrals;
      const auto at = legendre(x);
      for (std::size_t j = 0; j < order; ++j) {
        const auto other = legendre(rule.nodes[j]);
        double sum = x + 1;
        for (std::size_t k = 1; k < order; ++k) sum += other[k] * (at[k + 1] - at[k - 1]);
        integrals[j] = 0.5 * rule.weights[j] * sum;
      }
      return integrals;
    };
    for (std::size_t i = 0; i < order; ++i) rule.below[i] = integrals_to(rule.nodes[i]);
    rule.to_middle = integrals_to(0);
    return rule;
  }
  static const Rule& rule() {
    static const Rule made = make_rule();
    return made;
  }

  [[nodiscard]] double width(std::size_t p) const { return edges_[p + 1] - edges_[p]; }
  [[nodiscard]] double panel_integral(std::span<const double> values, std::size_t p) const {
    double sum = 0;
    for (std::size_t j = 0; j < order; ++j) sum += rule().weights[j] * values[p * order + j];
    return 0.5 * width(p) * sum;
  }

  void place_nodes() {
    nodes_.clear();
    to_one_.clear();
    for (std::size_t p = 0; p < panels(); ++p) {
      for (const double x : rule().nodes) {
        nodes_.push_back(edges_[p] + 0.5 * width(p) * (1 + x));
        to_one_.push_back((1 - edges_[p + 1]) + 0.5 * width(p) * (1 - x));
      }
    }
  }

  template <class F>
  static Samples sample(F& f, double left, double right) {
    Samples values;
    for (std::size_t i = 0; i < order; ++i) {
      values[i] = f(left + 0.5 * (right - left) * (1 + rule().nodes[i]));
    }
    return values;
  }
  static double integral_of(const Samples& values, double width) {
    double sum = 0;
    for (std::size_t j = 0; j < order; ++j) sum += rule().weights[j] * values[j];
    return 0.5 * width * sum;
  }

  // What a jump between the outermost nodes and the ends of a panel may hide: there no node of the panel
  // or its halves sees it. 0 and 1 have nothing behind them, and f need not be finite there.
  template <class F>
  static double edge_error(F& f, double left, double right, const Samples& values) {
    const Rule& r = rule();
    double at_left = 0, at_right = 0, weights_left = 0, weights_right = 0;
    for (std::size_t j = 0; j < order; ++j) {
      const double to_left = r.barycentric[j] / (-1 - r.nodes[j]);
      const double to_right = r.barycentric[j] / (1 - r.nodes[j]);
      at_left += to_left * values[j];
      at_right += to_right * values[j];
      weights_left += to_left;
      weights_right += to_right;
    }
    double difference = 0;
    if (left > 0) {
      difference += std::abs(f(std::nextafter(left, 1.0)) - at_left / weights_left);
    }
    if (right < 1) {
      difference += std::abs(f(std::nextafter(right, 0.0)) - at_right / weights_right);
    }
    return 0.5 * (right - left) * (1 + r.nodes[0]) * difference;
  }

  // Appends the panel, or its parts, with the values of f.
  // @param mass  a lower bound of the integral over [0, 1], raised where a peak shows that was missed
  template <class F>
  void refine(F& f, double left, double right, const Samples& values, double tolerance,
              double& mass, std::vector<double>& all) {
    const double width = right - left, middle = left + 0.5 * width;
    const Samples low = sample(f, left, middle), high = sample(f, middle, right);
    // Each half by itself: a jump in the middle leaves the integral of the whole right.
    double lower = 0;
    for (std::size_t j = 0; j < order; ++j) lower += rule().to_middle[j] * values[j];
    lower *= 0.5 * width;
    const double upper = integral_of(values, width) - lower;
    const double below = integral_of(low, middle - left);
    const double above = integral_of(high, right - middle);
    mass = std::max(mass, below + above);
    const double error = std::abs(lower - below) + std::abs(upper - above);
    const bool fits =
        error <= tolerance * mass && error + edge_error(f, left, right, values) <= tolerance * mass;
    if (fits || width <= 0x1p-50 || edges_.size() >= most_panels) {
      edges_.push_back(right);
      all.insert(all.end(), values.begin(), values.end());
      return;
    }
    refine(f, left, middle, low, tolerance, mass, all);
    refine(f, middle, right, high, tolerance, mass, all);
  }

  std::vector<double> edges_ = {}, nodes_ = {}, to_one_ = {};
};

}  // namespace tilt

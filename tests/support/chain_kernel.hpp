#pragma once

// The exact transition matrix of a sampler that walks over responses as QAlign does, read off the
// sampler itself: what it asks for is enumerated, and what it accepts is the weight that `recycle`
// gives a proposal, which is the probability of its acceptance to the last bit.

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <vector>

#include "support/round_bench.hpp"
#include "tilt/testing/enumerate.hpp"

/// The law of the cut of a response: probabilities of 0 .. n-1, or of 0 .. n, where n means no
/// move.
using CutLaw = std::function<std::vector<double>(const tilt::Response&)>;

/// restart [i = 0] + (1 - restart)/n.
inline CutLaw uniform_cuts(double restart = 0) {
  return [restart](const tilt::Response& y) {
    std::vector<double> law(y.size(), (1 - restart) / static_cast<double>(y.size()));
    law[0] += restart;
    return law;
  };
}

/// Over the responses of a base law, and over what the sampler's own moves reach beyond them.
template <class S>
class ChainKernel {
 public:
  using Reward = std::function<double(tilt::TokenSpan)>;

  /// @param sampler  with `recycle`, of any fork
  template <class P>
  ChainKernel(const S& sampler, P& policy, Reward reward, const tilt::testing::ResponseLaw& base,
              CutLaw cuts)
      : reward_(std::move(reward)), cuts_(std::move(cuts)) {
    for (const tilt::Response& y : base.responses()) states_.add(y, -tilt::infinity);
    for (std::size_t s = 0; s < states_.size(); ++s) {  // grows while it is walked over
      const std::size_t n = states_.response(s).size();
      moves_.emplace_back();
      for (std::size_t cut = 0; cut < n; ++cut) {
        moves_[s].emplace_back();
        if (cut >= cuts_(states_.response(s)).size() || cuts_(states_.response(s))[cut] == 0)
          continue;
        find_moves(sampler, policy, s, cut);
      }
    }
  }

  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] const tilt::testing::ResponseLaw& states() const { return states_; }
  [[nodiscard]] double reward(std::size_t s) const { return reward_(states_.response(s).tokens); }

  /// The probability of accepting a response after a cut of a state, as the sampler says; NaN when
  /// it cannot be proposed there.
  [[nodiscard]] double acceptance(std::size_t from, std::size_t cut, std::size_t to) const {
    for (const Move& move : moves_[from][cut]) {
      if (move.to == to) return move.acceptance;
    }
    return tilt::unset;
  }
  struct Move {
    std::size_t to = 0;
    double proposal = 0;    ///< probability of being drawn after the cut
    double acceptance = 0;  ///< of being accepted when drawn
  };
  [[nodiscard]] const std::vector<Move>& moves(std::size_t from, std::size_t cut) const {
    return moves_[from][cut];
  }

  /// One round: a cut, then `fork` sub-steps with it.
  [[nodiscard]] Eigen::MatrixXd round(std::size_t fork = 1) const {
    const auto n = static_cast<Eigen::Index>(size());
    Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(n, n);
    for (std::size_t s = 0; s < size(); ++s) {
      const std::vector<double> cut_law = cuts_(states_.response(s));
      for (std::size_t cut = 0; cut < cut_law.size(); ++cut) {
        if (cut_law[cut] == 0) continue;
        std::vector<double> at(size());
        at[s] = 1;
        for (std::size_t j = 0; j < fork; ++j) at = sub_step(at, cut);
        for (std::size_t to = 0; to < size(); ++to) {
          matrix(static_cast<Eigen::Index>(s), static_cast<Eigen::Index>(to)) +=
              cut_law[cut] * at[to];
        }
      }
    }
    return matrix;
  }

  /// p exp(r/beta)/Z of the given base law over the states; 0 for states beyond it.
  [[nodiscard]] Eigen::VectorXd tilted(const tilt::testing::ResponseLaw& base, double beta) const {
    std::vector<double> rewards;
    for (const tilt::Response& y : base.responses()) rewards.push_back(reward_(y.tokens));
    return over_states(tilt::testing::tilted(base, rewards, beta));
  }
  [[nodiscard]] Eigen::VectorXd over_states(const tilt::testing::ResponseLaw& law) const {
    Eigen::VectorXd p = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(size()));
    for (std::size_t i = 0; i < law.size(); ++i) {
      p[static_cast<Eigen::Index>(states_.index_of(law.response(i)))] += law.probability(i);
    }
    return p;
  }

 private:
  template <class P>
  void find_moves(const S& sampler, P& policy, std::size_t s, std::size_t cut) {
    for (std::uint64_t seed = 0;; ++seed) {
      if (seed == 100'000) throw std::runtime_error("the sampler never chose this cut");
      RoundBench<S> bench(sampler, seed);
      put(bench, states_.response(s));
      const auto asked = bench.ask();
      if (bench.state.cut != cut || asked.empty()) continue;
      const tilt::testing::ResponseLaw drawn = tilt::testing::enumerate(policy, asked[0].work);
      for (std::size_t i = 0; i < drawn.size(); ++i) {
        states_.add(drawn.response(i), -tilt::infinity);
        moves_[s][cut].push_back({.to = states_.index_of(drawn.response(i)),
                                  .proposal = drawn.probability(i),
                                  .acceptance = accepted(sampler, seed, s, drawn.response(i))});
      }
      return;
    }
  }

  // The weight of the proposal; the state that it was proposed from gains the rest.
  [[nodiscard]] double accepted(const S& sampler, std::uint64_t seed, std::size_t s,
                                const tilt::Response& proposal) const {
    RoundBench<S> bench(sampler, seed);
    put(bench, states_.response(s));
    bench.ask();
    const double before = bench.population[0].weight;
    bench.answer(0, proposal, reward_(proposal.tokens));
    bench.tell();
    const double weight = bench.population[1].weight;
    if (std::abs(bench.population[0].weight + weight - before - 1) > 1e-14) {
      throw std::runtime_error("the weights of a sub-step do not add up to 1");
    }
    return weight;
  }

  // As if the chain stood in this response, with weight 1.
  void put(RoundBench<S>& bench, const tilt::Response& y) const {
    tilt::Candidate current{.response = y, .reward = reward_(y.tokens)};
    current.id = bench.population.add(current, 0);
    bench.state.current = current;
    bench.state.states = 1;
  }

  [[nodiscard]] std::vector<double> sub_step(const std::vector<double>& at, std::size_t cut) const {
    std::vector<double> next(at.size());
    for (std::size_t s = 0; s < at.size(); ++s) {
      if (at[s] == 0) continue;
      double moved = 0;
      if (cut < moves_[s].size()) {
        for (const Move& move : moves_[s][cut]) {
          next[move.to] += at[s] * move.proposal * move.acceptance;
          moved += move.proposal * move.acceptance;
        }
      }
      next[s] += at[s] * (1 - moved);
    }
    return next;
  }

  Reward reward_;
  CutLaw cuts_;
  tilt::testing::ResponseLaw states_ = {};
  std::vector<std::vector<std::vector<Move>>> moves_ = {};  // by state and cut
};

/// Half the L1 distance.
inline double total_variation(const Eigen::VectorXd& p, const Eigen::VectorXd& q) {
  return 0.5 * (p - q).cwiseAbs().sum();
}

/// The law that a chain tends to from anywhere: a row of a high power of its matrix, by squaring.
inline Eigen::VectorXd stationary(Eigen::MatrixXd matrix) {
  for (int doubling = 0; doubling < 60; ++doubling) {
    Eigen::MatrixXd square = matrix * matrix;
    for (Eigen::Index row = 0; row < square.rows(); ++row) square.row(row) /= square.row(row).sum();
    const double change = (square - matrix).cwiseAbs().maxCoeff();
    matrix.swap(square);
    if (change < 1e-15) break;
  }
  return matrix.row(0).transpose();
}

/// The law after some rounds.
inline Eigen::VectorXd after(const Eigen::MatrixXd& matrix, Eigen::VectorXd law,
                             std::size_t rounds) {
  for (std::size_t i = 0; i < rounds; ++i) law = matrix.transpose() * law;
  return law;
}

inline std::vector<double> to_vector(const Eigen::VectorXd& law) {
  return {law.data(), law.data() + law.size()};
}

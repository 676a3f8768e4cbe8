#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/candidate.hpp"
#include "tilt/core/error.hpp"

namespace tilt {

/// The candidates emitted so far, ordered by (lane, emission), never by arrival. It grows while a
/// method runs, so that there is a best so far at every moment.
class Population {
 public:
  /// A random-access iterator over const candidates.
  class Iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = Candidate;
    using difference_type = std::ptrdiff_t;
    using pointer = const Candidate*;
    using reference = const Candidate&;

    Iterator() = default;
    Iterator(const Population* of, std::size_t index) : of_(of), index_(index) {}

    reference operator*() const { return (*of_)[index_]; }
    pointer operator->() const { return &(*of_)[index_]; }
    reference operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this += -1; }
    Iterator operator++(int) { return std::exchange(*this, *this + 1); }
    Iterator operator--(int) { return std::exchange(*this, *this - 1); }
    Iterator& operator+=(difference_type n) {
      index_ = static_cast<std::size_t>(static_cast<difference_type>(index_) + n);
      return *this;
    }
    Iterator& operator-=(difference_type n) { return *this += -n; }
    friend Iterator operator+(Iterator it, difference_type n) { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) { return it -= n; }
    friend difference_type operator-(const Iterator& a, const Iterator& b) {
      return static_cast<difference_type>(a.index_) - static_cast<difference_type>(b.index_);
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.index_ == b.index_; }
    friend auto operator<=>(const Iterator& a, const Iterator& b) { return a.index_ <=> b.index_; }

   private:
    const Population* of_ = nullptr;
    std::size_t index_ = 0;
  };
  using iterator = Iterator;
  using const_iterator = Iterator;
  using value_type = Candidate;

  Population() = default;
  /// The given candidates in their order, all in lane 0; ids are set.
  explicit Population(std::vector<Candidate> candidates) {
    for (Candidate& candidate : candidates) add(std::move(candidate), 0);
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The candidate of a position, 0 .. size()-1 (not an id). Cost: the number of lanes.
  [[nodiscard]] const Candidate& operator[](std::size_t index) const {
    std::size_t lane = 0;
    while (index >= lanes_[lane].size()) index -= lanes_[lane++].size();
    return lanes_[lane][index];
  }
  [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {this, size_}; }

  /// The number of lanes that have been emitted to, counted up to the last of them.
  [[nodiscard]] std::size_t lanes() const noexcept { return lanes_.size(); }
  /// The candidates of one lane in the order of emission; empty for a lane without any.
  [[nodiscard]] std::span<const Candidate> lane(std::size_t index) const noexcept {
    return index < lanes_.size() ? std::span<const Candidate>(lanes_[index])
                                 : std::span<const Candidate>{};
  }

  /// The sum of all weights.
  [[nodiscard]] double total_weight() const noexcept {
    double total = 0;
    for (const Candidate& candidate : *this) total += candidate.weight;
    return total;
  }

  /// The first `n` units of weight: the population as it was after n states of a chain, or n draws.
  /// Candidates of weight 0 stand where they stood; the last one may keep a part of its weight only.
  [[nodiscard]] Population first(double n) const {
    Population part;
    double left = n;
    for (const Candidate& candidate : *this) {
      if (left <= 0) break;
      Candidate copy = candidate;
      copy.weight = std::min(copy.weight, left);
      left -= copy.weight;
      part.add(std::move(copy), candidate.lane);
    }
    return part;
  }

  /// The candidate of an id.
  /// @throws Error when there is none
  [[nodiscard]] const Candidate& at_id(std::uint64_t id) const {
    const auto lane = static_cast<std::size_t>(id >> 32);
    const auto index = static_cast<std::size_t>(id & 0xffffffffu);
    if (lane >= lanes_.size() || index >= lanes_[lane].size()) {
      throw Error("no candidate has the id " + std::to_string(id));
    }
    return lanes_[lane][index];
  }

  /// Appends to a lane, sets `id` and `lane`, and returns the id.
  std::uint64_t add(Candidate candidate, std::uint32_t lane) {
    if (lane >= lanes_.size()) lanes_.resize(std::size_t{lane} + 1);
    candidate.lane = lane;
    candidate.id = (std::uint64_t{lane} << 32) | lanes_[lane].size();
    lanes_[lane].push_back(std::move(candidate));
    ++size_;
    return lanes_[lane].back().id;
  }

  /// Adds to the weight of a candidate.
  /// @throws Error when there is none of that id
  void add_weight(std::uint64_t id, double weight) {
    const_cast<Candidate&>(at_id(id)).weight += weight;  // NOLINT: *this is not const here
  }

 private:
  std::vector<std::vector<Candidate>> lanes_ = {};
  std::size_t size_ = 0;
};

}  // namespace tilt

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tilt/core/candidate.hpp"
#include "tilt/core/error.hpp"

namespace tilt {

/// The candidates emitted so far, ordered by (lane, emission), never by arrival. It grows while a
/// method runs, so that there is a best so far at every moment.
///
/// Costs: reading all candidates in order is linear in their number and in that of the lanes; finding
/// one by its position, and adding one, takes a time that grows with the logarithm of the number of
/// lanes. What `add` returns by reference, by span or by iterator before holds until the next `add`.
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
    Iterator(const Population* of, std::size_t index) : of_(of), index_(index) { locate(); }

    reference operator*() const { return of_->lanes_[lane_][offset_]; }
    pointer operator->() const { return &**this; }
    reference operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this += -1; }
    Iterator operator++(int) { return std::exchange(*this, *this + 1); }
    Iterator operator--(int) { return std::exchange(*this, *this - 1); }
    Iterator& operator+=(difference_type n) {
      index_ = static_cast<std::size_t>(static_cast<difference_type>(index_) + n);
      const difference_type offset = static_cast<difference_type>(offset_) + n;
      if (lane_ < of_->lanes_.size() && offset >= 0 &&
          offset < static_cast<difference_type>(of_->lanes_[lane_].size())) {
        offset_ = static_cast<std::size_t>(offset);
      } else {
        locate();
      }
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
    void locate() { std::tie(lane_, offset_) = of_->place_of(index_); }

    const Population* of_ = nullptr;
    std::size_t index_ = 0, lane_ = 0, offset_ = 0;  // the last two where there is a candidate
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

  /// The candidate of a position, 0 .. size()-1 (not an id).
  [[nodiscard]] const Candidate& operator[](std::size_t index) const {
    const auto [lane, offset] = place_of(index);
    return lanes_[lane][offset];
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
  /// Lanes go side by side: the first unit of every lane, lowest lane first, stands before the second
  /// of any. Candidates of weight 0 stand where they stood; the last of a lane may keep a part of its
  /// weight only.
  [[nodiscard]] Population first(double n) const {
    Population part;
    if (!(n > 0)) return part;
    std::vector<double> weights(lanes_.size());
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      for (const Candidate& candidate : lanes_[l]) weights[l] += candidate.weight;
    }
    // What all lanes hold within their first k units.
    const auto within = [&weights](double k) {
      double sum = 0;
      for (const double weight : weights) sum += std::min(weight, k);
      return sum;
    };
    // The units that every lane keeps: the largest whole number within n.
    double whole = infinity;
    if (within(infinity) > n) {
      double low = 0, high = 1;
      while (within(high) <= n) high *= 2;
      while (high - low > 1) {
        const double middle = std::floor(low + (high - low) / 2);
        (within(middle) <= n ? low : high) = middle;
      }
      whole = low;
    }
    double left = whole < infinity ? n - within(whole) : 0;
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      double units = whole;  // of this lane
      if (left > 0) {
        units += std::min(left, 1.0);
        left -= std::clamp(weights[l] - whole, 0.0, 1.0);
      }
      for (const Candidate& candidate : lanes_[l]) {
        if (units <= 0) break;
        Candidate copy = candidate;
        copy.weight = std::min(copy.weight, units);
        units -= copy.weight;
        part.add(std::move(copy), candidate.lane);
      }
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
    while (lane >= lanes_.size()) add_lane();
    candidate.lane = lane;
    candidate.id = (std::uint64_t{lane} << 32) | lanes_[lane].size();
    lanes_[lane].push_back(std::move(candidate));
    for (std::size_t i = lane + std::size_t{1}; i <= sums_.size(); i += lowest_bit(i)) {
      ++sums_[i - 1];
    }
    ++size_;
    return lanes_[lane].back().id;
  }

  /// Puts a candidate in the place of another, whose id and lane it takes.
  /// @throws Error when there is none of that id
  void replace(std::uint64_t id, Candidate candidate) {
    auto& old = const_cast<Candidate&>(at_id(id));  // NOLINT: *this is not const here
    candidate.id = id;
    candidate.lane = old.lane;
    old = std::move(candidate);
  }

  /// Adds to the weight of a candidate.
  /// @throws Error when there is none of that id
  void add_weight(std::uint64_t id, double weight) {
    const_cast<Candidate&>(at_id(id)).weight += weight;  // NOLINT: *this is not const here
  }

 private:
  static constexpr std::size_t lowest_bit(std::size_t i) { return i & (~i + 1); }

  void add_lane() {
    const std::size_t i = lanes_.size() + 1;
    std::size_t sum = 0;  // of the lanes that the new node stands for, itself empty
    for (std::size_t j = i - 1; j > i - lowest_bit(i); j -= lowest_bit(j)) sum += sums_[j - 1];
    lanes_.emplace_back();
    sums_.push_back(sum);
  }

  // The lane of a position, and the position within it; that behind the last for size().
  [[nodiscard]] std::pair<std::size_t, std::size_t> place_of(std::size_t index) const noexcept {
    if (index >= size_) return {lanes_.size(), 0};
    if (lanes_.size() == 1) return {0, index};
    std::size_t lane = 0;
    for (std::size_t step = std::bit_floor(sums_.size()); step > 0; step /= 2) {
      if (lane + step > sums_.size() || sums_[lane + step - 1] > index) continue;
      lane += step;
      index -= sums_[lane - 1];
    }
    return {lane, index};
  }

  std::vector<std::vector<Candidate>> lanes_ = {};
  // A binary indexed tree: entry i-1 is the number of candidates in the lanes (i - lowest bit of i, i].
  std::vector<std::size_t> sums_ = {};
  std::size_t size_ = 0;
};

}  // namespace tilt

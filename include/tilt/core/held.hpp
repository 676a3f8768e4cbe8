#pragma once

#include <type_traits>
#include <utility>

namespace tilt {

/// A part of a composition: held by reference where it was given as an lvalue (T is `X&`), owned
/// where it was given as an rvalue (T is `X`). Constness of the whole does not reach the part: calls
/// go through to it, and its own rules on threads hold.
template <class T>
class Held {
 public:
  explicit Held(T&& part) : part_(std::forward<T>(part)) {}

  [[nodiscard]] std::remove_reference_t<T>& get() const noexcept { return part_; }

 private:
  T part_;
};
template <class T>
  requires(!std::is_reference_v<T>)
class Held<T> {
 public:
  explicit Held(T&& part) : part_(std::move(part)) {}

  [[nodiscard]] T& get() const noexcept { return part_; }

 private:
  mutable T part_;
};

}  // namespace tilt

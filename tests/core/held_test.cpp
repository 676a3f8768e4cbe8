#include "tilt/core/held.hpp"

#include <memory>
#include <utility>

#include "support/catch.hpp"

using namespace tilt;

namespace {

struct Counter {
  int calls = 0;
  void call() { ++calls; }
};

struct Pinned {
  Pinned() = default;
  Pinned(Pinned&&) = delete;
};

template <class T>
Held<T> hold(T&& part) {
  return Held<T>(std::forward<T>(part));
}

}  // namespace

TEST_CASE("an lvalue is held by reference") {
  Counter counter;
  const Held<Counter&> held = hold(counter);
  held.get().call();
  CHECK(counter.calls == 1);
  CHECK(&held.get() == &counter);
  const Held<Counter&> copy = held;
  CHECK(&copy.get() == &counter);
}

TEST_CASE("a const lvalue stays const") {
  const Counter counter;
  const auto held = hold(counter);
  STATIC_REQUIRE(std::is_same_v<decltype(held.get()), const Counter&>);
  CHECK(&held.get() == &counter);
}

TEST_CASE("an rvalue is owned, and called through a const whole") {
  const Held<Counter> held = hold(Counter{.calls = 4});
  held.get().call();
  CHECK(held.get().calls == 5);
  Held<Counter> copy = held;
  copy.get().call();
  CHECK(held.get().calls == 5);
}

TEST_CASE("parts may be move-only, or not even that where they are referred to") {
  Held<std::unique_ptr<int>> held = hold(std::make_unique<int>(3));
  CHECK(*held.get() == 3);
  const Held<std::unique_ptr<int>> moved = std::move(held);
  CHECK(*moved.get() == 3);
  Pinned pinned;
  CHECK(&hold(pinned).get() == &pinned);
}

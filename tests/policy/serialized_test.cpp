#include "tilt/policy/serialized.hpp"

#include <atomic>
#include <thread>

#include "support/catch.hpp"
#include "tilt/policy/text_policy.hpp"

namespace {

// Notices when two threads are inside it at once.
struct OneAtATime {
  std::atomic<int> inside = 0;
  bool overlapped = false;

  void generate(std::span<const tilt::Generation>, std::span<tilt::Response> out) {
    if (inside.fetch_add(1) != 0) overlapped = true;
    std::this_thread::yield();
    for (tilt::Response& response : out) response.tokens = {1};
    inside.fetch_sub(1);
  }
};

template <class Shared>
void call_from_two_threads(Shared& shared) {
  const auto calls = [&shared] {
    std::vector<tilt::Generation> work(1);
    std::vector<tilt::Response> out(1);
    for (int i = 0; i < 2000; ++i) shared.generate(work, out);
  };
  std::thread one(calls), two(calls);
  one.join();
  two.join();
}

}  // namespace

TEST_CASE("serialized: calls of several threads never overlap", "[serialized]") {
  OneAtATime policy;
  auto shared = tilt::serialized(policy);
  call_from_two_threads(shared);
  CHECK_FALSE(policy.overlapped);
}

TEST_CASE("serialized: keeps the policy's capabilities and adds concurrent", "[serialized]") {
  auto shared = tilt::serialized(tilt::TextPolicy{[](std::string_view) -> std::string { return "x"; }});
  CHECK_FALSE(shared.capabilities().tokens);
  CHECK(shared.capabilities().concurrent);
  STATIC_REQUIRE(tilt::Policy<decltype(shared)>);
}

#pragma once

#include <mutex>
#include <span>
#include <utility>

#include "tilt/core/held.hpp"
#include "tilt/policy/concept.hpp"

namespace tilt {

/// A policy that several decoders on several threads may share: one call at a time, the others wait.
///
///     auto shared = serialized(policy);
///
/// Law, capabilities and errors are the policy's own. A policy given as an lvalue is held by
/// reference, as an rvalue it is owned. Cannot be copied or moved: pass it by reference.
template <Policy P>
class Serialized {
 public:
  explicit Serialized(P&& policy) : policy_(std::forward<P>(policy)) {}
  Serialized(const Serialized&) = delete;
  Serialized& operator=(const Serialized&) = delete;

  [[nodiscard]] Capabilities capabilities() const {
    Capabilities all = capabilities_of(policy_.get());
    all.concurrent = true;
    return all;
  }
  [[nodiscard]] bool is_end(Token token) const
    requires requires(const std::remove_reference_t<P>& p) { p.is_end(token); }
  {
    return policy_.get().is_end(token);
  }

  void generate(std::span<const Generation> work, std::span<Response> out) {
    const std::scoped_lock lock(mutex_);
    policy_.get().generate(work, out);
  }

 private:
  std::mutex mutex_ = {};
  Held<P> policy_;
};

/// Makes a policy safe to share between threads.
template <class P>
[[nodiscard]] Serialized<P> serialized(P&& policy) {
  return Serialized<P>(std::forward<P>(policy));
}

}  // namespace tilt

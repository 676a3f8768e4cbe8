#pragma once

#include <pthread.h>

#include <cstddef>
#include <exception>
#include <string>

#include "tilt/core/error.hpp"

namespace tilt::llama::detail {

/// Runs an action on a thread of its own whose stack has this many bytes, and waits for it. Memory is
/// taken only for what the action uses of the stack.
/// @throws PolicyError when the system has no room for such a stack, and whatever the action throws
template <class Action>
void on_stack_of(std::size_t bytes, Action& action) {
  struct Call {
    Action& action;
    std::exception_ptr error = {};
  } call{action};
  const auto body = [](void* argument) -> void* {
    Call& self = *static_cast<Call*>(argument);
    try {
      self.action();
    } catch (...) {
      self.error = std::current_exception();
    }
    return nullptr;
  };
  pthread_t thread = {};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int status = pthread_attr_setstacksize(&attributes, bytes);
  if (status == 0) status = pthread_create(&thread, &attributes, body, &call);
  pthread_attr_destroy(&attributes);
  if (status != 0) {
    throw PolicyError("the system gives no stack of " + std::to_string(bytes) +
                      " bytes to tokenise a text on (error " + std::to_string(status) + ")");
  }
  pthread_join(thread, nullptr);
  if (call.error) std::rethrow_exception(call.error);
}

}  // namespace tilt::llama::detail

#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "tilt/engine/llama.hpp"

#ifndef TILT_TEST_MODEL
#define TILT_TEST_MODEL ""
#endif

namespace tilt::test {

/// The model that the engine tests run: the environment's TILT_TEST_MODEL, or the one that the build
/// was configured with.
inline std::filesystem::path model_path() {
  const char* given = std::getenv("TILT_TEST_MODEL");
  const std::string path = given != nullptr && *given != '\0' ? given : TILT_TEST_MODEL;
  if (path.empty()) throw std::runtime_error("set TILT_TEST_MODEL to a GGUF model");
  return path;
}

/// The environment's TILT_TEST_THREADS, or 0 for all cores. On a machine that is busy with other
/// things one thread is faster than several, which wait for each other.
inline std::size_t threads() {
  const char* given = std::getenv("TILT_TEST_THREADS");
  return given != nullptr ? std::stoul(given) : 0;
}

/// The one policy of a test program, with nothing held from earlier tests.
inline llama::Policy& shared_policy() {
  static llama::Policy policy{model_path(), {.sequences = 8, .context = 2048, .threads = threads()}};
  policy.clear_cache();
  return policy;
}

/// A policy with a cache of this many tokens.
inline llama::Policy small_policy(std::size_t context, std::size_t sequences = 8,
                                  std::size_t parked_bytes = std::size_t{64} << 20) {
  return llama::Policy{model_path(),
                       {.sequences = sequences,
                        .context = context,
                        .threads = threads(),
                        .parked_bytes = parked_bytes}};
}

/// One continuation.
inline Response draw(llama::Policy& policy, const Generation& work) {
  Response out;
  try {
    policy.generate({&work, 1}, {&out, 1});
  } catch (const PartialFailure& failure) {
    std::rethrow_exception(failure.causes()[0]);
  }
  return out;
}

/// Tokens that the model computes while something is done.
template <class Action>
std::size_t forwards(llama::Policy& policy, Action&& action) {
  const std::size_t before = policy.statistics().token_forwards;
  action();
  return policy.statistics().token_forwards - before;
}

}  // namespace tilt::test

#pragma once

// The model of a command, a file that the user names.

#include <filesystem>

#include <tilt/engine/llama.hpp>

#include "support/program.hpp"

/// Loads a model.
/// @throws BadInput when the file is missing or broken
[[nodiscard]] inline tilt::llama::Policy load_model(const std::filesystem::path& path,
                                                    const tilt::llama::PolicyOptions& options) {
  try {
    return tilt::llama::Policy(path, options);
  } catch (const tilt::PolicyError& error) {
    throw BadInput(error.what());
  }
}

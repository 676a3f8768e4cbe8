#pragma once

#include <cstddef>
#include <string>

#include "tilt/core/check.hpp"
#include "tilt/engine/llama/processors.hpp"

namespace tilt::llama {

/// Options of `Policy`: the memory it may use and where it runs.
struct PolicyOptions {
  std::size_t sequences = 16;  ///< responses generated side by side, 1 to 64
  std::size_t context = 8192;  ///< tokens in the key-value cache, all sequences together; one piece
                               ///< of work must fit into it with its prompt, prefix and new tokens
  std::size_t threads = 0;  ///< processor threads, at most `available_processors()`; 0: that many
  int gpu_layers = 0;       ///< layers kept on a graphics processor; -1: all
  std::string chat_template = {};  ///< name or text of a chat template that llama.cpp knows; empty:
                                   ///< the model's own; "none": texts are continued as they are
  std::size_t parked_bytes = std::size_t{512} << 20;  ///< main memory for sequences at rest that do
                                                      ///< not stay in the cache; 0: none
  bool verbose = false;  ///< let llama.cpp write its messages to standard error
};

/// The options with `threads` filled in.
/// @throws InvalidOption when one is out of its range
[[nodiscard]] inline PolicyOptions checked(PolicyOptions options) {
  require_option(options.sequences >= 1 && options.sequences <= 64, "PolicyOptions.sequences",
                 options.sequences, "from 1 to 64");
  require_option(options.context >= 1 && options.context <= (std::size_t{1} << 30),
                 "PolicyOptions.context", options.context, "from 1 to 2^30 tokens");
  const std::size_t processors = available_processors();
  require_option(options.threads <= processors, "PolicyOptions.threads", options.threads,
                 "from 1 to " + std::to_string(processors) +
                     ", the processors that this process may use, or 0 for all of them");
  if (options.gpu_layers < -1) {
    throw InvalidOption("PolicyOptions.gpu_layers", std::to_string(options.gpu_layers),
                        "at least 0, or -1 for all layers");
  }
  if (options.threads == 0) options.threads = processors;
  return options;
}

}  // namespace tilt::llama

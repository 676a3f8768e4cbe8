#pragma once

#include <dlfcn.h>
#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <type_traits>

#include "tilt/core/error.hpp"
#include "tilt/engine/llama/log.hpp"

namespace tilt::llama {

namespace detail {

// Up to which byte a function writes the structure that it returns. `write(place)` lets it write there.
template <class Write>
std::size_t written_bytes(Write write) {
  constexpr std::size_t room = 4096;  // many times the size of any such structure
  std::size_t end = 0;
  for (const int pattern : {0x5a, 0xa5}) {  // a byte that is left as it was is so with both
    alignas(std::max_align_t) std::byte place[room];
    std::memset(place, pattern, room);
    write(static_cast<void*>(place));
    for (std::size_t i = end; i < room; ++i) {
      if (place[i] != static_cast<std::byte>(pattern)) end = i + 1;
    }
  }
  return end;
}

// Whether a library fills in a structure of the layout that the headers give to `Parameters`: it writes to
// its end and not beyond, and `expected` finds the defaults where the headers have them.
template <class Parameters, class Write, class Expected>
bool same_layout(Write write, Expected expected) {
  static_assert(std::is_trivially_copyable_v<Parameters>);
  const std::size_t end = written_bytes(write);
  if (end > sizeof(Parameters) || end + alignof(Parameters) <= sizeof(Parameters)) return false;
  alignas(Parameters) std::byte place[sizeof(Parameters)];
  write(static_cast<void*>(place));
  return expected(*std::launder(reinterpret_cast<const Parameters*>(place)));
}

inline bool default_model(const llama_model_params& p) {
  return p.devices == nullptr && p.tensor_buft_overrides == nullptr && p.main_gpu == 0 &&
         p.split_mode == LLAMA_SPLIT_MODE_LAYER && p.tensor_split == nullptr &&
         p.progress_callback == nullptr && p.kv_overrides == nullptr && !p.vocab_only;
}

inline bool default_context(const llama_context_params& p) {
  return p.n_seq_max == 1 && p.n_threads == GGML_DEFAULT_N_THREADS &&
         p.n_threads_batch == GGML_DEFAULT_N_THREADS &&
         p.rope_scaling_type == LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED &&
         p.pooling_type == LLAMA_POOLING_TYPE_UNSPECIFIED &&
         p.attention_type == LLAMA_ATTENTION_TYPE_UNSPECIFIED && p.cb_eval == nullptr &&
         p.type_k == GGML_TYPE_F16 && p.type_v == GGML_TYPE_F16 && p.abort_callback == nullptr &&
         !p.embeddings && !p.kv_unified && p.samplers == nullptr && p.n_samplers == 0;
}

}  // namespace detail

/// Makes sure that the headers that this program was compiled with and the library that it runs with lay
/// out the parameters of models and contexts alike: these change between builds of llama.cpp, and what is
/// read at the wrong place would corrupt everything silently. Libraries from before there were versions
/// fail when linking, for want of `llama_version`.
/// @throws PolicyError when they differ
inline void check_library() {
  static const bool same =
      detail::same_layout<llama_model_params>(
          [](void* place) { new (place) llama_model_params(llama_model_default_params()); },
          detail::default_model) &&
      detail::same_layout<llama_context_params>(
          [](void* place) { new (place) llama_context_params(llama_context_default_params()); },
          detail::default_context);
  if (!same) {
    throw PolicyError(
        std::string("the headers and the library of llama.cpp are of different builds: the "
                    "library is of version ") +
        llama_version() + "; compile with the headers that belong to it");
  }
}

/// Makes llama.cpp's processor back ends known. They may be plug-ins beside its shared libraries,
/// which are looked for where the libraries were loaded from.
/// @throws PolicyError when there is none for this processor
inline void load_backends() {
  static const bool found = [] {
    llama_backend_init();
    const auto usable = [] {
      return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr;
    };
    if (usable()) return true;  // built in, or loaded by the program
    // A literal of libggml-base: the address of a function may be that of a stub in the program.
    Dl_info library = {};
    if (dladdr(ggml_type_name(GGML_TYPE_F32), &library) != 0 && library.dli_fname != nullptr) {
      const auto folder = std::filesystem::path(library.dli_fname).parent_path();
      ggml_backend_load_all_from_path(folder.c_str());
    }
    if (!usable()) ggml_backend_load_all();
    return usable();
  }();
  if (!found) {
    throw PolicyError(
        "llama.cpp has no back end for this processor: its plug-ins (libggml-cpu-*.so) "
        "must lie beside its libraries" +
        Log::reason());
  }
}

}  // namespace tilt::llama

#include "tilt/engine/llama/library.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <new>
#include <string>

#include "engine/tiny_model.hpp"
#include "support/catch.hpp"
#include "tilt/engine/llama/model.hpp"

using tilt::llama::Log;
using tilt::llama::Model;
using tilt::test::TinyModel;

namespace {

// Structures as builds of other headers have them.
struct Longer {
  llama_context_params known;
  std::uint64_t more = 7;
};
struct Shorter {
  std::uint64_t known[2];
};
// The same size, one member moved.
struct Moved {
  std::uint32_t first[6];
  std::int32_t n_threads, n_threads_batch;
  std::uint32_t others[(sizeof(llama_context_params) - 32) / 4];
};
static_assert(sizeof(Moved) == sizeof(llama_context_params));

template <class Write>
bool is_context(Write write) {
  return tilt::llama::detail::same_layout<llama_context_params>(
      write, tilt::llama::detail::default_context);
}

// What is written to standard error while something is done.
template <class Action>
std::string heard(Action&& action) {
  std::FILE* file = std::tmpfile();
  std::fflush(stderr);
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  action();
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::rewind(file);
  std::string text(100000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("a library of another layout than the headers is told apart", "[engine]") {
  CHECK_NOTHROW(tilt::llama::check_library());
  const auto real = [](void* place) {
    new (place) llama_context_params(llama_context_default_params());
  };
  CHECK(is_context(real));
  CHECK(tilt::llama::detail::written_bytes(real) <= sizeof(llama_context_params));
  CHECK_FALSE(is_context([](void* place) { new (place) Longer{llama_context_default_params()}; }));
  CHECK_FALSE(is_context([](void* place) { new (place) Shorter{}; }));
  CHECK_FALSE(is_context([](void* place) {
    Moved* moved = new (place) Moved();
    moved->n_threads = moved->n_threads_batch = GGML_DEFAULT_N_THREADS;
  }));
  // A byte that happens to be the pattern, which the probe looks for, is seen with the other one.
  CHECK(tilt::llama::detail::written_bytes(
            [](void* place) { *static_cast<char*>(place) = 0x5a; }) == 1);
  CHECK(tilt::llama::detail::written_bytes([](void*) {}) == 0);
}

TEST_CASE("llama.cpp is heard while a verbose model is there, whatever was there before",
          "[engine]") {
  const TinyModel file({.special = {{"<s>", 3}, {"</s>", 3}}});
  const auto load = [&](bool verbose) { return Model(file.path(), 0, "none", verbose); };
  CHECK(heard([&] { load(false); }).empty());
  CHECK(heard([&] { load(true); }).find("llama_model_loader") != std::string::npos);
  CHECK(heard([&] { load(false); }).empty());
  const Model quiet = load(false);
  CHECK_FALSE(heard([&] { load(true); }).empty());
  CHECK(heard([&] { load(false); }).empty());
}

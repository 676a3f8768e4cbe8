// The optional parts of the package, those that are there: their headers compile and link.
#include <tilt/tilt.hpp>

#ifdef WITH_JSON
#include <tilt/io/ifeval.hpp>
#endif
#ifdef WITH_LLAMA
#include <tilt/engine/llama.hpp>
#endif

#include <cstdio>

int main() {
#ifdef WITH_JSON
  const tilt::IfevalTask task = tilt::ifeval_task(nlohmann::json::parse(
      R"({"key": 1, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})"));
  if (task.satisfied("no comma") != std::vector<bool>{true}) return 1;
#endif
#ifdef WITH_LLAMA
  try {
    tilt::llama::Policy policy{"no such model.gguf"};
    return 1;
  } catch (const tilt::Error& error) {
    std::printf("%s\n", error.what());
  }
#endif
  return 0;
}

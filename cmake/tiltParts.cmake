# The optional parts of tilt, defined alike in the build tree and in the installed package:
#   tilt::json    tilt::tilt and nlohmann/json, for <tilt/io/...>
#   tilt::llama   tilt::tilt and llama.cpp, for <tilt/engine/llama.hpp>
# A part whose dependency is not found does not exist; its tilt_<part>_FOUND is false, and
# tilt_<part>_NEEDS says what is missing.

set(tilt_json_FOUND FALSE)
set(tilt_json_NEEDS "nlohmann/json >= 3.11 was not found (Debian, Ubuntu: apt-get install nlohmann-json3-dev)")
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.11 CONFIG QUIET)
endif()
if(TARGET nlohmann_json::nlohmann_json)
  set(tilt_json_FOUND TRUE)
  if(NOT TARGET tilt::json)
    add_library(tilt::json INTERFACE IMPORTED GLOBAL)
    target_link_libraries(tilt::json INTERFACE tilt::tilt nlohmann_json::nlohmann_json)
  endif()
endif()

set(tilt_llama_FOUND FALSE)
set(tilt_llama_NEEDS "llama.cpp was not found. Give -DTILT_LLAMA_DIR=FOLDER with include/llama.h and the \
libraries libllama, libggml and libggml-base")
list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(TiltLlama QUIET)
list(POP_FRONT CMAKE_MODULE_PATH)
if(TiltLlama_FOUND)
  set(tilt_llama_FOUND TRUE)
  if(NOT TARGET tilt::llama)
    add_library(tilt::llama INTERFACE IMPORTED GLOBAL)
    target_link_libraries(tilt::llama INTERFACE tilt::tilt TiltLlama::llama)
  endif()
endif()

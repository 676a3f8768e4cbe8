#[[
All tests in one command: installs what is missing, fetches an engine and a model, builds, and runs every
suite with one compiler: unit, law, compile_fail, package and examples side by side, engine one at a time.

  cmake [-DOPTION=VALUE ...] -P cmake/test.cmake

A C++20 compiler and CMake are all that must be there. It uses apt-get for missing packages where it may
(as root, or with sudo that asks no password), npm, git and pip for engine and model. Ends with a non-zero
status when anything fails.

Options:
  ENGINE=auto         run the engine tests if an engine and a model can be had, say so if not (default);
         required     fail if they cannot be had
         off          do without the engine tests
  ENGINE_DIR=FOLDER   your own llama.cpp: include/llama.h and lib/libllama.so (default: fetched)
  MODEL=FILE          your own model, GGUF (default: SmolLM2-135M-Instruct, fetched); the engine tests
                      state their bounds for the default one
  LABELS=REGEX        only the suites whose label matches, as in LABELS="unit|law" (default: all)
  TESTS=REGEX         only the tests whose name matches
  BUILD_DIR=FOLDER    where it is built (default build/test)
  BUILD_TYPE=TYPE     Release (default), Debug, ...
  CACHE_DIR=FOLDER    where engine and model are kept for the next time (default build/downloads)
  CXX=COMPILER        which C++ compiler (default: $CXX, else the system's)
  JOBS=N              compilers and tests to run at once (default: as many as cores, 2 GiB of memory for each)
  INSTALL=OFF         install nothing, say what is missing
  CMAKE_ARGS=LIST     further arguments for the configure step, separated by semicolons
  HELP=1              print this text
]]

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/fetch_engine.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/fetch_model.cmake)
tilt_help(${CMAKE_CURRENT_LIST_FILE})

tilt_path(BUILD_DIR ${TILT_ROOT}/build/test)
tilt_path(ENGINE_DIR "")
tilt_path(MODEL "")
tilt_default(BUILD_TYPE Release)
tilt_default(ENGINE auto)
if(NOT ENGINE MATCHES "^(auto|required|off)$")
  message(FATAL_ERROR "ENGINE=${ENGINE}: auto, required or off")
endif()
foreach(given IN ITEMS ENGINE_DIR MODEL)
  if(${given} AND NOT EXISTS ${${given}})
    message(FATAL_ERROR "${given}: there is no ${${given}}")
  endif()
endforeach()

set(later "")
if(NOT ENGINE_DIR AND NOT ENGINE STREQUAL "off")
  list(APPEND later npm git)
endif()
if(NOT MODEL AND NOT ENGINE STREQUAL "off")
  list(APPEND later pip)
endif()
tilt_prepare(PACKAGES Eigen3=3.4 nlohmann_json=3.11 CLI11=2.1 "Catch2=3|2.13" benchmark=1.7 LATER ${later})

set(skipped "")
if(ENGINE STREQUAL "off")
  set(ENGINE_DIR "")
  set(MODEL "")
  set(skipped "asked by ENGINE=off")
else()
  if(NOT ENGINE_DIR)
    tilt_fetch_engine(ENGINE_DIR skipped)
  endif()
  if(NOT MODEL AND NOT skipped)
    tilt_fetch_model(MODEL skipped)
  endif()
  if(skipped AND ENGINE STREQUAL "required")
    message(FATAL_ERROR "The engine tests cannot run. ${skipped}")
  endif()
endif()

tilt_say("Building")
tilt_build(${BUILD_DIR} ARGUMENTS -DCMAKE_BUILD_TYPE=${BUILD_TYPE} -DTILT_BUILD_TESTS=ON -DTILT_BUILD_BENCHMARKS=ON
                                  "-DTILT_LLAMA_DIR=${ENGINE_DIR}"
                                  "-DTILT_TEST_MODEL=${MODEL}" ${CMAKE_ARGS})

tilt_say("Running the tests")
set(selection "")
if(LABELS)
  list(APPEND selection -L ${LABELS})
endif()
if(TESTS)
  list(APPEND selection -R ${TESTS})
endif()
tilt_jobs(jobs)
if(skipped)
  tilt_say("SKIPPED: the engine tests. ${skipped}")
endif()
cmake_path(GET CMAKE_COMMAND PARENT_PATH bin)
find_program(ctest ctest HINTS ${bin} NO_CACHE REQUIRED)
tilt_run("Tests failed" ${ctest} --test-dir ${BUILD_DIR} --output-on-failure --no-tests=error -j ${jobs} ${selection})

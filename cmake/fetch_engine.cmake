#[[
Fetches llama.cpp v0.5.0, ready to link: headers and shared libraries, from two npm packages.

  cmake [-DOPTION=VALUE ...] -P cmake/fetch_engine.cmake

Options:
  CACHE_DIR=FOLDER   where it is put (default build/downloads in the project)
  INSTALL=OFF        do not install npm or git when they are missing
  HELP=1             print this text

Prints the folder to give as TILT_LLAMA_DIR. What is there already is not fetched again. For Linux on
x86-64 and on 64-bit Arm; elsewhere build llama.cpp and give its folder yourself.
]]

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)

set(TILT_ENGINE_PACKAGE_VERSION 3.22.1)
set(TILT_ENGINE_VERSION v0.5.0)
# The package with the sources, for the headers; then the libraries for each kind of processor.
set(TILT_ENGINE_SHA256_source a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f)
set(TILT_ENGINE_SHA256_x64 0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0)
set(TILT_ENGINE_SHA256_arm64 39c76b998e35ed2f236c01472fc79eda0fc558b1c8b535023c2d7ded8c327cc4)

# tilt_fetch_engine(<folder variable> <problem variable>): one of the two is empty afterwards.
function(tilt_fetch_engine folder_variable problem_variable)
  set(${folder_variable} "" PARENT_SCOPE)
  set(by_hand "To give llama.cpp by hand: a folder with include/llama.h and lib/libllama.so, "
              "libggml.so, libggml-base.so.")
  list(JOIN by_hand "" by_hand)

  cmake_host_system_information(RESULT processor QUERY OS_PLATFORM)
  if(processor MATCHES "^(x86_64|amd64|AMD64)$")
    set(kind x64)
  elseif(processor MATCHES "^(aarch64|arm64)$")
    set(kind arm64)
  endif()
  cmake_host_system_information(RESULT system QUERY OS_NAME)
  if(NOT kind OR NOT system STREQUAL "Linux")
    set(${problem_variable} "There are no ready-made libraries of llama.cpp for ${system} on ${processor}. ${by_hand}"
        PARENT_SCOPE)
    return()
  endif()

  tilt_lock_downloads()
  set(folder ${CACHE_DIR}/llama.cpp-${TILT_ENGINE_VERSION}-${kind})
  if(EXISTS ${folder}/include/llama.h AND EXISTS ${folder}/lib/libllama.${TILT_ENGINE_VERSION}.so)
    set(${folder_variable} ${folder} PARENT_SCOPE)
    set(${problem_variable} "" PARENT_SCOPE)
    return()
  endif()

  tilt_ensure_tools(lacking npm git)
  if(lacking)
    set(${problem_variable} "llama.cpp is fetched with npm and git. ${lacking}. ${by_hand}" PARENT_SCOPE)
    return()
  endif()
  tilt_find_tool(npm npm)
  tilt_find_tool(git git)

  tilt_say("Fetching llama.cpp ${TILT_ENGINE_VERSION} (47 MB)")
  set(work ${folder}.part)
  file(REMOVE_RECURSE ${work} ${folder})
  file(MAKE_DIRECTORY ${work}/source ${work}/${kind} ${work}/engine/lib)

  set(package_source node-llama-cpp)
  set(package_${kind} @node-llama-cpp/linux-${kind})
  foreach(part IN ITEMS source ${kind})
    set(package ${package_${part}}@${TILT_ENGINE_PACKAGE_VERSION})
    execute_process(
      COMMAND ${npm} pack --loglevel=error ${package}
      WORKING_DIRECTORY ${work}/${part}
      TIMEOUT 1800
      RESULT_VARIABLE result
      OUTPUT_QUIET)
    file(GLOB tarball ${work}/${part}/*.tgz)
    if(NOT result EQUAL 0 OR NOT tarball)
      set(${problem_variable} "npm pack ${package} failed (${result}). ${by_hand}" PARENT_SCOPE)
      return()
    endif()
    file(SHA256 ${tarball} hash)
    if(NOT hash STREQUAL TILT_ENGINE_SHA256_${part})
      set(${problem_variable} "${package} is not the file that was expected: its SHA-256 is ${hash}, not ${TILT_ENGINE_SHA256_${part}}. ${by_hand}"
          PARENT_SCOPE)
      return()
    endif()
    file(ARCHIVE_EXTRACT INPUT ${tarball} DESTINATION ${work}/${part})
  endforeach()

  # The headers stand in a git bundle of the complete source, next to the libraries built from it.
  execute_process(COMMAND ${git} clone -q --no-checkout ${work}/source/package/llama/gitRelease.bundle ${work}/tree
                  RESULT_VARIABLE result)
  if(result EQUAL 0)
    execute_process(COMMAND ${git} -C ${work}/tree checkout -q HEAD -- include ggml/include LICENSE
                    RESULT_VARIABLE result)
  endif()
  if(NOT result EQUAL 0)
    set(${problem_variable} "git could not unpack llama.cpp's headers (${result}). ${by_hand}" PARENT_SCOPE)
    return()
  endif()
  file(GLOB headers ${work}/tree/include/*.h ${work}/tree/ggml/include/*.h)
  file(COPY ${headers} DESTINATION ${work}/engine/include)
  file(GLOB libraries ${work}/${kind}/package/bins/linux-${kind}/lib*.so)
  file(COPY ${libraries} DESTINATION ${work}/engine/lib)
  file(COPY_FILE ${work}/tree/LICENSE ${work}/engine/LICENSE)

  # The folder appears whole or not at all.
  file(RENAME ${work}/engine ${folder})
  file(REMOVE_RECURSE ${work})
  set(${folder_variable} ${folder} PARENT_SCOPE)
  set(${problem_variable} "" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  tilt_help(${CMAKE_CURRENT_LIST_FILE})
  tilt_fetch_engine(engine problem)
  if(problem)
    message(FATAL_ERROR "${problem}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${engine})
endif()

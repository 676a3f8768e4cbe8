# A plain configure step of SOURCE_DIR without the optional packages: all the rest is built, and each of them is
# named in a line. Where the tests are asked for, they are not left out.
#   cmake -DSOURCE_DIR=FOLDER -DBINARY_DIR=FOLDER -DGENERATOR=NAME -DCOMPILER=PROGRAM -P plain.cmake
cmake_minimum_required(VERSION 3.25)

set(without Catch2 benchmark CLI11 TiltLlama)
list(TRANSFORM without PREPEND "-DCMAKE_DISABLE_FIND_PACKAGE_")
list(TRANSFORM without APPEND "=ON")
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE_DIR} -B ${BINARY_DIR} -DCMAKE_CXX_COMPILER=${COMPILER} ${without})

file(REMOVE_RECURSE ${BINARY_DIR})
execute_process(COMMAND ${configure} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "A plain configure step fails without the optional packages:\n${output}")
endif()
foreach(line IN ITEMS "The tests, [^\n]*are left out: Catch2 [^\n]*apt-get install catch2"
                      "The benchmarks are left out: benchmark [^\n]*apt-get install libbenchmark-dev"
                      "align, compare and votes are left out: CLI11 [^\n]*apt-get install libcli11-dev"
                      "tilt::llama is left out[^\n]*TILT_LLAMA_DIR")
  if(NOT output MATCHES "${line}")
    message(FATAL_ERROR "No line like \"${line}\":\n${output}")
  endif()
endforeach()
if(output MATCHES "CMake Warning")
  message(FATAL_ERROR "A warning:\n${output}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY_DIR} --target help OUTPUT_VARIABLE targets)
foreach(target IN ITEMS hello custom_sampler event_loop)
  if(NOT targets MATCHES "${target}")
    message(FATAL_ERROR "${target} is not built:\n${targets}")
  endif()
endforeach()

# What is asked for is not left out.
foreach(option IN ITEMS TESTS BENCHMARKS)
  file(REMOVE_RECURSE ${BINARY_DIR})
  execute_process(COMMAND ${configure} -DTILT_BUILD_TESTS=OFF -DTILT_BUILD_${option}=ON RESULT_VARIABLE result
                  OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(result EQUAL 0 OR NOT output MATCHES "-DTILT_BUILD_${option}=OFF")
    message(FATAL_ERROR "TILT_BUILD_${option}=ON without its package (${result}):\n${output}")
  endif()
endforeach()

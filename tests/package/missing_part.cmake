# What find_package says of parts that are not there.
#   cmake -DFOLDER=find_package -DPREFIX=FOLDER -DBINARY_DIR=FOLDER -DGENERATOR=NAME -DCOMPILER=PROGRAM
#         -P missing_part.cmake
cmake_minimum_required(VERSION 3.25)

# expect(<part> <package it needs> <regex>)
function(expect part package says)
  file(REMOVE_RECURSE ${BINARY_DIR})
  execute_process(
    COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${FOLDER} -B ${BINARY_DIR} -DCMAKE_CXX_COMPILER=${COMPILER}
            -DCMAKE_PREFIX_PATH=${PREFIX} -DPARTS=${part} -DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON
    RESULT_VARIABLE result
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")  # CMake breaks the lines
  if(result EQUAL 0 OR NOT output MATCHES "Reason given by package: ${says}")
    message(FATAL_ERROR "Nothing like \"${says}\" is said of ${part} (${result}):\n${output}")
  endif()
endfunction()

expect(llama TiltLlama "llama: llama.cpp was not found. Give -DTILT_LLAMA_DIR=FOLDER")
expect(json nlohmann_json "json: nlohmann/json >= 3.11 was not found")
expect(nosuch TiltLlama "nosuch: no such component: there are json and llama")

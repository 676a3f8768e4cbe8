#[[
Runs one compile-fail case: the source must not compile, and the compiler must give the reason that the
source names in its lines "// expect: REGEX" (all of them, CMake's regular expressions).

  cmake -DSOURCE=FILE -DCOMMAND=LIST -P cmake/expect_compile_error.cmake

COMMAND is the compiler with its flags; the source is appended.
]]

cmake_minimum_required(VERSION 3.25)

file(STRINGS ${SOURCE} expected REGEX "^// expect: ")
if(NOT expected)
  message(FATAL_ERROR "no line '// expect: REGEX': ${SOURCE}")
endif()

execute_process(
  COMMAND ${COMMAND} ${SOURCE}
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
set(problem "")
if(result EQUAL 0)
  set(problem "compiled, but must not")
elseif(NOT result EQUAL 1)
  # Neither GCC nor Clang ends so for an error in the source.
  set(problem "the compiler did not run to its end (${result})")
else()
  foreach(line IN LISTS expected)
    string(REGEX REPLACE "^// expect: " "" regex "${line}")
    if(NOT output MATCHES "${regex}")
      set(problem "failed for another reason than /${regex}/")
    endif()
  endforeach()
endif()
if(problem)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${output}")
  message(FATAL_ERROR "${problem}: ${SOURCE}")
endif()

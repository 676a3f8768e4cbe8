#[[
Runs a command and demands its exit status, and where given what it says.

  cmake -DCOMMAND=LIST -DSTATUS=N [-DSAYS=REGEX] [-DABSENT=LIST] -P cmake/expect_exit.cmake

SAYS is looked for in standard output and standard error together; with STATUS=2 (bad input) what is said
must be one line. ABSENT are files that must not be there afterwards.
]]

cmake_minimum_required(VERSION 3.25)

execute_process(
  COMMAND ${COMMAND}
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
set(problem "")
if(NOT result EQUAL STATUS)
  set(problem "exit status ${result}, not ${STATUS}")
elseif(SAYS AND NOT output MATCHES "${SAYS}")
  set(problem "does not say /${SAYS}/")
elseif(STATUS EQUAL 2 AND NOT output MATCHES "^[^\n]+\n$")
  set(problem "says more than one line")
endif()
foreach(file IN LISTS ABSENT)
  if(EXISTS ${file})
    set(problem "left ${file}")
  endif()
endforeach()
if(problem)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${output}")
  message(FATAL_ERROR "${problem}: ${COMMAND}")
endif()

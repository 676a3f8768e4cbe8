# A test program that cannot even list its tests (two of one name, a fault before main) would be registered
# with CTest as having none: fail the build instead.
#   cmake -DPROGRAM=FILE -P check_listing.cmake
execute_process(
  COMMAND ${PROGRAM} --list-tests
  OUTPUT_VARIABLE output
  ERROR_VARIABLE error)
if(NOT output MATCHES "[1-9][0-9]* test case" OR error MATCHES "error")
  message(FATAL_ERROR "${PROGRAM} does not list its tests:\n${output}\n${error}")
endif()

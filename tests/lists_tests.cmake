# cmake -DPROGRAM= -P lists_tests.cmake: the test program must list its tests. Two tests of one name make
# it refuse to, and the discovery of tests would then find none without a word.
execute_process(COMMAND ${PROGRAM} --list-tests OUTPUT_VARIABLE out ERROR_VARIABLE err)
if(NOT out MATCHES "[1-9][0-9]* test cases")
  message(FATAL_ERROR "${PROGRAM} lists no tests\n${out}${err}")
endif()

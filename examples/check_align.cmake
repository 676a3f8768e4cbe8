# Runs align over three prompts and a broken line, twice: the second run has nothing left to do.
#   cmake -DCOMMAND=LIST -DOUT=FOLDER -P check_align.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${OUT})
file(MAKE_DIRECTORY ${OUT})
file(WRITE ${OUT}/prompts.jsonl
     [[{"id": "a", "question": "What is 1 + 1?", "answer": "2"}
{"id": "b", "question": "What is 2 + 2?", "answer": "4"}
{"id": "broken", "question":
{"id": "c", "question": "What is 3 + 3?", "answer": "6"}
]])

function(run)
  execute_process(
    COMMAND ${COMMAND} --prompts ${OUT}/prompts.jsonl --out ${OUT}/results.jsonl
    RESULT_VARIABLE result
    OUTPUT_VARIABLE said
    ERROR_VARIABLE said)
  # 1: not all that was given is answered.
  if(NOT result EQUAL 1 OR NOT said MATCHES "line 3")
    message(FATAL_ERROR "status ${result}; line 3 must be reported:\n${said}")
  endif()
endfunction()

run()
file(READ ${OUT}/results.jsonl first)
string(REGEX MATCHALL "\n" lines "${first}")
list(LENGTH lines count)
if(NOT count EQUAL 3)
  message(FATAL_ERROR "${count} results instead of 3:\n${first}")
endif()
string(REGEX MATCH "^[^\n]+" line "${first}")
foreach(member IN ITEMS id answer reward)
  string(JSON value ERROR_VARIABLE error GET "${line}" ${member})
  if(error)
    message(FATAL_ERROR "${error}:\n${line}")
  endif()
endforeach()

run()
file(READ ${OUT}/results.jsonl second)
if(NOT first STREQUAL second)
  message(FATAL_ERROR "The second run changed the results:\n${second}")
endif()

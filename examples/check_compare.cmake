# Runs compare at its smallest and looks at what it leaves.
#   cmake -DCOMMAND=LIST -DOUT=FOLDER -P check_compare.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${OUT})
execute_process(COMMAND ${COMMAND} --out ${OUT} OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
foreach(word IN ITEMS "best of n" rejection QAlign CARDS TPO PRS "InfAlign, rejection" "InfAlign, rank draw")
  if(NOT table MATCHES ${word})
    message(FATAL_ERROR "The table does not name ${word}:\n${table}")
  endif()
endforeach()

# The page must be readable without network.
file(READ ${OUT}/report.html page)
if(NOT page MATCHES "<html" OR NOT page MATCHES "</html>")
  message(FATAL_ERROR "report.html is not a whole page")
endif()
if(page MATCHES "(src|href)=[\"'](https?:)?//[^\"']*[\"']" OR page MATCHES "@import|url\\(")
  message(FATAL_ERROR "report.html loads ${CMAKE_MATCH_0}")
endif()

file(STRINGS ${OUT}/results.jsonl lines ENCODING UTF-8)
list(LENGTH lines count)
if(count EQUAL 0)
  message(FATAL_ERROR "results.jsonl is empty")
endif()

# The same again finds everything finished, and writes the page anew.
file(REMOVE ${OUT}/report.html)
file(SHA256 ${OUT}/results.jsonl before)
execute_process(COMMAND ${COMMAND} --out ${OUT} OUTPUT_QUIET ERROR_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 ${OUT}/results.jsonl after)
if(NOT said MATCHES "14 of 14 steps are finished already" OR NOT before STREQUAL after OR NOT EXISTS ${OUT}/report.html)
  message(FATAL_ERROR "The same command again:\n${said}")
endif()

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

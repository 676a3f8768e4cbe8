#[[
Runs a fuzz target on its corpus and on what it finds from there:

  cmake -DPROGRAM=FILE -DCORPUS=FOLDER -DOUT=FOLDER [-DSECONDS=120] -P tests/fuzz/run.cmake

New inputs go to OUT/found, which a later run starts from too; an input that shows a fault goes to OUT, named
crash-, timeout-, oom- or leak-. The corpus itself stays as it is. All targets, two minutes each:

  cmake --preset clang-fuzz -DTILT_FUZZ_SECONDS=120 && cmake --build --preset clang-fuzz && ctest --preset clang-fuzz
]]
foreach(name IN ITEMS PROGRAM CORPUS OUT)
  if(NOT ${name})
    message(FATAL_ERROR "-D${name}=... is missing")
  endif()
endforeach()
if(NOT SECONDS)
  set(SECONDS 120)
endif()
file(MAKE_DIRECTORY ${OUT}/found)
execute_process(
  COMMAND ${PROGRAM} -max_total_time=${SECONDS} -timeout=60 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1
          -artifact_prefix=${OUT}/ ${OUT}/found ${CORPUS}
  RESULT_VARIABLE status
  ERROR_VARIABLE log)
string(REGEX MATCH "stat::number_of_executed_units: *[0-9]+" runs "${log}")
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${log}\n${PROGRAM} found a fault")
endif()
message(STATUS "${PROGRAM}: ${runs} in ${SECONDS} seconds, no fault")

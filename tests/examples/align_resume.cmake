# Jobs of align that are ended at every instant, cut, changed and gone on with: what is left in the end is what an
# uninterrupted run writes, byte for byte but for the seconds.
#   cmake -DALIGN=TOY -DDIR=FOLDER [-DKILLS=N] -P align_resume.cmake
# KILLS: so many further kills by the clock (default 4; the instants are spread over the job).
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

if(NOT DEFINED KILLS)
  set(KILLS 4)
endif()
file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
set(SIGKILL 9)
set(SIGTERM 15)
set(SIGINT 2)

# Two batches of three and one of two; rows with ids of both types, without, and twice the same.
set(rows [[{"id": 1, "prompt": "one", "answer": "4"}
{"id": "1", "prompt": "two", "answer": "so 5 #### 5"}
{"prompt": "three", "answer": "6"}
{"prompt": "four", "answer": "6"}
{"id": null, "prompt": "three", "answer": "6"}
{"prompt": "three", "answer": "7"}
{"id": "x", "question": "six", "answer": 8}
{"id": "y", "messages": [{"role": "user", "content": "seven"}]}
]])
file(WRITE ${DIR}/prompts.jsonl "${rows}")

# Draws until one is accepted: the prompts of a batch end at different calls, so that kills fall between them.
set(base --prompts ${DIR}/prompts.jsonl --reward words --words 3 --method rejection --ceiling 0 --beta 0.2 --max-tokens 8)
set(job ${base} --metric words --max-rejections 6 --batch 3 --candidates full)

# contents(<file> <variable>): all but the seconds.
function(contents file variable)
  set(text "")
  if(EXISTS ${file})
    file(READ ${file} text)
  endif()
  string(REGEX REPLACE "\"seconds\":[0-9.e+-]+" "" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
function(same file what)
  contents(${file} text)
  if(NOT text STREQUAL whole)
    message(FATAL_ERROR "${what}: ${file} is not what an uninterrupted run has written, ${DIR}/whole.jsonl")
  endif()
endfunction()

set(PROGRAM ${ALIGN} --model 0)
expect(0 "8 of 8 prompts\n.*8 prompts: mean reward .words. -?[0-9.e-]+ .-.*mean metric .words..*accuracy .* of 7; [0-9]+ tokens generated, [0-9]+ policy calls, [0-9]+ reward calls; [0-9.]+ s"
       ${job} --out ${DIR}/whole.jsonl)
contents(${DIR}/whole.jsonl whole)
string(REGEX MATCHALL "\n" lines "${whole}")
list(LENGTH lines count)
if(NOT count EQUAL 8)
  message(FATAL_ERROR "${count} results, not 8:\n${whole}")
endif()
# The ids keep their type; rows without one have one of their content, each its own.
string(REGEX MATCHALL "\"id\":[^,]*,\"law_holds" ids "${whole}")
list(REMOVE_DUPLICATES ids)
list(LENGTH ids count)
if(NOT count EQUAL 8 OR NOT "\"id\":1,\"law_holds" IN_LIST ids OR NOT "\"id\":\"1\",\"law_holds" IN_LIST ids
   OR "${ids}" MATCHES "null")
  message(FATAL_ERROR "The ids are not eight different ones: ${ids}")
endif()
# One type for each member, and settings that are no string.
foreach(line RANGE 1 8)
  string(REGEX MATCH "^[^\n]*" first "${whole}")
  string(LENGTH "${first}" length)
  math(EXPR length "${length} + 1")
  string(SUBSTRING "${whole}" ${length} -1 whole_rest)
  foreach(member IN ITEMS "OBJECT;settings" "STRING;settings;method" "NUMBER;settings;options;max_rejections"
                          "STRING;decision;answer" "STRING;answer" "STRING;row" "NUMBER;metric")
    list(POP_FRONT member type)
    string(JSON found ERROR_VARIABLE error TYPE "${first}" ${member})
    if(NOT found STREQUAL type)
      message(FATAL_ERROR "${member} is ${found} (${error}), not ${type}: ${first}")
    endif()
  endforeach()
  set(whole_kept "${whole_kept}${first}\n")
  set(whole "${whole_rest}")
endforeach()
set(whole "${whole_kept}")

# Killed before every call of the model, and gone on with. The last table ends when a job is no longer killed.
set(part ${DIR}/part.jsonl)
foreach(signal IN ITEMS SIGKILL SIGTERM SIGINT)
  set(partial 0)
  foreach(call RANGE 1 200)
    file(REMOVE ${part})
    execute_process(COMMAND ${ALIGN} --model 0,${call},${${signal}} ${job} --out ${part} RESULT_VARIABLE result
                    OUTPUT_QUIET ERROR_VARIABLE output)
    if(result STREQUAL "0")
      break()
    endif()
    if(NOT signal STREQUAL "SIGKILL" AND (NOT result STREQUAL "1" OR NOT output MATCHES "stopping after the work in flight.*the same command goes on"))
      message(FATAL_ERROR "${signal} in call ${call} gave the status ${result}:\n${output}")
    endif()
    contents(${part} text)
    if(NOT text STREQUAL "" AND NOT text STREQUAL whole)
      math(EXPR partial "${partial} + 1")
    endif()
    expect(0 "" ${job} --out ${part})
    same(${part} "${signal} in call ${call}")
  endforeach()
  if(partial LESS 4 OR NOT result STREQUAL "0")
    message(FATAL_ERROR "Only ${partial} of the ends by ${signal} left a part: the table shows nothing")
  endif()
endforeach()

# Killed by the clock, some inside a write perhaps: each call of the model takes 5 ms.
if(KILLS GREATER 0)
  foreach(kill RANGE 1 ${KILLS})
    math(EXPR ms "(${kill} * 97) % 400 + 10")
    string(LENGTH "00${ms}" length)
    math(EXPR from "${length} - 3")
    string(SUBSTRING "00${ms}" ${from} 3 digits)
    file(REMOVE ${part})
    foreach(again RANGE 1 3)
      execute_process(
        COMMAND sh -c "\"$@\" & pid=$!; sleep 0.${digits}; kill -9 $pid; wait $pid" sh ${ALIGN} --model 5 ${job} --out ${part}
        OUTPUT_QUIET ERROR_QUIET)
    endforeach()
    expect(0 "" ${job} --out ${part})
    same(${part} "SIGKILL after ${ms} ms")
  endforeach()
endif()

# Cut inside a line at several places, as by a full disk or a failing machine.
file(READ ${DIR}/whole.jsonl text)
string(LENGTH "${text}" length)
foreach(step RANGE 1 24)
  math(EXPR cut "12 + ${step} * (${length} - 12) / 25")
  string(SUBSTRING "${text}" 0 ${cut} head)
  file(WRITE ${part} "${head}")
  expect(0 "" ${job} --out ${part})
  same(${part} "cut at byte ${cut}")
endforeach()
# A last line that is whole but for its end is kept.
string(REGEX REPLACE "\n$" "" head "${text}")
file(WRITE ${part} "${head}")
expect(0 "8 of 8 prompts are finished already" ${job} --out ${part})
same(${part} "without the last end of a line")

# A line put in front does not shift ids and streams: only the new row is answered.
file(WRITE ${DIR}/grown.jsonl "{\"prompt\": \"zero\", \"answer\": \"1\"}\n${rows}")
file(COPY_FILE ${DIR}/whole.jsonl ${DIR}/grown_results.jsonl)
list(TRANSFORM job REPLACE "prompts.jsonl$" "grown.jsonl" OUTPUT_VARIABLE grown_job)
expect(0 "8 of 9 prompts are finished already.*1 of 1 prompts.*9 prompts: mean" ${grown_job} --out ${DIR}/grown_results.jsonl)
contents(${DIR}/grown_results.jsonl text)
string(FIND "${text}" "${whole}" at)
if(NOT at EQUAL 0 OR NOT text MATCHES "\"prompt\":\"zero\"[^\n]*\n$")
  message(FATAL_ERROR "The old results changed, or the new one is missing: grown_results.jsonl")
endif()
# With batches of one nothing depends on the place at all: the same results as of a run of its own.
list(TRANSFORM job REPLACE "^3$" "1" OUTPUT_VARIABLE single)
list(TRANSFORM single REPLACE "prompts.jsonl$" "grown.jsonl" OUTPUT_VARIABLE grown_single)
expect(0 "" ${single} --out ${DIR}/single.jsonl)
expect(0 "" ${grown_single} --out ${DIR}/grown_single.jsonl)
contents(${DIR}/single.jsonl text)
contents(${DIR}/grown_single.jsonl grown)
string(FIND "${grown}" "\n" at)
math(EXPR at "${at} + 1")
string(SUBSTRING "${grown}" ${at} -1 grown)
if(NOT grown STREQUAL text)
  message(FATAL_ERROR "A line in front changed the results of the others: single.jsonl, grown_single.jsonl")
endif()

# Changed rows and options are refused, and named; the file stays as it is.
file(SHA256 ${DIR}/whole.jsonl before)
set(out --out ${DIR}/whole.jsonl)
foreach(change IN ITEMS "\"one\";\"uno\";the id 1, has changed" "\"4\";\"5\";the id 1, has changed"
                        "\"seven\";\"sept\";the id \"y\", has changed" "\"answer\": 8;\"answer\": 9;the id \"x\", has changed")
  list(GET change 0 old)
  list(GET change 1 new)
  list(GET change 2 says)
  string(REPLACE "${old}" "${new}" changed "${rows}")
  file(WRITE ${DIR}/changed.jsonl "${changed}")
  list(TRANSFORM job REPLACE "prompts.jsonl$" "changed.jsonl" OUTPUT_VARIABLE changed_job)
  expect_refusal("line [0-9]+: its row, that of ${says}" ${changed_job} ${out})
endforeach()
set(metric --metric words)
set(rejections --max-rejections 6)
set(batch --batch 3)
set(candidates --candidates full)
expect_refusal("--batch is 3 there, 2 now" ${base} ${out} ${metric} ${rejections} --batch 2 ${candidates})
expect_refusal("--candidates is \"full\" there, \"rewards\" now" ${base} ${out} ${metric} ${rejections} ${batch})
expect_refusal("--max-rejections is 6 there, 7 now" ${base} ${out} ${metric} --max-rejections 7 ${batch} ${candidates})
expect_refusal("--metric is \"words\" there, \"self_certainty\" now" ${base} ${out} --metric self_certainty ${rejections} ${batch} ${candidates})
expect_refusal("--on-failure is \"fail\" there, \"survive\" now" ${job} ${out} --on-failure survive)
expect_refusal("--seed is 42 there, 1 now" ${job} ${out} --seed 1)
expect_refusal("--temperature is 1.0 there, 0.5 now" ${job} ${out} --temperature 0.5)
expect_refusal("--selector is \"last_state\" there, \"soft_best\" now" ${job} ${out} --selector soft_best)
expect_refusal("--tokens is null there, 90 now" ${job} ${out} --tokens 90)
file(SHA256 ${DIR}/whole.jsonl after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "A refused file was changed")
endif()

# Other prompts with the same file, as "6 of 6 prompts are finished already" once: they are answered.
file(WRITE ${DIR}/others.jsonl "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n")
file(COPY_FILE ${DIR}/whole.jsonl ${DIR}/others_results.jsonl)
list(TRANSFORM job REPLACE "prompts.jsonl$" "others.jsonl" OUTPUT_VARIABLE others)
expect(0 "has 8 results of other prompts.*2 of 2 prompts" ${others} --out ${DIR}/others_results.jsonl)

# Two processes on one file: the second says so and leaves.
file(REMOVE ${part})
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env PART=${part} sh -c
          "\"$0\" --model 40 \"$@\" 2>/dev/null & while ! test -s \"$PART\"; do sleep 0.02; done; \"$0\" --model 0 \"$@\"; echo status $?; wait"
          ${ALIGN} ${job} --out ${part}
  OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT said MATCHES "another process is writing to .*part.jsonl" OR NOT said MATCHES "status 2")
  message(FATAL_ERROR "Two processes wrote to one file:\n${said}")
endif()
same(${part} "beside a second process")

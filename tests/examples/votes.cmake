# What votes makes of a small file and what it refuses: cmake -DVOTES=PROGRAM -DDIR=FOLDER -P votes.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
set(PROGRAM ${VOTES})

# Three of four solutions are right; the two wrong answers of the second problem win the vote, not the reward.
file(WRITE ${DIR}/good.jsonl [[{"code": ["\\boxed{1}", "\\boxed{1}"], "pred": ["1", "1"], "score": [true, true], "pred_score": [0.1, 0.2]}
{"code": ["\\boxed{5}", "\\boxed{7}", "\\boxed{7}"], "pred": ["5", "7", "7"], "score": [true, false, false], "pred_score": [3, 1, 1]}
]])
expect(0 "pass@1\\) +0.667.*majority vote +0.500 [^\n]* 0.500.*weighted vote, beta 1 +1.000.*best of all by reward +1.000.*best possible +1.000"
       ${DIR}/good.jsonl)

# Bad lines are named and do not lose the rest; a file without any other line is refused.
file(WRITE ${DIR}/mixed.jsonl "{bad\n{\"code\": [\"a\"], \"pred\": [\"1\"], \"score\": [true], \"pred_score\": [0.5]}\n[1]\n")
execute_process(COMMAND ${VOTES} ${DIR}/mixed.jsonl OUTPUT_VARIABLE output ERROR_VARIABLE complaints)
if(NOT complaints MATCHES "line 1 is left out: it is not JSON.*line 3 is left out" OR NOT output MATCHES "^1 problems?, 1 solutions?")
  message(FATAL_ERROR "The bad lines or the rest are lost:\n${complaints}\n${output}")
endif()
file(WRITE ${DIR}/bad.jsonl "[1]\n")
expect(2 "line 1 is left out.*no line of" ${DIR}/bad.jsonl)
expect_refusal("cannot read" ${DIR}/none.jsonl)
expect_refusal("WeightedMajorityVoteOptions.beta is 0" ${DIR}/good.jsonl --beta 0)
expect_refusal("nosuch" ${DIR}/good.jsonl --nosuch)
foreach(value IN ITEMS -1 nan x)
  foreach(option IN ITEMS beta power lambda)
    expect_refusal("${option} is|--${option}" ${DIR}/good.jsonl --${option}=${value})
  endforeach()
endforeach()
foreach(value IN ITEMS inf 1e400)  # an infinite power is legal: only the first rank counts
  expect_refusal("beta is inf" ${DIR}/good.jsonl --beta=${value})
  expect_refusal("lambda is inf" ${DIR}/good.jsonl --lambda=${value})
endforeach()
expect(0 "Usage" --help)
expect(0 "^votes [0-9]+[.][0-9]+[.][0-9]+\n$" --version)

# Lines that would do harm are named, shown harmlessly, and lose nothing else.
string(ASCII 27 escape)
string(REPEAT "[" 200000 deep)
string(REPEAT "x" 3000000 long)
file(WRITE ${DIR}/hostile.jsonl "${deep}\n{\"code\": [\"a\"], \"pred\": [\"1\"], \"score\": [true], \"pred_score\": [1e400]}\n")
file(APPEND ${DIR}/hostile.jsonl "{\"${long}\"\n{\"code\": [\"a\"], \"pred\": [\"1\"], \"score\": [\"${escape}[31m${long}\"], \"pred_score\": [1]}\n")
file(APPEND ${DIR}/hostile.jsonl "{\"align\": \"\\u001b[31m\"}\n{\"code\": [\"a\"], \"pred\": [\"1\"], \"score\": [true], \"pred_score\": [0.5]}\n")
execute_process(COMMAND ${VOTES} ${DIR}/hostile.jsonl RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE complaints)
string(FIND "${complaints}" "${escape}" at)
string(LENGTH "${complaints}" length)
if(NOT result EQUAL 1 OR NOT at EQUAL -1 OR length GREATER 3000 OR NOT output MATCHES "^1 problems, 1 solutions")
  message(FATAL_ERROR "Hostile lines (${result}, ${length} characters):\n${complaints}\n${output}")
endif()
foreach(line RANGE 1 5)
  if(NOT complaints MATCHES "line ${line} is left out: ")
    message(FATAL_ERROR "Line ${line} is not named:\n${complaints}")
  endif()
endforeach()
string(REPEAT "[1]\n" 5000 many)
file(APPEND ${DIR}/hostile.jsonl "${many}")
execute_process(COMMAND ${VOTES} ${DIR}/hostile.jsonl OUTPUT_QUIET ERROR_VARIABLE complaints)
if(NOT complaints MATCHES "and 49[89][0-9] further lines are left out")
  message(FATAL_ERROR "Five thousand bad lines:\n${complaints}")
endif()

# Results of align: right is what has the value of the gold answer; what was not scored or has no weight is left out.
file(WRITE ${DIR}/align.jsonl [[{"align": "0.1.0", "id": "a", "row": "0", "gold": "1/2", "answer": "", "settings": {"method": "best_of_n"}, "decision": {"answer": "x", "share": 1, "index": 0}, "candidates": [{"response": {"text": "It is 0.5"}, "reward": 1, "weight": 1}, {"response": {"text": "\\boxed{\\frac12}"}, "reward": 0, "weight": 1}, {"response": {"text": "3"}, "reward": 2, "weight": 1}, {"response": {"text": "3"}, "reward": null, "weight": 0}]}
{"align": "0.1.0", "id": 2, "gold": "B", "candidates": [{"response": {"text": "The answer is (B)."}, "reward": 1}, {"response": {"text": "A"}, "reward": 0.5}]}
{"align": "0.1.0", "id": 3, "gold": "7", "candidates": [{"reward": 1, "weight": 1, "lane": 0, "tokens": 3}]}
{"align": "0.1.0", "id": 4, "candidates": []}
{"align": "0.1.0", "id": 5, "gold": "7"}
]])
expect(1 "line 3 is left out: [^\n]*--candidates full.*line 4 is left out: [^\n]*gold.*line 5 is left out: [^\n]*--candidates full.*2 problems, 5 solutions; with an answer: 5 by tilt's extraction.*pass@1\\) +0.583.*majority vote +1.000.*best of all by reward +0.500.*best possible +1.000"
       ${DIR}/align.jsonl)

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
expect(0 "Usage" --help)

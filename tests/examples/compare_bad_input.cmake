# What compare refuses: cmake -DCOMPARE=PROGRAM -DDIR=FOLDER -P compare_bad_input.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
file(WRITE ${DIR}/prompts.jsonl [[{"key": 1, "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
]])
file(WRITE ${DIR}/broken.gguf "GGU")
file(WRITE ${DIR}/bad.jsonl "{\"key\": 1\n{\"key\": 2, \"prompt\": \"x\"}\n")
set(PROGRAM ${COMPARE})
set(out ${DIR}/report)
set(ABSENT ${out})

expect(0 "report.html" --help)
expect_refusal("--model is required" --prompts ${DIR}/prompts.jsonl --out ${out})
expect_refusal("nosuch" --model m.gguf --prompts ${DIR}/prompts.jsonl --out ${out} --nosuch)
expect_refusal("--tasks" --model m.gguf --prompts ${DIR}/prompts.jsonl --out ${out} --tasks 0)
expect_refusal("--questions" --model m.gguf --prompts ${DIR}/prompts.jsonl --out ${out} --questions 99)
expect_refusal("cannot read .*none.jsonl" --model m.gguf --prompts ${DIR}/none.jsonl --out ${out})
expect_refusal("broken.gguf is not a GGUF file" --model ${DIR}/broken.gguf --prompts ${DIR}/prompts.jsonl --out ${out})
expect(2 "line 1: it is not JSON.*line 2: .*instruction_id_list.*no row" --model m.gguf --prompts ${DIR}/bad.jsonl
       --out ${out})

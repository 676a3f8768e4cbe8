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
set(given --model m.gguf --prompts ${DIR}/prompts.jsonl --out ${out})
foreach(option IN ITEMS --tasks --draws --max-tokens --chain-steps --questions --contrast-draws --contrast-steps)
  foreach(value IN ITEMS 0 -1 1.5 many 1e400 99999999999999999999 18446744073709551615)
    expect_refusal("${option}" ${given} ${option}=${value})
  endforeach()
endforeach()
foreach(value IN ITEMS -1 1025 x)
  expect_refusal("--threads" ${given} --threads=${value})
endforeach()
expect_refusal("--seed" ${given} --seed=-1)
foreach(value IN ITEMS 0 -1 nan inf 1e400 x)
  expect_refusal("--temperature" ${given} --temperature=${value})
endforeach()
expect(0 "^compare [0-9]+[.][0-9]+[.][0-9]+\n$" --version)

# Folders in the way are told before the model is loaded.
file(MAKE_DIRECTORY ${DIR}/page/report.html ${DIR}/part/report.html.part ${DIR}/lines/results.jsonl)
foreach(case IN ITEMS "page;report.html" "part;report.html.part" "lines;results.jsonl")
  list(GET case 0 folder)
  list(GET case 1 file)
  expect_refusal("${file}: it is a folder" --model ${DIR}/broken.gguf --prompts ${DIR}/prompts.jsonl --out ${DIR}/${folder})
endforeach()

# A row with a number that is none, and one that is nested without end, are named; the rest is used.
string(REPEAT "[" 200000 deep)
file(WRITE ${DIR}/hostile.jsonl "1e400\n${deep}\n")
file(READ ${DIR}/prompts.jsonl good)
file(APPEND ${DIR}/hostile.jsonl "${good}")
expect(2 "line 1: [^\n]*\n[^\n]*line 2: [^\n]*\n[^\n]*broken.gguf is not a GGUF file" --model ${DIR}/broken.gguf --prompts
       ${DIR}/hostile.jsonl --out ${out})

expect_refusal("cannot read .*none.jsonl" --model m.gguf --prompts ${DIR}/none.jsonl --out ${out})
expect_refusal("broken.gguf is not a GGUF file" --model ${DIR}/broken.gguf --prompts ${DIR}/prompts.jsonl --out ${out})
expect(2 "line 1: it is not JSON.*line 2: .*instruction_id_list.*no row" --model m.gguf --prompts ${DIR}/bad.jsonl
       --out ${out})

# align at the edge of what it is given: files, lines, numbers and texts of every kind. Over the toy model.
#   cmake -DALIGN=TOY -DDIR=FOLDER -P align_edges.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
set(PROGRAM ${ALIGN})
set(rows "{\"id\": 1, \"prompt\": \"a\", \"answer\": \"4\"}\n{\"id\": 2, \"prompt\": \"b\", \"answer\": \"5\"}\n")
file(WRITE ${DIR}/prompts.jsonl "${rows}")
set(given --model 0 --prompts ${DIR}/prompts.jsonl)
set(job ${given} --reward answer --n 2 --max-tokens 8)
set(out --out ${DIR}/out.jsonl)
set(ABSENT ${DIR}/out.jsonl)

expect(0 "^align [0-9]+\\.[0-9]+\\.[0-9]+\n$" --version)

# Numbers: what is no whole number of its range is refused at once, and nothing is left.
foreach(option IN ITEMS --n --width --tokens --policy-calls --reward-calls --top-k --max-tokens --batch --limit --sequences
                        --context --seed)
  expect_refusal("${option}: \"-[15]\" is no whole number from [01] to" ${given} --reward answer ${out} ${option} -1)
  expect_refusal("${option}: \"1.9\" is no whole number" ${given} --reward answer ${out} ${option} 1.9)
  expect_refusal("${option}: \"1e3\" is no whole number" ${given} --reward answer ${out} ${option} 1e3)
  expect_refusal("${option}: \"18446744073709551616\" is no whole number" ${given} --reward answer ${out} ${option} 18446744073709551616)
endforeach()
foreach(option IN ITEMS --tokens --policy-calls --reward-calls --max-tokens)
  expect_refusal("${option}: \"0\" is no whole number from 1" ${given} --reward answer ${out} ${option} 0)
endforeach()
foreach(option IN ITEMS --n --width --batch --max-tokens)  # of what is held in memory
  expect_refusal("${option}: \"1000001\" is no whole number" ${given} --reward answer ${out} ${option} 1000001)
endforeach()
foreach(option IN ITEMS --references --chains --fork --steps --parallel --k)
  expect_refusal("${option}: \"1000000000\" is no whole number" ${given} --reward answer ${out} ${option} 1000000000)
endforeach()
expect_refusal("--seconds" ${job} ${out} --seconds 0)
expect_refusal("--seconds" ${job} ${out} --seconds=-1)
expect_refusal("--max-tokens 9000 leaves no room for a prompt in --context 8192" ${given} --reward answer ${out} --max-tokens 9000)
expect_refusal("--max-tokens 5000 leaves no room for a prompt: the context holds 4096 tokens" ${given} --reward answer ${out}
               --max-tokens 5000)
expect_refusal("--reward self_certainty.*no(ne|thing).*give --alpha 1" ${given} ${out} --method cards --reward-goal 1 --reward
               self_certainty)
expect_refusal("--system-a is an option of contrast, not of answer" ${job} ${out} --system-a A)
expect_refusal("needs two different system prompts" ${job} ${out} --metric contrast)

# A reward that reads what no row has: one sentence, with one that fits.
expect_refusal("--reward ifeval .the default. reads \"instruction_id_list\", and no row of .* give --reward answer" ${given} ${out})
expect_refusal("--metric ifeval_all reads" ${job} ${out} --metric ifeval_all)
file(WRITE ${DIR}/plain.jsonl "{\"prompt\": \"a\"}\n")
expect_refusal("the default.* give --reward words, judge" --model 0 --prompts ${DIR}/plain.jsonl ${out})
expect_refusal("--reward answer reads \"answer\", and no row" --model 0 --prompts ${DIR}/plain.jsonl ${out} --reward answer)

# Lines that cannot be used are named, the others are answered: numbers without a double, deep nesting, texts that
# would act on a terminal, a gold without a value. What is said of them stays short.
string(ASCII 27 escape)
string(ASCII 7 bell)
string(REPEAT "[" 200000 deep)
string(REPEAT "x" 2000000 long)
file(WRITE ${DIR}/hostile.jsonl
     "{\"prompt\": \"a\", \"answer\": \"4\", \"n\": 1e400}\n"
     "{\"prompt\": \"b\", \"answer\": \"4\", \"deep\": ${deep}\n"
     "{\"prompt\": \"c\", \"answer\": \"\\u001b]52;c;aGk=\\u0007\\n\"\n"
     "${escape}[31m${bell}\n"
     "${long}\n"
     "{\"prompt\": \"d\", \"answer\": \"\"}\n"
     "{\"prompt\": [\"e\"], \"answer\": \"1\"}\n"
     "{\"id\": \"\\u001b]52;c;aGk=\\u0007\", \"prompt\": \"f\", \"answer\": \"4\"}\n"
     "{\"id\": \"\\u001b]52;c;aGk=\\u0007\", \"prompt\": \"g\", \"answer\": \"4\"}\n")
expect(1 "line 1: .*line 2: .*line 3: .*line 4: .*line 5: .*line 6: its .answer. has no value.*line 7: it needs a text.*line 9: the id [^\n]*u001b[^\n]* stands twice.*1 of 1 prompts"
       --model 0 --prompts ${DIR}/hostile.jsonl --out ${DIR}/hostile_out.jsonl --reward answer --n 2 --max-tokens 8)
string(LENGTH "${said}" length)
if(said MATCHES "[${escape}${bell}]" OR length GREATER 6000)
  message(FATAL_ERROR "What was said has controls in it, or ${length} bytes")
endif()
file(READ ${DIR}/hostile_out.jsonl text)
if(text MATCHES "[${escape}${bell}]")
  message(FATAL_ERROR "A result has controls in it")
endif()
# Of many faults the first are named.
string(REPEAT "{\n" 5000 many)
file(WRITE ${DIR}/many.jsonl "${many}${rows}")
expect(1 "line 20: [^\n]*\n[^\n]*: 4980 further lines cannot be used\n" --model 0 --prompts ${DIR}/many.jsonl --out ${DIR}/many_out.jsonl
       --reward answer --n 2 --max-tokens 8)

# Answers are graded by value, golds and responses however they are written; each is one text in every line, also
# one that ends inside a character.
set(graded "")
foreach(pair IN ITEMS "so it is 63/5|12\\\\frac{3}{5}|true" "\\\\boxed{\\\\frac12}|.5|true" "The answer is 1,234.|so #### 1234|true" "24|24 cm^2|true"
                      "I choose B. Note that A is wrong.|B|true" "(1,2)|(1, 2)|true" "(2, 1)|(1, 2)|false" "45|4 5|false" "3/5|12\\\\frac{3}{5}|false")
  string(REPLACE "|" ";" pair "${pair}")
  list(GET pair 0 says)
  list(GET pair 1 gold)
  list(GET pair 2 right)
  string(APPEND graded "{\"prompt\": \"say ${says}\", \"answer\": \"${gold}\", \"id\": \"${right}: ${says}\"}\n")
endforeach()
string(APPEND graded "{\"prompt\": \"half\", \"answer\": 3, \"id\": \"false: half\"}\n")
file(WRITE ${DIR}/graded.jsonl "${graded}")
expect(0 "mean reward .answer. 0.6 .-.* accuracy 0.6 .- 0.16 of 10" --model 0 --prompts ${DIR}/graded.jsonl --out
       ${DIR}/graded_out.jsonl --reward answer --n 2 --selector majority_vote --extract whole)
file(STRINGS ${DIR}/graded_out.jsonl lines ENCODING UTF-8)
foreach(line IN LISTS lines)
  string(REGEX MATCH "\"correct\":(true|false)" correct "${line}")
  set(correct ${CMAKE_MATCH_1})
  if(NOT line MATCHES "\"id\":\"${correct}: " OR NOT line MATCHES "\"decision\":{\"answer\":\"")
    message(FATAL_ERROR "Graded wrongly, or an answer of another type: ${line}")
  endif()
endforeach()

# A budget that ends before there is any response leaves no line, so that it is not passed over for ever.
expect(1 "1: its run ended without a response .seconds.*0 of 2 prompts are answered, 2 failed" --model 30 --prompts ${DIR}/prompts.jsonl
       --reward answer --n 2 --seconds 1e-9 --out ${DIR}/late.jsonl)
expect(0 "2 of 2 prompts" ${job} --out ${DIR}/late.jsonl)

# Files of something else stay as they are: without a last end of a line, with one, of two kinds, empty brackets.
set(ABSENT "")
set(texts "my notes" "{\"name\": \"mine\"}" "{\"name\": \"mine\"}\n" "{" "{\"align\"" "{\"align\":\"0.1.0" "{\"align\": 1}" "  " "null" "mine\nmine")
foreach(text IN LISTS texts)
  file(WRITE ${DIR}/foreign "${text}")
  file(SHA256 ${DIR}/foreign before)
  if(text STREQUAL "{\"align\":\"0.1.0")  # the beginning of one of ours
    expect(0 "2 of 2 prompts" ${job} --out ${DIR}/foreign)
    continue()
  endif()
  expect_refusal("foreign, line 1: it is no" ${job} --out ${DIR}/foreign)
  file(SHA256 ${DIR}/foreign after)
  if(NOT before STREQUAL after)
    message(FATAL_ERROR "A file of something else was changed: ${text}")
  endif()
endforeach()
expect_refusal("it is a folder" ${job} --out ${DIR})

# What is no regular file is written to and not read.
expect(0 "{\"align\":[^\n]*\n[^\n]*{\"align\":|2 of 2 prompts" ${job} --out /dev/stdout)
expect(1 "cannot write to /dev/full: No space left on device" ${job} --out /dev/full)
if(said MATCHES "1 of 2 prompts\n")
  message(FATAL_ERROR "A line that was not written was counted:\n${said}")
endif()
execute_process(COMMAND sh -c "mkfifo \"$0\" && cat \"$0\" > \"$0.text\" & sleep 0.05; shift; \"$@\" --out \"$0\"; echo status $?; wait" ${DIR}/pipe - ${ALIGN}
                        ${job} OUTPUT_VARIABLE said ERROR_VARIABLE said TIMEOUT 30)
file(STRINGS ${DIR}/pipe.text lines REGEX "^{\"align\":")
list(LENGTH lines count)
if(NOT said MATCHES "status 0" OR NOT count EQUAL 2)
  message(FATAL_ERROR "The pipe has ${count} lines:\n${said}")
endif()
execute_process(COMMAND sh -c "\"$@\" --out /dev/stdout 2>\"$0\" | true; cat \"$0\"" ${DIR}/closed ${ALIGN} --model 100 --prompts
                        ${DIR}/prompts.jsonl --reward answer OUTPUT_VARIABLE said TIMEOUT 30)
if(NOT said MATCHES "cannot write to /dev/stdout: Broken pipe")
  message(FATAL_ERROR "A reader that went away: ${said}")
endif()

# A file that is deleted or replaced in the middle of the run is an error, not a job that is done.
foreach(change IN ITEMS "rm" "sed -i s/x/x/")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env OUT=${DIR}/gone.jsonl sh -c
            "rm -f \"$OUT\"; \"$@\" --out \"$OUT\" & pid=$!; while ! test -s \"$OUT\"; do sleep 0.01; done; ${change} \"$OUT\"; wait $pid; echo status $?"
            sh ${ALIGN} --model 50 --prompts ${DIR}/prompts.jsonl --reward answer --n 2 --max-tokens 8 --batch 1
    OUTPUT_VARIABLE said ERROR_VARIABLE said TIMEOUT 30)
  if(NOT said MATCHES "gone.jsonl was deleted or replaced" OR NOT said MATCHES "status 1")
    message(FATAL_ERROR "After ${change}: ${said}")
  endif()
endforeach()

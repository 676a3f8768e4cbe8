# Runs of align on a model: bad lines, going on, repeating, every method and selector.
#   cmake -DALIGN=PROGRAM -DMODEL=FILE -DDIR=FOLDER -P align_runs.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
file(WRITE ${DIR}/prompts.jsonl [[{"id": "a", "prompt": "Name a colour.", "answer": "1"}
{"id": "b", "messages": [{"role": "user", "content": "Count to three."}], "answer": "3"}
{"id": "c", "prompt": }
{"id": "a", "prompt": "Again.", "answer": "2"}
{"id": "d", "question": "What is 2 + 2?", "answer": "2 + 2 = 4 #### 4"}
]])
set(PROGRAM ${ALIGN} --model ${MODEL} --prompts ${DIR}/prompts.jsonl --max-tokens 8 --batch 2)

# results(<file> <variable>): what a file of results holds but for times and what caches saved.
function(results file variable)
  file(READ ${DIR}/${file} text)
  string(REGEX REPLACE "\"spent\":{[^}]*}" "" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
function(same a b)
  results(${a} in_a)
  results(${b} in_b)
  if(NOT in_a STREQUAL in_b)
    message(FATAL_ERROR "${a} and ${b} differ:\n${in_a}\n${in_b}")
  endif()
endfunction()

# Bad lines are named, the rest is done, and the exit status says that something is missing.
set(job --reward answer --n 2)
expect(1 "line 3: it is not JSON.*line 4: the id .a. stands twice.*3 of 3 prompts" ${job} --out ${DIR}/whole.jsonl)
results(whole.jsonl whole)
if(NOT whole MATCHES "^{[^\n]*\"id\":\"a\"[^\n]*\n[^\n]*\"id\":\"b\"[^\n]*\n[^\n]*\"id\":\"d\"[^\n]*\n$")
  message(FATAL_ERROR "Not three results:\n${whole}")
endif()

# The same again is the same; another seed is not.
expect(1 "" ${job} --out ${DIR}/again.jsonl)
same(whole.jsonl again.jsonl)
expect(1 "" ${job} --out ${DIR}/other.jsonl --seed 7)
results(other.jsonl other)
string(REGEX MATCHALL "\"answer\":\"[^\"]*\"" other "${other}")
string(REGEX MATCHALL "\"answer\":\"[^\"]*\"" plain "${whole}")
if(other STREQUAL plain)
  message(FATAL_ERROR "Another seed has changed nothing")
endif()

# A run in two parts, the first one torn inside a line, gives what one run gives.
expect(1 "2 of 2 prompts" ${job} --out ${DIR}/parts.jsonl --limit 2)
file(APPEND ${DIR}/parts.jsonl "{\"id\":\"d\",\"answer\":\"tor")
expect(1 "2 of 3 prompts are finished already.*1 of 1 prompts" ${job} --out ${DIR}/parts.jsonl)
same(whole.jsonl parts.jsonl)
expect(1 "3 of 3 prompts are finished already" ${job} --out ${DIR}/parts.jsonl)
same(whole.jsonl parts.jsonl)

# A batch of which a part is finished is worked on again whole: what is left of it comes out the same, to the last bit
# of the engine's arithmetic.
file(STRINGS ${DIR}/whole.jsonl kept ENCODING UTF-8 REGEX "\"id\":\"b\"")
file(WRITE ${DIR}/rest.jsonl "${kept}\n")
expect(1 "1 of 3 prompts are finished already" ${job} --out ${DIR}/rest.jsonl)
foreach(id IN ITEMS a b d)
  foreach(file IN ITEMS whole rest)
    file(STRINGS ${DIR}/${file}.jsonl line ENCODING UTF-8 REGEX "\"id\":\"${id}\"")
    string(REGEX REPLACE "\"spent\":{[^}]*}" "" in_${file} "${line}")
  endforeach()
  if(NOT in_whole STREQUAL in_rest)
    message(FATAL_ERROR "The result of ${id} depends on what was finished before:\n${in_whole}\n${in_rest}")
  endif()
endforeach()

# Results of other settings, and files of something else, are neither gone on with nor touched.
file(SHA256 ${DIR}/whole.jsonl before)
expect(2 "line 1: it is the result of other settings" --reward answer --n 3 --out ${DIR}/whole.jsonl)
file(WRITE ${DIR}/foreign.jsonl "{\"name\": \"mine\"}\n")
expect(2 "line 1: it is no result of this command" ${job} --out ${DIR}/foreign.jsonl)
file(WRITE ${DIR}/damaged.jsonl "no json\n{}\n")
expect(2 "line 1: it is not JSON" ${job} --out ${DIR}/damaged.jsonl)
expect(2 "it is a folder" ${job} --out ${DIR})
file(READ ${DIR}/foreign.jsonl foreign)
file(SHA256 ${DIR}/whole.jsonl after)
if(NOT before STREQUAL after OR NOT foreign STREQUAL "{\"name\": \"mine\"}\n")
  message(FATAL_ERROR "A refused file was changed")
endif()

# A pilot, and the other methods, selectors and rewards; status 1 for the bad line.
expect(1 "--beta .*--reward-goal .*--ceiling " --reward words --words 5 --pilot 3)
set(contrast --reward contrast --system-a "Answer cheerfully." --limit 2)
expect(1 "2 of 2" ${contrast} --out ${DIR}/rejection.jsonl --method rejection --ceiling 1 --max-rejections 3)
expect(1 "2 of 2" ${contrast} --out ${DIR}/qalign.jsonl --method qalign --steps 3 --chains 2 --candidates full)
expect(1 "2 of 2" ${contrast} --out ${DIR}/cards.jsonl --method cards --reward-goal 1 --max-rejections 3)
expect(1 "2 of 2" --reward answer --n 3 --limit 2 --selector majority_vote --out ${DIR}/vote.jsonl)
expect(1 "2 of 2" --reward words --n 3 --limit 2 --selector soft_best --out ${DIR}/soft.jsonl --tokens 9)
file(READ ${DIR}/qalign.jsonl qalign)
file(READ ${DIR}/soft.jsonl soft)
if(NOT qalign MATCHES "\"tokens\":\\[" OR NOT qalign MATCHES "\"split_r_hat\"" OR NOT soft MATCHES "\"stop\":\"tokens\"")
  message(FATAL_ERROR "Candidates, diagnostics or the reason to stop are missing")
endif()

set(tiny --reward words --words 4 --limit 1)
expect(1 "1 of 1" ${tiny} --out ${DIR}/tpo.jsonl --method tpo --n 2 --rounds 1 --stop-at-close)
expect(1 "1 of 1" ${tiny} --out ${DIR}/prs.jsonl --method prs --n 4 --preference "Be brief.")
expect(1 "1 of 1" ${tiny} --out ${DIR}/calibrated.jsonl --method qalign --steps 2 --beta 0.2 --references 4 --transform
       best_of:4)
expect(1 "1 of 1" ${tiny} --out ${DIR}/rejected.jsonl --method rejection --references 4 --transform identity)
expect(1 "1 of 1" ${tiny} --out ${DIR}/mixture.jsonl --method epsilon_best_of --epsilon 0.5 --k 3)
expect(1 "1 of 1" ${tiny} --out ${DIR}/poisson.jsonl --method best_of_poisson --mu 2)
expect(1 "1 of 1" ${tiny} --out ${DIR}/rank.jsonl --n 3 --selector rank_draw)
expect(1 "1 of 1" ${tiny} --out ${DIR}/risk.jsonl --n 3 --selector minimum_bayes_risk)
expect(1 "1 of 1" ${tiny} --out ${DIR}/regularized.jsonl --n 3 --selector regularized_best --kl 0.01)
expect(1 "1 of 1" --reward self_certainty --limit 1 --n 3 --selector borda_vote --extract whole --out ${DIR}/borda.jsonl)
expect(1 "1 of 1" --reward judge --limit 1 --n 2 --out ${DIR}/judge.jsonl)
file(READ ${DIR}/tpo.jsonl tpo)
file(READ ${DIR}/calibrated.jsonl calibrated)
if(NOT tpo MATCHES "\"depth\":[1-4]" OR NOT calibrated MATCHES "\"references\":4")
  message(FATAL_ERROR "Diagnostics are missing:\n${tpo}\n${calibrated}")
endif()

# Methods and rewards that do not go together.
expect(2 "partial" --reward words --limit 2 --method cards --reward-goal 1 --out ${DIR}/none.jsonl)
expect(2 "temperature|law|neutral" ${contrast} --temperature 0.5 --out ${DIR}/none.jsonl)
if(EXISTS ${DIR}/none.jsonl)
  message(FATAL_ERROR "A refused run has left a file")
endif()

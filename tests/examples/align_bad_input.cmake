# What align refuses, before it loads a model: cmake -DALIGN=PROGRAM -DDIR=FOLDER -P align_bad_input.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})
file(WRITE ${DIR}/prompts.jsonl [[{"id": "a", "prompt": "Say something.", "answer": "4"}
]])
file(WRITE ${DIR}/broken.gguf "this is no model")
set(PROGRAM ${ALIGN})
set(out ${DIR}/out.jsonl)
set(ABSENT ${out})
set(given --model ${DIR}/none.gguf --prompts ${DIR}/prompts.jsonl --out ${out} --reward answer)

expect(0 "Exit status" --help)

# The command line.
expect_refusal("--model is required")
expect_refusal("nosuch" ${given} --method nosuch)
expect_refusal("nosuch" ${given} --selector nosuch)
expect_refusal("nosuch" ${given} --nosuch 3)
expect_refusal("--n" ${given} --n many)
expect_refusal("--steps is an option of qalign, not of best_of_n" ${given} --steps 3)
expect_refusal("--system-a is an option of contrast" ${given} --system-a Hello)
expect_refusal("--lambda is an option of soft_best" ${given} --lambda 2)
expect_refusal("--out FILE" --model m.gguf --prompts ${DIR}/prompts.jsonl)
expect_refusal("give --system-a" --model m.gguf --prompts ${DIR}/prompts.jsonl --out ${out} --reward contrast)

# Numbers out of range: the field, the value and what is legal.
expect_refusal("BestOfNOptions.n is 0; it must be from 1 to 1048576" ${given} --n 0)
expect_refusal("QAlignOptions.beta is 0; it must be" ${given} --method qalign --beta 0)
expect_refusal("RejectionOptions.ceiling is nan" ${given} --method rejection)
expect_refusal("SamplingLaw|law.top_p is 2" ${given} --top-p 2)
expect_refusal("--recycle" ${given} --method qalign --recycle)

expect_refusal("PrsOptions.layers is 5" ${given} --method prs --n 4 --layers 5)
expect_refusal("EpsilonBestOfOptions.epsilon is 2" ${given} --method epsilon_best_of --epsilon 2)
expect_refusal("--transform is an option of best_of_n, rejection, qalign, not of cards" ${given} --method cards
               --reward-goal 1 --transform log)
expect_refusal("the transform \"nosuch\" is none of" ${given} --transform nosuch)
expect_refusal("the transform \"best_of:0\" is none of" ${given} --transform best_of:0)
expect_refusal("transform::drop_below.tau is 1" ${given} --transform drop_below:1)
expect_refusal("CalibratedOptions.references is 0" ${given} --transform log --references 0)
expect_refusal("BordaVoteOptions.power is -1" ${given} --selector borda_vote --power=-1)

# Files.
expect_refusal("cannot read .*none.jsonl" --model m.gguf --prompts ${DIR}/none.jsonl --out ${out})
expect_refusal("none.gguf does not exist" ${given})
expect_refusal("broken.gguf is not a GGUF file" --model ${DIR}/broken.gguf --prompts ${DIR}/prompts.jsonl
               --out ${out} --reward answer)

# Lines that cannot be used are named by number; nothing is left when there is no other.
file(WRITE ${DIR}/bad.jsonl "{\"prompt\": \n\n[1]\n{\"id\": 3}\n{\"prompt\": \"x\", \"answer\": \" \"}\n")
expect(2 "line 1: it is not JSON.*line 3: it is not an object.*line 4: it needs.*line 5: its .answer. has no value that can be read.*no row"
       --model m.gguf --prompts ${DIR}/bad.jsonl --out ${out} --reward answer)
file(WRITE ${DIR}/unsupported.jsonl [[{"key": 7, "prompt": "Antworte auf Deutsch.", "instruction_id_list": ["language:response_language"], "kwargs": [{"language": "de"}]}
]])
expect(2 "line 1: .*language:response_language.*not supported" --model m.gguf --prompts ${DIR}/unsupported.jsonl
       --out ${out})

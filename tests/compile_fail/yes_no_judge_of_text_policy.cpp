// expect: tilt::YesNoJudge needs the probabilities of the next token and this policy has neither logits.prompt, response. nor log_probs.prompt, response.; use ScoreJudge, which reads what the policy writes
#include <tilt/policy/text_policy.hpp>
#include <tilt/reward/judge.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view) { return std::string("Yes"); }};
  tilt::YesNoJudge reward{policy, {.yes = {1}, .no = {2}}};
}

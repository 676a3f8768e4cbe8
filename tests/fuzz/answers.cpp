// The extractors of answers.

#include "fuzz/target.hpp"
#include "tilt/selector/extract.hpp"

using namespace tilt;

namespace {

template <class E>
void check(const E& extract, const Response& response) {
  const std::optional<std::string> answer = extract_answer(extract, response);
  fuzz::require(answer == extract_answer(extract, response), "an answer is a function of the text");
}

}  // namespace

void fuzz::run(Bytes input) {
  const Response response{.text = input.rest()};
  check(last_number, response);
  check(last_boxed, response);
  check(last_choice, response);
  check(stated_answer, response);
  check(first_of(stated_answer, last_boxed), response);
  const bool has_answer = read_answer(response.text).has_value();
  fuzz::require(same_answer(response.text, response.text) == has_answer, "an answer equals itself");
  check(whole_response, response);
}

// The extractors of answers, and the reader of an answer's value.

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
  check(whole_response, response);

  const std::optional<Answer> answer = read_answer(response.text);
  require(same_answer(response.text, response.text) == answer.has_value(),
          "an answer is the same as itself, and no answer is the same as nothing");
  if (!answer) return;
  require(!answer->text.empty(), "an answer is not empty");
  require(normalized_math(response.text) == answer->text, "an answer has one form");
  if (answer->number) {
    require(normalized_number(response.text) == answer->number->text(), "a number has one form");
  }
}

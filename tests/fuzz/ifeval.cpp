// A row of IFEval in the first line, a response in the others.

#include "tilt/io/ifeval.hpp"
#include "fuzz/target.hpp"
#include "tilt/io/jsonl.hpp"

void fuzz::run(Bytes input) {
  const std::string text = input.rest();
  const std::size_t end = std::min(text.find('\n'), text.size());
  nlohmann::json row;
  try {
    row = tilt::parse_json(std::string_view(text).substr(0, end));
  } catch (const tilt::Error&) {
    return;
  }
  try {
    const tilt::IfevalTask task = tilt::ifeval_task(row);
    const std::string response = text.substr(std::min(end + 1, text.size()));
    const std::vector<bool> verdicts = task.satisfied(response);
    require(verdicts.size() == task.instructions.size(), "one verdict for each instruction");
    require(verdicts == task.satisfied(response), "a verdict is a function of the response");
  } catch (const tilt::InvalidOption& error) {
    require(std::string_view(error.what()).size() < 2000, "a refusal is short");
  }
}

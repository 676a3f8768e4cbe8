// JSON lines, and each line's value read as every type of tilt that has a JSON form.

#include <algorithm>
#include <sstream>

#include "fuzz/target.hpp"
#include "tilt/io/json.hpp"
#include "tilt/io/jsonl.hpp"

namespace {

using nlohmann::json;

/// Reads a value as T, or not at all; what was read is written and read the same.
template <class T>
void read_as(const json& value) {
  T read;
  try {
    read = value.get<T>();
  } catch (const tilt::InvalidOption& error) {
    fuzz::require(std::string_view(error.what()).size() < 500, "a refusal is short");
    fuzz::require(tilt::is_utf8(error.what()), "a refusal is text");
    return;
  }
  const json written = read;
  const json again = tilt::parse_json(written.dump()).get<T>();
  fuzz::require(again == written, "what is read is written as it was read");
}

}  // namespace

void fuzz::run(Bytes input) {
  const std::string text = input.rest();
  std::istringstream in(text);
  const tilt::JsonlFile file = tilt::read_jsonl(in);
  const auto ends = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  require(file.rows.size() + file.bad_lines <= ends + 1, "a line is a row or a fault");
  require(file.faults.size() == std::min(file.bad_lines, tilt::JsonlFile::most_faults),
          "faults are listed up to a number");
  for (const tilt::JsonlFault& fault : file.faults) {
    require(fault.what.size() < 500 && tilt::is_utf8(fault.what), "a fault is a short text");
  }
  for (const tilt::JsonlRow& row : file.rows) {
    require(tilt::parse_json(row.value.dump()) == row.value, "a value is written as it was read");
    read_as<tilt::Result>(row.value);
    read_as<tilt::Candidate>(row.value);
    read_as<tilt::Population>(row.value);
    read_as<tilt::Response>(row.value);
    read_as<tilt::Prompt>(row.value);
    read_as<tilt::SamplingLaw>(row.value);
    read_as<tilt::Cost>(row.value);
    read_as<tilt::Decision>(row.value);
    read_as<tilt::Failure>(row.value);
  }
}

// JsonSyntax against nlohmann/json, where both read the same language.

#include <nlohmann/json.hpp>

#include "fuzz/target.hpp"
#include "tilt/io/json_value.hpp"
#include "tilt/reward/text/json_syntax.hpp"

void fuzz::run(Bytes input) {
  const std::string text = input.rest();
  const bool accepted = tilt::constraint::JsonSyntax::accepts(tilt::unicode::decode(text));
  // Read by JsonSyntax alone: NaN and Infinity, halves of surrogate pairs, bytes that are no UTF-8, numbers
  // that no double holds. By nlohmann alone: a byte order mark, what stands before a NUL, whole numbers of
  // more than 4,300 digits.
  for (const std::string_view other : {"NaN", "Infinity", "\\ud", "\\uD", "\xef\xbb\xbf"}) {
    if (text.find(other) != std::string::npos) return;
  }
  if (text.size() > 4300 || !tilt::is_utf8(text) || text.find('\0') != std::string::npos) return;
  bool reference = true;
  try {
    reference = !nlohmann::json::parse(text).is_discarded();
  } catch (const nlohmann::json::out_of_range&) {
    return;
  } catch (const nlohmann::json::exception&) {
    reference = false;
  }
  require(accepted == reference, accepted ? "JsonSyntax accepts what nlohmann/json refuses"
                                          : "JsonSyntax refuses what nlohmann/json accepts");
}

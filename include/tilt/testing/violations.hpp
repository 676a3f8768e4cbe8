#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tilt::testing {

/// Collects what a check found wrong, one sentence per broken rule: the rule, and the first place
/// where it was broken.
class Violations {
 public:
  /// @param rule   what should have held; a second violation of the same rule is not listed
  /// @param where  what was asked for, and what was seen
  void add(std::string_view rule, std::string_view where = {}) {
    for (const std::string& known : rules_) {
      if (known == rule) return;
    }
    rules_.emplace_back(rule);
    sentences_.push_back(std::string(rule) + (where.empty() ? "" : ": ") + std::string(where));
  }
  /// The same, unless the rule holds.
  void require(bool holds, std::string_view rule, std::string_view where = {}) {
    if (!holds) add(rule, where);
  }

  /// Empty when nothing was found.
  [[nodiscard]] std::vector<std::string> sentences() && { return std::move(sentences_); }

 private:
  std::vector<std::string> rules_ = {}, sentences_ = {};
};

}  // namespace tilt::testing

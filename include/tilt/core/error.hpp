#pragma once

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tilt {

struct Result;

/// The base of everything that tilt throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  /// What the run had found before it failed: candidates, cost, the list of failures. Null when the
  /// error did not come from a run (`Decoder::operator()` attaches it).
  [[nodiscard]] const Result* partial() const noexcept { return partial_.get(); }

  /// Attaches the partial result; called by the decoder.
  void attach(std::shared_ptr<const Result> partial) noexcept { partial_ = std::move(partial); }

 private:
  std::shared_ptr<const Result> partial_;
};

/// An option is out of range, NaN, contradictory, or asks for what the given policy or reward cannot
/// do. Thrown when a thing is built, before anything is paid for.
class InvalidOption : public Error {
 public:
  /// @param field  the option, with its owner: "QAlignOptions.beta"
  /// @param value  the value given, as text
  /// @param legal  the legal range, as text: "a number > 0"
  InvalidOption(std::string field, std::string value, std::string legal)
      : Error(field + " is " + value + "; it must be " + legal),
        field_(std::move(field)),
        value_(std::move(value)),
        legal_(std::move(legal)) {}

  [[nodiscard]] const std::string& field() const noexcept { return field_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  [[nodiscard]] const std::string& legal() const noexcept { return legal_; }

 private:
  std::string field_, value_, legal_;
};

/// A policy threw, or returned something that is not a continuation of what it was asked for.
/// The message names the prompt, the call and the cause.
class PolicyError : public Error {
 public:
  using Error::Error;
};

/// A reward model threw, or returned NaN or +infinity. The message names the prompt, the call and
/// the cause.
class RewardError : public Error {
 public:
  using Error::Error;
};

/// The message of any exception.
[[nodiscard]] inline std::string message_of(const std::exception_ptr& error) {
  if (!error) return "no error";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

/// Thrown by a batch call of a policy or a reward model of which some items failed and the others
/// are filled in: `causes()[i]` is null where item i is good. A batch call that throws anything else
/// has failed for all of its items. The message holds how many failed and why the first of them did.
class PartialFailure : public Error {
 public:
  explicit PartialFailure(std::vector<std::exception_ptr> causes)
      : Error(summary(causes)), causes_(std::move(causes)) {}

  /// One entry per item of the batch.
  [[nodiscard]] const std::vector<std::exception_ptr>& causes() const noexcept { return causes_; }

 private:
  static std::string summary(const std::vector<std::exception_ptr>& causes) {
    std::size_t failed = 0;
    std::string text;
    for (const std::exception_ptr& cause : causes) {
      if (cause && failed++ == 0) text = "; the first: " + message_of(cause);
    }
    return std::to_string(failed) + " of " + std::to_string(causes.size()) +
           " items of a batch failed" + text;
  }

  std::vector<std::exception_ptr> causes_;
};

/// Runs `item(i)` for every i below n, goes on after a failure, and reports all failures at once.
/// Single calls become a batch call by it.
/// @throws PartialFailure when at least one item threw
template <class Item>
void for_each_isolated(std::size_t n, Item&& item) {
  std::vector<std::exception_ptr> causes;
  for (std::size_t i = 0; i < n; ++i) {
    try {
      item(i);
    } catch (...) {
      causes.resize(n);
      causes[i] = std::current_exception();
    }
  }
  if (!causes.empty()) throw PartialFailure(std::move(causes));
}

}  // namespace tilt

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

/// What all fuzz targets share. A target defines `fuzz::run`; it is linked with `entry.cpp` for
/// libFuzzer, or with `replay.cpp` to go through a corpus without one.
namespace fuzz {

/// An input, taken from its front as numbers and texts. Where it has ended, numbers are 0 and texts
/// empty.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> bytes) : left_(bytes) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }

  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t value = left_.front();
    left_ = left_.subspan(1);
    return value;
  }

  /// A number below n, of two bytes.
  std::size_t below(std::size_t n) {
    const std::size_t high = byte();
    return (high << 8 | byte()) % n;
  }

  /// A number from 0 up to, not including, 1.
  double uniform() { return static_cast<double>(below(65536)) / 65536; }

  /// The next n bytes, or what is left.
  std::string text(std::size_t n) {
    const auto part = left_.first(n < left_.size() ? n : left_.size());
    left_ = left_.subspan(part.size());
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::string rest() { return text(left_.size()); }

 private:
  std::span<const std::uint8_t> left_;
};

/// What a target says when a property does not hold.
class Broken : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void require(bool holds, const std::string& property) {
  if (!holds) throw Broken(property);
}

/// Tries one input.
/// @throws Broken, or anything else that the code under test lets out, when it has found a fault
void run(Bytes input);

}  // namespace fuzz

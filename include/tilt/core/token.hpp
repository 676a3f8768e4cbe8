#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace tilt {

/// A token id of a policy's vocabulary. Ids are the currency of the library: a prefix that is kept
/// is never decoded to text and tokenised again.
using Token = std::int32_t;

/// A read-only view of consecutive tokens; it owns nothing.
using TokenSpan = std::span<const Token>;

/// "None" for an index, "no limit" for a count.
inline constexpr std::size_t npos = static_cast<std::size_t>(-1);

/// No limit for a quantity measured in nats, rewards or seconds.
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// The value of a number that has no sensible default and has not been given yet (a quiet NaN).
inline constexpr double unset = std::numeric_limits<double>::quiet_NaN();

}  // namespace tilt

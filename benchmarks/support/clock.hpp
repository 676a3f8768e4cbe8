#pragma once

#include <ctime>

namespace bench {

/// Seconds of processor time that this thread has used: what other programs do at the same time does
/// not count.
inline double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace bench

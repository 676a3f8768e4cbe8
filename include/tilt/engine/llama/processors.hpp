#pragma once

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace tilt::llama {

namespace detail {

// A number at the front of a text, or nothing.
inline std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

inline std::string first_line(const std::filesystem::path& file) {
  std::string line;
  std::ifstream stream(file);
  std::getline(stream, line);
  return line;
}

// The processors that a control group's folder grants: its quota over its period. Version 2 has both
// in cpu.max, version 1 in a file each. Nothing where there is no limit.
inline std::optional<double> quota_of_group(const std::filesystem::path& folder) {
  const std::string limit = first_line(folder / "cpu.max");
  const std::size_t space = limit.find(' ');
  const bool second = !limit.empty();
  const auto quota = number_in(second ? limit : first_line(folder / "cpu.cfs_quota_us"));
  const auto period =
      number_in(second && space != std::string::npos ? limit.substr(space + 1)
                                                     : first_line(folder / "cpu.cfs_period_us"));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // "max", or -1
  return *quota / *period;
}

// The least quota of the process's control groups and of the groups around them.
// `groups` is /proc/self/cgroup, `mount` where the groups' folders are.
inline std::optional<double> processor_quota(const std::filesystem::path& groups,
                                             const std::filesystem::path& mount) {
  std::optional<double> least;
  std::ifstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    std::filesystem::path root = mount;
    if (controllers != ",,") {
      if (controllers.find(",cpu,") == std::string::npos) continue;
      root /= "cpu";
    }
    // In a container the folder of the group may be the root of the mount.
    std::filesystem::path path = std::filesystem::path(line.substr(second + 1)).relative_path();
    while (true) {
      const auto quota = quota_of_group(root / path);
      if (quota && (!least || *quota < *least)) least = quota;
      if (path.empty()) break;
      path = path.parent_path();
    }
  }
  return least;
}

// Processors in the affinity mask of this thread; 0 if it cannot be read.
inline std::size_t processors_in_mask() {
  // The system refuses a mask with room for fewer processors than it may have.
  for (std::size_t room = 1024; room <= (std::size_t{1} << 20); room *= 4) {
    struct Free {
      void operator()(cpu_set_t* set) const { CPU_FREE(set); }
    };
    const std::unique_ptr<cpu_set_t, Free> set(CPU_ALLOC(room));
    if (!set) break;
    const std::size_t size = CPU_ALLOC_SIZE(room);
    if (sched_getaffinity(0, size, set.get()) == 0) {
      return static_cast<std::size_t>(CPU_COUNT_S(size, set.get()));
    }
  }
  return 0;
}

}  // namespace detail

/// Processors that this process may use side by side: those of its affinity mask, and no more than the
/// quota of its control group pays for (a container's limit); at least 1. More threads than these make an
/// engine many times slower, because its threads wait for each other in busy loops.
[[nodiscard]] inline std::size_t available_processors() {
  std::size_t processors = detail::processors_in_mask();
  if (processors == 0) processors = std::thread::hardware_concurrency();
  const auto quota = detail::processor_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota && *quota < static_cast<double>(processors)) {
    processors = static_cast<std::size_t>(*quota);
  }
  return std::max<std::size_t>(1, processors);
}

}  // namespace tilt::llama

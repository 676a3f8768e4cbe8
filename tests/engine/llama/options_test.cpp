#include "tilt/engine/llama/options.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <sched.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "tilt/core/error.hpp"

using tilt::InvalidOption;
using tilt::llama::available_processors;
using tilt::llama::checked;
using tilt::llama::PolicyOptions;

TEST_CASE("llama options out of their range are refused by name", "[engine]") {
  CHECK_THROWS_AS(checked({.sequences = 0}), InvalidOption);
  CHECK_THROWS_AS(checked({.sequences = 65}), InvalidOption);
  CHECK_THROWS_AS(checked({.context = 0}), InvalidOption);
  CHECK_THROWS_AS(checked({.threads = available_processors() + 1}), InvalidOption);
  CHECK_THROWS_AS(checked({.gpu_layers = -2}), InvalidOption);
  CHECK_THROWS_WITH(checked({.sequences = 65}),
                    "PolicyOptions.sequences is 65; it must be from 1 to 64");
}

TEST_CASE("llama uses the processors that it may use unless told otherwise", "[engine]") {
  CHECK(checked({}).threads == available_processors());
  CHECK(checked({.threads = 1}).threads == 1);
}

TEST_CASE("processors are those of the affinity mask", "[engine]") {
  cpu_set_t all, one;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  std::size_t first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const std::size_t processors = available_processors();
  const bool refused = [] {
    try {
      (void)checked({.threads = 2});
    } catch (const InvalidOption& error) {
      return error.legal().find("from 1 to 1,") != std::string::npos;
    }
    return false;
  }();
  REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
  CHECK(processors == 1);
  CHECK(refused);
}

TEST_CASE("processors are no more than a control group pays for", "[engine]") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("tilt_groups_" + std::to_string(getpid()));
  const auto file = [&](const fs::path& name, const std::string& content) {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name) << content << '\n';
  };
  const auto quota = [&](const std::string& groups) {
    file("groups", groups);
    return tilt::llama::detail::processor_quota(root / "groups", root).value_or(-1);
  };
  CHECK(quota("0::/") == -1);  // no such file
  file("cpu.max", "max 100000");
  CHECK(quota("0::/") == -1);
  file("a/b/cpu.max", "150000 100000");
  file("a/cpu.max", "200000 100000");
  CHECK(quota("0::/a/b") == 1.5);
  CHECK(quota("0::/a") == 2);
  file("a/cpu.max", "50000 100000");  // a group around it is narrower
  CHECK(quota("0::/a/b") == 0.5);
  CHECK(quota("0::/elsewhere/a") == -1);
  file("cpu.max", "400000 100000");  // in a container the group's folder may be the root
  CHECK(quota("0::/elsewhere/a") == 4);
  // Version 1 has a folder for each controller.
  file("cpu/x/cpu.cfs_quota_us", "-1");
  file("cpu/x/cpu.cfs_period_us", "100000");
  CHECK(quota("5:memory:/x\n4:cpu,cpuacct:/x") == -1);
  file("cpu/x/cpu.cfs_quota_us", "300000");
  CHECK(quota("5:memory:/x\n4:cpu,cpuacct:/x") == 3);
  CHECK(quota("5:memory:/x\n4:cpuset:/x") == -1);
  file("cpu.max", "nonsense");
  CHECK(quota("0::/") == -1);
  CHECK(quota("") == -1);
  fs::remove_all(root);
}

#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>

/// Functions run in a process of their own, so that a crash, a hang or a flood of memory is a row that
/// failed and not the end of the table.
namespace child {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool limits_memory = false;  // its shadow takes terabytes of addresses
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool limits_memory = false;
#else
inline constexpr bool limits_memory = true;
#endif
#else
inline constexpr bool limits_memory = true;
#endif

/// What a child may take beyond what its parent has.
struct Limits {
  unsigned seconds = 5;                         ///< of processor time
  std::size_t memory = std::size_t{256} << 20;  ///< bytes of addresses
};

/// Runs `f() -> std::string` and gives what it returned; or "threw ...", or "killed by signal ...": what
/// crashed, hung, or let an exception out.
template <class F>
std::string run(F&& f, const Limits& limits = {}) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t pid = fork();
  if (pid < 0) return "no process";
  if (pid == 0) {
    close(ends[0]);
    for (const int fatal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM}) {
      signal(fatal, SIG_DFL);  // the test framework would report them once more
    }
    const auto limit = [](auto resource, std::size_t most) {
      const rlimit both{most, most};
      setrlimit(resource, &both);
    };
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, limits.seconds);
    if (limits_memory) {
      std::size_t pages = 0;
      std::ifstream("/proc/self/statm") >> pages;
      limit(RLIMIT_AS, pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + limits.memory);
    }
    alarm(10 * limits.seconds);  // of the clock: what sleeps for ever
    std::string said;
    try {
      said = f();
    } catch (const std::exception& error) {
      said = std::string("threw ") + error.what();
    } catch (...) {
      said = "threw what is no std::exception";
    }
    for (std::size_t at = 0; at < said.size();) {
      const ssize_t n = write(ends[1], said.data() + at, said.size() - at);
      if (n <= 0) break;
      at += static_cast<std::size_t>(n);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char block[4096];
  for (ssize_t n = 0; (n = read(ends[0], block, sizeof block)) > 0;) {
    said.append(block, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "exited with " + std::to_string(WEXITSTATUS(status));
  return said;
}

}  // namespace child

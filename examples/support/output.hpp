#pragma once

// The file that a command adds lines to: one writer at a time, each line whole.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/program.hpp"

/// A file that lines are appended to. A regular one is locked against a second writer for as long as
/// the object lives; anything else, such as a pipe or a device, is only written to.
class OutputFile {
 public:
  /// Opens what stands at the path; none when nothing does.
  /// @throws BadInput when it cannot be written, is a folder, or another process writes to it
  [[nodiscard]] static std::optional<OutputFile> existing(const std::filesystem::path& path) {
    OutputFile file(path);
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT) return {};
      file.refuse("cannot open " + path.string(), errno);
    }
    if (S_ISDIR(status.st_mode))
      throw BadInput("cannot write " + path.string() + ": it is a folder");
    file.open(S_ISREG(status.st_mode) ? O_RDWR | O_APPEND : O_WRONLY);
    return file;
  }

  /// Opens a file that is made if there is none, with its folder.
  /// @throws BadInput as `existing` does
  [[nodiscard]] static OutputFile created(const std::filesystem::path& path) {
    OutputFile file(path);
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) {
      throw BadInput("cannot make the folder of " + path.string() + ": " + error.message());
    }
    file.open(O_RDWR | O_APPEND | O_CREAT);
    return file;
  }

  OutputFile(OutputFile&& other) noexcept
      : path_(std::move(other.path_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        regular_(other.regular_) {}
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// Whether it can be read back: a regular file.
  [[nodiscard]] bool regular() const noexcept { return regular_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// What stands behind the last end of a line, at most its first `most` bytes. Empty for a file whose
  /// last line has its end. Cost: linear in that line.
  [[nodiscard]] std::string torn_line(std::size_t most = 256) const {
    const std::uint64_t from = last_end();
    std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(size() - from, most)), '\0');
    read(text, from);
    return text;
  }

  /// Drops what stands behind the last end of a line.
  void drop_torn_line() { shorten(last_end()); }

  /// Drops all behind the first `to` bytes.
  void shorten(std::uint64_t to) {
    if (::ftruncate(descriptor_, static_cast<off_t>(to)) != 0) fail("shorten");
  }

  /// Appends a line; what was written of one that cannot be written whole is taken back.
  /// @throws tilt::Error when it cannot be written, as on a full disk, and when the file at the path is
  ///         no longer this one: what is written would be lost
  void write_line(std::string line) {
    line += '\n';
    require_in_place();
    const std::uint64_t before = regular_ ? size() : 0;
    for (std::string_view rest = line; !rest.empty();) {
      const ssize_t n = ::write(descriptor_, rest.data(), rest.size());
      if (n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
      if (n >= 0 || errno == EINTR) continue;
      const int cause = errno;
      if (regular_ && rest.size() < line.size()) shorten(before);
      throw tilt::Error("cannot write to " + path_.string() + ": " + std::strerror(cause));
    }
  }

  /// @throws tilt::Error when the file was deleted, moved away or replaced
  void require_in_place() const {
    if (!regular_) return;
    struct stat mine = {}, there = {};
    if (::fstat(descriptor_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
        mine.st_dev == there.st_dev && mine.st_ino == there.st_ino) {
      return;
    }
    throw tilt::Error(path_.string() + " was deleted or replaced while it was being written");
  }

 private:
  explicit OutputFile(std::filesystem::path path) : path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& what, int cause) const {
    throw BadInput(what + ": " + std::strerror(cause));
  }

  void open(int flags) {
    descriptor_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0666);
    if (descriptor_ < 0) refuse("cannot write " + path_.string(), errno);
    struct stat status = {};
    if (::fstat(descriptor_, &status) != 0) refuse("cannot look at " + path_.string(), errno);
    regular_ = S_ISREG(status.st_mode);
    if (!regular_) return;
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    if (errno == EWOULDBLOCK) {
      throw BadInput("another process is writing to " + path_.string() +
                     "; wait for its end, or give another file");
    }
    std::cerr << printable(path_.string()) << " cannot be locked (" << std::strerror(errno)
              << "): let no other process write to it\n";
  }

  [[nodiscard]] std::uint64_t size() const {
    struct stat status = {};
    if (::fstat(descriptor_, &status) != 0) fail("look at");
    return static_cast<std::uint64_t>(status.st_size);
  }

  void read(std::string& into, std::uint64_t from) const {
    for (std::size_t done = 0; done < into.size();) {
      const ssize_t n = ::pread(descriptor_, into.data() + done, into.size() - done,
                                static_cast<off_t>(from + done));
      if (n > 0) done += static_cast<std::size_t>(n);
      if (n == 0) into.resize(done);  // it was shortened meanwhile
      if (n < 0 && errno != EINTR) fail("read");
    }
  }

  // The position behind the last newline; 0 if there is none.
  [[nodiscard]] std::uint64_t last_end() const {
    constexpr std::uint64_t block = 1 << 16;
    for (std::uint64_t end = size(); end > 0;) {
      const std::uint64_t from = end - std::min(end, block);
      std::string text(static_cast<std::size_t>(end - from), '\0');
      read(text, from);
      const std::size_t newline = text.rfind('\n');
      if (newline != std::string::npos) return from + newline + 1;
      end = from;
    }
    return 0;
  }

  [[noreturn]] void fail(const char* what) const {
    throw tilt::Error(std::string("cannot ") + what + ' ' + path_.string() + ": " +
                      std::strerror(errno));
  }

  std::filesystem::path path_;
  int descriptor_ = -1;
  bool regular_ = false;
};

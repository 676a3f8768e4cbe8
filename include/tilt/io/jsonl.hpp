#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tilt/core/error.hpp"

namespace tilt {

/// A line of a JSONL file: its number, from 1, and its value.
struct JsonlRow {
  std::size_t line = 0;
  nlohmann::json value = {};
};

/// A line that is no JSON, or not what was expected: its number, from 1, and why.
struct JsonlFault {
  std::size_t line = 0;
  std::string what = {};
};

/// What a JSONL file holds. A bad line does not lose the others.
struct JsonlFile {
  std::vector<JsonlRow> rows = {};      ///< in the file's order
  std::vector<JsonlFault> faults = {};  ///< in the file's order
  bool torn = false;  ///< the last line has no end: its writer may have been interrupted
};

/// Reads JSON values, one a line. Blank lines are skipped, a byte order mark and the carriage returns
/// of Windows ignored. A value may be of any type.
[[nodiscard]] inline JsonlFile read_jsonl(std::istream& in) {
  JsonlFile file;
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    file.torn = in.eof();
    std::string_view content = text;
    if (line == 1 && content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      file.rows.push_back({line, nlohmann::json::parse(content)});
    } catch (const nlohmann::json::parse_error& error) {
      // The library's text starts with its own code and position; the cause stands after them.
      std::string_view what = error.what();
      const std::size_t cause = what.find(": ");
      if (cause != std::string_view::npos) what.remove_prefix(cause + 2);
      file.faults.push_back({line, "it is not JSON (byte " + std::to_string(error.byte) + ": " +
                                       std::string(what) + ")"});
    }
  }
  return file;
}

/// The same for a file.
/// @throws Error when it cannot be read
[[nodiscard]] inline JsonlFile read_jsonl(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  if (!in || std::filesystem::is_directory(path, ignored)) {
    throw Error("cannot read " + path.string() + ": " +
                (in ? "it is a folder" : std::strerror(errno)));
  }
  JsonlFile file = read_jsonl(in);
  if (in.bad()) throw Error("cannot read " + path.string() + " to its end");
  return file;
}

/// Appends JSON values to a file, one a line. Each line reaches the operating system before `write`
/// returns, so that an interrupted program loses at most the line that it was writing. Such a torn
/// last line, one without an end, is dropped when the file is opened again.
///
/// Bytes that are no UTF-8 become U+FFFD; see `bytes_to_json` for texts that must keep them. One
/// writer to a file at a time.
class JsonlWriter {
 public:
  /// Opens a file, made if there is none, to append to it.
  /// @throws Error when that cannot be
  explicit JsonlWriter(std::filesystem::path path) : path_(std::move(path)) {
    drop_torn_line();
    errno = 0;
    out_.open(path_, std::ios::binary | std::ios::app);
    check("open");
  }

  /// Appends a value.
  /// @throws Error when it cannot be written, as on a full disk
  void write(const nlohmann::json& value) {
    errno = 0;
    out_ << value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
    out_.flush();
    check("write to");
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void check(const char* what) const {
    if (out_) return;
    throw Error(std::string("cannot ") + what + ' ' + path_.string() + ": " +
                std::strerror(errno));
  }

  void drop_torn_line() const {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path_, error);
    if (error || size == 0) return;  // opening it says what is wrong, if anything is
    std::ifstream in(path_, std::ios::binary);
    std::uintmax_t keep = size;
    for (char last = 0; keep > 0; --keep) {
      in.seekg(static_cast<std::streamoff>(keep - 1));
      if (!in.get(last) || last == '\n') break;
    }
    if (!in) throw Error("cannot read " + path_.string());
    in.close();
    if (keep == size) return;
    std::filesystem::resize_file(path_, keep, error);
    if (error) throw Error("cannot shorten " + path_.string() + ": " + error.message());
  }

  std::filesystem::path path_;
  std::ofstream out_ = {};
};

/// Writes a whole file, or leaves what was there: the text goes to a neighbour of the name with
/// ".part" behind it, which then takes the file's place.
/// @throws Error when it cannot be written
inline void write_whole_file(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::path part = path;
  part += ".part";
  errno = 0;
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  std::error_code error;
  if (out) {
    std::filesystem::rename(part, path, error);
    if (!error) return;
  }
  const std::string why = error ? error.message() : std::strerror(errno);
  std::filesystem::remove(part, error);
  throw Error("cannot write " + path.string() + ": " + why);
}

}  // namespace tilt

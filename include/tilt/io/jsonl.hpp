#pragma once

#include <algorithm>
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
#include "tilt/io/json_value.hpp"

namespace tilt {

/// A line of a JSONL file: its number, from 1, and its value.
struct JsonlRow {
  std::size_t line = 0;
  nlohmann::json value = {};
};

/// A line that is no JSON, or not what was expected: its number, from 1, and why, in a few words.
struct JsonlFault {
  std::size_t line = 0;
  std::string what = {};
};

/// What a JSONL file holds. A bad line does not lose the others.
struct JsonlFile {
  std::vector<JsonlRow> rows = {};      ///< in the file's order
  std::vector<JsonlFault> faults = {};  ///< in the file's order; at most `most_faults`, see there
  bool torn = false;          ///< the last line has no end: its writer may have been interrupted
  std::size_t bad_lines = 0;  ///< how many lines are faulty, listed or not

  /// Of more faulty lines the first ones and the last one are listed.
  static constexpr std::size_t most_faults = 100;
};

/// Reads JSON values, one a line. Blank lines are skipped, a byte order mark and the carriage returns
/// of Windows ignored. A value may be of any type. Lines that `parse_json` refuses are faults.
[[nodiscard]] inline JsonlFile read_jsonl(std::istream& in) {
  JsonlFile file;
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    file.torn = in.eof();
    std::string_view content = text;
    if (line == 1 && content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      file.rows.push_back({line, parse_json(content)});
    } catch (const Error& error) {
      if (++file.bad_lines > JsonlFile::most_faults) file.faults.pop_back();
      file.faults.push_back({line, error.what()});
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
/// last line, one without an end, is dropped when the file is opened again: behind a line that is
/// JSON, and in a file that holds nothing else if it is an object that breaks off. Any other file
/// whose last line has no end was not written by this class; it is refused and stays as it is.
///
/// Bytes that are no UTF-8 become U+FFFD; see `bytes_to_json` for texts that must keep them. One
/// writer to a file at a time.
class JsonlWriter {
 public:
  /// Opens a file, made if there is none, to append to it. Reads its last two lines only.
  /// @throws Error when that cannot be, and for a file that ends without the end of a line and was not
  ///         written by this class
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
    throw Error(std::string("cannot ") + what + ' ' + path_.string() + ": " + std::strerror(errno));
  }

  void drop_torn_line() const {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path_, error);
    if (error || size == 0) return;  // opening it says what is wrong, if anything is
    std::ifstream in(path_, std::ios::binary);
    const std::uintmax_t keep = line_start(in, size);
    if (keep == size) return;
    const bool ours = keep > 0 ? is_json(text_of(in, line_start(in, keep - 1), keep - 1))
                               : is_unfinished_object(text_of(in, 0, size));
    if (!in) throw Error("cannot read " + path_.string());
    if (!ours) {
      throw Error(path_.string() +
                  " ends without the end of a line and was not written by this "
                  "program; it stays as it is");
    }
    in.close();
    std::filesystem::resize_file(path_, keep, error);
    if (error) throw Error("cannot shorten " + path_.string() + ": " + error.message());
  }

  // Where the line that ends before `end` starts. Reads backwards, block by block.
  static std::uintmax_t line_start(std::ifstream& in, std::uintmax_t end) {
    std::string block;
    while (end > 0) {
      const std::uintmax_t begin = end - std::min<std::uintmax_t>(end, std::uintmax_t{1} << 16);
      block = text_of(in, begin, end);
      const std::size_t feed = block.rfind('\n');
      if (!in || feed != std::string::npos) return feed == std::string::npos ? 0 : begin + feed + 1;
      end = begin;
    }
    return 0;
  }

  static std::string text_of(std::ifstream& in, std::uintmax_t begin, std::uintmax_t end) {
    std::string text(static_cast<std::size_t>(end - begin), '\0');
    in.seekg(static_cast<std::streamoff>(begin));
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }

  static bool is_json(std::string_view line) {
    try {
      (void)parse_json(line);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  // Whether a text starts as a line of ours does and is sound up to where it breaks off.
  static bool is_unfinished_object(std::string_view text) {
    if (text != "{" && !text.starts_with("{\"")) return false;
    try {
      return nlohmann::json::parse(text).is_discarded();  // false: it does not break off
    } catch (const nlohmann::json::parse_error& error) {
      return error.byte > text.size();
    } catch (const nlohmann::json::exception&) {
      return false;
    }
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

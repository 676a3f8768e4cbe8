#include "tilt/io/jsonl.hpp"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "support/catch.hpp"

namespace {

namespace fs = std::filesystem;

// A folder of its own, gone at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "tilt_jsonl_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_ = {};
};

void put(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
std::string get(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
tilt::JsonlFile read(const std::string& text) {
  std::istringstream in(text);
  return tilt::read_jsonl(in);
}

}  // namespace

TEST_CASE("jsonl: reads values with their lines") {
  const tilt::JsonlFile file = read("{\"a\": 1}\n\n[2]\r\n  \n\"three\"\n");
  REQUIRE(file.rows.size() == 3);
  CHECK(file.rows[0].line == 1);
  CHECK(file.rows[0].value.at("a") == 1);
  CHECK(file.rows[1].line == 3);
  CHECK(file.rows[2].line == 5);
  CHECK(file.rows[2].value == "three");
  CHECK(file.faults.empty());
  CHECK_FALSE(file.torn);
}

TEST_CASE("jsonl: a bad line is named and does not lose the rest") {
  const tilt::JsonlFile file = read("{\"a\": 1}\n{\"a\": \n{\"a\": 3}\nnot json\n{\"a\": 5} x\n6\n");
  REQUIRE(file.rows.size() == 3);
  CHECK(file.rows[1].line == 3);
  CHECK(file.rows[2].value == 6);
  REQUIRE(file.faults.size() == 3);
  CHECK(file.faults[0].line == 2);
  CHECK(file.faults[1].line == 4);
  CHECK(file.faults[2].line == 5);
  CHECK_THAT(file.faults[0].what, Catch::Matchers::StartsWith("it is not JSON"));
  CHECK(file.faults[0].what.find('\n') == std::string::npos);
}

TEST_CASE("jsonl: the end of the file") {
  CHECK(read("").rows.empty());
  CHECK_FALSE(read("").torn);
  CHECK(read("{}").rows.size() == 1);
  CHECK(read("{}").torn);
  CHECK(read("{}\n{\"a").torn);
  CHECK(read("{}\n{\"a").faults.size() == 1);
  CHECK(read("\xef\xbb\xbf{}\n").rows.size() == 1);
}

TEST_CASE("jsonl: files that cannot be read are an error that names them") {
  const Folder folder;
  CHECK_THROWS_WITH(tilt::read_jsonl(folder / "none.jsonl"),
                    Catch::Matchers::StartsWith("cannot read " +
                                                (folder / "none.jsonl").string() + ": "));
  CHECK_THROWS_AS(tilt::read_jsonl(folder / ""), tilt::Error);
}

TEST_CASE("jsonl: what is written is read again, by more than one writer after another") {
  const Folder folder;
  const fs::path path = folder / "out.jsonl";
  {
    tilt::JsonlWriter writer(path);
    writer.write({{"id", 1}, {"text", "two\nlines"}});
    CHECK(get(path) == "{\"id\":1,\"text\":\"two\\nlines\"}\n");  // at once, not at the end
    writer.write({{"id", 2}});
  }
  tilt::JsonlWriter(path).write({{"id", 3}, {"text", "cut \xe2\x82"}});
  const tilt::JsonlFile file = tilt::read_jsonl(path);
  REQUIRE(file.rows.size() == 3);
  CHECK(file.rows[0].value.at("text") == "two\nlines");
  CHECK(file.rows[2].value.at("text").get<std::string>().starts_with("cut \xef\xbf\xbd"));
  CHECK_FALSE(file.torn);
}

TEST_CASE("jsonl: a torn last line is dropped when the file is opened to append") {
  const Folder folder;
  const fs::path path = folder / "out.jsonl";
  for (const std::string whole : {"", "{\"id\":1}\n", "{\"id\":1}\n{\"id\":2}\n"}) {
    for (const std::string torn : {"", "{", "{\"id\":3}", "{\"id\":3, \"text\": \"never clo"}) {
      put(path, whole + torn);
      tilt::JsonlWriter(path).write({{"id", 9}});
      CHECK(get(path) == whole + "{\"id\":9}\n");
    }
  }
}

TEST_CASE("jsonl: files that cannot be written are an error that names them") {
  const Folder folder;
  CHECK_THROWS_WITH(tilt::JsonlWriter(folder / "none/out.jsonl"),
                    Catch::Matchers::StartsWith("cannot open"));
  CHECK_THROWS_WITH(tilt::write_whole_file(folder / "none/out.html", "x"),
                    Catch::Matchers::StartsWith("cannot write"));
  if (fs::exists("/dev/full")) {
    tilt::JsonlWriter full("/dev/full");
    CHECK_THROWS_WITH(full.write(1), Catch::Matchers::StartsWith("cannot write to"));
  }
}

TEST_CASE("jsonl: a whole file replaces the old one or leaves it") {
  const Folder folder;
  const fs::path path = folder / "page.html";
  tilt::write_whole_file(path, "one");
  CHECK(get(path) == "one");
  tilt::write_whole_file(path, "two");
  CHECK(get(path) == "two");
  CHECK_FALSE(fs::exists(folder / "page.html.part"));
  fs::create_directory(folder / "page.html.part");  // where the new text would go
  CHECK_THROWS_AS(tilt::write_whole_file(path, "three"), tilt::Error);
  CHECK(get(path) == "two");
}

#include "tilt/io/jsonl.hpp"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/growth.hpp"

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
  const tilt::JsonlFile file =
      read("{\"a\": 1}\n{\"a\": \n{\"a\": 3}\nnot json\n{\"a\": 5} x\n6\n");
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
  CHECK_THROWS_WITH(
      tilt::read_jsonl(folder / "none.jsonl"),
      Catch::Matchers::StartsWith("cannot read " + (folder / "none.jsonl").string() + ": "));
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
  for (const std::string whole : {"{\"id\":1}\n", "{\"id\":1}\n{\"id\":2}\n"}) {
    for (const std::string torn : {"", "{", "{\"id\":3}", "{\"id\":3, \"text\": \"never clo"}) {
      put(path, whole + torn);
      tilt::JsonlWriter(path).write({{"id", 9}});
      CHECK(get(path) == whole + "{\"id\":9}\n");
    }
  }
}

TEST_CASE("jsonl: a first line that breaks off anywhere is dropped") {
  const Folder folder;
  const fs::path path = folder / "out.jsonl";
  const std::string line = R"({"id":3,"b":[-1.5e-7,true,null,{}],"t":"\u00e9\\ )"
                           "\xe2\x82\xac\"}";
  for (std::size_t n = 0; n < line.size(); ++n) {
    CAPTURE(n);
    put(path, line.substr(0, n));
    tilt::JsonlWriter(path).write({{"id", 9}});
    CHECK(get(path) == "{\"id\":9}\n");
  }
}

TEST_CASE("jsonl: a file of another kind that ends without the end of a line stays as it is") {
  const Folder folder;
  const fs::path path = folder / "notes.txt";
  for (const std::string text :
       {"hello", "{\"a\": 1}", "{\"a\":1}", "[1, 2", "{\"a\": 1} x", "{ \"a\": ", "one\ntwo",
        "\n{\"a\"", "{\"a\": 1}\nnot json\n{\"b", "7", "{\"a\": 1e400, ", "{\"a\" 5"}) {
    CAPTURE(text);
    put(path, text);
    CHECK_THROWS_WITH(tilt::JsonlWriter(path),
                      Catch::Matchers::StartsWith(path.string() + " ends without"));
    CHECK(get(path) == text);
  }
}

TEST_CASE("jsonl: a torn line longer than a block is dropped whole") {
  const Folder folder;
  const fs::path path = folder / "out.jsonl";
  for (const std::size_t n : {65'535u, 65'536u, 65'537u, 300'000u}) {
    const std::string whole = "{\"id\":\"" + std::string(n, 'a') + "\"}\n";
    put(path, whole + "{\"id\":\"" + std::string(n, 'b'));
    tilt::JsonlWriter(path).write(1);
    CHECK(get(path) == whole + "1\n");
  }
}

TEST_CASE("jsonl: dropping a torn line costs about what reading it costs, not a call per byte") {
  const Folder folder;
  const fs::path path = folder / "out.jsonl";
  const std::string text = "{\"id\":1}\n{\"id\":\"" + std::string(1'000'000, 'b');
  double reading = tilt::infinity, dropping = tilt::infinity;
  for (int repeat = 0; repeat < 3; ++repeat) {
    put(path, text);
    const double start = growth::thread_seconds();
    CHECK(get(path).size() == text.size());
    const double middle = growth::thread_seconds();
    tilt::JsonlWriter{path};
    reading = std::min(reading, middle - start);
    dropping = std::min(dropping, growth::thread_seconds() - middle);
  }
  CHECK(dropping < 10 * reading);
}

TEST_CASE("jsonl: the time to read a file grows with its length, whatever it repeats") {
  for (const std::string_view part :
       {"x\n", "[", "{\"a\":", "\"\\", "{}\n", "\xc3", "1", "[]", "{\"hex\": \"f"}) {
    CAPTURE(part);
    const auto repeated = [part](std::size_t size) {
      std::string text;
      while (text.size() < size) text += part;
      return text;
    };
    CHECK(growth::exponent(repeated, [](const std::string& text) { (void)read(text); }) <
          growth::limit);
  }
}

TEST_CASE("jsonl: hostile lines are named one by one, in short, and lose no other line") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::string lines[] = {R"({"a": 1e400})",
                               deep,
                               std::string("{}\0junk", 7),
                               std::string(7, '\0'),
                               "{\"a\": \"" + std::string(1'000'000, 'x'),
                               "\"\xff\""};
  std::string text;
  for (const std::string& line : lines) text += line + "\n{\"good\": 1}\n";
  const tilt::JsonlFile file = read(text);
  CHECK(file.rows.size() == 6);
  REQUIRE(file.faults.size() == 6);
  CHECK(file.bad_lines == 6);
  for (std::size_t i = 0; i < file.faults.size(); ++i) {
    CAPTURE(file.faults[i].what);
    CHECK(file.faults[i].line == 2 * i + 1);
    CHECK(file.faults[i].what.size() < 300);
    CHECK(tilt::is_utf8(file.faults[i].what));
  }
  CHECK(file.faults[0].what == "it cannot be read (number overflow parsing '1e400')");
}

TEST_CASE("jsonl: of very many bad lines the first and the last are listed, and all are counted") {
  std::string text;
  for (std::size_t i = 0; i < 5000; ++i) text += "x\n";
  const tilt::JsonlFile file = read(text + "{}\ny");
  CHECK(file.bad_lines == 5001);
  REQUIRE(file.faults.size() == tilt::JsonlFile::most_faults);
  CHECK(file.faults.front().line == 1);
  CHECK(file.faults[98].line == 99);
  CHECK(file.faults.back().line == 5002);
  CHECK(file.torn);
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

// Goes through the files of a folder, and through changed copies of each, without a fuzzer:
//
//   replay FOLDER [COPIES]
//
// The copies are the same at each run. A fault ends it with status 1 and names file and copy; the input
// is then in the file "fault" of the working folder.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/target.hpp"
#include "tilt/core/random.hpp"

namespace {

namespace fs = std::filesystem;

/// Some bytes replaced, some parts dropped, doubled or exchanged for what readers take amiss.
std::string changed(std::string text, tilt::Random random) {
  using namespace std::string_literals;
  static const std::string parts[] = {"\0"s,
                                      "\xff",
                                      "\n",
                                      "\"",
                                      "{",
                                      "}",
                                      "[[[[",
                                      "-1",
                                      "1e400",
                                      "nan",
                                      "\\",
                                      "\\u00",
                                      "\xe2\x82",
                                      "<<",
                                      "\\boxed{",
                                      "Score:",
                                      "\x7f\xff\xff\xff",
                                      "\xff\xff\xff\xff"};
  for (std::uint64_t left = 1 + random.below(6); left > 0; --left) {
    const std::size_t at = random.below(text.size() + 1);
    const std::size_t size = std::min<std::size_t>(random.below(16), text.size() - at);
    switch (random.below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(at, text.substr(at, size));
        break;
      case 3:
        text.insert(at, parts[random.below(std::size(parts))]);
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
    }
  }
  return text;
}

void try_one(const std::string& text, const std::string& name) {
  try {
    fuzz::run(fuzz::Bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    std::ofstream("fault", std::ios::binary) << text;
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [COPIES]\n", argv[0]);
    return 2;
  }
  const std::size_t copies = argc > 2 ? std::stoul(argv[2]) : 0;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(argv[1])) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::ifstream in(files[f], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    try_one(text, files[f].string());
    for (std::size_t i = 0; i < copies; ++i) {
      try_one(changed(text, tilt::Random(f, i)), files[f].string() + ", copy " + std::to_string(i));
    }
  }
  std::printf("%zu files, %zu inputs\n", files.size(), files.size() * (copies + 1));
  return files.empty() ? 1 : 0;
}

// An aligned answer from two functions: one that speaks, one that judges.

#include <iostream>
#include <tilt/tilt.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view, const tilt::Generation& work) -> std::string {
    const char* greetings[] = {"hey", "Hi there!", "Good day.", "Hello, dear reader!", "what?"};
    return greetings[tilt::Random(work.seed).below(5)];
  }};
  tilt::RewardFunction politeness{[](const tilt::Prompt&, const tilt::Response& response) {
    return static_cast<double>(response.text.size());
  }};
  tilt::Decoder decoder{policy, politeness, tilt::BestOfN{{.n = 8}}};
  std::cout << decoder("Greet the reader.").answer.response.text << '\n';
}

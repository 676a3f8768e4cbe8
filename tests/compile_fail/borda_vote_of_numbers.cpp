// expect: tilt::BordaVote needs a const function std::optional<std::string>
#include <tilt/selector/borda_vote.hpp>

int main() {
  tilt::BordaVote vote{[](std::string_view) { return 1; }};
}

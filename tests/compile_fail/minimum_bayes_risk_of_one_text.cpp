// expect: tilt::MinimumBayesRisk needs a const function double.const tilt::Response& hypothesis
#include <tilt/selector/minimum_bayes_risk.hpp>

int main() {
  tilt::MinimumBayesRisk rule{[](std::string_view) { return 1.0; }};
}

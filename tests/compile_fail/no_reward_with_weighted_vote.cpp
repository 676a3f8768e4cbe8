// expect: tilt::Decoder: this selector compares rewards and no_reward gives none; pass a selector such as MajorityVote, or a reward model
#include <tilt/tilt.hpp>

int main() {
  tilt::LogitPolicy policy{-1, [](tilt::TokenSpan) { return std::vector<double>{0.0, 0.0}; }};
  tilt::Decoder decoder{policy, tilt::no_reward, tilt::BestOfN{{.n = 2}},
                        tilt::WeightedMajorityVote{tilt::last_number}};
}

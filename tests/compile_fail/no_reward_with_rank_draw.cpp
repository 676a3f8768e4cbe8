// expect: tilt::Decoder: this selector compares rewards and no_reward gives none; pass a selector such as MajorityVote
#include <tilt/selector/rank_draw.hpp>
#include <tilt/tilt.hpp>

int main() {
  tilt::TextPolicy policy{[](std::string_view) { return std::string("x"); }};
  tilt::Decoder decoder{policy, tilt::no_reward, tilt::BestOfN{{.n = 2}},
                        tilt::RankDraw{tilt::QuantileTilt::best_of(4, 0.1)}};
}

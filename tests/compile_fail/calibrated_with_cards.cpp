// expect: tilt::Calibrated: this sampler scores prefixes of responses, which have another quantile law than whole ones; use BestOfN, QAlign or Rejection
#include <tilt/sampler/calibrated.hpp>
#include <tilt/tilt.hpp>

int main() { tilt::Calibrated sampler{tilt::Cards{{.reward_goal = 1}}}; }

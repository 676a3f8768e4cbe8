#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tilt {

/// Named numbers about a run, in a fixed order.
using Stats = std::vector<std::pair<std::string, double>>;

}  // namespace tilt

#include <tilt/tilt.hpp>

double score_elsewhere(const tilt::Response& response) {
  return static_cast<double>(response.tokens.size());
}

#pragma once

/// In-process llama.cpp: a policy that serves every capability, and a reward that is a log-ratio of
/// two contexts of the same model. Needs llama.cpp (CMake target tilt::llama).
#include "tilt/engine/llama/contrast_reward.hpp"
#include "tilt/engine/llama/policy.hpp"

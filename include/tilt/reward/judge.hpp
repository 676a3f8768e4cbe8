#pragma once

// Language models as rewards: by the probability of yes, by a score, by a preference between two answers.

#include "tilt/reward/judge/pairwise.hpp"
#include "tilt/reward/judge/score.hpp"
#include "tilt/reward/judge/yes_no.hpp"

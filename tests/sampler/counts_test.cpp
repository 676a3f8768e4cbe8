// Every count among the options of every sampler has a range, so that none is allocated, or looped over,
// before a budget is looked at.

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/refused.hpp"
#include "tilt/sampler/best_of_n.hpp"
#include "tilt/sampler/best_of_poisson.hpp"
#include "tilt/sampler/calibrated.hpp"
#include "tilt/sampler/cards.hpp"
#include "tilt/sampler/epsilon_best_of.hpp"
#include "tilt/sampler/prs.hpp"
#include "tilt/sampler/qalign.hpp"
#include "tilt/sampler/rejection.hpp"
#include "tilt/sampler/tpo.hpp"
#include "tilt/stats/pass_at_k.hpp"

using namespace tilt;

namespace {

constexpr std::size_t most = std::size_t{1} << 20;

struct Count {
  std::string field;
  std::function<void(std::size_t)> build;
  bool may_be_npos = false;  // no limit
  std::size_t largest = most;
};

// A row for a member of the options of a sampler, the others by default.
template <class S, class Options>
Count row(const std::string& field, std::size_t Options::*member, Options others = {}) {
  return {.field = field, .build = [member, others](std::size_t n) {
            Options options = others;
            options.*member = n;
            (void)S(options);
          }};
}
template <class S, class Options>
Count row_or_npos(const std::string& field, std::size_t Options::*member) {
  Count count = row<S>(field, member);
  count.may_be_npos = true;
  return count;
}

std::vector<Count> all_counts() {
  std::vector<Count> counts = {
      row<BestOfN>("BestOfNOptions.n", &BestOfNOptions::n),
      row<BestOfN>("BestOfNOptions.width", &BestOfNOptions::width),
      row<BestOfN>("BestOfNOptions.max_tokens", &BestOfNOptions::max_tokens),
      row<BestOfPoisson>("BestOfPoissonOptions.max_tokens", &BestOfPoissonOptions::max_tokens),
      row<EpsilonBestOf>("EpsilonBestOfOptions.k", &EpsilonBestOfOptions::k),
      row<EpsilonBestOf>("EpsilonBestOfOptions.max_tokens", &EpsilonBestOfOptions::max_tokens),
      row_or_npos<Rejection>("RejectionOptions.max_rejections", &RejectionOptions::max_rejections),
      row<Rejection>("RejectionOptions.max_tokens", &RejectionOptions::max_tokens),
      row<Rejection>("RejectionOptions.parallel", &RejectionOptions::parallel),
      row_or_npos<Cards>("CardsOptions.max_rejections", &CardsOptions::max_rejections),
      row<Cards>("CardsOptions.parallel", &CardsOptions::parallel),
      row<Cards>("CardsOptions.max_tokens", &CardsOptions::max_tokens),
      row<Cards>("CardsOptions.pilot_draws", &CardsOptions::pilot_draws),
      row<QAlign>("QAlignOptions.steps", &QAlignOptions::steps),
      row<QAlign>("QAlignOptions.chains", &QAlignOptions::chains),
      row<QAlign>("QAlignOptions.fork", &QAlignOptions::fork),
      row<QAlign>("QAlignOptions.max_tokens", &QAlignOptions::max_tokens),
      row<QAlign>("QAlignOptions.initial_draws", &QAlignOptions::initial_draws),
      row<Tpo>("TpoOptions.n", &TpoOptions::n),
      row<Tpo>("TpoOptions.rounds", &TpoOptions::rounds),
      row<Tpo>("TpoOptions.max_tokens", &TpoOptions::max_tokens),
      row<Tpo>("TpoOptions.critique_max_tokens", &TpoOptions::critique_max_tokens),
      row<Prs>("PrsOptions.n", &PrsOptions::n),
      row<Prs>("PrsOptions.max_tokens", &PrsOptions::max_tokens),
      row<Prs>("PrsOptions.feedback_max_tokens", &PrsOptions::feedback_max_tokens),
      {.field = "CalibratedOptions.references",
       .build = [](std::size_t n) { (void)Calibrated(BestOfN{}, {.references = n}); }},
      {.field = "plug_in_bias.references",
       .build = [](std::size_t n) { (void)plug_in_bias(transform::identity, n, 0.5); }},
      {.field = "pass_at_k.n", .build = [](std::size_t n) { (void)pass_at_k(n, 1, 1); }},
  };
  for (Count& count : counts) {
    if (count.field == "QAlignOptions.chains") count.largest = 1u << 16;
    if (count.field == "pass_at_k.n") count.largest = 1u << 30;
  }
  return counts;
}

}  // namespace

TEST_CASE("every count of every sampler has a range, and names it") {
  for (const Count& count : all_counts()) {
    INFO(count.field);
    CHECK_NOTHROW(count.build(count.largest));
    for (const std::size_t n : {count.largest + 1, npos / 2, npos - 1, npos}) {
      if (n == npos && count.may_be_npos) {
        CHECK_NOTHROW(count.build(n));
      } else {
        expect_refused([&] { count.build(n); }, count.field, to_text(n));
      }
    }
  }
  expect_refused([] { Prs{{.n = npos, .layers = npos}}; }, "PrsOptions.n", to_text(npos));
  expect_refused([] { QAlign{{.steps = npos, .fork = npos, .burn_in = npos}}; },
                 "QAlignOptions.steps", to_text(npos));
}

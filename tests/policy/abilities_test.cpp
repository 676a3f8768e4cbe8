#include "tilt/policy/abilities.hpp"

#include <Eigen/Core>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/toy.hpp"
#include "tilt/policy/text_policy.hpp"
#include "tilt/reward/judge/yes_no.hpp"
#include "tilt/reward/self_certainty.hpp"
#include "tilt/testing/check_policy.hpp"

using namespace tilt;

namespace {

template <class Logits>
struct Telling {
  Logits logits(const Prompt&, const Response&) { return {}; }
  [[nodiscard]] bool is_end(Token) const { return false; }
};
struct ByReference : Telling<std::vector<float>> {
  std::vector<float> kept = {};
  const std::vector<float>& logits(const Prompt&, const Response&) { return kept; }
};

using Doubles = Telling<std::vector<double>>;
using Floats = Telling<std::vector<float>>;
using Integers = Telling<std::vector<int>>;
using Texts = Telling<std::vector<std::string>>;

// One definition, of doubles and of floats alike, and everything that reads logits goes by it.
template <class P, bool tells>
constexpr bool agree = HasLogits<P> == tells&& HasLogits<P&> == tells&& TellsNextToken<P> ==
                       tells&& testing::NextTokenModel<P> == tells;
static_assert(agree<Doubles, true> && agree<Floats, true> && agree<ByReference, true>);
static_assert(agree<Telling<Eigen::VectorXd>, true> && agree<Telling<Eigen::VectorXf>, true>);
static_assert(agree<Integers, false> && agree<Texts, false> && agree<Telling<double>, false>);
static_assert(agree<decltype(toy::policy()), true>);

using Speaks = TextPolicy<std::string (*)(std::string_view)>;
static_assert(!HasLogits<Speaks> && !HasLogProbs<Speaks> && !HasIsEnd<Speaks> &&
              !HasEndToken<Speaks> && !HasDetokenize<Speaks> && !HasTokenize<Speaks>);
using Toy = decltype(toy::policy());
static_assert(HasLogProbs<Toy> && HasLogProbsOfLaw<Toy> && HasIsEnd<Toy> && HasEndToken<Toy> &&
              HasAppendText<Toy> && !HasDetokenize<Toy> && !HasSelfCertainty<Toy>);

struct Named {
  Token end = 7;
  [[nodiscard]] Token end_token() const { return end; }
};
struct Nothing {};

}  // namespace

TEST_CASE("ends_response: the policy's is_end, else its end_token, else nobody knows") {
  Toy policy = toy::policy();
  CHECK(ends_response(policy, toy::end) == true);
  CHECK(ends_response(policy, toy::a) == false);
  Named named;
  CHECK(ends_response(named, 7) == true);
  CHECK(ends_response(named, 6) == false);
  named.end = -1;
  CHECK(ends_response(named, -1) == false);
  Nothing nothing;
  CHECK_FALSE(ends_response(nothing, 7).has_value());
}

TEST_CASE("a model of float logits is enumerated as one of doubles") {
  struct Floating {
    Toy inner = toy::policy();
    std::vector<float> logits(const Prompt& prompt, const Response& response) {
      const std::vector<double> values = inner.logits(prompt, response);
      return {values.begin(), values.end()};
    }
    [[nodiscard]] bool is_end(Token token) const { return inner.is_end(token); }
  } model;
  const testing::ResponseLaw seen = testing::enumerate(model, Prompt{}, toy::max_tokens);
  CHECK(testing::total_variation(seen, toy::base_law()) < 1e-6);
}

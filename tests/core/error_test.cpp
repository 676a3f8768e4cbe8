#include "tilt/core/error.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tilt;

TEST_CASE("everything thrown is a tilt::Error and a std::runtime_error") {
  CHECK_THROWS_AS(throw InvalidOption("f", "v", "l"), Error);
  CHECK_THROWS_AS(throw PolicyError("x"), Error);
  CHECK_THROWS_AS(throw RewardError("x"), Error);
  CHECK_THROWS_AS(throw PartialFailure({}), Error);
  CHECK_THROWS_AS(throw Error("x"), std::runtime_error);
  CHECK_THROWS_WITH(throw PolicyError("the cause"), "the cause");
}

TEST_CASE("an invalid option says which, what, and what is legal") {
  const InvalidOption error("CardsOptions.beta", "-1", "a finite number > 0");
  CHECK(error.field() == "CardsOptions.beta");
  CHECK(error.value() == "-1");
  CHECK(error.legal() == "a finite number > 0");
  CHECK(std::string(error.what()) == "CardsOptions.beta is -1; it must be a finite number > 0");
  CHECK(error.partial() == nullptr);
}

TEST_CASE("message_of reads any exception") {
  CHECK(message_of(nullptr) == "no error");
  CHECK(message_of(std::make_exception_ptr(std::logic_error("why"))) == "why");
  CHECK(message_of(std::make_exception_ptr(42)) == "an exception that is not a std::exception");
}

TEST_CASE("for_each_isolated goes on after a failure and reports all of them") {
  std::vector<int> done;
  const auto item = [&done](std::size_t i) {
    if (i == 1) throw std::runtime_error("one");
    if (i == 3) throw 3;
    done.push_back(static_cast<int>(i));
  };
  try {
    for_each_isolated(5, item);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    REQUIRE(failure.causes().size() == 5);
    CHECK(failure.causes()[0] == nullptr);
    CHECK(message_of(failure.causes()[1]) == "one");
    CHECK(failure.causes()[2] == nullptr);
    CHECK(failure.causes()[3] != nullptr);
    CHECK(failure.causes()[4] == nullptr);
    CHECK_THAT(failure.what(),
               Catch::Matchers::Equals("2 of 5 items of a batch failed; the first: one"));
  }
  CHECK(done == std::vector<int>{0, 2, 4});

  done.clear();
  for_each_isolated(1, item);
  CHECK(done == std::vector<int>{0});
  for_each_isolated(0, item);
}

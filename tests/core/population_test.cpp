#include "tilt/core/population.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "tilt/core/random.hpp"

using namespace tilt;

namespace {

Candidate named(std::string text, double weight = 1) {
  return {.response = {.text = std::move(text)}, .weight = weight};
}

std::vector<std::string> texts(const Population& population) {
  std::vector<std::string> all;
  for (const Candidate& candidate : population) all.push_back(candidate.response.text);
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("an empty population") {
  const Population population;
  CHECK(population.empty());
  CHECK(population.size() == 0);
  CHECK(population.begin() == population.end());
  CHECK(population.total_weight() == 0);
  CHECK(population.lanes() == 0);
  CHECK(population.lane(0).empty());
  CHECK(population.first(3).empty());
  CHECK_THROWS_AS(population.at_id(0), Error);
}

TEST_CASE("candidates are ordered by lane and emission, never by arrival") {
  Population population;
  population.add(named("c0"), 2);
  population.add(named("a0"), 0);
  population.add(named("c1"), 2);
  population.add(named("a1"), 0);
  CHECK(texts(population) == Texts{"a0", "a1", "c0", "c1"});
  CHECK(population.size() == 4);
  CHECK(population.lanes() == 3);
  CHECK(population.lane(1).empty());
  CHECK(population.lane(2).size() == 2);
  CHECK(population.lane(7).empty());
  CHECK(population[2].response.text == "c0");
  CHECK(population[2].lane == 2);

  Population other;
  other.add(named("a0"), 0);
  other.add(named("a1"), 0);
  other.add(named("c0"), 2);
  other.add(named("c1"), 2);
  CHECK(texts(other) == texts(population));
  for (std::size_t i = 0; i < 4; ++i) CHECK(other[i].id == population[i].id);
}

TEST_CASE("ids are the lane and the number in it, and find the candidate again") {
  Population population;
  CHECK(population.add(named("b0"), 1) == std::uint64_t{1} << 32);
  CHECK(population.add(named("b1"), 1) == (std::uint64_t{1} << 32) + 1);
  CHECK(population.add(named("a0"), 0) == 0);
  CHECK(population.at_id((std::uint64_t{1} << 32) + 1).response.text == "b1");
  CHECK(population.at_id(0).response.text == "a0");
  CHECK_THROWS_AS(population.at_id(1), Error);
  CHECK_THROWS_AS(population.at_id(std::uint64_t{5} << 32), Error);
  CHECK_THROWS_AS(population.at_id(npos), Error);

  population.add_weight(0, 2.5);
  CHECK(population[0].weight == 3.5);
  CHECK(population.total_weight() == 5.5);
  CHECK_THROWS_AS(population.add_weight(1, 1), Error);
}

TEST_CASE("what the caller wrote into id and lane is replaced") {
  Population population;
  Candidate candidate = named("x");
  candidate.id = 99;
  candidate.lane = 99;
  population.add(std::move(candidate), 0);
  CHECK(population[0].id == 0);
  CHECK(population[0].lane == 0);
}

TEST_CASE("the iterator is one of random access") {
  STATIC_REQUIRE(std::random_access_iterator<Population::Iterator>);
  std::vector<Candidate> candidates;
  for (int i = 0; i < 5; ++i) candidates.push_back(named(std::to_string(i)));
  const Population population(candidates);
  const auto begin = population.begin();
  CHECK(population.end() - begin == 5);
  CHECK((begin + 3)->response.text == "3");
  CHECK((2 + begin)->response.text == "2");
  CHECK(begin[4].response.text == "4");
  CHECK(std::prev(population.end())->response.text == "4");
  auto it = begin;
  CHECK((it++)->response.text == "0");
  CHECK((++it)->response.text == "2");
  CHECK((it--)->response.text == "2");
  CHECK((--it)->response.text == "0");
  CHECK(begin < population.end());
  CHECK(begin + 5 == population.end());
  CHECK((population.end() - 5) == begin);
  const auto found = std::find_if(population.begin(), population.end(),
                                  [](const Candidate& c) { return c.response.text == "3"; });
  CHECK(found - population.begin() == 3);
}

TEST_CASE("first keeps the first units of weight") {
  Population population(
      {named("a", 0), named("b", 2), named("c", 0), named("d", 1.5), named("e", 0), named("f", 1)});
  const auto weights = [](const Population& part) {
    std::vector<double> all;
    for (const Candidate& candidate : part) all.push_back(candidate.weight);
    return all;
  };
  CHECK(population.first(0).empty());
  CHECK(texts(population.first(1)) == Texts{"a", "b"});
  CHECK(weights(population.first(1)) == std::vector<double>{0, 1});
  CHECK(texts(population.first(2)) == Texts{"a", "b"});
  CHECK(weights(population.first(3)) == std::vector<double>{0, 2, 0, 1});
  CHECK(weights(population.first(3.5)) == std::vector<double>{0, 2, 0, 1.5});
  CHECK(weights(population.first(4)) == std::vector<double>{0, 2, 0, 1.5, 0, 0.5});
  CHECK(texts(population.first(4.5)) == texts(population));
  CHECK(texts(population.first(infinity)) == texts(population));
  CHECK(population.first(3).total_weight() == 3);
  CHECK(population.size() == 6);
}

TEST_CASE("first keeps lanes and ids") {
  Population population;
  population.add(named("a0"), 0);
  population.add(named("b0"), 1);
  population.add(named("b1"), 1);
  const Population part = population.first(2);
  CHECK(texts(part) == Texts{"a0", "b0"});
  CHECK(part[1].lane == 1);
  CHECK(part[1].id == population[1].id);
}

TEST_CASE("first takes the lanes side by side: what the run had after n units of weight") {
  // Three chains of two states each, the second state of the first chain held twice.
  Population population;
  for (const std::uint32_t lane : {0u, 1u, 2u}) {
    const std::string name(1, static_cast<char>('a' + lane));
    population.add(named(name + "0"), lane);
    population.add(named(name + "1", lane == 0 ? 2 : 1), lane);
    population.add(named(name + " of weight 0", 0), lane);
  }
  CHECK(texts(population.first(1)) == Texts{"a0"});
  CHECK(texts(population.first(2)) == Texts{"a0", "b0"});
  CHECK(texts(population.first(3)) == Texts{"a0", "b0", "c0"});
  CHECK(texts(population.first(4)) == Texts{"a0", "a1", "b0", "c0"});
  CHECK(population.first(4)[1].weight == 1);
  CHECK(texts(population.first(4.5)) == Texts{"a0", "a1", "b0", "b1", "c0"});
  CHECK(population.first(4.5)[3].weight == 0.5);
  CHECK(texts(population.first(6)) == Texts{"a0", "a1", "b0", "b1", "c0", "c1"});
  for (const double n : {0.25, 1.0, 3.5, 5.0, 6.0, 6.5, 7.0}) {
    CHECK(population.first(n).total_weight() == n);
  }
  CHECK(texts(population.first(8)) == texts(population));
  CHECK(texts(population.first(infinity)) == texts(population));
  CHECK(population.first(unset).empty());
  CHECK(population.first(-1).empty());

  // A lane that has ended leaves its turns to the others; one without weight keeps what it has.
  Population uneven;
  uneven.add(named("pilot", 0), 0);
  uneven.add(named("long", 10), 1);
  uneven.add(named("short", 1), 3);
  CHECK(texts(uneven.first(5)) == Texts{"pilot", "long", "short"});
  CHECK(uneven.first(5)[1].weight == 4);
  CHECK(uneven.first(5).lane(3).size() == 1);
}

TEST_CASE("positions and iterators find what stands by lane, whatever order it came in") {
  Random random(3);
  for (const std::uint64_t lanes : {1u, 2u, 7u, 64u, 65u}) {
    Population population;
    std::vector<Texts> by_lane(lanes);
    for (int i = 0; i < 150; ++i) {
      const auto lane = static_cast<std::uint32_t>(random.below(lanes));
      by_lane[lane].push_back(std::to_string(i));
      population.add(named(by_lane[lane].back()), lane);
      Texts wanted;
      for (const Texts& some : by_lane) wanted.insert(wanted.end(), some.begin(), some.end());
      REQUIRE(population.size() == wanted.size());
      REQUIRE(texts(population) == wanted);  // forwards, by the iterator
      for (std::size_t k = 0; k < wanted.size(); ++k) {
        REQUIRE(population[k].response.text == wanted[k]);
      }
      const auto at = static_cast<std::ptrdiff_t>(random.below(wanted.size()));
      const auto back = population.end() - (population.end() - population.begin() - at);
      REQUIRE(back->response.text == wanted[static_cast<std::size_t>(at)]);
      if (at > 0) REQUIRE((*(back - 1)).response.text == wanted[static_cast<std::size_t>(at) - 1]);
    }
  }
}

TEST_CASE("reading a population takes a time in proportion to its size, whatever its lanes") {
  const auto seconds = [](std::uint32_t lanes) {
    Population population;
    for (std::uint32_t lane = 0; lane < lanes; ++lane) population.add({.reward = 1}, lane);
    double best = infinity;
    for (int repeat = 0; repeat < 5; ++repeat) {
      const auto start = std::chrono::steady_clock::now();
      double sum = 0;
      for (const Candidate& candidate : population) sum += candidate.reward;
      for (std::size_t i = 0; i < population.size(); ++i) sum += population[i].reward;
      const auto end = std::chrono::steady_clock::now();
      best = std::min(best, std::chrono::duration<double>(end - start).count());
      CHECK(sum == 2.0 * lanes);
    }
    return best;
  };
  // 16 times the size: 16 times the time and a logarithm. Were it quadratic: 256 times.
  const double ratio = seconds(32'000) / seconds(2'000);
  INFO("16 times the lanes took " << ratio << " times the time");
  CHECK(ratio < 90);
}

TEST_CASE("a population copies as a value") {
  Population population({named("a")});
  const Population copy = population;
  population.add(named("b"), 0);
  population.add_weight(0, 1);
  CHECK(copy.size() == 1);
  CHECK(copy[0].weight == 1);
}

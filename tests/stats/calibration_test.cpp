#include "tilt/stats/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/refused.hpp"
#include "tilt/stats/transform.hpp"

using namespace tilt;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using law_table::MeanCheck;

TEST_CASE("ReferenceQuantiles: below plus half of the equal ones, over K") {
  const ReferenceQuantiles quantiles(std::vector<double>{3, 1, 2, 2});
  CHECK(quantiles.size() == 4);
  CHECK(quantiles.missing() == 0);
  CHECK(quantiles(0) == 0);
  CHECK(quantiles(1) == 0.125);
  CHECK(quantiles(1.5) == 0.25);
  CHECK(quantiles(2) == 0.5);
  CHECK(quantiles(2.5) == 0.75);
  CHECK(quantiles(3) == 0.875);
  CHECK(quantiles(4) == 1);
  CHECK(quantiles(infinity) == 1);
  CHECK(quantiles(-infinity) == 0);
  CHECK(std::isnan(quantiles(unset)));
}

TEST_CASE("ReferenceQuantiles: -infinity is a reward, a missing score is none") {
  const ReferenceQuantiles quantiles(std::vector<double>{unset, -infinity, 5, unset, -infinity, 7});
  CHECK(quantiles.size() == 4);
  CHECK(quantiles.missing() == 2);
  CHECK(quantiles(-infinity) == 0.25);
  CHECK(quantiles(0) == 0.5);
  CHECK(quantiles(6) == 0.75);
  const ReferenceQuantiles none(std::vector<double>{unset});
  CHECK(none.size() == 0);
  CHECK(none.missing() == 1);
  CHECK(std::isnan(none(0)));
  CHECK(std::isnan(ReferenceQuantiles({})(0)));
}

TEST_CASE(
    "ReferenceQuantiles: invariant under increasing maps, with mean 1/2 over the references") {
  const std::vector<double> rewards = {0.3, -1, 0.3, 2, 0.1, 0.3, -1};
  std::vector<double> other;
  for (const double r : rewards) other.push_back(std::exp(2 * r) - 7);
  const ReferenceQuantiles a(rewards), b(other);
  double mean = 0;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    CHECK(a(rewards[i]) == b(other[i]));
    mean += a(rewards[i]) / static_cast<double>(rewards.size());
  }
  CHECK_THAT(mean, WithinAbs(0.5, 1e-15));
}

TEST_CASE("ReferenceQuantiles: the estimate has the mean and the variance of a binomial", "[law]") {
  // Uniform rewards, a response at 0.7 of 8 references.
  const double C = 0.7;
  MeanCheck mean(C), variance(C * (1 - C) / 8), whole(C);
  for (std::uint64_t run = 0; run < 20'000; ++run) {
    Random random(3, run);
    std::vector<double> rewards(8);
    for (double& r : rewards) r = random.uniform();
    const double u = ReferenceQuantiles(rewards)(C);
    mean.add(u);
    variance.add((u - C) * (u - C));
    rewards.push_back(C);  // the bug: the response among its own references
    whole.add(ReferenceQuantiles(rewards)(C));
  }
  law_table::expect_mean("ReferenceQuantiles: mean of the estimate", mean);
  law_table::expect_mean("ReferenceQuantiles: variance of the estimate", variance);
  law_table::expect_mean_caught("a response among its own references", whole);
}

TEST_CASE("plug_in_bias: the closed form of exponential transforms") {
  for (const double t : {-10.0, -2.0, 1.0, 5.0, 10.0}) {
    for (const std::size_t K : {1u, 16u, 100u, 1000u}) {
      for (const double C : {0.0, 0.1, 0.5, 0.9, 1.0}) {
        const double expected =
            std::pow(1 - C + C * std::exp(t / static_cast<double>(K)), static_cast<double>(K)) *
            std::exp(-t * C);
        CHECK_THAT(plug_in_bias(transform::exponential(t), K, C), WithinRel(expected, 1e-10));
      }
    }
  }
  CHECK_THAT(plug_in_bias(transform::exponential(10), 100, 0.9), WithinAbs(1.045, 1e-3));
  CHECK_THAT(plug_in_bias(transform::exponential(10), 16, 0.9), WithinAbs(1.27, 6e-3));
  CHECK_THAT(plug_in_bias(transform::exponential(5), 16, 0.9), WithinAbs(1.067, 1e-3));
  CHECK_THAT(plug_in_bias(transform::exponential(10), 32, 0.5), WithinAbs(1.48, 6e-3));
}

TEST_CASE("plug_in_bias: other transforms") {
  for (const std::size_t K : {1u, 7u, 64u}) {
    CHECK_THAT(plug_in_bias(transform::identity, K, 0.9), WithinAbs(1, 1e-12));
  }
  CHECK(plug_in_bias(transform::log, 4, 0.9) == infinity);
  CHECK(std::isnan(plug_in_bias(transform::log, 4, 1)));  // log 1 = 0
  CHECK(std::isnan(plug_in_bias(transform::drop_below(0.5), 4, 0.9)));
  CHECK(std::isnan(plug_in_bias(transform::drop_below(0.5), 4, 0.1)));
  CHECK(std::isfinite(plug_in_bias(transform::best_of(4, 0.1), 64, 0.9)));
  expect_refused([] { (void)plug_in_bias(transform::identity, 0, 0.5); }, "plug_in_bias.references",
                 "0");
  expect_refused([] { (void)plug_in_bias(transform::identity, 2, 1.5); }, "plug_in_bias.quantile",
                 "1.5");
}

TEST_CASE("dkw_band: the band holds, and not by much", "[law]") {
  CHECK_THAT(dkw_band(100, 0.05), WithinAbs(std::sqrt(std::log(40) / 200), 1e-15));
  CHECK(dkw_band(0) == infinity);
  for (const double delta : {0.0, 1.0, unset}) {
    CHECK_THROWS_AS((void)dkw_band(5, delta), InvalidOption);
  }
  const auto outside = [](double delta) {
    std::size_t count = 0;
    for (std::uint64_t run = 0; run < 4000; ++run) {
      Random random(8, run);
      std::vector<double> rewards(50);
      for (double& r : rewards) r = random.uniform();
      const ReferenceQuantiles quantiles(rewards);
      double largest = 0;
      for (const double r : rewards) {
        largest = std::max({largest, std::abs(quantiles(std::nextafter(r, 2.0)) - r),
                            std::abs(quantiles(std::nextafter(r, -1.0)) - r)});
      }
      if (largest > dkw_band(50, delta)) ++count;
    }
    return static_cast<double>(count) / 4000;
  };
  CHECK(outside(0.2) < 0.2 + 0.03);
  CHECK(outside(0.2) > 0.1);
}

TEST_CASE("ReferenceKey: seeds are a function of prompt, law, K and max_tokens") {
  const ReferenceKey key{.prompt = "p", .references = 8, .max_tokens = 16};
  const auto changed = [&](auto change) {
    ReferenceKey other = key;
    change(other);
    CHECK_FALSE(other == key);
    return other.seed(0);
  };
  std::set<std::uint64_t> seeds = {
      key.seed(0),
      key.seed(1),
      changed([](ReferenceKey& k) { k.prompt = "q"; }),
      changed([](ReferenceKey& k) { k.prompt = Prompt::from_tokens({112}); }),
      changed([](ReferenceKey& k) { k.references = 9; }),
      changed([](ReferenceKey& k) { k.max_tokens = 17; }),
      changed([](ReferenceKey& k) { k.law.temperature = 0.7; }),
      changed([](ReferenceKey& k) { k.law.top_k = 1; }),
      changed([](ReferenceKey& k) { k.law.top_p = 0.9; }),
      changed([](ReferenceKey& k) { k.law.min_p = 0.1; }),
      changed([](ReferenceKey& k) { k.law.stop = {"a"}; }),
      changed([](ReferenceKey& k) { k.law.stop = {"b"}; }),
      changed([](ReferenceKey& k) {
        k.law.stop = {"a", "b"};
      }),
      changed([](ReferenceKey& k) { k.law.stop_tokens = {1}; }),
      changed([](ReferenceKey& k) {
        k.law.stop_tokens = {1, 2};
      }),
      changed([](ReferenceKey& k) { k.law.extra = "x"; })};
  CHECK(seeds.size() == 16);
  CHECK(ReferenceKey{key}.seed(1) == key.seed(1));
  CHECK(ReferenceKey{key}.hash() == key.hash());
}

TEST_CASE("ReferenceStore: copies share what is kept, and the first entry stays") {
  ReferenceStore store;
  ReferenceStore copy = store;
  const ReferenceKey key{.prompt = "p", .references = 2, .max_tokens = 4};
  CHECK(store.find(key) == nullptr);
  const auto one = std::make_shared<const ReferenceQuantiles>(std::vector<double>{1, 2});
  copy.insert(key, one);
  CHECK(store.find(key) == one);
  CHECK(store.size() == 1);
  store.insert(key, std::make_shared<const ReferenceQuantiles>(std::vector<double>{5, 6}));
  CHECK(copy.find(key) == one);
  ReferenceKey other = key;
  other.max_tokens = 5;
  CHECK(store.find(other) == nullptr);
  copy.clear();
  CHECK(store.size() == 0);
  CHECK(ReferenceStore().size() == 0);
}

TEST_CASE("ReferenceStore: may be used by several threads at once") {
  ReferenceStore store;
  const auto work = [store]() mutable {
    for (std::size_t i = 0; i < 200; ++i) {
      const ReferenceKey key{.prompt = "p", .references = 1 + i % 10, .max_tokens = 4};
      store.insert(key, std::make_shared<const ReferenceQuantiles>(std::vector<double>{1}));
      if (store.find(key) == nullptr) std::terminate();
    }
  };
  std::thread one(work), two(work);
  one.join();
  two.join();
  CHECK(store.size() == 10);
}

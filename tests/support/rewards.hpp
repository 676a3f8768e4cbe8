#pragma once

// Reward models for tests of compositions: each writes down how it was called.

#include <exception>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tilt/core/check.hpp"
#include "tilt/core/generation.hpp"
#include "tilt/core/token.hpp"

/// Looks the reward of a text up; a text that it does not know fails alone.
struct TableReward {
  std::map<std::string, double> rewards = {};
  std::vector<std::size_t> batches = {};  ///< the size of each call

  void score(std::span<const tilt::Scoring> work, std::span<double> out) {
    batches.push_back(work.size());
    tilt::for_each_isolated(work.size(), [&](std::size_t i) {
      const auto found = rewards.find(work[i].response->text);
      if (found == rewards.end()) {
        throw std::runtime_error("no reward for " + work[i].response->text);
      }
      out[i] = found->second;
    });
  }
};

/// Says that it cannot score a prefix.
struct WholeOnlyReward : TableReward {
  static constexpr bool partial = false;
};

/// Fails as a whole.
struct BrokenReward {
  void score(std::span<const tilt::Scoring>, std::span<double>) const {
    throw std::runtime_error("broken");
  }
};

/// Texts as a batch of work for one prompt.
class Batch {
 public:
  explicit Batch(std::vector<std::string> texts, tilt::Prompt prompt = "prompt")
      : prompt_(std::move(prompt)) {
    for (std::string& text : texts) {
      responses_.emplace_back();
      responses_.back().text = std::move(text);
    }
    for (const tilt::Response& response : responses_) work.push_back({&prompt_, &response});
  }
  Batch(const Batch&) = delete;

  std::vector<tilt::Scoring> work = {};

 private:
  tilt::Prompt prompt_;
  std::vector<tilt::Response> responses_ = {};
};

/// The rewards of texts. Throws what the reward throws.
template <class R>
std::vector<double> score(R&& reward, std::vector<std::string> texts) {
  Batch batch(std::move(texts));
  std::vector<double> out(batch.work.size(), tilt::unset);
  reward.score(batch.work, out);
  return out;
}

/// What became of each item: its reward as text, or the message of its failure.
template <class R>
std::vector<std::string> outcomes(R&& reward, std::vector<std::string> texts) {
  Batch batch(std::move(texts));
  std::vector<double> out(batch.work.size(), tilt::unset);
  std::vector<std::exception_ptr> causes(out.size());
  try {
    reward.score(batch.work, out);
  } catch (const tilt::PartialFailure& failure) {
    causes = failure.causes();
  }
  std::vector<std::string> result;
  for (std::size_t i = 0; i < out.size(); ++i) {
    result.push_back(causes[i] ? tilt::message_of(causes[i]) : tilt::to_text(out[i]));
  }
  return result;
}

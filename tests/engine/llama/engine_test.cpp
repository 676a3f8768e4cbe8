// What the engine computes and what it holds: counted in tokens that the model computed.

#include "tilt/engine/llama/engine.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/test_model.hpp"
#include "engine/tiny_model.hpp"
#include "support/catch.hpp"

using tilt::Finish;
using tilt::Generation;
using tilt::PartialFailure;
using tilt::Prompt;
using tilt::Response;
using tilt::Token;
using tilt::llama::Policy;
using tilt::test::draw;
using tilt::test::forwards;
using tilt::test::shared_policy;
using tilt::test::small_policy;
using tilt::test::TinyModel;

namespace {

// `n` works on the same prompt, of fixed length: the end token is as unlikely as the others.
std::vector<Generation> works(std::size_t n, const Prompt& prompt, std::size_t max_tokens) {
  std::vector<Generation> all(n, {.prompt = prompt, .max_tokens = max_tokens});
  for (std::size_t i = 0; i < n; ++i) all[i].seed = 100 + i;
  return all;
}

std::vector<Response> generate(Policy& policy, const std::vector<Generation>& work) {
  std::vector<Response> out(work.size());
  policy.generate(work, out);
  return out;
}

// Tokens that had to be computed after the first of each response, whose logits the context gave.
std::size_t after_first(const std::vector<Response>& responses) {
  std::size_t sum = 0;
  for (const Response& r : responses) sum += r.tokens.size() - 1;
  return sum;
}

// The divergence of one next-token law from another, nats.
double divergence(const std::vector<float>& p, const std::vector<float>& q) {
  tilt::TokenLaw<float> law_p, law_q;
  law_p.read(p);
  law_q.read(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const auto token = static_cast<Token>(i);
    const double log_p = law_p.raw_log_prob(token);
    sum += std::exp(log_p) * (log_p - law_q.raw_log_prob(token));
  }
  return sum;
}

const char* const question = "Describe the sea.";

}  // namespace

TEST_CASE("works with one prompt compute it once", "[engine]") {
  Policy& policy = shared_policy();
  const std::size_t prompt = policy.prompt_tokens(question).size();
  std::vector<Response> out;
  const std::size_t computed =
      forwards(policy, [&] { out = generate(policy, works(8, question, 12)); });
  CHECK(computed == prompt + after_first(out));
  CHECK(out[0].usage == tilt::Usage{prompt, 0});
  for (std::size_t i = 1; i < out.size(); ++i) CHECK(out[i].usage == tilt::Usage{prompt, prompt});

  // Held from the first call, but for the last token, whose logits no cache holds.
  const std::size_t again =
      forwards(policy, [&] { out = generate(policy, works(8, question, 12)); });
  CHECK(again == 1 + after_first(out));
  CHECK(out[0].usage == tilt::Usage{prompt, prompt - 1});

  // Without the cache all of it is computed again.
  policy.clear_cache();
  const std::size_t afresh =
      forwards(policy, [&] { out = generate(policy, works(8, question, 12)); });
  CHECK(afresh == prompt + after_first(out));
}

TEST_CASE("a kept prefix is not computed again", "[engine]") {
  Policy& policy = shared_policy();
  Generation work = works(1, question, 24)[0];
  const Response whole = draw(policy, work);
  REQUIRE(whole.tokens.size() == 24);
  const std::size_t prompt = policy.prompt_tokens(question).size();

  // A chain: continue from a cut, reject, continue from a later cut of the first state.
  for (const std::size_t cut : {10u, 4u, 20u, 23u, 0u, 15u}) {
    work.prefix = whole.first(cut);
    work.max_tokens = 24 - cut;
    work.seed = 1000 + cut;
    Response proposal;
    const std::size_t computed = forwards(policy, [&] { proposal = draw(policy, work); });
    CHECK(computed == proposal.tokens.size());  // one for the last kept token, none for the last new
    CHECK(proposal.usage == tilt::Usage{prompt + cut, prompt + cut - 1});
  }
}

TEST_CASE("a whole response is continued at no cost", "[engine]") {
  Policy& policy = shared_policy();
  Generation work = works(1, question, 8)[0];
  work.prefix = draw(policy, work);
  REQUIRE(work.prefix.finish == Finish::length);
  // Its last token was drawn and never computed: that is the one forward of the first new token.
  Response more;
  const std::size_t computed = forwards(policy, [&] { more = draw(policy, work); });
  CHECK(computed == more.tokens.size());
}

TEST_CASE("prompts share what they have in common", "[engine]") {
  Policy& policy = shared_policy();
  const std::string long_text = "Here is a list of numbers: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10. ";
  std::vector<Generation> work = {{.prompt = long_text + "What is the sum?", .max_tokens = 1},
                                  {.prompt = long_text + "What is the product?", .max_tokens = 1}};
  const auto first = policy.prompt_tokens(work[0].prompt);
  const auto second = policy.prompt_tokens(work[1].prompt);
  const auto common = static_cast<std::size_t>(
      std::mismatch(first.begin(), first.end(), second.begin()).first - first.begin());
  REQUIRE(common > 20);
  CHECK(forwards(policy, [&] { generate(policy, work); }) ==
        first.size() + second.size() - common);
}

TEST_CASE("responses are decoded side by side, and the next takes the place of one that ends",
          "[engine]") {
  Policy policy = small_policy(1024, 4);
  // Lengths 2, 2, 2, 30: with four places the short ones pass through beside the long one.
  std::vector<Generation> work = works(10, question, 2);
  work[0].max_tokens = 30;
  const std::size_t before = policy.statistics().decode_calls;
  const auto out = generate(policy, work);
  REQUIRE(out[0].tokens.size() == 30);
  const std::size_t calls = policy.statistics().decode_calls - before;
  CHECK(calls >= 30);
  CHECK(calls <= 32);
  for (const Response& r : out) CHECK_FALSE(r.tokens.empty());
}

TEST_CASE("the same calls on a fresh cache give the same responses", "[engine]") {
  std::vector<Generation> work = works(6, question, 16);
  work[3].prompt = "What is 2 + 2?";
  work[4].prompt = work[3].prompt;
  const auto run = [&] { return generate(shared_policy(), work); };
  const auto first = run();
  CHECK(run() == first);
  for (const Response& r : first) CHECK_FALSE(r.text.empty());
  CHECK(first[0].tokens != first[1].tokens);
}

TEST_CASE("a batch gives what its works give one by one", "[engine]") {
  // Greedily, for drawn tokens may differ by the numbers of another batch shape.
  Policy& policy = shared_policy();
  const std::vector<const char*> prompts = {"What is the capital of France?", "What is 2 + 2?",
                                            "Say hello.", "Name a colour."};
  std::vector<Generation> work;
  for (const char* prompt : prompts) {
    work.push_back({.prompt = prompt, .max_tokens = 8, .law = {.temperature = 0}});
  }
  const auto together = generate(policy, work);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < work.size(); ++i) {
    policy.clear_cache();
    equal += draw(policy, work[i]).tokens == together[i].tokens;
  }
  CHECK(equal >= work.size() - 1);
}

TEST_CASE("works that do not fit together wait for each other", "[engine]") {
  const std::size_t context = 64;
  Policy policy = small_policy(context, 8);
  const std::size_t prompt = policy.prompt_tokens(question).size();
  const std::size_t length = context - prompt - 8;
  // Each may need most of the cache.
  const auto out = generate(policy, works(4, question, length));
  for (const Response& r : out) CHECK((r.tokens.size() == length || r.finish == Finish::stop));
  REQUIRE(out[0].tokens.size() > 20);
  CHECK(policy.statistics().resident_tokens <= context);

  // Other prompts push the first one out of the cache, and it comes back from main memory.
  generate(policy, works(2, "What is the capital of France, and of Spain?", 20));
  Generation work = works(1, question, length - 5)[0];
  work.prefix = out[0].first(5);
  const std::size_t restored = policy.statistics().restored_tokens;
  Response more;
  const std::size_t computed = forwards(policy, [&] { more = draw(policy, work); });
  CHECK(computed == more.tokens.size());
  CHECK(policy.statistics().restored_tokens > restored);
}

TEST_CASE("without main memory what does not fit is computed again", "[engine]") {
  Policy policy = small_policy(64, 2, 0);
  const auto first = generate(policy, works(1, question, 20));
  generate(policy, works(1, "What is the capital of France, and of Spain?", 30));
  CHECK(policy.statistics().parked_bytes == 0);
  Generation work = works(1, question, 4)[0];
  work.prefix = first[0].first(10);
  const std::size_t computed = forwards(policy, [&] { draw(policy, work); });
  CHECK(computed > 10);
  CHECK(computed <= policy.prompt_tokens(question).size() + 10 + 3);
}

TEST_CASE("what comes back from main memory is what went there", "[engine]") {
  Policy policy = small_policy(128, 4);
  const Response whole = draw(policy, works(1, question, 32)[0]);
  const auto held = policy.logits(question, whole.first(20));
  generate(policy, works(4, "What is the capital of France, and of Spain?", 20));  // in its place
  const std::size_t restored = policy.statistics().restored_tokens;
  const auto back = policy.logits(question, whole.first(20));
  CHECK(policy.statistics().restored_tokens > restored);
  policy.clear_cache();
  const auto afresh = policy.logits(question, whole.first(20));
  // The same but for rounding, which another batch shape or other cells bring with them.
  CHECK(divergence(held, back) < 0.01);
  CHECK(divergence(held, afresh) < 0.01);
  // The same check sees a context that is wrong by one token.
  CHECK(divergence(held, policy.logits(question, whole.first(19))) > 0.1);
}

TEST_CASE("main memory is used within its limit", "[engine]") {
  const std::size_t limit = std::size_t{2} << 20;
  Policy policy = small_policy(96, 2, limit);
  for (std::size_t i = 0; i < 8; ++i) {
    generate(policy, works(2, "Count to " + std::to_string(i), 16));
    CHECK(policy.statistics().parked_bytes <= limit);
  }
  CHECK(policy.statistics().parked_bytes > 0);
  policy.clear_cache();
  CHECK(policy.statistics().parked_bytes == 0);
  CHECK(policy.statistics().resident_tokens == 0);
}

TEST_CASE("what rests does not crowd the cache", "[engine]") {
  Policy policy = small_policy(2048, 8);
  generate(policy, works(40, question, 16));
  // Each response leaves 15 tokens: 600 in all, of which 256 stay beside what runs.
  CHECK(policy.statistics().resident_tokens < 256 + 8 * 16 + 32);
  CHECK(policy.statistics().parked_bytes > 0);
}

TEST_CASE("what cannot fit fails alone and says why", "[engine]") {
  Policy policy = small_policy(64, 4);
  std::vector<Generation> work = works(3, question, 8);
  work[1].max_tokens = 100;
  work[2].prompt = Prompt(std::string(1000, 'x'));
  std::vector<Response> out(3);
  try {
    policy.generate(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    CHECK(failure.causes()[0] == nullptr);
    CHECK(tilt::message_of(failure.causes()[1]).find("does not fit") != std::string::npos);
    CHECK(tilt::message_of(failure.causes()[1]).find("64 tokens") != std::string::npos);
    CHECK(tilt::message_of(failure.causes()[2]).find("does not fit") != std::string::npos);
  }
  CHECK_FALSE(out[0].tokens.empty());
  CHECK(out[1].tokens.empty());
  CHECK(out[2].tokens.empty());
}

TEST_CASE("a context may fill the cache to the last token", "[engine]") {
  Policy policy = small_policy(64, 1);
  const std::size_t prompt = policy.prompt_tokens(question).size();
  // The last token that is drawn takes no place.
  CHECK(draw(policy, works(1, question, 64 - prompt + 1)[0]).tokens.size() == 64 - prompt + 1);
  CHECK_THROWS_AS(draw(policy, works(1, question, 64 - prompt + 2)[0]), tilt::PolicyError);
}

TEST_CASE("logits that are no law fail their own work alone", "[engine]") {
  const Token poison = 'X';
  const TinyModel file({.special = {{"<s>", 3}, {"</s>", 3}}, .poison = poison});
  const auto policy = [&] {
    return Policy{file.path(), {.sequences = 3, .context = 256, .threads = 1, .chat_template = "none"}};
  };
  std::vector<Generation> work(6);
  for (std::size_t i = 0; i < work.size(); ++i) {
    work[i] = {.prompt = "abc" + std::to_string(i), .max_tokens = 5, .seed = i};
  }
  Policy clean = policy();
  const std::vector<Response> expected = generate(clean, work);
  work[1].prompt = "abcX";
  work[4].prompt = "X";
  Policy spoilt = policy();
  std::vector<Response> out(work.size());
  try {
    spoilt.generate(work, out);
    FAIL("nothing was thrown");
  } catch (const PartialFailure& failure) {
    CHECK(std::string(failure.what()).find("2 of 6 items of a batch failed; the first: the policy "
                                           "returned a NaN logit") != std::string::npos);
    for (std::size_t i = 0; i < work.size(); ++i) {
      CAPTURE(i);
      const bool bad = i == 1 || i == 4;
      CHECK((failure.causes()[i] != nullptr) == bad);
      CHECK(out[i].tokens == (bad ? std::vector<Token>{} : expected[i].tokens));
      CHECK(out[i].text == (bad ? "" : expected[i].text));
    }
  }
  // Nothing of it stays behind.
  work[1].prompt = "abc1";
  work[4].prompt = "abc4";
  const std::vector<Response> after = generate(spoilt, work);
  for (std::size_t i = 0; i < work.size(); ++i) CHECK(after[i].tokens == expected[i].tokens);
  // Scoring alike.
  CHECK_THROWS_AS(spoilt.log_probs("abX", {.tokens = {'a'}}), tilt::PolicyError);
  CHECK(spoilt.log_probs("ab", {.tokens = {'a', 'X'}}).size() == 2);  // nothing is asked of it
}

TEST_CASE("positions that a model has learned one by one are all that it has", "[engine]") {
  const TinyModel file(
      {.architecture = "gpt2", .special = {{"<s>", 3}, {"</s>", 3}}, .positions = 64});
  Policy policy{file.path(), {.sequences = 4, .context = 512, .threads = 1, .chat_template = "none"}};
  CHECK(policy.context_length() == 64);
  // Several of that length at once, for the cache is larger.
  std::vector<Generation> work = works(4, std::string(40, 'x'), 25);
  for (const Response& r : generate(policy, work)) CHECK_FALSE(r.tokens.empty());
  for (const Prompt& prompt : {Prompt(std::string(41, 'x')), Prompt(std::string(65, 'x'))}) {
    work[0].prompt = prompt;
    try {
      (void)draw(policy, work[0]);
      FAIL("nothing was thrown");
    } catch (const tilt::PolicyError& error) {
      CHECK(std::string(error.what()).find("the 64 positions that the model has") != std::string::npos);
    }
  }
}

TEST_CASE("a prompt is tokenised once for all its draws", "[engine]") {
  Policy& policy = shared_policy();
  const std::size_t before = policy.statistics().tokenized_prompts;
  const Prompt prompt = "Describe a prompt that no other test has.";
  generate(policy, works(4, prompt, 1));
  generate(policy, works(2, Prompt("Describe a prompt that no other test has."), 1));
  (void)policy.log_probs(prompt, {});
  (void)policy.prompt_tokens(prompt);
  CHECK(policy.statistics().tokenized_prompts == before + 1);
  (void)policy.prompt_tokens("Describe another prompt that no other test has.");
  CHECK(policy.statistics().tokenized_prompts == before + 2);
}

TEST_CASE("a prompt that cannot fit is not tokenised at all", "[engine]") {
  Policy& policy = shared_policy();
  const std::size_t before = policy.statistics().tokenized_prompts;
  const std::string text(std::size_t{10} << 20, 'x');
  for (const Prompt& prompt : {Prompt(text), Prompt::from_messages({{"system", text}, {"user", "Hi"}})}) {
    try {
      (void)draw(policy, {.prompt = prompt, .max_tokens = 1});
      FAIL("nothing was thrown");
    } catch (const tilt::PolicyError& error) {
      CHECK(std::string(error.what()).find("does not fit into the key-value cache of 2048 tokens") !=
            std::string::npos);
    }
  }
  CHECK(policy.statistics().tokenized_prompts == before);
}

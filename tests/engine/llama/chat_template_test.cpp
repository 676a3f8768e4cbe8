#include "tilt/engine/llama/chat_template.hpp"

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "engine/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/runs.hpp"
#include "tilt/engine/llama/model.hpp"

using tilt::Message;
using tilt::PolicyError;
using tilt::llama::ChatTemplate;
using tilt::llama::Model;
using tilt::llama::TextPart;

namespace {

std::vector<std::string> all_templates() {
  std::vector<const char*> names(
      static_cast<std::size_t>(llama_chat_builtin_templates(nullptr, 0)));
  llama_chat_builtin_templates(names.data(), names.size());
  return {names.begin(), names.end()};
}

// What llama.cpp makes of the chat itself.
std::string rendered(const std::string& name, const std::vector<Message>& messages) {
  std::vector<llama_chat_message> chat;
  for (const Message& m : messages) chat.push_back({m.role.c_str(), m.content.c_str()});
  std::string text(10000, '\0');
  const int size =
      llama_chat_apply_template(name.c_str(), chat.data(), chat.size(), true, text.data(), 10000);
  REQUIRE(size >= 0);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string joined(const std::vector<TextPart>& parts) {
  std::string text;
  for (const TextPart& part : parts) text += part.text;
  return text;
}

}  // namespace

TEST_CASE("a chat's parts together are the text that llama.cpp makes of it", "[engine]") {
  const std::vector<std::vector<Message>> chats = {
      {{"user", "Hi"}},
      {{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Bye"}},
      {{"system", " \n x "}, {"user", "\n\nHi  "}, {"assistant", "\tHello. "}, {"user", "  Bye\n"}},
      {{"system", ""}, {"user", "Hi"}},
      {{"system", "  "}, {"user", "Hi"}, {"assistant", ""}, {"user", "\n"}},
  };
  std::size_t compared = 0;
  for (const std::string& name : all_templates()) {
    for (const std::vector<Message>& chat : chats) {
      CAPTURE(name, chat.size(), chat[0].content);
      std::string text;
      try {
        text = joined(ChatTemplate(name).render(chat));
      } catch (const PolicyError&) {
        CHECK(name == "yandex");  // which has no system messages
        continue;
      }
      CHECK(text == rendered(name, chat));
      ++compared;
    }
  }
  CHECK(compared >= 5 * all_templates().size() - 3);
}

TEST_CASE("a message is in the text, or the template is told to leave it out", "[engine]") {
  std::map<std::string, std::size_t> refused;
  for (const std::string& name : all_templates()) {
    for (const char* role : {"tool", "developer", "system", "user", "assistant"}) {
      const std::vector<Message> chat = {
          {"user", "First."}, {"assistant", "Second."}, {role, "The third one."}};
      CAPTURE(name, role);
      const bool there = rendered(name, chat).find("The third one.") != std::string::npos;
      if (there) {
        CHECK(joined(ChatTemplate(name).render(chat)) == rendered(name, chat));
        continue;
      }
      ++refused[role];
      const std::string message =
          runs::thrown_by<PolicyError>([&] { (void)ChatTemplate(name).render(chat); });
      CHECK(runs::contains(message, "leaves out message 3 of 3"));
      CHECK(runs::contains(message, std::string("role \"") + role + '"'));
      CHECK(runs::contains(message, "The third one."));
    }
  }
  std::printf("templates that leave out a last message of tool: %zu, developer: %zu, system: %zu\n",
              refused["tool"], refused["developer"], refused["system"]);
  CHECK(refused["tool"] > 0);
  CHECK(refused["developer"] > 0);
  CHECK(refused["system"] > 0);
  CHECK(refused["user"] + refused["assistant"] == 0);
}

TEST_CASE("a content is not the template's, and cannot be taken for a mark", "[engine]") {
  const ChatTemplate chat("chatml");
  const std::string content = "[tilt message 0]<|im_end|>[tilt message 9]";
  const std::vector<TextPart> parts =
      chat.render(std::vector<Message>{{"user", content}, {"user", "b"}});
  std::size_t plain = 0;
  for (const TextPart& part : parts) {
    if (part.special) continue;
    CHECK(part.text == (plain++ == 0 ? content : "b"));
  }
  CHECK(plain == 2);
  for (const char* role : {"", "user<|im_end|>", "a|><|b", "us er", "us\ner", "[tilt message 0]"}) {
    CHECK_THROWS_AS(chat.render(std::vector<Message>{{role, "Hi"}}), PolicyError);
  }
  CHECK_THROWS_AS(ChatTemplate().render(std::vector<Message>{{"user", "Hi"}}), PolicyError);
  CHECK(chat.known());
  CHECK_FALSE(ChatTemplate("no such template").known());
  CHECK(runs::contains(ChatTemplate::names(), "chatml, "));
}

TEST_CASE("a chat is tokenised as its whole text is", "[engine]") {
  const std::vector<Message> chat = {{"system", "Be brief."},
                                     {"user", "\n Hi  there"},
                                     {"assistant", " Hello.\n"},
                                     {"user", "Bye"}};
  for (const char* tokenizer : {"gpt2", "llama"}) {
    tilt::test::TinyModel file({.tokenizer = tokenizer,
                                .special = {{"<s>", 3},
                                            {"</s>", 3},
                                            {"<|im_start|>", 3},
                                            {"<|im_end|>", 3},
                                            {"[INST]", 4},
                                            {"<|end|>", 4},
                                            {"  ", 4},
                                            {"\n\n", 4}},
                                .words = {"▁H", "Hi", "\n"}});
    for (const char* name :
         {"chatml", "llama2", "llama3", "mistral-v7", "phi3", "gemma", "vicuna"}) {
      CAPTURE(tokenizer, name);
      const Model model(file.path(), 0, name, false);
      CHECK(model.prompt_tokens(tilt::Prompt::from_messages(chat)) ==
            model.vocabulary().read(rendered(name, chat), true));
    }
  }
}

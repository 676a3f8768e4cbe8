// What the pages and tables of the example programs are made of.

#include <cmath>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "compare/judge.hpp"
#include "compare/report.hpp"
#include "support/printable.hpp"
#include "support/significance.hpp"

namespace {

/// A part with best of n and others, whose rewards at one and at two draws' cost are given.
Part part_of(const std::vector<double>& reference, const std::vector<std::vector<double>>& others) {
  Part part{.key = "x", .title = "X"};
  const std::size_t prompts = reference.size();
  for (std::size_t p = 0; p < prompts; ++p) {
    part.ids.push_back(std::to_string(p));
    part.questions.push_back("question " + std::to_string(p));
  }
  const auto add = [&](const std::string& name, const std::vector<double>& rewards) {
    Method method{.name = name};
    for (const double tokens : {10.0, 20.0}) {
      method.curve.push_back({.setting = "s",
                              .reward = rewards,
                              .tokens = std::vector<double>(prompts, tokens),
                              .depth = std::vector<double>(prompts, 1.0)});
    }
    method.answers = std::vector<std::string>(prompts, "answer");
    method.answer_rewards = rewards;
    part.methods.push_back(std::move(method));
  };
  add("one draw", reference);
  part.methods.back().curve.pop_back();
  add("best of n", reference);
  for (std::size_t i = 0; i < others.size(); ++i) add("m" + std::to_string(i), others[i]);
  return part;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("Student's t has its known tails") {
  // Quantiles of the printed tables: two-sided 5 %, 1 % and .1 %.
  CHECK_THAT(student_p(12.7062, 1), Catch::Matchers::WithinRel(0.05, 1e-4));
  CHECK_THAT(student_p(4.30265, 2), Catch::Matchers::WithinRel(0.05, 1e-4));
  CHECK_THAT(student_p(2.36462, 7), Catch::Matchers::WithinRel(0.05, 1e-4));
  CHECK_THAT(student_p(3.49948, 7), Catch::Matchers::WithinRel(0.01, 1e-4));
  CHECK_THAT(student_p(-2.02269, 39), Catch::Matchers::WithinRel(0.05, 1e-4));
  CHECK_THAT(student_p(3.55811, 39), Catch::Matchers::WithinRel(0.001, 1e-3));
  CHECK_THAT(student_p(1.959964, 1000000), Catch::Matchers::WithinRel(0.05, 1e-4));
  CHECK(student_p(0, 5) == 1);
  CHECK_THAT(student_p(tilt::infinity, 5), Catch::Matchers::WithinAbs(0, 1e-12));
  CHECK(std::isnan(student_p(tilt::unset, 5)));
  CHECK(std::isnan(student_p(1, 0)));
}

TEST_CASE("Holm's correction keeps its order and its family level") {
  CHECK(holm({}).empty());
  CHECK(holm({0.03}) == std::vector<double>{0.03});
  const std::vector<double> p = holm({0.04, 0.01, 0.03, tilt::unset});
  CHECK_THAT(p[1], Catch::Matchers::WithinAbs(0.04, 1e-12));
  CHECK_THAT(p[2], Catch::Matchers::WithinAbs(0.09, 1e-12));
  CHECK_THAT(p[0], Catch::Matchers::WithinAbs(0.09, 1e-12));  // not below that of a smaller one
  CHECK(p[3] == 1);

  // Nine comparisons without a difference: a false call in at most 5 % of pages. Judged one by one at two
  // standard errors, as a check that is too weak would have it, there is one in a third of them.
  constexpr int pages = 4000, comparisons = 9, prompts = 24;
  int corrected = 0, alone = 0;
  for (int page = 0; page < pages; ++page) {
    std::vector<double> all;
    bool any_alone = false;
    for (int c = 0; c < comparisons; ++c) {
      tilt::Random random(7, static_cast<std::uint64_t>(page), static_cast<std::uint64_t>(c));
      std::vector<double> differences;
      for (int i = 0; i < prompts; ++i) {
        differences.push_back(tilt::normal_quantile(0.5 * (random.uniform() + random.uniform())));
      }
      const Estimate e = estimate(differences);
      all.push_back(p_of(e, prompts));
      any_alone = any_alone || std::abs(e.standard_errors()) >= 2;
    }
    for (const double value : holm(all)) {
      if (is_clear(value)) {
        ++corrected;
        break;
      }
    }
    alone += any_alone ? 1 : 0;
  }
  // Hoeffding at 1e-6: sqrt(ln(1e6) / (2 * 4000)) = .0416.
  CHECK(corrected <= pages * (0.05 + 0.0416));
  CHECK(corrected > 0);
  CHECK(alone > pages * 0.25);
}

TEST_CASE("a method is called ahead only where that is clear among all comparisons") {
  const std::vector<double> zero(10, 0.0);
  // 2.7 standard errors: clear alone (p = .024), not among five comparisons.
  const std::vector<double> some = {1, 1, 1, -.4, 1, -.4, 1, 1, -.4, 1};
  const std::vector<double> noise = {1, -1, 1, -1, 1, -1, 1, -1, 1, -1};
  const std::vector<double> much = {1, 1.1, 1, .9, 1, 1, 1.1, 1, .9, 1};
  std::vector<double> less = much;
  for (double& value : less) value = -value;

  Part alone = part_of(zero, {some});
  judge(alone);
  CHECK(alone.in_short.find("clearly ahead of best of n: m0 by") != std::string::npos);
  CHECK(alone.verdicts.at(0).find("it is ahead") != std::string::npos);

  Part among = part_of(zero, {some, noise, noise, noise, noise});
  judge(among);
  CHECK(among.in_short ==
        "At equal generated tokens no method differs clearly from best of n (5 % level, corrected "
        "for 5 "
        "comparisons).");
  CHECK(among.verdicts.at(0).find("no clear difference") != std::string::npos);
  tabulate(among);
  CHECK(among.table.at(0).at(4) == "p");
  CHECK(among.table.at(3).at(4) == number(among.methods[2].p, 3));

  Part both = part_of(zero, {much, less, noise});
  judge(both);
  CHECK(both.in_short.find(
            "clearly ahead of best of n: m0 by 1.000 (p < 0.001); clearly behind: m1 by 1.000") !=
        std::string::npos);

  // The same gain on every prompt has no standard error, and one prompt has none.
  Part same = part_of(zero, {std::vector<double>(10, 0.5)});
  judge(same);
  CHECK(same.verdicts.at(0).find("(the same on every prompt): no clear difference") !=
        std::string::npos);
  Part one = part_of({0}, {{1}});
  judge(one);
  CHECK(one.verdicts.at(0).find("(one prompt gives no standard error): no clear difference") !=
        std::string::npos);

  // Methods that claim the law, against their aim.
  Part law = part_of(zero, {much, noise});
  law.methods[2].has_law = law.methods[3].has_law = true;
  law.target = law.methods[1].curve[1];
  law.target_name = "aim";
  judge(law);
  CHECK(
      law.in_short.find(
          "Without a clear difference from where they should arrive: m1. Clearly elsewhere: m0.") !=
      std::string::npos);
}

TEST_CASE("the example that gained most is the one that is open") {
  std::vector<double> before(9, 0.0), after(9, 0.25);
  SECTION("among the first") {
    after[3] = 1;
    const std::string html = html_of([&] {
      Part part = part_of(before, {after});
      judge(part);
      tabulate(part);
      return part;
    }());
    CHECK(count(html, "<details") == 6);
    CHECK(count(html, "<details open><summary>question 3<") == 1);
    CHECK(count(html, " open>") == 1);
  }
  SECTION("a later one is shown too") {
    after[8] = 1;
    before[2] = 0.9;  // a high reward that was there before is no gain
    Part part = part_of(before, {after});
    judge(part);
    tabulate(part);
    const std::string html = html_of(part);
    CHECK(count(html, "<details") == 6);
    CHECK(count(html, "<details open><summary>question 8<") == 1);
    CHECK(count(html, " open>") == 1);
  }
}

TEST_CASE("hostile text is shown and not acted on") {
  CHECK(printable("plain, ünïcode 漢字") == "plain, ünïcode 漢字");
  CHECK(printable("\x1b]52;c;aGk=\x07") == "\\x1b]52;c;aGk=\\x07");
  CHECK(printable("a\r\nb\tc") == "a\\r\\nb\\tc");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\x9b31m");
  CHECK(printable("\xe2\x80\xae"
                  "evil\xe2\x81\xa6") == "\\u{202e}evil\\u{2066}");
  CHECK(printable("\xed\xa0\x80\xff"
                  "a\xc3") ==
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "a\xef\xbf\xbd");
  CHECK(printable(std::string("a\0b", 3)) == "a\\x00b");
  CHECK(printable(std::string(1 << 20, 'x'), 10) == "xxxxxxxxxx…");
  CHECK(printable("ééé", 5) == "éé…");
  CHECK(printable("abc", 3) == "abc");

  CHECK(escape("a\nb\tc\r\nd\re") == "a\nb\tc\nd\\re");
  CHECK(escape("<b>&\"\x1b[31m\xe2\x80\xae\xff") ==
        "&lt;b&gt;&amp;&quot;\\x1b[31m\\u{202e}\xef\xbf\xbd");
  CHECK(escape("\xc2\x85\x7f\x01") == "\\x85\\x7f\\x01");

  // Every byte, and every character below U+3000: nothing is left that acts.
  std::u32string all;
  for (char32_t c = 0; c < 0x3000; ++c) all += c;
  std::string bytes = tilt::unicode::encode(all);
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  for (const char32_t c : tilt::unicode::decode(escape(bytes))) {
    CHECK((c == U'\n' || c == U'\t' || !acts_on_display(c)));
  }
}

TEST_CASE("wide tables say that they scroll, and a lone chart keeps its size") {
  const auto table = [](std::size_t columns) {
    return html_table(
        {std::vector<std::string>(columns, "a"), std::vector<std::string>(columns, "b")});
  };
  CHECK(table(3).find("class=\"scroll\"") != std::string::npos);
  CHECK(table(8).find("class=\"scroll wide\"") != std::string::npos);
  const std::string head = page_head("x");
  CHECK(head.find(".wide::before") != std::string::npos);
  CHECK(head.find("max-width: 36rem") != std::string::npos);
}

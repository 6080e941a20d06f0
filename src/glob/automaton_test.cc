// SPDX-License-Identifier: Apache-2.0
#include "glob/automaton.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "abi/gatehouse.h"

namespace gatehouse::glob {
namespace {

std::vector<Pattern> ParseAll(const std::vector<std::string>& texts) {
  std::vector<Pattern> patterns;
  for (const std::string& text : texts) patterns.push_back(*Parse(text));
  return patterns;
}

std::vector<uint32_t> Make(const std::vector<std::string>& texts) {
  const auto automaton = MakeAutomaton(ParseAll(texts));
  EXPECT_TRUE(automaton) << automaton.error().Message();
  return automaton.value_or(std::vector<uint32_t>{0, 0});
}

TEST(Automaton, OfNoPatternTakesNothing) {
  const auto automaton = Make({});
  EXPECT_FALSE(Takes(automaton, ""));
  EXPECT_FALSE(Takes(automaton, "/"));
}

TEST(Automaton, OfEverythingEndsAtOnce) {
  EXPECT_EQ(Make({"**"})[0], uint32_t{GH_STATE_ALWAYS});
  EXPECT_EQ(Make({"/a", "**"})[0], uint32_t{GH_STATE_ALWAYS});
  EXPECT_TRUE(Takes(Make({"**"}), ""));
}

TEST(Automaton, TakesWhatAnyPatternTakes) {
  const auto automaton = Make({"/usr/bin/*", "/opt/**/bin/[a-z]*", "**/.ssh/**", "/etc/passwd"});
  for (const char* text : {"/usr/bin/ls", "/opt/bin/x", "/opt/a/b/bin/xyz", "/root/.ssh/id",
                           "/etc/passwd", "/opt/bin/bin/a", "/usr/bin/.ssh/x"}) {
    EXPECT_TRUE(Takes(automaton, text)) << text;
  }
  for (const char* text : {"/usr/bin", "/usr/bin/a/b", "/opt/bin/X", "/root/.ssh", "/etc/passwd2",
                           "/etc/passw", "", "/opt/xbin/a"}) {
    EXPECT_FALSE(Takes(automaton, text)) << text;
  }
}

TEST(Automaton, TheOrderOfThePatternsDoesNotMatter) {
  std::vector<std::string> texts{"/a/*", "/b", "**/x", "/a/b?", "/a/b"};
  const size_t words = Make(texts).size();
  std::ranges::reverse(texts);
  EXPECT_EQ(Make(texts).size(), words);
}

TEST(Automaton, EndsThatAreTheSameAreThereOnce) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.push_back("/srv/" + std::to_string(i) + "/data/*.conf");
  const auto automaton = Make(texts);
  EXPECT_TRUE(Takes(automaton, "/srv/999/data/a.conf"));
  EXPECT_FALSE(Takes(automaton, "/srv/1000/data/a.conf"));
  EXPECT_LT(automaton.size(), 4000u) << "their ends would be 20,000 states";
}

TEST(Automaton, PatternsThatMultiplyAreRefused) {
  // Each has to remember, of every `a` that it has seen, how long ago that was.
  const auto automaton = MakeAutomaton(ParseAll({"*a???????????????????????????????"}));
  ASSERT_FALSE(automaton);
  EXPECT_EQ(automaton.error().cause, "the pattern would need a table of more than 4 MB");
}

/// Texts and patterns over a few letters, so that they meet.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  size_t Below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(engine_); }
  std::string Text() {
    std::string text;
    for (size_t n = Below(12); n > 0; --n) text += "ab/c"[Below(4)];
    return text;
  }
  std::string Pattern() {
    static const std::vector<std::string> kParts{"a", "b",    "/",    "/",   "*",   "**",
                                                 "?", "[ab]", "[!a]", "**/", "/**", "c"};
    std::string pattern;
    for (size_t n = Below(7); n > 0; --n) pattern += kParts[Below(kParts.size())];
    return pattern;
  }

 private:
  std::mt19937 engine_;
};

TEST(Automaton, AgreesWithMatchingOneByOne) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  size_t taken = 0;
  for (int round = 0; round < 1500; ++round) {
    std::vector<std::string> texts;
    for (size_t n = 1 + random.Below(6); n > 0; --n) texts.push_back(random.Pattern());
    const std::vector<Pattern> patterns = ParseAll(texts);
    const auto automaton = MakeAutomaton(patterns);
    ASSERT_TRUE(automaton) << automaton.error().Message();
    for (int i = 0; i < 40; ++i) {
      const std::string text = random.Text();
      const bool expected = std::ranges::any_of(
          patterns, [&](const Pattern& pattern) { return Matches(pattern, text); });
      taken += expected ? 1 : 0;
      ASSERT_EQ(Takes(*automaton, text), expected)
          << text << " with " << ::testing::PrintToString(texts);
    }
  }
  EXPECT_GT(taken, 5000u);
}

}  // namespace
}  // namespace gatehouse::glob

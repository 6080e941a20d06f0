// SPDX-License-Identifier: Apache-2.0
#include "glob/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::glob {
namespace {

struct Case {
  std::string pattern;
  std::vector<std::string> takes;
  std::vector<std::string> not_taken;
};

void PrintTo(const Case& example, std::ostream* out) { *out << example.pattern; }

class Patterns : public ::testing::TestWithParam<Case> {};

TEST_P(Patterns, TakeAndLeave) {
  const auto pattern = Parse(GetParam().pattern);
  ASSERT_TRUE(pattern) << pattern.error().Message();
  for (const std::string& text : GetParam().takes) EXPECT_TRUE(Matches(*pattern, text)) << text;
  for (const std::string& text : GetParam().not_taken) {
    EXPECT_FALSE(Matches(*pattern, text)) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, Patterns,
    ::testing::Values(Case{"/bin/ls", {"/bin/ls"}, {"/bin/lsx", "/bin/l", "/bin/LS", ""}},
                      Case{"", {""}, {"/", "a"}},
                      Case{"/usr/*/ls", {"/usr/bin/ls", "/usr//ls"}, {"/usr/ls", "/usr/a/b/ls"}},
                      Case{"/usr/lib*", {"/usr/lib", "/usr/lib64"}, {"/usr/lib/x", "/usr/li"}},
                      Case{"/tmp/a?c",
                           {"/tmp/abc",
                            "/tmp/a\xff"
                            "c"},
                           {"/tmp/ac", "/tmp/a/c", "/tmp/abbc"}},
                      Case{"/a/**", {"/a/b", "/a/b/c", "/a/"}, {"/a", "/ab", "/b/a/c"}},
                      Case{"/a/**/b", {"/a/b", "/a/x/b", "/a/x/y/b"}, {"/a/xb", "/ab", "/a/b/c"}},
                      Case{"**/ssh", {"/usr/bin/ssh", "ssh", "/ssh"}, {"/usr/bin/sssh", "/ssh/x"}},
                      Case{"/a**b", {"/ab", "/a/x/b", "/axb"}, {"/a", "/b", "/a/b/c"}},
                      Case{"/a***/b", {"/a/b", "/ax/y/b"}, {"/b", "/ab"}},
                      Case{"/x[abc]", {"/xa", "/xc"}, {"/xd", "/x", "/xab"}},
                      Case{"/x[a-cx]", {"/xb", "/xx"}, {"/xd", "/x-"}},
                      Case{"/x[!a-c]", {"/xd", "/x\xc3"}, {"/xa", "/x/", "/x"}},
                      Case{"/x[^a]y", {"/xby"}, {"/xay", "/x/y"}},
                      Case{"/x[]a]", {"/x]", "/xa"}, {"/xb"}}, Case{"/x[!]]", {"/xa"}, {"/x]"}},
                      Case{"/x[a-]", {"/xa", "/x-"}, {"/xb"}},
                      Case{"/x[[:digit:]a]", {"/x7", "/xa"}, {"/xb", "/x:"}},
                      Case{"/x[\\]-a]", {"/x]", "/x^", "/xa"}, {"/x\\"}},
                      Case{"/a\\*b\\?\\[\\\\", {"/a*b?[\\"}, {"/axb?[\\"}},
                      Case{"/{a,b}", {"/{a,b}"}, {"/a", "/b"}},
                      Case{"/*a*b*", {"/ab", "/xaxbx", "/aabb"}, {"/ba", "/a/b", "/a"}}),
    [](const auto& test) { return "P" + std::to_string(test.index); });

TEST(Pattern, WrongOnesAreRefusedWithAReason) {
  const auto cause = [](std::string_view text) {
    const auto pattern = Parse(text);
    return pattern ? std::string("taken") : pattern.error().cause;
  };
  EXPECT_EQ(cause("/a[b"), "the pattern \"/a[b\" has a [ without its ]");
  EXPECT_EQ(cause("/a["), "the pattern \"/a[\" has a [ without its ]");
  EXPECT_EQ(cause("/a[!"), "the pattern \"/a[!\" has a [ without its ]");
  EXPECT_EQ(cause("/a[z-a]"), "the pattern \"/a[z-a]\" has a range z-a that holds nothing");
  EXPECT_EQ(cause("/a[[:word:]]"), "the pattern \"/a[[:word:]]\" has no class [:word:]");
  EXPECT_EQ(cause("/a[[:digit]"), "the pattern \"/a[[:digit]\" has no class [::]");
  EXPECT_EQ(cause("/a[\xc3\xa9]"),
            "the pattern \"/a[\xc3\xa9]\" has a character in [] that is more than one byte");
  EXPECT_EQ(cause("/a\\"), "the pattern \"/a\\\" ends with a backslash");
}

TEST(Pattern, OfOtherWaysToSayIt) {
  const auto takes = [](const std::string& text, const std::string& pattern) {
    return Matches(*Parse(pattern), text);
  };
  EXPECT_TRUE(takes("/a*[b]?\\c", Literally("/a*[b]?\\c")));
  EXPECT_FALSE(takes("/axb", Literally("/a*b")));

  EXPECT_TRUE(takes("one /two/ three", Containing("/two/", false)));
  EXPECT_TRUE(takes("two", Containing("two", false)));
  EXPECT_FALSE(takes("two", Containing("/two", false))) << "the slash is part of it";
  EXPECT_FALSE(takes("TWO", Containing("two", false)));
  EXPECT_TRUE(takes("a tWo*b", Containing("Two*", true)));

  EXPECT_TRUE(takes("/usr/lib/x", Below("/usr")));
  EXPECT_FALSE(takes("/usr", Below("/usr")));
  EXPECT_FALSE(takes("/usr2/x", Below("/usr")));
  EXPECT_TRUE(takes("/usr", Below("/")));
}

}  // namespace
}  // namespace gatehouse::glob

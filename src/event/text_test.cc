// SPDX-License-Identifier: Apache-2.0
#include "event/text.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace gatehouse::event {
namespace {

using std::string_literals::operator""s;

TEST(ToUtf8Test, KeepsValidText) {
  for (const auto& text : {""s, "/bin/sh"s, "/tmp/späße/日本/🙂"s, "a\0b"s, "tab\t\\x41"s}) {
    EXPECT_EQ(ToUtf8(text), text);
  }
}

TEST(ToUtf8Test, EscapesEachInvalidByte) {
  EXPECT_EQ(ToUtf8("/tmp/\xff\xfe/x"), "/tmp/\\xff\\xfe/x");
  EXPECT_EQ(ToUtf8("\xc3"), "\\xc3");  // cut in the middle
  EXPECT_EQ(ToUtf8("\xe6\x97z"), "\\xe6\\x97z");
  EXPECT_EQ(ToUtf8("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(ToUtf8("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");  // over U+10FFFF
  EXPECT_EQ(ToUtf8("ä\x80ä"), "ä\\x80ä");
}

TEST(JoinArgumentsTest, LeavesOutTheNameAndQuotesSpaces) {
  EXPECT_EQ(JoinArguments(""), "");
  EXPECT_EQ(JoinArguments("ls"), "");
  EXPECT_EQ(JoinArguments("ls\0-l\0/tmp"s), "-l /tmp");
  EXPECT_EQ(JoinArguments("sh\0-c\0echo a b\0x"s), "-c \"echo a b\" x");
  EXPECT_EQ(JoinArguments("sh\0a b"s), "\"a b\"");
  EXPECT_EQ(JoinArguments("sh\0say \"hi\""s), "\"say \"hi\"\"");
  EXPECT_EQ(JoinArguments("sh\0"s), "\"\"");
  EXPECT_EQ(JoinArguments("sh\0\0x"s), "\"\" x");
  EXPECT_EQ(JoinArguments("sh\0\xff"s), "\\xff");
}

TEST(ModeStringTest, LooksLikeLs) {
  EXPECT_EQ(ModeString(S_IFREG | 0755), "-rwxr-xr-x");
  EXPECT_EQ(ModeString(S_IFREG | 0640), "-rw-r-----");
  EXPECT_EQ(ModeString(S_IFREG | 04755), "-rwsr-xr-x");
  EXPECT_EQ(ModeString(S_IFREG | 06644), "-rwSr-Sr--");
  EXPECT_EQ(ModeString(S_IFDIR | 01777), "drwxrwxrwt");
  EXPECT_EQ(ModeString(S_IFDIR | 01776), "drwxrwxrwT");
  EXPECT_EQ(ModeString(S_IFLNK | 0777), "lrwxrwxrwx");
  EXPECT_EQ(ModeString(S_IFSOCK | 0), "s---------");
  EXPECT_EQ(ModeString(S_IFBLK | 0), "b---------");
  EXPECT_EQ(ModeString(0), "?---------");
}

TEST(SignalNameTest, NamesThemOrNumbersThem) {
  EXPECT_EQ(SignalName(0), "");
  EXPECT_EQ(SignalName(9), "SIGKILL");
  EXPECT_EQ(SignalName(15), "SIGTERM");
  EXPECT_EQ(SignalName(34), "SIG34");
  EXPECT_EQ(SignalName(4'000'000'000u), "SIG4000000000");
}

TEST(Base64Test, PadsToFour) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("node:1:0"), "bm9kZToxOjA=");
}

}  // namespace
}  // namespace gatehouse::event

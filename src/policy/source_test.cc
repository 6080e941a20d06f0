// SPDX-License-Identifier: Apache-2.0
#include "policy/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Split(std::string_view text) {
  DocumentSplitter splitter(text);
  std::vector<std::string> parts;
  while (const auto part = splitter.Next()) {
    parts.push_back(std::to_string(part->first_line) + "|" + std::string(part->text));
  }
  return parts;
}

TEST(DocumentSplitter, CutsAtMarkers) {
  EXPECT_THAT(Split("a\n---\nb\n---\nc"), ElementsAre("1|a\n", "2|---\nb\n", "4|---\nc"));
  EXPECT_THAT(Split("a\n...\n---\nb\n...\n"), ElementsAre("1|a\n...\n", "3|---\nb\n...\n"));
  EXPECT_THAT(Split("--- {a: b}\n--- |\n c\n"), ElementsAre("1|--- {a: b}\n", "2|--- |\n c\n"));
  EXPECT_THAT(Split("a\r\n---\r\nb"), ElementsAre("1|a\r\n", "2|---\r\nb"));
}

TEST(DocumentSplitter, LeavesOutWhatHasNoContent) {
  EXPECT_THAT(Split(""), IsEmpty());
  EXPECT_THAT(Split("\n# comment\n---\n \t# more\n---\n...\n...\n--- # end"), IsEmpty());
  EXPECT_THAT(Split("# comment\n---\n---\n\na\n"), ElementsAre("3|---\n\na\n"));
  EXPECT_THAT(Split("# comment\na\n"), ElementsAre("1|# comment\na\n"));
  EXPECT_THAT(Split("\xef\xbb\xbf---\na"), ElementsAre("1|---\na"));
}

TEST(DocumentSplitter, TakesOnlyMarkersForMarkers) {
  EXPECT_THAT(Split("a: |\n ---\n ...\n----\n---b\n....\n"),
              ElementsAre("1|a: |\n ---\n ...\n----\n---b\n....\n"));
}

TEST(WithoutMarkers, LeavesTheDocument) {
  EXPECT_EQ(WithoutMarkers("a: b\n"), "a: b\n");
  EXPECT_EQ(WithoutMarkers("---\na: b\n"), "a: b\n");
  EXPECT_EQ(WithoutMarkers("--- # first\na: b\n...\n"), "a: b\n");
  EXPECT_EQ(WithoutMarkers("--- \t{a: b}\n"), "{a: b}\n");
  EXPECT_EQ(WithoutMarkers("---\na: b\n... \n\n"), "a: b\n");
  EXPECT_EQ(WithoutMarkers("---"), "");
  EXPECT_EQ(WithoutMarkers("a\n..."), "a\n");
}

std::vector<std::string> Check(std::string_view text, const ParseLimits& limits = {}) {
  Diagnostics diagnostics("f");
  const bool good = CheckText(text, limits, diagnostics);
  std::vector<std::string> messages;
  for (const Diagnostic& diagnostic : diagnostics.Take()) messages.push_back(diagnostic.ToString());
  EXPECT_EQ(good, messages.empty());
  return messages;
}

TEST(CheckText, TakesAllCharactersOfYaml) {
  EXPECT_THAT(Check("\t\n\r ~\xc2\x85\xc2\xa0\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd"
                    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xef\xbb\xbf"),
              IsEmpty());
}

TEST(CheckText, RefusesBytesThatAreNotUtf8WithTheirPlace) {
  EXPECT_THAT(Check("ab\ncd\xff"),
              ElementsAre("f:2:3: byte 0xff is not UTF-8; save the file as UTF-8 text"));
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
                           "\xe2\x82", "\xf0\x9f\x94", "\xc3(", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_EQ(Check(text).size(), 1U) << text;
  }
}

TEST(CheckText, RefusesCharactersThatYamlDoesNot) {
  EXPECT_THAT(
      Check("a\x04"),
      ElementsAre("f:1:2: character U+0004 is not allowed; remove it, or write it in double "
                  "quotes as an escape like \"\\x1b\""));
  for (const std::string_view text :
       {std::string_view("\0", 1), std::string_view("\x1b"), std::string_view("\x7f"),
        std::string_view("\xc2\x80"), std::string_view("\xef\xbf\xbe"),
        std::string_view("\xef\xbf\xbf")}) {
    EXPECT_EQ(Check(text).size(), 1U) << text;
  }
}

TEST(CheckText, RefusesWhatIsTooLong) {
  ParseLimits limits;
  limits.text_bytes = 3;
  EXPECT_THAT(Check("abc", limits), IsEmpty());
  EXPECT_THAT(Check("abcd", limits),
              ElementsAre("f: the text has 4 bytes, more than 3; split it into several files"));
}

}  // namespace
}  // namespace gatehouse::policy

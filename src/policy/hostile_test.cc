// SPDX-License-Identifier: Apache-2.0
// Texts of 10 MB that are made to cost memory or time: each is refused, with a place, without a
// large part of the text being queued.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "policy/parse.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kBytes = 10u << 20;

std::string Repeat(std::string_view piece, std::string begin = {}, std::string_view end = {}) {
  begin.reserve(kBytes + end.size());
  while (begin.size() + piece.size() <= kBytes) begin += piece;
  return begin += end;
}

struct Hostile {
  const char* name;
  std::string (*text)();
  const char* expected;  // the only diagnostic
};

constexpr const char* kTooLong =
    "what follows here is one text or list in brackets of more than 1048576 bytes or 100000 "
    "entries; write a long list with one `- value` on a line";
constexpr const char* kTooDeep =
    "more than 32 levels of lists and mappings; no policy needs that many; check the brackets and "
    "the indentation";

const Hostile kHostile[] = {
    {"Brackets", [] { return Repeat("["); }, "<input>:1:1: %L"},
    {"Braces", [] { return Repeat("{"); }, "<input>:1:1: %L"},
    {"BracketsOnLines", [] { return Repeat("[\n"); }, "<input>:1:1: %L"},
    {"Dashes", [] { return Repeat("- "); },
     "<input>:1:65: "
     "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
     "[0]: %D"},
    {"Questions", [] { return Repeat("? "); }, "<input>:1:65: %D"},
    {"PlainScalar", [] { return Repeat("a"); }, "<input>:1:1: %L"},
    {"PlainScalarOnLines", [] { return Repeat("a\n"); }, "<input>:1:1: %L"},
    {"QuotedScalar", [] { return Repeat("a", "a: \"", "\"\n"); }, "<input>:1:1: %L"},
    {"EscapedBreaks", [] { return Repeat("\\\n", "a: \""); }, "<input>:1:1: %L"},
    {"BlockScalar", [] { return Repeat(" a\n", "b: |\n"); }, "<input>:1:1: %L"},
    {"OwnAliases", [] { return Repeat("*a,", "a: &a [", "]\n"); },
     "<input>:1:8: a[0]: an alias of the list or mapping that it stands in; remove it"},
    {"FlowSequence", [] { return Repeat("a,", "[", "]\n"); }, "<input>:1:1: %L"},
    {"FlowMapping", [] { return Repeat("a,", "{", "}\n"); }, "<input>:1:1: %L"},
    {"Anchors", [] { return Repeat("&a "); }, "<input>:1:1: %L"},
    {"Spaces", [] { return Repeat(" ", "a:", "b\n"); }, "<input>:1:1: %L"},
    {"Nul", [] { return std::string(kBytes, '\0'); },
     "<input>:1:1: character U+0000 is not allowed; remove it, or write it in double quotes as an "
     "escape like \"\\x1b\""},
    {"Documents", [] { return Repeat("--- ~\n"); },
     "<input>:20001:1: more than 20000 documents; split the text into several files"},
};

std::string Expected(const Hostile& hostile) {
  std::string text = hostile.expected;
  for (const auto& [mark, full] : {std::pair{"%L", kTooLong}, std::pair{"%D", kTooDeep}}) {
    if (const size_t at = text.find(mark); at != std::string::npos) text.replace(at, 2, full);
  }
  return text;
}

long PeakKilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

class HostileText : public testing::TestWithParam<Hostile> {};

TEST_P(HostileText, IsRefusedInLittleMemory) {
  const std::string text = GetParam().text();
  [[maybe_unused]] const long before = PeakKilobytes();
  const auto documents = Parse(text, "");
  ASSERT_FALSE(documents.has_value());
  ASSERT_EQ(documents.error().size(), 1U);
  EXPECT_EQ(documents.error()[0].ToString(), Expected(GetParam()));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr long kKilobytesMax = 64 << 10;
  EXPECT_LT(PeakKilobytes() - before, kKilobytesMax);
#endif
}

INSTANTIATE_TEST_SUITE_P(Generated, HostileText, testing::ValuesIn(kHostile),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(HarmlessText, OfTenMegabytesWithoutDocumentIsEmpty) {
  for (const std::string_view piece : {"#", "\n", "---\n", "...\n", " ", "\t"}) {
    const auto documents = Parse(Repeat(piece), "");
    ASSERT_TRUE(documents.has_value()) << documents.error()[0].ToString();
    EXPECT_TRUE(documents->empty());
  }
}

TEST(ManyErrors, AreCutAtTheLimit) {
  const auto documents = Parse(Repeat("a: b\n---\n"), "");
  ASSERT_FALSE(documents.has_value());
  EXPECT_EQ(documents.error().size(), kDiagnosticsMax);
}

TEST(ManyErrors, InOneMappingAreCutAtTheLimit) {
  std::string text;
  for (size_t i = 0; text.size() < kBytes; ++i) text += "matchArg" + std::to_string(i) + ": a\n";
  const auto documents = Parse(text, "");
  ASSERT_FALSE(documents.has_value());
  EXPECT_EQ(documents.error().size(), kDiagnosticsMax);
}

}  // namespace
}  // namespace gatehouse::policy

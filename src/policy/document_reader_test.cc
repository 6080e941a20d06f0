// SPDX-License-Identifier: Apache-2.0
#include "policy/document_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Every document of a text as `line:outcome:entries`, then what is wrong with the text.
std::vector<std::string> ReadAll(std::string_view text, size_t helpers,
                                 const ParseLimits& limits = {}) {
  Diagnostics diagnostics("f");
  DocumentReader reader(text, limits, diagnostics, helpers);
  std::vector<std::string> lines;
  while (const ReadDocument* document = reader.Next()) {
    std::string line = std::to_string(document->raw.first_line);
    if (document->outcome == YamlOutcome::kNothing) line += ":nothing";
    if (document->outcome == YamlOutcome::kFailed) line += ":failed";
    if (document->outcome == YamlOutcome::kTree) {
      line += ":" + std::to_string(document->tree.root().size());
    }
    lines.push_back(std::move(line));
    if (reader.exhausted()) break;
  }
  for (const Diagnostic& fault : diagnostics.Take()) lines.push_back(fault.ToString());
  return lines;
}

TEST(DocumentReader, GivesDocumentsAndFaultsInTheOrderOfTheText) {
  constexpr std::string_view kText = "[a, b]\n---\n~\n---\nx: 1\nx: 2\n---\n[c\n---\n[d]\n";
  EXPECT_THAT(ReadAll(kText, 0),
              ElementsAre("1:2", "2:nothing", "4:2", "7:failed", "9:1",
                          "f:6:1: x: field \"x\" is there twice, first on line 5; remove one of "
                          "the two",
                          "f:8:1: not valid YAML: brackets or braces that begin here are not "
                          "closed; close them, and separate entries by commas"));
  EXPECT_THAT(ReadAll("# nothing\n", 0), IsEmpty());
}

TEST(DocumentReader, CountsTheNodesOfAllDocuments) {
  ParseLimits limits;
  limits.nodes = 5;
  constexpr std::string_view kText = "[a, b]\n---\n[c]\n---\n[d]\n";
  EXPECT_THAT(ReadAll("[a, b]\n---\n[c]\n", 0, limits), ElementsAre("1:2", "2:1"));
  EXPECT_THAT(ReadAll("[a, b]\n---\n[c, d]\n---\n[e]\n", 0, limits),
              ElementsAre("1:2", "2:failed",
                          "f:3:5: [1]: the text has more than 5 nodes; split it into several "
                          "files; an alias counts as all that it stands for"));
  EXPECT_EQ(ReadAll(kText, 2, limits), ReadAll(kText, 0, limits));
}

/// Many documents of all sizes, some of them bad, and some longer than what is read ahead.
std::string MixedText(size_t documents) {
  const std::string entry_line = "- " + std::string(60, 'v') + "\n";
  std::string text;
  for (size_t i = 0; i < documents; ++i) {
    text += "---\n";
    const size_t entries = i % 97 == 96 ? 20'000 : i % 13 * 10;
    for (size_t entry = 0; entry < entries; ++entry) text += entry_line;
    if (i % 31 == 30) text += "- [\n";
    if (entries == 0) text += "~\n";
  }
  return text;
}

TEST(DocumentReader, AnyNumberOfHelpersReadsTheSame) {
  const std::string text = MixedText(400);
  const std::vector<std::string> alone = ReadAll(text, 0);
  ASSERT_EQ(alone.size(), 400 + 400 / 31);
  for (const size_t helpers : {1u, 2u, 5u}) EXPECT_EQ(ReadAll(text, helpers), alone) << helpers;
  ParseLimits limits;
  limits.nodes = 50'000;
  const std::vector<std::string> limited = ReadAll(text, 0, limits);
  ASSERT_LT(limited.size(), alone.size());
  for (const size_t helpers : {1u, 2u, 5u}) {
    EXPECT_EQ(ReadAll(text, helpers, limits), limited) << helpers;
  }
}

TEST(DocumentReader, MayBeGivenUpAtAnyTime) {
  const std::string text = MixedText(200);
  for (int taken = 0; taken < 50; taken += 7) {
    Diagnostics diagnostics("f");
    const ParseLimits limits;
    DocumentReader reader(text, limits, diagnostics, 3);
    for (int i = 0; i < taken; ++i) EXPECT_NE(reader.Next(), nullptr);
  }
}

}  // namespace
}  // namespace gatehouse::policy

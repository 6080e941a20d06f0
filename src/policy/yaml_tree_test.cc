// SPDX-License-Identifier: Apache-2.0
#include "policy/yaml_tree.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A tree as text: each node with its kind and place.
std::string Dump(YamlNode node) {
  const Position at = node.position();
  const std::string place = fmt::format("@{}:{}", at.line, at.column);
  switch (node.kind()) {
    case YamlKind::kNull:
      return "null" + place;
    case YamlKind::kPlain:
      return fmt::format("{}{}", node.text(), place);
    case YamlKind::kString:
      return fmt::format("'{}'{}", node.text(), place);
    case YamlKind::kSequence: {
      std::string text;
      node.EachEntry([&](YamlNode entry) { text += (text.empty() ? "" : " ") + Dump(entry); });
      return fmt::format("[{}]{}", text, place);
    }
    case YamlKind::kMapping:
      break;
  }
  std::string text;
  node.EachPair([&](YamlNode key, YamlNode value) {
    text += (text.empty() ? "" : " ") + Dump(key) + "=" + Dump(value);
  });
  return fmt::format("{{{}}}{}", text, place);
}

struct Read {
  YamlOutcome outcome;
  std::string tree;
  std::vector<std::string> messages;
  size_t nodes = 0;
};

Read ReadText(std::string_view text, const ParseLimits& limits = {}) {
  YamlTree tree;
  Diagnostics diagnostics("f");
  size_t left = limits.nodes;
  Read read{tree.Read({text, 1}, limits, left, diagnostics), {}, {}, 0};
  if (read.outcome == YamlOutcome::kTree) read.tree = Dump(tree.root());
  for (const Diagnostic& each : diagnostics.Take()) read.messages.push_back(each.ToString());
  read.nodes = limits.nodes - left;
  return read;
}

TEST(YamlTree, KeepsKindsAndPlaces) {
  EXPECT_EQ(ReadText("a: 1\nb:\n  - x\n  - \"y\"\nc: {d: ~}\n").tree,
            "{a@1:1=1@1:4 b@2:1=[x@3:5 'y'@4:5]@3:3 c@5:1={d@5:5=null@5:5}@5:4}@1:1");
  EXPECT_EQ(ReadText("- - a\n  - b\n- c").tree, "[[a@1:5 b@2:5]@1:3 c@3:3]@1:1");
  EXPECT_EQ(ReadText("\xc3\xa9: b").tree, "{\xc3\xa9@1:1=b@1:5}@1:1");
}

TEST(YamlTree, PlacesAMissingValueAtItsName) {
  EXPECT_EQ(ReadText("a:\n\n\nb: c\n").tree, "{a@1:1=null@1:1 b@4:1=c@4:4}@1:1");
}

TEST(YamlTree, TellsTextFromPlainScalars) {
  EXPECT_EQ(ReadText("[1, '1', !!str 1, ! 1, !!int 1, !!null '']").tree,
            "[1@1:2 '1'@1:5 '1'@1:10 '1'@1:19 1@1:24 null@1:33]@1:1");
  EXPECT_EQ(ReadText("|\n a\n b\n").tree, "'a\nb\n'@1:1");
  EXPECT_EQ(ReadText("|+\n a\n\n").tree, "'a\n\n'@1:1");
}

TEST(YamlTree, ResolvesAliases) {
  EXPECT_EQ(ReadText("a: &x [b]\nc: *x\n").tree, "{a@1:1=[b@1:8]@1:4 c@2:1=[b@1:8]@1:4}@1:1");
  EXPECT_EQ(ReadText("&k a: b\nc: [*k, d, *k]\n").tree,
            "{a@1:1=b@1:7 c@2:1=[a@1:1 d@2:9 a@1:1]@2:4}@1:1");
}

TEST(YamlTree, CountsAliasesAsWhatTheyStandFor) {
  EXPECT_EQ(ReadText("[a, b, c]").nodes, 4U);
  EXPECT_EQ(ReadText("- &x [a, b, c]\n- *x\n- *x\n").nodes, 1U + 3 * 4);
  EXPECT_EQ(ReadText("- &x [a, b]\n- &y [*x, *x]\n- *y\n").nodes, 1U + 3 + 7 + 7);
  ParseLimits limits;
  limits.nodes = 12;
  EXPECT_EQ(ReadText("- &x [a, b, c]\n- *x\n- *x\n", limits).messages,
            std::vector<std::string>{"f:3:3: [2]: the text has more than 12 nodes; split it into "
                                     "several files; an alias counts as all that it stands for"});
}

TEST(YamlTree, LimitsDepthAlsoThroughAliases) {
  ParseLimits limits;
  limits.depth = 3;
  EXPECT_EQ(ReadText("[[[a]]]", limits).outcome, YamlOutcome::kTree);
  EXPECT_EQ(ReadText("[[[[]]]]", limits).outcome, YamlOutcome::kFailed);
  EXPECT_EQ(ReadText("- &x [a]\n- [*x]\n", limits).outcome, YamlOutcome::kTree);
  EXPECT_THAT(
      ReadText("- &x [[a]]\n- [*x]\n", limits).messages,
      ElementsAre("f:2:4: [1][0]: more than 3 levels of lists and mappings; an alias counts "
                  "as all that it stands for"));
}

TEST(YamlTree, LimitsOneElement) {
  ParseLimits limits;
  limits.element_bytes = 8192;
  limits.element_indicators = 3000;
  const std::string long_text(12000, 'a');
  EXPECT_THAT(ReadText("k: v\na: " + long_text, limits).messages,
              ElementsAre("f:2:1: what follows here is one text or list in brackets of more than "
                          "8192 bytes or 3000 entries; write a long list with one `- value` on a "
                          "line"));
  std::string list;
  for (int i = 0; i < 5000; ++i) list += "- a\n";
  EXPECT_EQ(ReadText(list, limits).outcome, YamlOutcome::kTree);
}

TEST(YamlTree, ReportsDuplicateKeysWithBothPlaces) {
  EXPECT_THAT(
      ReadText("a:\n- b: 1\n  c: 2\n  'b': 3\n").messages,
      ElementsAre("f:4:3: a[0].b: field \"b\" is there twice, first on line 2; remove one of the "
                  "two"));
  EXPECT_THAT(
      ReadText("&x a: 1\n*x : 2\n").messages,
      ElementsAre("f:1:1: a: field \"a\" is there twice, first on line 1; remove one of the "
                  "two"));
}

TEST(YamlTree, ReportsNothingButTheErrorThatEndsTheReading) {
  EXPECT_THAT(
      ReadText("a: 1\na: 2\nb: [\n").messages,
      ElementsAre("f:3:4: not valid YAML: brackets or braces that begin here are not closed; "
                  "close them, and separate entries by commas"));
}

TEST(YamlTree, EverySyntaxErrorHasARemedy) {
  for (const char* text : {"a: &x &y 1\n", "a: !<tag\n", "a: *\n", "%TAG !\n--- a\n"}) {
    EXPECT_THAT(ReadText(text).messages,
                ElementsAre(AllOf(HasSubstr("not valid YAML: "), HasSubstr("; correct what"))))
        << text;
  }
}

TEST(YamlTree, NoticesEveryTextThatIsNotClosed) {
  for (const char* text :
       {"a: \"b", "a: 'b", "a: \"b\\\n", "a: \"\\\n\\\n", "a: 'b\n", "a: \"b\n"}) {
    EXPECT_THAT(
        ReadText(text).messages,
        ElementsAre("f:1:1: not valid YAML: a text in quotes after this is not closed; close "
                    "it with the same quote"))
        << text;
  }
}

TEST(YamlTree, CountsLinesFromTheDocument) {
  YamlTree tree;
  Diagnostics diagnostics("f");
  size_t left = 100;
  ASSERT_EQ(tree.Read({"---\na: b\n", 41}, {}, left, diagnostics), YamlOutcome::kTree);
  EXPECT_EQ(Dump(tree.root()), "{a@42:1=b@42:4}@42:1");
}

TEST(YamlTree, IsUsedAgainForTheNextDocument) {
  YamlTree tree;
  Diagnostics diagnostics("f");
  size_t left = 100;
  ASSERT_EQ(tree.Read({"[a, b, c, d]", 1}, {}, left, diagnostics), YamlOutcome::kTree);
  ASSERT_EQ(tree.Read({"[", 1}, {}, left, diagnostics), YamlOutcome::kFailed);
  ASSERT_EQ(tree.Read({"--- ~", 1}, {}, left, diagnostics), YamlOutcome::kNothing);
  ASSERT_EQ(tree.Read({"- e", 1}, {}, left, diagnostics), YamlOutcome::kTree);
  EXPECT_EQ(Dump(tree.root()), "[e@1:3]@1:1");
}

TEST(YamlTree, TakesShortTexts) {
  EXPECT_EQ(ReadText("").outcome, YamlOutcome::kNothing);
  EXPECT_EQ(ReadText("a").tree, "a@1:1");
  EXPECT_EQ(ReadText("ab").tree, "ab@1:1");
  EXPECT_EQ(ReadText("abc").tree, "abc@1:1");
  EXPECT_EQ(ReadText("1\n").tree, "1@1:1");
}

}  // namespace
}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
#include "policy/diagnostics.h"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

TEST(Diagnostic, LeavesOutWhatIsEmpty) {
  Diagnostic diagnostic{"a.yaml", {3, 7}, "spec.kprobes[0]", "call is missing", "add it"};
  EXPECT_EQ(diagnostic.ToString(), "a.yaml:3:7: spec.kprobes[0]: call is missing; add it");
  diagnostic.path.clear();
  diagnostic.remedy.clear();
  EXPECT_EQ(diagnostic.ToString(), "a.yaml:3:7: call is missing");
  diagnostic.file.clear();
  EXPECT_EQ(diagnostic.ToString(), "<input>:3:7: call is missing");
  diagnostic.position = {};
  EXPECT_EQ(diagnostic.ToString(), "<input>: call is missing");
  diagnostic.severity = Severity::kWarning;
  EXPECT_EQ(diagnostic.ToString(), "warning: <input>: call is missing");
}

TEST(Diagnostics, AreInTheOrderOfTheTextAndLimited) {
  Diagnostics diagnostics("f");
  for (uint32_t i = 0; i < 2 * kDiagnosticsMax; ++i) diagnostics.Add({1000 - i, 1}, "", "c");
  EXPECT_TRUE(diagnostics.full());
  const std::vector<Diagnostic> list = diagnostics.Take();
  ASSERT_EQ(list.size(), kDiagnosticsMax);
  for (size_t i = 1; i < list.size(); ++i) {
    EXPECT_LT(list[i - 1].position.line, list[i].position.line);
  }
  EXPECT_EQ(diagnostics.errors(), 0U);
}

TEST(Diagnostics, WarningsTakeNoErrorsPlace) {
  Diagnostics diagnostics("f");
  for (uint32_t i = 1; i <= 2 * kDiagnosticsMax; ++i) {
    diagnostics.Add({i, 1}, "", "w", "", Severity::kWarning);
  }
  EXPECT_FALSE(diagnostics.full());
  EXPECT_EQ(diagnostics.errors(), 0U);
  diagnostics.Add({1, 2}, "", "e");
  EXPECT_EQ(diagnostics.errors(), 1U);
  const std::vector<Diagnostic> list = diagnostics.Take();
  ASSERT_EQ(list.size(), kDiagnosticsMax + 1);
  EXPECT_EQ(list[0].ToString(), "warning: f:1:1: w");
  EXPECT_EQ(list[1].ToString(), "f:1:2: e");
  EXPECT_TRUE(HasErrors(list));
  EXPECT_FALSE(HasErrors({list[0], list[2]}));
  diagnostics.Add({1, 1}, "", "w", "", Severity::kWarning);
  EXPECT_EQ(diagnostics.Take().size(), 1U) << "there is room again";
}

TEST(Quote, ShowsAnyTextShortAndInOneLine) {
  EXPECT_EQ(Quote("a b"), "\"a b\"");
  EXPECT_EQ(Quote("a\"b\\c\n\x7f"), R"("a\"b\\c\x0a\x7f")");
  EXPECT_EQ(Quote(std::string(64, 'a')), "\"" + std::string(64, 'a') + "\"");
  EXPECT_EQ(Quote(std::string(65, 'a')), "\"" + std::string(64, 'a') + "…\"");
  EXPECT_EQ(Quote(std::string(63, 'a') + "é"), "\"" + std::string(63, 'a') + "…\"");
}

TEST(PathKey, QuotesWhatIsNoName) {
  EXPECT_EQ(PathKey("policy-mode_1"), "policy-mode_1");
  EXPECT_EQ(PathKey("app.kubernetes.io/name"), "\"app.kubernetes.io/name\"");
  EXPECT_EQ(PathKey(""), "\"\"");
}

TEST(NameRemedy, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string_view> known{"Equal", "NotEqual"};
  const std::vector<std::string_view> near{"Equal", "NotEqual", "InMap"};
  EXPECT_EQ(NameRemedy("Equals", known, near),
            "did you mean \"Equal\"? known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy("equal", known, near),
            "did you mean \"Equal\"? known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy("NotEqal", known, near),
            "did you mean \"NotEqual\"? known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy("inmap", known, near),
            "did you mean \"InMap\"? known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy("Prefix", known, near), "known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy("", known, near), "known here: Equal, NotEqual");
  EXPECT_EQ(NameRemedy(std::string(1 << 20, 'E'), known, near), "known here: Equal, NotEqual");
}

}  // namespace
}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
// Every file of tests/corpus/policies: a good one is accepted, a bad one is not; each gives exactly
// the diagnostics in the .expected file beside it, a good one none if there is no such file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "policy/parse.h"

namespace gatehouse::policy {
namespace {

const std::filesystem::path kCorpus = "tests/corpus/policies";

std::string ReadFile(const std::filesystem::path& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string Render(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += diagnostic.ToString() + "\n";
  return text;
}

std::string TestName(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class GoodPolicies : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoodPolicies, AreAcceptedWithExactlyTheExpectedWarnings) {
  size_t documents = 0;
  const auto diagnostics = ParseEach(ReadFile(GetParam()), GetParam().filename().string(), {},
                                     [&](const Document&) { ++documents; });
  EXPECT_FALSE(HasErrors(diagnostics));
  EXPECT_GT(documents, 0U);
  std::filesystem::path expected = GetParam();
  expected.replace_extension(".expected");
  EXPECT_EQ(Render(diagnostics), ReadFile(expected));  // "" if there is none
}

TEST_P(GoodPolicies, AreExplainedFieldByField) {
  const std::string text = ReadFile(GetParam());
  const ParseLimits limits{.explains = true};
  size_t notes = 0;
  for (const Diagnostic& diagnostic : ParseEach(text, "p.yaml", limits, [](const Document&) {})) {
    if (diagnostic.severity != Severity::kNote) continue;
    ++notes;
    EXPECT_FALSE(diagnostic.cause.empty()) << diagnostic.path;
  }
  EXPECT_GE(notes, 6U);  // apiVersion, kind, metadata, its name, spec, and what that has
}

INSTANTIATE_TEST_SUITE_P(Corpus, GoodPolicies, testing::ValuesIn(FilesIn(kCorpus / "good")),
                         TestName);

class BadPolicies : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(BadPolicies, AreRefusedWithExactlyTheExpectedDiagnostics) {
  const auto documents = Parse(ReadFile(GetParam()), GetParam().filename().string());
  ASSERT_FALSE(documents.has_value());
  std::filesystem::path expected = GetParam();
  expected.replace_extension(".expected");
  ASSERT_TRUE(std::filesystem::exists(expected)) << Render(documents.error());
  EXPECT_EQ(Render(documents.error()), ReadFile(expected));
}

INSTANTIATE_TEST_SUITE_P(Corpus, BadPolicies, testing::ValuesIn(FilesIn(kCorpus / "bad")),
                         TestName);

TEST(Corpus, HasBothKinds) {
  EXPECT_GE(FilesIn(kCorpus / "good").size(), 8U);
  EXPECT_GE(FilesIn(kCorpus / "bad").size(), 50U);
}

}  // namespace
}  // namespace gatehouse::policy

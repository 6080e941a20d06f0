// SPDX-License-Identifier: Apache-2.0
// docs/bypasses.md has a row for each way that bypass_test tries, and no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <string>

namespace gatehouse::bypass {
namespace {

/// Names of the tests in the last column of the tables: `| ... | `Name` |`.
std::multiset<std::string> NamesInDocument() {
  std::multiset<std::string> names;
  std::ifstream document("docs/bypasses.md");
  EXPECT_TRUE(document) << "docs/bypasses.md cannot be read from the working directory";
  const std::regex row(R"(^\|.*\| `([A-Za-z0-9]+)` \|$)");
  std::smatch match;
  for (std::string line; std::getline(document, line);) {
    if (std::regex_match(line, match, row)) names.insert(match[1]);
  }
  return names;
}

/// Names of the tests, those for virtual machines among them, each once, as `bypass_test
/// --gtest_list_tests` lists them: `  Name/policy  #
/// ...`.
std::multiset<std::string> NamesOfTests() {
  const std::unique_ptr<FILE, int (*)(FILE*)> list(
      popen("GATEHOUSE_VM=1 " BYPASS_TEST " --gtest_list_tests", "r"), pclose);
  EXPECT_NE(list, nullptr);
  std::set<std::string> names;
  std::array<char, 4096> line{};
  const std::regex test(R"(^  ([A-Za-z0-9]+)/.*\n)");
  std::cmatch match;
  while (list && fgets(line.data(), line.size(), list.get()) != nullptr) {
    if (std::regex_match(line.data(), match, test)) names.insert(match[1]);
  }
  return {names.begin(), names.end()};
}

TEST(Document, HasEachWayAndNoOther) {
  const auto tests = NamesOfTests();
  ASSERT_GT(tests.size(), 60U);
  EXPECT_THAT(NamesInDocument(), ::testing::ContainerEq(tests));
}

}  // namespace
}  // namespace gatehouse::bypass

// SPDX-License-Identifier: Apache-2.0
// Filters on scripts: on bprm_check the one that is executed, elsewhere the one that acts.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr const char* kCheck = "bprm_check_security";
constexpr const char* kCreds = "bprm_creds_for_exec";

/// `filters` on an LSM hook of executions.
std::string Policy(const std::string& name, const std::string& hook, const std::string& filters,
                   const std::string& action) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  lsmhooks:\n  - hook: " + hook +
         "\n    args: [{index: 0, type: linux_binprm}]\n    selectors:\n    - " + filters +
         "\n      matchActions: [" + action + "]\n";
}

std::string Filter(const std::string& what, const std::string& op, const std::string& path) {
  return what + ": [{" + (what == "matchArgs" ? "index: 0, " : "") + "operator: " + op +
         ", values: [\"" + path + "\"]}]";
}

constexpr const char* kDeny = "{action: Override, argError: -1}";
constexpr const char* kPost = "{action: Post}";

class Scripts : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  /// A file that may be executed, with this text.
  [[nodiscard]] std::string Script(const std::string& name, const std::string& text) const {
    const std::string path = programs_.path() + "/" + name;
    std::ofstream(path) << text;
    chmod(path.c_str(), 0755);
    return path;
  }
  [[nodiscard]] std::string Interpreted(const std::string& name) const {
    return Script(name, "#!" + interpreter_ + "\n");
  }

  const Cgroup cgroup_{"app"};
  const std::string interpreter_ = programs_.Add("interpreter");
};

class ScriptsDenied : public Scripts, public ::testing::WithParamInterface<kernel::Backend> {
 protected:
  void SetUp() override {
    Scripts::SetUp();
    ASSERT_EQ(gatehouse().kernel().backend(), GetParam());
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ScriptsDenied);
INSTANTIATE_TEST_SUITE_P(With, ScriptsDenied, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST_F(Scripts, AreNotSeenByBackendSignal) {
  const std::string text = Policy("p", kCheck, Filter("matchScript", "In", "/opt/script"), kPost);
  if (gatehouse().denies()) {
    Must(gatehouse().Apply(text));
  } else {
    EXPECT_THAT(Refusal(text), HasSubstr("matchScript: backend signal sees interpreters"));
  }
}

TEST_P(ScriptsDenied, AScriptAndItsInterpreterAreOneRuleOfAnAllowList) {
  const std::string listed = Interpreted("listed"), other = Interpreted("other");
  const std::string program = programs_.Add("program");
  Must(gatehouse().Apply(Policy(
      "p", kCheck,
      Filter("matchArgs", "NotIn", program) + "\n      " + Filter("matchScript", "NotIn", listed),
      kDeny)));
  EXPECT_EQ(cgroup_.Run(listed), Allowed());
  EXPECT_EQ(cgroup_.Run(program), Allowed());
  EXPECT_EQ(cgroup_.Run(other), Denied(EPERM));
  EXPECT_EQ(cgroup_.Run(interpreter_), Denied(EPERM)) << "for the script alone";
  EXPECT_EQ(cgroup_.Run(interpreter_, {interpreter_, listed}), Denied(EPERM)) << "an argument";
}

TEST_P(ScriptsDenied, AScriptIsDeniedByItsPath) {
  const std::string listed = Interpreted("listed"), other = Interpreted("other");
  Must(gatehouse().Apply(Policy("p", kCheck, Filter("matchScript", "In", listed), kDeny)));
  EXPECT_EQ(cgroup_.Run(listed), Denied(EPERM));
  EXPECT_EQ(cgroup_.Run(other), Allowed());
  EXPECT_EQ(cgroup_.Run(interpreter_), Allowed());
  const std::string link = programs_.path() + "/link";
  std::filesystem::create_symlink(listed, link);
  EXPECT_EQ(cgroup_.Run(link), Denied(EPERM)) << "the file that it leads to";
}

TEST_P(ScriptsDenied, BothStepsAreOfTheScript) {
  const std::string listed = Interpreted("listed");
  const std::string chain = Script("chain", "#!" + listed + "\n");
  Must(gatehouse().Apply(Policy("p", kCheck, Filter("matchScript", "In", listed), kPost) +
                         Policy("q", kCheck, Filter("matchScript", "In", chain), kPost)));
  EXPECT_EQ(cgroup_.Run(listed), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("p", "p"));
  EXPECT_EQ(cgroup_.Run(chain), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("q", "q", "q")) << "what was executed counts";
}

TEST_P(ScriptsDenied, TheScriptActsUntilItsProcessRunsSomethingElse) {
  const std::string first = programs_.Add("first"), next = programs_.Add("next");
  // A fork, and the process itself.
  const std::string script =
      Script("script", "#!/bin/sh\n" + first + "\nexec " + first + " exec 2 " + next + "\n");
  const std::string shell = std::filesystem::canonical("/bin/sh");
  const auto policy = [&](const std::string& name, const std::string& object, const std::string& op,
                          const std::string& of) {
    return Policy(name, kCreds,
                  Filter("matchArgs", "In", object) + "\n      " + Filter("matchScript", op, of),
                  kPost);
  };
  Must(gatehouse().Apply(
      policy("by-script", first, "In", script) + policy("by-another", first, "In", first) +
      policy("not-by-another", first, "NotIn", first) +
      policy("not-by-script", first, "NotIn", script) + policy("after", next, "In", script) +
      policy("itself", script, "In", script)));
  EXPECT_EQ(cgroup_.Run(script), Allowed());
  EXPECT_THAT(TakePolicies(),
              UnorderedElementsAre("by-script", "by-script", "not-by-another", "not-by-another"));
  EXPECT_EQ(cgroup_.Run(shell, {"sh", script}), Allowed()) << "the script is an argument";
  EXPECT_THAT(TakePolicies(), UnorderedElementsAre("not-by-another", "not-by-another",
                                                   "not-by-script", "not-by-script"));
  EXPECT_EQ(cgroup_.Run(first), Allowed());
  EXPECT_THAT(TakePolicies(), UnorderedElementsAre("not-by-another", "not-by-script"));
  EXPECT_EQ(cgroup_.Run(next), Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::test

// SPDX-License-Identifier: Apache-2.0
#include "policy/sites.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace gatehouse::policy {
namespace {

TEST(Sites, AreThoseThatHooksName) {
  using Kind = Site::Kind;
  EXPECT_EQ(SiteOf(HookKind::kLsm, "file_open"), (Site{Kind::kLsm, "file_open"}));
  EXPECT_EQ(SiteOf(HookKind::kKprobe, "security_file_open"),
            (Site{Kind::kFunction, "security_file_open"}));
  EXPECT_EQ(SiteOf(HookKind::kKprobe, "do_unlinkat"), (Site{Kind::kFunction, "do_unlinkat"}));
}

TEST(Sites, OfExecutionsHaveTwoNames) {
  EXPECT_EQ(SiteOf(HookKind::kLsm, "bprm_creds_for_exec"), kCredsForExec);
  EXPECT_EQ(SiteOf(HookKind::kKprobe, "security_bprm_creds_for_exec"), kCredsForExec);
  EXPECT_EQ(SiteOf(HookKind::kLsm, "bprm_check_security"), kBprmCheck);
  EXPECT_EQ(SiteOf(HookKind::kKprobe, "security_bprm_check"), kBprmCheck);
  EXPECT_TRUE(IsOfExec(kCredsForExec));
  EXPECT_TRUE(IsOfExec(kBprmCheck));
  EXPECT_FALSE(IsOfExec(SiteOf(HookKind::kKprobe, "bprm_check_security")));
  EXPECT_FALSE(IsOfExec(SiteOf(HookKind::kLsm, "bprm_creds_from_file")));
}

Hook HookOn(HookKind kind, std::string source, std::string call, bool raw = false) {
  Hook hook;
  hook.kind = kind;
  hook.source = std::move(source);
  hook.call = std::move(call);
  hook.raw = raw;
  return hook;
}

TEST(Sites, OfTracepointsAndProgramsSayWhatTheyAreIn) {
  const Site by_fields = SiteOf(HookOn(HookKind::kTracepoint, "sched", "sched_switch"));
  EXPECT_EQ(NameOf(by_fields), "tracepoint sched/sched_switch");
  EXPECT_FALSE(HasArgumentsOfProcess(by_fields));
  const Site raw = SiteOf(HookOn(HookKind::kTracepoint, "sched", "sched_switch", true));
  EXPECT_EQ(raw, (Site{Site::Kind::kRawTracepoint, "sched_switch"}));
  EXPECT_EQ(NameOf(raw), "raw tracepoint sched_switch");
  EXPECT_TRUE(
      HasArgumentsOfProcess(SiteOf(HookOn(HookKind::kTracepoint, "syscalls", "sys_enter_openat"))));
  const Site of_program = SiteOf(HookOn(HookKind::kUprobe, "/bin/bash", "readline"));
  EXPECT_EQ(NameOf(of_program), "/bin/bash:readline");
  EXPECT_TRUE(HasArgumentsOfProcess(of_program));
}

TEST(Sites, OfProgramsAtReturnsAndStaticProbes) {
  Hook uprobe = HookOn(HookKind::kUprobe, "/bin/bash", "readline");
  uprobe.counter = 0x1000;
  uprobe.returned.emplace();
  EXPECT_FALSE(SiteBefore(uprobe).at_return);
  EXPECT_EQ(SiteOf(uprobe), (Site{.kind = Site::Kind::kUprobe,
                                  .name = "readline",
                                  .at_return = true,
                                  .source = "/bin/bash",
                                  .counter = 0x1000}));
  EXPECT_EQ(NameOf(SiteOf(uprobe)), "/bin/bash:readline at its return");
  Hook usdt = HookOn(HookKind::kUsdt, "/bin/python3", "python:gc");
  EXPECT_EQ(NameOf(SiteOf(usdt)), "/bin/python3:python:gc");
  EXPECT_FALSE(SiteOf(usdt).writes);
  EXPECT_TRUE(HasArgumentsOfProcess(SiteOf(usdt)));
  usdt.place = 1;
  usdt.selectors.push_back(
      {.filters = {}, .actions = {{.kind = ActionKind::kSet}}, .position = {}});
  EXPECT_EQ(NameOf(SiteOf(usdt)), "/bin/python3:python:gc, place 2");
  EXPECT_TRUE(SiteOf(usdt).writes);
  EXPECT_TRUE(Enforces(usdt.selectors[0]));
}

}  // namespace
}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
#include "policy/kernels.h"

#include <gmock/gmock.h>

#include "policy/parse.h"

namespace gatehouse::policy {
namespace {

/// Of one policy with these sections of its spec.
std::string NeedsOfText(const std::string& spec) {
  const auto documents = Parse(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n" + spec,
      "p.yaml");
  if (!documents) return documents.error().front().ToString();
  return NeedsOf(std::get<TracingPolicy>(documents->front().object).spec).ToString();
}

constexpr char kExec[] =
    "  lsmhooks:\n  - hook: bprm_check_security\n    args: [{index: 0, type: linux_binprm}]\n";

TEST(Kernels, WhatObservesExecutionsWorksAnywhere) {
  EXPECT_EQ(NeedsOfText(kExec), "Linux 5.10 or later with any backend");
  EXPECT_EQ(NeedsOfText("  kprobes:\n  - call: sys_openat\n"),
            "Linux 5.10 or later with any backend");
  EXPECT_EQ(NeedsOfText("  tracepoints:\n  - {subsystem: sched, event: sched_switch, raw: true}\n"),
            "Linux 5.10 or later with any backend");
}

TEST(Kernels, ADenialOfAnExecutionKillsWithBackendSignal) {
  EXPECT_EQ(NeedsOfText(std::string(kExec) +
                        "    selectors:\n    - matchActions: [{action: Override, argError: -1}]\n"),
            "Linux 5.10 or later with backend lsm or fmod_ret; with signal and --deny-by-signal, "
            "which kills");
}

TEST(Kernels, WhoExecutesIsKnownToBackendSignalOnLaterKernels) {
  for (const char* filter :
       {"matchBinaries: [{operator: In, values: [/bin/sh]}]",
        "matchBinaries: [{operator: In, values: [/bin/sh], followChildren: true}]",
        "matchNamespaceChanges: [{operator: In, values: [Mnt]}]"}) {
    EXPECT_EQ(NeedsOfText(std::string(kExec) + "    selectors:\n    - " + filter + "\n"),
              "Linux 5.10 or later with backend lsm or fmod_ret; 6.10 or later with signal")
        << filter;
  }
}

TEST(Kernels, ScriptsAreNotSeenByBackendSignal) {
  for (const std::string hook : {kExec, "  kprobes:\n  - call: sys_getpgid\n"}) {
    EXPECT_EQ(
        NeedsOfText(hook + "    selectors:\n    - matchScript: [{operator: In, values: [/a]}]\n"),
        "Linux 5.10 or later with backend lsm or fmod_ret; not with signal: matchScript");
  }
}

TEST(Kernels, OtherHooksNeedTrampolines) {
  EXPECT_EQ(NeedsOfText("  lsmhooks:\n  - hook: file_open\n  - hook: socket_connect\n"),
            "Linux 5.10 or later with backend lsm or fmod_ret; not with signal: file_open");
  EXPECT_EQ(NeedsOfText("  kprobes:\n  - {call: fd_install, syscall: false}\n"),
            "Linux 5.10 or later with backend lsm or fmod_ret; not with signal: fd_install");
}

TEST(Kernels, ADenialOfASystemCallNeedsAKernelThatAllowsIt) {
  EXPECT_EQ(NeedsOfText("  kprobes:\n  - call: sys_unlink\n    selectors:\n"
                        "    - matchActions: [{action: Override, argError: -1}]\n"),
            "Linux 5.10 or later with backend lsm or fmod_ret; not with signal: Override of "
            "sys_unlink; built with CONFIG_FUNCTION_ERROR_INJECTION");
}

TEST(Kernels, AnEnforcerNeedsWhatItIsNotifiedOf) {
  const std::string policy =
      "  enforcers: [{calls: [sys_dup]}]\n"
      "  tracepoints:\n  - {subsystem: raw_syscalls, event: sys_enter, raw: true, selectors: "
      "[{matchActions: [{action: NotifyEnforcer, ";
  EXPECT_EQ(NeedsOfText(policy + "argSig: 9}]}]}\n"), "Linux 5.10 or later with any backend");
  EXPECT_EQ(NeedsOfText(policy + "argError: -1}]}]}\n"),
            "Linux 5.10 or later with backend lsm or fmod_ret; not with signal: argError of "
            "NotifyEnforcer on sys_dup; built with CONFIG_FUNCTION_ERROR_INJECTION");
}

TEST(Kernels, PerfEventsNeedLaterKernels) {
  EXPECT_EQ(NeedsOfText("  uprobes:\n  - {path: /bin/bash, symbols: [readline]}\n"),
            "Linux 6.1 or later with any backend");
  EXPECT_EQ(NeedsOfText("  tracepoints:\n  - {subsystem: sched, event: sched_switch}\n"),
            "Linux 6.1 or later with any backend");
  EXPECT_EQ(NeedsOfText("  usdts:\n  - {path: /bin/app, provider: app, name: probe}\n"),
            "Linux 6.1 or later with any backend");
}

TEST(Kernels, BuildIdsNeedLaterOnesAndTrampolines) {
  EXPECT_EQ(NeedsOfText("  loader: true\n"),
            "Linux 5.12 or later with backend lsm or fmod_ret; not with signal: loader");
}

}  // namespace
}  // namespace gatehouse::policy

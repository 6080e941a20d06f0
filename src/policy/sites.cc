// SPDX-License-Identifier: Apache-2.0
#include "policy/sites.h"

#include <algorithm>

#include "policy/system_calls.h"

namespace gatehouse::policy {
namespace {

bool Sets(const Selector& selector) {
  return std::ranges::find(selector.actions, ActionKind::kSet, &Action::kind) !=
         selector.actions.end();
}

/// Of functions that implement system calls on x86-64: see ARCH_HAS_SYSCALL_WRAPPER of the kernel.
constexpr std::string_view kSystemCallPrefix = "__x64_sys_";
constexpr std::string_view kCompatCallPrefix = "__ia32_sys_";

}  // namespace

const Site kCredsForExec{Site::Kind::kLsm, "bprm_creds_for_exec"};
const Site kBprmCheck{Site::Kind::kLsm, "bprm_check_security"};

Site SiteOf(HookKind kind, std::string_view call) {
  if (kind == HookKind::kLsm) return {Site::Kind::kLsm, std::string(call)};
  // The functions that call the LSM hooks of executions are the same places.
  if (call == "security_bprm_creds_for_exec") return kCredsForExec;
  if (call == "security_bprm_check") return kBprmCheck;
  return {Site::Kind::kFunction, std::string(call)};
}

Site SiteBefore(const Hook& hook) {
  switch (hook.kind) {
    case HookKind::kKprobe:
    case HookKind::kEnforcer:
      if (hook.system_call) return {Site::Kind::kSystemCall, hook.call};
      return SiteOf(hook.kind, hook.call);
    case HookKind::kLsm:
      return SiteOf(hook.kind, hook.call);
    case HookKind::kTracepoint:
      // Of the tracepoints with arguments, none has the name of another one.
      if (hook.raw) return {Site::Kind::kRawTracepoint, hook.call};
      return {Site::Kind::kTracepoint, hook.call, false, hook.source};
    case HookKind::kUprobe:
      return {.kind = Site::Kind::kUprobe,
              .name = hook.call,
              .source = hook.source,
              .counter = hook.counter};
    case HookKind::kUsdt:
      return {.kind = Site::Kind::kUsdt,
              .name = hook.call,
              .source = hook.source,
              .place = hook.place,
              .writes = std::ranges::any_of(hook.selectors, Sets)};
    case HookKind::kLoader:
      return {Site::Kind::kLoader, hook.call};
  }
  __builtin_unreachable();
}

Site SiteOf(const Hook& hook) {
  if (!hook.returned) return SiteBefore(hook);
  if (hook.kind == HookKind::kUprobe) {
    Site site = SiteBefore(hook);
    site.at_return = true;
    return site;
  }
  // Where an LSM hook is asked for by its function's name, the function is what returns.
  const Site::Kind kind = hook.system_call ? Site::Kind::kSystemCall : Site::Kind::kFunction;
  return {kind, hook.call, true};
}

bool LooksAtReturn(const Selector& selector) {
  return std::ranges::find(selector.filters, Subject::kReturn, &Filter::subject) !=
         selector.filters.end();
}

bool Enforces(const Selector& selector) {
  return std::ranges::any_of(selector.actions, [](const Action& action) {
    return action.kind == ActionKind::kOverride || action.kind == ActionKind::kSigkill ||
           action.kind == ActionKind::kSignal || action.kind == ActionKind::kSet ||
           action.kind == ActionKind::kNotifyEnforcer;
  });
}

bool ActsBefore(const Selector& selector) { return Enforces(selector) && !LooksAtReturn(selector); }

bool HasArgumentsOfProcess(const Site& site) {
  constexpr std::string_view kOfSystemCalls = "syscalls";  // sys_enter_openat, sys_exit_openat
  return site.kind == Site::Kind::kSystemCall || IsOfProgram(site) ||
         (site.kind == Site::Kind::kTracepoint && site.source == kOfSystemCalls);
}

std::string FunctionName(const Site& site) {
  if (site.kind != Site::Kind::kSystemCall) return site.name;
  const SystemCallName call = SystemCallOf(site.name);
  return std::string(call.compat ? kCompatCallPrefix : kSystemCallPrefix).append(call.name);
}

std::string FunctionName(const Hook& hook) {
  return hook.system_call ? FunctionName(SiteBefore(hook)) : hook.call;
}

std::string NameOf(const Site& site) {
  switch (site.kind) {
    case Site::Kind::kTracepoint:
      return "tracepoint " + site.source + "/" + site.name;
    case Site::Kind::kRawTracepoint:
      return "raw tracepoint " + site.name;
    case Site::Kind::kUprobe:
      return site.source + ":" + site.name + (site.at_return ? " at its return" : "");
    case Site::Kind::kUsdt:
      return site.source + ":" + site.name +
             (site.place == 0 ? "" : ", place " + std::to_string(site.place + 1));
    case Site::Kind::kLsm:
    case Site::Kind::kFunction:
    case Site::Kind::kSystemCall:
    case Site::Kind::kLoader:
      break;
  }
  std::string name = site.name;
  if (site.kind == Site::Kind::kSystemCall) {
    const SystemCallName call = SystemCallOf(site.name);
    name = ToString({"sys_" + call.name, call.compat});
  }
  if (site.at_return) name += " at its return";
  return name;
}

}  // namespace gatehouse::policy

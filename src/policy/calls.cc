// SPDX-License-Identifier: Apache-2.0
#include "policy/calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/names.h"
#include "policy/sites.h"
#include "policy/system_calls.h"

namespace gatehouse::policy {
namespace {

/// `sys_openat` and `__x64_sys_openat` are `openat`, `__ia32_sys_openat` is `i386/openat`.
bool CheckSystemCall(Reader& reader, ListedName& call) {
  const std::optional<SystemCallName> found = FindSystemCall(call.name);
  if (found) {
    call.name = ToString(*found);
    return true;
  }
  reader.Report(call.position,
                fmt::format("{} is no system call, and syscall is true unless it is said to be "
                            "false",
                            Quote(call.name)),
                "add `syscall: false` if it is a function; a system call's name begins with sys_");
  return false;
}

bool CheckFunction(Reader& reader, const ListedName& call) {
  if (call.name.find('/') != std::string::npos) {
    reader.Report(
        call.position,
        fmt::format("{} is a system call, and the hook's are functions", Quote(call.name)),
        "remove `syscall: false`, or what stands before the name");
    return false;
  }
  if (!IsOfExec(SiteOf(HookKind::kLsm, call.name))) return true;
  reader.Report(call.position, fmt::format("{} is an LSM hook, no function", Quote(call.name)),
                "write it in lsmhooks");
  return false;
}

bool CheckLsmHook(Reader& reader, const ListedName& call) {
  constexpr std::string_view kFunctionPrefix = "security_";  // of functions that call LSM hooks
  if (!call.name.starts_with(kFunctionPrefix)) return true;
  const Site site = SiteOf(HookKind::kKprobe, call.name);
  const std::string name =
      site.kind == Site::Kind::kLsm ? site.name : call.name.substr(kFunctionPrefix.size());
  reader.Report(call.position, fmt::format("{} is a function, no LSM hook", Quote(call.name)),
                fmt::format("in lsmhooks it is called {}", Quote(name)));
  return false;
}

std::vector<ListedName> ReadNames(Reader& reader, YamlNode node, const NameList* list) {
  if (list != nullptr) return list->values;
  const std::optional<std::string> name = ReadKernelName(reader, node);
  if (!name) return {};
  return {{*name, node.position()}};
}

}  // namespace

std::vector<ListedName> ReadCalls(Reader& reader, YamlNode node, HookKind kind, bool system_call,
                                  const NameList* list) {
  std::vector<ListedName> calls = ReadNames(reader, node, list);
  std::erase_if(calls, [&](ListedName& call) {
    if (kind == HookKind::kLsm) return !CheckLsmHook(reader, call);
    return !(system_call ? CheckSystemCall(reader, call) : CheckFunction(reader, call));
  });
  return calls;
}

}  // namespace gatehouse::policy

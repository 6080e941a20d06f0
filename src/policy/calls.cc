// SPDX-License-Identifier: Apache-2.0
#include "policy/calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/names.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

/// `sys_openat` and `__x64_sys_openat` are `openat`.
bool CheckSystemCall(Reader& reader, ListedName& call) {
  constexpr std::string_view kArchitecture = "__x64_";
  constexpr std::string_view kSystemCall = "sys_";
  std::string_view name = call.name;
  if (name.starts_with(kArchitecture)) name.remove_prefix(kArchitecture.size());
  if (name.starts_with(kSystemCall) && name.size() > kSystemCall.size()) {
    call.name = std::string(name.substr(kSystemCall.size()));
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

std::vector<ListedName> ReadNames(Reader& reader, YamlNode node, HookKind kind,
                                  const std::vector<NameList>& lists) {
  if (kind == HookKind::kKprobe && node.text().starts_with(kListPrefix)) {
    const NameList* const list = FindList(reader, node, lists);
    return list == nullptr ? std::vector<ListedName>() : list->values;
  }
  const std::optional<std::string> name = ReadKernelName(reader, node);
  if (!name) return {};
  return {{*name, node.position()}};
}

}  // namespace

std::vector<ListedName> ReadCalls(Reader& reader, YamlNode node, HookKind kind, bool system_call,
                                  const std::vector<NameList>& lists) {
  std::vector<ListedName> calls = ReadNames(reader, node, kind, lists);
  std::erase_if(calls, [&](ListedName& call) {
    if (kind == HookKind::kLsm) return !CheckLsmHook(reader, call);
    return !(system_call ? CheckSystemCall(reader, call) : CheckFunction(reader, call));
  });
  return calls;
}

}  // namespace gatehouse::policy

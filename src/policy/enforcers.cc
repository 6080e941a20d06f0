// SPDX-License-Identifier: Apache-2.0
#include "policy/enforcers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "policy/format.h"
#include "policy/names.h"
#include "policy/system_calls.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kEnforcersMax = 64;
constexpr size_t kCallsMax = GH_HOOKS_PER_POLICY_MAX;
constexpr std::string_view kSecurity = "security_";

struct EnforcerDraft {
  std::optional<YamlNode> calls;
};

constexpr std::array kEnforcerFields{
    Field<EnforcerDraft>{{"calls", Need::kRequired, "[sys_dup]"},
                         Keep<EnforcerDraft, &EnforcerDraft::calls>,
                         "system calls and security_* functions, or list:NAME for those of a list"},
};

class EnforcerReader {
 public:
  EnforcerReader(Reader& reader, const std::vector<NameList>& lists)
      : reader_(reader), lists_(lists) {}

  void ReadCall(YamlNode node) {
    if (!node.text().starts_with(kListPrefix)) {
      if (const auto name = ReadListedName(reader_, node)) Add({*name, node.position()});
      return;
    }
    const NameList* const list = FindList(reader_, node, lists_);
    if (list == nullptr) return;
    if (!list->generated()) {
      for (const ListedName& name : list->values) Add(name);
    } else if (list->type == ListType::kAllSystemCalls) {
      Hook* const hook = AddHook(std::string(kListPrefix) + list->name, true, node.position());
      if (hook != nullptr) hook->generated = {.name = list->name};
    } else {
      reader_.Report(node.position(),
                     fmt::format("list {} is of functions that match a pattern", Quote(list->name)),
                     "use a list of type syscalls, or the names of security_* functions");
    }
  }

  [[nodiscard]] std::vector<Hook> Take() { return std::move(hooks_); }

 private:
  void Add(const ListedName& name) {
    if (name.name.starts_with(kSecurity)) {
      AddHook(name.name, false, name.position);
      return;
    }
    const std::optional<SystemCallName> call = FindSystemCall(name.name);
    if (!call) {
      return reader_.Report(
          name.position,
          fmt::format("{} is no system call and no security_* function", Quote(name.name)),
          "a system call's name begins with sys_");
    }
    AddHook(ToString(*call), true, name.position);
  }

  /// Null: it is there already.
  Hook* AddHook(std::string call, bool system_call, Position position) {
    if (!known_.emplace(call, system_call).second) return nullptr;
    Hook& hook = hooks_.emplace_back();
    hook.kind = HookKind::kEnforcer;
    hook.call = std::move(call);
    hook.system_call = system_call;
    hook.position = position;
    return &hook;
  }

  Reader& reader_;
  const std::vector<NameList>& lists_;
  std::vector<Hook> hooks_;
  std::set<std::pair<std::string, bool>> known_;  // a call, and whether it is a system call
};

}  // namespace

std::vector<Hook> ReadEnforcers(Reader& reader, YamlNode node, const std::vector<NameList>& lists) {
  EnforcerReader enforcers(reader, lists);
  reader.Entries(node, kEnforcersMax, [&](YamlNode entry) {
    EnforcerDraft draft;
    if (!reader.Fields<EnforcerDraft>(entry, kEnforcerFields, draft) || !draft.calls) return;
    const Reader::Scope scope(reader, "calls");
    reader.Entries(*draft.calls, kCallsMax, [&](YamlNode call) { enforcers.ReadCall(call); });
  });
  return enforcers.Take();
}

void CheckEnforcers(Reader& reader, const std::vector<Hook>& hooks,
                    std::optional<Position> position) {
  bool notified = false;
  for (const Hook& hook : hooks) {
    for (const Selector& selector : hook.selectors) {
      for (const Action& action : selector.actions) {
        if (!IsOfEnforcer(action.kind)) continue;
        notified |= action.kind == ActionKind::kNotifyEnforcer;
        if (position) continue;
        reader.Report(action.position,
                      fmt::format("{}, and the policy has no enforcers", NameOf(action.kind)),
                      "add `enforcers: [{calls: [sys_dup]}]` to the spec");
      }
    }
  }
  if (!position || notified) return;
  reader.Report(*position, "enforcers has no effect: no selector has action NotifyEnforcer",
                "remove it, or notify it");
}

}  // namespace gatehouse::policy

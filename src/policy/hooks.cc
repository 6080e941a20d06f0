// SPDX-License-Identifier: Apache-2.0
#include "policy/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/filters.h"
#include "policy/format.h"
#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kHooksMax = 64;
constexpr size_t kArgumentsMax = 5;
constexpr size_t kMessageBytesMax = 256;
constexpr size_t kTagsMax = 16;
constexpr size_t kTagBytesMax = 256;
constexpr size_t kLabelBytesMax = 256;

struct HookDraft {
  Hook hook;
  std::optional<YamlNode> call;
  std::optional<YamlNode> syscall;
  std::optional<YamlNode> args;
  std::optional<YamlNode> selectors;
};

void ReadMessage(Reader& reader, YamlNode node, HookDraft& draft) {
  draft.hook.message = ReadText(reader, node, kMessageBytesMax).value_or("");
}

void ReadTags(Reader& reader, YamlNode node, HookDraft& draft) {
  reader.Entries(node, kTagsMax, [&](YamlNode entry) {
    if (auto tag = ReadText(reader, entry, kTagBytesMax)) draft.hook.tags.push_back(*tag);
  });
}

constexpr std::array kKprobeFields{
    Field<HookDraft>{{"call", Need::kRequired, "security_bprm_creds_for_exec"},
                     Keep<HookDraft, &HookDraft::call>},
    Field<HookDraft>{{"syscall"}, Keep<HookDraft, &HookDraft::syscall>},
    Field<HookDraft>{{"args"}, Keep<HookDraft, &HookDraft::args>},
    Field<HookDraft>{{"selectors"}, Keep<HookDraft, &HookDraft::selectors>},
    Field<HookDraft>{{"message"}, ReadMessage},
    Field<HookDraft>{{"tags"}, ReadTags},
    Field<HookDraft>{{"return", Need::kOnlyFalse}},
    Field<HookDraft>{{"returnArg", Need::kUnsupported}},
    Field<HookDraft>{{"returnArgAction", Need::kUnsupported}},
    Field<HookDraft>{{"data", Need::kUnsupported}},
    Field<HookDraft>{{"ignore", Need::kUnsupported}},
};

constexpr std::array kLsmHookFields{
    Field<HookDraft>{{"hook", Need::kRequired, "bprm_creds_for_exec"},
                     Keep<HookDraft, &HookDraft::call>},
    Field<HookDraft>{{"args"}, Keep<HookDraft, &HookDraft::args>},
    Field<HookDraft>{{"selectors"}, Keep<HookDraft, &HookDraft::selectors>},
    Field<HookDraft>{{"message"}, ReadMessage},
    Field<HookDraft>{{"tags"}, ReadTags},
};

struct ArgumentDraft {
  std::optional<int64_t> index;
  std::optional<ArgumentType> type;
  Argument argument;
};

constexpr std::array kArgumentFields{
    Field<ArgumentDraft>{{"index", Need::kRequired, "0"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.index = reader.Integer(node, 0, kArgumentsMax - 1);
                         }},
    Field<ArgumentDraft>{{"type", Need::kRequired, "linux_binprm"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.type = reader.Name(node, "argument type", ArgumentTypes());
                         }},
    Field<ArgumentDraft>{{"label"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.argument.label =
                               ReadText(reader, node, kLabelBytesMax).value_or("");
                         }},
    Field<ArgumentDraft>{{"returnCopy", Need::kOnlyFalse}},
    Field<ArgumentDraft>{{"maxData", Need::kOnlyFalse}},
    Field<ArgumentDraft>{{"resolve", Need::kUnsupported}},
    Field<ArgumentDraft>{{"source", Need::kUnsupported}},
    Field<ArgumentDraft>{{"btfType", Need::kUnsupported}},
    Field<ArgumentDraft>{{"btfTypeModule", Need::kUnsupported}},
    Field<ArgumentDraft>{{"sizeArgIndex", Need::kUnsupported}},
};

/// Reports an argument that the hook's function does not have, or not of that type.
void CheckArgument(Reader& reader, const Argument& argument, const HookRow& row,
                   std::string_view call) {
  const auto known = std::ranges::find_if(
      row.arguments, [&](const HookArgument& each) { return each.index == argument.index; });
  if (known == row.arguments.end()) {
    std::string list;
    for (const HookArgument& each : row.arguments) {
      list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", each.index, NameOf(each.type));
    }
    reader.ReportField("index", argument.position,
                       fmt::format("argument {} of {} is not supported yet", argument.index, call),
                       "known here: " + list);
  } else if (known->type != argument.type) {
    reader.ReportField("type", argument.position,
                       fmt::format("argument {} of {} is not of type {}", argument.index, call,
                                   NameOf(argument.type)),
                       fmt::format("write `type: {}`", NameOf(known->type)));
  }
}

void ReadArguments(Reader& reader, YamlNode node, const HookRow* row, Hook& hook) {
  const Reader::Scope scope(reader, "args");
  reader.Entries(node, kArgumentsMax, [&](YamlNode entry) {
    ArgumentDraft draft;
    if (!reader.Fields<ArgumentDraft>(entry, kArgumentFields, draft)) return;
    if (!draft.index) return;
    Argument& argument = draft.argument;
    argument.index = static_cast<uint32_t>(*draft.index);
    argument.type = draft.type.value_or(argument.type);  // filters on it are still to be read
    argument.position = entry.position();
    for (const Argument& other : hook.arguments) {
      if (other.index != argument.index) continue;
      reader.ReportField("index", argument.position,
                         fmt::format("argument {} is there twice, first on line {}", argument.index,
                                     other.position.line),
                         "remove one of the two");
    }
    if (row != nullptr) CheckArgument(reader, argument, *row, hook.call);
    hook.arguments.push_back(std::move(argument));
  });
}

/// The row of the catalog that a hook's name is of; nullptr, reported, if there is none.
const HookRow* ReadCall(Reader& reader, YamlNode node, std::string_view field, Hook& hook) {
  const Reader::Scope scope(reader, field);
  hook.call = reader.String(node).value_or("");
  if (hook.call.empty() && node.kind() != YamlKind::kString) return nullptr;  // reported
  const HookRow* row = FindHook(hook.kind, hook.call);
  if (row != nullptr) return row;
  std::vector<std::string_view> known;
  for (const HookRow& each : Hooks()) known.push_back(each.Spelling(hook.kind));
  std::string remedy = NameRemedy(hook.call, known, known);
  const HookKind other = hook.kind == HookKind::kKprobe ? HookKind::kLsm : HookKind::kKprobe;
  if (const HookRow* elsewhere = FindHook(other, hook.call)) {
    remedy = fmt::format("in {} it is called {}", NameOf(hook.kind),
                         Quote(elsewhere->Spelling(hook.kind)));
  }
  reader.Report(node.position(), fmt::format("{} {} is not supported yet", field, Quote(hook.call)),
                std::move(remedy));
  return nullptr;
}

/// `syscall` is true unless it is said to be false; the functions known here are no system calls.
void CheckSyscall(Reader& reader, const HookDraft& draft) {
  std::optional<bool> syscall = true;
  if (draft.syscall) {
    const Reader::Scope scope(reader, "syscall");
    syscall = reader.Bool(*draft.syscall);
  }
  if (syscall != true) return;
  const Position position = (draft.syscall ? *draft.syscall : *draft.call).position();
  reader.ReportField("syscall", position,
                     fmt::format("{} is no system call, but syscall is true{}", draft.hook.call,
                                 draft.syscall ? "" : " by default"),
                     draft.syscall ? "write `syscall: false`" : "add `syscall: false`");
}

Hook ReadHook(Reader& reader, YamlNode node, HookKind kind, VariableScope& variables) {
  HookDraft draft;
  Hook& hook = draft.hook;
  hook.kind = kind;
  hook.position = node.position();
  const bool kprobe = kind == HookKind::kKprobe;
  const bool mapping = kprobe ? reader.Fields<HookDraft>(node, kKprobeFields, draft)
                              : reader.Fields<HookDraft>(node, kLsmHookFields, draft);
  if (!mapping) return std::move(hook);
  const HookRow* row = nullptr;
  if (draft.call) row = ReadCall(reader, *draft.call, kprobe ? "call" : "hook", hook);
  if (kprobe && row != nullptr) CheckSyscall(reader, draft);
  if (draft.args) ReadArguments(reader, *draft.args, row, hook);
  if (draft.selectors) {
    const Reader::Scope scope(reader, "selectors");
    hook.selectors = ReadSelectors(reader, *draft.selectors, hook, variables);
  }
  return std::move(hook);
}

}  // namespace

std::optional<std::string> VariableScope::Use(Reader& reader, YamlNode node, ValueKind kind) {
  std::optional<std::string> name = ReadVariableName(reader, node);
  if (!name) return std::nullopt;
  if (declared_ == nullptr) {
    reader.Report(node.position(), "only a TracingPolicyTemplate has variables", "write `values`");
    return std::nullopt;
  }
  std::vector<std::string_view> known;
  for (size_t i = 0; i < declared_->size(); ++i) {
    const Variable& variable = (*declared_)[i];
    if (std::ranges::find(known, variable.name) == known.end()) {
      known.push_back(variable.name);
    }
    if (variable.name != *name) continue;
    used_[i] = true;
    if (!variable.type || TraitsOf(*variable.type).values == kind) return name;
    reader.Report(node.position(),
                  fmt::format("variable {} is of type {}, whose values this filter cannot take",
                              Quote(*name), NameOf(*variable.type)),
                  "use a variable of the argument's type");
    return std::nullopt;
  }
  reader.Report(node.position(), fmt::format("variable {} is not declared", Quote(*name)),
                known.empty() ? "declare it in spec.variables" : NameRemedy(*name, known, known));
  return std::nullopt;
}

std::vector<Hook> ReadHooks(Reader& reader, YamlNode node, HookKind kind,
                            VariableScope& variables) {
  std::vector<Hook> hooks;
  reader.Entries(node, kHooksMax, [&](YamlNode entry) {
    hooks.push_back(ReadHook(reader, entry, kind, variables));
  });
  return hooks;
}

}  // namespace gatehouse::policy

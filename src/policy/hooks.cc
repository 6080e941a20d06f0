// SPDX-License-Identifier: Apache-2.0
#include "policy/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/catalog.h"
#include "policy/filters.h"
#include "policy/format.h"
#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kHooksMax = 64;
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

/// Whether what can be compared with one type can be compared with the other.
bool HaveSameValues(ArgumentType a, ArgumentType b) {
  const ArgumentTypeTraits x = TraitsOf(a);
  const ArgumentTypeTraits y = TraitsOf(b);
  return x.values == y.values && x.bytes == y.bytes && x.is_signed == y.is_signed;
}

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
                           draft.index = reader.Integer(node, 0, GH_ARGUMENTS_MAX - 1);
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

/// Reports an argument that the hook surely does not have. What others have, the kernel knows.
void CheckArgument(Reader& reader, const Argument& argument, const Hook& hook) {
  const bool of_exec = IsOfExec(SiteOf(hook.kind, hook.call));
  const bool is_program = argument.type == ArgumentType::kLinuxBinprm;
  if (of_exec && argument.index != 0) {
    reader.ReportField("index", argument.position,
                       fmt::format("{} has no argument {}", hook.call, argument.index),
                       "write `index: 0`");
  } else if (of_exec && !is_program) {
    reader.ReportField("type", argument.position,
                       fmt::format("argument {} of {} is not of type {}", argument.index, hook.call,
                                   NameOf(argument.type)),
                       fmt::format("write `type: {}`", NameOf(ArgumentType::kLinuxBinprm)));
  } else if (is_program && hook.call.find("bprm") == std::string::npos) {
    reader.ReportField(
        "type", argument.position,
        fmt::format("{} has no argument of type {}", hook.call, NameOf(ArgumentType::kLinuxBinprm)),
        "write the type that the argument has, such as file");
  }
}

void ReadArguments(Reader& reader, YamlNode node, Hook& hook) {
  const Reader::Scope scope(reader, "args");
  reader.Entries(node, GH_ARGUMENTS_MAX, [&](YamlNode entry) {
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
    if (!hook.call.empty() && draft.type) CheckArgument(reader, argument, hook);
    hook.arguments.push_back(std::move(argument));
  });
}

/// Reads the name of the place into `hook.call`; leaves it empty, reported, if it cannot be one.
/// Whether this kernel has it is found out by the agent.
void ReadCall(Reader& reader, YamlNode node, std::string_view field, Hook& hook) {
  constexpr std::string_view kListPrefix = "list:";
  constexpr std::string_view kFunctionPrefix = "security_";  // of functions that call LSM hooks
  const Reader::Scope scope(reader, field);
  if (node.text().starts_with(kListPrefix)) {
    return reader.Report(node.position(),
                         fmt::format("{} {} is not supported yet", field, Quote(node.text())),
                         "write a hook for each name of the list");
  }
  const std::optional<std::string> call = ReadKernelName(reader, node);
  if (!call) return;
  hook.call = *call;
  if (hook.kind == HookKind::kKprobe) {
    if (!IsOfExec(SiteOf(HookKind::kLsm, *call))) return;
    reader.Report(node.position(), fmt::format("{} is an LSM hook, no function", Quote(*call)),
                  "write it in lsmhooks");
  } else if (call->starts_with(kFunctionPrefix)) {
    const Site site = SiteOf(HookKind::kKprobe, *call);
    const std::string name =
        site.kind == Site::Kind::kLsm ? site.name : call->substr(kFunctionPrefix.size());
    reader.Report(node.position(), fmt::format("{} is a function, no LSM hook", Quote(*call)),
                  fmt::format("in lsmhooks it is called {}", Quote(name)));
  }
}

/// `syscall` is true unless it is said to be false.
void CheckSyscall(Reader& reader, const HookDraft& draft) {
  std::optional<bool> syscall = true;
  if (draft.syscall) {
    const Reader::Scope scope(reader, "syscall");
    syscall = reader.Bool(*draft.syscall);
  }
  if (syscall != true) return;
  const Position position = (draft.syscall ? *draft.syscall : *draft.call).position();
  reader.ReportField("syscall", position,
                     fmt::format("syscall is true{}, and system calls are not supported yet",
                                 draft.syscall ? "" : " by default"),
                     draft.syscall ? "write `syscall: false`" : "add `syscall: false`");
}

/// Reports more texts than the kernel side reads for one operation.
void CheckTexts(Reader& reader, const Hook& hook) {
  const auto is_text = [](const Argument& argument) {
    return !IsNumber(TraitsOf(argument.type).values);
  };
  const auto asks_for_binary = [](const Selector& selector) {
    return std::ranges::find(selector.filters, Subject::kBinary, &Filter::subject) !=
           selector.filters.end();
  };
  const auto texts = std::ranges::count_if(hook.arguments, is_text) +
                     (std::ranges::any_of(hook.selectors, asks_for_binary) ? 1 : 0);
  if (texts <= GH_TEXTS_MAX) return;
  reader.Report(hook.position,
                fmt::format("{} paths and strings, more than {}; matchBinaries counts as one",
                            texts, int{GH_TEXTS_MAX}),
                "remove arguments, or split the policy into two");
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
  if (draft.call) ReadCall(reader, *draft.call, kprobe ? "call" : "hook", hook);
  if (kprobe && !hook.call.empty()) CheckSyscall(reader, draft);
  if (draft.args) ReadArguments(reader, *draft.args, hook);
  if (draft.selectors) {
    const Reader::Scope scope(reader, "selectors");
    hook.selectors = ReadSelectors(reader, *draft.selectors, hook, variables);
  }
  CheckTexts(reader, hook);
  return std::move(hook);
}

}  // namespace

std::optional<std::string> VariableScope::Use(Reader& reader, YamlNode node, ArgumentType type) {
  std::optional<std::string> name = ReadVariableName(reader, node);
  if (!name) return std::nullopt;
  if (declared_ == nullptr) {
    reader.Report(node.position(), "only a TracingPolicyTemplate has variables", "write `values`");
    return std::nullopt;
  }
  std::vector<std::string_view> known;
  for (size_t i = 0; i < declared_->size(); ++i) {
    Variable& variable = (*declared_)[i];
    if (std::ranges::find(known, variable.name) == known.end()) {
      known.push_back(variable.name);
    }
    if (variable.name != *name) continue;
    used_[i] = true;
    if (!variable.type) variable.type = type;
    if (HaveSameValues(*variable.type, type)) return name;
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

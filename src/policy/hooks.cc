// SPDX-License-Identifier: Apache-2.0
#include "policy/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/calls.h"
#include "policy/catalog.h"
#include "policy/filters.h"
#include "policy/format.h"
#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kHooksMax = 64;
constexpr size_t kHooksInAllMax = 255;  // gh_rule.hook_index
constexpr size_t kMessageBytesMax = 256;
constexpr size_t kTagsMax = 16;
constexpr size_t kTagBytesMax = 256;
constexpr size_t kLabelBytesMax = 256;

struct HookDraft {
  Hook hook;
  std::optional<YamlNode> call;
  std::optional<YamlNode> syscall;
  std::optional<YamlNode> returns;
  std::optional<YamlNode> returned;
  std::optional<YamlNode> args;
  std::optional<YamlNode> selectors;
};

/// Whether what can be compared with `a` can be compared with `b`.
bool HaveSameValues(ArgumentType a, ArgumentType b) {
  const ArgumentTypeTraits x = TraitsOf(a);
  const ArgumentTypeTraits y = TraitsOf(b);
  if (x.values == ValueKind::kCapability && y.values == ValueKind::kCapabilities) return true;
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
    Field<HookDraft>{{"return"}, Keep<HookDraft, &HookDraft::returns>},
    Field<HookDraft>{{"returnArg"}, Keep<HookDraft, &HookDraft::returned>},
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
    Field<ArgumentDraft>{{"type", Need::kRequired, "int"},
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

/// The arguments of system calls are what a process writes: numbers, and addresses in its memory.
void CheckArgumentOfSystemCall(Reader& reader, const Argument& argument) {
  const bool possible =
      argument.type == ArgumentType::kString || argument.type == ArgumentType::kFd ||
      argument.type == ArgumentType::kSockaddr || IsNumber(TraitsOf(argument.type).values);
  if (possible) return;
  reader.ReportField("type", argument.position,
                     fmt::format("a system call has no argument of type {}", NameOf(argument.type)),
                     "use string, fd, sockaddr or a type of numbers");
}

/// Reports an argument that the hook surely does not have. What others have, the kernel knows.
void CheckArgument(Reader& reader, const Argument& argument, const Hook& hook) {
  if (argument.type == ArgumentType::kNop) return;
  if (hook.system_call) return CheckArgumentOfSystemCall(reader, argument);
  const bool of_exec = IsOfExec(SiteBefore(hook));
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

/// Returns which of the arguments have a type that is reported as wrong.
std::vector<uint32_t> ReadArguments(Reader& reader, YamlNode node, Hook& hook) {
  std::vector<uint32_t> unknown;
  const Reader::Scope scope(reader, "args");
  reader.Entries(node, GH_ARGUMENTS_MAX, [&](YamlNode entry) {
    ArgumentDraft draft;
    if (!reader.Fields<ArgumentDraft>(entry, kArgumentFields, draft)) return;
    if (!draft.index) return;
    Argument& argument = draft.argument;
    argument.index = static_cast<uint32_t>(*draft.index);
    argument.type = draft.type.value_or(ArgumentType::kNop);
    if (!draft.type) unknown.push_back(static_cast<uint32_t>(hook.arguments.size()));
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
  return unknown;
}

/// The switch `field` of a hook, if it is there and can be read.
bool ReadSwitch(Reader& reader, const std::optional<YamlNode>& node, std::string_view field,
                bool otherwise) {
  if (!node) return otherwise;
  const Reader::Scope scope(reader, field);
  return reader.Bool(*node).value_or(otherwise);
}

/// What the function returns, with `return: true`; returnArg alone is without effect.
void ReadReturned(Reader& reader, const HookDraft& draft, Hook& hook) {
  if (!ReadSwitch(reader, draft.returns, "return", false)) return;
  const Reader::Scope scope(reader, "returnArg");
  if (!draft.returned) {
    return reader.Report(draft.returns->position(), "returnArg is missing: return needs it",
                         "add `returnArg: {index: 0, type: int}`");
  }
  ArgumentDraft returned;
  if (!reader.Fields<ArgumentDraft>(*draft.returned, kArgumentFields, returned)) return;
  returned.argument.position = draft.returned->position();
  if (returned.index.value_or(0) != 0) {
    reader.ReportField("index", returned.argument.position, "one value is returned, number 0",
                       "write `index: 0`");
  }
  returned.argument.index = GH_SUBJECT_RETURN;
  if (!returned.type) return;
  returned.argument.type = *returned.type;
  hook.returned = returned.argument;
  const ValueKind values = TraitsOf(*returned.type).values;
  const bool is_pointer = values == ValueKind::kSocket && *returned.type != ArgumentType::kSockaddr;
  if (IsNumber(values) || (is_pointer && !hook.system_call)) return;
  reader.ReportField("type", returned.argument.position,
                     fmt::format("what is returned cannot be a {}", NameOf(*returned.type)),
                     "use a type of numbers, such as int");
}

/// Reports more texts than the kernel side reads for one operation.
void CheckTexts(Reader& reader, const Hook& hook) {
  const auto is_text = [](const Argument& argument) {
    return argument.type != ArgumentType::kNop && IsText(TraitsOf(argument.type).values);
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

/// A hook, or one for each name of a list, which differ by that alone.
std::vector<Hook> ReadHook(Reader& reader, YamlNode node, HookKind kind, const HookScope& scope) {
  HookDraft draft;
  Hook& hook = draft.hook;
  hook.kind = kind;
  hook.position = node.position();
  const bool kprobe = kind == HookKind::kKprobe;
  const bool mapping = kprobe ? reader.Fields<HookDraft>(node, kKprobeFields, draft)
                              : reader.Fields<HookDraft>(node, kLsmHookFields, draft);
  if (!mapping) return {};
  hook.system_call = kprobe && ReadSwitch(reader, draft.syscall, "syscall", true);
  std::vector<ListedName> calls;
  if (draft.call) {
    const Reader::Scope field(reader, kprobe ? "call" : "hook");
    calls = ReadCalls(reader, *draft.call, kind, hook.system_call, scope.lists);
  }
  if (!calls.empty()) hook.call = calls.front().name;
  if (kprobe) ReadReturned(reader, draft, hook);
  std::vector<uint32_t> unknown;
  if (draft.args) unknown = ReadArguments(reader, *draft.args, hook);
  if (draft.selectors) {
    const Reader::Scope field(reader, "selectors");
    hook.selectors = ReadSelectors(reader, *draft.selectors, hook, unknown, scope.variables);
  }
  CheckTexts(reader, hook);
  std::vector<Hook> hooks(std::max<size_t>(calls.size(), 1), hook);
  for (size_t i = 0; i < calls.size(); ++i) hooks[i].call = std::move(calls[i].name);
  return hooks;
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

std::vector<Hook> ReadHooks(Reader& reader, YamlNode node, HookKind kind, const HookScope& scope) {
  std::vector<Hook> hooks;
  reader.Entries(node, kHooksMax, [&](YamlNode entry) {
    for (Hook& hook : ReadHook(reader, entry, kind, scope)) hooks.push_back(std::move(hook));
  });
  if (hooks.size() > kHooksInAllMax) {
    reader.Report(node.position(),
                  fmt::format("{} hooks, each name of a list counted, more than {}", hooks.size(),
                              kHooksInAllMax),
                  "split the policy");
  }
  return hooks;
}

}  // namespace gatehouse::policy

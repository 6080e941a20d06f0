// SPDX-License-Identifier: Apache-2.0
#include "policy/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kLabelBytesMax = 256;

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

/// Whether a value of the type is a number, and not behind a pointer.
bool IsWord(ArgumentType type) {
  const ArgumentTypeTraits traits = TraitsOf(type);
  return IsNumber(traits.values) && gh_is_word(traits.read);
}

/// The arguments are what a process writes.
void CheckArgumentOfProcess(Reader& reader, const Argument& argument, const Hook& hook) {
  const bool possible = argument.type == ArgumentType::kString ||
                        argument.type == ArgumentType::kFd ||
                        argument.type == ArgumentType::kSockaddr ||
                        argument.type == ArgumentType::kSockaddrUn || IsWord(argument.type);
  if (possible) return;
  reader.ReportField(
      "type", argument.position,
      fmt::format("a {} has no argument of type {}",
                  hook.kind == HookKind::kUprobe ? "function of a program" : "system call",
                  NameOf(argument.type)),
      "use string, fd, sockaddr, sockaddr_un or a type of numbers");
}

/// Reports an argument that the hook surely does not have. What others have, the kernel knows.
void CheckArgument(Reader& reader, const Argument& argument, const Hook& hook) {
  if (argument.type == ArgumentType::kNop) return;
  const Site site = SiteBefore(hook);
  if (HasArgumentsOfProcess(site)) return CheckArgumentOfProcess(reader, argument, hook);
  if (hook.kind == HookKind::kTracepoint) return;
  const bool of_exec = IsOfExec(site);
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
  } else if (is_program && !hook.generated && hook.call.find("bprm") == std::string::npos) {
    reader.ReportField(
        "type", argument.position,
        fmt::format("{} has no argument of type {}", hook.call, NameOf(ArgumentType::kLinuxBinprm)),
        "write the type that the argument has, such as file");
  }
}

}  // namespace

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

void ReadReturnArgument(Reader& reader, YamlNode node, Hook& hook) {
  const Reader::Scope scope(reader, "returnArg");
  ArgumentDraft returned;
  if (!reader.Fields<ArgumentDraft>(node, kArgumentFields, returned)) return;
  returned.argument.position = node.position();
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
  if (IsWord(*returned.type) || (is_pointer && !hook.system_call)) return;
  reader.ReportField("type", returned.argument.position,
                     fmt::format("what is returned cannot be a {}", NameOf(*returned.type)),
                     "use a type of numbers, such as int");
}

void CheckTexts(Reader& reader, const Hook& hook) {
  const auto is_text = [](const Argument& argument) {
    return argument.type != ArgumentType::kNop && IsText(TraitsOf(argument.type).values);
  };
  const auto asks_for = [&](Subject subject) {
    return std::ranges::any_of(hook.selectors, [subject](const Selector& selector) {
      return std::ranges::find(selector.filters, subject, &Filter::subject) !=
             selector.filters.end();
    });
  };
  const auto texts = std::ranges::count_if(hook.arguments, is_text) +
                     (asks_for(Subject::kBinary) ? 1 : 0) +
                     (asks_for(Subject::kParentBinary) ? 1 : 0);
  if (texts <= GH_TEXTS_MAX) return;
  reader.Report(hook.position,
                fmt::format("{} paths and strings, more than {}; matchBinaries and "
                            "matchParentBinaries count as one each",
                            texts, int{GH_TEXTS_MAX}),
                "remove arguments, or split the policy into two");
}

}  // namespace gatehouse::policy

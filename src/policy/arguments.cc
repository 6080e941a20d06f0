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
#include "policy/resolve.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kLabelBytesMax = 256;

struct ArgumentDraft {
  std::optional<int64_t> index;
  std::optional<ArgumentType> type;
  bool has_type = false;              // whatever it is
  std::optional<int64_t> size_index;  // counts from 1
  bool return_copy = false;
  bool max_data = false;
  ResolutionDraft resolution = {};
  Argument argument;
};

/// Reads a switch into `Member` of the draft.
template <bool ArgumentDraft::* Member>
void ReadSwitch(Reader& reader, YamlNode node, ArgumentDraft& draft) {
  draft.*Member = reader.Bool(node).value_or(false);
}

/// Keeps a field about `resolve`.
template <std::optional<YamlNode> ResolutionDraft::* Member>
void KeepNode(Reader&, YamlNode node, ArgumentDraft& draft) {
  draft.resolution.*Member = node;
}

constexpr std::array kArgumentFields{
    Field<ArgumentDraft>{
        {"index", Need::kRequired, "0"},
        [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
          draft.index = reader.Integer(node, 0, GH_ARGUMENTS_MAX - 1);
        },
        "position among the function's parameters, or the tracepoint's fields, from 0"},
    Field<ArgumentDraft>{{"type"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.has_type = true;
                           draft.type = reader.Name(node, "argument type", ArgumentTypes());
                         },
                         "how the value is read, compared and told"},
    Field<ArgumentDraft>{{"label"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.argument.label =
                               ReadText(reader, node, kLabelBytesMax).value_or("");
                         },
                         "a name for the argument in events"},
    Field<ArgumentDraft>{{"sizeArgIndex"},
                         [](Reader& reader, YamlNode node, ArgumentDraft& draft) {
                           draft.size_index = reader.Integer(node, 1, GH_ARGUMENTS_MAX).value_or(1);
                         },
                         "the argument that is the length of this buffer, counted from 1"},
    Field<ArgumentDraft>{{"returnCopy"},
                         ReadSwitch<&ArgumentDraft::return_copy>,
                         "read when the function returns, as its length is what is returned"},
    Field<ArgumentDraft>{{"maxData"},
                         ReadSwitch<&ArgumentDraft::max_data>,
                         "events tell up to 327,360 bytes of the buffer, and not only 4,095"},
    Field<ArgumentDraft>{{"resolve"},
                         KeepNode<&ResolutionDraft::resolve>,
                         "a path of fields from the argument to the value"},
    Field<ArgumentDraft>{{"source"},
                         KeepNode<&ResolutionDraft::source>,
                         "where the path begins, if not at the argument: current_task, pt_regs"},
    Field<ArgumentDraft>{{"btfType"},
                         KeepNode<&ResolutionDraft::type>,
                         "the type that the path begins with, where the kernel does not say it"},
    Field<ArgumentDraft>{{"btfTypeModule"},
                         KeepNode<&ResolutionDraft::module>,
                         "the module of the kernel that has this type"},
};

/// Whether a value of the type is a number, and not behind a pointer.
bool IsWord(ArgumentType type) {
  const ArgumentTypeTraits traits = TraitsOf(type);
  return IsNumber(traits.values) && gh_is_word(traits.read);
}

/// The arguments are what a process writes.
void CheckArgumentOfProcess(Reader& reader, const Argument& argument, const Hook& hook) {
  const bool possible =
      argument.type == ArgumentType::kString || argument.type == ArgumentType::kFd ||
      argument.type == ArgumentType::kSockaddr || argument.type == ArgumentType::kSockaddrUn ||
      argument.type == ArgumentType::kBuffer || argument.type == ArgumentType::kIovec ||
      (argument.type == ArgumentType::kAuto && hook.kind == HookKind::kTracepoint) ||
      IsWord(argument.type);
  if (possible) return;
  reader.ReportField(
      "type", argument.position,
      fmt::format("a {} has no argument of type {}",
                  hook.kind == HookKind::kUsdt     ? "static probe"
                  : hook.kind == HookKind::kUprobe ? "function of a program"
                                                   : "system call",
                  NameOf(argument.type)),
      "use string, fd, sockaddr, sockaddr_un, char_buf, char_iovec or a type of numbers");
}

/// Of a static probe, the file says the type: a number, extended to the widest.
void SettleType(Reader& reader, Position position, const Hook& hook, ArgumentDraft& draft) {
  if (draft.has_type) return;
  if (hook.kind == HookKind::kUsdt) {
    draft.type = ArgumentType::kInt64;
    draft.argument.untyped = true;
  } else {
    reader.Report(position, "type is missing", "add `type: int`");
  }
}

bool IsBuffer(ArgumentType type) { return TraitsOf(type).values == ValueKind::kBytes; }

/// Whether the number that is a length has 32 bits: it has the type that the policy gives it, and
/// without one, 64.
bool IsNarrow(const Hook& hook, uint32_t subject) {
  const auto narrow = [](ArgumentType type) {
    return IsWord(type) && TraitsOf(type).bytes <= sizeof(uint32_t);
  };
  if (subject == GH_SUBJECT_RETURN) return narrow(hook.returned->type);
  return std::ranges::any_of(hook.arguments, [&](const Argument& argument) {
    return argument.subject() == subject && narrow(argument.type);
  });
}

/// Reports what the fields about lengths say to an argument that has none, or lack.
void CheckLength(Reader& reader, const ArgumentDraft& draft, const Hook& hook) {
  const ArgumentType type = *draft.type;
  const Position position = draft.argument.position;
  const bool needs_length = type == ArgumentType::kBuffer || type == ArgumentType::kIovec;
  if (draft.return_copy && !hook.returned) {
    reader.ReportField("returnCopy", position, "the hook does not ask for what is returned",
                       "add `return: true` and returnArg to it, or remove returnCopy");
  }
  if (draft.size_index && !needs_length) {
    reader.ReportField(
        "sizeArgIndex", position,
        fmt::format("an argument of type {} has no length in another one", NameOf(type)),
        "remove it");
  }
  if (draft.max_data && !IsBuffer(type)) {
    reader.ReportField("maxData", position,
                       fmt::format("an argument of type {} is no buffer", NameOf(type)),
                       "remove it");
  }
  if (type == ArgumentType::kIovec && draft.return_copy) {
    reader.ReportField("returnCopy", position, "returnCopy of a char_iovec is not supported yet",
                       "remove it");
  } else if (needs_length && !draft.size_index && !draft.return_copy) {
    reader.Report(position, fmt::format("how long the {} is, is not said", NameOf(type)),
                  "add sizeArgIndex: the argument that is its length, counted from 1");
  }
}

/// What is returned is the length of a buffer that the function fills.
std::optional<Length> LengthOf(const ArgumentDraft& draft, const Hook& hook) {
  const auto length = [&](uint32_t subject) {
    return Length{static_cast<uint8_t>(subject), IsNarrow(hook, subject)};
  };
  if (draft.type == ArgumentType::kBuffer && draft.return_copy) {
    if (hook.returned) return length(GH_SUBJECT_RETURN);
  } else if (draft.size_index) {
    return length(static_cast<uint32_t>(*draft.size_index - 1));
  }
  return std::nullopt;
}

/// Reports an argument that the hook surely does not have. What others have, the kernel knows.
void CheckArgument(Reader& reader, const Argument& argument, const Hook& hook) {
  if (argument.resolved) CheckResolution(reader, argument, hook);
  if (hook.kind == HookKind::kUsdt && argument.index >= GH_OPERANDS_MAX) {
    reader.ReportField("index", argument.position,
                       fmt::format("a static probe has no argument {}", argument.index),
                       fmt::format("write a number from 0 to {}", GH_OPERANDS_MAX - 1));
  }
  if (argument.type == ArgumentType::kNop) return;
  if (!argument.of_argument()) return;
  const Site site = SiteBefore(hook);
  if (HasArgumentsOfProcess(site)) {
    if (!argument.resolved) CheckArgumentOfProcess(reader, argument, hook);
    return;
  }
  if (hook.kind == HookKind::kTracepoint) return;
  const bool of_exec = IsOfExec(site);
  const bool is_program = argument.type == ArgumentType::kLinuxBinprm;
  if (of_exec && argument.index != 0) {
    reader.ReportField("index", argument.position,
                       fmt::format("{} has no argument {}", hook.call, argument.index),
                       "write `index: 0`");
  } else if (argument.resolved || argument.type == ArgumentType::kAuto) {
    return;  // the kernel knows what is there
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

/// Reports an argument that is among `others` already.
void CheckTwice(Reader& reader, const Argument& argument, const std::vector<Argument>& others) {
  for (const Argument& other : others) {
    if (other.subject() != argument.subject()) continue;
    reader.ReportField("index", argument.position,
                       fmt::format("argument {} is there twice, first on line {}", argument.index,
                                   other.position.line),
                       "remove one of the two");
  }
}

/// Values that paths lead to are numbered, those of `args` first.
void Number(Reader& reader, Argument& argument, const Hook& hook) {
  const auto resolved = [](const std::vector<Argument>& arguments) {
    return std::ranges::count_if(arguments,
                                 [](const Argument& each) { return each.resolved.has_value(); });
  };
  const auto position = resolved(hook.arguments) + resolved(hook.data);
  if (position == GH_RESOLVED_MAX) {
    reader.Report(argument.position,
                  fmt::format("more than {} values with resolve", int{GH_RESOLVED_MAX}),
                  "ask for fewer of them");
  }
  const auto number = std::min<ptrdiff_t>(position, GH_RESOLVED_MAX - 1);
  argument.resolved->subject = static_cast<uint8_t>(GH_SUBJECT_RESOLVED_0 + number);
}

/// Entries of `args`, or of `data`. Returns which have a type that is reported as wrong.
std::vector<uint32_t> ReadValues(Reader& reader, YamlNode node, bool of_data, Hook& hook) {
  std::vector<Argument>& arguments = of_data ? hook.data : hook.arguments;
  std::vector<uint32_t> unknown;
  std::vector<ArgumentDraft> drafts;
  reader.Entries(node, GH_ARGUMENTS_MAX, [&](YamlNode entry) {
    ArgumentDraft draft;
    if (!reader.Fields<ArgumentDraft>(entry, kArgumentFields, draft)) return;
    if (!draft.index) return;
    SettleType(reader, entry.position(), hook, draft);
    Argument& argument = draft.argument;
    argument.index = static_cast<uint32_t>(*draft.index);
    argument.type = draft.type.value_or(ArgumentType::kNop);
    if (!draft.type) unknown.push_back(static_cast<uint32_t>(arguments.size()));
    argument.position = entry.position();
    argument.whole = draft.max_data;
    argument.resolved = ReadResolution(reader, draft.resolution, argument.position, of_data);
    if (argument.resolved) {
      Number(reader, argument, hook);
    } else if (!of_data && !draft.resolution.resolve) {
      CheckTwice(reader, argument, arguments);
    }
    if (!hook.call.empty() && draft.type) CheckArgument(reader, argument, hook);
    if (draft.type) CheckLength(reader, draft, hook);
    arguments.push_back(argument);
    drafts.push_back(std::move(draft));
  });
  for (size_t i = 0; i < drafts.size(); ++i) arguments[i].length = LengthOf(drafts[i], hook);
  return unknown;
}

}  // namespace

std::vector<uint32_t> ReadArguments(Reader& reader, YamlNode node, Hook& hook) {
  const Reader::Scope scope(reader, "args");
  return ReadValues(reader, node, false, hook);
}

std::vector<uint32_t> ReadData(Reader& reader, YamlNode node, Hook& hook) {
  const Reader::Scope scope(reader, "data");
  return ReadValues(reader, node, true, hook);
}

void ReadReturnArgument(Reader& reader, YamlNode node, Hook& hook) {
  const Reader::Scope scope(reader, "returnArg");
  ArgumentDraft returned;
  if (!reader.Fields<ArgumentDraft>(node, kArgumentFields, returned)) return;
  returned.argument.position = node.position();
  if (!returned.has_type) reader.Report(node.position(), "type is missing", "add `type: int`");
  if (returned.index.value_or(0) != 0) {
    reader.ReportField("index", returned.argument.position, "one value is returned, number 0",
                       "write `index: 0`");
  }
  const ResolutionDraft& resolution = returned.resolution;
  if (resolution.resolve || resolution.source || resolution.type || resolution.module) {
    reader.Report(returned.argument.position, "resolve of what is returned is not supported yet",
                  "remove resolve, source, btfType and btfTypeModule");
  }
  if (returned.size_index || returned.return_copy || returned.max_data) {
    reader.Report(returned.argument.position, "what is returned is no buffer",
                  "remove sizeArgIndex, returnCopy and maxData");
  }
  returned.argument.index = GH_SUBJECT_RETURN;
  if (!returned.type) return;
  returned.argument.type = *returned.type;
  hook.returned = returned.argument;
  const ValueKind values = TraitsOf(*returned.type).values;
  const bool is_pointer = values == ValueKind::kSocket && *returned.type != ArgumentType::kSockaddr;
  const bool of_program = hook.kind == HookKind::kUprobe;
  if (IsWord(*returned.type) || (is_pointer && !hook.system_call && !of_program)) return;
  if (*returned.type == ArgumentType::kString && of_program) return;
  reader.ReportField("type", returned.argument.position,
                     fmt::format("what is returned cannot be a {}", NameOf(*returned.type)),
                     "use a type of numbers, such as int");
}

void CheckReturnCopies(Reader& reader, const Hook& hook) {
  const bool copies = std::ranges::any_of(hook.arguments, [](const Argument& argument) {
    return argument.length && argument.length->subject == GH_SUBJECT_RETURN;
  });
  const auto before = std::ranges::find_if(hook.selectors, ActsBefore);
  if (!copies || before == hook.selectors.end()) return;
  reader.Report(before->position,
                "this selector acts before the function, and returnCopy is about what is there "
                "when it returns",
                "write matchReturnActions instead of matchActions");
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
  const auto texts =
      std::ranges::count_if(hook.arguments, is_text) + std::ranges::count_if(hook.data, is_text) +
      (hook.returned && is_text(*hook.returned) ? 1 : 0) + (asks_for(Subject::kBinary) ? 1 : 0) +
      (asks_for(Subject::kParentBinary) ? 1 : 0);
  if (texts <= GH_TEXTS_MAX) return;
  reader.Report(hook.position,
                fmt::format("{} paths and strings, more than {}; matchBinaries and "
                            "matchParentBinaries count as one each",
                            texts, int{GH_TEXTS_MAX}),
                "remove arguments, or split the policy into two");
}

}  // namespace gatehouse::policy

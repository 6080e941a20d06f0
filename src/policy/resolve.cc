// SPDX-License-Identifier: Apache-2.0
#include "policy/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kPathBytesMax = 1024;
constexpr std::string_view kCurrentTask = "current_task";
constexpr std::string_view kRegisters = "pt_regs";

tl::unexpected<Error> NoPath(std::string_view text) {
  return Fail(ErrorCode::kInvalid, {}, fmt::format("{} is no path", Quote(text)),
              "write names of fields with dots between them, elements of arrays in brackets: "
              "`mm.owner.comm`, `numbers[0].nr`");
}

bool IsOfName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Takes `[3]` from the begin of `text`.
std::optional<PathStep> TakeElement(std::string_view& text) {
  PathStep step;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + 1, end, step.element);
  if (error != std::errc() || at == end || *at != ']') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(at + 1 - text.data()));
  return step;
}

std::optional<PathStep> TakeField(std::string_view& text) {
  const auto length = static_cast<size_t>(std::ranges::find_if_not(text, IsOfName) - text.begin());
  if (length == 0) return std::nullopt;
  PathStep step{.field = std::string(text.substr(0, length))};
  text.remove_prefix(length);
  return step;
}

using From = Resolution::From;

/// Where the value is from; reports another source.
From ReadSource(Reader& reader, const std::optional<YamlNode>& node) {
  if (!node) return From::kArgument;
  const Reader::Scope scope(reader, "source");
  const std::optional<std::string> source = reader.String(*node);
  if (!source) return From::kArgument;
  if (*source == kRegisters) return From::kRegisters;
  if (*source != kCurrentTask) {
    reader.Report(node->position(), fmt::format("unknown source {}", Quote(*source)),
                  fmt::format("write `source: {}`, or `source: {}`", kCurrentTask, kRegisters));
  }
  return From::kTask;
}

std::string ReadTypeName(Reader& reader, const std::optional<YamlNode>& node,
                         std::string_view field) {
  if (!node) return {};
  const Reader::Scope scope(reader, field);
  return ReadKernelName(reader, *node).value_or("");
}

/// Reports what a register is not, or where there is none.
void CheckRegister(Reader& reader, const Argument& argument, const Hook& hook) {
  const Resolution& resolution = *argument.resolved;
  if (hook.kind != HookKind::kUprobe) {
    reader.ReportField("source", resolution.position,
                       "programs on places in the kernel are given no registers",
                       "use it in uprobes, or name an argument in args");
  } else if (resolution.path.size() != 1 || resolution.path.front().field.empty()) {
    reader.ReportField("resolve", resolution.position,
                       fmt::format("{} is no register", Quote(resolution.text)),
                       "write its name, as `resolve: rax`");
  }
  const ArgumentTypeTraits traits = TraitsOf(argument.type);
  const bool of_number = IsNumber(traits.values) && gh_is_word(traits.read);
  if (of_number || argument.type == ArgumentType::kString) return;
  reader.ReportField("type", argument.position,
                     fmt::format("a register is no {}", NameOf(argument.type)),
                     "use a type of numbers, or string for the address of one");
}

}  // namespace

Result<std::vector<PathStep>> ParsePath(std::string_view text) {
  constexpr size_t kStepsMax = GH_PATH_STEPS_MAX;
  std::vector<PathStep> steps;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (!steps.empty() && rest.front() == '.') {
      rest.remove_prefix(1);
      if (rest.starts_with('[')) return NoPath(text);
    } else if (!steps.empty() && rest.front() != '[') {
      return NoPath(text);
    }
    std::optional<PathStep> step = rest.starts_with('[') ? TakeElement(rest) : TakeField(rest);
    if (!step) return NoPath(text);
    steps.push_back(std::move(*step));
  }
  if (steps.empty() || text.ends_with('.')) return NoPath(text);
  if (steps.size() <= kStepsMax) return steps;
  return Fail(ErrorCode::kInvalid, {},
              fmt::format("the path has {} steps, more than {}", steps.size(), kStepsMax),
              "begin it nearer to the value: from another argument, or from the current task");
}

std::optional<Resolution> ReadResolution(Reader& reader, const ResolutionDraft& draft,
                                         Position position, bool of_data) {
  Resolution resolution;
  resolution.from = ReadSource(reader, draft.source);
  resolution.type = ReadTypeName(reader, draft.type, "btfType");
  resolution.module = ReadTypeName(reader, draft.module, "btfTypeModule");
  if (of_data && !draft.source) {
    reader.Report(position, "source is missing: where the value is from",
                  fmt::format("add `source: {}`", kCurrentTask));
  }
  if (!draft.resolve) {
    if (of_data || draft.source || draft.type || draft.module) {
      reader.Report(position, "resolve is missing: the path to the value",
                    "add `resolve: comm`, or another path");
    }
    return std::nullopt;
  }
  if (resolution.from == From::kTask && draft.type) {
    reader.ReportField("btfType", position, "the current task is a task_struct", "remove btfType");
  } else if (resolution.from == From::kRegisters && draft.type) {
    reader.ReportField("btfType", position, "registers have no type", "remove btfType");
  } else if (draft.module && !draft.type) {
    reader.ReportField("btfTypeModule", position, "btfType is missing: which type of the module",
                       "add btfType, or remove btfTypeModule");
  }
  const Reader::Scope scope(reader, "resolve");
  std::optional<std::string> text = ReadText(reader, *draft.resolve, kPathBytesMax);
  if (!text) return std::nullopt;
  Result<std::vector<PathStep>> path = ParsePath(*text);
  if (!path) {
    reader.Report(draft.resolve->position(), path.error().cause, path.error().remedy);
    return std::nullopt;
  }
  resolution.text = std::move(*text);
  resolution.path = std::move(*path);
  resolution.position = draft.resolve->position();
  return resolution;
}

void CheckResolution(Reader& reader, const Argument& argument, const Hook& hook) {
  const Resolution& resolution = *argument.resolved;
  const Site site = SiteBefore(hook);
  if (resolution.from == From::kRegisters) {
    CheckRegister(reader, argument, hook);
    return;
  }
  const bool of_argument = resolution.from == From::kArgument;
  if (of_argument && hook.kind == HookKind::kUprobe) {
    reader.ReportField("resolve", resolution.position,
                       "a path from an argument of a program needs the types of the program, which "
                       "is not supported yet",
                       "remove it");
  } else if (of_argument && HasArgumentsOfProcess(site)) {
    reader.ReportField("resolve", resolution.position,
                       "a path is followed in the kernel's memory, and the arguments of a system "
                       "call are in the process's",
                       "use a function that the call comes to, such as security_file_open");
  } else if (of_argument && site.kind == Site::Kind::kTracepoint) {
    reader.ReportField("resolve", resolution.position,
                       "a path from a field of a tracepoint's record is not supported yet",
                       "write `raw: true` and the arguments of the tracepoint's call");
  }
  const gh_read read = TraitsOf(argument.type).read;
  if (gh_is_buffer(read) || read == GH_READ_SOCKADDR_UN || argument.type == ArgumentType::kNop) {
    reader.ReportField(
        "type", argument.position,
        fmt::format("a path to a value of type {} is not supported yet", NameOf(argument.type)),
        "use string, a type of numbers, or that of a struct such as file");
  }
}

}  // namespace gatehouse::policy

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

/// Whether the value is of the current task; reports another source.
bool ReadOfTask(Reader& reader, const std::optional<YamlNode>& node) {
  if (!node) return false;
  const Reader::Scope scope(reader, "source");
  const std::optional<std::string> source = reader.String(*node);
  if (!source) return false;
  if (*source == kCurrentTask) return true;
  const bool known = *source == kRegisters;
  reader.Report(node->position(),
                known ? fmt::format("source {} is not supported yet", Quote(*source))
                      : fmt::format("unknown source {}", Quote(*source)),
                fmt::format("write `source: {}`", kCurrentTask));
  return true;
}

std::string ReadTypeName(Reader& reader, const std::optional<YamlNode>& node,
                         std::string_view field) {
  if (!node) return {};
  const Reader::Scope scope(reader, field);
  return ReadKernelName(reader, *node).value_or("");
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
  resolution.of_task = ReadOfTask(reader, draft.source);
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
  if (resolution.of_task && draft.type) {
    reader.ReportField("btfType", position, "the current task is a task_struct", "remove btfType");
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
  if (!resolution.of_task && hook.kind == HookKind::kUprobe) {
    reader.ReportField("resolve", resolution.position,
                       "a path from an argument of a program needs the types of the program, which "
                       "is not supported yet",
                       "remove it");
  } else if (!resolution.of_task && HasArgumentsOfProcess(site)) {
    reader.ReportField("resolve", resolution.position,
                       "a path is followed in the kernel's memory, and the arguments of a system "
                       "call are in the process's",
                       "use a function that the call comes to, such as security_file_open");
  } else if (!resolution.of_task && site.kind == Site::Kind::kTracepoint) {
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

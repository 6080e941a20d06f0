// SPDX-License-Identifier: Apache-2.0
#include "policy/reader.h"

#include <fmt/format.h>

#include <utility>

#include "policy/scalar.h"

namespace gatehouse::policy {
namespace {

/// What a node is, for a message.
std::string Describe(YamlNode node) {
  switch (node.kind()) {
    case YamlKind::kNull:
      return "null";
    case YamlKind::kSequence:
      return "a list";
    case YamlKind::kMapping:
      return "a mapping";
    case YamlKind::kString:
      return "the string " + Quote(node.text());
    case YamlKind::kPlain:
      break;
  }
  switch (TypeOfPlain(node.text())) {
    case ScalarType::kBool:
      return "the boolean " + std::string(node.text());
    case ScalarType::kInteger:
    case ScalarType::kFloat:
      return "the number " + Quote(node.text());
    case ScalarType::kNull:
    case ScalarType::kString:
      break;
  }
  return "the string " + Quote(node.text());
}

constexpr std::string_view kMergeKey = "<<";

}  // namespace

std::string Reader::Path() const {
  std::string path;
  for (const Step& step : path_) {
    if (step.field.empty()) {
      path += fmt::format("[{}]", step.entry);
    } else {
      if (!path.empty()) path += '.';
      path += PathKey(step.field);
    }
  }
  return path;
}

void Reader::Report(Position position, std::string cause, std::string remedy) {
  diagnostics_.Add(position, Path(), std::move(cause) + use_, std::move(remedy));
}

void Reader::Warn(Position position, std::string cause, std::string remedy) {
  diagnostics_.Add(position, Path(), std::move(cause) + use_, std::move(remedy),
                   Severity::kWarning);
}

Reader::Detour::Detour(Reader& reader, std::initializer_list<std::string_view> path, Position use)
    : reader_(reader) {
  reader_.use_ = fmt::format(" (used on line {}, by {})", use.line, reader_.Path());
  for (const std::string_view field : path) path_.push_back({field, 0});
  reader_.path_.swap(path_);
}

Reader::Detour::~Detour() {
  reader_.path_.swap(path_);
  reader_.use_.clear();
}

bool Reader::Expand(size_t nodes, Position position) {
  if (nodes <= nodes_left_) {
    nodes_left_ -= nodes;
    return true;
  }
  nodes_left_ = 0;
  if (std::exchange(expanded_enough_, true)) return false;
  Report(position, fmt::format("the text has more than {} nodes", limits_.nodes),
         "split it into several files; a macro counts for each selector that uses it");
  return false;
}

void Reader::ReportField(std::string_view field, Position position, std::string cause,
                         std::string remedy) {
  const Scope scope(*this, field);
  Report(position, std::move(cause), std::move(remedy));
}

bool Reader::Accept(const FieldName& field, YamlNode key, YamlNode value) {
  switch (field.need) {
    case Need::kIgnored:
      return false;
    case Need::kOnlyFalse:
      if (value.kind() == YamlKind::kPlain && ReadBool(value.text()) == false) return false;
      [[fallthrough]];
    case Need::kUnsupported:
      ReportField(field.name, key.position(), fmt::format("{} is not supported yet", field.name),
                  "remove it");
      return false;
    case Need::kMisplaced:
      ReportField(field.name, key.position(), fmt::format("{} does not belong here", field.name),
                  std::string(field.hint));
      return false;
    case Need::kRequired:
    case Need::kOptional:
      break;
  }
  if (value.kind() != YamlKind::kNull) return true;
  ReportField(field.name, key.position(), fmt::format("{} has no value", field.name),
              "give it one, or remove the field");
  return false;
}

void Reader::Explain(Position position, std::string_view about) {
  diagnostics_.Add(position, Path(), std::string(about), {}, Severity::kNote);
}

void Reader::ReportUnknownField(YamlNode key, const std::vector<FieldName>& names) {
  if (!key.IsScalar() || diagnostics_.full()) return;  // the tree reports keys that are no text
  if (key.text() == kMergeKey) {
    return Report(key.position(), "merge keys (<<) are not supported", "write the fields out");
  }
  std::vector<std::string_view> known;
  std::vector<std::string_view> all;
  for (const FieldName& field : names) {
    all.push_back(field.name);
    if (field.need == Need::kRequired || field.need == Need::kOptional) known.push_back(field.name);
  }
  Report(key.position(), fmt::format("unknown field {}", Quote(key.text())),
         NameRemedy(key.text(), known, all));
}

void Reader::ReportMissing(const FieldName& field, Position position) {
  Report(position, fmt::format("{} is missing", field.name),
         fmt::format("add `{}: {}`", field.name, field.hint));
}

void Reader::ReportType(YamlNode node, std::string_view expected, std::string remedy) {
  Report(node.position(), fmt::format("expected {}, found {}", expected, Describe(node)),
         std::move(remedy));
}

bool Reader::ExpectMapping(YamlNode node) {
  if (node.kind() == YamlKind::kMapping) return true;
  ReportType(node, "a mapping", "write fields as `name: value`");
  return false;
}

bool Reader::ExpectEntries(YamlNode node, size_t entries_max) {
  if (node.kind() != YamlKind::kSequence) {
    ReportType(node, "a list", "write its entries as `- value`");
    return false;
  }
  if (node.size() == 0) {
    Report(node.position(), "the list is empty", "give it an entry, or remove the field");
    return false;
  }
  if (node.size() > entries_max) {
    Report(node.position(), fmt::format("{} entries, more than {}", node.size(), entries_max),
           "split the list");
    return false;
  }
  return true;
}

std::optional<std::string> Reader::String(YamlNode node) {
  std::optional<std::string> text = Bytes(node);
  if (!text || text->find('\0') == text->npos) return text;
  Report(node.position(), "a text contains a NUL byte",
         "remove it: no path and no name contains one");
  return std::nullopt;
}

std::optional<std::string> Reader::Bytes(YamlNode node) {
  const bool string =
      node.kind() == YamlKind::kString ||
      (node.kind() == YamlKind::kPlain && TypeOfPlain(node.text()) == ScalarType::kString);
  if (string) return std::string(node.text());
  ReportType(node, "a string", node.IsScalar() ? "put it in quotes" : "write one text");
  return std::nullopt;
}

std::optional<bool> Reader::Bool(YamlNode node) {
  std::optional<bool> value;
  if (node.kind() == YamlKind::kPlain) value = ReadBool(node.text());
  if (!value) ReportType(node, "a boolean", "write true or false, without quotes");
  return value;
}

std::optional<int64_t> Reader::Integer(YamlNode node, int64_t least, int64_t most) {
  std::optional<int64_t> value;
  if (node.kind() == YamlKind::kPlain) value = ReadInteger(node.text());
  if (value && *value >= least && *value <= most) return value;
  const std::string remedy = fmt::format("write a number from {} to {}", least, most);
  if (value) {
    Report(node.position(), fmt::format("{} is out of range", *value), remedy);
  } else {
    ReportType(node, "an integer", remedy);
  }
  return std::nullopt;
}

void Reader::ReportUnsupportedName(Position position, std::string_view noun, std::string_view name,
                                   const std::vector<std::string_view>& known) {
  Report(position, fmt::format("{} {} is not supported yet", noun, Quote(name)),
         fmt::format("supported here: {}", fmt::join(known, ", ")));
}

void Reader::ReportUnknownName(Position position, std::string_view noun, std::string_view name,
                               const std::vector<std::string_view>& known,
                               const std::vector<std::string_view>& near) {
  if (diagnostics_.full()) return;
  Report(position, fmt::format("unknown {} {}", noun, Quote(name)), NameRemedy(name, known, near));
}

}  // namespace gatehouse::policy

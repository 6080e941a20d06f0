// SPDX-License-Identifier: Apache-2.0
#include "policy/values.h"

#include <fmt/format.h>

#include "policy/names.h"

namespace gatehouse::policy {
namespace {

/// Whether a resolved path can be `path`, which begins with `/`: every component has a name.
bool IsResolved(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == "..") return false;
    path.remove_prefix(component.size());
  }
  return true;
}

/// The kernel gives the path of the file itself: absolute, links and dots resolved.
void CheckPath(Reader& reader, Position position, std::string_view path, gh_match match) {
  if (match == GH_MATCH_POSTFIX) return;
  if (!path.starts_with('/')) {
    reader.Report(position,
                  fmt::format("{} is not an absolute path, so it never matches", Quote(path)),
                  fmt::format("write the whole path, or use Postfix with {}",
                              Quote("/" + std::string(path))));
  } else if (match == GH_MATCH_EXACT && !IsResolved(path)) {
    reader.Report(position,
                  fmt::format("{} is not a resolved path, so it never matches", Quote(path)),
                  "remove empty, . and .. components and a / at the end");
  }
}

void CheckValue(Reader& reader, Position position, std::string_view value, const ValueUse& use) {
  if (!use.kind) return;
  switch (*use.kind) {
    case ValueKind::kPath:
      return CheckPath(reader, position, value, use.match);
  }
}

}  // namespace

Values ReadLiterals(Reader& reader, YamlNode node, const ValueUse& use) {
  constexpr size_t kValueBytesMax = GH_PATH_MAX - 1;
  Values values;
  values.position = node.position();
  values.literals.reserve(std::min(node.size(), reader.limits().values_per_filter));
  reader.Entries(node, reader.limits().values_per_filter, [&](YamlNode entry) {
    std::optional<std::string> value = ReadText(reader, entry, kValueBytesMax);
    if (!value) return;
    CheckValue(reader, entry.position(), *value, use);
    values.literals.push_back(std::move(*value));
  });
  return values;
}

}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
#include "policy/values.h"

#include <fmt/format.h>

#include "policy/addresses.h"
#include "policy/catalog.h"
#include "policy/names.h"
#include "policy/numbers.h"

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

std::string NotAbsolute(std::string_view path) {
  return fmt::format("{} is not an absolute path, so it never matches", Quote(path));
}

std::string RemedyOfNotAbsolute(std::string_view path) {
  return fmt::format("write the whole path, or use Postfix with {}",
                     Quote("/" + std::string(path)));
}

/// A head that no path has. Beside others it does no harm, and published policies have such values.
bool IsHeadOfNoPath(std::string_view value, const ValueUse& use) {
  return TraitsOf(use.type).values == ValueKind::kPath && !value.starts_with('/') &&
         TraitsOf(use.op, ValueKind::kPath).match == GH_MATCH_PREFIX;
}

/// The kernel gives the path of the file itself: absolute, links and dots resolved.
Result<void> CheckPath(std::string_view path, const ValueUse& use) {
  const gh_match match = TraitsOf(use.op, ValueKind::kPath).match;
  if (match != GH_MATCH_EXACT) return {};
  if (path == "/" && use.type != ArgumentType::kLinuxBinprm) return {};  // no program, but a file
  if (!path.starts_with('/')) {
    return Fail(ErrorCode::kInvalid, {}, NotAbsolute(path), RemedyOfNotAbsolute(path));
  }
  if (!IsResolved(path)) {
    return Fail(ErrorCode::kInvalid, {},
                fmt::format("{} is not a resolved path, so it never matches", Quote(path)),
                "remove empty, . and .. components and a / at the end");
  }
  return {};
}

}  // namespace

Result<void> CheckValue(std::string_view value, const ValueUse& use) {
  switch (TraitsOf(use.type).values) {
    case ValueKind::kPath:
      return CheckPath(value, use);
    case ValueKind::kString:
    case ValueKind::kSocket:
      return {};
    case ValueKind::kAddress:
      GH_TRY(ReadAddresses(value));
      return {};
    case ValueKind::kNumber:
    case ValueKind::kCapability:
    case ValueKind::kCapabilityMask:
    case ValueKind::kBpfCommand:
    case ValueKind::kProtocol:
    case ValueKind::kFamily:
    case ValueKind::kState:
    case ValueKind::kFileType:
    case ValueKind::kNamespace:
    case ValueKind::kCapabilities:
      GH_TRY(ReadRanges(use.type, use.op, value));
      return {};
  }
  __builtin_unreachable();
}

Values ReadLiterals(Reader& reader, YamlNode node, const std::optional<ValueUse>& use) {
  constexpr size_t kValueBytesMax = GH_PATH_MAX - 1;
  Values values;
  values.position = node.position();
  values.literals.reserve(std::min(node.size(), reader.limits().values_per_filter));
  reader.Entries(node, reader.limits().values_per_filter, [&](YamlNode entry) {
    // Of process ids the language has numbers, of everything else texts.
    const bool bare = use && use->type == ArgumentType::kPid && entry.kind() == YamlKind::kPlain;
    std::optional<std::string> value =
        bare ? std::optional(std::string(entry.text())) : ReadText(reader, entry, kValueBytesMax);
    if (!value) return;
    if (const Result<void> usable = use ? CheckValue(*value, *use) : Result<void>(); !usable) {
      reader.Report(entry.position(), usable.error().cause, usable.error().remedy);
    } else if (use && IsHeadOfNoPath(*value, *use)) {
      reader.Warn(entry.position(), NotAbsolute(*value), RemedyOfNotAbsolute(*value));
    }
    values.literals.push_back(std::move(*value));
  });
  return values;
}

}  // namespace gatehouse::policy

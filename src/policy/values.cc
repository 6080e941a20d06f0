// SPDX-License-Identifier: Apache-2.0
#include "policy/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "glob/pattern.h"
#include "policy/addresses.h"
#include "policy/catalog.h"
#include "policy/file_identity.h"
#include "policy/format.h"
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

bool IsGlob(Operator op) { return op == Operator::kGlob || op == Operator::kNotGlob; }

/// A pattern whose braces somebody may take for alternatives.
bool HasBraces(std::string_view value, const ValueUse& use) {
  const size_t open = value.find('{');
  return IsGlob(use.op) && open != value.npos && value.find(',', open) != value.npos &&
         value.find('}', open) != value.npos;
}

Result<void> CheckGlob(std::string_view value, ValueKind values) {
  GH_TRY(glob::Parse(value));
  if (values != ValueKind::kPath || value.starts_with('/') || value.starts_with('*')) return {};
  return Fail(ErrorCode::kInvalid, {}, NotAbsolute(value),
              fmt::format("write the whole path, or {}", Quote("**/" + std::string(value))));
}

/// The kernel gives the path of the file itself: absolute, links and dots resolved.
Result<void> CheckPath(std::string_view path, const ValueUse& use) {
  const gh_match match = TraitsOf(use.op, ValueKind::kPath).match;
  const bool of_directory = use.op == Operator::kInDirectory || use.op == Operator::kNotInDirectory;
  if (match != GH_MATCH_EXACT && !of_directory) return {};
  // No program, but a file; and where programs are.
  if (path == "/" && (of_directory || use.type != ArgumentType::kLinuxBinprm)) return {};
  if (!path.starts_with('/')) {
    return Fail(ErrorCode::kInvalid, {}, NotAbsolute(path),
                of_directory ? "write the whole path" : RemedyOfNotAbsolute(path));
  }
  if (!IsResolved(path)) {
    return Fail(ErrorCode::kInvalid, {},
                fmt::format("{} is not a resolved path, so it never matches", Quote(path)),
                "remove empty, . and .. components and a / at the end");
  }
  return {};
}

}  // namespace

std::vector<std::string> PatternsOf(Operator op, std::string_view value) {
  switch (op) {
    case Operator::kSubString:
    case Operator::kSubStringIgnoringCase:
      return {glob::Containing(value, op == Operator::kSubStringIgnoringCase)};
    case Operator::kInDirectory:
    case Operator::kNotInDirectory:
      return {glob::Literally(value), glob::Below(value)};
    default:
      return {std::string(value)};
  }
}

Result<void> CheckValue(std::string_view value, const ValueUse& use) {
  if (IsGlob(use.op)) return CheckGlob(value, TraitsOf(use.type).values);
  switch (TraitsOf(use.type).values) {
    case ValueKind::kPath:
      return CheckPath(value, use);
    case ValueKind::kString:
    case ValueKind::kBytes:
    case ValueKind::kSocket:
      return {};
    case ValueKind::kAddress:
      GH_TRY(ReadAddresses(value));
      return {};
    case ValueKind::kFileIdentity:
      if (!value.starts_with('/')) GH_TRY(ReadFileIdentity(value));
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
    case ValueKind::kNamespaceKinds:
      GH_TRY(ReadRanges(use.type, use.op, value));
      return {};
  }
  __builtin_unreachable();
}

Result<void> CheckFilter(const Filter& filter, const Hook& hook) {
  const SubjectTraits traits = TraitsOf(filter, hook);
  const std::span<const Operator> operators = TraitsOf(traits.type).operators;
  if (std::ranges::find(operators, filter.op) == operators.end()) {
    std::vector<std::string_view> names;
    for (const Operator each : operators) names.push_back(NameOf(each));
    return Fail(ErrorCode::kInvalid, {},
                fmt::format("{} does not apply to {}", NameOf(filter.op), NameOf(traits.type)),
                names.empty() ? "remove the filter" : NameRemedy("", names, names));
  }
  for (const std::string& value : filter.values.literals) {
    GH_TRY(CheckValue(value, {traits.operand, filter.op}));
  }
  return {};
}

Values ReadLiterals(Reader& reader, YamlNode node, const std::optional<ValueUse>& use,
                    const std::vector<NameList>& lists) {
  constexpr size_t kValueBytesMax = GH_PATH_MAX - 1;
  const bool takes_lists = use && TakesLists(use->type);
  std::vector<std::string> named;  // lists
  Values values;
  values.position = node.position();
  values.literals.reserve(std::min(node.size(), reader.limits().values_per_filter));
  reader.Entries(node, reader.limits().values_per_filter, [&](YamlNode entry) {
    // Of process ids the language has numbers, of everything else texts.
    const bool bare = use && use->type == ArgumentType::kPid && entry.kind() == YamlKind::kPlain;
    const bool bytes = !use || TraitsOf(use->type).values == ValueKind::kBytes;
    std::optional<std::string> value = bare    ? std::optional(std::string(entry.text()))
                                       : bytes ? ReadBytes(reader, entry, kValueBytesMax)
                                               : ReadText(reader, entry, kValueBytesMax);
    if (!value) return;
    if (takes_lists && value->starts_with(kListPrefix)) {
      if (std::ranges::find(named, *value) != named.end()) {
        return reader.Report(entry.position(), fmt::format("{} is there twice", Quote(*value)),
                             "remove one of the two");
      }
      std::ranges::move(ReadNumbersOfList(reader, entry, lists, use->type, use->op),
                        std::back_inserter(values.literals));
      named.push_back(std::move(*value));
      return;
    }
    if (const Result<void> usable = use ? CheckValue(*value, *use) : Result<void>(); !usable) {
      reader.Report(entry.position(), usable.error().cause, usable.error().remedy);
    } else if (use && IsHeadOfNoPath(*value, *use)) {
      reader.Warn(entry.position(), NotAbsolute(*value), RemedyOfNotAbsolute(*value));
    } else if (use && HasBraces(*value, *use)) {
      reader.Warn(entry.position(), "braces in a pattern stand for themselves",
                  "write a value for each alternative");
    }
    values.literals.push_back(std::move(*value));
  });
  return values;
}

}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
#include "policy/selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kRequirementsMax = 1024;

/// Reports a key that cannot be one of this selector's.
using CheckKey = void (*)(Reader&, Position, const std::string& key);

struct SelectorDraft {
  CheckKey check_key;
  LabelSelector selector;
};

void CheckLabelKey(Reader& reader, Position position, const std::string& key) {
  if (IsLabelKey(key)) return;
  reader.Report(position, fmt::format("{} is not a key of a label", Quote(key)),
                "use letters, digits, -, _, ., / and :");
}

void CheckContainerKey(Reader& reader, Position position, const std::string& key) {
  static constexpr std::array<std::string_view, 2> kKeys{"name", "repo"};
  if (std::ranges::find(kKeys, key) != kKeys.end()) return;
  const std::vector<std::string_view> known(kKeys.begin(), kKeys.end());
  reader.ReportUnknownName(position, "key of containers", key, known, known);
}

void ReadMatchLabels(Reader& reader, YamlNode node, SelectorDraft& draft) {
  if (!reader.ExpectMapping(node)) return;
  node.EachPair([&](YamlNode key, YamlNode value) {
    if (!key.IsScalar()) return;
    const Reader::Scope scope(reader, key.text());
    const std::string name(key.text());
    draft.check_key(reader, key.position(), name);
    if (std::optional<std::string> text = reader.String(value)) {
      draft.selector.requirements.push_back({name, LabelOperator::kIn, {std::move(*text)}});
    }
  });
}

struct RequirementDraft {
  CheckKey check_key;
  std::optional<LabelOperator> op;
  std::optional<Position> values;
  LabelRequirement requirement;
};

constexpr std::array kRequirementFields{
    Field<RequirementDraft>{{"key", Need::kRequired, "app"},
                            [](Reader& reader, YamlNode node, RequirementDraft& draft) {
                              const std::optional<std::string> key = reader.String(node);
                              if (!key) return;
                              draft.check_key(reader, node.position(), *key);
                              draft.requirement.key = *key;
                            },
                            "the key of a label"},
    Field<RequirementDraft>{{"operator", Need::kRequired, "In"},
                            [](Reader& reader, YamlNode node, RequirementDraft& draft) {
                              draft.op = reader.Name(node, "operator", LabelOperators());
                            },
                            "In, NotIn, Exists or DoesNotExist"},
    Field<RequirementDraft>{{"values"},
                            [](Reader& reader, YamlNode node, RequirementDraft& draft) {
                              draft.values = node.position();
                              reader.Entries(node, reader.limits().values_per_filter,
                                             [&](YamlNode entry) {
                                               if (auto value = reader.String(entry)) {
                                                 draft.requirement.values.push_back(*value);
                                               }
                                             });
                            },
                            "values of the label"},
};

void ReadRequirement(Reader& reader, YamlNode node, SelectorDraft& selector) {
  RequirementDraft draft{selector.check_key, {}, {}, {}};
  if (!reader.Fields<RequirementDraft>(node, kRequirementFields, draft) || !draft.op) return;
  const bool takes_values = *draft.op == LabelOperator::kIn || *draft.op == LabelOperator::kNotIn;
  if (takes_values && !draft.values) {
    reader.Report(node.position(), "values is missing", "add the values to compare with");
  } else if (!takes_values && draft.values) {
    reader.ReportField("values", *draft.values, "this operator takes no values", "remove them");
  }
  LabelRequirement& requirement = draft.requirement;
  requirement.op = *draft.op;
  std::ranges::sort(requirement.values);
  const auto repeated = std::ranges::unique(requirement.values);
  requirement.values.erase(repeated.begin(), repeated.end());
  selector.selector.requirements.push_back(std::move(requirement));
}

constexpr std::array kSelectorFields{
    Field<SelectorDraft>{
        {"matchLabels"}, ReadMatchLabels, "labels and the values that they must have"},
    Field<SelectorDraft>{{"matchExpressions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           reader.Entries(node, kRequirementsMax, [&](YamlNode entry) {
                             ReadRequirement(reader, entry, draft);
                           });
                         },
                         "conditions on labels; all must hold"},
};

LabelSelector ReadLabelSelector(Reader& reader, YamlNode node, CheckKey check_key) {
  SelectorDraft draft{check_key, {}};
  reader.Fields<SelectorDraft>(node, kSelectorFields, draft);
  return std::move(draft.selector);
}

}  // namespace

LabelSelector ReadPodSelector(Reader& reader, YamlNode node) {
  return ReadLabelSelector(reader, node, CheckLabelKey);
}

LabelSelector ReadNodeSelector(Reader& reader, YamlNode node) {
  return ReadLabelSelector(reader, node, CheckLabelKey);
}

LabelSelector ReadContainerSelector(Reader& reader, YamlNode node) {
  return ReadLabelSelector(reader, node, CheckContainerKey);
}

bool ReadHostSelector(Reader& reader, YamlNode node) {
  if (!reader.ExpectMapping(node)) return false;
  if (node.size() == 0) return true;
  reader.Report(node.position(), "a host cannot be selected by labels", "write `hostSelector: {}`");
  return false;
}

}  // namespace gatehouse::policy

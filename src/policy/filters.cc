// SPDX-License-Identifier: Apache-2.0
#include "policy/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/values.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kArgumentsOfFilter = 1;  // operators on two arguments are not supported yet
constexpr int64_t kPositionMax = UINT32_MAX;

struct FilterDraft {
  Subject subject = Subject::kArgument;
  const Hook& hook;
  VariableScope& variables;
  std::optional<YamlNode> index;
  std::optional<YamlNode> args;
  std::optional<Operator> op;
  std::optional<YamlNode> values;
  std::optional<YamlNode> variable;
};

void ReadOperator(Reader& reader, YamlNode node, FilterDraft& draft) {
  draft.op = reader.Name(node, "operator", Operators());
}

constexpr std::array kArgumentFilterFields{
    Field<FilterDraft>{{"index"}, Keep<FilterDraft, &FilterDraft::index>},
    Field<FilterDraft>{{"args"}, Keep<FilterDraft, &FilterDraft::args>},
    Field<FilterDraft>{{"operator", Need::kRequired, "In"}, ReadOperator},
    Field<FilterDraft>{{"values"}, Keep<FilterDraft, &FilterDraft::values>},
    Field<FilterDraft>{{"valuesFromVariable"}, Keep<FilterDraft, &FilterDraft::variable>},
};

constexpr std::array kBinaryFilterFields{
    Field<FilterDraft>{{"operator", Need::kRequired, "In"}, ReadOperator},
    Field<FilterDraft>{{"values"}, Keep<FilterDraft, &FilterDraft::values>},
    Field<FilterDraft>{{"valuesFromVariable"}, Keep<FilterDraft, &FilterDraft::variable>},
    Field<FilterDraft>{{"followChildren", Need::kOnlyFalse}},
};

/// `index: N`: the argument declared with the kernel's index N.
std::optional<uint32_t> FindByIndex(Reader& reader, YamlNode node, const Hook& hook) {
  const Reader::Scope scope(reader, "index");
  const std::optional<int64_t> index = reader.Integer(node, 0, kPositionMax);
  if (!index) return std::nullopt;
  for (uint32_t i = 0; i < hook.arguments.size(); ++i) {
    if (hook.arguments[i].index == *index) return i;
  }
  reader.Report(node.position(), fmt::format("args declares no argument with index {}", *index),
                "declare it in args of this hook, with its type");
  return std::nullopt;
}

/// `args: [N]`: the N-th declared argument.
std::optional<uint32_t> FindByPosition(Reader& reader, YamlNode node, const Hook& hook) {
  const Reader::Scope scope(reader, "args");
  std::optional<uint32_t> found;
  reader.Entries(node, kArgumentsOfFilter, [&](YamlNode entry) {
    const std::optional<int64_t> position = reader.Integer(entry, 0, kPositionMax);
    if (!position) return;
    if (static_cast<uint64_t>(*position) < hook.arguments.size()) {
      found = static_cast<uint32_t>(*position);
    } else {
      reader.Report(
          entry.position(),
          fmt::format("args of this hook has {} entries, counted from 0", hook.arguments.size()),
          "declare the argument there, with its type");
    }
  });
  return found;
}

/// Reports a field that a filter needs. `complete` is false if a field was misspelt or had no
/// value: that is reported already.
void ReportMissing(Reader& reader, YamlNode node, bool complete, std::string_view field,
                   std::string remedy) {
  if (complete)
    reader.Report(node.position(), fmt::format("{} is missing", field), std::move(remedy));
}

std::optional<uint32_t> FindArgument(Reader& reader, YamlNode node, const FilterDraft& draft,
                                     bool complete) {
  if (draft.index && draft.args) {
    reader.Report(node.position(), "index and args both say which argument",
                  "remove one of the two");
    return std::nullopt;
  }
  if (draft.index) return FindByIndex(reader, *draft.index, draft.hook);
  if (draft.args) return FindByPosition(reader, *draft.args, draft.hook);
  ReportMissing(reader, node, complete, "index", "add `index: 0`");
  return std::nullopt;
}

/// Whether an operator is for this kind of value; if not, it is reported.
bool CheckOperator(Reader& reader, Position position, Operator op, std::span<const Operator> known,
                   std::string_view noun) {
  if (std::ranges::find(known, op) != known.end()) return true;
  std::vector<std::string_view> names;
  for (const Operator each : known) names.push_back(NameOf(each));
  reader.ReportField("operator", position, fmt::format("{} does not apply to {}", NameOf(op), noun),
                     NameRemedy("", names, names));
  return false;
}

/// `use` is absent if the operator is wrong, so that nothing is to be said about the values.
Values ReadFilterValues(Reader& reader, YamlNode node, FilterDraft& draft, ArgumentType type,
                        const std::optional<ValueUse>& use, bool complete) {
  Values values;
  if (draft.values && draft.variable) {
    reader.Report(node.position(), "values and valuesFromVariable are both there",
                  "remove one of the two");
  } else if (draft.values) {
    const Reader::Scope scope(reader, "values");
    values = ReadLiterals(reader, *draft.values, use);
  } else if (draft.variable) {
    const Reader::Scope scope(reader, "valuesFromVariable");
    values.variable = draft.variables.Use(reader, *draft.variable, type);
    values.position = draft.variable->position();
  } else {
    ReportMissing(reader, node, complete, "values", "add the values to compare with");
  }
  return values;
}

std::optional<Filter> ReadFilter(Reader& reader, YamlNode node, FilterDraft draft) {
  const bool of_argument = draft.subject == Subject::kArgument;
  const size_t reports = reader.reports();
  const bool mapping = of_argument ? reader.Fields<FilterDraft>(node, kArgumentFilterFields, draft)
                                   : reader.Fields<FilterDraft>(node, kBinaryFilterFields, draft);
  if (!mapping) return std::nullopt;
  const bool complete = reader.reports() == reports;
  Filter filter;
  filter.subject = draft.subject;
  filter.position = node.position();
  ArgumentType type = kBinaryType;
  std::string_view noun = NameOf(Subject::kBinary);
  if (of_argument) {
    const std::optional<uint32_t> argument = FindArgument(reader, node, draft, complete);
    if (!argument) return std::nullopt;
    filter.argument = *argument;
    type = draft.hook.arguments[*argument].type;
    noun = NameOf(type);
  }
  if (!draft.op) return std::nullopt;
  filter.op = *draft.op;
  std::optional<ValueUse> use;
  if (CheckOperator(reader, node.position(), filter.op, TraitsOf(type).operators, noun)) {
    use = {type, filter.op};
  }
  filter.values = ReadFilterValues(reader, node, draft, type, use, complete);
  return filter;
}

struct SelectorDraft {
  const Hook& hook;
  VariableScope& variables;
  Selector selector;
};

template <Subject FilterSubject>
void ReadFilters(Reader& reader, YamlNode node, SelectorDraft& draft) {
  reader.Entries(node, GH_FILTERS_PER_RULE_MAX, [&](YamlNode entry) {
    std::optional<Filter> filter =
        ReadFilter(reader, entry, {FilterSubject, draft.hook, draft.variables, {}, {}, {}, {}, {}});
    if (filter) draft.selector.filters.push_back(std::move(*filter));
  });
}

constexpr std::array kSelectorFields{
    Field<SelectorDraft>{{"matchArgs"}, ReadFilters<Subject::kArgument>},
    Field<SelectorDraft>{{"matchBinaries"}, ReadFilters<Subject::kBinary>},
    Field<SelectorDraft>{{"matchActions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.selector.actions = ReadActions(reader, node);
                         }},
    Field<SelectorDraft>{{"matchPIDs", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchData", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchReturnArgs", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchReturnActions", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchParentBinaries", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchNamespaces", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchNamespaceChanges", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchCapabilities", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchCapabilityChanges", Need::kUnsupported}},
    Field<SelectorDraft>{{"matchWorkloads", Need::kUnsupported}},
    Field<SelectorDraft>{{"macros", Need::kUnsupported}},
};

}  // namespace

std::vector<Selector> ReadSelectors(Reader& reader, YamlNode node, const Hook& hook,
                                    VariableScope& variables) {
  std::vector<Selector> selectors;
  reader.Entries(node, GH_RULES_PER_POLICY_MAX, [&](YamlNode entry) {
    SelectorDraft draft{hook, variables, {}};
    draft.selector.position = entry.position();
    if (!reader.Fields<SelectorDraft>(entry, kSelectorFields, draft)) return;
    if (draft.selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      reader.Report(entry.position(),
                    fmt::format("{} filters in one selector, more than {}",
                                draft.selector.filters.size(), int{GH_FILTERS_PER_RULE_MAX}),
                    "put values of the same operator into one filter");
    }
    selectors.push_back(std::move(draft.selector));
  });
  return selectors;
}

}  // namespace gatehouse::policy

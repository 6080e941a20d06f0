// SPDX-License-Identifier: Apache-2.0
#include "policy/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "policy/catalog.h"
#include "policy/expression.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/values.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kArgumentsOfFilter = 2;  // the second is for CapabilitiesGained alone
constexpr int64_t kPositionMax = UINT32_MAX;

struct FilterDraft {
  const Hook& hook;
  const UnknownTypes& unknown;
  VariableScope& variables;
  const std::vector<NameList>& lists;
  std::optional<YamlNode> index = {};
  std::optional<YamlNode> args = {};
  std::optional<uint32_t> other = {};  // argument
  std::optional<uint32_t> which = {};  // namespace, set of capabilities
  bool of_namespace = false;           // process id, capabilities
  bool of_ancestors = false;           // process id
  bool of_descent = false;             // program
  std::optional<Operator> op = {};
  std::optional<YamlNode> values = {};
  std::optional<YamlNode> variable = {};
};

void ReadOperator(Reader& reader, YamlNode node, FilterDraft& draft) {
  draft.op = reader.Name(node, "operator", Operators());
}

void ReadOfNamespace(Reader& reader, YamlNode node, FilterDraft& draft) {
  draft.of_namespace = reader.Bool(node).value_or(false);
}

constexpr Field<FilterDraft> kOperatorField{
    {"operator", Need::kRequired, "In"}, ReadOperator, "how the value is compared"};
constexpr Field<FilterDraft> kValuesField{{"values"},
                                          Keep<FilterDraft, &FilterDraft::values>,
                                          "what it is compared with: one of these is enough"};
constexpr Field<FilterDraft> kVariableField{
    {"valuesFromVariable"},
    Keep<FilterDraft, &FilterDraft::variable>,
    "the variable of the template that stands for the values"};

constexpr std::array kArgumentFilterFields{
    Field<FilterDraft>{
        {"index"}, Keep<FilterDraft, &FilterDraft::index>, "the argument declared with this index"},
    Field<FilterDraft>{{"args"},
                       Keep<FilterDraft, &FilterDraft::args>,
                       "the argument by its position in args of the hook, from 0"},
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kReturnFilterFields{
    Field<FilterDraft>{
        {"index"}, Keep<FilterDraft, &FilterDraft::index>, "the argument declared with this index"},
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kBinaryFilterFields{
    kOperatorField,
    kValuesField,
    kVariableField,
    Field<FilterDraft>{{"followChildren"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.of_descent = reader.Bool(node).value_or(false);
                       },
                       "also what descends from these programs"},
};

constexpr std::array kPlainFilterFields{
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kPidFilterFields{
    kOperatorField,
    kValuesField,
    kVariableField,
    Field<FilterDraft>{
        {"isNamespacePID"}, ReadOfNamespace, "ids in the process's own pid namespace"},
    Field<FilterDraft>{{"followForks"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.of_ancestors = reader.Bool(node).value_or(false);
                       },
                       "also the ids of its ancestors"},
};

constexpr std::array kNamespaceFilterFields{
    Field<FilterDraft>{{"namespace", Need::kRequired, "Net"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.which = reader.Name(node, "namespace", Namespaces());
                       },
                       "the kind of namespace"},
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kCapabilityFilterFields{
    Field<FilterDraft>{{"type"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.which = reader.Name(node, "set of capabilities", CapabilitySets());
                       },
                       "which set of capabilities; Effective if it is not said"},
    kOperatorField,
    kValuesField,
    kVariableField,
    Field<FilterDraft>{{"isNamespaceCapability"},
                       ReadOfNamespace,
                       "and the process is in a user namespace that is not the host's"},
};

/// `index: N`: the argument declared with the kernel's index N; of a tracepoint, whose fields begin
/// with four that no policy declares, else the N-th declared one.
std::optional<uint32_t> FindByIndex(Reader& reader, YamlNode node, const Hook& hook) {
  const Reader::Scope scope(reader, "index");
  const std::optional<int64_t> index = reader.Integer(node, 0, kPositionMax);
  if (!index) return std::nullopt;
  for (uint32_t i = 0; i < hook.arguments.size(); ++i) {
    if (hook.arguments[i].index == *index) return i;
  }
  if (hook.kind == HookKind::kTracepoint && std::cmp_less(*index, hook.arguments.size())) {
    return static_cast<uint32_t>(*index);
  }
  reader.Report(node.position(), fmt::format("args declares no argument with index {}", *index),
                "declare it in args of this hook, with its type");
  return std::nullopt;
}

/// `args: [N]`: the N-th declared argument; nothing, reported, for one that is not declared.
std::vector<uint32_t> FindByPosition(Reader& reader, YamlNode node, const Hook& hook) {
  const Reader::Scope scope(reader, "args");
  std::vector<uint32_t> found;
  reader.Entries(node, kArgumentsOfFilter, [&](YamlNode entry) {
    const std::optional<int64_t> position = reader.Integer(entry, 0, kPositionMax);
    if (!position) return;
    if (static_cast<uint64_t>(*position) < hook.arguments.size()) {
      found.push_back(static_cast<uint32_t>(*position));
    } else {
      reader.Report(
          entry.position(),
          fmt::format("args of this hook has {} entries, counted from 0", hook.arguments.size()),
          "declare the argument there, with its type");
    }
  });
  return found;
}

/// CapabilitiesGained is about two arguments, every other operator about one.
void CheckOther(Reader& reader, YamlNode node, const FilterDraft& draft) {
  const bool gained = draft.op == Operator::kCapabilitiesGained;
  if (gained != draft.other.has_value()) {
    reader.ReportField(
        "args", node.position(),
        gained ? "CapabilitiesGained compares two arguments"
               : fmt::format("{} is about one argument", NameOf(*draft.op)),
        gained ? "write `args: [0, 1]`: the set before, and the set after" : "name one");
  } else if (gained) {
    const ArgumentType type = draft.hook.arguments[*draft.other].type;
    if (TraitsOf(type).values == ValueKind::kCapabilityMask) return;
    reader.ReportField("args", node.position(),
                       fmt::format("the second argument is a {}", NameOf(type)),
                       "name one of type kernel_cap_t, cap_effective, cap_permitted or "
                       "cap_inheritable");
  }
}

/// The `index`-th value of `data`.
std::optional<uint32_t> FindData(Reader& reader, YamlNode node, const Hook& hook) {
  const Reader::Scope scope(reader, "index");
  const std::optional<int64_t> index = reader.Integer(node, 0, kPositionMax);
  if (!index) return std::nullopt;
  if (std::cmp_less(*index, hook.data.size())) return static_cast<uint32_t>(*index);
  reader.Report(node.position(),
                fmt::format("data of this hook has {} entries, counted from 0", hook.data.size()),
                "declare the value there, with its type");
  return std::nullopt;
}

/// Reports a field that a filter needs. `complete` is false if a field was misspelt or had no
/// value: that is reported already.
void ReportMissing(Reader& reader, YamlNode node, bool complete, std::string_view field,
                   std::string remedy) {
  if (complete)
    reader.Report(node.position(), fmt::format("{} is missing", field), std::move(remedy));
}

/// What is returned has no index but 0.
bool FindReturned(Reader& reader, YamlNode node, const FilterDraft& draft) {
  if (!draft.hook.returned) {
    reader.Report(node.position(), "the hook does not ask for what is returned",
                  "add `return: true` and returnArg to it");
    return false;
  }
  if (!draft.index) return true;
  const Reader::Scope scope(reader, "index");
  return reader.Integer(*draft.index, 0, 0).has_value();
}

std::optional<uint32_t> FindArgument(Reader& reader, YamlNode node, FilterDraft& draft,
                                     bool complete) {
  if (draft.index && draft.args) {
    reader.Report(node.position(), "index and args both say which argument",
                  "remove one of the two");
    return std::nullopt;
  }
  if (draft.index) return FindByIndex(reader, *draft.index, draft.hook);
  if (draft.args) {
    const std::vector<uint32_t> found = FindByPosition(reader, *draft.args, draft.hook);
    if (found.empty()) return std::nullopt;
    if (found.size() > 1) draft.other = found[1];
    return found[0];
  }
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
                     known.empty() ? "give the argument a type that filters can compare"
                                   : NameRemedy("", names, names));
  return false;
}

/// `use` is absent if the operator is wrong, so that nothing is to be said about the values.
Values ReadFilterValues(Reader& reader, YamlNode node, FilterDraft& draft, ArgumentType type,
                        const std::optional<ValueUse>& use, bool complete) {
  Values values;
  const std::string_view own = use ? ValueOf(use->op) : std::string_view();
  if (!own.empty()) {
    values = {.literals = {std::string(own)}, .variable = {}, .position = node.position()};
    if (!draft.values && !draft.variable) return values;
    reader.Report(node.position(), fmt::format("{} has no values", NameOf(use->op)),
                  "remove them, or use an operator that compares with values");
  } else if (draft.values && draft.variable) {
    reader.Report(node.position(), "values and valuesFromVariable are both there",
                  "remove one of the two");
  } else if (draft.values) {
    const Reader::Scope scope(reader, "values");
    values = ReadLiterals(reader, *draft.values, use, draft.lists);
  } else if (draft.variable) {
    const Reader::Scope scope(reader, "valuesFromVariable");
    values.variable = draft.variables.Use(reader, *draft.variable, type);
    values.position = draft.variable->position();
  } else if (use && !DefaultOf(use->op).empty()) {
    values = {
        .literals = {std::string(DefaultOf(use->op))}, .variable = {}, .position = node.position()};
  } else {
    ReportMissing(reader, node, complete, "values", "add the values to compare with");
  }
  return values;
}

std::span<const Field<FilterDraft>> FieldsOf(Subject subject) {
  switch (subject) {
    case Subject::kArgument:
      return kArgumentFilterFields;
    case Subject::kReturn:
    case Subject::kData:
      return kReturnFilterFields;
    case Subject::kBinary:
    case Subject::kParentBinary:
    case Subject::kDescent:
    case Subject::kParentDescent:
      return kBinaryFilterFields;
    case Subject::kPid:
    case Subject::kNamespacePid:
    case Subject::kAncestors:
    case Subject::kNamespaceAncestors:
      return kPidFilterFields;
    case Subject::kNamespace:
      return kNamespaceFilterFields;
    case Subject::kCapabilities:
    case Subject::kCapabilityChanges:
      return kCapabilityFilterFields;
    case Subject::kNamespaceChanges:
    case Subject::kScript:
      return kPlainFilterFields;
  }
  __builtin_unreachable();
}

/// Which argument, namespace, set of capabilities; nullopt, reported, if that cannot be told.
std::optional<uint32_t> FindWhich(Reader& reader, YamlNode node, Subject subject,
                                  FilterDraft& draft, bool complete) {
  if (subject == Subject::kArgument) return FindArgument(reader, node, draft, complete);
  if (subject == Subject::kData) {
    if (draft.index) return FindData(reader, *draft.index, draft.hook);
    ReportMissing(reader, node, complete, "index", "add `index: 0`");
    return std::nullopt;
  }
  if (subject == Subject::kReturn && !FindReturned(reader, node, draft)) return std::nullopt;
  if (subject == Subject::kNamespace) return draft.which;
  return draft.which.value_or(0);
}

/// Whose process ids a filter is about, and which.
Subject PidOf(const FilterDraft& draft) {
  if (draft.of_ancestors) {
    return draft.of_namespace ? Subject::kNamespaceAncestors : Subject::kAncestors;
  }
  return draft.of_namespace ? Subject::kNamespacePid : Subject::kPid;
}

/// `complete`: see ReportMissing.
std::optional<Filter> MakeFilter(Reader& reader, YamlNode node, Subject subject, FilterDraft& draft,
                                 bool complete) {
  if (subject == Subject::kPid) subject = PidOf(draft);
  if (subject == Subject::kBinary && draft.of_descent) subject = Subject::kDescent;
  if (subject == Subject::kParentBinary && draft.of_descent) subject = Subject::kParentDescent;
  const std::optional<uint32_t> which = FindWhich(reader, node, subject, draft, complete);
  if (!which) return std::nullopt;
  if (draft.unknown.Has(subject, *which)) return std::nullopt;
  if (draft.other && draft.unknown.Has(subject, *draft.other)) return std::nullopt;
  Filter filter;
  filter.subject = subject;
  filter.which = *which;
  filter.position = node.position();
  if (!draft.op) return std::nullopt;
  filter.op = *draft.op;
  filter.other = draft.other;
  if (subject == Subject::kArgument) CheckOther(reader, node, draft);
  const SubjectTraits traits = TraitsOf(filter, draft.hook);
  const ArgumentType type = traits.type;
  std::optional<ValueUse> use;
  const bool of_hook =
      subject == Subject::kArgument || subject == Subject::kReturn || subject == Subject::kData;
  if (CheckOperator(reader, node.position(), filter.op, TraitsOf(type).operators,
                    of_hook ? NameOf(type) : NameOf(subject))) {
    use = {traits.operand, filter.op};
    if (subject == Subject::kParentBinary && traits.operand == ArgumentType::kFileIdentity) {
      reader.ReportField("operator", node.position(),
                         fmt::format("{} does not apply to {}", NameOf(filter.op), NameOf(subject)),
                         "compare its path");
    }
  } else if (type == ArgumentType::kPid) {
    use = {type, Operator::kIn};  // its values are numbers all the same
  }
  filter.values = ReadFilterValues(reader, node, draft, traits.operand, use, complete);
  return filter;
}

/// Of the set that `filter` is about: that any capability has changed.
Filter AnyChange(const Filter& filter) {
  constexpr int kCapabilitiesMax = 64;
  Filter any{.subject = filter.subject,
             .which = filter.which,
             .op = Operator::kIn,
             .values = {{}, {}, filter.position},
             .position = filter.position};
  for (int i = 0; i < kCapabilitiesMax; ++i) any.values.literals.push_back(std::to_string(i));
  return any;
}

/// `operator: CelExpr`, which has one value: the expression.
void ReadExpression(Reader& reader, YamlNode entry, Subject subject, FilterDraft& draft,
                    FilterList& list) {
  if (subject != Subject::kArgument) {
    return reader.ReportField("operator", entry.position(),
                              fmt::format("CelExpr does not apply to {}", NameOf(subject)),
                              "write it in matchArgs");
  }
  if (draft.index || draft.args || draft.variable) {
    return reader.Report(entry.position(), "CelExpr names its arguments itself, in one value",
                         "remove index, args and valuesFromVariable");
  }
  if (!draft.values) return ReportMissing(reader, entry, true, "values", "add the expression");
  const Reader::Scope scope(reader, "values");
  reader.Entries(*draft.values, 1, [&](YamlNode value) {
    const std::optional<std::string> text = reader.String(value);
    if (!text || !draft.unknown.arguments.empty()) return;
    auto alternatives = CompileExpression(*text, draft.hook, value.position());
    if (alternatives) {
      list.expressions.push_back(std::move(*alternatives));
    } else {
      reader.Report(value.position(), alternatives.error().cause, alternatives.error().remedy);
    }
  });
}

/// One entry, which can stand for several filters.
void ReadEntry(Reader& reader, YamlNode entry, Subject subject, const FilterScope& scope,
               FilterList& list) {
  FilterDraft draft{scope.hook, scope.unknown, scope.variables, scope.lists};
  const size_t reports = reader.reports();
  if (!reader.Fields<FilterDraft>(entry, FieldsOf(subject), draft)) return;
  const bool complete = reader.reports() == reports;
  if (draft.op == Operator::kExpression) return ReadExpression(reader, entry, subject, draft, list);
  std::optional<Filter> filter = MakeFilter(reader, entry, subject, draft, complete);
  if (!filter) return;
  std::vector<Filter>& filters = list.filters;
  filters.push_back(std::move(*filter));
  // That none of these has changed is said of a process of which something has.
  if (subject == Subject::kCapabilityChanges && filters.back().op == Operator::kNotIn) {
    filters.push_back(AnyChange(filters.back()));
  }
  if (!draft.of_namespace) return;
  if (subject != Subject::kCapabilities && subject != Subject::kCapabilityChanges) return;
  // A capability counts as one of a namespace only in a user namespace that is not the host's.
  filters.push_back({.subject = Subject::kNamespace,
                     .which = GH_NAMESPACE_USER,
                     .op = Operator::kNotIn,
                     .values = {{std::string(kHostNamespace)}, {}, entry.position()},
                     .position = entry.position()});
}

}  // namespace

void ReadFilters(Reader& reader, YamlNode node, Subject subject, const FilterScope& scope,
                 FilterList& list) {
  reader.Entries(node, GH_FILTERS_PER_RULE_MAX,
                 [&](YamlNode entry) { ReadEntry(reader, entry, subject, scope, list); });
}

void CheckForm(Reader& reader, YamlNode node, Subject subject) {
  const Hook no_hook;
  VariableScope no_variables;
  const std::vector<NameList> no_lists;
  const UnknownTypes none;
  reader.Entries(node, GH_FILTERS_PER_RULE_MAX, [&](YamlNode entry) {
    FilterDraft draft{no_hook, none, no_variables, no_lists};
    reader.Fields<FilterDraft>(entry, FieldsOf(subject), draft);
  });
}

}  // namespace gatehouse::policy

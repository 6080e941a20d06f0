// SPDX-License-Identifier: Apache-2.0
#include "policy/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/selectors.h"
#include "policy/sites.h"
#include "policy/values.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kArgumentsOfFilter = 2;  // the second is for CapabilitiesGained alone
constexpr int64_t kPositionMax = UINT32_MAX;
constexpr size_t kMacrosMax = 64;
constexpr size_t kMacrosOfSelectorMax = 16;  // no more than there are fields
constexpr size_t kMacroNameBytesMax = 63;

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

constexpr Field<FilterDraft> kOperatorField{{"operator", Need::kRequired, "In"}, ReadOperator};
constexpr Field<FilterDraft> kValuesField{{"values"}, Keep<FilterDraft, &FilterDraft::values>};
constexpr Field<FilterDraft> kVariableField{{"valuesFromVariable"},
                                            Keep<FilterDraft, &FilterDraft::variable>};

constexpr std::array kArgumentFilterFields{
    Field<FilterDraft>{{"index"}, Keep<FilterDraft, &FilterDraft::index>},
    Field<FilterDraft>{{"args"}, Keep<FilterDraft, &FilterDraft::args>},
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kReturnFilterFields{
    Field<FilterDraft>{{"index"}, Keep<FilterDraft, &FilterDraft::index>},
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
                       }},
};

constexpr std::array kNamespaceChangeFilterFields{
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kPidFilterFields{
    kOperatorField,
    kValuesField,
    kVariableField,
    Field<FilterDraft>{{"isNamespacePID"}, ReadOfNamespace},
    Field<FilterDraft>{{"followForks"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.of_ancestors = reader.Bool(node).value_or(false);
                       }},
};

constexpr std::array kNamespaceFilterFields{
    Field<FilterDraft>{{"namespace", Need::kRequired, "Net"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.which = reader.Name(node, "namespace", Namespaces());
                       }},
    kOperatorField,
    kValuesField,
    kVariableField,
};

constexpr std::array kCapabilityFilterFields{
    Field<FilterDraft>{{"type"},
                       [](Reader& reader, YamlNode node, FilterDraft& draft) {
                         draft.which = reader.Name(node, "set of capabilities", CapabilitySets());
                       }},
    kOperatorField,
    kValuesField,
    kVariableField,
    Field<FilterDraft>{{"isNamespaceCapability"}, ReadOfNamespace},
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
      return kNamespaceChangeFilterFields;
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

std::optional<Filter> ReadFilter(Reader& reader, YamlNode node, Subject subject,
                                 FilterDraft& draft) {
  const size_t reports = reader.reports();
  if (!reader.Fields<FilterDraft>(node, FieldsOf(subject), draft)) return std::nullopt;
  const bool complete = reader.reports() == reports;
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
  } else if (type == ArgumentType::kPid) {
    use = {type, Operator::kIn};  // its values are numbers all the same
  }
  filter.values = ReadFilterValues(reader, node, draft, traits.operand, use, complete);
  return filter;
}

struct SelectorDraft {
  const Hook* hook;  // null: no selector, but a macro without a hook
  const UnknownTypes& unknown;
  VariableScope& variables;
  const std::vector<NameList>& lists;
  std::optional<YamlNode> macros = {};
  bool has_actions = false;                // before the function, if it is about returns
  std::optional<Position> at_return = {};  // of return_actions
  std::vector<Action> return_actions = {};
  Selector selector = {};
};

/// What can be told of a filter without a hook.
void CheckForm(Reader& reader, YamlNode node, Subject subject) {
  const Hook no_hook;
  VariableScope no_variables;
  const std::vector<NameList> no_lists;
  const UnknownTypes none;
  FilterDraft draft{no_hook, none, no_variables, no_lists};
  reader.Fields<FilterDraft>(node, FieldsOf(subject), draft);
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

template <Subject FilterSubject>
void ReadFilters(Reader& reader, YamlNode node, SelectorDraft& draft) {
  reader.Entries(node, GH_FILTERS_PER_RULE_MAX, [&](YamlNode entry) {
    if (draft.hook == nullptr) return CheckForm(reader, entry, FilterSubject);
    FilterDraft filter_draft{*draft.hook, draft.unknown, draft.variables, draft.lists};
    std::optional<Filter> filter = ReadFilter(reader, entry, FilterSubject, filter_draft);
    if (!filter) return;
    std::vector<Filter>& filters = draft.selector.filters;
    filters.push_back(std::move(*filter));
    // That none of these has changed is said of a process of which something has.
    if (FilterSubject == Subject::kCapabilityChanges && filters.back().op == Operator::kNotIn) {
      filters.push_back(AnyChange(filters.back()));
    }
    if (!filter_draft.of_namespace) return;
    if (FilterSubject != Subject::kCapabilities && FilterSubject != Subject::kCapabilityChanges) {
      return;
    }
    // A capability counts as one of a namespace only in a user namespace that is not the host's.
    filters.push_back({.subject = Subject::kNamespace,
                       .which = GH_NAMESPACE_USER,
                       .op = Operator::kNotIn,
                       .values = {{std::string(kHostNamespace)}, {}, entry.position()},
                       .position = entry.position()});
  });
}

constexpr std::array kWorkloadFields{
    Field<WorkloadSelector>{{"podSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.pod = ReadPodSelector(reader, node);
                            }},
    Field<WorkloadSelector>{{"containerSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.container = ReadContainerSelector(reader, node);
                            }},
    Field<WorkloadSelector>{{"hostSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.host = ReadHostSelector(reader, node);
                            }},
};

/// Null if it says nothing: every workload then.
std::shared_ptr<const WorkloadSelector> ReadWorkloads(Reader& reader, YamlNode node) {
  auto selector = std::make_shared<WorkloadSelector>();
  reader.Fields<WorkloadSelector>(node, kWorkloadFields, *selector);
  return selector->Unconstrained() ? nullptr : selector;
}

constexpr std::array kFragmentFields{
    Field<SelectorDraft>{{"matchArgs"}, ReadFilters<Subject::kArgument>},
    Field<SelectorDraft>{{"matchReturnArgs"}, ReadFilters<Subject::kReturn>},
    Field<SelectorDraft>{{"matchBinaries"}, ReadFilters<Subject::kBinary>},
    Field<SelectorDraft>{{"matchParentBinaries"}, ReadFilters<Subject::kParentBinary>},
    Field<SelectorDraft>{{"matchPIDs"}, ReadFilters<Subject::kPid>},
    Field<SelectorDraft>{{"matchNamespaces"}, ReadFilters<Subject::kNamespace>},
    Field<SelectorDraft>{{"matchCapabilities"}, ReadFilters<Subject::kCapabilities>},
    Field<SelectorDraft>{{"matchActions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.has_actions = true;
                           draft.selector.actions = ReadActions(reader, node);
                         }},
    Field<SelectorDraft>{{"matchReturnActions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.at_return = node.position();
                           draft.return_actions = ReadActions(reader, node);
                         }},
    Field<SelectorDraft>{{"matchData"}, ReadFilters<Subject::kData>},
    Field<SelectorDraft>{{"matchNamespaceChanges"}, ReadFilters<Subject::kNamespaceChanges>},
    Field<SelectorDraft>{{"matchCapabilityChanges"}, ReadFilters<Subject::kCapabilityChanges>},
    Field<SelectorDraft>{{"matchWorkloads"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.selector.workloads = ReadWorkloads(reader, node);
                         }},
};

constexpr auto kSelectorFields =
    Join(kFragmentFields,
         std::array{Field<SelectorDraft>{{"macros"}, Keep<SelectorDraft, &SelectorDraft::macros>}});

constexpr auto kMacroFields = Join(
    kFragmentFields, std::array{Field<SelectorDraft>{{"macros", Need::kMisplaced,
                                                      "write out what it stands for: a macro uses "
                                                      "no other"}}});

size_t CountNodes(YamlNode node) {
  size_t count = 1;
  node.EachEntry([&](YamlNode entry) { count += CountNodes(entry); });
  node.EachPair(
      [&](YamlNode key, YamlNode value) { count += CountNodes(key) + CountNodes(value); });
  return count;
}

/// The macro that `node` names; null, reported, if there is none.
const Macro* FindMacro(Reader& reader, YamlNode node, const std::vector<Macro>& macros) {
  const std::optional<std::string> name = reader.String(node);
  if (!name) return nullptr;
  const auto found = std::ranges::find(macros, *name, &Macro::name);
  if (found != macros.end()) return &*found;
  std::vector<std::string_view> known;
  for (const Macro& macro : macros) known.push_back(macro.name);
  reader.Report(node.position(), fmt::format("there is no macro {}", Quote(*name)),
                known.empty() ? fmt::format("declare it in spec.{}", kMacrosField)
                              : NameRemedy(*name, known, known));
  return nullptr;
}

/// Adds to a selector what the macros say that it names. Each field is from one place: filters of
/// two would look like one list and be in no order that can be seen.
void MergeMacros(Reader& reader, YamlNode selector, const std::vector<Macro>& macros,
                 SelectorDraft& draft) {
  if (!draft.macros) return;
  std::map<std::string_view, std::string> places;  // of fields
  selector.EachPair([&](YamlNode key, YamlNode) {
    places.emplace(key.text(), fmt::format("the selector itself on line {}", key.position().line));
  });
  std::vector<const Macro*> named;
  const Reader::Scope scope(reader, "macros");
  reader.Entries(*draft.macros, kMacrosOfSelectorMax, [&](YamlNode entry) {
    const Macro* const macro = FindMacro(reader, entry, macros);
    if (macro == nullptr || !macro->sound) return;
    if (std::ranges::find(named, macro) != named.end()) {
      return reader.Report(entry.position(),
                           fmt::format("macro {} is there twice", Quote(macro->name)),
                           "remove one of the two");
    }
    named.push_back(macro);
    bool alone = true;
    macro->node.EachPair([&](YamlNode key, YamlNode) {
      const std::string place =
          fmt::format("macro {} on line {}", Quote(macro->name), key.position().line);
      const auto [other, added] = places.emplace(key.text(), place);
      if (added) return;
      alone = false;
      reader.Report(entry.position(),
                    fmt::format("{} is in {} and in {}", key.text(), place, other->second),
                    "have it in one of the two");
    });
    if (!alone || !reader.Expand(macro->nodes, entry.position())) return;
    const Reader::Detour detour(reader, {"spec", kMacrosField, macro->name}, entry.position());
    reader.Fields<SelectorDraft>(macro->node, kMacroFields, draft);
  });
}

/// A filter that holds for whatever is returned; nullopt if that is no number.
std::optional<Filter> AnyReturned(ArgumentType type, Position position) {
  constexpr uint32_t kBitsOfByte = 8;
  const ArgumentTypeTraits traits = TraitsOf(type);
  if (traits.values != ValueKind::kNumber) return std::nullopt;
  const uint64_t all = UINT64_MAX >> (sizeof(uint64_t) - traits.bytes) * kBitsOfByte;
  const auto most = static_cast<int64_t>(all >> 1u);
  const std::string range =
      traits.is_signed ? fmt::format("{}:{}", -most - 1, most) : fmt::format("0:{}", all);
  return Filter{.subject = Subject::kReturn,
                .op = Operator::kInRange,
                .values = {{range}, {}, position},
                .position = position};
}

/// Makes matchReturnActions the actions of the selector: it acts when the function has returned,
/// also if it does not look at what is returned.
void ActAtReturn(Reader& reader, const Hook& hook, SelectorDraft& draft) {
  if (!draft.at_return) return;
  const Reader::Scope scope(reader, "matchReturnActions");
  if (!hook.returned) {
    return reader.Report(*draft.at_return, "the hook does not ask for what is returned",
                         "add `return: true` and returnArg to it");
  }
  if (draft.has_actions) {
    return reader.Report(*draft.at_return, "matchActions is there, too, and a selector acts once",
                         "remove one of the two, or write the hook twice, once for each");
  }
  Selector& selector = draft.selector;
  selector.actions = std::move(draft.return_actions);
  if (!ActsBefore(selector)) return;
  if (auto filter = AnyReturned(hook.returned->type, *draft.at_return)) {
    selector.filters.push_back(std::move(*filter));
  } else {
    reader.Report(*draft.at_return,
                  fmt::format("a selector without matchReturnArgs does this before the function, "
                              "which returns a {}",
                              NameOf(hook.returned->type)),
                  "add matchReturnArgs, or write matchActions");
  }
}

/// Before the function, a selector that looks at what is returned cannot be told to match or not:
/// one that acts before it must not stand behind.
void CheckOrder(Reader& reader, const Hook& hook, const std::vector<Selector>& selectors) {
  const auto first = std::ranges::find_if(selectors, LooksAtReturn);
  if (!hook.returned || first == selectors.end()) return;
  for (const Selector& selector : std::span(first, selectors.end())) {
    const bool overrides = std::ranges::find(selector.actions, ActionKind::kOverride,
                                             &Action::kind) != selector.actions.end();
    if (LooksAtReturn(selector) && overrides) {
      reader.Report(selector.position, "Override comes too late once the function has returned",
                    "use Sigkill, or have it act before the function, by matchActions without "
                    "matchReturnArgs");
    } else if (ActsBefore(selector)) {
      reader.Report(selector.position,
                    fmt::format("this selector acts before the function, and the one on line {} "
                                "decides first, by what is returned",
                                first->position.line),
                    "put this selector before it");
    }
  }
}

}  // namespace

std::vector<Macro> ReadMacros(Reader& reader, YamlNode node) {
  std::vector<Macro> macros;
  if (!reader.ExpectMapping(node)) return macros;
  if (node.size() > kMacrosMax) {
    reader.Report(node.position(), fmt::format("{} macros, more than {}", node.size(), kMacrosMax),
                  "split the policy");
    return macros;
  }
  node.EachPair([&](YamlNode key, YamlNode value) {
    Macro macro{ReadText(reader, key, kMacroNameBytesMax).value_or(""), value};
    const Reader::Scope scope(reader, key.text());
    const size_t reports = reader.reports();
    VariableScope no_variables;
    const std::vector<NameList> no_lists;
    const UnknownTypes none;
    SelectorDraft draft{
        .hook = nullptr, .unknown = none, .variables = no_variables, .lists = no_lists};
    reader.Fields<SelectorDraft>(value, kMacroFields, draft);
    macro.sound = reader.reports() == reports;
    macro.nodes = CountNodes(value);
    macros.push_back(std::move(macro));
  });
  return macros;
}

std::vector<Selector> ReadSelectors(Reader& reader, YamlNode node, const Hook& hook,
                                    const UnknownTypes& unknown, const HookScope& scope) {
  std::vector<Selector> selectors;
  reader.Entries(node, GH_RULES_PER_POLICY_MAX, [&](YamlNode entry) {
    SelectorDraft draft{
        .hook = &hook, .unknown = unknown, .variables = scope.variables, .lists = scope.lists};
    draft.selector.position = entry.position();
    if (!reader.Fields<SelectorDraft>(entry, kSelectorFields, draft)) return;
    MergeMacros(reader, entry, scope.macros, draft);
    ActAtReturn(reader, hook, draft);
    if (draft.selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      reader.Report(entry.position(),
                    fmt::format("{} filters in one selector, more than {}",
                                draft.selector.filters.size(), int{GH_FILTERS_PER_RULE_MAX}),
                    "put values of the same operator into one filter");
    }
    selectors.push_back(std::move(draft.selector));
  });
  CheckOrder(reader, hook, selectors);
  return selectors;
}

}  // namespace gatehouse::policy

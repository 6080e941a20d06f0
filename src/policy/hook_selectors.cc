// SPDX-License-Identifier: Apache-2.0
#include "policy/hook_selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "policy/catalog.h"
#include "policy/filters.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/selectors.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kMacrosMax = 64;
constexpr size_t kMacrosOfSelectorMax = 16;  // no more than there are fields
constexpr size_t kMacroNameBytesMax = 63;

struct SelectorDraft {
  const Hook* hook;  // null: no selector, but a macro without a hook
  const UnknownTypes& unknown;
  VariableScope& variables;
  const std::vector<NameList>& lists;
  std::optional<YamlNode> macros = {};
  bool has_actions = false;                // before the function, if it is about returns
  std::optional<Position> at_return = {};  // of return_actions
  std::vector<Action> return_actions = {};
  FilterList list = {};
  Selector selector = {};
};

template <Subject FilterSubject>
void ReadFiltersOf(Reader& reader, YamlNode node, SelectorDraft& draft) {
  if (draft.hook == nullptr) return CheckForm(reader, node, FilterSubject);
  ReadFilters(reader, node, FilterSubject,
              {*draft.hook, draft.unknown, draft.variables, draft.lists}, draft.list);
}

constexpr std::array kWorkloadFields{
    Field<WorkloadSelector>{{"podSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.pod = ReadPodSelector(reader, node);
                            },
                            "the workloads with these labels"},
    Field<WorkloadSelector>{{"containerSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.container = ReadContainerSelector(reader, node);
                            },
                            "the containers with these names or images"},
    Field<WorkloadSelector>{{"hostSelector"},
                            [](Reader& reader, YamlNode node, WorkloadSelector& selector) {
                              selector.host = ReadHostSelector(reader, node);
                            },
                            "what is in no workload; {} and nothing else"},
};

/// Null if it says nothing: every workload then.
std::shared_ptr<const WorkloadSelector> ReadWorkloads(Reader& reader, YamlNode node) {
  auto selector = std::make_shared<WorkloadSelector>();
  reader.Fields<WorkloadSelector>(node, kWorkloadFields, *selector);
  return selector->Unconstrained() ? nullptr : selector;
}

constexpr std::array kFragmentFields{
    Field<SelectorDraft>{
        {"matchArgs"}, ReadFiltersOf<Subject::kArgument>, "filters on arguments; all must hold"},
    Field<SelectorDraft>{{"matchReturnArgs"},
                         ReadFiltersOf<Subject::kReturn>,
                         "filters on what the function returned"},
    Field<SelectorDraft>{
        {"matchBinaries"}, ReadFiltersOf<Subject::kBinary>, "filters on the program that acts"},
    Field<SelectorDraft>{{"matchParentBinaries"},
                         ReadFiltersOf<Subject::kParentBinary>,
                         "filters on its parent's program"},
    Field<SelectorDraft>{
        {"matchPIDs"}, ReadFiltersOf<Subject::kPid>, "filters on the id of the process"},
    Field<SelectorDraft>{{"matchNamespaces"},
                         ReadFiltersOf<Subject::kNamespace>,
                         "filters on the namespaces that it is in"},
    Field<SelectorDraft>{{"matchCapabilities"},
                         ReadFiltersOf<Subject::kCapabilities>,
                         "filters on the capabilities that it has"},
    Field<SelectorDraft>{{"matchActions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.has_actions = true;
                           draft.selector.actions = ReadActions(reader, node);
                         },
                         "what to do then; without it, an event is posted"},
    Field<SelectorDraft>{{"matchReturnActions"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.at_return = node.position();
                           draft.return_actions = ReadActions(reader, node);
                         },
                         "what to do when the function has returned"},
    Field<SelectorDraft>{
        {"matchData"}, ReadFiltersOf<Subject::kData>, "filters on what data of the hook declares"},
    Field<SelectorDraft>{{"matchNamespaceChanges"},
                         ReadFiltersOf<Subject::kNamespaceChanges>,
                         "filters on namespaces that its program did not begin with"},
    Field<SelectorDraft>{{"matchCapabilityChanges"},
                         ReadFiltersOf<Subject::kCapabilityChanges>,
                         "filters on capabilities gained or lost since its program began"},
    Field<SelectorDraft>{{"matchWorkloads"},
                         [](Reader& reader, YamlNode node, SelectorDraft& draft) {
                           draft.selector.workloads = ReadWorkloads(reader, node);
                         },
                         "on other workloads the selector does not match"},
    Field<SelectorDraft>{
        {"matchScript"}, ReadFiltersOf<Subject::kScript>, "filters on the script that acts"},
};

constexpr auto kSelectorFields =
    Join(kFragmentFields, std::array{Field<SelectorDraft>{
                              {"macros"},
                              Keep<SelectorDraft, &SelectorDraft::macros>,
                              "parts of selectors that spec.selectorsMacros has by these names"}});

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

/// A selector for each way in which its expressions hold.
std::vector<Selector> Expand(Selector selector,
                             const std::vector<std::vector<Alternative>>& expressions) {
  std::vector<Selector> selectors{std::move(selector)};
  for (const std::vector<Alternative>& expression : expressions) {
    std::vector<Selector> expanded;
    for (const Selector& each : selectors) {
      for (const Alternative& alternative : expression) {
        if (expanded.size() > GH_RULES_PER_POLICY_MAX) break;  // reported by the caller
        Selector& one = expanded.emplace_back(each);
        one.filters.insert(one.filters.end(), alternative.begin(), alternative.end());
      }
    }
    selectors = std::move(expanded);
  }
  return selectors;
}

/// An action on a socket names an argument that is one.
void CheckSockets(Reader& reader, const Hook& hook, const UnknownTypes& unknown,
                  const Selector& selector) {
  for (const Action& action : selector.actions) {
    if (!IsOfSocket(action.kind) || action.socket == GH_SUBJECT_RETURN) continue;
    const auto named = std::ranges::find(hook.arguments, action.socket, &Argument::index);
    const auto position = static_cast<uint32_t>(named - hook.arguments.begin());
    if (unknown.Has(Subject::kArgument, position)) continue;
    if (named != hook.arguments.end() && named->type == ArgumentType::kSock) continue;
    reader.Report(
        action.position,
        fmt::format("{}: args declares no sock with index {}", NameOf(action.kind), action.socket),
        "declare the argument with type sock, and name it in argSock");
  }
}

/// As in Tetragon, events of kprobes alone have a place for stacks, those of LSM hooks for hashes.
void CheckTold(Reader& reader, const Hook& hook, const Selector& selector) {
  for (const Action& action : selector.actions) {
    if (action.file_hash && hook.kind != HookKind::kLsm) {
      reader.Report(action.position,
                    fmt::format("events of {} have no place for imaHash", NameOf(hook.kind)),
                    "remove it, or write the hook in lsmhooks");
    }
    if (hook.kind == HookKind::kKprobe) continue;
    if (!action.kernel_stack && !action.user_stack) continue;
    reader.Report(
        action.position,
        fmt::format("events of {} have no place for {}", NameOf(hook.kind),
                    action.kernel_stack ? "kernelStackTrace" : "userStackTrace"),
        hook.kind == HookKind::kLsm ? "remove it, or write the hook in kprobes" : "remove it");
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
    draft.selector.filters = std::move(draft.list.filters);
    ActAtReturn(reader, hook, draft);
    CheckSockets(reader, hook, unknown, draft.selector);
    CheckTold(reader, hook, draft.selector);
    if (draft.selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      reader.Report(entry.position(),
                    fmt::format("{} filters in one selector, more than {}",
                                draft.selector.filters.size(), int{GH_FILTERS_PER_RULE_MAX}),
                    "put values of the same operator into one filter");
    }
    std::ranges::move(Expand(std::move(draft.selector), draft.list.expressions),
                      std::back_inserter(selectors));
  });
  if (selectors.size() > GH_RULES_PER_POLICY_MAX) {
    reader.Report(node.position(),
                  fmt::format("{} selectors, alternatives of expressions counted, more than {}",
                              selectors.size(), int{GH_RULES_PER_POLICY_MAX}),
                  "split the policy");
  }
  CheckOrder(reader, hook, selectors);
  return selectors;
}

}  // namespace gatehouse::policy

// SPDX-License-Identifier: Apache-2.0
#include "policy/kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "policy/enforcers.h"
#include "policy/hook_selectors.h"
#include "policy/hooks.h"
#include "policy/names.h"
#include "policy/selectors.h"
#include "policy/values.h"

namespace gatehouse::policy {
namespace {

constexpr std::string_view kApiVersion = "cilium.io/v1alpha1";
constexpr size_t kOptionsMax = 16;
constexpr size_t kVariablesMax = 256;

enum class Kind { kPolicy, kNamespacedPolicy, kTemplate, kBinding };

constexpr std::array kKinds{
    NameRow<Kind>{"TracingPolicy", "", Kind::kPolicy},
    NameRow<Kind>{"TracingPolicyNamespaced", "", Kind::kNamespacedPolicy},
    NameRow<Kind>{"TracingPolicyTemplate", "", Kind::kTemplate},
    NameRow<Kind>{"TracingPolicyBinding", "", Kind::kBinding},
};

// ---- metadata ----

struct MetadataDraft {
  Key key;
  std::optional<Position> ns;
};

/// Labels or annotations: texts by name, of no meaning here.
void CheckTexts(Reader& reader, YamlNode node, MetadataDraft&) {
  if (!reader.ExpectMapping(node)) return;
  node.EachPair([&](YamlNode key, YamlNode value) {
    const Reader::Scope scope(reader, key.text());
    static_cast<void>(reader.String(value));
  });
}

constexpr std::array kMetadataFields{
    Field<MetadataDraft>{{"name", Need::kRequired, "my-policy"},
                         [](Reader& reader, YamlNode node, MetadataDraft& draft) {
                           draft.key.name = ReadObjectName(reader, node).value_or("");
                         },
                         "the name, unique among policies, templates and bindings"},
    Field<MetadataDraft>{{"namespace"},
                         [](Reader& reader, YamlNode node, MetadataDraft& draft) {
                           draft.ns = node.position();
                           draft.key.ns = ReadNamespaceName(reader, node).value_or("");
                         },
                         "the namespace whose workloads it is about"},
    Field<MetadataDraft>{{"labels"}, CheckTexts, "for other tools; no effect"},
    Field<MetadataDraft>{{"annotations"}, CheckTexts, "for other tools; no effect"},
    Field<MetadataDraft>{{"creationTimestamp", Need::kIgnored}},
    Field<MetadataDraft>{{"deletionGracePeriodSeconds", Need::kIgnored}},
    Field<MetadataDraft>{{"deletionTimestamp", Need::kIgnored}},
    Field<MetadataDraft>{{"finalizers", Need::kIgnored}},
    Field<MetadataDraft>{{"generateName", Need::kIgnored}},
    Field<MetadataDraft>{{"generation", Need::kIgnored}},
    Field<MetadataDraft>{{"managedFields", Need::kIgnored}},
    Field<MetadataDraft>{{"ownerReferences", Need::kIgnored}},
    Field<MetadataDraft>{{"resourceVersion", Need::kIgnored}},
    Field<MetadataDraft>{{"selfLink", Need::kIgnored}},
    Field<MetadataDraft>{{"uid", Need::kIgnored}},
};

Key ReadMetadata(Reader& reader, YamlNode node, std::optional<Kind> kind) {
  const Reader::Scope scope(reader, "metadata");
  MetadataDraft draft;
  if (!reader.Fields<MetadataDraft>(node, kMetadataFields, draft)) return {};
  if (kind == Kind::kNamespacedPolicy && !draft.ns) {
    reader.Report(node.position(), "namespace is missing", "add it, or use kind TracingPolicy");
  } else if (kind == Kind::kPolicy && draft.ns) {
    reader.ReportField("namespace", *draft.ns, "a TracingPolicy has no namespace",
                       "remove it, or use kind TracingPolicyNamespaced");
  } else if (kind == Kind::kTemplate && draft.ns) {
    reader.ReportField("namespace", *draft.ns, "a TracingPolicyTemplate has no namespace",
                       "remove it; a binding may have one");
  }
  return std::move(draft.key);
}

// ---- what policies and templates have in common ----

struct SpecDraft {
  std::optional<YamlNode> kprobes;
  std::optional<YamlNode> lsmhooks;
  std::optional<YamlNode> fentries;
  std::optional<YamlNode> tracepoints;
  std::optional<YamlNode> uprobes;
  std::optional<YamlNode> usdts;
  std::optional<Position> loader;
  std::optional<YamlNode> enforcers;
  std::optional<YamlNode> lists;
  std::optional<YamlNode> macros;
  std::optional<YamlNode> variables;
  Mode mode = Mode::kEnforce;
  std::optional<LabelSelector> node;
  WorkloadSelector selector;
};

struct OptionDraft {
  std::optional<std::string> name;
  std::optional<Option> option;
  std::optional<YamlNode> value;
};

constexpr std::array kOptionFields{
    Field<OptionDraft>{{"name", Need::kRequired, "policy-mode"},
                       [](Reader& reader, YamlNode node, OptionDraft& draft) {
                         draft.name = std::string(node.text());
                         draft.option = reader.Name(node, "option", Options());
                       },
                       "which option"},
    Field<OptionDraft>{{"value", Need::kRequired, "monitor"},
                       [](Reader&, YamlNode node, OptionDraft& draft) { draft.value = node; },
                       "what it is set to"},
};

void ReadOptions(Reader& reader, YamlNode node, SpecDraft& spec) {
  std::vector<std::string> names;
  reader.Entries(node, kOptionsMax, [&](YamlNode entry) {
    OptionDraft draft;
    reader.Fields<OptionDraft>(entry, kOptionFields, draft);
    if (!draft.option || !draft.value) return;
    if (std::ranges::find(names, *draft.name) != names.end()) {
      reader.ReportField("name", entry.position(),
                         fmt::format("option {} is there twice", Quote(*draft.name)),
                         "remove one of the two");
    }
    names.push_back(*draft.name);
    const Reader::Scope scope(reader, "value");
    if (*draft.option == Option::kPolicyMode) {
      spec.mode = reader.Name(*draft.value, "mode", Modes()).value_or(spec.mode);
    } else {
      static_cast<void>(reader.String(*draft.value));
    }
  });
}

constexpr std::array kSectionFields{
    Field<SpecDraft>{{"kprobes"},
                     Keep<SpecDraft, &SpecDraft::kprobes>,
                     "hooks on functions of the kernel and on system calls"},
    Field<SpecDraft>{{"lsmhooks"},
                     Keep<SpecDraft, &SpecDraft::lsmhooks>,
                     "hooks of the Linux security modules, which can deny"},
    Field<SpecDraft>{{"fentries"},
                     Keep<SpecDraft, &SpecDraft::fentries>,
                     "hooks on functions of the kernel; the same as kprobes here"},
    Field<SpecDraft>{{"tracepoints"},
                     Keep<SpecDraft, &SpecDraft::tracepoints>,
                     "hooks on tracepoints of the kernel"},
    Field<SpecDraft>{
        {"lists"}, Keep<SpecDraft, &SpecDraft::lists>, "names for several hooks at once"},
    Field<SpecDraft>{{"options"}, ReadOptions, "switches of the policy"},
    Field<SpecDraft>{{"loader"},
                     [](Reader& reader, YamlNode node, SpecDraft& draft) {
                       if (reader.Bool(node).value_or(false)) draft.loader = node.position();
                     },
                     "programs and libraries that processes map, each once"},
    Field<SpecDraft>{{"enforcers"},
                     Keep<SpecDraft, &SpecDraft::enforcers>,
                     "system calls at which what NotifyEnforcer asks for is done"},
    Field<SpecDraft>{{"selectorsMacros"},
                     Keep<SpecDraft, &SpecDraft::macros>,
                     "parts of selectors by name, for `macros`"},
    Field<SpecDraft>{{"nodeSelector"},
                     [](Reader& reader, YamlNode node, SpecDraft& draft) {
                       draft.node = ReadNodeSelector(reader, node);
                     },
                     "on nodes with other labels the policy is skipped"},
};

/// Reads the one section. `reports` is how many there were before the spec: an unsupported section
/// is reported already and is not missing, too.
Spec ReadSection(Reader& reader, YamlNode node, const SpecDraft& draft, VariableScope& variables,
                 size_t reports) {
  Spec spec;
  spec.mode = draft.mode;
  spec.node = draft.node;
  // Whatever is written, a function is attached to by a trampoline.
  const struct {
    std::string_view name;
    const std::optional<YamlNode>& node;
    HookKind kind;
  } sections[] = {{"kprobes", draft.kprobes, HookKind::kKprobe},
                  {"fentries", draft.fentries, HookKind::kKprobe},
                  {"lsmhooks", draft.lsmhooks, HookKind::kLsm},
                  {"tracepoints", draft.tracepoints, HookKind::kTracepoint},
                  {"uprobes", draft.uprobes, HookKind::kUprobe},
                  {"usdts", draft.usdts, HookKind::kUsdt}};
  std::vector<NameList> lists;
  if (draft.lists) {
    const Reader::Scope scope(reader, "lists");
    lists = ReadLists(reader, *draft.lists);
  }
  std::vector<Macro> macros;
  if (draft.macros) {
    const Reader::Scope scope(reader, kMacrosField);
    macros = ReadMacros(reader, *draft.macros);
  }
  std::string_view first;
  for (const auto& section : sections) {
    if (!section.node) continue;
    if (!first.empty()) {
      reader.Report(node.position(), fmt::format("{} and {} are both there", first, section.name),
                    "split the policy into two: each has one section");
    }
    first = section.name;
    const Reader::Scope scope(reader, section.name);
    std::vector<Hook> hooks =
        ReadHooks(reader, *section.node, section.kind, {variables, lists, macros});
    std::ranges::move(hooks, std::back_inserter(spec.hooks));
  }
  if (draft.loader) {
    if (!first.empty()) {
      reader.Report(node.position(), fmt::format("{} and loader are both there", first),
                    "split the policy into two: each has one section");
    }
    first = "loader";
    spec.hooks.push_back(LoaderHook(*draft.loader));
  }
  if (first.empty() && reader.reports() == reports) {
    reader.Report(node.position(), "there is no section with hooks",
                  "add one of: kprobes, fentries, lsmhooks, tracepoints, uprobes, usdts, loader");
  }
  if (draft.enforcers) {
    const Reader::Scope scope(reader, "enforcers");
    std::vector<Hook> enforcers = ReadEnforcers(reader, *draft.enforcers, lists);
    std::ranges::move(enforcers, std::back_inserter(spec.hooks));
  }
  if (reader.reports() == reports) {
    CheckEnforcers(reader, spec.hooks,
                   draft.enforcers ? std::optional(draft.enforcers->position()) : std::nullopt);
  }
  return spec;
}

// ---- policies ----

void ReadPod(Reader& reader, YamlNode node, SpecDraft& draft) {
  draft.selector.pod = ReadPodSelector(reader, node);
}

void ReadContainer(Reader& reader, YamlNode node, SpecDraft& draft) {
  draft.selector.container = ReadContainerSelector(reader, node);
}

void ReadHost(Reader& reader, YamlNode node, SpecDraft& draft) {
  draft.selector.host = ReadHostSelector(reader, node);
}

constexpr FieldName kMisplacedVariables{"variables", Need::kMisplaced,
                                        "use kind TracingPolicyTemplate, or remove it"};

constexpr Field<SpecDraft> kUprobesField{{"uprobes"},
                                         Keep<SpecDraft, &SpecDraft::uprobes>,
                                         "hooks on functions of programs and libraries"};
constexpr Field<SpecDraft> kUsdtsField{{"usdts"},
                                       Keep<SpecDraft, &SpecDraft::usdts>,
                                       "hooks on static probes of programs and libraries"};
constexpr std::string_view kFileOfHost = "use kind TracingPolicy: the file is the host's";

constexpr auto kPolicyFields = Join(
    kSectionFields,
    std::array{
        kUprobesField,
        kUsdtsField,
        Field<SpecDraft>{
            {"podSelector"}, ReadPod, "the workloads with these labels; {} is all of them"},
        Field<SpecDraft>{
            {"containerSelector"}, ReadContainer, "the containers with these names or images"},
        Field<SpecDraft>{{"hostSelector"}, ReadHost, "what is in no workload; {} and nothing else"},
        Field<SpecDraft>{kMisplacedVariables},
    });

constexpr auto kNamespacedPolicyFields =
    Join(kSectionFields,
         std::array{
             Field<SpecDraft>{{"uprobes", Need::kMisplaced, kFileOfHost}},
             Field<SpecDraft>{{"usdts", Need::kMisplaced, kFileOfHost}},
             Field<SpecDraft>{
                 {"podSelector"}, ReadPod, "the workloads with these labels; {} is all of them"},
             Field<SpecDraft>{
                 {"containerSelector"}, ReadContainer, "the containers with these names or images"},
             Field<SpecDraft>{{"hostSelector", Need::kMisplaced,
                               "use kind TracingPolicy: the host is in no namespace"}},
             Field<SpecDraft>{kMisplacedVariables},
         });

TracingPolicy ReadPolicy(Reader& reader, YamlNode node, Kind kind) {
  TracingPolicy policy;
  SpecDraft draft;
  const size_t reports = reader.reports();
  const bool mapping = kind == Kind::kPolicy
                           ? reader.Fields<SpecDraft>(node, kPolicyFields, draft)
                           : reader.Fields<SpecDraft>(node, kNamespacedPolicyFields, draft);
  if (!mapping) return policy;
  VariableScope no_variables;
  policy.spec = ReadSection(reader, node, draft, no_variables, reports);
  policy.selector = std::move(draft.selector);
  return policy;
}

// ---- templates ----

constexpr std::string_view kSelectsNothing =
    "a template selects no workloads: write it in a TracingPolicyBinding";

constexpr auto kTemplateFields = Join(
    kSectionFields,
    std::array{
        kUprobesField,
        kUsdtsField,
        Field<SpecDraft>{
            {"variables"}, Keep<SpecDraft, &SpecDraft::variables>, "what bindings give values to"},
        Field<SpecDraft>{{"podSelector", Need::kMisplaced, kSelectsNothing}},
        Field<SpecDraft>{{"containerSelector", Need::kMisplaced, kSelectsNothing}},
        Field<SpecDraft>{{"hostSelector", Need::kMisplaced, kSelectsNothing}},
    });

constexpr std::array kVariableFields{
    Field<Variable>{{"name", Need::kRequired, "allowed"},
                    [](Reader& reader, YamlNode node, Variable& variable) {
                      variable.name = ReadVariableName(reader, node).value_or("");
                    },
                    "the name that valuesFromVariable uses"},
    Field<Variable>{
        {"type"},
        [](Reader& reader, YamlNode node, Variable& variable) {
          variable.type = reader.Name(node, "type", ArgumentTypes());
          if (variable.type != ArgumentType::kAuto) return;
          reader.Report(node.position(), "a variable is of no type that the kernel tells",
                        "write the type that its values have, or remove it");
          variable.type.reset();
        },
        "a type of arguments: values are checked by it; else by the first filter that uses it"},
};

/// Reports a name that an earlier element of `named` has, too.
template <typename Named>
void CheckNameUnique(Reader& reader, Position position, const std::vector<Named>& named,
                     std::string_view name) {
  const auto first =
      std::ranges::find_if(named, [&](const Named& other) { return other.name == name; });
  if (first == named.end()) return;
  reader.ReportField("name", position,
                     fmt::format("variable {} is there twice, first on line {}", Quote(name),
                                 first->position.line),
                     "remove one of the two");
}

std::vector<Variable> ReadVariables(Reader& reader, YamlNode node) {
  const Reader::Scope scope(reader, "variables");
  std::vector<Variable> variables;
  reader.Entries(node, kVariablesMax, [&](YamlNode entry) {
    Variable variable;
    variable.position = entry.position();
    reader.Fields<Variable>(entry, kVariableFields, variable);
    if (variable.name.empty()) return;
    CheckNameUnique(reader, entry.position(), variables, variable.name);
    variables.push_back(std::move(variable));
  });
  return variables;
}

Template ReadTemplate(Reader& reader, YamlNode node) {
  Template result;
  SpecDraft draft;
  const size_t reports = reader.reports();
  if (!reader.Fields<SpecDraft>(node, kTemplateFields, draft)) return result;
  if (draft.variables) result.variables = ReadVariables(reader, *draft.variables);
  VariableScope scope(result.variables);
  result.spec = ReadSection(reader, node, draft, scope, reports);
  if (reader.reports() != reports) return result;  // what uses a variable may not have been read
  for (size_t i = 0; i < result.variables.size(); ++i) {
    if (scope.Used(i)) continue;
    const Reader::Scope variables(reader, "variables");
    const Reader::Scope entry(reader, i);
    reader.Report(result.variables[i].position,
                  fmt::format("no filter uses variable {}", Quote(result.variables[i].name)),
                  "name it in valuesFromVariable, or remove it");
  }
  return result;
}

// ---- bindings ----

struct TemplateRefDraft {
  std::string name;
};

constexpr std::array kTemplateRefFields{
    Field<TemplateRefDraft>{{"name", Need::kRequired, "my-template"},
                            [](Reader& reader, YamlNode node, TemplateRefDraft& draft) {
                              draft.name = ReadObjectName(reader, node).value_or("");
                            },
                            "the TracingPolicyTemplate"},
};

struct ValuesDraft {
  std::string name;
  Position position;
  Values values;
};

constexpr std::array kValuesFields{
    Field<ValuesDraft>{{"name", Need::kRequired, "allowed"},
                       [](Reader& reader, YamlNode node, ValuesDraft& draft) {
                         draft.name = ReadVariableName(reader, node).value_or("");
                       },
                       "a variable of the template"},
    Field<ValuesDraft>{{"values", Need::kRequired, "[/usr/bin/true]"},
                       [](Reader& reader, YamlNode node, ValuesDraft& draft) {
                         draft.values = ReadLiterals(reader, node, std::nullopt);
                       },
                       "what it stands for"},
};

void ReadBoundValues(Reader& reader, YamlNode node, Binding& binding) {
  std::vector<ValuesDraft> bound;
  reader.Entries(node, kVariablesMax, [&](YamlNode entry) {
    ValuesDraft draft;
    draft.position = entry.position();
    reader.Fields<ValuesDraft>(entry, kValuesFields, draft);
    if (draft.name.empty()) return;
    CheckNameUnique(reader, entry.position(), bound, draft.name);
    bound.push_back(std::move(draft));
  });
  for (ValuesDraft& draft : bound) binding.values[draft.name] = std::move(draft.values);
}

constexpr std::array kBindingFields{
    Field<Binding>{{"templateRef", Need::kRequired, "{name: my-template}"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     TemplateRefDraft draft;
                     reader.Fields<TemplateRefDraft>(node, kTemplateRefFields, draft);
                     binding.template_name = std::move(draft.name);
                   },
                   "the template that is applied"},
    Field<Binding>{{"bindings", Need::kRequired, "[{name: allowed, values: [/usr/bin/true]}]"},
                   ReadBoundValues,
                   "a value for each variable of the template"},
    Field<Binding>{{"overrideAllowed"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     binding.override_allowed = reader.Bool(node).value_or(false);
                   },
                   "another binding of the template may be applied instead, by priority"},
    Field<Binding>{{"overridePriority"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     constexpr auto kLeast = std::numeric_limits<int32_t>::min();
                     constexpr auto kMost = std::numeric_limits<int32_t>::max();
                     binding.override_priority = reader.Integer(node, kLeast, kMost).value_or(0);
                   },
                   "the highest is applied, where several bindings match"},
    Field<Binding>{{"onOverlap"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     const auto on_overlap = reader.Name(node, "way of overlapping", OnOverlaps());
                     binding.on_overlap = on_overlap.value_or(OnOverlap::kConflict);
                   },
                   "what becomes of several bindings on one workload: Conflict or Merge"},
    Field<Binding>{{"podSelector"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     binding.selector.pod = ReadPodSelector(reader, node);
                   },
                   "the workloads with these labels; {} is all of them"},
    Field<Binding>{{"containerSelector"},
                   [](Reader& reader, YamlNode node, Binding& binding) {
                     binding.selector.container = ReadContainerSelector(reader, node);
                   },
                   "the containers with these names or images"},
    Field<Binding>{{"hostSelector", Need::kMisplaced,
                    "use a TracingPolicy: a binding is about pods and containers"}},
};

// ---- documents ----

struct DocumentDraft {
  std::optional<YamlNode> kind;
  std::optional<YamlNode> metadata;
  std::optional<YamlNode> spec;
};

constexpr std::array kDocumentFields{
    Field<DocumentDraft>{{"apiVersion", Need::kRequired, kApiVersion},
                         [](Reader& reader, YamlNode node, DocumentDraft&) {
                           const std::optional<std::string> version = reader.String(node);
                           if (!version || *version == kApiVersion) return;
                           reader.Report(node.position(),
                                         fmt::format("unknown apiVersion {}", Quote(*version)),
                                         fmt::format("write `apiVersion: {}`", kApiVersion));
                         },
                         "of the TracingPolicy language"},
    Field<DocumentDraft>{
        {"kind", Need::kRequired, "TracingPolicy"},
        Keep<DocumentDraft, &DocumentDraft::kind>,
        "TracingPolicy, TracingPolicyNamespaced, TracingPolicyTemplate or TracingPolicyBinding"},
    Field<DocumentDraft>{{"metadata", Need::kRequired, "{name: my-policy}"},
                         Keep<DocumentDraft, &DocumentDraft::metadata>,
                         "its name, and labels for other tools"},
    Field<DocumentDraft>{{"spec", Need::kRequired, "{kprobes: […]}"},
                         Keep<DocumentDraft, &DocumentDraft::spec>,
                         "what it says"},
    Field<DocumentDraft>{{"status", Need::kIgnored}},
};

/// Whether a document is for somebody else: files for Kubernetes have policies beside Pods. Only
/// one that both fields say so of, so that a slip in one of them makes no policy vanish; and no
/// list, in which there may be policies.
bool LeaveToOthers(Reader& reader, YamlNode root) {
  std::string_view version;
  std::optional<YamlNode> kind;
  root.EachPair([&](YamlNode key, YamlNode value) {
    if (key.text() == "apiVersion") version = value.text();
    if (key.text() == "kind") kind = value;
  });
  if (version.empty() || version == kApiVersion || !kind || kind->text().empty()) return false;
  if (kind->text().starts_with("TracingPolic") || kind->text().ends_with("List")) return false;
  const Reader::Scope scope(reader, "kind");
  reader.Warn(kind->position(),
              fmt::format("{} of {} is no policy, so the document is left out", Quote(kind->text()),
                          Quote(version)),
              "have it in a file of its own");
  return true;
}

Object ReadSpec(Reader& reader, YamlNode node, Kind kind) {
  const Reader::Scope scope(reader, "spec");
  switch (kind) {
    case Kind::kPolicy:
    case Kind::kNamespacedPolicy:
      break;
    case Kind::kTemplate:
      return ReadTemplate(reader, node);
    case Kind::kBinding: {
      Binding binding;
      reader.Fields<Binding>(node, kBindingFields, binding);
      return binding;
    }
  }
  return ReadPolicy(reader, node, kind);
}

}  // namespace

std::optional<Object> ReadObject(Reader& reader, YamlNode root) {
  if (LeaveToOthers(reader, root)) return std::nullopt;
  DocumentDraft draft;
  if (!reader.Fields<DocumentDraft>(root, kDocumentFields, draft)) return std::nullopt;
  std::optional<Kind> kind;
  if (draft.kind) {
    const Reader::Scope scope(reader, "kind");
    kind = reader.Name(*draft.kind, "kind", std::span<const NameRow<Kind>>(kKinds));
  }
  Key key;
  if (draft.metadata) key = ReadMetadata(reader, *draft.metadata, kind);
  if (!kind || !draft.spec) return std::nullopt;
  Object object = ReadSpec(reader, *draft.spec, *kind);
  if (key.name.empty()) return std::nullopt;
  std::visit([&](auto& each) { each.key = std::move(key); }, object);
  return object;
}

}  // namespace gatehouse::policy

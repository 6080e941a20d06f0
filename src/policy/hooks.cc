// SPDX-License-Identifier: Apache-2.0
#include "policy/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/arguments.h"
#include "policy/calls.h"
#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/hook_selectors.h"
#include "policy/names.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kHooksMax = 64;
constexpr size_t kHooksInAllMax = GH_HOOKS_PER_POLICY_MAX;
constexpr size_t kMessageBytesMax = 256;
constexpr size_t kTagsMax = 16;
constexpr size_t kTagBytesMax = 256;
constexpr size_t kPlacesMax = 255;        // each becomes a hook
constexpr size_t kSymbolBytesMax = 1024;  // C++ and Rust have long ones
constexpr size_t kProbeBytesMax = 255;    // name or provider of a static probe
constexpr size_t kDigestsMax = 64;

struct HookDraft {
  Hook hook;
  std::optional<YamlNode> call;
  std::optional<YamlNode> syscall;
  std::optional<YamlNode> returns;
  std::optional<YamlNode> returned;
  std::optional<YamlNode> returned_action;
  std::optional<YamlNode> raw;
  std::optional<YamlNode> symbols;
  std::optional<YamlNode> offsets;
  std::optional<YamlNode> addresses;
  std::optional<YamlNode> counters;
  std::string provider;
  std::string probe;
  std::optional<YamlNode> args;
  std::optional<YamlNode> data;
  std::optional<YamlNode> selectors;
};

/// Whether what can be compared with `a` can be compared with `b`.
bool HaveSameValues(ArgumentType a, ArgumentType b) {
  const ArgumentTypeTraits x = TraitsOf(a);
  const ArgumentTypeTraits y = TraitsOf(b);
  if (x.values == ValueKind::kCapability && y.values == ValueKind::kCapabilities) return true;
  return x.values == y.values && x.bytes == y.bytes && x.is_signed == y.is_signed;
}

void ReadMessage(Reader& reader, YamlNode node, HookDraft& draft) {
  draft.hook.message = ReadText(reader, node, kMessageBytesMax).value_or("");
}

void ReadTags(Reader& reader, YamlNode node, HookDraft& draft) {
  reader.Entries(node, kTagsMax, [&](YamlNode entry) {
    if (auto tag = ReadText(reader, entry, kTagBytesMax)) draft.hook.tags.push_back(*tag);
  });
}

// Rows of several sections.
constexpr Field<HookDraft> kArgsField{{"args"},
                                      Keep<HookDraft, &HookDraft::args>,
                                      "the values that are read: for filters, and for events"};
constexpr Field<HookDraft> kSelectorsField{
    {"selectors"},
    Keep<HookDraft, &HookDraft::selectors>,
    "tried in order; the first that matches acts. Without any, an event is always posted"};
constexpr Field<HookDraft> kMessageField{{"message"}, ReadMessage, "a sentence for events"};
constexpr Field<HookDraft> kTagsField{{"tags"}, ReadTags, "words for events"};
constexpr Field<HookDraft> kReturnField{
    {"return"},
    Keep<HookDraft, &HookDraft::returns>,
    "judge when the function has returned, with what it returned"};
constexpr Field<HookDraft> kDataField{
    {"data"}, Keep<HookDraft, &HookDraft::data>, "values that are read of the task that acts"};
constexpr Field<HookDraft> kReturnArgField{
    {"returnArg"}, Keep<HookDraft, &HookDraft::returned>, "the type of what is returned"};

constexpr std::array kIgnoreFields{
    Field<HookDraft>{{"callNotFound"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       draft.hook.may_be_missing = reader.Bool(node).value_or(false);
                     },
                     "a kernel without this function leaves the hook out, with a warning"},
};

constexpr std::array kKprobeFields{
    Field<HookDraft>{{"call", Need::kRequired, "security_bprm_creds_for_exec"},
                     Keep<HookDraft, &HookDraft::call>,
                     "the function or system call, or list:NAME for those of a list"},
    Field<HookDraft>{{"syscall"},
                     Keep<HookDraft, &HookDraft::syscall>,
                     "call is a system call; that is so unless it is said"},
    kArgsField,
    kSelectorsField,
    kMessageField,
    kTagsField,
    kReturnField,
    kReturnArgField,
    Field<HookDraft>{{"returnArgAction"},
                     Keep<HookDraft, &HookDraft::returned_action>,
                     "TrackSock or UntrackSock, of the socket that is returned"},
    kDataField,
    Field<HookDraft>{{"ignore"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       reader.Fields<HookDraft>(node, kIgnoreFields, draft);
                     },
                     "what may be missing"},
};

constexpr std::array kLsmHookFields{
    Field<HookDraft>{{"hook", Need::kRequired, "bprm_creds_for_exec"},
                     Keep<HookDraft, &HookDraft::call>,
                     "an LSM hook of the kernel, without security_ before it"},
    kArgsField,
    kSelectorsField,
    kMessageField,
    kTagsField,
};

constexpr std::array kTracepointFields{
    Field<HookDraft>{{"subsystem", Need::kRequired, "sched"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       draft.hook.source = ReadKernelName(reader, node).value_or("");
                     },
                     "of the tracepoint, as in /sys/kernel/tracing/events"},
    Field<HookDraft>{{"event", Need::kRequired, "sched_process_exec"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       draft.hook.call = ReadKernelName(reader, node).value_or("");
                     },
                     "the tracepoint, as in /sys/kernel/tracing/events/SUBSYSTEM"},
    Field<HookDraft>{{"raw"},
                     Keep<HookDraft, &HookDraft::raw>,
                     "args are those of the call in the kernel, not the fields of its record"},
    kArgsField,
    kSelectorsField,
    kMessageField,
    kTagsField,
};

/// A kind of digests of files, and how many hexadecimal digits they have.
struct DigestKind {
  std::string_view prefix;
  size_t least = 0;
  size_t most = 0;
};
constexpr std::array kDigestKinds{DigestKind{"sha256:", 64, 64}, DigestKind{"sha512:", 128, 128},
                                  DigestKind{"build-id:", 2, 128}};

std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

/// `sha256:…`: what a file must be like.
void ReadDigest(Reader& reader, YamlNode node, HookDraft& draft) {
  std::optional<std::string> text = ReadText(reader, node, kSymbolBytesMax);
  if (!text) return;
  std::string digest = LowerCase(std::move(*text));
  for (const std::string_view unsupported : {"sha1:", "sha384:"}) {
    if (!digest.starts_with(unsupported)) continue;
    return reader.Report(node.position(), fmt::format("{}… is not supported yet", unsupported),
                         "write sha256:…, sha512:… or build-id:…");
  }
  for (const DigestKind& kind : kDigestKinds) {
    if (!digest.starts_with(kind.prefix)) continue;
    const std::string_view digits = std::string_view(digest).substr(kind.prefix.size());
    const bool hexadecimal = digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!hexadecimal || digits.size() < kind.least || digits.size() > kind.most) break;
    draft.hook.digests.push_back(std::move(digest));
    return;
  }
  reader.Report(node.position(), fmt::format("{} is no digest", Quote(digest)),
                "write sha256:, sha512: or build-id: and the hexadecimal digits");
}

void ReadDigests(Reader& reader, YamlNode node, HookDraft& draft) {
  reader.Entries(node, kDigestsMax, [&](YamlNode entry) { ReadDigest(reader, entry, draft); });
}

constexpr std::array kUprobeIgnoreFields{
    Field<HookDraft>{{"digestVerificationFailure"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       draft.hook.may_differ = reader.Bool(node).value_or(false);
                     },
                     "a file of another digest leaves the hook out, with a warning"},
};

/// The path of the file of a uprobe or a static probe.
void ReadFile(Reader& reader, YamlNode node, HookDraft& draft) {
  std::optional<std::string> path = ReadText(reader, node, GH_PATH_MAX - 1);
  if (path && !path->starts_with('/')) {
    reader.Report(node.position(), fmt::format("{} is no absolute path", Quote(*path)),
                  "write the whole path, as the agent sees it");
  }
  draft.hook.source = std::move(path).value_or("");
}

constexpr std::array kUprobeFields{
    Field<HookDraft>{{"path", Need::kRequired, "/bin/bash"},
                     ReadFile,
                     "the program or library, as the agent sees it"},
    Field<HookDraft>{
        {"symbols"}, Keep<HookDraft, &HookDraft::symbols>, "functions of the file by name"},
    Field<HookDraft>{{"offsets"}, Keep<HookDraft, &HookDraft::offsets>, "places in the file"},
    Field<HookDraft>{{"addrs"},
                     Keep<HookDraft, &HookDraft::addresses>,
                     "places in the file by their virtual address"},
    kArgsField,
    kSelectorsField,
    kMessageField,
    kTagsField,
    kReturnField,
    kReturnArgField,
    kDataField,
    Field<HookDraft>{{"refCtrOffsets"},
                     Keep<HookDraft, &HookDraft::counters>,
                     "places in the file of counters of those who watch, one for each function"},
    Field<HookDraft>{{"binaryDigests"}, ReadDigests, "of the file: it must have one of these"},
    Field<HookDraft>{{"ignore"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       reader.Fields<HookDraft>(node, kUprobeIgnoreFields, draft);
                     },
                     "what may be missing"},
};

void ReadProvider(Reader& reader, YamlNode node, HookDraft& draft) {
  draft.provider = ReadText(reader, node, kProbeBytesMax).value_or("");
  if (draft.provider.find(':') == std::string::npos) return;
  reader.Report(node.position(), fmt::format("{} is no name of a provider", Quote(draft.provider)),
                "write it without `:`; the probe's own name goes into `name`");
}

constexpr std::array kUsdtFields{
    Field<HookDraft>{{"path", Need::kRequired, "/usr/bin/python3"},
                     ReadFile,
                     "the program or library, as the agent sees it"},
    Field<HookDraft>{{"provider", Need::kRequired, "python"}, ReadProvider, "of the static probe"},
    Field<HookDraft>{{"name", Need::kRequired, "function__entry"},
                     [](Reader& reader, YamlNode node, HookDraft& draft) {
                       draft.probe = ReadText(reader, node, kProbeBytesMax).value_or("");
                     },
                     "of the static probe"},
    kArgsField,
    kSelectorsField,
    kMessageField,
    kTagsField,
};

/// The switch `field` of a hook, if it is there and can be read.
bool ReadSwitch(Reader& reader, const std::optional<YamlNode>& node, std::string_view field,
                bool otherwise) {
  if (!node) return otherwise;
  const Reader::Scope scope(reader, field);
  return reader.Bool(*node).value_or(otherwise);
}

/// What the function returns, with `return: true`; returnArg alone is without effect.
void ReadReturned(Reader& reader, const HookDraft& draft, Hook& hook) {
  if (!ReadSwitch(reader, draft.returns, "return", false)) return;
  if (draft.returned) return ReadReturnArgument(reader, *draft.returned, hook);
  reader.Report(draft.returns->position(), "returnArg is missing: return needs it",
                "add `returnArg: {index: 0, type: int}`");
}

/// A generated list says by its type what its names are of.
std::vector<std::string> ReadGenerated(Reader& reader, const HookDraft& draft, const NameList& list,
                                       Hook& hook) {
  const bool system_calls = list.type == ListType::kAllSystemCalls;
  if (draft.syscall && hook.system_call != system_calls) {
    reader.Report(draft.call->position(),
                  fmt::format("list {} is of {}, and the hook's syscall says otherwise",
                              Quote(list.name), system_calls ? "system calls" : "functions"),
                  "remove syscall");
  }
  hook.system_call = system_calls;
  hook.generated = {.name = list.name, .pattern = list.pattern};
  return {std::string(kListPrefix) + list.name};
}

/// Of a hook of kprobes or lsmhooks: the places that it names.
std::vector<std::string> ReadNamedCalls(Reader& reader, const HookDraft& draft, Hook& hook,
                                        const HookScope& scope) {
  std::vector<std::string> calls;
  if (!draft.call) return calls;
  const Reader::Scope field(reader, hook.kind == HookKind::kKprobe ? "call" : "hook");
  const NameList* list = nullptr;
  if (hook.kind == HookKind::kKprobe && draft.call->text().starts_with(kListPrefix)) {
    list = FindList(reader, *draft.call, scope.lists);
    if (list == nullptr) return calls;
    if (list->generated()) return ReadGenerated(reader, draft, *list, hook);
  }
  for (ListedName& name : ReadCalls(reader, *draft.call, hook.kind, hook.system_call, list)) {
    calls.push_back(std::move(name.name));
  }
  return calls;
}

std::vector<std::string> ReadEvent(Reader& reader, const HookDraft& draft, Hook& hook) {
  hook.raw = ReadSwitch(reader, draft.raw, "raw", false);
  return hook.call.empty() ? std::vector<std::string>() : std::vector{hook.call};
}

/// The entries of one list of a uprobe's places.
void ReadPlaces(Reader& reader, const std::optional<YamlNode>& node, std::string_view field,
                std::string_view prefix, std::vector<std::string>& calls) {
  if (!node) return;
  const Reader::Scope scope(reader, field);
  reader.Entries(*node, kPlacesMax, [&](YamlNode entry) {
    if (prefix.empty()) {
      if (auto symbol = ReadText(reader, entry, kSymbolBytesMax)) calls.push_back(*symbol);
    } else if (const auto number = reader.Integer(entry, 1, INT64_MAX)) {
      calls.push_back(fmt::format("{}{:#x}", prefix, *number));
    }
  });
}

std::vector<std::string> ReadPlaces(Reader& reader, const HookDraft& draft, const Hook& hook) {
  std::vector<std::string> calls;
  const int lists = (draft.symbols ? 1 : 0) + (draft.offsets ? 1 : 0) + (draft.addresses ? 1 : 0);
  if (lists != 1) {
    reader.Report(hook.position,
                  lists == 0 ? "the hook does not say where in the file it is"
                             : "the hook says in two ways where in the file it is",
                  "write one of: symbols, offsets, addrs");
  }
  ReadPlaces(reader, draft.symbols, "symbols", "", calls);
  ReadPlaces(reader, draft.offsets, "offsets", "+", calls);
  ReadPlaces(reader, draft.addresses, "addrs", "@", calls);
  return calls;
}

/// The counters of a uprobe's places, one for each of them; none: there are none.
std::vector<uint64_t> ReadCounters(Reader& reader, const HookDraft& draft, size_t places) {
  std::vector<uint64_t> counters;
  if (!draft.counters) return counters;
  const Reader::Scope scope(reader, "refCtrOffsets");
  reader.Entries(*draft.counters, kPlacesMax, [&](YamlNode entry) {
    const std::optional<int64_t> offset = reader.Integer(entry, 0, INT64_MAX);
    counters.push_back(static_cast<uint64_t>(offset.value_or(0)));
  });
  if (counters.size() == places || places == 0) return counters;
  reader.Report(draft.counters->position(),
                fmt::format("{} counters for {} places", counters.size(), places),
                "write one for each place, in the same order; 0 is none");
  return {};
}

/// Reports what sets an argument where that is not possible.
void CheckSets(Reader& reader, const Hook& hook) {
  for (const Selector& selector : hook.selectors) {
    for (const Action& action : selector.actions) {
      if (action.kind != ActionKind::kSet) continue;
      if (hook.kind != HookKind::kUsdt) {
        reader.Report(action.position, "Set is for arguments of usdts alone",
                      "use Override, Sigkill or Signal");
      } else if (action.argument >= hook.arguments.size()) {
        reader.Report(action.position,
                      fmt::format("argIndex is {}, and args of this hook has {} entries, counted "
                                  "from 0",
                                  action.argument, hook.arguments.size()),
                      "declare the argument in args");
      }
    }
  }
}

std::span<const Field<HookDraft>> FieldsOf(HookKind kind) {
  switch (kind) {
    case HookKind::kKprobe:
      return kKprobeFields;
    case HookKind::kLsm:
      return kLsmHookFields;
    case HookKind::kTracepoint:
      return kTracepointFields;
    case HookKind::kUprobe:
      return kUprobeFields;
    case HookKind::kUsdt:
      return kUsdtFields;
    case HookKind::kLoader:
    case HookKind::kEnforcer:
      break;  // read elsewhere
  }
  __builtin_unreachable();
}

/// The places that a hook names, and what else of it depends on its section.
std::vector<std::string> ReadCallsOf(Reader& reader, const HookDraft& draft, Hook& hook,
                                     const HookScope& scope) {
  switch (hook.kind) {
    case HookKind::kKprobe:
      hook.system_call = ReadSwitch(reader, draft.syscall, "syscall", true);
      return ReadNamedCalls(reader, draft, hook, scope);
    case HookKind::kLsm:
      return ReadNamedCalls(reader, draft, hook, scope);
    case HookKind::kTracepoint:
      return ReadEvent(reader, draft, hook);
    case HookKind::kUprobe:
      return ReadPlaces(reader, draft, hook);
    case HookKind::kUsdt:
      if (draft.provider.empty() || draft.probe.empty()) return {};
      return {draft.provider + ":" + draft.probe};
    case HookKind::kLoader:
    case HookKind::kEnforcer:
      break;
  }
  __builtin_unreachable();
}

/// Adds returnArgAction to what each selector does.
void ReadReturnedAction(Reader& reader, const HookDraft& draft, Hook& hook) {
  if (!draft.returned_action) return;
  const Reader::Scope scope(reader, "returnArgAction");
  const std::optional<ActionKind> kind = reader.Name(*draft.returned_action, "action", Actions());
  const Position position = draft.returned_action->position();
  if (!kind) return;
  if (!IsOfSocket(*kind)) {
    return reader.Report(position, fmt::format("{} is not about a socket", NameOf(*kind)),
                         "write TrackSock or UntrackSock, or have it in matchActions");
  }
  if (!hook.returned || hook.returned->type != ArgumentType::kSock) {
    return reader.Report(position, "the hook does not ask for a socket that is returned",
                         "add `return: true` and a returnArg of type sock");
  }
  if (hook.selectors.empty()) hook.selectors.emplace_back().position = hook.position;
  for (Selector& selector : hook.selectors) {
    if (ActsBefore(selector)) {
      return reader.Report(selector.position,
                           "this selector acts before the function, when there is no socket yet",
                           "write the hook twice, once for each");
    }
    selector.actions.push_back({.kind = *kind, .socket = GH_SUBJECT_RETURN, .position = position});
  }
}

/// A hook, or one for each name of a list, which differ by that alone.
std::vector<Hook> ReadHook(Reader& reader, YamlNode node, HookKind kind, const HookScope& scope) {
  HookDraft draft;
  Hook& hook = draft.hook;
  hook.kind = kind;
  hook.position = node.position();
  if (!reader.Fields<HookDraft>(node, FieldsOf(kind), draft)) return {};
  std::vector<std::string> calls = ReadCallsOf(reader, draft, hook, scope);
  if (!calls.empty()) hook.call = calls.front();
  const std::vector<uint64_t> counters = ReadCounters(reader, draft, calls.size());
  ReadReturned(reader, draft, hook);
  UnknownTypes unknown;
  if (draft.args) unknown.arguments = ReadArguments(reader, *draft.args, hook);
  if (draft.data) unknown.data = ReadData(reader, *draft.data, hook);
  if (draft.selectors) {
    const Reader::Scope field(reader, "selectors");
    hook.selectors = ReadSelectors(reader, *draft.selectors, hook, unknown, scope);
  }
  ReadReturnedAction(reader, draft, hook);
  CheckTexts(reader, hook);
  CheckReturnCopies(reader, hook);
  CheckSets(reader, hook);
  std::vector<Hook> hooks(std::max<size_t>(calls.size(), 1), hook);
  for (size_t i = 0; i < calls.size(); ++i) hooks[i].call = std::move(calls[i]);
  for (size_t i = 0; i < counters.size() && i < hooks.size(); ++i) hooks[i].counter = counters[i];
  return hooks;
}

}  // namespace

std::optional<std::string> VariableScope::Use(Reader& reader, YamlNode node, ArgumentType type) {
  std::optional<std::string> name = ReadVariableName(reader, node);
  if (!name) return std::nullopt;
  if (declared_ == nullptr) {
    reader.Report(node.position(), "only a TracingPolicyTemplate has variables", "write `values`");
    return std::nullopt;
  }
  std::vector<std::string_view> known;
  for (size_t i = 0; i < declared_->size(); ++i) {
    Variable& variable = (*declared_)[i];
    if (std::ranges::find(known, variable.name) == known.end()) {
      known.push_back(variable.name);
    }
    if (variable.name != *name) continue;
    used_[i] = true;
    if (!variable.type) variable.type = type;
    if (HaveSameValues(*variable.type, type)) return name;
    reader.Report(node.position(),
                  fmt::format("variable {} is of type {}, whose values this filter cannot take",
                              Quote(*name), NameOf(*variable.type)),
                  "use a variable of the argument's type");
    return std::nullopt;
  }
  reader.Report(node.position(), fmt::format("variable {} is not declared", Quote(*name)),
                known.empty() ? "declare it in spec.variables" : NameRemedy(*name, known, known));
  return std::nullopt;
}

Hook LoaderHook(Position position) {
  constexpr uint32_t kLongest = 365 * 24 * 3600;
  constexpr uint8_t kLength = 2;
  Hook hook;
  hook.kind = HookKind::kLoader;
  hook.call = "loader";
  hook.arguments = {{.index = 0, .type = ArgumentType::kString, .label = "path"},
                    {.index = 1,
                     .type = ArgumentType::kBuffer,
                     .label = "buildid",
                     .length = Length{.subject = kLength}}};
  hook.selectors = {{.filters = {},
                     .actions = {{.kind = ActionKind::kPost,
                                  .interval_s = kLongest,
                                  .scope = RateScope::kProcess}},
                     .position = position}};
  hook.position = position;
  return hook;
}

std::vector<Hook> ReadHooks(Reader& reader, YamlNode node, HookKind kind, const HookScope& scope) {
  std::vector<Hook> hooks;
  reader.Entries(node, kHooksMax, [&](YamlNode entry) {
    for (Hook& hook : ReadHook(reader, entry, kind, scope)) hooks.push_back(std::move(hook));
  });
  if (hooks.size() > kHooksInAllMax) {
    reader.Report(node.position(),
                  fmt::format("{} hooks, each name of a list counted, more than {}", hooks.size(),
                              kHooksInAllMax),
                  "split the policy");
  }
  return hooks;
}

}  // namespace gatehouse::policy

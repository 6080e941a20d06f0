// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// The policy language as values: what a document says, checked, with the place it was said at.
/// Plain data, immutable once parsed; no kernel, no workloads.
namespace gatehouse::policy {

/// A place in a file, both counted from 1; {0, 0} if there is none.
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;
};

/// Identity of a policy, template or binding; a cluster-wide one has an empty namespace. Orders by
/// name, then namespace: the order in which verdicts of several policies are combined.
struct Key {
  std::string name;
  std::string ns;
  auto operator<=>(const Key&) const = default;
  /// "namespace/name", or "name".
  [[nodiscard]] std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
};

enum class LabelOperator { kIn, kNotIn, kExists, kDoesNotExist };

/// NotIn also matches an absent key, as in Kubernetes.
struct LabelRequirement {
  std::string key;
  LabelOperator op = LabelOperator::kExists;
  std::vector<std::string> values;  ///< sorted, distinct
};

/// All requirements must hold; none: matches everything. matchLabels become In with one value.
struct LabelSelector {
  std::vector<LabelRequirement> requirements;
};

/// Which workloads a policy or binding is about. All three absent: everything, host and pods alike.
/// `pod` alone means all its containers; `container` alone means all pods.
struct WorkloadSelector {
  std::optional<LabelSelector> pod;        ///< over pod labels and k8s:io.kubernetes.pod.namespace
  std::optional<LabelSelector> container;  ///< over `name` and `repo`
  bool host = false;                       ///< hostSelector: {}

  [[nodiscard]] bool Unconstrained() const { return !pod && !container && !host; }
};

enum class Operator {
  kEqual,
  kNotEqual,
  kIn,
  kNotIn,
  kPrefix,
  kNotPrefix,
  kPostfix,
  kNotPostfix,
  kGlob,
  kNotGlob,
  kSubString,
  kSubStringIgnoringCase,
  kGreater,
  kLess,
  kMask,
  kNotMask,
  kCapabilitiesGained,  ///< Filter::other has what the argument has not
  kInRange,
  kNotInRange,
  kInMap,
  kNotInMap,
  // Of sockets, each about one field:
  kSourceAddress,
  kNotSourceAddress,
  kDestinationAddress,
  kNotDestinationAddress,
  kSourcePort,
  kNotSourcePort,
  kDestinationPort,
  kNotDestinationPort,
  kSourcePortPrivileged,
  kNotSourcePortPrivileged,
  kDestinationPortPrivileged,
  kNotDestinationPortPrivileged,
  kProtocol,
  kFamily,
  kState,
  // Of files:
  kFileType,
  kNotFileType,
  kSameFile,
  kNotSameFile,
  kExpression,  ///< CelExpr: in documents alone, see policy/expression.h
  kInDirectory,
  kNotInDirectory,
};

/// What a filter looks at; the name of the filter.
enum class Subject {
  kArgument,            ///< matchArgs
  kReturn,              ///< matchReturnArgs
  kData,                ///< matchData
  kBinary,              ///< matchBinaries
  kParentBinary,        ///< matchParentBinaries
  kPid,                 ///< matchPIDs
  kNamespacePid,        ///< matchPIDs with isNamespacePID
  kAncestors,           ///< matchPIDs with followForks
  kNamespaceAncestors,  ///< matchPIDs with both
  kNamespace,           ///< matchNamespaces
  kCapabilities,        ///< matchCapabilities
  kNamespaceChanges,    ///< matchNamespaceChanges
  kCapabilityChanges,   ///< matchCapabilityChanges
  kDescent,             ///< matchBinaries with followChildren
  kParentDescent,       ///< matchParentBinaries with followChildren
  kScript,              ///< matchScript
};

/// Literal values, or the name of a template's variable that stands for them.
struct Values {
  std::vector<std::string> literals;
  std::optional<std::string> variable;
  Position position;
};

/// One entry of a filter.
struct Filter {
  Subject subject = Subject::kArgument;
  /// kArgument: index into Hook::arguments (not the kernel's index); kData: into Hook::data;
  /// kNamespace: enum gh_namespace; kCapabilities, kCapabilityChanges: enum gh_capability_set.
  uint32_t which = 0;
  std::optional<uint32_t> other = {};  ///< a second argument, as `which`: of kCapabilitiesGained
  Operator op = Operator::kEqual;
  Values values = {};
  Position position = {};
};

enum class ActionKind {
  kPost,
  kNoPost,
  kOverride,
  kSigkill,
  kSignal,
  kGetUrl,
  kDnsLookup,
  kSet,
  kTrackSock,
  kUntrackSock,
  kNotifyEnforcer,
  kCleanupEnforcerNotification
};
/// Whether the agent does it, when the event has come, and not the kernel.
[[nodiscard]] constexpr bool IsOfNetwork(ActionKind kind) {
  return kind == ActionKind::kGetUrl || kind == ActionKind::kDnsLookup;
}

/// Whether it is about who a socket belongs to.
[[nodiscard]] constexpr bool IsOfSocket(ActionKind kind) {
  return kind == ActionKind::kTrackSock || kind == ActionKind::kUntrackSock;
}

/// Whether it is about what enforcers carry out.
[[nodiscard]] constexpr bool IsOfEnforcer(ActionKind kind) {
  return kind == ActionKind::kNotifyEnforcer || kind == ActionKind::kCleanupEnforcerNotification;
}

enum class RateScope { kThread, kProcess, kGlobal };

struct Action {
  ActionKind kind = ActionKind::kPost;
  /// kOverride: argError, a negative errno, -4095 to -1; kNotifyEnforcer: the same, 0 is none
  int32_t error = 0;
  /// kSignal: argSig, 1 to 64; kSigkill: SIGKILL; kNotifyEnforcer: argSig, 0 is none
  int32_t signal = 0;
  uint32_t interval_s = 0;  ///< kPost: rateLimit, in which the same is posted once; 0: always
  RateScope scope = RateScope::kThread;  ///< kPost: whose events are the same
  bool kernel_stack = false;             ///< kPost: kernelStackTrace, the event tells it
  bool user_stack = false;               ///< kPost: userStackTrace
  bool file_hash = false;                ///< kPost: imaHash, the event tells that of the file
  std::string target = {};               ///< kGetUrl: argUrl; kDnsLookup: argFqdn
  uint8_t socket = 0;                    ///< kTrackSock, kUntrackSock: enum gh_subject
  uint32_t argument = 0;                 ///< kSet: argIndex, an index into Hook::arguments
  uint32_t value = 0;                    ///< kSet: argValue
  Position position = {};
};

/// Filters are ANDed; no filter matches always. No action means Post.
struct Selector {
  std::vector<Filter> filters;
  std::vector<Action> actions;
  Position position;
  /// matchWorkloads: on any other workload the selector does not match; null: on all of them.
  std::shared_ptr<const WorkloadSelector> workloads = nullptr;
};

/// The section that a hook was written in; decides the event type.
enum class HookKind {
  kKprobe,
  kLsm,
  kTracepoint,
  kUprobe,
  kUsdt,
  kLoader,
  kEnforcer  ///< a call where what selectors notified of is carried out; it has no selectors
};

enum class ArgumentType {
  kLinuxBinprm,
  kFile,
  kPath,
  kString,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kSizeT,
  kCapability,
  kSystemCall,  ///< the number of a system call
  kBpfCommand,  ///< of bpf(2)
  kKernelCap,   ///< kernel_cap_t; the next three: the same, and which set it is
  kCapInheritable,
  kCapPermitted,
  kCapEffective,
  kFilename,
  kFd,
  kDentry,
  kKiocb,          ///< its file
  kModule,         ///< a module of the kernel
  kLoadInfo,       ///< a module that is being loaded
  kNetDevice,      ///< a network interface
  kSockaddrUn,     ///< struct sockaddr_un
  kBuffer,         ///< bytes in memory: see Argument::length
  kIovec,          ///< bytes in several places: struct iovec[]
  kIovIter,        ///< struct iov_iter
  kSock,           ///< struct sock
  kSocket,         ///< struct socket
  kSkb,            ///< struct sk_buff: a packet
  kSockaddr,       ///< struct sockaddr
  kCred,           ///< struct cred; of this and the next, events tell, and no filter can be on them
  kUserNamespace,  ///< struct user_namespace
  kBpfAttr,        ///< union bpf_attr: of this and the next three, the same as of kCred
  kBpfProg,        ///< struct bpf_prog
  kBpfMap,         ///< struct bpf_map
  kPerfEvent,      ///< struct perf_event
  kAuto,           ///< what the kernel says: see daemon/completion.h
  kNop,            ///< not read; no filter can be on it
  // Of filters alone, no type of an argument:
  kPid,
  kNamespace,
  kCapabilities,
  kNamespaceKinds,  ///< a set of kinds of namespaces
  kProgram,         ///< one of those that a process descends from
  kAddress,
  kPort,
  kProtocol,
  kFamily,
  kState,
  kFileType,
  kFileIdentity,
};

/// A place in the kernel that a program can be attached to. Hooks of several spellings are one
/// site: kprobes `security_bprm_check` and lsmhooks `bprm_check_security`.
struct Site {
  enum class Kind {
    kLsm,
    kFunction,
    kSystemCall,
    kTracepoint,
    kRawTracepoint,
    kUprobe,
    kUsdt,
    kLoader,  ///< where a process maps what it executes
  };
  Kind kind = Kind::kLsm;
  /// Of the LSM hook, the function, the system call (`openat`; of the 32-bit table `i386/openat`),
  /// the tracepoint; kUprobe, kUsdt: as Hook::call.
  std::string name;
  bool at_return = false;   ///< when the function returns, else before it begins
  std::string source = {};  ///< kTracepoint: the subsystem; kUprobe, kUsdt: path of the file
  uint32_t place = 0;       ///< kUsdt: as Hook::place
  uint64_t counter = 0;     ///< kUprobe: as Hook::counter
  bool writes = false;      ///< kUsdt: what is there can set arguments
  auto operator<=>(const Site&) const = default;
};

/// The number that is the length of a buffer.
struct Length {
  uint8_t subject = 0;  ///< enum gh_subject: another argument, or what is returned
  bool narrow = false;  ///< it has 32 bits
};

/// A step of a path through the kernel's types: to a field of a struct or, without a name, to an
/// element of an array.
struct PathStep {
  std::string field = {};
  uint32_t element = 0;
  auto operator<=>(const PathStep&) const = default;
};

/// How a path is followed on one kernel: see struct gh_chain.
struct Chain {
  std::vector<uint32_t> offsets;
  uint8_t bytes = 0;
  auto operator<=>(const Chain&) const = default;
};

/// That the value is not what stands at its place but what a path leads to from there.
struct Resolution {
  enum class From {
    kArgument,
    kTask,       ///< source: current_task; the argument's index says nothing
    kRegisters,  ///< source: pt_regs, the same; the path is the name of a register
  };
  /// enum gh_subject: its number, GH_SUBJECT_RESOLVED_0 and on; in a document by its position on
  /// the hook.
  uint8_t subject = 0;
  From from = From::kArgument;
  std::string text = {};  ///< the path as it is written
  std::vector<PathStep> path = {};
  std::string type = {};            ///< btfType: what it begins with; "": what the function says
  std::string module = {};          ///< btfTypeModule: whose type that is; "": the kernel's
  std::optional<Chain> chain = {};  ///< once it is known on which kernel: see daemon/completion.h
  Position position = {};
};

struct Argument {
  /// Position among the function's parameters, or the fields of the tracepoint, from 0.
  uint32_t index = 0;
  ArgumentType type = ArgumentType::kLinuxBinprm;
  std::string label = {};
  Position position = {};
  bool untyped = false;               ///< of kUsdt: the file says the type, see Completion
  std::optional<Length> length = {};  ///< of kBuffer, in bytes; of kIovec, in entries
  bool whole = false;                 ///< of a buffer: maxData, events tell more of it
  std::optional<Resolution> resolved = {};

  /// enum gh_subject
  [[nodiscard]] uint32_t subject() const { return resolved ? resolved->subject : index; }
  /// Whether it is an argument, or is reached from one.
  [[nodiscard]] bool of_argument() const {
    return !resolved || resolved->from == Resolution::From::kArgument;
  }
};

/// A list whose names only the kernel knows: see daemon/completion.h.
struct GeneratedList {
  std::string name;
  std::string pattern = {};  ///< of functions: RE2; of system calls: empty, and it is all of them
};

/// No selector means: Post always; of an enforcer, nothing is posted.
struct Hook {
  HookKind kind = HookKind::kKprobe;
  /// `security_bprm_check`, `bprm_check_security`, `openat`, `i386/openat`, `sched_switch`; never
  /// empty. Of a
  /// uprobe: a symbol, or `+` and an offset in the file, or `@` and an address, in hexadecimal. Of
  /// a static probe (USDT): `PROVIDER:NAME`.
  std::string call;
  std::string source =
      {};              ///< of a tracepoint: the subsystem; of a uprobe, a USDT: path of the file
  uint32_t place = 0;  ///< of a USDT: which of the places in the file that are this probe
  /// Of a uprobe: where in the file a counter stands that is to be raised meanwhile; 0: none.
  uint64_t counter = 0;
  std::vector<std::string> digests = {};  ///< of a uprobe: `sha256:…`; the file has one of them
  bool may_differ = false;  ///< ignore.digestVerificationFailure: left out if it has none of them
  /// The hook stands for one on each name; `call` is `list:` and the name of the list.
  std::optional<GeneratedList> generated = {};
  bool system_call = false;
  bool raw = false;  ///< a tracepoint by the arguments of its call, not by the fields of its record
  std::vector<Argument> arguments;
  std::vector<Argument> data = {};   ///< all of the current task
  std::optional<Argument> returned;  ///< with `return: true`: what the function returns
  bool may_be_missing = false;  ///< ignore.callNotFound: left out if the kernel has no such place
  std::vector<Selector> selectors;
  std::string message;
  std::vector<std::string> tags;
  Position position;
};

/// What the agent asks of the network when a selector has posted an event.
struct NetworkAction {
  uint16_t selector = 0;  ///< its position on the hook
  ActionKind kind = ActionKind::kGetUrl;
  std::string target;
  auto operator<=>(const NetworkAction&) const = default;
};

/// What events say about one hook of a policy, and what else becomes of them. The arguments have no
/// positions.
struct HookInfo {
  HookKind kind = HookKind::kKprobe;
  std::string call = {};    ///< FunctionName
  std::string source = {};  ///< as of the hook
  uint64_t counter = 0;     ///< as of the hook
  std::string message = {};
  std::vector<std::string> tags = {};
  std::vector<Argument> arguments = {};
  std::vector<Argument> data = {};
  std::optional<Argument> returned = {};
  std::vector<NetworkAction> network_actions = {};
};

/// By their order in the policy. Shared by all that come from one spec; immutable.
using HookInfos = std::shared_ptr<const std::vector<HookInfo>>;

enum class Mode { kEnforce, kMonitor };

struct Variable {
  std::string name;
  std::optional<ArgumentType> type;  ///< as declared; else, once parsed, of the first use
  Position position;
};

/// What TracingPolicy, TracingPolicyNamespaced and TracingPolicyTemplate have in common.
struct Spec {
  std::vector<Hook> hooks;            ///< enforcers behind all others
  Mode mode = Mode::kEnforce;         ///< option policy-mode
  std::optional<LabelSelector> node;  ///< nodeSelector: on other nodes the policy does nothing
};

/// kind TracingPolicy (empty namespace) or TracingPolicyNamespaced.
struct TracingPolicy {
  Key key;
  WorkloadSelector selector;
  Spec spec;
};

/// kind TracingPolicyTemplate: without effect until something is bound to it. Every variable that a
/// filter names is declared.
struct Template {
  Key key;
  std::vector<Variable> variables;
  Spec spec;
};

enum class OnOverlap { kConflict, kMerge };

/// kind TracingPolicyBinding. With an unconstrained selector it applies only through the label
/// form: to pods labelled `tetragon-<template>=<name>`, where this binding is called
/// `<template>-<name>`.
struct Binding {
  Key key;
  std::string template_name;
  WorkloadSelector selector;  ///< never host
  bool override_allowed = false;
  int64_t override_priority = 0;
  OnOverlap on_overlap = OnOverlap::kConflict;
  std::map<std::string, Values> values;  ///< by variable; literals only
};

/// One YAML document, parsed and checked, with its own text (for `policy show`).
struct Document {
  std::variant<TracingPolicy, Template, Binding> object;
  std::string text;  ///< the document as written, without separators
  std::string file;  ///< where from: a path, or "" for text that came over the API
  Position position;

  [[nodiscard]] const Key& key() const {
    return std::visit([](const auto& o) -> const Key& { return o.key; }, object);
  }
};

}  // namespace gatehouse::policy

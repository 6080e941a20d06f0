// SPDX-License-Identifier: Apache-2.0
#include "policy/catalog.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "policy/operators.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

// Of several names of one type, the first is the one that messages use.
using TypeName = NameRow<ArgumentType>;
constexpr std::array kArgumentTypes{
    TypeName{"linux_binprm", "", ArgumentType::kLinuxBinprm},
    TypeName{"file", "", ArgumentType::kFile},
    TypeName{"path", "", ArgumentType::kPath},
    TypeName{"string", "data_loc", ArgumentType::kString},
    TypeName{"int8", "sint8", ArgumentType::kInt8},
    TypeName{"uint8", "", ArgumentType::kUint8},
    TypeName{"int16", "sint16", ArgumentType::kInt16},
    TypeName{"uint16", "", ArgumentType::kUint16},
    TypeName{"int32", "sint32", ArgumentType::kInt32},
    TypeName{"int", "", ArgumentType::kInt32},
    TypeName{"uint32", "", ArgumentType::kUint32},
    TypeName{"int64", "sint64", ArgumentType::kInt64},
    TypeName{"long", "", ArgumentType::kInt64},
    TypeName{"uint64", "ulong", ArgumentType::kUint64},
    TypeName{"size_t", "", ArgumentType::kSizeT},
    TypeName{"capability", "", ArgumentType::kCapability},
    TypeName{"auto", "", ArgumentType::kAuto},
    TypeName{"char_buf", "const_buf", ArgumentType::kBuffer},
    TypeName{"char_iovec", "", ArgumentType::kIovec},
    TypeName{"filename", "", ArgumentType::kFilename},
    TypeName{"fd", "", ArgumentType::kFd},
    TypeName{"dentry", "", ArgumentType::kDentry},
    TypeName{"kiocb", "", ArgumentType::kKiocb},
    TypeName{"iov_iter", "", ArgumentType::kIovIter},
    TypeName{"skb", "", ArgumentType::kSkb},
    TypeName{"sock", "", ArgumentType::kSock},
    TypeName{"socket", "", ArgumentType::kSocket},
    TypeName{"sockaddr", "", ArgumentType::kSockaddr},
    TypeName{"sockaddr_un", "", ArgumentType::kSockaddrUn},
    TypeName{"cred", "", ArgumentType::kCred},
    TypeName{"user_namespace", "", ArgumentType::kUserNamespace},
    TypeName{"kernel_cap_t", "", ArgumentType::kKernelCap},
    TypeName{"cap_inheritable", "", ArgumentType::kCapInheritable},
    TypeName{"cap_permitted", "", ArgumentType::kCapPermitted},
    TypeName{"cap_effective", "", ArgumentType::kCapEffective},
    TypeName{"bpf_attr", "", ArgumentType::kBpfAttr},
    TypeName{"bpf_map", "", ArgumentType::kBpfMap},
    TypeName{"bpf_prog", "", ArgumentType::kBpfProg},
    TypeName{"bpf_cmd", "", ArgumentType::kBpfCommand},
    TypeName{"perf_event", "", ArgumentType::kPerfEvent},
    TypeName{"load_info", "", ArgumentType::kLoadInfo},
    TypeName{"module", "", ArgumentType::kModule},
    TypeName{"syscall64", "", ArgumentType::kSystemCall},
    TypeName{"net_device", "", ArgumentType::kNetDevice},
    TypeName{"nop", "", ArgumentType::kNop},
};

using NumberName = NameRow<uint32_t>;
constexpr std::array kNamespaces{
    NumberName{"Uts", "", GH_NAMESPACE_UTS},
    NumberName{"Ipc", "", GH_NAMESPACE_IPC},
    NumberName{"Mnt", "", GH_NAMESPACE_MNT},
    NumberName{"Pid", "", GH_NAMESPACE_PID},
    NumberName{"PidForChildren", "", GH_NAMESPACE_PID_FOR_CHILDREN},
    NumberName{"Net", "", GH_NAMESPACE_NET},
    NumberName{"Time", "", GH_NAMESPACE_TIME},
    NumberName{"TimeForChildren", "", GH_NAMESPACE_TIME_FOR_CHILDREN},
    NumberName{"Cgroup", "", GH_NAMESPACE_CGROUP},
    NumberName{"User", "", GH_NAMESPACE_USER},
};

/// The same, as members of a set.
constexpr auto kNamespaceKinds = [] {
  std::array<NameRow<int32_t>, kNamespaces.size()> kinds{};
  std::ranges::transform(kNamespaces, kinds.begin(), [](const NumberName& row) {
    return NameRow<int32_t>{row.name, row.alias, static_cast<int32_t>(*row.value)};
  });
  return kinds;
}();

constexpr std::array kCapabilitySets{
    NumberName{"Effective", "", GH_CAPABILITIES_EFFECTIVE},
    NumberName{"Inheritable", "", GH_CAPABILITIES_INHERITABLE},
    NumberName{"Permitted", "", GH_CAPABILITIES_PERMITTED},
};

/// The types of st_mode (inode(7)), without the zeros behind them.
constexpr std::array kFileTypes{
    NameRow<int32_t>{"fifo", "", S_IFIFO >> 12},  NameRow<int32_t>{"chr", "", S_IFCHR >> 12},
    NameRow<int32_t>{"dir", "", S_IFDIR >> 12},   NameRow<int32_t>{"blk", "", S_IFBLK >> 12},
    NameRow<int32_t>{"reg", "", S_IFREG >> 12},   NameRow<int32_t>{"lnk", "", S_IFLNK >> 12},
    NameRow<int32_t>{"sock", "", S_IFSOCK >> 12},
};

using ActionName = NameRow<ActionKind>;
constexpr std::array kActions{
    ActionName{"Post", "", ActionKind::kPost},
    ActionName{"NoPost", "", ActionKind::kNoPost},
    ActionName{"Override", "", ActionKind::kOverride},
    ActionName{"Sigkill", "", ActionKind::kSigkill},
    ActionName{"Signal", "", ActionKind::kSignal},
    ActionName{"NotifyEnforcer", "", ActionKind::kNotifyEnforcer},
    ActionName{"CleanupEnforcerNotification", "", ActionKind::kCleanupEnforcerNotification},
    ActionName{"TrackSock", "", ActionKind::kTrackSock},
    ActionName{"UntrackSock", "", ActionKind::kUntrackSock},
    ActionName{"GetUrl", "", ActionKind::kGetUrl},
    ActionName{"DnsLookup", "", ActionKind::kDnsLookup},
    ActionName{"Set", "", ActionKind::kSet},
};

constexpr std::array kRateScopes{
    NameRow<RateScope>{"thread", "", RateScope::kThread},
    NameRow<RateScope>{"process", "", RateScope::kProcess},
    NameRow<RateScope>{"global", "", RateScope::kGlobal},
};

using LabelOperatorName = NameRow<LabelOperator>;
constexpr std::array kLabelOperators{
    LabelOperatorName{"In", "", LabelOperator::kIn},
    LabelOperatorName{"NotIn", "", LabelOperator::kNotIn},
    LabelOperatorName{"Exists", "", LabelOperator::kExists},
    LabelOperatorName{"DoesNotExist", "", LabelOperator::kDoesNotExist},
};

constexpr std::array kModes{
    NameRow<Mode>{"enforce", "", Mode::kEnforce},
    NameRow<Mode>{"monitor", "", Mode::kMonitor},
};

constexpr std::array kOnOverlaps{
    NameRow<OnOverlap>{"Conflict", "", OnOverlap::kConflict},
    NameRow<OnOverlap>{"Merge", "", OnOverlap::kMerge},
};

constexpr std::array kOptions{
    NameRow<Option>{"policy-mode", "", Option::kPolicyMode},
    NameRow<Option>{"disable-kprobe-multi", "", Option::kNoEffect},
    NameRow<Option>{"disable-uprobe-multi", "", Option::kNoEffect},
    NameRow<Option>{"override-method", "", Option::kNoEffect},
};

/// The subject of a filter and its type.
SubjectTraits WholeOf(const Filter& filter, const Hook& hook) {
  const auto whole = [](auto subject, ArgumentType type) -> SubjectTraits {
    return {static_cast<uint8_t>(subject), type, GH_FIELD_WHOLE, type};
  };
  switch (filter.subject) {
    case Subject::kArgument: {
      const Argument& argument = hook.arguments.at(filter.which);
      return whole(argument.subject(), argument.type);
    }
    case Subject::kData: {
      const Argument& argument = hook.data.at(filter.which);
      return whole(argument.subject(), argument.type);
    }
    case Subject::kReturn:
      return whole(GH_SUBJECT_RETURN, hook.returned->type);
    case Subject::kBinary:
      return whole(GH_SUBJECT_BINARY, kBinaryType);
    case Subject::kParentBinary:
      return whole(GH_SUBJECT_PARENT_BINARY, kBinaryType);
    case Subject::kPid:
      return whole(GH_SUBJECT_PID, ArgumentType::kPid);
    case Subject::kNamespacePid:
      return whole(GH_SUBJECT_NAMESPACE_PID, ArgumentType::kPid);
    case Subject::kAncestors:
      return whole(GH_SUBJECT_ANCESTORS, ArgumentType::kPid);
    case Subject::kNamespaceAncestors:
      return whole(GH_SUBJECT_NAMESPACE_ANCESTORS, ArgumentType::kPid);
    case Subject::kNamespace:
      return whole(GH_SUBJECT_NAMESPACE_0 + filter.which, ArgumentType::kNamespace);
    case Subject::kCapabilities:
      return whole(GH_SUBJECT_CAPABILITIES_0 + filter.which, ArgumentType::kCapabilities);
    case Subject::kNamespaceChanges:
      return whole(GH_SUBJECT_NAMESPACE_CHANGES, ArgumentType::kNamespaceKinds);
    case Subject::kCapabilityChanges:
      return whole(GH_SUBJECT_CAPABILITY_CHANGES_0 + filter.which, ArgumentType::kCapabilities);
    case Subject::kDescent:
      return whole(GH_SUBJECT_DESCENT, ArgumentType::kProgram);
    case Subject::kParentDescent:
      return whole(GH_SUBJECT_PARENT_DESCENT, ArgumentType::kProgram);
    case Subject::kScript:
      return whole(SiteBefore(hook) == kBprmCheck ? GH_SUBJECT_SCRIPT_EXECUTED : GH_SUBJECT_SCRIPT,
                   ArgumentType::kProgram);
  }
  __builtin_unreachable();
}

}  // namespace

SubjectTraits TraitsOf(const Filter& filter, const Hook& hook) {
  SubjectTraits traits = WholeOf(filter, hook);
  const FieldOperator* const of_field = FindField(filter.op);
  if (of_field == nullptr) return traits;
  const std::span<const Operator> operators = TraitsOf(traits.type).operators;
  if (std::ranges::find(operators, filter.op) != operators.end()) {
    traits.field = of_field->field;
    traits.operand = of_field->operand;
  }
  return traits;
}
std::span<const NameRow<uint32_t>> Namespaces() { return kNamespaces; }
std::span<const NameRow<uint32_t>> CapabilitySets() { return kCapabilitySets; }
std::span<const NameRow<ArgumentType>> ArgumentTypes() { return kArgumentTypes; }

ArgumentTypeTraits TraitsOf(ArgumentType type) {
  const auto text = [](ValueKind values, gh_read read) -> ArgumentTypeTraits {
    if (values == ValueKind::kPath)
      return {.values = values, .operators = kPathOperators, .read = read};
    return {.values = values, .operators = kTextOperators, .read = read};
  };
  const auto number = [](size_t bytes, bool is_signed,
                         ValueKind values = ValueKind::kNumber) -> ArgumentTypeTraits {
    return {values, kNumberOperators, GH_READ_NUMBER, static_cast<uint8_t>(bytes), is_signed};
  };
  const auto of_process = [](ValueKind values, size_t bytes) -> ArgumentTypeTraits {
    return {values, kMembershipOperators, GH_READ_PROCESS, static_cast<uint8_t>(bytes), false};
  };
  const auto socket = [](std::span<const Operator> operators, gh_read read) -> ArgumentTypeTraits {
    return {.values = ValueKind::kSocket, .operators = operators, .read = read};
  };
  const auto field = [](ValueKind values, size_t bytes) -> ArgumentTypeTraits {
    return {.values = values, .bytes = static_cast<uint8_t>(bytes)};
  };
  switch (type) {
    case ArgumentType::kLinuxBinprm:
      return text(ValueKind::kPath, GH_READ_BINPRM);
    case ArgumentType::kFile:
      return text(ValueKind::kPath, GH_READ_FILE);
    case ArgumentType::kPath:
      return text(ValueKind::kPath, GH_READ_PATH);
    case ArgumentType::kString:
      return text(ValueKind::kString, GH_READ_STRING);
    case ArgumentType::kInt8:
      return number(sizeof(int8_t), true);
    case ArgumentType::kUint8:
      return number(sizeof(uint8_t), false);
    case ArgumentType::kInt16:
      return number(sizeof(int16_t), true);
    case ArgumentType::kUint16:
      return number(sizeof(uint16_t), false);
    case ArgumentType::kInt32:
      return number(sizeof(int32_t), true);
    case ArgumentType::kUint32:
      return number(sizeof(uint32_t), false);
    case ArgumentType::kInt64:
      return number(sizeof(int64_t), true);
    case ArgumentType::kUint64:
    case ArgumentType::kSizeT:
      return number(sizeof(uint64_t), false);
    case ArgumentType::kCapability:
      return number(sizeof(int32_t), true, ValueKind::kCapability);
    case ArgumentType::kSystemCall: {
      ArgumentTypeTraits traits = number(sizeof(uint64_t), false);
      traits.read = GH_READ_SYSTEM_CALL;
      return traits;
    }
    case ArgumentType::kBpfCommand:
      return number(sizeof(int32_t), true, ValueKind::kBpfCommand);
    case ArgumentType::kKernelCap:
    case ArgumentType::kCapInheritable:
    case ArgumentType::kCapPermitted:
    case ArgumentType::kCapEffective:
      return {ValueKind::kCapabilityMask, kCapabilityMaskOperators, GH_READ_CAPABILITIES,
              sizeof(uint64_t), false};
    case ArgumentType::kFilename:
      return text(ValueKind::kString, GH_READ_FILENAME);
    case ArgumentType::kFd:
      return text(ValueKind::kPath, GH_READ_FD);
    case ArgumentType::kDentry:
      return text(ValueKind::kPath, GH_READ_DENTRY);
    case ArgumentType::kKiocb:
      return text(ValueKind::kPath, GH_READ_KIOCB);
    case ArgumentType::kModule:
      return text(ValueKind::kString, GH_READ_MODULE);
    case ArgumentType::kLoadInfo:
      return text(ValueKind::kString, GH_READ_LOAD_INFO);
    case ArgumentType::kNetDevice:
      return text(ValueKind::kString, GH_READ_NET_DEVICE);
    case ArgumentType::kSockaddrUn:
      return {.values = ValueKind::kString,
              .operators = kSockaddrUnOperators,
              .read = GH_READ_SOCKADDR_UN};
    case ArgumentType::kBuffer:
      return text(ValueKind::kBytes, GH_READ_BUFFER);
    case ArgumentType::kIovec:
      return text(ValueKind::kBytes, GH_READ_IOVEC);
    case ArgumentType::kIovIter:
      return text(ValueKind::kBytes, GH_READ_IOV_ITER);
    case ArgumentType::kSock:
      return socket(kSocketOperators, GH_READ_SOCK);
    case ArgumentType::kSocket:
      return socket(kSocketOperators, GH_READ_SOCKET);
    case ArgumentType::kSkb:
      return socket(kPacketOperators, GH_READ_SKB);
    case ArgumentType::kSockaddr:
      return socket(kSockaddrOperators, GH_READ_SOCKADDR);
    case ArgumentType::kCred:
      return socket({}, GH_READ_CRED);
    case ArgumentType::kUserNamespace:
      return socket({}, GH_READ_USER_NAMESPACE);
    case ArgumentType::kBpfAttr:
      return socket({}, GH_READ_BPF_ATTR);
    case ArgumentType::kBpfProg:
      return socket({}, GH_READ_BPF_PROG);
    case ArgumentType::kBpfMap:
      return socket({}, GH_READ_BPF_MAP);
    case ArgumentType::kPerfEvent:
      return socket({}, GH_READ_PERF_EVENT);
    case ArgumentType::kNop:
      return {};
    case ArgumentType::kAuto:  // filters are checked again when the type is known
      return {.values = ValueKind::kSocket, .operators = kAllOperators};
    case ArgumentType::kPid:
      return of_process(ValueKind::kNumber, sizeof(uint32_t));
    case ArgumentType::kNamespace:
      return of_process(ValueKind::kNamespace, sizeof(uint32_t));
    case ArgumentType::kCapabilities:
      return of_process(ValueKind::kCapabilities, sizeof(uint64_t));
    case ArgumentType::kNamespaceKinds:
      return of_process(ValueKind::kNamespaceKinds, sizeof(uint64_t));
    case ArgumentType::kProgram:
      return of_process(ValueKind::kPath, 0);
    case ArgumentType::kAddress:
      return field(ValueKind::kAddress, 0);
    case ArgumentType::kPort:
      return field(ValueKind::kNumber, sizeof(uint16_t));
    case ArgumentType::kProtocol:
      return field(ValueKind::kProtocol, sizeof(uint16_t));
    case ArgumentType::kFamily:
      return field(ValueKind::kFamily, sizeof(uint16_t));
    case ArgumentType::kState:
      return field(ValueKind::kState, sizeof(uint8_t));
    case ArgumentType::kFileType:
      return field(ValueKind::kFileType, sizeof(uint8_t));
    case ArgumentType::kFileIdentity:
      return field(ValueKind::kFileIdentity, 0);
  }
  return {};
}

std::span<const NameRow<int32_t>> NumberNames(ValueKind values) {
  switch (values) {
    case ValueKind::kCapability:
    case ValueKind::kCapabilities:
      return Capabilities();
    case ValueKind::kBpfCommand:
      return BpfCommands();
    case ValueKind::kProtocol:
      return Protocols();
    case ValueKind::kFamily:
      return Families();
    case ValueKind::kState:
      return TcpStates();
    case ValueKind::kFileType:
      return FileTypes();
    case ValueKind::kNamespaceKinds:
      return kNamespaceKinds;
    default:
      return {};
  }
}

std::span<const NameRow<int32_t>> FileTypes() { return kFileTypes; }

std::span<const NameRow<ActionKind>> Actions() { return kActions; }
std::span<const NameRow<RateScope>> RateScopes() { return kRateScopes; }
std::span<const NameRow<LabelOperator>> LabelOperators() { return kLabelOperators; }
std::span<const NameRow<Mode>> Modes() { return kModes; }
std::span<const NameRow<OnOverlap>> OnOverlaps() { return kOnOverlaps; }
std::span<const NameRow<Option>> Options() { return kOptions; }

}  // namespace gatehouse::policy

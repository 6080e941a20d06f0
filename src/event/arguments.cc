// SPDX-License-Identifier: Apache-2.0
#include "event/arguments.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <bitset>
#include <cstring>
#include <utility>

#include "event/text.h"
#include "policy/catalog.h"

namespace gatehouse::event {
namespace {

policy::ArgumentType TypeOf(gh_read read) {
  switch (read) {
    case GH_READ_FILE:
    case GH_READ_FD:
    case GH_READ_KIOCB:
      return policy::ArgumentType::kFile;
    case GH_READ_PATH:
    case GH_READ_DENTRY:
      return policy::ArgumentType::kPath;
    case GH_READ_BINPRM:
      return policy::ArgumentType::kLinuxBinprm;
    case GH_READ_STRING:
    case GH_READ_USER_STRING:
    case GH_READ_FILENAME:
    case GH_READ_NET_DEVICE:
    case GH_READ_BINARY:
    case GH_READ_PARENT_BINARY:
      return policy::ArgumentType::kString;
    case GH_READ_MODULE:
    case GH_READ_LOAD_INFO:
      return policy::ArgumentType::kModule;
    case GH_READ_SOCKADDR_UN:
    case GH_READ_USER_SOCKADDR_UN:
      return policy::ArgumentType::kSockaddrUn;
    case GH_READ_BUFFER:
    case GH_READ_USER_BUFFER:
      return policy::ArgumentType::kBuffer;
    case GH_READ_IOVEC:
    case GH_READ_USER_IOVEC:
      return policy::ArgumentType::kIovec;
    case GH_READ_IOV_ITER:
      return policy::ArgumentType::kIovIter;
    case GH_READ_SOCK:
      return policy::ArgumentType::kSock;
    case GH_READ_SOCKET:
      return policy::ArgumentType::kSocket;
    case GH_READ_CRED:
      return policy::ArgumentType::kCred;
    case GH_READ_USER_NAMESPACE:
      return policy::ArgumentType::kUserNamespace;
    case GH_READ_BPF_ATTR:
      return policy::ArgumentType::kBpfAttr;
    case GH_READ_BPF_PROG:
      return policy::ArgumentType::kBpfProg;
    case GH_READ_BPF_MAP:
      return policy::ArgumentType::kBpfMap;
    case GH_READ_PERF_EVENT:
      return policy::ArgumentType::kPerfEvent;
    case GH_READ_SKB:
      return policy::ArgumentType::kSkb;
    case GH_READ_SOCKADDR:
    case GH_READ_USER_SOCKADDR:
      return policy::ArgumentType::kSockaddr;
    case GH_READ_SYSTEM_CALL:
      return policy::ArgumentType::kSystemCall;
    case GH_READ_CAPABILITIES:
      return policy::ArgumentType::kKernelCap;
    case GH_READ_NUMBER:
    case GH_READ_PROCESS:
    case GH_READ_COUNT:
      break;
  }
  return policy::ArgumentType::kInt64;
}

// Tetragon's messages for paths differ by name only.
template <typename Path>
void FillPath(const ValueRecord& value, Path* out) {
  out->set_path(ToUtf8(value.text));
  if (value.unreadable != GH_READABLE) out->set_flags("unresolvedPathComponents");
  if (value.file_mode != 0) out->set_permission(ModeString(value.file_mode));
}

// As in Tetragon, the number itself if it has no name.
std::string NameOf(uint64_t number, std::span<const policy::NameRow<int32_t>> names) {
  for (const policy::NameRow<int32_t>& row : names) {
    if (row.value && std::cmp_equal(*row.value, number)) return std::string(row.name);
  }
  return std::to_string(number);
}

std::string NameOf(const gh_object& object) {
  return ToUtf8({object.name, strnlen(object.name, sizeof(object.name))});
}

void FillSockaddrUn(const ValueRecord& value, tetragon::KprobeSockaddrUn* out) {
  if (value.unreadable != GH_READABLE) return;
  out->set_family(NameOf(value.family, policy::Families()));
  out->set_path(ToUtf8(value.text));
}

void FillBytes(const ValueRecord& value, tetragon::KprobeArgument* out) {
  if (value.length <= value.text.size()) return out->set_bytes_arg(std::string(value.text));
  out->mutable_truncated_bytes_arg()->set_bytes_arg(std::string(value.text));
  out->mutable_truncated_bytes_arg()->set_orig_size(value.length);
}

void FillText(const ValueRecord& value, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kLinuxBinprm:
      return FillPath(value, out->mutable_linux_binprm_arg());
    case policy::ArgumentType::kFile:
    case policy::ArgumentType::kFd:
    case policy::ArgumentType::kKiocb:
      return FillPath(value, out->mutable_file_arg());
    case policy::ArgumentType::kPath:
    case policy::ArgumentType::kDentry:
      return FillPath(value, out->mutable_path_arg());
    case policy::ArgumentType::kModule:
    case policy::ArgumentType::kLoadInfo:
      return out->mutable_module_arg()->set_name(ToUtf8(value.text));
    case policy::ArgumentType::kBuffer:
    case policy::ArgumentType::kIovec:
    case policy::ArgumentType::kIovIter:
      return FillBytes(value, out);
    case policy::ArgumentType::kSockaddrUn:
      return FillSockaddrUn(value, out->mutable_sockaddrun_arg());
    default:
      out->set_string_arg(ToUtf8(value.text));
  }
}

bool Knows(const gh_socket& socket, gh_field field) { return (socket.known >> field & 1U) != 0; }

// Zero, which protobuf does not tell from nothing, if it is not known.
template <typename Number = uint32_t>
Number NumberOf(const gh_socket& socket, gh_field field) {
  return Knows(socket, field) ? static_cast<Number>(socket.fields[field]) : Number{0};
}

std::string NameOf(const gh_socket& socket, gh_field field,
                   std::span<const policy::NameRow<int32_t>> names) {
  return Knows(socket, field) ? NameOf(socket.fields[field], names) : std::string();
}

// Of the address whose first 8 bytes are in `high`, its last in `low`; "" if it is not known.
std::string AddressOf(const gh_socket& socket, gh_field high, gh_field low) {
  if (!Knows(socket, high) || !Knows(socket, low)) return {};
  const std::array<uint64_t, 2> halves = {htobe64(socket.fields[high]),
                                          htobe64(socket.fields[low])};
  in6_addr address;
  static_assert(sizeof(address) == sizeof(halves));
  std::memcpy(&address, halves.data(), sizeof(address));
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    constexpr size_t kAt = sizeof(in6_addr) - sizeof(in_addr);
    inet_ntop(AF_INET, &address.s6_addr[kAt], text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, &address, text.data(), text.size());
  }
  return text.data();
}

// What Tetragon's messages for sockets and packets have in common.
template <typename Socket>
void FillBoth(const gh_socket& socket, Socket* out) {
  out->set_family(NameOf(socket, GH_FIELD_FAMILY, policy::Families()));
  out->set_protocol(NameOf(socket, GH_FIELD_PROTOCOL, policy::Protocols()));
  out->set_mark(NumberOf(socket, GH_FIELD_MARK));
  out->set_priority(NumberOf(socket, GH_FIELD_PRIORITY));
  out->set_saddr(AddressOf(socket, GH_FIELD_SOURCE, GH_FIELD_SOURCE_LOW));
  out->set_daddr(AddressOf(socket, GH_FIELD_DESTINATION, GH_FIELD_DESTINATION_LOW));
  out->set_sport(NumberOf(socket, GH_FIELD_SOURCE_PORT));
  out->set_dport(NumberOf(socket, GH_FIELD_DESTINATION_PORT));
}

void FillSock(const gh_socket& socket, tetragon::KprobeSock* out) {
  FillBoth(socket, out);
  out->set_type(NameOf(socket, GH_FIELD_TYPE, policy::SocketTypes()));
  out->set_cookie(NumberOf<uint64_t>(socket, GH_FIELD_COOKIE));
  out->set_state(NameOf(socket, GH_FIELD_STATE, policy::TcpStates()));
}

void FillSkb(const gh_socket& socket, tetragon::KprobeSkb* out) {
  FillBoth(socket, out);
  out->set_hash(NumberOf(socket, GH_FIELD_HASH));
  out->set_len(NumberOf(socket, GH_FIELD_LENGTH));
  out->set_proto(NumberOf(socket, GH_FIELD_PROTOCOL));
}

void FillSockaddr(const gh_socket& socket, tetragon::KprobeSockaddr* out) {
  out->set_family(NameOf(socket, GH_FIELD_FAMILY, policy::Families()));
  out->set_addr(AddressOf(socket, GH_FIELD_SOURCE, GH_FIELD_SOURCE_LOW));
  out->set_port(NumberOf(socket, GH_FIELD_SOURCE_PORT));
}

void FillSocket(const gh_socket& socket, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kSkb:
      return FillSkb(socket, out->mutable_skb_arg());
    case policy::ArgumentType::kSockaddr:
      return FillSockaddr(socket, out->mutable_sockaddr_arg());
    default:
      FillSock(socket, out->mutable_sock_arg());
  }
}

// The capabilities of a set that have names.
void FillCapabilities(uint64_t bits, google::protobuf::RepeatedField<int>* out) {
  for (int bit = 0; bit < tetragon::CapabilitiesType_ARRAYSIZE; ++bit) {
    if ((bits >> bit & 1) != 0 && tetragon::CapabilitiesType_IsValid(bit)) out->Add(bit);
  }
}

void FillUserNamespace(const gh_cred& cred, tetragon::UserNamespace* out) {
  out->mutable_level()->set_value(static_cast<int32_t>(cred.user_ns_level));
  out->mutable_uid()->set_value(cred.user_ns_uid);
  out->mutable_gid()->set_value(cred.user_ns_gid);
  out->mutable_ns()->set_inum(cred.user_ns);
  out->mutable_ns()->set_is_host(cred.user_ns_level == 0);
}

void FillCred(const gh_cred& cred, tetragon::ProcessCredentials* out) {
  out->mutable_uid()->set_value(cred.uid);
  out->mutable_gid()->set_value(cred.gid);
  out->mutable_euid()->set_value(cred.euid);
  out->mutable_egid()->set_value(cred.egid);
  out->mutable_suid()->set_value(cred.suid);
  out->mutable_sgid()->set_value(cred.sgid);
  out->mutable_fsuid()->set_value(cred.fsuid);
  out->mutable_fsgid()->set_value(cred.fsgid);
  for (int bit = 1; bit <= tetragon::SecureBitsType_MAX; bit <<= 1) {
    if ((cred.securebits & static_cast<uint32_t>(bit)) != 0) {
      out->add_securebits(static_cast<tetragon::SecureBitsType>(bit));
    }
  }
  FillCapabilities(cred.permitted, out->mutable_caps()->mutable_permitted());
  FillCapabilities(cred.effective, out->mutable_caps()->mutable_effective());
  FillCapabilities(cred.inheritable, out->mutable_caps()->mutable_inheritable());
  FillUserNamespace(cred, out->mutable_user_ns());
}

void FillCapability(int32_t number, tetragon::KprobeCapability* out) {
  out->mutable_value()->set_value(number);
  // As in Tetragon, empty if it is none.
  out->set_name(tetragon::CapabilitiesType_Name(number));
}

void FillSystemCall(uint64_t number, tetragon::SyscallId* out) {
  out->set_id(static_cast<uint32_t>(number & ~GH_COMPAT_CALL));
  out->set_abi((number & GH_COMPAT_CALL) != 0 ? "i386" : "x64");
}

// Tetragon's messages for a program of BPF, and for what one is made of, differ by name only.
template <typename Program>
void FillProgram(const gh_object& object, Program* out) {
  out->set_progtype(NameOf(object.type, policy::BpfProgramTypes()));
  out->set_insncnt(object.instructions);
  out->set_progname(NameOf(object));
}

void FillMap(const gh_object& object, tetragon::KprobeBpfMap* out) {
  out->set_maptype(NameOf(object.type, policy::BpfMapTypes()));
  out->set_keysize(object.key_bytes);
  out->set_valuesize(object.value_bytes);
  out->set_maxentries(object.entries);
  out->set_mapname(NameOf(object));
}

void FillPerfEvent(const gh_object& object, tetragon::KprobePerfEvent* out) {
  out->set_kprobefunc(NameOf(object));
  out->set_type(NameOf(object.type, policy::PerfEventTypes()));
  out->set_config(object.config);
  out->set_probeoffset(object.probe_offset);
}

void FillObject(const gh_object& object, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kBpfAttr:
      return FillProgram(object, out->mutable_bpf_attr_arg());
    case policy::ArgumentType::kBpfProg:
      return FillProgram(object, out->mutable_bpf_prog_arg());
    case policy::ArgumentType::kBpfMap:
      return FillMap(object, out->mutable_bpf_map_arg());
    default:
      FillPerfEvent(object, out->mutable_perf_event_arg());
  }
}

// As in Tetragon and in /proc/PID/status.
std::string CapabilitiesText(uint64_t bits) { return fmt::format("{:016x}", bits); }

void FillNumber(uint64_t number, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kInt8:
    case policy::ArgumentType::kInt16:
    case policy::ArgumentType::kInt32:
      return out->set_int_arg(static_cast<int32_t>(number));
    case policy::ArgumentType::kUint8:
    case policy::ArgumentType::kUint16:
    case policy::ArgumentType::kUint32:
      return out->set_uint_arg(static_cast<uint32_t>(number));
    case policy::ArgumentType::kInt64:
      return out->set_long_arg(static_cast<int64_t>(number));
    case policy::ArgumentType::kCapability:
      return FillCapability(static_cast<int32_t>(number), out->mutable_capability_arg());
    case policy::ArgumentType::kSystemCall:
      return FillSystemCall(number, out->mutable_syscall_id());
    case policy::ArgumentType::kBpfCommand:
      return out->set_bpf_cmd_arg(static_cast<tetragon::BpfCmd>(number));
    case policy::ArgumentType::kKernelCap:
      return out->set_kernel_cap_t_arg(CapabilitiesText(number));
    case policy::ArgumentType::kCapInheritable:
      return out->set_cap_inheritable_arg(CapabilitiesText(number));
    case policy::ArgumentType::kCapPermitted:
      return out->set_cap_permitted_arg(CapabilitiesText(number));
    case policy::ArgumentType::kCapEffective:
      return out->set_cap_effective_arg(CapabilitiesText(number));
    default:
      out->set_size_arg(number);
  }
}

const char* UnreadableWord(size_t reason) {
  switch (reason) {
    case GH_UNREADABLE_TOO_LONG:
      return "too-long";
    case GH_UNREADABLE_UNREACHABLE:
      return "unreachable";
    case GH_UNREADABLE_FAULT:
      return "fault";
    case GH_UNREADABLE_NO_BINARY:
      return "no-binary";
    case GH_UNREADABLE_NO_SCRATCH:
      return "no-scratch";
    case GH_UNREADABLE_TOO_MANY:
      return "too-many";
    default:
      return "unknown";
  }
}

}  // namespace

std::vector<policy::Argument> ArgumentsOf(const PolicyRecord& record) {
  std::vector<policy::Argument> arguments;
  for (uint32_t index = 0; index < GH_ARGUMENTS_MAX; ++index) {
    const ValueRecord* value = record.Find(index);
    if (value != nullptr) arguments.push_back({index, TypeOf(value->read), {}, {}});
  }
  for (uint8_t subject = GH_SUBJECT_RESOLVED_0; subject < GH_SUBJECT_TOLD; ++subject) {
    const ValueRecord* value = record.Find(subject);
    if (value == nullptr) continue;
    arguments.push_back({.type = TypeOf(value->read), .resolved = {{.subject = subject}}});
  }
  return arguments;
}

void FillArguments(const PolicyRecord& record, std::span<const policy::Argument> arguments,
                   google::protobuf::RepeatedPtrField<tetragon::KprobeArgument>* out) {
  for (const policy::Argument& argument : arguments) {
    if (argument.type != policy::ArgumentType::kNop) FillArgument(record, argument, out->Add());
  }
}

void FillArgument(const PolicyRecord& record, const policy::Argument& argument,
                  tetragon::KprobeArgument* out) {
  out->set_label(argument.label);
  const ValueRecord* value = record.Find(argument.subject());
  if (value == nullptr) return;
  if (gh_is_text(value->read)) {
    FillText(*value, argument.type, out);
  } else if (gh_is_socket(value->read)) {
    FillSocket(value->Socket(), argument.type, out);
  } else if (gh_is_cred(value->read)) {
    if (value->unreadable != GH_READABLE) return;
    if (value->read == GH_READ_CRED) {
      FillCred(value->Cred(), out->mutable_process_credentials_arg());
    } else {
      FillUserNamespace(value->Cred(), out->mutable_user_ns_arg());
    }
  } else if (gh_is_object(value->read)) {
    if (value->unreadable == GH_READABLE) FillObject(value->Object(), argument.type, out);
  } else if (value->unreadable == GH_READABLE) {
    FillNumber(value->number, argument.type, out);
  }
}

const policy::Argument kReturned{GH_SUBJECT_RETURN, policy::ArgumentType::kInt64, {}, {}};

std::vector<std::string_view> UnreadableWords(const PolicyRecord& record,
                                              std::span<const policy::Argument> arguments,
                                              std::span<const policy::Argument> data) {
  std::bitset<GH_UNREADABLE_TOO_MANY + 1> reasons;
  for (const auto& shown : {arguments, data}) {
    for (const policy::Argument& argument : shown) {
      const ValueRecord* value = record.Find(argument.subject());
      if (value != nullptr) reasons.set(value->unreadable);
    }
  }
  std::vector<std::string_view> words;
  for (size_t reason = GH_READABLE + 1; reason < reasons.size(); ++reason) {
    if (reasons.test(reason)) words.emplace_back(UnreadableWord(reason));
  }
  return words;
}

}  // namespace gatehouse::event

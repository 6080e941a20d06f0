// SPDX-License-Identifier: Apache-2.0
#include "kernel/parameters.h"

#include <array>
#include <string_view>

#include "kernel/program_sites.h"
#include "policy/catalog.h"

namespace gatehouse::kernel {
namespace {

/// The struct that an input's argument points to.
std::string_view PointeeOf(gh_read read) {
  switch (read) {
    case GH_READ_FILE:
      return "file";
    case GH_READ_PATH:
      return "path";
    case GH_READ_BINPRM:
      return "linux_binprm";
    case GH_READ_STRING:
    case GH_READ_BUFFER:
      return "char";
    case GH_READ_IOVEC:
      return "iovec";
    case GH_READ_IOV_ITER:
      return "iov_iter";
    case GH_READ_FILENAME:
      return "filename";
    case GH_READ_SOCK:
      return "sock";
    case GH_READ_SOCKET:
      return "socket";
    case GH_READ_SKB:
      return "sk_buff";
    case GH_READ_CRED:
      return "cred";
    case GH_READ_USER_NAMESPACE:
      return "user_namespace";
    case GH_READ_SOCKADDR:
    case GH_READ_SOCKADDR_UN:
      return "sockaddr";
    case GH_READ_DENTRY:
      return "dentry";
    case GH_READ_KIOCB:
      return "kiocb";
    case GH_READ_MODULE:
      return "module";
    case GH_READ_LOAD_INFO:
      return "load_info";
    case GH_READ_NET_DEVICE:
      return "net_device";
    case GH_READ_CAPABILITIES:
      return "kernel_cap_t";
    case GH_READ_BPF_ATTR:
      return "bpf_attr";
    case GH_READ_BPF_PROG:
      return "bpf_prog";
    case GH_READ_BPF_MAP:
      return "bpf_map";
    case GH_READ_PERF_EVENT:
      return "perf_event";
    default:
      return {};
  }
}

/// Of addresses there is a struct for each family, and some for all: they begin alike. The struct
/// behind kernel_cap_t had a name until 6.3 (commit f122a08b197d).
bool PointsTo(const Parameter& parameter, gh_read read) {
  if (parameter.pointee == "void") return true;
  if (read == GH_READ_CAPABILITIES && parameter.pointee == "kernel_cap_struct") return true;
  const std::string_view wanted = PointeeOf(read);
  const bool beginning = read == GH_READ_SOCKADDR || read == GH_READ_SOCKADDR_UN;
  return beginning ? parameter.pointee.starts_with(wanted) : parameter.pointee == wanted;
}

using Type = policy::ArgumentType;

/// Types that stand for a pointer to a struct of their own.
constexpr std::array kOfPointers{
    Type::kLinuxBinprm, Type::kFile,      Type::kPath,    Type::kString,  Type::kFilename,
    Type::kSock,        Type::kSocket,    Type::kSkb,     Type::kCred,    Type::kUserNamespace,
    Type::kSockaddr,    Type::kDentry,    Type::kKiocb,   Type::kModule,  Type::kLoadInfo,
    Type::kNetDevice,   Type::kIovIter,   Type::kBpfAttr, Type::kBpfProg, Type::kBpfMap,
    Type::kPerfEvent,   Type::kKernelCap,
};

/// As the types of policies are written: signed, then without sign.
constexpr std::array<std::array<Type, 2>, 4> kNumbers{{{Type::kInt8, Type::kUint8},
                                                       {Type::kInt16, Type::kUint16},
                                                       {Type::kInt32, Type::kUint32},
                                                       {Type::kInt64, Type::kUint64}}};

}  // namespace

Result<void> CheckParameter(const std::string& object, const std::string& what,
                            const Parameter& parameter, const compile::Input& input) {
  const auto refuse = [&](const std::string& cause, const std::string& remedy) {
    return Fail(ErrorCode::kUnsupported, object, what + " " + cause, remedy);
  };
  if (!parameter.operand.empty()) return CheckOperand(object, what, parameter, input);
  if (!parameter.readable) {
    return refuse("is of a type that BPF programs cannot read", "leave it out of args");
  }
  if (gh_is_word(input.read)) {
    if (parameter.pointer || parameter.bytes >= input.bytes) return {};
    return refuse("has " + std::to_string(parameter.bytes) + " bytes, fewer than the " +
                      std::to_string(input.bytes) + " of its type",
                  "use an integer type of that size");
  }
  const bool of_process = input.read == GH_READ_USER_STRING || input.read == GH_READ_FD ||
                          input.read == GH_READ_USER_SOCKADDR ||
                          input.read == GH_READ_USER_SOCKADDR_UN ||
                          input.read == GH_READ_USER_BUFFER ||
                          input.read == GH_READ_USER_IOVEC;  // see policy/arguments
  if (of_process || PointsTo(parameter, input.read)) return {};
  return refuse((parameter.pointer ? "is a pointer to " + parameter.pointee : "is a number") +
                    ", and its type in the policy is read from a pointer to " +
                    std::string(PointeeOf(input.read)),
                "give the argument the type that the function has");
}

std::optional<policy::ArgumentType> TypeOf(const Parameter& parameter) {
  if (!parameter.readable) return std::nullopt;
  if (parameter.pointer) {
    for (const Type type : kOfPointers) {
      if (parameter.pointee != "void" && PointsTo(parameter, policy::TraitsOf(type).read)) {
        return type;
      }
    }
    return std::nullopt;
  }
  for (const std::array<Type, 2>& types : kNumbers) {
    if (policy::TraitsOf(types[0]).bytes == parameter.bytes) {
      return types[parameter.is_signed ? 0 : 1];
    }
  }
  return std::nullopt;
}

}  // namespace gatehouse::kernel

// SPDX-License-Identifier: Apache-2.0
#include "export/compact.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <utility>

#include "event/enrich.h"

namespace gatehouse::exporting {
namespace {

// What a terminal could take for a command is shown as \xHH.
std::string Printable(std::string_view text) {
  constexpr unsigned char kDelete = 0x7f;
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == kDelete) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string TimeOfDay(const google::protobuf::Timestamp& time) {
  constexpr int kNsPerMs = 1'000'000;
  const std::chrono::sys_seconds seconds{std::chrono::seconds(time.seconds())};
  return fmt::format("{:%H:%M:%S}.{:03}", seconds, time.nanos() / kNsPerMs);
}

// namespace/pod/container, as far as it is known, or the cgroup; the host is a dash.
std::string Workload(const tetragon::Process& process) {
  if (!process.has_pod()) return "-";
  const tetragon::Pod& pod = process.pod();
  std::string text;
  for (const std::string* part : {&pod.namespace_(), &pod.name(), &pod.container().name()}) {
    if (part->empty()) continue;
    if (!text.empty()) text += '/';
    text += *part;
  }
  const auto cgroup = pod.pod_annotations().find(event::kAnnotationCgroup);
  if (text.empty() && cgroup != pod.pod_annotations().end()) text = cgroup->second;
  return text.empty() ? "-" : Printable(text);
}

std::string Command(const tetragon::Process& process) {
  const std::string binary = process.binary().empty() ? "?" : Printable(process.binary());
  return process.arguments().empty() ? binary : binary + " " + Printable(process.arguments());
}

std::string Line(const tetragon::GetEventsResponse& event, std::string_view what,
                 const tetragon::Process& process, std::string_view rest) {
  return fmt::format("{} {:<9} {} {} {}", TimeOfDay(event.time()), what, Workload(process),
                     process.pid().value(), rest);
}

template <typename Event>
bool HasTag(const Event& event, std::string_view tag) {
  return std::ranges::find(event.tags(), tag) != event.tags().end();
}

// The first word of an event of a policy: what happened to the operation.
template <typename Event>
std::string_view Outcome(const Event& event) {
  const bool enforces = event.action() != tetragon::KPROBE_ACTION_POST &&
                        event.action() != tetragon::KPROBE_ACTION_NOPOST;
  if (!enforces) return "seen";
  if (HasTag(event, event::kTagMonitor)) return "monitored";
  if (HasTag(event, event::kTagProtected)) return "protected";
  if (HasTag(event, event::kTagBySignal)) return "killed";
  switch (event.action()) {
    case tetragon::KPROBE_ACTION_OVERRIDE:
      return "denied";
    case tetragon::KPROBE_ACTION_SIGKILL:
      return "killed";
    case tetragon::KPROBE_ACTION_SIGNAL:
      return "signalled";
    case tetragon::KPROBE_ACTION_SET:
      return "set";
    default:
      return "seen";
  }
}

constexpr char kUnreadable[] = "(unreadable)";

template <typename Path>
std::string PathText(const Path& path) {
  return path.path().empty() ? kUnreadable : Printable(path.path());
}

// Of a socket, a packet or an address, if it has no address of IP: AF_UNIX.
template <typename Socket>
std::string FamilyText(const Socket& socket) {
  if (socket.ByteSizeLong() == 0) return kUnreadable;
  return socket.family().empty() ? "?" : Printable(socket.family());
}

// As in URLs; a port of 0 is none.
std::string EndText(std::string_view address, uint32_t port) {
  if (address.empty()) return "?";
  const bool is_ipv6 = address.find(':') != std::string_view::npos;
  const std::string host = is_ipv6 ? fmt::format("[{}]", address) : std::string(address);
  return Printable(port == 0 ? host : fmt::format("{}:{}", host, port));
}

// Of a socket or a packet: TCP 10.0.0.1:4242 -> 10.0.0.2:443.
template <typename Socket>
std::string SocketText(const Socket& socket) {
  constexpr std::string_view kPrefix = "IPPROTO_";
  if (socket.saddr().empty() && socket.daddr().empty()) return FamilyText(socket);
  std::string_view protocol = socket.protocol();
  if (protocol.starts_with(kPrefix)) protocol.remove_prefix(kPrefix.size());
  return fmt::format("{} {} -> {}", protocol.empty() ? "?" : Printable(protocol),
                     EndText(socket.saddr(), socket.sport()),
                     EndText(socket.daddr(), socket.dport()));
}

std::string SockaddrText(const tetragon::KprobeSockaddr& address) {
  return address.addr().empty() ? FamilyText(address) : EndText(address.addr(), address.port());
}

// Of another family, that is all that is known.
std::string SockaddrUnText(const tetragon::KprobeSockaddrUn& address) {
  return address.path().empty() ? FamilyText(address) : Printable(address.path());
}

// The ids that count when the process does something; the rest is for JSON.
std::string CredText(const tetragon::ProcessCredentials& cred) {
  return fmt::format("uid {} euid {} gid {} egid {}", cred.uid().value(), cred.euid().value(),
                     cred.gid().value(), cred.egid().value());
}

std::string CapabilityText(const tetragon::KprobeCapability& capability) {
  return capability.name().empty() ? std::to_string(capability.value().value())
                                   : Printable(capability.name());
}

// Of the 32-bit table with its name in front, as in lists of names: i386/11.
std::string SystemCallText(const tetragon::SyscallId& call) {
  return call.abi() == "i386" ? fmt::format("i386/{}", call.id()) : std::to_string(call.id());
}

std::string BpfCommandText(tetragon::BpfCmd command) {
  return tetragon::BpfCmd_IsValid(command) ? tetragon::BpfCmd_Name(command)
                                           : std::to_string(static_cast<int>(command));
}

// Tetragon's messages for a program of BPF, and for what one is made of, differ by name only.
template <typename Program>
std::string ProgramText(const Program& program) {
  return fmt::format("{} \"{}\", {} instructions", Printable(program.progtype()),
                     Printable(program.progname()), program.insncnt());
}

std::string MapText(const tetragon::KprobeBpfMap& map) {
  return fmt::format("{} \"{}\", {} entries of {}+{} bytes", Printable(map.maptype()),
                     Printable(map.mapname()), map.maxentries(), map.keysize(), map.valuesize());
}

std::string PerfEventText(const tetragon::KprobePerfEvent& event) {
  const std::string type = Printable(event.type());
  return event.kprobefunc().empty() ? fmt::format("{} {:#x}", type, event.config())
                                    : fmt::format("{} {}", type, Printable(event.kprobefunc()));
}

// A value that is not a path, which says itself what it is, has its label in front.
std::string Labelled(const tetragon::KprobeArgument& argument, std::string_view value) {
  return argument.label().empty() ? std::string(value)
                                  : fmt::format("{}={}", Printable(argument.label()), value);
}

std::string ArgumentText(const tetragon::KprobeArgument& argument) {
  switch (argument.arg_case()) {
    case tetragon::KprobeArgument::kLinuxBinprmArg:
      return PathText(argument.linux_binprm_arg());
    case tetragon::KprobeArgument::kFileArg:
      return PathText(argument.file_arg());
    case tetragon::KprobeArgument::kPathArg:
      return PathText(argument.path_arg());
    case tetragon::KprobeArgument::kStringArg:
      return Labelled(argument, "\"" + Printable(argument.string_arg()) + "\"");
    case tetragon::KprobeArgument::kBytesArg:
      return Labelled(argument, "\"" + Printable(argument.bytes_arg()) + "\"");
    case tetragon::KprobeArgument::kTruncatedBytesArg:
      return Labelled(argument,
                      "\"" + Printable(argument.truncated_bytes_arg().bytes_arg()) + "\"…");
    case tetragon::KprobeArgument::kIntArg:
      return Labelled(argument, std::to_string(argument.int_arg()));
    case tetragon::KprobeArgument::kUintArg:
      return Labelled(argument, std::to_string(argument.uint_arg()));
    case tetragon::KprobeArgument::kLongArg:
      return Labelled(argument, std::to_string(argument.long_arg()));
    case tetragon::KprobeArgument::kSizeArg:
      return Labelled(argument, std::to_string(argument.size_arg()));
    case tetragon::KprobeArgument::kCapabilityArg:
      return Labelled(argument, CapabilityText(argument.capability_arg()));
    case tetragon::KprobeArgument::kKernelCapTArg:
      return Labelled(argument, Printable(argument.kernel_cap_t_arg()));
    case tetragon::KprobeArgument::kCapInheritableArg:
      return Labelled(argument, Printable(argument.cap_inheritable_arg()));
    case tetragon::KprobeArgument::kCapPermittedArg:
      return Labelled(argument, Printable(argument.cap_permitted_arg()));
    case tetragon::KprobeArgument::kCapEffectiveArg:
      return Labelled(argument, Printable(argument.cap_effective_arg()));
    case tetragon::KprobeArgument::kSyscallId:
      return Labelled(argument, SystemCallText(argument.syscall_id()));
    case tetragon::KprobeArgument::kBpfCmdArg:
      return Labelled(argument, BpfCommandText(argument.bpf_cmd_arg()));
    case tetragon::KprobeArgument::kProcessCredentialsArg:
      return Labelled(argument, CredText(argument.process_credentials_arg()));
    case tetragon::KprobeArgument::kBpfAttrArg:
      return Labelled(argument, ProgramText(argument.bpf_attr_arg()));
    case tetragon::KprobeArgument::kBpfProgArg:
      return Labelled(argument, ProgramText(argument.bpf_prog_arg()));
    case tetragon::KprobeArgument::kBpfMapArg:
      return Labelled(argument, MapText(argument.bpf_map_arg()));
    case tetragon::KprobeArgument::kPerfEventArg:
      return Labelled(argument, PerfEventText(argument.perf_event_arg()));
    case tetragon::KprobeArgument::kUserNsArg:
      return Labelled(argument, fmt::format("user:[{}]", argument.user_ns_arg().ns().inum()));
    case tetragon::KprobeArgument::kSockArg:
      return Labelled(argument, SocketText(argument.sock_arg()));
    case tetragon::KprobeArgument::kSkbArg:
      return Labelled(argument, SocketText(argument.skb_arg()));
    case tetragon::KprobeArgument::kSockaddrunArg:
      return Labelled(argument, SockaddrUnText(argument.sockaddrun_arg()));
    case tetragon::KprobeArgument::kModuleArg:
      return Labelled(argument, argument.module_arg().name().empty()
                                    ? kUnreadable
                                    : Printable(argument.module_arg().name()));
    case tetragon::KprobeArgument::kSockaddrArg:
      return Labelled(argument, SockaddrText(argument.sockaddr_arg()));
    default:
      return Labelled(argument, "?");
  }
}

std::string PlaceOf(const tetragon::ProcessKprobe& event) { return event.function_name(); }
std::string PlaceOf(const tetragon::ProcessLsm& event) { return event.function_name(); }
std::string PlaceOf(const tetragon::ProcessTracepoint& event) {
  return fmt::format("{}/{}", event.subsys(), event.event());
}
std::string PlaceOf(const tetragon::ProcessUprobe& event) {
  return event.symbol().empty() ? fmt::format("{}+{:#x}", event.path(), event.offset())
                                : fmt::format("{}:{}", event.path(), event.symbol());
}
std::string PlaceOf(const tetragon::ProcessUsdt& event) {
  return fmt::format("{}:{}:{}", event.path(), event.provider(), event.name());
}

// do_syscall_64+0x5b of the kernel, main (/bin/a+0x11d0) of a program.
std::string FrameText(const tetragon::StackTraceEntry& entry) {
  std::string text = entry.address() == 0 ? "" : fmt::format("{:#x} ", entry.address());
  const std::string symbol = entry.symbol().empty() ? "?" : Printable(entry.symbol());
  if (!entry.module().empty()) {
    return text + fmt::format("{} ({}+{:#x})", symbol, Printable(entry.module()), entry.offset());
  }
  return text + (entry.symbol().empty() ? symbol : fmt::format("{}+{:#x}", symbol, entry.offset()));
}

// The innermost function first, each on a line of its own.
std::string StackLines(const tetragon::ProcessKprobe& event) {
  std::string lines;
  for (const auto& entry : event.kernel_stack_trace()) lines += "\n  kernel " + FrameText(entry);
  for (const auto& entry : event.user_stack_trace()) lines += "\n  user   " + FrameText(entry);
  return lines;
}

template <typename Event>
std::string PolicyLine(const tetragon::GetEventsResponse& response, const Event& event) {
  std::string rest = Command(event.process());
  std::string_view separator = " -> ";
  for (const tetragon::KprobeArgument& argument : event.args()) {
    rest.append(std::exchange(separator, ", ")).append(ArgumentText(argument));
  }
  if constexpr (requires { event.data(); }) {
    for (const tetragon::KprobeArgument& value : event.data()) {
      rest.append(std::exchange(separator, ", ")).append(ArgumentText(value));
    }
  }
  rest += fmt::format("  policy {} on {}",
                      event.policy_name().empty() ? "?" : Printable(event.policy_name()),
                      Printable(PlaceOf(event)));
  if (!event.message().empty()) rest += ": " + Printable(event.message());
  return Line(response, Outcome(event), event.process(), rest);
}

std::string ExitLine(const tetragon::GetEventsResponse& response) {
  const tetragon::ProcessExit& event = response.process_exit();
  const std::string end =
      event.signal().empty() ? fmt::format("status {}", event.status()) : Printable(event.signal());
  return Line(response, "exit", event.process(), Command(event.process()) + "  " + end);
}

}  // namespace

std::string CompactLine(const tetragon::GetEventsResponse& event) {
  switch (event.event_case()) {
    case tetragon::GetEventsResponse::kProcessExec:
      return Line(event, "exec", event.process_exec().process(),
                  Command(event.process_exec().process()));
    case tetragon::GetEventsResponse::kProcessExit:
      return ExitLine(event);
    case tetragon::GetEventsResponse::kProcessKprobe:
      return PolicyLine(event, event.process_kprobe()) + StackLines(event.process_kprobe());
    case tetragon::GetEventsResponse::kProcessLsm:
      return PolicyLine(event, event.process_lsm());
    case tetragon::GetEventsResponse::kProcessTracepoint:
      return PolicyLine(event, event.process_tracepoint());
    case tetragon::GetEventsResponse::kProcessUprobe:
      return PolicyLine(event, event.process_uprobe());
    case tetragon::GetEventsResponse::kProcessLoader:
      return Line(event, "load", event.process_loader().process(),
                  Command(event.process_loader().process()) + " -> " +
                      Printable(event.process_loader().path()));
    case tetragon::GetEventsResponse::kProcessUsdt:
      return PolicyLine(event, event.process_usdt());
    default:
      return fmt::format("{} other     event of type {}", TimeOfDay(event.time()),
                         static_cast<int>(event.event_case()));
  }
}

}  // namespace gatehouse::exporting

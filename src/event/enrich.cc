// SPDX-License-Identifier: Apache-2.0
#include "event/enrich.h"

#include <fmt/format.h>
#include <signal.h>

#include <array>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>

#include "event/arguments.h"
#include "event/text.h"

namespace gatehouse::event {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
// How old a reading of the clocks may be: a step of the wall clock shows after that time.
constexpr uint64_t kOffsetAgeNs = 1'000'000'000;
constexpr size_t kDockerLength = 31;  // as Tetragon cuts container ids

void SetTime(int64_t wall_ns, google::protobuf::Timestamp* out) {
  out->set_seconds(wall_ns / kNsPerSecond);
  out->set_nanos(static_cast<int32_t>(wall_ns % kNsPerSecond));
}

void FillPod(const WorkloadInfo& info, tetragon::Pod* pod) {
  pod->set_namespace_(info.ns);
  pod->set_name(info.pod);
  pod->set_uid(info.pod_uid);
  pod->set_workload(info.owner);
  pod->set_workload_kind(info.owner_kind);
  for (const auto& [key, value] : info.labels) (*pod->mutable_pod_labels())[key] = value;
  if (!info.cgroup.empty())
    (*pod->mutable_pod_annotations())[kAnnotationCgroup] = ToUtf8(info.cgroup);
  if (info.container.empty() && info.container_id.empty() && info.image.empty()) return;
  tetragon::Container* container = pod->mutable_container();
  container->set_id(info.container_id);
  container->set_name(info.container);
  if (!info.image.empty()) container->mutable_image()->set_name(info.image);
}

// The id without "runtime://".
std::string_view BareContainerId(std::string_view id) {
  constexpr std::string_view kSeparator = "://";
  const size_t at = id.find(kSeparator);
  return at == std::string_view::npos ? id : id.substr(at + kSeparator.size());
}

// One action stands for all of a selector's: the one that weighs most.
tetragon::KprobeAction ActionOf(const PolicyRecord& record) {
  if ((record.actions & GH_ACTION_OVERRIDE) != 0) return tetragon::KPROBE_ACTION_OVERRIDE;
  if ((record.actions & GH_ACTION_SIGNAL) != 0) {
    return record.signal == SIGKILL ? tetragon::KPROBE_ACTION_SIGKILL
                                    : tetragon::KPROBE_ACTION_SIGNAL;
  }
  if ((record.actions & GH_ACTION_SET) != 0) return tetragon::KPROBE_ACTION_SET;
  if ((record.actions & GH_ACTION_NOTIFY) != 0) return tetragon::KPROBE_ACTION_NOTIFYENFORCER;
  if ((record.actions & GH_ACTION_CLEANUP) != 0) {
    return tetragon::KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION;
  }
  if ((record.actions & GH_ACTION_TRACK_SOCK) != 0) return tetragon::KPROBE_ACTION_TRACKSOCK;
  if ((record.actions & GH_ACTION_UNTRACK_SOCK) != 0) return tetragon::KPROBE_ACTION_UNTRACKSOCK;
  return tetragon::KPROBE_ACTION_POST;
}

// What the hook is called if the policy is not there to tell: only executions have fixed numbers.
const char* HookName(uint16_t hook) {
  switch (hook) {
    case GH_HOOK_BPRM_CREDS_FOR_EXEC:
      return "security_bprm_creds_for_exec";
    case GH_HOOK_BPRM_CHECK:
      return "security_bprm_check";
    default:
      return "";
  }
}

// What the event is about, in the words of its section.
void FillPlace(const policy::HookInfo& hook, tetragon::ProcessKprobe* out) {
  out->set_function_name(hook.call);
}

void FillPlace(const policy::HookInfo& hook, tetragon::ProcessLsm* out) {
  out->set_function_name(hook.call);
}

void FillPlace(const policy::HookInfo& hook, tetragon::ProcessTracepoint* out) {
  out->set_subsys(hook.source);
  out->set_event(hook.call);
}

void FillPlace(const policy::HookInfo& hook, tetragon::ProcessUprobe* out) {
  out->set_path(ToUtf8(hook.source));
  out->set_ref_ctr_offset(hook.counter);
  if (hook.call.front() == '+') {
    out->set_offset(std::stoull(hook.call.substr(1), nullptr, 0));
  } else {
    out->set_symbol(ToUtf8(hook.call));
  }
}

void FillPlace(const policy::HookInfo& hook, tetragon::ProcessUsdt* out) {
  const size_t colon = hook.call.find(':');
  out->set_path(ToUtf8(hook.source));
  out->set_provider(ToUtf8(hook.call.substr(0, colon)));
  out->set_name(ToUtf8(hook.call.substr(colon + 1)));
}

// Tetragon's words for enum hash_algo, <linux/hash_info.h>.
const char* AlgorithmName(int algorithm) {
  constexpr std::array kNames = {"md4",    "md5",    "sha1",   "rmd160",
                                 "sha256", "sha384", "sha512", "sha224"};
  return kNames.at(static_cast<size_t>(algorithm));
}

void FillHash(const PolicyRecord& record, tetragon::ProcessLsm* out) {
  if ((record.flags & GH_POLICY_HASH) == 0) return;
  if (!record.hash || record.hash->bytes.empty()) return out->add_tags(kTagNoHash);
  std::string text = AlgorithmName(record.hash->algorithm) + std::string(":");
  for (const char byte : record.hash->bytes) {
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<uint8_t>(byte));
  }
  out->set_ima_hash(text);
}

template <typename Event>
void FillTags(const PolicyRecord& record, std::span<const policy::Argument> arguments,
              std::span<const policy::Argument> data, bool policy_gone, Event* out) {
  if (policy_gone) out->add_tags(kTagPolicyGone);
  constexpr std::array<std::pair<gh_policy_event_flags, const char*>, 3> kFlags = {
      {{GH_POLICY_MONITOR, kTagMonitor},
       {GH_POLICY_PROTECTED, kTagProtected},
       {GH_POLICY_BY_SIGNAL, kTagBySignal}}};
  for (const auto& [flag, tag] : kFlags) {
    if ((record.flags & flag) != 0) out->add_tags(tag);
  }
  for (const std::string_view word : UnreadableWords(record, arguments, data)) {
    out->add_tags(std::string(kTagUnreadable).append(word));
  }
}

}  // namespace

Enricher::Enricher(EnricherOptions options, ProcessCache& cache, const Clock& clock,
                   const WorkloadLookup& workloads, const InstanceLookup& instances,
                   SymbolSource& symbols)
    : options_(std::move(options)),
      cache_(cache),
      clock_(clock),
      workloads_(workloads),
      instances_(instances),
      symbols_(symbols),
      boot_offset_ns_(clock.BootOffsetNs()) {}

EventPtr Enricher::Enrich(const Whole& record) {
  auto event = std::make_shared<tetragon::GetEventsResponse>();
  event->set_node_name(options_.node_name);
  event->set_cluster_name(options_.cluster_name);
  for (const auto& [key, value] : options_.node_labels) {
    event->mutable_node_labels()->emplace(key, value);
  }
  std::visit(
      [&](const auto& r) {
        SetTime(WallNs(r.time_ns), event->mutable_time());
        Fill(r, event.get());
        cache_.Expire(r.time_ns);
      },
      record);
  return event;
}

void Enricher::Fill(const ExecRecord& record, tetragon::GetEventsResponse* out) {
  const Process& process = cache_.OnExec(record);
  tetragon::ProcessExec* exec = out->mutable_process_exec();
  FillProcess(process, exec->mutable_process());
  if (const Process* parent = cache_.Parent(process)) FillProcess(*parent, exec->mutable_parent());
}

void Enricher::Fill(const ExitRecord& record, tetragon::GetEventsResponse* out) {
  const Process& process = cache_.OnExit(record);
  tetragon::ProcessExit* exit = out->mutable_process_exit();
  FillProcess(process, exit->mutable_process());
  if (const Process* parent = cache_.Parent(process)) FillProcess(*parent, exit->mutable_parent());
  constexpr uint32_t kSignalMask = 0x7f;
  constexpr uint32_t kStatusShift = 8;
  exit->set_signal(SignalName(record.code & kSignalMask));
  exit->set_status(record.code >> kStatusShift);
  SetTime(WallNs(record.time_ns), exit->mutable_time());
}

void Enricher::Fill(const PolicyRecord& record, tetragon::GetEventsResponse* out) {
  const auto instance = instances_.Find(record.instance);
  const bool is_known = instance != nullptr && instance->hooks != nullptr &&
                        record.hook_index < instance->hooks->size();
  const policy::HookInfo* hook = is_known ? &(*instance->hooks)[record.hook_index] : nullptr;
  const std::string_view policy_name =
      instance == nullptr ? std::string_view() : std::string_view(instance->policy_name);
  const auto fill = [&](auto* event) { FillPolicyEvent(record, policy_name, hook, event); };
  switch (hook == nullptr ? policy::HookKind::kKprobe : hook->kind) {
    case policy::HookKind::kKprobe:
    case policy::HookKind::kEnforcer:  // it posts nothing
      return fill(out->mutable_process_kprobe());
    case policy::HookKind::kLsm:
      return fill(out->mutable_process_lsm());
    case policy::HookKind::kTracepoint:
      return fill(out->mutable_process_tracepoint());
    case policy::HookKind::kUprobe:
      return fill(out->mutable_process_uprobe());
    case policy::HookKind::kUsdt:
      return fill(out->mutable_process_usdt());
    case policy::HookKind::kLoader:
      return FillLoader(record, out->mutable_process_loader());
  }
}

// It has neither policy nor tags.
void Enricher::FillLoader(const PolicyRecord& record, tetragon::ProcessLoader* out) {
  const Process& process = cache_.Resolve(record.process);
  FillProcess(process, out->mutable_process());
  out->mutable_process()->mutable_tid()->set_value(record.process.tid);
  if (const Process* parent = cache_.Parent(process)) FillProcess(*parent, out->mutable_parent());
  const ValueRecord* const path = record.Find(GH_SUBJECT_ARGUMENT_0);
  const ValueRecord* const build_id = record.Find(GH_SUBJECT_ARGUMENT_0 + 1);
  if (path != nullptr) out->set_path(ToUtf8(path->text));
  if (build_id != nullptr) out->set_buildid(std::string(build_id->text));
}

void Enricher::FillStacks(const PolicyRecord& record, tetragon::ProcessKprobe* out) {
  const auto fill = [&](const StackRecord& stack, const std::string& whose, const auto& name,
                        auto* entries) {
    if (!stack.is_told) return;
    if (stack.error != 0) return out->add_tags(kTagStack + whose + "-unreadable");
    std::vector<Frame> frames;
    for (const uint64_t address : stack.Addresses()) frames.push_back({.address = address});
    if (!frames.empty() && !name(&frames)) {
      out->add_tags(kTagStack + whose + "-unnamed");
      if (!options_.stack_addresses) return;  // nothing is left to tell
    }
    for (const Frame& frame : frames) {
      tetragon::StackTraceEntry* const entry = entries->Add();
      if (options_.stack_addresses) entry->set_address(frame.address);
      entry->set_offset(frame.offset);
      entry->set_symbol(ToUtf8(frame.symbol));
      entry->set_module(ToUtf8(frame.module));
    }
  };
  const ProgramId program{.pid = record.process.key.pid,
                          .start_ns = record.process.key.start_ns,
                          .start_stack = record.start_stack};
  fill(
      record.kernel_stack, "kernel", [&](auto* frames) { return symbols_.NameKernel(frames); },
      out->mutable_kernel_stack_trace());
  fill(
      record.user_stack, "user",
      [&](auto* frames) { return symbols_.NameProgram(program, frames); },
      out->mutable_user_stack_trace());
}

template <typename Event>
void Enricher::FillPolicyEvent(const PolicyRecord& record, std::string_view policy_name,
                               const policy::HookInfo* hook, Event* out) {
  const Process& process = cache_.Resolve(record.process);
  FillProcess(process, out->mutable_process());
  out->mutable_process()->mutable_tid()->set_value(record.process.tid);
  if (const Process* parent = cache_.Parent(process)) FillProcess(*parent, out->mutable_parent());
  out->set_policy_name(std::string(policy_name));
  out->set_action(ActionOf(record));
  const auto told = hook == nullptr ? ArgumentsOf(record) : std::vector<policy::Argument>();
  const std::span<const policy::Argument> arguments = hook == nullptr ? told : hook->arguments;
  const std::span<const policy::Argument> data =
      hook == nullptr ? std::span<const policy::Argument>() : hook->data;
  FillArguments(record, arguments, out->mutable_args());
  if constexpr (requires { out->mutable_data(); }) {
    FillArguments(record, data, out->mutable_data());
  }
  if constexpr (requires { out->mutable_return_(); }) {
    if (record.Find(GH_SUBJECT_RETURN) != nullptr) {
      FillArgument(record, hook == nullptr || !hook->returned ? kReturned : *hook->returned,
                   out->mutable_return_());
    }
  } else if (hook != nullptr && hook->returned && record.Find(GH_SUBJECT_RETURN) != nullptr) {
    FillArgument(record, *hook->returned, out->add_args());  // as Tetragon has it
  }
  if (hook == nullptr) {
    FillPlace({.call = HookName(record.hook)}, out);
  } else {
    FillPlace(*hook, out);
    out->set_message(hook->message);
    for (const auto& tag : hook->tags) out->add_tags(tag);
  }
  FillTags(record, arguments, data, hook == nullptr, out);
  if constexpr (std::is_same_v<Event, tetragon::ProcessKprobe>) FillStacks(record, out);
  if constexpr (std::is_same_v<Event, tetragon::ProcessLsm>) FillHash(record, out);
}

void Enricher::FillProcess(const Process& process, tetragon::Process* out) const {
  out->set_exec_id(process.exec_id);
  out->mutable_pid()->set_value(process.key.pid);
  out->mutable_uid()->set_value(process.uid);
  out->set_cwd(process.cwd);
  out->set_binary(process.binary);
  out->set_arguments(process.arguments);
  out->set_flags(process.flags);
  SetTime(process.start_wall_ns, out->mutable_start_time());
  out->mutable_auid()->set_value(process.auid);
  out->set_parent_exec_id(process.parent_exec_id);
  out->set_refcnt(process.References());
  out->mutable_tid()->set_value(process.key.pid);
  out->mutable_in_init_tree()->set_value(process.in_init_tree);
  if (process.workload == bind::kHostWorkload) return;
  const auto workload = workloads_.Find(process.workload);
  if (workload == nullptr) return;
  FillPod(*workload, out->mutable_pod());
  out->set_docker(std::string(BareContainerId(workload->container_id).substr(0, kDockerLength)));
}

int64_t Enricher::WallNs(uint64_t boot_ns) {
  if (boot_ns > offset_taken_ns_ + kOffsetAgeNs) {
    boot_offset_ns_ = clock_.BootOffsetNs();
    offset_taken_ns_ = boot_ns;
  }
  return static_cast<int64_t>(boot_ns) + boot_offset_ns_;
}

}  // namespace gatehouse::event

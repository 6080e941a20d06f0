// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"

#include <algorithm>
#include <string_view>

#include "export/json_object.h"

namespace gatehouse::exporting {
namespace {

void Append(const tetragon::Image& image, std::string* out) {
  JsonObject object(out);
  object.String("id", image.id());
  object.String("name", image.name());
}

void Append(const tetragon::Container& container, std::string* out) {
  JsonObject object(out);
  object.String("id", container.id());
  object.String("name", container.name());
  if (container.has_image()) Append(container.image(), object.Key("image"));
  object.Time("start_time", container.has_start_time(), container.start_time());
  object.Present("pid", container.has_pid(), container.pid().value());
  object.Bool("maybe_exec_probe", container.maybe_exec_probe());
  if (container.has_security_context()) {
    JsonObject context(object.Key("security_context"));
    context.Bool("privileged", container.security_context().privileged());
  }
}

void Append(const tetragon::Pod& pod, std::string* out) {
  JsonObject object(out);
  object.String("namespace", pod.namespace_());
  object.String("name", pod.name());
  object.String("uid", pod.uid());
  if (pod.has_container()) Append(pod.container(), object.Key("container"));
  object.StringMap("pod_labels", pod.pod_labels());
  object.String("workload", pod.workload());
  object.String("workload_kind", pod.workload_kind());
  object.StringMap("pod_annotations", pod.pod_annotations());
}

void Append(const tetragon::Process& process, std::string* out) {
  JsonObject object(out);
  object.String("exec_id", process.exec_id());
  object.Present("pid", process.has_pid(), process.pid().value());
  object.Present("uid", process.has_uid(), process.uid().value());
  object.String("cwd", process.cwd());
  object.String("binary", process.binary());
  object.String("arguments", process.arguments());
  object.String("flags", process.flags());
  object.Time("start_time", process.has_start_time(), process.start_time());
  object.Present("auid", process.has_auid(), process.auid().value());
  if (process.has_pod()) Append(process.pod(), object.Key("pod"));
  object.String("docker", process.docker());
  object.String("parent_exec_id", process.parent_exec_id());
  object.Number("refcnt", process.refcnt());
  object.Present("tid", process.has_tid(), process.tid().value());
  if (process.has_in_init_tree()) {
    object.Key("in_init_tree")->append(process.in_init_tree().value() ? "true" : "false");
  }
}

// Of a file or a path: the messages differ by name only.
template <typename Path>
void AppendPath(const Path& path, std::string* out) {
  JsonObject object(out);
  object.String("mount", path.mount());
  object.String("path", path.path());
  object.String("flags", path.flags());
  object.String("permission", path.permission());
}

void Append(const tetragon::KprobeLinuxBinprm& binprm, std::string* out) {
  JsonObject object(out);
  object.String("path", binprm.path());
  object.String("flags", binprm.flags());
  object.String("permission", binprm.permission());
}

void Append(const tetragon::KprobeCapability& capability, std::string* out) {
  JsonObject object(out);
  object.Present("value", capability.has_value(), capability.value().value());
  object.String("name", capability.name());
}

void Append(const tetragon::KprobeArgument& argument, std::string* out) {
  JsonObject object(out);
  if (argument.has_string_arg()) AppendJsonString(argument.string_arg(), object.Key("string_arg"));
  object.Present("int_arg", argument.has_int_arg(), argument.int_arg());
  object.Present("size_arg", argument.has_size_arg(), argument.size_arg());
  if (argument.has_path_arg()) AppendPath(argument.path_arg(), object.Key("path_arg"));
  if (argument.has_file_arg()) AppendPath(argument.file_arg(), object.Key("file_arg"));
  object.Present("long_arg", argument.has_long_arg(), argument.long_arg());
  object.Present("uint_arg", argument.has_uint_arg(), argument.uint_arg());
  if (argument.has_capability_arg()) {
    Append(argument.capability_arg(), object.Key("capability_arg"));
  }
  object.String("label", argument.label());
  if (argument.has_linux_binprm_arg()) {
    Append(argument.linux_binprm_arg(), object.Key("linux_binprm_arg"));
  }
}

template <typename Arguments>
void AppendArguments(const Arguments& arguments, JsonObject* object) {
  if (arguments.empty()) return;
  std::string* out = object->Key("args");
  out->push_back('[');
  for (int i = 0; i < arguments.size(); ++i) {
    if (i > 0) out->push_back(',');
    Append(arguments[i], out);
  }
  out->push_back(']');
}

void AppendAction(std::string_view name, tetragon::KprobeAction action, JsonObject* object) {
  if (action == tetragon::KPROBE_ACTION_UNKNOWN) return;
  object->String(name, tetragon::KprobeAction_Name(action));
}

template <typename Event>
void AppendProcesses(const Event& event, JsonObject* object) {
  if (event.has_process()) Append(event.process(), object->Key("process"));
  if (event.has_parent()) Append(event.parent(), object->Key("parent"));
}

void Append(const tetragon::ProcessExec& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
}

void Append(const tetragon::ProcessExit& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("signal", event.signal());
  object.Number("status", event.status());
  object.Time("time", event.has_time(), event.time());
}

void Append(const tetragon::ProcessKprobe& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("function_name", event.function_name());
  AppendArguments(event.args(), &object);
  if (event.has_return_()) Append(event.return_(), object.Key("return"));
  AppendAction("action", event.action(), &object);
  object.String("policy_name", event.policy_name());
  AppendAction("return_action", event.return_action(), &object);
  object.String("message", event.message());
  object.List("tags", event.tags());
}

void Append(const tetragon::ProcessLsm& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("function_name", event.function_name());
  object.String("policy_name", event.policy_name());
  object.String("message", event.message());
  AppendArguments(event.args(), &object);
  AppendAction("action", event.action(), &object);
  object.List("tags", event.tags());
  object.String("ima_hash", event.ima_hash());
}

void Append(const tetragon::ProcessTracepoint& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("subsys", event.subsys());
  object.String("event", event.event());
  AppendArguments(event.args(), &object);
  object.String("policy_name", event.policy_name());
  AppendAction("action", event.action(), &object);
  object.String("message", event.message());
  object.List("tags", event.tags());
}

void Append(const tetragon::ProcessUprobe& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("path", event.path());
  object.String("symbol", event.symbol());
  object.String("policy_name", event.policy_name());
  object.String("message", event.message());
  AppendArguments(event.args(), &object);
  object.List("tags", event.tags());
  object.Present("offset", event.offset() != 0, event.offset());
  object.Present("ref_ctr_offset", event.ref_ctr_offset() != 0, event.ref_ctr_offset());
  AppendAction("action", event.action(), &object);
}

void Append(const tetragon::ProcessUsdt& event, std::string* out) {
  JsonObject object(out);
  AppendProcesses(event, &object);
  object.String("path", event.path());
  object.String("provider", event.provider());
  object.String("name", event.name());
  object.String("policy_name", event.policy_name());
  object.String("message", event.message());
  AppendArguments(event.args(), &object);
  object.List("tags", event.tags());
  AppendAction("action", event.action(), &object);
}

// ---- what the direct writer knows: the fields above and no others

bool Knows(const tetragon::Process& process) {
  return !process.has_cap() && !process.has_ns() && !process.has_process_credentials() &&
         !process.has_binary_properties() && !process.has_user() &&
         process.environment_variables().empty();
}

template <typename Event>
bool KnowsProcesses(const Event& event) {
  return Knows(event.process()) && Knows(event.parent()) && event.ancestors().empty();
}

bool Knows(const tetragon::KprobeArgument& argument) {
  switch (argument.arg_case()) {
    case tetragon::KprobeArgument::kStringArg:
    case tetragon::KprobeArgument::kIntArg:
    case tetragon::KprobeArgument::kSizeArg:
    case tetragon::KprobeArgument::kPathArg:
    case tetragon::KprobeArgument::kFileArg:
    case tetragon::KprobeArgument::kLongArg:
    case tetragon::KprobeArgument::kUintArg:
    case tetragon::KprobeArgument::kCapabilityArg:
    case tetragon::KprobeArgument::kLinuxBinprmArg:
    case tetragon::KprobeArgument::ARG_NOT_SET:
      return true;
    default:
      return false;
  }
}

template <typename Arguments>
bool KnowsArguments(const Arguments& arguments) {
  return std::ranges::all_of(arguments, [](const auto& argument) { return Knows(argument); });
}

bool Knows(const tetragon::ProcessKprobe& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) && Knows(event.return_()) &&
         event.kernel_stack_trace().empty() && event.user_stack_trace().empty() &&
         event.data().empty() && tetragon::KprobeAction_IsValid(event.action()) &&
         tetragon::KprobeAction_IsValid(event.return_action());
}

bool Knows(const tetragon::ProcessLsm& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) &&
         tetragon::KprobeAction_IsValid(event.action());
}

bool Knows(const tetragon::ProcessTracepoint& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) &&
         tetragon::KprobeAction_IsValid(event.action());
}

bool Knows(const tetragon::ProcessUprobe& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) && event.data().empty() &&
         tetragon::KprobeAction_IsValid(event.action());
}

bool Knows(const tetragon::ProcessUsdt& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) && event.flags().empty() &&
         tetragon::KprobeAction_IsValid(event.action());
}

// Appends the event's own member; false, with nothing appended, if it has parts that are not known.
bool AppendEvent(const tetragon::GetEventsResponse& event, JsonObject* object) {
  switch (event.event_case()) {
    case tetragon::GetEventsResponse::kProcessExec:
      if (!KnowsProcesses(event.process_exec())) return false;
      Append(event.process_exec(), object->Key("process_exec"));
      return true;
    case tetragon::GetEventsResponse::kProcessExit:
      if (!KnowsProcesses(event.process_exit())) return false;
      Append(event.process_exit(), object->Key("process_exit"));
      return true;
    case tetragon::GetEventsResponse::kProcessKprobe:
      if (!Knows(event.process_kprobe())) return false;
      Append(event.process_kprobe(), object->Key("process_kprobe"));
      return true;
    case tetragon::GetEventsResponse::kProcessLsm:
      if (!Knows(event.process_lsm())) return false;
      Append(event.process_lsm(), object->Key("process_lsm"));
      return true;
    case tetragon::GetEventsResponse::kProcessTracepoint:
      if (!Knows(event.process_tracepoint())) return false;
      Append(event.process_tracepoint(), object->Key("process_tracepoint"));
      return true;
    case tetragon::GetEventsResponse::kProcessUprobe:
      if (!Knows(event.process_uprobe())) return false;
      Append(event.process_uprobe(), object->Key("process_uprobe"));
      return true;
    case tetragon::GetEventsResponse::kProcessUsdt:
      if (!Knows(event.process_usdt())) return false;
      Append(event.process_usdt(), object->Key("process_usdt"));
      return true;
    default:
      return false;
  }
}

bool AppendDirectly(const tetragon::GetEventsResponse& event, std::string* out) {
  if (event.has_aggregation_info()) return false;
  JsonObject object(out);
  // Events of hooks come before the envelope: their field numbers are smaller.
  if (!AppendEvent(event, &object)) return false;
  object.String("node_name", event.node_name());
  object.Time("time", event.has_time(), event.time());
  object.String("cluster_name", event.cluster_name());
  object.StringMap("node_labels", event.node_labels());
  return true;
}

}  // namespace

void AppendJsonLine(const tetragon::GetEventsResponse& event, std::string* out) {
  const size_t before = out->size();
  if (!AppendDirectly(event, out)) {
    out->resize(before);
    out->append(JsonByReflection(event));
  }
  out->push_back('\n');
}

void AppendJsonLineByReflection(const tetragon::GetEventsResponse& event, std::string* out) {
  out->append(JsonByReflection(event));
  out->push_back('\n');
}

}  // namespace gatehouse::exporting

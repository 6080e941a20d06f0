// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::exporting {
namespace {

std::string ByReflection(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  // Fails only for types that the resolver does not know; ours are linked in.
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

// By byte: printable ASCII that protobuf's printer does not escape.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned char c = ' '; c <= '~'; ++c) {
    plain[c] = c != '"' && c != '\\' && c != '<' && c != '>';
  }
  return plain;
}();

bool IsPlain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

void AppendString(std::string_view value, std::string* out) {
  if (std::ranges::all_of(value, IsPlain)) {
    out->append("\"").append(value).append("\"");
    return;
  }
  const bool simple =
      std::ranges::all_of(value, [](char c) { return IsPlain(c) || c == '"' || c == '\\'; });
  if (!simple) {  // control characters and beyond ASCII: rare enough to leave the rules to protobuf
    google::protobuf::StringValue wrapped;
    wrapped.set_value(std::string(value));
    out->append(ByReflection(wrapped));
    return;
  }
  out->push_back('"');
  for (const char c : value) {
    if (!IsPlain(c)) out->push_back('\\');
    out->push_back(c);
  }
  out->push_back('"');
}

// RFC 3339 in UTC, with 0, 3, 6 or 9 digits behind the second.
void AppendTimestamp(const google::protobuf::Timestamp& time, std::string* out) {
  namespace chrono = std::chrono;
  constexpr int kNsPerMs = 1'000'000;
  constexpr int kNsPerUs = 1'000;
  const chrono::sys_seconds seconds{chrono::seconds(time.seconds())};
  const auto day = chrono::floor<chrono::days>(seconds);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(seconds - day);
  auto to = std::back_inserter(*out);
  fmt::format_to(to, FMT_COMPILE("\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}"),
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                 clock.seconds().count());
  if (time.nanos() == 0) {
    // no fraction
  } else if (time.nanos() % kNsPerMs == 0) {
    fmt::format_to(to, FMT_COMPILE(".{:03}"), time.nanos() / kNsPerMs);
  } else if (time.nanos() % kNsPerUs == 0) {
    fmt::format_to(to, FMT_COMPILE(".{:06}"), time.nanos() / kNsPerUs);
  } else {
    fmt::format_to(to, FMT_COMPILE(".{:09}"), time.nanos());
  }
  out->append("Z\"");
}

// One JSON object; its braces are there as long as it lives.
class Object {
 public:
  explicit Object(std::string* out) : out_(out) { out_->push_back('{'); }
  ~Object() { out_->push_back('}'); }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // The place for the value of `name`, which needs no escaping.
  std::string* Key(std::string_view name) {
    if (!std::exchange(first_, false)) out_->push_back(',');
    out_->append("\"").append(name).append("\":");
    return out_;
  }
  // A map's key.
  std::string* AnyKey(std::string_view name) {
    if (!std::exchange(first_, false)) out_->push_back(',');
    AppendString(name, out_);
    out_->push_back(':');
    return out_;
  }
  void String(std::string_view name, std::string_view value) {
    if (!value.empty()) AppendString(value, Key(name));
  }
  void Number(std::string_view name, uint32_t value) { Present(name, value != 0, value); }
  void Bool(std::string_view name, bool value) {
    if (value) Key(name)->append("true");
  }
  // A number that is left out by its absence, not by being 0.
  template <std::integral Integer>
  void Present(std::string_view name, bool present, Integer value) {
    if (!present) return;
    auto to = std::back_inserter(*Key(name));
    if constexpr (sizeof(value) == sizeof(uint64_t)) {
      fmt::format_to(to, FMT_COMPILE("\"{}\""), value);
    } else {
      fmt::format_to(to, FMT_COMPILE("{}"), value);
    }
  }
  void Time(std::string_view name, bool present, const google::protobuf::Timestamp& value) {
    if (present) AppendTimestamp(value, Key(name));
  }
  template <typename Strings>
  void List(std::string_view name, const Strings& values) {
    if (values.empty()) return;
    Key(name)->push_back('[');
    for (int i = 0; i < values.size(); ++i) {
      if (i > 0) out_->push_back(',');
      AppendString(values[i], out_);
    }
    out_->push_back(']');
  }
  // Ordered by key.
  template <typename Map>
  void StringMap(std::string_view name, const Map& map) {
    if (map.empty()) return;
    std::vector<std::pair<std::string_view, std::string_view>> entries(map.begin(), map.end());
    std::ranges::sort(entries);
    Object object(Key(name));
    for (const auto& [key, value] : entries) AppendString(value, object.AnyKey(key));
  }

 private:
  std::string* out_;
  bool first_ = true;
};

void Append(const tetragon::Image& image, std::string* out) {
  Object object(out);
  object.String("id", image.id());
  object.String("name", image.name());
}

void Append(const tetragon::Container& container, std::string* out) {
  Object object(out);
  object.String("id", container.id());
  object.String("name", container.name());
  if (container.has_image()) Append(container.image(), object.Key("image"));
  object.Time("start_time", container.has_start_time(), container.start_time());
  object.Present("pid", container.has_pid(), container.pid().value());
  object.Bool("maybe_exec_probe", container.maybe_exec_probe());
  if (container.has_security_context()) {
    Object context(object.Key("security_context"));
    context.Bool("privileged", container.security_context().privileged());
  }
}

void Append(const tetragon::Pod& pod, std::string* out) {
  Object object(out);
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
  Object object(out);
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
  Object object(out);
  object.String("mount", path.mount());
  object.String("path", path.path());
  object.String("flags", path.flags());
  object.String("permission", path.permission());
}

void Append(const tetragon::KprobeLinuxBinprm& binprm, std::string* out) {
  Object object(out);
  object.String("path", binprm.path());
  object.String("flags", binprm.flags());
  object.String("permission", binprm.permission());
}

void Append(const tetragon::KprobeCapability& capability, std::string* out) {
  Object object(out);
  object.Present("value", capability.has_value(), capability.value().value());
  object.String("name", capability.name());
}

void Append(const tetragon::KprobeArgument& argument, std::string* out) {
  Object object(out);
  if (argument.has_string_arg()) AppendString(argument.string_arg(), object.Key("string_arg"));
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
void AppendArguments(const Arguments& arguments, Object* object) {
  if (arguments.empty()) return;
  std::string* out = object->Key("args");
  out->push_back('[');
  for (int i = 0; i < arguments.size(); ++i) {
    if (i > 0) out->push_back(',');
    Append(arguments[i], out);
  }
  out->push_back(']');
}

void AppendAction(std::string_view name, tetragon::KprobeAction action, Object* object) {
  if (action == tetragon::KPROBE_ACTION_UNKNOWN) return;
  object->String(name, tetragon::KprobeAction_Name(action));
}

template <typename Event>
void AppendProcesses(const Event& event, Object* object) {
  if (event.has_process()) Append(event.process(), object->Key("process"));
  if (event.has_parent()) Append(event.parent(), object->Key("parent"));
}

void Append(const tetragon::ProcessExec& event, std::string* out) {
  Object object(out);
  AppendProcesses(event, &object);
}

void Append(const tetragon::ProcessExit& event, std::string* out) {
  Object object(out);
  AppendProcesses(event, &object);
  object.String("signal", event.signal());
  object.Number("status", event.status());
  object.Time("time", event.has_time(), event.time());
}

void Append(const tetragon::ProcessKprobe& event, std::string* out) {
  Object object(out);
  AppendProcesses(event, &object);
  object.String("function_name", event.function_name());
  AppendArguments(event.args(), &object);
  AppendAction("action", event.action(), &object);
  object.String("policy_name", event.policy_name());
  AppendAction("return_action", event.return_action(), &object);
  object.String("message", event.message());
  object.List("tags", event.tags());
}

void Append(const tetragon::ProcessLsm& event, std::string* out) {
  Object object(out);
  AppendProcesses(event, &object);
  object.String("function_name", event.function_name());
  object.String("policy_name", event.policy_name());
  object.String("message", event.message());
  AppendArguments(event.args(), &object);
  AppendAction("action", event.action(), &object);
  object.List("tags", event.tags());
  object.String("ima_hash", event.ima_hash());
}

// ---- what the direct writer knows: the fields above and no others
// ----------------------------------

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
  return KnowsProcesses(event) && KnowsArguments(event.args()) && !event.has_return_() &&
         event.kernel_stack_trace().empty() && event.user_stack_trace().empty() &&
         event.data().empty() && tetragon::KprobeAction_IsValid(event.action()) &&
         tetragon::KprobeAction_IsValid(event.return_action());
}

bool Knows(const tetragon::ProcessLsm& event) {
  return KnowsProcesses(event) && KnowsArguments(event.args()) &&
         tetragon::KprobeAction_IsValid(event.action());
}

// Appends the event's own member; false, with nothing appended, if it has parts that are not known.
bool AppendEvent(const tetragon::GetEventsResponse& event, Object* object) {
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
    default:
      return false;
  }
}

bool AppendDirectly(const tetragon::GetEventsResponse& event, std::string* out) {
  if (event.has_aggregation_info()) return false;
  Object object(out);
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
    out->append(ByReflection(event));
  }
  out->push_back('\n');
}

void AppendJsonLineByReflection(const tetragon::GetEventsResponse& event, std::string* out) {
  out->append(ByReflection(event));
  out->push_back('\n');
}

}  // namespace gatehouse::exporting

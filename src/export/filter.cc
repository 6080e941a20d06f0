// SPDX-License-Identifier: Apache-2.0
#include "export/filter.h"

#include <fmt/format.h>
#include <google/protobuf/util/field_mask_util.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::exporting {
namespace {

using google::protobuf::util::FieldMaskUtil;

// What filters look at.
struct Subject {
  tetragon::EventType type = tetragon::UNDEF;
  const tetragon::Process* process = nullptr;
  const tetragon::Process* parent = nullptr;
  std::string_view policy_name;
};

template <typename Event>
void SetProcesses(const Event& event, Subject* subject) {
  if (event.has_process()) subject->process = &event.process();
  if (event.has_parent()) subject->parent = &event.parent();
}

Subject SubjectOf(const tetragon::GetEventsResponse& event) {
  Subject subject;
  // The number of a type is its field number; see EventType.
  subject.type = static_cast<tetragon::EventType>(event.event_case());
  switch (event.event_case()) {
    case tetragon::GetEventsResponse::kProcessExec:
      SetProcesses(event.process_exec(), &subject);
      break;
    case tetragon::GetEventsResponse::kProcessExit:
      SetProcesses(event.process_exit(), &subject);
      break;
    case tetragon::GetEventsResponse::kProcessKprobe:
      SetProcesses(event.process_kprobe(), &subject);
      subject.policy_name = event.process_kprobe().policy_name();
      break;
    case tetragon::GetEventsResponse::kProcessLsm:
      SetProcesses(event.process_lsm(), &subject);
      subject.policy_name = event.process_lsm().policy_name();
      break;
    case tetragon::GetEventsResponse::kProcessTracepoint:
      SetProcesses(event.process_tracepoint(), &subject);
      subject.policy_name = event.process_tracepoint().policy_name();
      break;
    case tetragon::GetEventsResponse::kProcessUprobe:
      SetProcesses(event.process_uprobe(), &subject);
      subject.policy_name = event.process_uprobe().policy_name();
      break;
    case tetragon::GetEventsResponse::kProcessUsdt:
      SetProcesses(event.process_usdt(), &subject);
      subject.policy_name = event.process_usdt().policy_name();
      break;
    case tetragon::GetEventsResponse::kProcessLoader:
      SetProcesses(event.process_loader(), &subject);
      break;
    default:
      break;
  }
  return subject;
}

using Condition = std::function<bool(const Subject&)>;
using Strings = google::protobuf::RepeatedPtrField<std::string>;
// A string of the subject, or null if it has none (which no regex matches).
using StringOf = const std::string* (*)(const Subject&);

Result<Condition> Regexes(const std::string& field, const Strings& patterns, StringOf string_of) {
  auto regexes = std::make_shared<std::vector<std::unique_ptr<RE2>>>();
  for (int i = 0; i < patterns.size(); ++i) {
    auto regex = std::make_unique<RE2>(patterns[i], RE2::Quiet);
    if (!regex->ok()) {
      return Fail(ErrorCode::kInvalid, fmt::format("{}[{}]", field, i),
                  fmt::format("\"{}\" is no regular expression: {}", patterns[i], regex->error()),
                  "write it in the syntax of RE2");
    }
    regexes->push_back(std::move(regex));
  }
  return [regexes, string_of](const Subject& subject) {
    const std::string* value = string_of(subject);
    return value != nullptr && std::ranges::any_of(*regexes, [&](const auto& regex) {
             return RE2::PartialMatch(*value, *regex);
           });
  };
}

const tetragon::Pod* PodOf(const Subject& subject) {
  return subject.process != nullptr && subject.process->has_pod() ? &subject.process->pod()
                                                                  : nullptr;
}

struct RegexField {
  const char* name;
  const Strings& (tetragon::Filter::*patterns)() const;
  StringOf string_of;
};

const std::array<RegexField, 8> kRegexFields = {{
    {"binary_regex", &tetragon::Filter::binary_regex,
     [](const Subject& s) { return s.process ? &s.process->binary() : nullptr; }},
    {"arguments_regex", &tetragon::Filter::arguments_regex,
     [](const Subject& s) { return s.process ? &s.process->arguments() : nullptr; }},
    {"parent_binary_regex", &tetragon::Filter::parent_binary_regex,
     [](const Subject& s) { return s.parent ? &s.parent->binary() : nullptr; }},
    {"parent_arguments_regex", &tetragon::Filter::parent_arguments_regex,
     [](const Subject& s) { return s.parent ? &s.parent->arguments() : nullptr; }},
    {"container_id", &tetragon::Filter::container_id,
     [](const Subject& s) { return s.process ? &s.process->docker() : nullptr; }},
    {"pod_regex", &tetragon::Filter::pod_regex,
     [](const Subject& s) { return PodOf(s) ? &PodOf(s)->name() : nullptr; }},
    {"namespace_regex", &tetragon::Filter::namespace_regex,
     [](const Subject& s) { return PodOf(s) ? &PodOf(s)->namespace_() : nullptr; }},
    {"container_name_regex", &tetragon::Filter::container_name_regex,
     [](const Subject& s) {
       return PodOf(s) && PodOf(s)->has_container() ? &PodOf(s)->container().name() : nullptr;
     }},
}};

// Names the first field that is set and that Gatehouse cannot filter by.
const char* UnsupportedField(const tetragon::Filter& filter) {
  if (filter.has_health_check()) return "health_check";
  if (!filter.pid_set().empty()) return "pid_set";
  if (!filter.labels().empty()) return "labels";
  if (filter.has_capabilities()) return "capabilities";
  if (!filter.cel_expression().empty()) return "cel_expression";
  if (!filter.ancestor_binary_regex().empty()) return "ancestor_binary_regex";
  if (!filter.GetReflection()->GetUnknownFields(filter).empty())
    return "a field newer than this API";
  return nullptr;
}

Condition EventSet(const google::protobuf::RepeatedField<int>& types) {
  return [set = std::set<int>(types.begin(), types.end())](const Subject& subject) {
    return set.contains(subject.type);
  };
}

Condition Namespaces(const Strings& names) {
  return [set = std::set<std::string>(names.begin(), names.end())](const Subject& subject) {
    if (subject.process == nullptr) return false;
    const tetragon::Pod* pod = PodOf(subject);
    return set.contains(pod == nullptr ? "" : pod->namespace_());
  };
}

Condition Pids(const google::protobuf::RepeatedField<uint32_t>& pids) {
  return [set = std::set<uint32_t>(pids.begin(), pids.end())](const Subject& subject) {
    return subject.process != nullptr && set.contains(subject.process->pid().value());
  };
}

/// The whole name, or one of the names of which that of merged bindings is made.
Condition PolicyNames(const Strings& names) {
  return [set = std::set<std::string, std::less<>>(names.begin(), names.end())](
             const Subject& subject) {
    std::string_view rest = subject.policy_name;
    if (rest.empty()) return false;
    if (set.contains(rest)) return true;
    for (;;) {
      const size_t end = rest.find('+');
      if (set.contains(rest.substr(0, end))) return true;
      if (end == std::string_view::npos) return false;
      rest.remove_prefix(end + 1);
    }
  };
}

Condition InInitTree(bool wanted) {
  return [wanted](const Subject& subject) {
    return subject.process != nullptr && subject.process->in_init_tree().value() == wanted;
  };
}

// ---- field filters
// ---------------------------------------------------------------------------------

const std::array<const google::protobuf::Descriptor*, 8>& EventDescriptors() {
  static const std::array<const google::protobuf::Descriptor*, 8> kDescriptors = {
      tetragon::ProcessExec::descriptor(),       tetragon::ProcessExit::descriptor(),
      tetragon::ProcessKprobe::descriptor(),     tetragon::ProcessLsm::descriptor(),
      tetragon::ProcessTracepoint::descriptor(), tetragon::ProcessUprobe::descriptor(),
      tetragon::ProcessUsdt::descriptor(),       tetragon::ProcessLoader::descriptor()};
  return kDescriptors;
}

bool IsPathOfAnEvent(const std::string& path) {
  return std::ranges::any_of(EventDescriptors(), [&](const google::protobuf::Descriptor* type) {
    return FieldMaskUtil::GetFieldDescriptors(type, path, nullptr);
  });
}

// Clears the field at `path` ("process.pod"), where there is one.
void Exclude(std::string_view path, google::protobuf::Message* message) {
  const size_t dot = path.find('.');
  const auto* field = message->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  if (field == nullptr) return;
  const auto* reflection = message->GetReflection();
  if (dot == std::string_view::npos) {
    reflection->ClearField(message, field);
  } else if (!field->is_repeated() && reflection->HasField(*message, field)) {
    Exclude(path.substr(dot + 1), reflection->MutableMessage(message, field));
  }
}

google::protobuf::Message* EventIn(tetragon::GetEventsResponse* response) {
  const auto* oneof = response->GetDescriptor()->FindOneofByName("event");
  const auto* reflection = response->GetReflection();
  const auto* field = reflection->GetOneofFieldDescriptor(*response, oneof);
  return field == nullptr ? nullptr : reflection->MutableMessage(response, field);
}

}  // namespace

struct EventFilter::Filter {
  std::vector<Condition> conditions;

  [[nodiscard]] bool Holds(const Subject& subject) const {
    return std::ranges::all_of(conditions,
                               [&](const Condition& condition) { return condition(subject); });
  }

  [[nodiscard]] static Result<Filter> Compile(const tetragon::Filter& from,
                                              const std::string& name) {
    if (const char* unsupported = UnsupportedField(from)) {
      return Fail(ErrorCode::kUnsupported, name + "." + unsupported,
                  "Gatehouse cannot filter events by it", "leave it out");
    }
    Filter filter;
    for (const RegexField& field : kRegexFields) {
      const Strings& patterns = (from.*field.patterns)();
      if (patterns.empty()) continue;
      GH_ASSIGN(Condition condition,
                Regexes(fmt::format("{}.{}", name, field.name), patterns, field.string_of));
      filter.conditions.push_back(std::move(condition));
    }
    if (!from.event_set().empty()) filter.conditions.push_back(EventSet(from.event_set()));
    if (!from.namespace_().empty()) filter.conditions.push_back(Namespaces(from.namespace_()));
    if (!from.pid().empty()) filter.conditions.push_back(Pids(from.pid()));
    if (!from.policy_names().empty()) {
      filter.conditions.push_back(PolicyNames(from.policy_names()));
    }
    if (from.has_in_init_tree()) {
      filter.conditions.push_back(InInitTree(from.in_init_tree().value()));
    }
    return filter;
  }
};

struct EventFilter::FieldFilter {
  std::set<int> types;  // empty: all
  bool inverted = false;
  bool include = true;
  google::protobuf::FieldMask fields;

  [[nodiscard]] bool AppliesTo(int type) const {
    return types.empty() || types.contains(type) != inverted;
  }

  void Apply(google::protobuf::Message* event) const {
    if (include) {
      FieldMaskUtil::TrimMessage(fields, event);
    } else {
      for (const std::string& path : fields.paths()) Exclude(path, event);
    }
  }

  [[nodiscard]] static Result<FieldFilter> Compile(const tetragon::FieldFilter& from,
                                                   const std::string& name) {
    if (from.fields().paths().empty()) {
      return Fail(ErrorCode::kInvalid, name + ".fields", "it names no field",
                  "name fields of the event, e.g. process.exec_id");
    }
    for (const std::string& path : from.fields().paths()) {
      if (!IsPathOfAnEvent(path)) {
        return Fail(ErrorCode::kInvalid, name + ".fields",
                    fmt::format("no event has a field \"{}\"", path),
                    "write it from the event on, e.g. process.pod.name");
      }
    }
    return FieldFilter{.types = {from.event_set().begin(), from.event_set().end()},
                       .inverted = from.invert_event_set().value(),
                       .include = from.action() == tetragon::INCLUDE,
                       .fields = from.fields()};
  }
};

EventFilter::EventFilter() = default;
EventFilter::EventFilter(EventFilter&&) noexcept = default;
EventFilter& EventFilter::operator=(EventFilter&&) noexcept = default;
EventFilter::~EventFilter() = default;

Result<EventFilter> EventFilter::Compile(const tetragon::GetEventsRequest& request) {
  if (request.has_aggregation_options()) {
    return Fail(ErrorCode::kUnsupported, "aggregation_options",
                "Gatehouse does not aggregate events", "leave it out");
  }
  EventFilter compiled;
  for (int i = 0; i < request.allow_list_size(); ++i) {
    GH_ASSIGN(Filter filter,
              Filter::Compile(request.allow_list(i), fmt::format("allow_list[{}]", i)));
    compiled.allow_.push_back(std::move(filter));
  }
  for (int i = 0; i < request.deny_list_size(); ++i) {
    GH_ASSIGN(Filter filter,
              Filter::Compile(request.deny_list(i), fmt::format("deny_list[{}]", i)));
    compiled.deny_.push_back(std::move(filter));
  }
  for (int i = 0; i < request.field_filters_size(); ++i) {
    GH_ASSIGN(FieldFilter filter,
              FieldFilter::Compile(request.field_filters(i), fmt::format("field_filters[{}]", i)));
    compiled.fields_.push_back(std::move(filter));
  }
  return compiled;
}

bool EventFilter::Passes(const tetragon::GetEventsResponse& event) const {
  if (allow_.empty() && deny_.empty()) return true;
  const Subject subject = SubjectOf(event);
  const auto holds = [&](const Filter& filter) { return filter.Holds(subject); };
  return (allow_.empty() || std::ranges::any_of(allow_, holds)) &&
         std::ranges::none_of(deny_, holds);
}

event::EventPtr EventFilter::Shape(event::EventPtr event) const {
  const int type = event->event_case();
  const auto applies = [&](const FieldFilter& filter) { return filter.AppliesTo(type); };
  if (std::ranges::none_of(fields_, applies)) return event;
  auto shaped = std::make_shared<tetragon::GetEventsResponse>(*event);
  google::protobuf::Message* inner = EventIn(shaped.get());
  if (inner == nullptr) return event;
  for (const FieldFilter& filter : fields_) {
    if (filter.AppliesTo(type)) filter.Apply(inner);
  }
  return shaped;
}

}  // namespace gatehouse::exporting

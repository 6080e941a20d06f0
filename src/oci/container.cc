// SPDX-License-Identifier: Apache-2.0
#include "oci/container.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "oci/read_file.h"

namespace gatehouse::oci {
namespace {

using nlohmann::json;

constexpr size_t kIdBytesMax = 1024;
constexpr size_t kProcFileBytesMax = 64u << 10;
constexpr int kParentsMax = 4;  // runc or crun, conmon; and what may be between them
constexpr const char* kState = "state of the container";

std::optional<json> Parse(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return std::nullopt;
  return value;
}

/// A member that is a text without control characters; "" if there is none or it is something else.
std::string Text(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) return {};
  const auto& text = at->get_ref<const std::string&>();
  const bool printable = std::ranges::all_of(
      text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
  return printable ? text : std::string();
}

Result<void> AddAnnotations(const json& object, const std::string& where,
                            workload::Annotations& into) {
  const auto at = object.find("annotations");
  if (at == object.end() || at->is_null()) return {};
  if (!at->is_object()) return Fail(ErrorCode::kInvalid, where, "annotations are no object");
  for (const auto& [key, value] : at->items()) {
    if (!value.is_string()) {
      return Fail(ErrorCode::kInvalid, where, "an annotation's value is no string");
    }
    into.try_emplace(key, value.get<std::string>());
  }
  return {};
}

Result<void> ReadState(std::string_view text, Container& container) {
  if (text.size() > kStateBytesMax) {
    return Fail(ErrorCode::kInvalid, kState,
                "is longer than " + std::to_string(kStateBytesMax) + " bytes");
  }
  const auto state = Parse(text);
  if (!state) return Fail(ErrorCode::kInvalid, kState, "is no JSON object");
  GH_TRY(AddAnnotations(*state, kState, container.annotations));
  container.id = Text(*state, "id");
  container.bundle = Text(*state, "bundle");
  if (container.id.empty() || container.id.size() > kIdBytesMax ||
      container.id.find('/') != std::string::npos) {
    return Fail(ErrorCode::kInvalid, kState, "has no id");
  }
  if (!container.bundle.starts_with('/') || container.bundle.size() >= PATH_MAX) {
    return Fail(ErrorCode::kInvalid, kState, "has no absolute path of a bundle");
  }
  const auto pid = state->find("pid");
  if (pid == state->end() || !pid->is_number_unsigned() || pid->get<uint64_t>() == 0 ||
      pid->get<uint64_t>() > INT_MAX) {
    return Fail(ErrorCode::kInvalid, kState, "has no pid", "call the hook as createRuntime");
  }
  container.pid = pid->get<pid_t>();
  return {};
}

/// The path in cgroup2 of a process, as the runtime sees it; "": none but the root.
std::string CgroupOfProcess(const std::string& proc, pid_t pid) {
  const auto text = ReadFile(proc + "/" + std::to_string(pid) + "/cgroup", kProcFileBytesMax);
  if (!text) return {};
  constexpr std::string_view kUnified = "0::";
  size_t begin = text->starts_with(kUnified) ? 0 : text->find("\n0::");
  if (begin == std::string::npos) return {};
  begin = text->find(kUnified, begin) + kUnified.size();
  std::string path = text->substr(begin, text->find('\n', begin) - begin);
  // What is outside of our own cgroup namespace has no name here.
  if (path == "/" || path.find("/..") != std::string::npos) return {};
  return path;
}

bool IsSystemd(std::string_view path) { return std::ranges::count(path, ':') == 2; }

/// The spec names the cgroup, unless it leaves that to the runtime or names it from elsewhere: then
/// the one in which the first process is already.
Result<std::string> CgroupOf(std::string spec_path, const std::string& process_path) {
  if (IsSystemd(spec_path)) return spec_path;
  while (spec_path.size() > 1 && spec_path.ends_with('/')) spec_path.pop_back();
  const bool inside = spec_path.size() > 1 && spec_path.starts_with('/') &&
                      (process_path == spec_path || process_path.starts_with(spec_path + "/"));
  if (inside) return spec_path;
  if (!process_path.empty()) return process_path;
  if (spec_path.size() > 1 && spec_path.starts_with('/')) return spec_path;
  return Fail(ErrorCode::kInvalid, "container", "has no cgroup of its own in cgroup2",
              "have the runtime use one: linux.cgroupsPath in config.json");
}

struct Parent {
  pid_t pid = 0;
  std::vector<std::string> arguments;
};

std::optional<Parent> ParentOf(const std::string& proc, pid_t pid) {
  const auto stat = ReadFile(proc + "/" + std::to_string(pid) + "/stat", kProcFileBytesMax);
  // `PID (NAME) STATE PPID ...`, and a name may have anything in it.
  const size_t name_end = stat ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos || name_end + 4 >= stat->size()) return std::nullopt;
  Parent parent;
  parent.pid = static_cast<pid_t>(std::strtol(stat->c_str() + name_end + 4, nullptr, 10));
  if (parent.pid <= 1) return std::nullopt;
  const auto words =
      ReadFile(proc + "/" + std::to_string(parent.pid) + "/cmdline", kProcFileBytesMax);
  if (!words) return std::nullopt;
  for (size_t begin = 0; begin < words->size();) {
    const size_t end = std::min(words->find('\0', begin), words->size());
    parent.arguments.push_back(words->substr(begin, end - begin));
    begin = end + 1;
  }
  return parent;
}

std::string ValueOf(const std::vector<std::string>& arguments, std::string_view option) {
  const auto at = std::ranges::find(arguments, option);
  return at == arguments.end() || at + 1 == arguments.end() ? std::string() : *(at + 1);
}

/// conmon(8), which podman has run the runtime, gets id and name of the container: `-c ID -n NAME`.
std::string NameByConmon(const std::string& proc, const std::string& id) {
  pid_t pid = getpid();
  for (int i = 0; i < kParentsMax; ++i) {
    const auto parent = ParentOf(proc, pid);
    if (!parent) return {};
    pid = parent->pid;
    if (!parent->arguments.empty() && parent->arguments.front().ends_with("conmon") &&
        ValueOf(parent->arguments, "-c") == id) {
      return ValueOf(parent->arguments, "-n");
    }
  }
  return {};
}

/// The bundle is ROOT/DRIVER-containers/ID/userdata, and ROOT/DRIVER-containers/containers.json is
/// the list (containers/storage; volatile-containers.json in newer versions for those with --rm).
std::string ImageByStorage(const Container& container) {
  const std::string suffix = "/" + container.id + "/userdata";
  if (!container.bundle.ends_with(suffix)) return {};
  const std::string directory = container.bundle.substr(0, container.bundle.size() - suffix.size());
  for (const char* file : {"/containers.json", "/volatile-containers.json"}) {
    const auto text = ReadFile(directory + file, kStorageBytesMax);
    if (!text) continue;
    const json list = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!list.is_array()) continue;
    for (const json& entry : list) {
      if (!entry.is_object() || Text(entry, "id") != container.id) continue;
      const auto metadata = Parse(Text(entry, "metadata"));
      return metadata ? Text(*metadata, "image-name") : std::string();
    }
  }
  return {};
}

/// The fields of tetragon.CreateContainer and around it (proto/tetragon/tetragon.proto), and of an
/// entry of a map.
enum Field : uint32_t {
  kCreateContainer = 1,
  kCgroupsPath = 1,
  kRootDir = 2,
  kAnnotations = 3,
  kContainerName = 4,
  kContainerId = 5,
  kContainerImage = 9,
  kMapKey = 1,
  kMapValue = 2,
};

class MessageWriter {
 public:
  /// Texts that are empty are left out, as proto3 does.
  void Write(Field field, std::string_view text) {
    if (text.empty()) return;
    google::protobuf::io::StringOutputStream stream(&bytes_);
    google::protobuf::io::CodedOutputStream out(&stream);
    constexpr uint32_t kLengthDelimited = 2;
    out.WriteTag(static_cast<uint32_t>(field) << 3u | kLengthDelimited);
    out.WriteVarint32(static_cast<uint32_t>(text.size()));
    out.WriteRaw(text.data(), static_cast<int>(text.size()));
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace

Result<void> ReadContainer(std::string_view state, Container& container, const std::string& proc) {
  GH_TRY(ReadState(state, container));
  const std::string path = container.bundle + "/config.json";
  GH_ASSIGN(const std::string text, ReadFile(path, kSpecBytesMax));
  const auto spec = Parse(text);
  if (!spec) return Fail(ErrorCode::kInvalid, path, "is no JSON object");
  GH_TRY(AddAnnotations(*spec, path, container.annotations));
  const auto kernel = spec->find("linux");
  const std::string spec_cgroup =
      kernel != spec->end() && kernel->is_object() ? Text(*kernel, "cgroupsPath") : "";
  GH_ASSIGN(container.cgroups_path, CgroupOf(spec_cgroup, CgroupOfProcess(proc, container.pid)));
  if (workload::FirstOf(container.annotations, workload::kContainerManager) == workload::kLibpod) {
    container.name = NameByConmon(proc, container.id);
    container.image = ImageByStorage(container);
  }
  return {};
}

std::string RuntimeHookRequest(const Container& container) {
  MessageWriter create;
  create.Write(kCgroupsPath, container.cgroups_path);
  create.Write(kRootDir, container.bundle);
  workload::Annotations annotations = container.annotations;
  annotations[std::string(workload::kInitPid)] = std::to_string(container.pid);
  for (const auto& [key, value] : annotations) {
    MessageWriter entry;
    entry.Write(kMapKey, key);
    entry.Write(kMapValue, value);
    create.Write(kAnnotations, entry.bytes());
  }
  create.Write(kContainerName, container.name);
  create.Write(kContainerId, container.id);
  create.Write(kContainerImage, container.image);
  MessageWriter request;
  request.Write(kCreateContainer, create.bytes());
  return request.bytes();
}

}  // namespace gatehouse::oci

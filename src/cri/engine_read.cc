// SPDX-License-Identifier: Apache-2.0
#include "cri/engine_read.h"

#include <google/protobuf/map.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "cri/read.h"
#include "workload/container_cgroup.h"
#include "workload/registry.h"

namespace gatehouse::cri {
namespace {

using nlohmann::json;

/// Deeper than any answer that an engine gives; the copy of a value is made recursively.
constexpr int kDepthMax = 64;

json Parse(std::string_view text) {
  bool deep = false;
  json root = json::parse(
      text,
      [&deep](int depth, json::parse_event_t /*event*/, json& /*parsed*/) {
        deep = deep || depth > kDepthMax;
        return depth <= kDepthMax;
      },
      /*allow_exceptions=*/false);
  return deep ? json(json::value_t::discarded) : root;
}

/// The member, or null.
const json& At(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

/// The text, or "".
std::string Text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

Texts ToTexts(const json& object) {
  Texts texts;
  if (!object.is_object()) return texts;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) texts[key] = value.get<std::string>();
  }
  return texts;
}

}  // namespace

EngineVersion ReadVersion(std::string_view body) {
  const json root = Parse(body);
  const json& components = At(root, "Components");
  std::string name;
  if (components.is_array() && !components.empty()) name = Text(At(components[0], "Name"));
  return {.name = Printable(name), .version = Printable(Text(At(root, "Version")))};
}

Result<std::vector<std::string>> ReadIds(std::string_view body) {
  const json root = Parse(body);
  if (!root.is_array()) return Fail(ErrorCode::kInvalid, "list", "is no list of containers");
  std::vector<std::string> ids;
  for (const json& container : root) {
    std::string id = Text(At(container, "Id"));
    if (IsId(id) && ids.size() < kContainersMax) ids.push_back(std::move(id));
  }
  return ids;
}

std::optional<std::string> ReadEvent(std::string_view line) {
  const json root = Parse(line);
  if (Text(At(root, "Type")) != "container") return std::nullopt;
  std::string id = Text(At(At(root, "Actor"), "ID"));
  if (!IsId(id)) return std::nullopt;
  return id;
}

Result<Inspected> ReadInspected(const std::string& id, std::string_view body) {
  const json root = Parse(body);
  if (Text(At(root, "Id")) != id) {
    return Fail(ErrorCode::kInvalid, "container " + id, "the answer is about another one");
  }
  Inspected inspected;
  workload::ContainerFacts& facts = inspected.facts;
  facts.id = id;
  facts.name = Text(At(root, "Name"));
  if (facts.name.starts_with('/')) facts.name.erase(0, 1);
  const json& configuration = At(root, "Config");
  facts.image = Text(At(configuration, "Image"));
  facts.labels = ReadLabels(ToTexts(At(configuration, "Labels")));
  const json& state = At(root, "State");
  const json& pid = At(state, "Pid");
  if (At(state, "Running") == json(true) && pid.is_number_integer() && pid > 0 &&
      pid <= std::numeric_limits<pid_t>::max()) {
    inspected.pid = pid.get<pid_t>();
  }
  workload::Workload identity;
  identity.container = facts.name;
  identity.image = facts.image;
  if (const auto checked = workload::CheckIdentity(identity); !checked || facts.name.empty()) {
    return Fail(ErrorCode::kInvalid, "container " + id, "its name or image is garbled");
  }
  return inspected;
}

Result<std::string> ReadCgroup(const std::string& id, std::string_view text,
                               const std::string& cgroup_root) {
  constexpr std::string_view kUnified = "0::";
  size_t begin = text.starts_with(kUnified) ? 0 : text.find("\n0::");
  if (begin == std::string_view::npos) {
    return Fail(ErrorCode::kUnsupported, "container " + id,
                "is in no cgroup of the unified hierarchy",
                "mount cgroup2, and use an OCI runtime that joins it");
  }
  if (begin != 0) ++begin;
  std::string_view path = text.substr(begin + kUnified.size());
  path = path.substr(0, path.find('\n'));
  const size_t at = path.find(id);
  if (at != std::string_view::npos) path = path.substr(0, path.find('/', at));
  auto cgroup = workload::NormalizeCgroup(cgroup_root + std::string(path), cgroup_root);
  if (!cgroup)
    return Fail(ErrorCode::kInvalid, "container " + id, Printable(cgroup.error().Message()));
  return std::move(*cgroup);
}

}  // namespace gatehouse::cri

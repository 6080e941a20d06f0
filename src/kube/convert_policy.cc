// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "kube/convert.h"
#include "kube/json_fields.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kApiVersion = "cilium.io/v1alpha1";
constexpr size_t kUidBytesMax = 128;
constexpr size_t kMessageBytesMax = 4096;
constexpr size_t kReportsMax = 4096;
// What the parser takes is less: it says which place is too deep.
constexpr size_t kDepthMax = 64;

struct KindRow {
  const char* name;
  const char* plural;
  bool has_status;
};

const KindRow& RowOf(PolicyKind kind) {
  static constexpr std::array kRows{
      KindRow{"TracingPolicy", "tracingpolicies", false},
      KindRow{"TracingPolicyNamespaced", "tracingpoliciesnamespaced", false},
      KindRow{"TracingPolicyTemplate", "tracingpolicytemplates", true},
      KindRow{"TracingPolicyBinding", "tracingpolicybindings", true},
  };
  return kRows[static_cast<size_t>(kind)];
}

constexpr std::array kStates{PolicyState::kAccepted, PolicyState::kConflict, PolicyState::kRefused,
                             PolicyState::kSkipped};

/// Whether YAML reads the key as this text without quotes.
bool IsPlainKey(std::string_view key) {
  constexpr std::array<std::string_view, 6> kWords{"true", "false", "null", "yes", "no", "off"};
  return key.size() > 2 && std::ranges::find(kWords, key) == kWords.end() && key.front() >= 'a' &&
         key.front() <= 'z' && std::ranges::all_of(key, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
         });
}

/// A text in quotes is the same in both, but for the characters beyond U+FFFF, which JSON would
/// escape in two halves; so nothing but control characters is escaped.
std::string Scalar(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

class YamlWriter {
 public:
  /// All fields of an object, or one.
  [[nodiscard]] bool Write(const json& object) { return Fields(object, 0); }
  [[nodiscard]] bool Write(const std::string& key, const json& value) {
    return Field(key, value, 0);
  }
  [[nodiscard]] std::string& text() { return text_; }

 private:
  [[nodiscard]] bool Fields(const json& object, size_t depth) {
    if (depth > kDepthMax) return false;
    bool first = true;
    for (const auto& [key, value] : object.items()) {
      // The first field of an entry of a list stands behind its dash.
      if (!first || !after_dash_) text_.append(2 * depth, ' ');
      after_dash_ = false;
      first = false;
      if (!Field(key, value, depth)) return false;
    }
    return true;
  }

  [[nodiscard]] bool Field(const std::string& key, const json& value, size_t depth) {
    text_ += IsPlainKey(key) ? key : Scalar(key);
    text_ += ':';
    return Value(value, depth + 1);
  }

  [[nodiscard]] bool Value(const json& value, size_t depth) {
    if (!value.is_structured() || value.empty()) {
      text_ += ' ' + Scalar(value) + '\n';
      return true;
    }
    text_ += '\n';
    return value.is_object() ? Fields(value, depth) : Entries(value, depth);
  }

  [[nodiscard]] bool Entries(const json& array, size_t depth) {
    if (depth > kDepthMax) return false;
    for (const json& entry : array) {
      text_.append(2 * depth, ' ');
      text_ += '-';
      if (entry.is_object() && !entry.empty()) {
        text_ += ' ';
        after_dash_ = true;
        if (!Fields(entry, depth + 1)) return false;
      } else if (!Value(entry, depth + 1)) {
        return false;
      }
    }
    return true;
  }

  std::string text_;
  bool after_dash_ = false;
};

tl::unexpected<Error> TooDeep() {
  return Fail(ErrorCode::kInvalid, "spec",
              "has more than " + std::to_string(kDepthMax) + " levels");
}

/// This node's entry of `status.nodes`, and how many there are. What cannot be read is as if it
/// were not there: it is written anew.
void ReadReports(const json& object, const std::string& node, PolicyObject& policy) {
  const Result<const json*> status = ReadObject(object, "status");
  if (!status) return;
  const Result<const json*> nodes = ReadObjects(**status, "nodes", kReportsMax);
  if (!nodes) return;
  policy.reports = (*nodes)->size();
  for (const json& entry : **nodes) {
    if (ReadText(entry, "node", kNameBytesMax).value_or("") != node) continue;
    const std::string name = ReadText(entry, "state", kNameBytesMax).value_or("");
    const auto* const state = std::ranges::find_if(
        kStates, [&](PolicyState each) { return name == PolicyStateName(each); });
    if (state == kStates.end()) return;
    policy.reported = {*state, ReadText(entry, "message", kMessageBytesMax).value_or(""),
                       ReadInteger(entry, "observedGeneration").value_or(0)};
    return;
  }
}

Result<PolicyObject> ReadPolicy(const json& object, PolicyKind kind, const std::string& node) {
  PolicyObject policy;
  policy.kind = kind;
  GH_ASSIGN(const json* metadata, ReadObject(object, "metadata"));
  GH_ASSIGN(policy.key.name, ReadText(*metadata, "name", kNameBytesMax));
  GH_ASSIGN(policy.key.ns, ReadText(*metadata, "namespace", kNameBytesMax));
  GH_ASSIGN(policy.uid, ReadText(*metadata, "uid", kUidBytesMax));
  GH_ASSIGN(policy.generation, ReadInteger(*metadata, "generation"));
  GH_ASSIGN(const workload::Labels labels, ReadLabels(*metadata, "labels"));
  GH_ASSIGN(const std::string version, ReadText(object, "apiVersion", kNameBytesMax));
  GH_ASSIGN(const std::string kind_name, ReadText(object, "kind", kNameBytesMax));
  if (version != kApiVersion || kind_name != PolicyKindName(kind)) {
    return Fail(ErrorCode::kInvalid, "kind", "is another one than its path says");
  }
  // Not the annotations: kubectl keeps a copy of the whole object in one.
  json document{
      {"apiVersion", version}, {"kind", kind_name}, {"metadata", {{"name", policy.key.name}}}};
  if (!policy.key.ns.empty()) document["metadata"]["namespace"] = policy.key.ns;
  if (!labels.empty()) document["metadata"]["labels"] = labels;
  YamlWriter writer;
  bool written = writer.Write(document);
  // Not copied into the document: that would go down as many levels as somebody wrote.
  if (const auto spec = object.find("spec"); written && spec != object.end()) {
    written = writer.Write("spec", *spec);
  }
  if (!written) return TooDeep();
  policy.text = std::move(writer.text());
  ReadReports(object, node, policy);
  return policy;
}

}  // namespace

const char* PolicyKindName(PolicyKind kind) { return RowOf(kind).name; }
const char* PolicyPlural(PolicyKind kind) { return RowOf(kind).plural; }
bool HasStatus(PolicyKind kind) { return RowOf(kind).has_status; }

const char* PolicyStateName(PolicyState state) {
  switch (state) {
    case PolicyState::kAccepted:
      return "Accepted";
    case PolicyState::kConflict:
      return "Conflict";
    case PolicyState::kRefused:
      return "Refused";
    case PolicyState::kSkipped:
      return "Skipped";
  }
  return "";
}

Resource Policies(PolicyKind kind) {
  return {.path = "/apis/" + std::string(kApiVersion) + "/" + PolicyPlural(kind)};
}

Converter<PolicyObject> PolicyConverter(PolicyKind kind, std::string node) {
  return [kind, node = std::move(node)](const json& object) -> Result<Converted<PolicyObject>> {
    Result<PolicyObject> policy = ReadPolicy(object, kind, node);
    if (!policy) {
      Error error = std::move(policy).error();
      const Result<ObjectMeta> meta = ReadMeta(object);
      error.object =
          std::string(PolicyKindName(kind)) + "/" + (meta ? meta->key : "?") + ": " + error.object;
      return tl::unexpected(std::move(error));
    }
    std::string state = policy->uid + ":" + std::to_string(policy->generation);
    return Converted<PolicyObject>{std::move(*policy), std::move(state)};
  };
}

Result<std::string> ToYaml(const json& object) {
  YamlWriter writer;
  if (!writer.Write(object)) return TooDeep();
  return std::move(writer.text());
}

}  // namespace gatehouse::kube

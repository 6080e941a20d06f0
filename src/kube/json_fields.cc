// SPDX-License-Identifier: Apache-2.0
#include "kube/json_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace gatehouse::kube {
namespace {

using nlohmann::json;

constexpr size_t kLabelsMax = 1024;
constexpr size_t kLabelBytesMax = 1024;

/// Null if it is absent or null.
const json* Find(const json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

tl::unexpected<Error> Wrong(const std::string& field, const std::string& cause) {
  return Fail(ErrorCode::kInvalid, field, cause);
}

bool HasControls(const std::string& text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

Result<void> CheckText(const std::string& field, const json& value, size_t bytes_max) {
  if (!value.is_string()) return Wrong(field, "is no text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > bytes_max) {
    return Wrong(field, "has more than " + std::to_string(bytes_max) + " bytes");
  }
  if (HasControls(text)) return Wrong(field, "has control characters");
  return {};
}

const json& Empty(json::value_t type) {
  static const json kObject = json::object();
  static const json kArray = json::array();
  return type == json::value_t::object ? kObject : kArray;
}

}  // namespace

Result<std::string> ReadText(const json& object, const char* field, size_t bytes_max) {
  const json* const value = Find(object, field);
  if (value == nullptr) return std::string();
  GH_TRY(CheckText(field, *value, bytes_max));
  return value->get<std::string>();
}

Result<int64_t> ReadInteger(const json& object, const char* field) {
  const json* const value = Find(object, field);
  if (value == nullptr) return 0;
  if (!value->is_number_integer()) return Wrong(field, "is no whole number");
  return value->get<int64_t>();
}

Result<const json*> ReadObject(const json& object, const char* field) {
  const json* const value = Find(object, field);
  if (value == nullptr) return &Empty(json::value_t::object);
  if (!value->is_object()) return Wrong(field, "is no object");
  return value;
}

Result<const json*> ReadObjects(const json& object, const char* field, size_t entries_max) {
  const json* const value = Find(object, field);
  if (value == nullptr) return &Empty(json::value_t::array);
  if (!value->is_array()) return Wrong(field, "is no list");
  if (value->size() > entries_max) {
    return Wrong(field, "has more than " + std::to_string(entries_max) + " entries");
  }
  if (std::ranges::any_of(*value, [](const json& entry) { return !entry.is_object(); })) {
    return Wrong(field, "has an entry that is no object");
  }
  return value;
}

Result<workload::Labels> ReadLabels(const json& object, const char* field) {
  GH_ASSIGN(const json* value, ReadObject(object, field));
  if (value->size() > kLabelsMax) return Wrong(field, "has more than 1024 entries");
  workload::Labels labels;
  for (const auto& [name, text] : value->items()) {
    if (name.size() > kLabelBytesMax || HasControls(name)) return Wrong(field, "has a bad name");
    GH_TRY(CheckText(std::string(field) + "." + name, text, kLabelBytesMax));
    labels.emplace(name, text.get_ref<const std::string&>());
  }
  return labels;
}

}  // namespace gatehouse::kube

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/compile.h>
#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// JSON as protobuf's printer writes it, without reflection. Any thread.
namespace gatehouse::exporting {

/// By protobuf's own printer, with the field names of the .proto files.
[[nodiscard]] std::string JsonByReflection(const google::protobuf::Message& message);

/// In quotes, escaped as protobuf does: also `<` and `>`.
void AppendJsonString(std::string_view value, std::string* out);

/// RFC 3339 in UTC, with 0, 3, 6 or 9 digits behind the second.
void AppendJsonTime(const google::protobuf::Timestamp& time, std::string* out);

/// One JSON object that is appended to `out`; its braces are there as long as it lives. What has
/// its default value is left out.
class JsonObject {
 public:
  explicit JsonObject(std::string* out) : out_(out) { out_->push_back('{'); }
  ~JsonObject() { out_->push_back('}'); }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  /// The place for the value of `name`, which needs no escaping.
  std::string* Key(std::string_view name) {
    if (!std::exchange(first_, false)) out_->push_back(',');
    out_->append("\"").append(name).append("\":");
    return out_;
  }
  /// The same for a map's key.
  std::string* AnyKey(std::string_view name) {
    if (!std::exchange(first_, false)) out_->push_back(',');
    AppendJsonString(name, out_);
    out_->push_back(':');
    return out_;
  }
  void String(std::string_view name, std::string_view value) {
    if (!value.empty()) AppendJsonString(value, Key(name));
  }
  void Number(std::string_view name, uint32_t value) { Present(name, value != 0, value); }
  void Bool(std::string_view name, bool value) {
    if (value) Key(name)->append("true");
  }
  /// A number that is left out by its absence, not by being 0.
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
    if (present) AppendJsonTime(value, Key(name));
  }
  template <typename Strings>
  void List(std::string_view name, const Strings& values) {
    if (values.empty()) return;
    Key(name)->push_back('[');
    for (int i = 0; i < values.size(); ++i) {
      if (i > 0) out_->push_back(',');
      AppendJsonString(values[i], out_);
    }
    out_->push_back(']');
  }
  /// Ordered by key.
  template <typename Map>
  void StringMap(std::string_view name, const Map& map) {
    if (map.empty()) return;
    std::vector<std::pair<std::string_view, std::string_view>> entries(map.begin(), map.end());
    std::ranges::sort(entries);
    JsonObject object(Key(name));
    for (const auto& [key, value] : entries) AppendJsonString(value, object.AnyKey(key));
  }

 private:
  std::string* out_;
  bool first_ = true;
};

}  // namespace gatehouse::exporting

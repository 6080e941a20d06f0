// SPDX-License-Identifier: Apache-2.0
#include "kernel/tracepoint_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace gatehouse::kernel {
namespace {

/// `\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;`
struct Field {
  std::string_view declaration;  ///< `char comm[16]`
  uint32_t offset = 0;
  uint32_t bytes = 0;
  bool is_signed = false;
};

/// What stands between `key` and the next semicolon.
std::optional<std::string_view> Find(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  line.remove_prefix(at + key.size());
  const size_t end = line.find(';');
  if (end == std::string_view::npos) return std::nullopt;
  return line.substr(0, end);
}

std::optional<uint32_t> FindNumber(std::string_view line, std::string_view key) {
  const std::optional<std::string_view> text = Find(line, key);
  uint32_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return number;
}

std::optional<Field> ParseLine(std::string_view line) {
  const auto declaration = Find(line, "field:");
  const auto offset = FindNumber(line, "\toffset:");
  const auto bytes = FindNumber(line, "\tsize:");
  if (!declaration || !offset || !bytes) return std::nullopt;
  return Field{*declaration, *offset, *bytes, FindNumber(line, "\tsigned:") == 1U};
}

/// `char` in `char comm[16]`, `const char * name`, `__data_loc char[] path`.
bool IsOfCharacters(std::string_view declaration) {
  constexpr std::string_view kConst = "const ";
  if (declaration.starts_with(kConst)) declaration.remove_prefix(kConst.size());
  return declaration.starts_with("char ") || declaration.starts_with("char[");
}

/// `sock` in `const struct sock * sk`; else void: nothing is known of it.
std::string PointeeOf(std::string_view declaration) {
  constexpr std::string_view kStruct = "struct ";
  if (IsOfCharacters(declaration)) return "char";
  const size_t at = declaration.find(kStruct);
  if (at == std::string_view::npos) return "void";
  declaration.remove_prefix(at + kStruct.size());
  return std::string(declaration.substr(0, declaration.find_first_of(" *")));
}

bool IsWord(uint32_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }

/// How many elements an array is declared with; 0: that is no number but an expression.
uint32_t LengthOf(std::string_view declaration) {
  uint32_t length = 0;
  const std::string_view from = declaration.substr(declaration.rfind('[') + 1);
  const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), length);
  return error == std::errc() && *end == ']' ? length : 0;
}

Parameter Describe(const Field& field) {
  constexpr std::string_view kDataLoc = "__data_loc ";
  const auto taken = [&](gh_take take, uint32_t bytes) {
    return GH_PLACE(take, bytes, field.offset);
  };
  std::string_view declaration = field.declaration;
  // A place has 16 bits for it; records are no longer than PERF_MAX_TRACE_SIZE.
  if (field.offset > UINT16_MAX) return {};
  if (declaration.starts_with(kDataLoc)) {
    declaration.remove_prefix(kDataLoc.size());
    if (!IsOfCharacters(declaration)) return {};
    return {.readable = true,
            .pointer = true,
            .pointee = "char",
            .place = taken(GH_TAKE_DATA_LOC, field.bytes)};
  }
  if (declaration.starts_with("__rel_loc ")) return {};
  if (declaration.find('*') != std::string_view::npos && field.bytes == sizeof(uint64_t)) {
    return {.readable = true,
            .pointer = true,
            .pointee = PointeeOf(declaration),
            .place = taken(GH_TAKE_NUMBER, field.bytes)};
  }
  uint32_t bytes = field.bytes;
  if (declaration.ends_with(']')) {
    if (IsOfCharacters(declaration)) {
      return {.readable = true,
              .pointer = true,
              .pointee = "char",
              .place = taken(GH_TAKE_ADDRESS, field.bytes & UINT8_MAX)};
    }
    const uint32_t length = LengthOf(declaration);
    if (length == 0) return {};
    bytes /= length;  // its first element
  }
  if (!IsWord(bytes)) return {};
  return {.readable = true,
          .bytes = bytes,
          .is_signed = field.is_signed,
          .place = taken(GH_TAKE_NUMBER, bytes)};
}

}  // namespace

Result<std::string> ReadTracepointFormat(const std::string& subsystem, const std::string& event,
                                         const std::string& object) {
  constexpr std::array kMounts{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
  std::error_code ignored;
  const auto* const mount = std::ranges::find_if(kMounts, [&](const char* path) {
    return std::filesystem::exists(std::string(path) + "/events", ignored);
  });
  if (mount == kMounts.end()) {
    return Fail(ErrorCode::kUnsupported, object,
                "tracefs, which describes the fields of tracepoints, is not mounted",
                "`mount -t tracefs tracefs /sys/kernel/tracing`, or write `raw: true` and the "
                "arguments of the tracepoint's call");
  }
  std::ifstream file(std::string(*mount) + "/events/" + subsystem + "/" + event + "/format");
  if (!file) {
    return Fail(ErrorCode::kUnsupported, object, "this kernel has no such tracepoint",
                "see " + std::string(*mount) + "/available_events");
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<Parameter> ParseTracepointFormat(std::string_view format) {
  std::vector<Parameter> fields;
  while (!format.empty()) {
    const std::string_view line = format.substr(0, format.find('\n'));
    format.remove_prefix(std::min(line.size() + 1, format.size()));
    if (const std::optional<Field> field = ParseLine(line)) fields.push_back(Describe(*field));
  }
  return fields;
}

}  // namespace gatehouse::kernel

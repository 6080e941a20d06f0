// SPDX-License-Identifier: Apache-2.0
#include "event/decode.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <type_traits>

namespace gatehouse::event {
namespace {

tl::unexpected<Error> Malformed(std::string cause) {
  return Fail(ErrorCode::kInvalid, "event", std::move(cause),
              "check that the agent and its kernel programs are of one build");
}

// The fixed part of a record, copied out: the bytes need not be aligned.
template <typename Layout>
Result<Layout> Fixed(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<Layout>);
  if (bytes.size() < sizeof(Layout)) {
    return Malformed(fmt::format("{} bytes, but {} are the least", bytes.size(), sizeof(Layout)));
  }
  Layout layout;
  std::memcpy(&layout, bytes.data(), sizeof(Layout));
  return layout;
}

struct Length {
  const char* name;
  uint32_t bytes;
  uint32_t limit;
};

// The variable parts behind the fixed one.
template <size_t N>
Result<std::array<std::string_view, N>> Parts(std::span<const std::byte> bytes,
                                              const std::array<Length, N>& lengths) {
  std::array<std::string_view, N> parts;
  for (size_t i = 0; i < N; ++i) {
    const auto& [name, length, limit] = lengths[i];
    if (length > limit) {
      return Malformed(fmt::format("{} of {} bytes is over the limit of {}", name, length, limit));
    }
    if (length > bytes.size()) {
      return Malformed(fmt::format("{} of {} bytes, but {} are left", name, length, bytes.size()));
    }
    parts[i] = {reinterpret_cast<const char*>(bytes.data()), length};
    bytes = bytes.subspan(length);
  }
  return parts;
}

ProcessRecord ProcessOf(const gh_process& from) {
  return {.key = {from.pid, from.start_ns, from.exec_seq},
          .parent = {from.parent_pid, from.parent_start_ns, from.parent_exec_seq},
          .tid = from.tid,
          .uid = from.uid,
          .auid = from.auid,
          .cgroup_id = from.cgroup_id,
          .workload = from.workload};
}

Result<Record> DecodeExec(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_exec from, Fixed<gh_event_exec>(bytes));
  const std::array<Length, 3> lengths = {{{"binary", from.binary_len, GH_PATH_MAX - 1},
                                          {"args", from.args_len, GH_ARGS_MAX},
                                          {"cwd", from.cwd_len, GH_PATH_MAX - 1}}};
  GH_ASSIGN(const auto parts, Parts(bytes.subspan(sizeof(from)), lengths));
  return ExecRecord{.time_ns = from.header.time_ns,
                    .process = ProcessOf(from.process),
                    .flags = from.flags,
                    .binary = parts[0],
                    .args = parts[1],
                    .cwd = parts[2]};
}

Result<Record> DecodeExit(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_exit from, Fixed<gh_event_exit>(bytes));
  return ExitRecord{
      .time_ns = from.header.time_ns, .process = ProcessOf(from.process), .code = from.code};
}

Result<Record> DecodePolicy(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_policy from, Fixed<gh_event_policy>(bytes));
  if (from.hook >= GH_HOOK_COUNT) return Malformed(fmt::format("unknown hook {}", from.hook));
  if (from.unreadable > GH_UNREADABLE_TOO_MANY) {
    return Malformed(fmt::format("unknown reason {} for an unreadable path", from.unreadable));
  }
  const std::array<Length, 1> lengths = {{{"object", from.object_len, GH_PATH_MAX - 1}}};
  GH_ASSIGN(const auto parts, Parts(bytes.subspan(sizeof(from)), lengths));
  return PolicyRecord{.time_ns = from.header.time_ns,
                      .process = ProcessOf(from.process),
                      .instance = from.policy,
                      .hook = static_cast<gh_hook>(from.hook),
                      .hook_index = from.hook_index,
                      .rule = from.rule,
                      .actions = from.actions,
                      .error = from.error,
                      .signal = from.signal,
                      .flags = from.flags,
                      .unreadable = static_cast<gh_unreadable>(from.unreadable),
                      .file_mode = from.file_mode,
                      .object = parts[0]};
}

}  // namespace

Result<Record> Decode(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_header header, Fixed<gh_event_header>(bytes));
  if (header.size > bytes.size()) {
    return Malformed(
        fmt::format("it claims {} bytes, but {} are there", header.size, bytes.size()));
  }
  const auto record = bytes.first(header.size);
  switch (header.type) {
    case GH_EVENT_EXEC:
      return DecodeExec(record);
    case GH_EVENT_EXIT:
      return DecodeExit(record);
    case GH_EVENT_POLICY:
      return DecodePolicy(record);
    default:
      return Malformed(fmt::format("unknown type {}", header.type));
  }
}

}  // namespace gatehouse::event

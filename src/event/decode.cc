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

// `name`, whose size is fixed, copied out as above.
template <typename Layout>
Result<Layout> Whole(std::string_view bytes, const char* name) {
  if (bytes.size() != sizeof(Layout)) {
    return Malformed(fmt::format("{} of {} bytes", name, bytes.size()));
  }
  return Fixed<Layout>(std::as_bytes(std::span(bytes)));
}

Result<void> CheckSocket(std::string_view bytes) {
  GH_ASSIGN(const gh_socket socket, Whole<gh_socket>(bytes, "a socket"));
  if (socket.known >> GH_FIELD_COUNT == 0) return {};
  return Malformed(fmt::format("unknown fields of a socket among {:#x}", socket.known));
}

// Takes the value that `bytes` begin with from them.
Result<ValueRecord> TakeValue(std::span<const std::byte>* bytes) {
  GH_ASSIGN(const gh_event_value from, Fixed<gh_event_value>(*bytes));
  *bytes = bytes->subspan(sizeof(from));
  if (from.subject >= GH_SUBJECT_TOLD) {
    return Malformed(fmt::format("unknown subject {}", from.subject));
  }
  if (from.read >= GH_READ_COUNT || from.read == GH_READ_PROCESS) {
    return Malformed(fmt::format("unknown way {} to read a value", from.read));
  }
  if ((from.subject == GH_SUBJECT_BINARY) != (from.read == GH_READ_BINARY)) {
    return Malformed(fmt::format("subject {} read in way {}", from.subject, from.read));
  }
  if (from.unreadable > GH_UNREADABLE_TOO_MANY) {
    return Malformed(fmt::format("unknown reason {} for an unreadable value", from.unreadable));
  }
  const std::array<Length, 1> lengths = {{{"value", from.bytes, GH_PATH_MAX - 1}}};
  GH_ASSIGN(const auto parts, Parts(*bytes, lengths));
  *bytes = bytes->subspan(from.bytes);
  ValueRecord value{.subject = static_cast<gh_subject>(from.subject),
                    .read = static_cast<gh_read>(from.read),
                    .unreadable = static_cast<gh_unreadable>(from.unreadable),
                    .file_mode = from.file_mode,
                    .family = from.family,
                    .length = from.length};
  if (gh_is_text(value.read)) {
    value.text = parts[0];
  } else if (value.unreadable == GH_READABLE || from.bytes != 0) {
    if (gh_is_socket(value.read)) {
      GH_TRY(CheckSocket(parts[0]));
      if (value.unreadable == GH_READABLE) value.text = parts[0];
    } else if (gh_is_cred(value.read)) {
      GH_TRY(Whole<gh_cred>(parts[0], "credentials"));
      if (value.unreadable == GH_READABLE) value.text = parts[0];
    } else if (gh_is_object(value.read)) {
      GH_TRY(Whole<gh_object>(parts[0], "an object"));
      if (value.unreadable == GH_READABLE) value.text = parts[0];
    } else {
      GH_ASSIGN(value.number, Whole<uint64_t>(parts[0], "a number"));
    }
  }
  return value;
}

// Takes `n` addresses that `bytes` begin with from them; a negative number is why there are none.
Result<StackRecord> TakeStack(int n, std::span<const std::byte>* bytes) {
  if (n < 0) return StackRecord{.is_told = true, .error = -n};
  const std::array<Length, 1> lengths = {
      {{"stack", static_cast<uint32_t>(n * sizeof(uint64_t)), GH_FRAMES_MAX * sizeof(uint64_t)}}};
  GH_ASSIGN(const auto parts, Parts(*bytes, lengths));
  *bytes = bytes->subspan(parts[0].size());
  return StackRecord{.is_told = true, .bytes = parts[0]};
}

// The stacks that a record with `flags` tells; those that it does not are empty.
Result<void> TakeStacks(uint8_t flags, std::span<const std::byte>* bytes, PolicyRecord* record) {
  if ((flags & GH_RULE_STACKS) == 0) return {};
  GH_ASSIGN(const gh_event_stacks from, Fixed<gh_event_stacks>(*bytes));
  *bytes = bytes->subspan(sizeof(from));
  record->start_stack = from.start_stack;
  GH_ASSIGN(record->kernel_stack, TakeStack(from.n_kernel, bytes));
  GH_ASSIGN(record->user_stack, TakeStack(from.n_user, bytes));
  record->kernel_stack.is_told = (flags & GH_POLICY_KERNEL_STACK) != 0;
  record->user_stack.is_told = (flags & GH_POLICY_USER_STACK) != 0;
  return {};
}

Result<Record> DecodePolicy(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_policy from, Fixed<gh_event_policy>(bytes));
  if (from.n_values > GH_SUBJECT_TOLD) {
    return Malformed(fmt::format("{} values, but {} are the most", from.n_values,
                                 static_cast<int>(GH_SUBJECT_TOLD)));
  }
  PolicyRecord record{.time_ns = from.header.time_ns,
                      .process = ProcessOf(from.process),
                      .instance = from.policy,
                      .hook = from.hook,
                      .hook_index = static_cast<uint16_t>(GH_RULE_HOOK(from.rule)),
                      .rule = static_cast<uint16_t>(GH_RULE_SELECTOR(from.rule)),
                      .actions = from.actions,
                      .error = from.error,
                      .signal = from.signal,
                      .flags = from.flags};
  auto rest = bytes.subspan(sizeof(from));
  while (record.n_values < from.n_values) {
    GH_ASSIGN(const ValueRecord value, TakeValue(&rest));
    if (record.Find(value.subject) != nullptr) {
      return Malformed(fmt::format("subject {} twice", static_cast<int>(value.subject)));
    }
    record.values[record.n_values++] = value;
  }
  GH_TRY(TakeStacks(from.flags, &rest, &record));
  if (!rest.empty()) return Malformed(fmt::format("{} bytes behind its values", rest.size()));
  return record;
}

Result<Record> DecodePart(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_part from, Fixed<gh_event_part>(bytes));
  const auto rest = bytes.subspan(sizeof(from));
  if (from.subject >= GH_SUBJECT_TOLD) {
    return Malformed(fmt::format("a part of an unknown subject {}", from.subject));
  }
  const std::array<Length, 1> lengths = {
      {{"part", static_cast<uint32_t>(rest.size()), GH_PART_BYTES}}};
  GH_ASSIGN(const auto parts, Parts(rest, lengths));
  return PartRecord{.thread = from.thread,
                    .subject = static_cast<gh_subject>(from.subject),
                    .at = from.at,
                    .bytes = parts[0]};
}

// By enum hash_algo, which is part of the kernel's interface.
constexpr size_t HashBytes(int algorithm) {
  constexpr std::array<size_t, 8> kBytes = {16, 16, 20, 20, 32, 48, 64, 28};
  return std::cmp_less(algorithm, 0) || std::cmp_greater_equal(algorithm, kBytes.size())
             ? 0
             : kBytes.at(static_cast<size_t>(algorithm));
}

Result<Record> DecodeEnd(std::span<const std::byte> bytes) {
  GH_ASSIGN(const gh_event_end from, Fixed<gh_event_end>(bytes));
  if (from.ends != GH_POLICY_PARTS && from.ends != GH_POLICY_HASH) {
    return Malformed(fmt::format("the end of {:#x}", from.ends));
  }
  const auto* const hash =
      reinterpret_cast<const char*>(bytes.data()) + offsetof(gh_event_end, hash);
  return EndRecord{.thread = from.thread,
                   .since_ns = from.since_ns,
                   .ends = static_cast<uint8_t>(from.ends),
                   .hash = {from.algorithm, {hash, HashBytes(from.algorithm)}}};
}

}  // namespace

std::vector<uint64_t> StackRecord::Addresses() const {
  std::vector<uint64_t> addresses(bytes.size() / sizeof(uint64_t));
  if (!addresses.empty()) std::memcpy(addresses.data(), bytes.data(), bytes.size());
  return addresses;
}

gh_socket ValueRecord::Socket() const {
  gh_socket socket{};
  if (text.size() == sizeof(socket)) std::memcpy(&socket, text.data(), sizeof(socket));
  return socket;
}

gh_cred ValueRecord::Cred() const {
  gh_cred cred{};
  if (text.size() == sizeof(cred)) std::memcpy(&cred, text.data(), sizeof(cred));
  return cred;
}

gh_object ValueRecord::Object() const {
  gh_object object{};
  if (text.size() == sizeof(object)) std::memcpy(&object, text.data(), sizeof(object));
  return object;
}

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
    case GH_EVENT_PART:
      return DecodePart(record);
    case GH_EVENT_END:
      return DecodeEnd(record);
    default:
      return Malformed(fmt::format("unknown type {}", header.type));
  }
}

}  // namespace gatehouse::event

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bind/delta.h"

/// From records of the kernel's ring buffer to events that people and pipelines read.
namespace gatehouse::event {

/// One program execution, as the kernel names it: see struct gh_process.
struct ProcessKey {
  uint32_t pid = 0;       ///< thread group, initial pid namespace; 0: none
  uint64_t start_ns = 0;  ///< CLOCK_BOOTTIME
  uint64_t exec_seq = 0;
  auto operator<=>(const ProcessKey&) const = default;
};

struct ProcessRecord {
  ProcessKey key;
  ProcessKey parent;
  uint32_t tid = 0;
  uint32_t uid = 0;
  uint32_t auid = 0;
  uint64_t cgroup_id = 0;
  bind::WorkloadId workload = bind::kHostWorkload;
};

/// The views of a record point into the bytes that it was decoded from.
struct ExecRecord {
  uint64_t time_ns = 0;  ///< CLOCK_BOOTTIME
  ProcessRecord process;
  uint32_t flags = 0;  ///< gh_exec_flags
  std::string_view binary = {};
  std::string_view args = {};  ///< argv with argv[0], separated by NUL
  std::string_view cwd = {};
};

struct ExitRecord {
  uint64_t time_ns = 0;
  ProcessRecord process;
  uint32_t code = 0;  ///< status << 8 | signal, bit 7: with core dump
};

/// A value of the operation that was judged.
struct ValueRecord {
  gh_subject subject = GH_SUBJECT_ARGUMENT_0;
  gh_read read = GH_READ_NUMBER;
  gh_unreadable unreadable = GH_READABLE;
  uint16_t file_mode = 0;      ///< st_mode, if it is a file's path
  uint8_t family = 0;          ///< AF_*, if it is an address of a socket
  uint32_t length = 0;         ///< of a buffer, of which `text` is the beginning
  uint64_t number = 0;         ///< GH_READ_NUMBER: 64 bits, extended by its sign if it has one
  std::string_view text = {};  ///< of a socket: the bytes of its gh_socket

  /// GH_READ_SOCK to GH_READ_USER_SOCKADDR; of one that is unreadable nothing is known. Copied out
  /// only here: most values are no sockets.
  [[nodiscard]] gh_socket Socket() const;
  /// Of GH_READ_CRED and GH_READ_USER_NAMESPACE, the same.
  [[nodiscard]] gh_cred Cred() const;
  /// Of GH_READ_BPF_ATTR to GH_READ_PERF_EVENT, the same.
  [[nodiscard]] gh_object Object() const;
};

/// What led to the hook: to where each function returns, the innermost first.
struct StackRecord {
  bool is_told = false;
  int error = 0;                ///< the errno for which there are no addresses
  std::string_view bytes = {};  ///< of the addresses, unaligned

  [[nodiscard]] std::vector<uint64_t> Addresses() const;
};

/// The hash of a file, as the kernel's IMA made it.
struct FileHash {
  int algorithm = 0;  ///< enum hash_algo, <linux/hash_info.h>; negative errno: there is none
  std::string_view bytes = {};  ///< empty: of no algorithm that is known
};

struct PolicyRecord {
  uint64_t time_ns = 0;
  ProcessRecord process;
  bind::InstanceId instance = 0;
  uint16_t hook = GH_HOOK_BPRM_CREDS_FOR_EXEC;  ///< the agent's number for the site
  uint16_t hook_index = 0;
  uint16_t rule = 0;
  uint16_t actions = 0;  ///< gh_action bits
  int16_t error = 0;
  uint8_t signal = 0;
  uint8_t flags = 0;                                     ///< gh_policy_event_flags
  std::array<ValueRecord, GH_SUBJECT_TOLD> values = {};  ///< the first n_values
  size_t n_values = 0;
  StackRecord kernel_stack = {};
  StackRecord user_stack = {};  ///< of the thread that acted; its first address is no return
  uint64_t start_stack = 0;     ///< with a stack: of struct mm_struct, of the program that acted
  std::optional<FileHash> hash = {};  ///< none has come: see Assembler

  /// Both ids of the thread that acted, see gh_event_part.
  [[nodiscard]] uint64_t thread() const {
    return static_cast<uint64_t>(process.key.pid) << 32 | process.tid;
  }

  /// Null if the event does not tell it.
  [[nodiscard]] const ValueRecord* Find(uint32_t subject) const {
    const auto end = values.begin() + static_cast<ptrdiff_t>(n_values);
    const auto found = std::ranges::find(values.begin(), end, subject, &ValueRecord::subject);
    return found == end ? nullptr : &*found;
  }
};

/// Some bytes of a buffer.
struct PartRecord {
  uint64_t thread = 0;  ///< both ids, see gh_event_part
  gh_subject subject = GH_SUBJECT_ARGUMENT_0;
  uint32_t at = 0;  ///< which byte of the buffer is the first
  std::string_view bytes = {};
};

/// Nothing more of a kind follows the events that a thread told of its operation.
struct EndRecord {
  uint64_t thread = 0;
  uint64_t since_ns = 0;  ///< the operation began not before; CLOCK_BOOTTIME
  uint8_t ends = 0;       ///< GH_POLICY_PARTS or GH_POLICY_HASH
  FileHash hash = {};     ///< of GH_POLICY_HASH
};

using Record = std::variant<ExecRecord, ExitRecord, PolicyRecord, PartRecord, EndRecord>;
/// Those that are events, and not parts of one.
using Whole = std::variant<ExecRecord, ExitRecord, PolicyRecord>;

/// Decodes one record. Every length is checked against the bytes that there are; nothing is
/// trusted. Errors (kInvalid): too short, an unknown type, subject, way to read, reason or field of
/// a socket, a subject twice, lengths that do not fit or are over the limits of the ABI, bytes
/// behind the last value or address. Bytes behind the record, as its header tells its size, are
/// ignored. Pure; any thread.
[[nodiscard]] Result<Record> Decode(std::span<const std::byte> bytes);

}  // namespace gatehouse::event

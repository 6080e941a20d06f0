// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "abi/gatehouse.h"
#include "policy/model.h"

/// What the language names, as tables: an argument type, an operator or an action is one row. A row
/// without a value is known and not supported yet; it is refused by name. Names are facts of the
/// TracingPolicy language.
namespace gatehouse::policy {

/// A name of the language, an alias (or ""), and what it stands for; nullopt: not supported yet.
template <typename Value>
struct NameRow {
  std::string_view name;
  std::string_view alias;
  std::optional<Value> value;
};

/// What values of a filter look like, and so which checks they get.
enum class ValueKind {
  kPath,            ///< absolute, resolved path of a file, at most GH_PATH_MAX - 1 bytes
  kString,          ///< any text of at most GH_PATH_MAX - 1 bytes
  kBytes,           ///< the same, with NUL bytes if need be
  kSocket,          ///< none: each operator is about a field, whose type has values
  kAddress,         ///< IPv4 or IPv6, alone or with the length of a prefix: `10.0.0.0/8`
  kFileIdentity,    ///< a file: an absolute path that it has, or `MAJOR:MINOR:INODE`
  kNumber,          ///< decimal, or hexadecimal with 0x; with InRange and InMap also `first:last`
  kCapability,      ///< as kNumber, or `CAP_SYS_ADMIN`
  kCapabilityMask,  ///< as kNumber, or the names of all that are in it: `CAP_KILL,CAP_CHOWN`
  kBpfCommand,      ///< as kNumber, or `BPF_PROG_LOAD`
  kProtocol,        ///< as kNumber, or `IPPROTO_TCP`
  kFamily,          ///< as kNumber, or `AF_INET`
  kState,           ///< as kNumber, or `TCP_ESTABLISHED`
  kFileType,        ///< `reg`, `dir`, or as kNumber: the type in st_mode, shifted to the right
  kNamespace,       ///< the number of a namespace's inode, or `host_ns`
  kCapabilities,    ///< of a set: one that is in it, as kCapability
  kNamespaceKinds,  ///< of a set: one that is in it, as `Mnt`
};
[[nodiscard]] constexpr bool IsText(ValueKind values) { return values <= ValueKind::kBytes; }
/// What is compared as two numbers of 64 bits.
[[nodiscard]] constexpr bool IsPair(ValueKind values) {
  return values == ValueKind::kAddress || values == ValueKind::kFileIdentity;
}
/// A set, of which each value names a member.
[[nodiscard]] constexpr bool IsSet(ValueKind values) {
  return values == ValueKind::kCapabilities || values == ValueKind::kNamespaceKinds;
}
[[nodiscard]] constexpr bool IsNumber(ValueKind values) { return values >= ValueKind::kNumber; }

/// How an operator searches its values.
struct OperatorTraits {
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
};

struct ArgumentTypeTraits {
  ValueKind values = ValueKind::kPath;
  std::span<const Operator> operators = {};  ///< that apply to it
  gh_read read = GH_READ_NUMBER;
  uint8_t bytes = 0;  ///< of a number
  bool is_signed = false;
};

/// What a filter of `hook` looks at.
struct SubjectTraits {
  uint8_t subject = GH_SUBJECT_ARGUMENT_0;            ///< enum gh_subject
  ArgumentType type = ArgumentType::kLinuxBinprm;     ///< of the subject
  gh_field field = GH_FIELD_WHOLE;                    ///< of the subject, that is compared
  ArgumentType operand = ArgumentType::kLinuxBinprm;  ///< of that field; else as `type`
};
/// `filter.which` is in range.
[[nodiscard]] SubjectTraits TraitsOf(const Filter& filter, const Hook& hook);

/// As a value of matchNamespaces: the namespace that the agent's process 1 is in.
inline constexpr std::string_view kHostNamespace = "host_ns";

/// Namespaces and sets of capabilities: the values are gh_namespace and gh_capability_set.
[[nodiscard]] std::span<const NameRow<uint32_t>> Namespaces();
[[nodiscard]] std::span<const NameRow<uint32_t>> CapabilitySets();

[[nodiscard]] std::span<const NameRow<Operator>> Operators();
/// How `op` searches values of a kind that it applies to: Equal and In search texts exactly, and
/// numbers as ranges.
[[nodiscard]] OperatorTraits TraitsOf(Operator op, ValueKind values);
/// Whether `op` asks whether the set has anything but the values: NotIn of kNamespaceKinds.
[[nodiscard]] bool AsksForOthers(Operator op, ValueKind values);
/// Whether a value may be a range: `first:last`.
[[nodiscard]] bool TakesRanges(Operator op);
/// Of an operator that says it all by itself, what it compares with, as one value; else "".
[[nodiscard]] std::string_view ValueOf(Operator op);
/// Of an operator that needs no values, what it compares with if there are none; else "".
[[nodiscard]] std::string_view DefaultOf(Operator op);

[[nodiscard]] std::span<const NameRow<ArgumentType>> ArgumentTypes();
[[nodiscard]] ArgumentTypeTraits TraitsOf(ArgumentType type);
/// What the values of matchBinaries are compared with: the path of a program.
inline constexpr ArgumentType kBinaryType = ArgumentType::kLinuxBinprm;

/// The kernel's numbers of capabilities, commands of bpf(2), protocols, address families, states
/// and types of sockets, types of files.
[[nodiscard]] std::span<const NameRow<int32_t>> Capabilities();
[[nodiscard]] std::span<const NameRow<int32_t>> BpfCommands();
[[nodiscard]] std::span<const NameRow<int32_t>> Protocols();
[[nodiscard]] std::span<const NameRow<int32_t>> Families();
[[nodiscard]] std::span<const NameRow<int32_t>> TcpStates();
[[nodiscard]] std::span<const NameRow<int32_t>> SocketTypes();
[[nodiscard]] std::span<const NameRow<int32_t>> FileTypes();
/// Types of programs and maps of BPF, and of events of perf_event_open(2).
[[nodiscard]] std::span<const NameRow<int32_t>> BpfProgramTypes();
[[nodiscard]] std::span<const NameRow<int32_t>> BpfMapTypes();
[[nodiscard]] std::span<const NameRow<int32_t>> PerfEventTypes();
/// The names that stand for numbers of a kind; none: it has numbers alone.
[[nodiscard]] std::span<const NameRow<int32_t>> NumberNames(ValueKind values);

[[nodiscard]] std::span<const NameRow<ActionKind>> Actions();
[[nodiscard]] std::span<const NameRow<RateScope>> RateScopes();
[[nodiscard]] std::span<const NameRow<LabelOperator>> LabelOperators();
[[nodiscard]] std::span<const NameRow<Mode>> Modes();
[[nodiscard]] std::span<const NameRow<OnOverlap>> OnOverlaps();

/// What an entry of `options` is for.
enum class Option {
  kPolicyMode,
  kNoEffect,  ///< tells another implementation how to attach; means nothing here
};
[[nodiscard]] std::span<const NameRow<Option>> Options();

}  // namespace gatehouse::policy

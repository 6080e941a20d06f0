// SPDX-License-Identifier: Apache-2.0
#include "event/arguments.h"

#include <bitset>

#include "event/text.h"

namespace gatehouse::event {
namespace {

policy::ArgumentType TypeOf(gh_read read) {
  switch (read) {
    case GH_READ_FILE:
    case GH_READ_FD:
      return policy::ArgumentType::kFile;
    case GH_READ_PATH:
      return policy::ArgumentType::kPath;
    case GH_READ_BINPRM:
      return policy::ArgumentType::kLinuxBinprm;
    case GH_READ_STRING:
    case GH_READ_USER_STRING:
    case GH_READ_FILENAME:
    case GH_READ_BINARY:
      return policy::ArgumentType::kString;
    case GH_READ_NUMBER:
    case GH_READ_PROCESS:
    case GH_READ_COUNT:
      break;
  }
  return policy::ArgumentType::kInt64;
}

// Tetragon's messages for paths differ by name only.
template <typename Path>
void FillPath(const ValueRecord& value, Path* out) {
  out->set_path(ToUtf8(value.text));
  if (value.unreadable != GH_READABLE) out->set_flags("unresolvedPathComponents");
  if (value.file_mode != 0) out->set_permission(ModeString(value.file_mode));
}

void FillText(const ValueRecord& value, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kLinuxBinprm:
      return FillPath(value, out->mutable_linux_binprm_arg());
    case policy::ArgumentType::kFile:
    case policy::ArgumentType::kFd:
      return FillPath(value, out->mutable_file_arg());
    case policy::ArgumentType::kPath:
      return FillPath(value, out->mutable_path_arg());
    default:
      out->set_string_arg(ToUtf8(value.text));
  }
}

void FillCapability(int32_t number, tetragon::KprobeCapability* out) {
  out->mutable_value()->set_value(number);
  // As in Tetragon, empty if it is none.
  out->set_name(tetragon::CapabilitiesType_Name(number));
}

void FillNumber(uint64_t number, policy::ArgumentType type, tetragon::KprobeArgument* out) {
  switch (type) {
    case policy::ArgumentType::kInt8:
    case policy::ArgumentType::kInt16:
    case policy::ArgumentType::kInt32:
      return out->set_int_arg(static_cast<int32_t>(number));
    case policy::ArgumentType::kUint8:
    case policy::ArgumentType::kUint16:
    case policy::ArgumentType::kUint32:
      return out->set_uint_arg(static_cast<uint32_t>(number));
    case policy::ArgumentType::kInt64:
      return out->set_long_arg(static_cast<int64_t>(number));
    case policy::ArgumentType::kCapability:
      return FillCapability(static_cast<int32_t>(number), out->mutable_capability_arg());
    default:
      out->set_size_arg(number);
  }
}

const char* UnreadableWord(size_t reason) {
  switch (reason) {
    case GH_UNREADABLE_TOO_LONG:
      return "too-long";
    case GH_UNREADABLE_UNREACHABLE:
      return "unreachable";
    case GH_UNREADABLE_FAULT:
      return "fault";
    case GH_UNREADABLE_NO_BINARY:
      return "no-binary";
    case GH_UNREADABLE_NO_SCRATCH:
      return "no-scratch";
    case GH_UNREADABLE_TOO_MANY:
      return "too-many";
    default:
      return "unknown";
  }
}

}  // namespace

std::vector<policy::Argument> ArgumentsOf(const PolicyRecord& record) {
  std::vector<policy::Argument> arguments;
  for (uint32_t index = 0; index < GH_ARGUMENTS_MAX; ++index) {
    const ValueRecord* value = record.Find(index);
    if (value != nullptr) arguments.push_back({index, TypeOf(value->read), {}, {}});
  }
  return arguments;
}

void FillArguments(const PolicyRecord& record, std::span<const policy::Argument> arguments,
                   google::protobuf::RepeatedPtrField<tetragon::KprobeArgument>* out) {
  for (const policy::Argument& argument : arguments) {
    if (argument.type != policy::ArgumentType::kNop) FillArgument(record, argument, out->Add());
  }
}

void FillArgument(const PolicyRecord& record, const policy::Argument& argument,
                  tetragon::KprobeArgument* out) {
  out->set_label(argument.label);
  const ValueRecord* value = record.Find(argument.index);
  if (value == nullptr) return;
  if (value->read >= GH_READ_STRING) {
    FillText(*value, argument.type, out);
  } else if (value->unreadable == GH_READABLE) {
    FillNumber(value->number, argument.type, out);
  }
}

const policy::Argument kReturned{GH_SUBJECT_RETURN, policy::ArgumentType::kInt64, {}, {}};

std::vector<std::string_view> UnreadableWords(const PolicyRecord& record,
                                              std::span<const policy::Argument> arguments) {
  std::bitset<GH_UNREADABLE_TOO_MANY + 1> reasons;
  for (const policy::Argument& argument : arguments) {
    const ValueRecord* value = record.Find(argument.index);
    if (value != nullptr) reasons.set(value->unreadable);
  }
  std::vector<std::string_view> words;
  for (size_t reason = GH_READABLE + 1; reason < reasons.size(); ++reason) {
    if (reasons.test(reason)) words.emplace_back(UnreadableWord(reason));
  }
  return words;
}

}  // namespace gatehouse::event

// SPDX-License-Identifier: Apache-2.0
#include "kernel/program_sites.h"

#include <algorithm>

#include "kernel/attachable.h"
#include "kernel/elf_file.h"
#include "kernel/operands.h"
#include "kernel/parameters.h"
#include "policy/sites.h"

namespace gatehouse::kernel {
namespace {

/// The call says in which of three ways where it is: see policy::Hook::call.
Result<uint64_t> OffsetOf(const policy::Site& site) {
  const std::string object = ObjectOf(site);
  const bool is_offset = site.name.starts_with('+');
  if (!is_offset && !site.name.starts_with('@')) {
    return OffsetOfSymbol(site.source, site.name, object);
  }
  const uint64_t number = std::stoull(site.name.substr(1), nullptr, 16);
  if (!is_offset) return OffsetOfAddress(site.source, number, object);
  GH_TRY(CheckOffset(site.source, number, object));
  return number;
}

Result<std::vector<StaticProbe>> FindPlaces(const policy::Site& site) {
  const size_t colon = site.name.find(':');
  return FindStaticProbe(site.source, site.name.substr(0, colon), site.name.substr(colon + 1),
                         ObjectOf(site));
}

std::optional<policy::ArgumentType> OperandType(const Parameter& parameter) {
  using Type = policy::ArgumentType;
  if (!parameter.readable) return std::nullopt;
  const bool is_signed = GH_OPERAND_SIGNED(parameter.place) != 0;
  switch (parameter.bytes) {
    case 1:
      return is_signed ? Type::kInt8 : Type::kUint8;
    case 2:
      return is_signed ? Type::kInt16 : Type::kUint16;
    case 4:
      return is_signed ? Type::kInt32 : Type::kUint32;
    default:
      return is_signed ? Type::kInt64 : Type::kUint64;
  }
}

}  // namespace

std::vector<Parameter> ParametersInRegisters() {
  constexpr size_t kRegisters = 6;  // that pass arguments
  return {kRegisters, Parameter{.readable = true, .pointer = true, .pointee = "void"}};
}

Result<Plan> OnUprobe(const policy::Site& site) {
  GH_ASSIGN(const uint64_t offset, OffsetOf(site));
  return Plan{.way = site.at_return ? Way::kUretprobe : Way::kUprobe,
              .target = site.source,
              .parameters = ParametersInRegisters(),
              .returned = {.readable = true, .pointer = true, .pointee = "void"},
              .registers = site.at_return ? GH_REGISTERS_KEPT : GH_REGISTERS_CONTEXT,
              .offset = offset,
              .counter = site.counter};
}

Result<Plan> OnUsdt(const policy::Site& site) {
  GH_ASSIGN(const std::vector<StaticProbe> places, FindPlaces(site));
  if (site.place >= places.size()) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                site.source + " has this static probe in " + std::to_string(places.size()) +
                    " places by now",
                "delete the policy and add it again");
  }
  const StaticProbe& place = places[site.place];
  return Plan{.way = Way::kUsdt,
              .target = site.source,
              .parameters = ParseOperands(place.arguments),
              .registers = GH_REGISTERS_CONTEXT,
              .offset = place.offset,
              .counter = place.counter,
              .writes = site.writes};
}

Result<std::vector<ProbePlace>> PlacesOf(const policy::Site& site) {
  GH_ASSIGN(const std::vector<StaticProbe> places, FindPlaces(site));
  std::vector<ProbePlace> result;
  for (const StaticProbe& place : places) {
    ProbePlace& types = result.emplace_back();
    for (const Parameter& parameter : ParseOperands(place.arguments)) {
      types.push_back(OperandType(parameter));
    }
  }
  return result;
}

Result<void> CheckOperand(const std::string& object, const std::string& what,
                          const Parameter& parameter, const compile::Input& input) {
  const std::string as_written = what + " is `" + parameter.operand + "` in the file";
  if (!parameter.readable) {
    return Fail(ErrorCode::kUnsupported, object, as_written + ", which no program can read",
                "leave it out of args");
  }
  const bool is_number = gh_is_word(input.read) || input.read == GH_READ_FD;
  if (is_number || parameter.bytes == sizeof(uint64_t)) return {};
  return Fail(ErrorCode::kUnsupported, object,
              as_written + ", which is too short for the address that its type is read from",
              "use a type of numbers");
}

Result<void> CheckSet(const std::string& object, const Plan& plan, const compile::Rule& rule) {
  const std::string what = "Set: argument " + std::to_string(rule.set_subject);
  const auto refuse = [&](const std::string& cause, const std::string& remedy) {
    return Fail(ErrorCode::kUnsupported, object, what + cause, remedy);
  };
  if (rule.set_subject >= plan.parameters.size()) {
    return refuse(" is not there: the probe has " + std::to_string(plan.parameters.size()),
                  "arguments are counted from 0");
  }
  if (!MayWriteToProcesses()) {
    return Fail(ErrorCode::kUnsupported, object,
                "Set is not possible: the kernel lets no program write to memory of processes",
                "give gatehoused CAP_SYS_ADMIN; a kernel in lockdown never does");
  }
  const Parameter& parameter = plan.parameters[rule.set_subject];
  if (GH_OPERAND_OF(parameter.place) != GH_OPERAND_MEMORY) {
    return refuse(" is `" + parameter.operand +
                      "` in the file, and only what is in memory can be "
                      "set",
                  "have the program declare it volatile, or choose another argument");
  }
  constexpr uint32_t kBitsOfByte = 8;
  const bool fits =
      parameter.bytes >= sizeof(rule.set_to) || rule.set_to >> (kBitsOfByte * parameter.bytes) == 0;
  if (fits) return {};
  return refuse(" has " + std::to_string(parameter.bytes) + " bytes, too few for " +
                    std::to_string(rule.set_to),
                "write a smaller argValue");
}

}  // namespace gatehouse::kernel

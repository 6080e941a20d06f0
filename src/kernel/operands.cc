// SPDX-License-Identifier: Apache-2.0
#include "kernel/operands.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace gatehouse::kernel {
namespace {

/// The names of a register: its 8, 4, 2 and 1 lowest bytes.
using Names = std::array<std::string_view, 4>;

/// By position in a struct pt_regs (arch/x86/include/uapi/asm/ptrace.h); empty: no operand.
constexpr std::array<Names, 20> kRegisters{{
    {"r15", "r15d", "r15w", "r15b"},
    {"r14", "r14d", "r14w", "r14b"},
    {"r13", "r13d", "r13w", "r13b"},
    {"r12", "r12d", "r12w", "r12b"},
    {"rbp", "ebp", "bp", "bpl"},
    {"rbx", "ebx", "bx", "bl"},
    {"r11", "r11d", "r11w", "r11b"},
    {"r10", "r10d", "r10w", "r10b"},
    {"r9", "r9d", "r9w", "r9b"},
    {"r8", "r8d", "r8w", "r8b"},
    {"rax", "eax", "ax", "al"},
    {"rcx", "ecx", "cx", "cl"},
    {"rdx", "edx", "dx", "dl"},
    {"rsi", "esi", "si", "sil"},
    {"rdi", "edi", "di", "dil"},
    {},
    {},
    {},
    {},
    {"rsp", "esp", "sp", "spl"},
}};

struct Size {
  uint32_t bytes = 0;
  bool is_signed = false;
};

/// Takes `prefix` off the text, if it begins with it.
bool Take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes a number off the text: decimal, or hexadecimal with 0x, with or without sign.
std::optional<int64_t> TakeNumber(std::string_view& text) {
  std::string_view rest = text;
  const bool negative = Take(rest, "-");
  if (!negative) Take(rest, "+");
  const int base = Take(rest, "0x") ? 16 : 10;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  if (error != std::errc() || number > uint64_t{1} << 62) return std::nullopt;
  text = rest.substr(static_cast<size_t>(end - rest.data()));
  return negative ? -static_cast<int64_t>(number) : static_cast<int64_t>(number);
}

/// `-4@`: the size, negative if there is a sign.
std::optional<Size> TakeSize(std::string_view& text) {
  const std::optional<int64_t> number = TakeNumber(text);
  if (!number || !Take(text, "@")) return std::nullopt;
  const int64_t bytes = std::abs(*number);
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) return std::nullopt;
  return Size{static_cast<uint32_t>(bytes), *number < 0};
}

constexpr uint32_t kRegisterBytes = 8;

std::optional<Register> FindOperand(std::string_view name) {
  for (uint32_t i = 0; !name.empty() && i < kRegisters.size(); ++i) {
    const Names& names = kRegisters.at(i);
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) continue;
    return Register{i * kRegisterBytes,
                    kRegisterBytes >> static_cast<uint32_t>(found - names.begin())};
  }
  return std::nullopt;
}

/// `%rdi`, up to what cannot be in a name. `whole`: as a base or an index it has all 8 bytes.
std::optional<uint32_t> TakeRegister(std::string_view& text, bool whole) {
  if (!Take(text, "%")) return std::nullopt;
  const std::string_view name = text.substr(0, text.find_first_of(",)"));
  const std::optional<Register> found = FindOperand(name);
  if (!found || (whole && found->bytes != kRegisterBytes)) return std::nullopt;
  text.remove_prefix(name.size());
  return found->offset / kRegisterBytes;
}

bool FitsIn32Bits(int64_t number) { return number == static_cast<int32_t>(number); }

/// `$5`. Of 8 bytes, only what 4 bytes and their sign say.
bool ParseNumber(std::string_view text, Size size, Parameter& parameter) {
  const std::optional<int64_t> number = TakeNumber(text);
  if (!number || !text.empty()) return false;
  const bool unsigned_fits = size.bytes <= sizeof(uint32_t) && *number >= 0 &&
                             *number <= std::numeric_limits<uint32_t>::max();
  if (!FitsIn32Bits(*number) && !unsigned_fits) return false;
  parameter.number = static_cast<int32_t>(*number);
  parameter.place =
      GH_OPERAND(GH_OPERAND_NUMBER, size.bytes, size.is_signed, GH_NO_REGISTER, GH_NO_REGISTER, 0);
  return true;
}

bool ParseRegister(std::string_view text, Size size, Parameter& parameter) {
  const std::optional<uint32_t> base = TakeRegister(text, false);
  if (!base || !text.empty()) return false;
  parameter.place =
      GH_OPERAND(GH_OPERAND_REGISTER, size.bytes, size.is_signed, *base, GH_NO_REGISTER, 0);
  return true;
}

/// `-8(%rbp)`, `(%rax,%rbx,4)`.
bool ParseMemory(std::string_view text, Size size, Parameter& parameter) {
  if (!text.starts_with('(')) {
    const std::optional<int64_t> number = TakeNumber(text);
    if (!number || !FitsIn32Bits(*number)) return false;
    parameter.number = static_cast<int32_t>(*number);
  }
  if (!Take(text, "(")) return false;
  uint32_t base = GH_NO_REGISTER;
  uint32_t index = GH_NO_REGISTER;
  uint32_t scale = 0;
  if (text.starts_with('%')) {
    const std::optional<uint32_t> found = TakeRegister(text, true);
    if (!found) return false;
    base = *found;
  }
  if (Take(text, ",")) {
    const std::optional<uint32_t> found = TakeRegister(text, true);
    if (!found) return false;
    index = *found;
    if (Take(text, ",")) {
      constexpr std::array<int64_t, 4> kScales{1, 2, 4, 8};
      const std::optional<int64_t> factor = TakeNumber(text);
      const auto exponent = std::ranges::find(kScales, factor.value_or(0));
      if (exponent == kScales.end()) return false;
      scale = static_cast<uint32_t>(exponent - kScales.begin());
    }
  }
  if (text != ")" || (base == GH_NO_REGISTER && index == GH_NO_REGISTER)) return false;
  parameter.place = GH_OPERAND(GH_OPERAND_MEMORY, size.bytes, size.is_signed, base, index, scale);
  return true;
}

Parameter ParseOperand(std::string_view text) {
  Parameter parameter{.pointee = "void", .operand = std::string(text)};
  const std::optional<Size> size = TakeSize(text);
  if (!size) return parameter;
  parameter.bytes = size->bytes;
  parameter.readable = Take(text, "$")         ? ParseNumber(text, *size, parameter)
                       : text.starts_with('%') ? ParseRegister(text, *size, parameter)
                                               : ParseMemory(text, *size, parameter);
  parameter.pointer = size->bytes == sizeof(uint64_t);
  if (!parameter.readable) parameter.place = 0;
  return parameter;
}

}  // namespace

std::vector<Parameter> ParseOperands(std::string_view text) {
  std::vector<Parameter> parameters;
  while (parameters.size() < GH_OPERANDS_MAX) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) break;
    const std::string_view operand = text.substr(0, text.find(' '));
    parameters.push_back(ParseOperand(operand));
    text.remove_prefix(operand.size());
  }
  return parameters;
}

std::optional<Register> FindRegister(std::string_view name) {
  constexpr uint32_t kRip = 16, kFlags = 18;
  if (name == "rip") return Register{kRip * kRegisterBytes, kRegisterBytes};
  if (name == "eflags") return Register{kFlags * kRegisterBytes, sizeof(uint32_t)};
  return FindOperand(name);
}

}  // namespace gatehouse::kernel

// SPDX-License-Identifier: Apache-2.0
#include "policy/system_calls.h"

#include <seccomp.h>

#include <array>

namespace gatehouse::policy {
namespace {

constexpr std::string_view kSystemCall = "sys_";

/// What tells the table: before the call's name the ABI, or what the kernel's function begins with.
struct Table {
  std::string_view abi;
  std::string_view function;
  bool compat;
};
constexpr std::string_view kCompat = "i386/";
constexpr std::array kTables{Table{"x64/", "__x64_", false}, Table{kCompat, "__ia32_", true}};

bool Remove(std::string_view prefix, std::string_view& text) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::optional<SystemCallName> FindSystemCall(std::string_view written) {
  std::optional<bool> compat;
  for (const Table& table : kTables) {
    const bool of_abi = Remove(table.abi, written);
    if (Remove(table.function, written) || of_abi) compat = table.compat;
    if (compat) break;
  }
  if (!Remove(kSystemCall, written) || written.empty()) return std::nullopt;
  return SystemCallName{std::string(written), compat.value_or(false)};
}

std::string ToString(const SystemCallName& call) {
  return call.compat ? std::string(kCompat) + call.name : call.name;
}

SystemCallName SystemCallOf(std::string_view site) {
  const bool compat = Remove(kCompat, site);
  return {std::string(site), compat};
}

std::optional<uint32_t> NumberOf(const SystemCallName& call) {
  const int number = seccomp_syscall_resolve_name_arch(
      call.compat ? SCMP_ARCH_X86 : SCMP_ARCH_X86_64, call.name.c_str());
  if (number < 0) return std::nullopt;  // those that another architecture has are negative
  return static_cast<uint32_t>(number);
}

bool MayBeNative(const std::string& name) {
  const int number = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, name.c_str());
  return number >= 0 || number == __NR_SCMP_ERROR;
}

}  // namespace gatehouse::policy

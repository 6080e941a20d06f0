// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// System calls of x86-64 as policies write them.
namespace gatehouse::policy {

struct SystemCallName {
  std::string name;     ///< without what stands before it: `openat`
  bool compat = false;  ///< of the 32-bit table, which has numbers of its own
};

/// `sys_openat`, `__x64_sys_openat`, `x64/sys_openat`; with compat `__ia32_sys_openat`,
/// `i386/sys_openat`. Nothing if `written` is none of these. Pure; any thread.
[[nodiscard]] std::optional<SystemCallName> FindSystemCall(std::string_view written);

/// As sites and hooks name it: `openat`; of the 32-bit table `i386/openat`.
[[nodiscard]] std::string ToString(const SystemCallName& call);
/// The other way round.
[[nodiscard]] SystemCallName SystemCallOf(std::string_view site);

/// The number that it has in its table; nothing if libseccomp knows none. Pure; any thread.
[[nodiscard]] std::optional<uint32_t> NumberOf(const SystemCallName& call);

/// False if libseccomp knows the call, and that x86-64 does not have it: the kernel may have its
/// function all the same. `name` is without what stands before it. Pure; any thread.
[[nodiscard]] bool MayBeNative(const std::string& name);

}  // namespace gatehouse::policy

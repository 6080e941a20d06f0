// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"

/// Addresses as filters compare with them.
namespace gatehouse::policy {

/// The addresses that `value` stands for: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`; bits behind the
/// prefix are ignored. Ascending ranges that neither overlap nor touch: two where an IPv6 prefix
/// covers ::ffff:0:0/96, as what is in there is IPv4, however it is written. The error (kInvalid,
/// without an object) says what is wrong. Pure; any thread.
[[nodiscard]] Result<std::vector<gh_address_range>> ReadAddresses(std::string_view value);

}  // namespace gatehouse::policy

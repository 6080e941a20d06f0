// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Addresses, compared bit by bit.
namespace gatehouse::eval {

/// Whether `text` is an address, or a prefix such as `10.0.0.0/8`.
[[nodiscard]] bool IsPrefix(const std::string& text);

/// Whether `address` begins with the bits of `prefix`. IPv4 is no part of IPv6, and ::ffff:a.b.c.d
/// is IPv4. False if one of them is none.
[[nodiscard]] bool HasPrefix(const std::string& address, const std::string& prefix);

}  // namespace gatehouse::eval

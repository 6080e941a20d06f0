// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

/// Where in a program or a library something is: offsets in the file, in bytes, as uprobes want
/// them.
namespace gatehouse::kernel {

/// Of the first instruction of a function that the file defines. Errors (kUnsupported, `object` is
/// what they are about): the file cannot be read, is no ELF file, has no such function.
[[nodiscard]] Result<uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol,
                                              const std::string& object);

/// Of what the file is loaded for to `address`, without the bias of a position-independent one.
/// Errors: the same; nothing that can be executed is at that address.
[[nodiscard]] Result<uint64_t> OffsetOfAddress(const std::string& path, uint64_t address,
                                               const std::string& object);

/// Nothing, if there is something in the file at `offset`. Errors: the same.
[[nodiscard]] Result<void> CheckOffset(const std::string& path, uint64_t offset,
                                       const std::string& object);

}  // namespace gatehouse::kernel
